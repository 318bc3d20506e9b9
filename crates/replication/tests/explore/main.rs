//! The rules of a copy, explored: within the bounds that a test names, whatever happens in whatever order.

mod search;
mod walk;
mod world;

#[cfg(test)]
mod claims;

#[cfg(test)]
mod convergence;
#[cfg(test)]
mod counterexamples;
#[cfg(test)]
mod decisions;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod forget;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod notes;
#[cfg(test)]
mod pairs;
#[cfg(test)]
mod walks;

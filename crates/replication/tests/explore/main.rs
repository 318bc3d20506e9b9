//! The rules of a copy, explored: within the bounds that a test names, whatever happens in whatever order.

mod search;
mod world;

mod claims;

mod counterexamples;
mod faults;
mod mutations;
mod pairs;

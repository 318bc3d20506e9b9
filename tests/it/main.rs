//! Everything that crosses crates, one module per subject.
//!
//! The modules behind `servers` start real Redis servers.

#[cfg(feature = "servers")]
mod table;

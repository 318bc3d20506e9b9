//! Everything that crosses crates, one module per subject.
//!
//! The modules behind `servers` start real Redis servers.

mod commands_doc;
#[cfg(feature = "servers")]
mod table;

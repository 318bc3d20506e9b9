//! The typed commands: one trait for each group of redis.io, implemented for everything that [executes](crate::Execute).

mod strings;

pub use strings::StringCommands;

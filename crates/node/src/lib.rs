#![doc = include_str!("../README.md")]

pub mod command;
mod commands;
mod execute;

pub use commands::StringCommands;
pub use execute::Execute;

#![doc = include_str!("../README.md")]

mod node;
pub use node::Node;
mod config;
pub use config::Address;
pub use config::ConfigError;
pub use config::NodeConfig;
mod error;
pub use error::Error;
pub use error::ErrorKind;
pub use error::ServerError;
mod execute;
pub use execute::Execute;
pub mod command;
pub mod commands;
pub use commands::*;
mod scan;
pub use scan::Scan;
pub use scan::ScanCursor;
pub use scan::ScanCursorError;
pub use scan::ScanStep;
mod connection;
mod dial;
mod owned;
pub use owned::OwnedConnection;
mod waiting;

#![doc = include_str!("../README.md")]

/// redis-rs, whose types stand in the signatures of this crate.
pub use redis;

mod node;
pub use node::Node;
mod frame;
pub use frame::Frame;
mod config;
pub use config::Address;
pub use config::ConfigError;
pub use config::Credentials;
pub use config::CredentialsProvider;
pub use config::NodeConfig;
pub use config::NodeFields;
pub use config::Pem;
pub use config::TlsConfig;
mod error;
pub use error::Bound;
pub use error::Error;
pub use error::ErrorKind;
pub use error::Outcome;
pub use error::ServerError;
mod observe;
pub use observe::NodeEvent;
pub use observe::Observer;
mod execute;
pub use execute::Execute;
pub use execute::Failure;
pub mod command;
pub mod commands;
pub use commands::*;
mod scan;
pub use scan::Scan;
pub use scan::ScanCursor;
pub use scan::ScanCursorError;
pub use scan::ScanStep;
mod connection;
pub use connection::DedicatedConnection;
mod pipeline;
pub use pipeline::Executed;
pub use pipeline::Pipeline;
mod sessions;
pub use sessions::ChangeFeed;
pub use sessions::Changes;
pub use sessions::Lock;
pub use sessions::LockError;
pub use sessions::LockGuard;
pub use sessions::LockOptions;
pub use sessions::Message;
pub use sessions::PubSubEvent;
pub use sessions::RunScript;
pub use sessions::Script;
pub use sessions::ScriptCall;
pub use sessions::Subscription;
pub use sessions::Transaction;
pub use sessions::UnknownChanges;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
#[doc(hidden)]
pub mod plumbing;

mod metrics;
mod redis_rs;
mod retry;
mod token;
mod wire;

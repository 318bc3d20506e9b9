//! The traits whose methods a program calls: the typed commands, scans, scripts, and what a ring and a copy have in common. It
//! holds nothing else.
//!
//! ```
//! use redisdb::prelude::*;
//! ```

pub use redisdb_cluster::Servers;
pub use redisdb_node::AclCommands;
pub use redisdb_node::BitmapCommands;
pub use redisdb_node::BlockingCommands;
pub use redisdb_node::ConnectionCommands;
pub use redisdb_node::GeoCommands;
pub use redisdb_node::HashCommands;
pub use redisdb_node::HyperLogLogCommands;
pub use redisdb_node::KeyCommands;
pub use redisdb_node::ListCommands;
pub use redisdb_node::PubSubCommands;
pub use redisdb_node::RunScript;
pub use redisdb_node::Scan;
pub use redisdb_node::ScriptingCommands;
pub use redisdb_node::SentinelCommands;
pub use redisdb_node::ServerCommands;
pub use redisdb_node::SetCommands;
pub use redisdb_node::SortedSetCommands;
pub use redisdb_node::StreamCommands;
pub use redisdb_node::StringCommands;

#![doc = include_str!("../README.md")]

/// The cache facade.
pub use redisdb_cache as cache;
/// Several servers: sharding and copying.
pub use redisdb_cluster as cluster;
/// Placement: from a key to a node, without I/O.
pub use redisdb_hashring as hashring;
/// One server: its connection, the command table, typed commands.
pub use redisdb_node as node;

pub use redisdb_cluster::*;
pub use redisdb_hashring::HashRing;
pub use redisdb_hashring::HashTag;
pub use redisdb_hashring::Layout;
pub use redisdb_node::Execute;
pub use redisdb_node::Node;
pub use redisdb_node::NodeConfig;
pub use redisdb_node::Scan;
pub use redisdb_node::commands;
pub use redisdb_node::commands::*;

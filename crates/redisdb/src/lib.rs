#![doc = include_str!("../README.md")]

/// The cache facade.
pub use redisdb_cache as cache;
/// Several servers: sharding and copying.
pub use redisdb_cluster as cluster;
/// Placement: from a key to a node, without I/O.
pub use redisdb_hashring as hashring;
/// One server: its connection, the command table, typed commands.
pub use redisdb_node as node;
/// redis-rs, whose `Cmd`, `Value` and conversions stand in the signatures here.
pub use redisdb_node::redis;

/// The typed commands: their traits, and what they take and answer.
pub use redisdb_node::commands;
pub mod prelude;

// What a program holds.
pub use redisdb_cluster::RedisCopy;
pub use redisdb_cluster::RedisRing;
pub use redisdb_cluster::RingTransaction;
pub use redisdb_cluster::Servers;
pub use redisdb_node::Execute;
pub use redisdb_node::Node;
pub use redisdb_node::Scan;

// How it is made.
pub use redisdb_cluster::ConfigError;
pub use redisdb_cluster::CopyBuilder;
pub use redisdb_cluster::OnConflict;
pub use redisdb_cluster::OnDifference;
pub use redisdb_cluster::OnDown;
pub use redisdb_cluster::OnReturn;
pub use redisdb_cluster::ReadFrom;
pub use redisdb_cluster::Rejoin;
pub use redisdb_cluster::RingBuilder;
pub use redisdb_cluster::Strategy;
pub use redisdb_cluster::TopologyConfig;
pub use redisdb_cluster::WriteTo;
pub use redisdb_hashring::HashRing;
pub use redisdb_hashring::HashTag;
pub use redisdb_hashring::Layout;
pub use redisdb_node::Credentials;
pub use redisdb_node::CredentialsProvider;
pub use redisdb_node::NodeConfig;
pub use redisdb_node::TlsConfig;

// What it answers, and what goes wrong.
pub use redisdb_cluster::Error;
pub use redisdb_cluster::NodesReply;
pub use redisdb_cluster::NotConverged;
pub use redisdb_cluster::Outcome;
pub use redisdb_cluster::Partial;
pub use redisdb_cluster::PerNode;
pub use redisdb_cluster::PipelineAnswers;
pub use redisdb_cluster::Replies;
pub use redisdb_cluster::Unavailable;

// How the nodes are, and what brings them back.
pub use redisdb_cluster::Conflict;
pub use redisdb_cluster::Conflicts;
pub use redisdb_cluster::Convergence;
pub use redisdb_cluster::Decision;
pub use redisdb_cluster::Difference;
pub use redisdb_cluster::Event;
pub use redisdb_cluster::Explanation;
pub use redisdb_cluster::Forgotten;
pub use redisdb_cluster::Health;
pub use redisdb_cluster::Progress;
pub use redisdb_cluster::Repair;
pub use redisdb_cluster::RepairReason;
pub use redisdb_cluster::Repaired;
pub use redisdb_cluster::Replaced;
pub use redisdb_cluster::Skipped;
pub use redisdb_cluster::Verified;
pub use redisdb_cluster::Verify;

//! The values that the tests of hint logs begin with.

use redisdb_node::Node;
use redisdb_node::NodeConfig;

use crate::hints::log::HintLog;

pub(super) fn key(key: &str) -> impl Iterator<Item = &[u8]> + Clone {
    std::iter::once(key.as_bytes())
}

/// A hint log, and the node that it is of, which is not connected.
pub(super) fn new() -> (HintLog, Node) {
    (HintLog::default(), Node::new(NodeConfig::new("redis://h").unwrap()))
}

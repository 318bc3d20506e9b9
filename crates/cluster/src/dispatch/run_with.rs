//! A command and a second one that belongs to it, in one block.

use redis::Cmd;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::command;
use redisdb_node::command::Spec;
use redisdb_node::plumbing::Recorded;

/// Runs a command and a second one in one `MULTI` block, and returns the reply to each.
///
/// # Errors
/// If neither command was executed, or if the first one gave an error.
pub(crate) async fn run_with(
    node: &Node,
    spec: &'static Spec,
    cmd: &Cmd,
    second: Cmd,
) -> Result<(Value, Result<Value, node::Error>), node::Error> {
    let second_spec = command::lookup(&second).unwrap_or(spec);
    let block = [Recorded::lent(spec, cmd), Recorded::new(second_spec, second)];
    let mut outcomes = node.send_block(&block).await.into_iter();
    let first = outcomes.next().unwrap_or(Ok(Value::Nil))?;
    Ok((first, outcomes.next().unwrap_or(Ok(Value::Nil))))
}

//! A command and what has to happen with it, at once.

use redis::Cmd;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::command::Spec;

/// Runs a command and a second one in one `MULTI` block, and returns the reply to each. That the first gave an error is one.
pub(crate) async fn both(
    node: &Node,
    spec: &'static Spec,
    cmd: &Cmd,
    second: Cmd,
) -> Result<(Value, Value), node::Error> {
    let mut both = redis::pipe();
    both.atomic().add_command(cmd.clone()).add_command(second);
    let mut executed = node.send_pipeline(&both, both.len() + 1, 1).await?;
    let executed = node.accept(spec.name, executed.pop().unwrap_or(Value::Nil))?;
    let mut replies = match executed {
        Value::Array(replies) => replies.into_iter(),
        _ => Vec::new().into_iter(),
    };
    let first = node.accept(spec.name, replies.next().unwrap_or(Value::Nil))?;
    Ok((first, replies.next().unwrap_or(Value::Nil)))
}

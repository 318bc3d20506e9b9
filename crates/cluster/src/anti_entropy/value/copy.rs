//! A copy of a value, element by element. A value takes this way if its dump is too large, or if the other server is older
//! and does not read it.
//!
//! What the other server has no place for is not left out in silence: the value is not copied then, and the error says why.
//! But for what only counts or dates: how many entries a stream has had and a group has read, which Redis 6.2 does not
//! count, when a consumer was seen last, and pending entries that are deleted.

use std::collections::BTreeMap;

use redis::Pipeline;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;

use crate::anti_entropy::value::Snapshot;
use crate::anti_entropy::value::chunks::Element;
use crate::anti_entropy::value::chunks::Elements;
use crate::anti_entropy::value::chunks::Kind;
use crate::anti_entropy::value::denied::is_unknown;
use crate::anti_entropy::value::fields;
use crate::anti_entropy::value::stream::Stream;

/// What the keys end with under which values are built up before they replace what is there: a user who may write keys
/// that begin in some way may write these too.
const UNFINISHED: &[u8] = b":__redisdb:copying";
/// After so many milliseconds without another element, what was built up goes away: whoever did it is gone.
const ABANDONED: u64 = 600_000;

/// Said of a hash some of whose fields go away by themselves.
const NO_ENDS: &str =
    "it has fields with a time to live, which this server does not know; Redis 7.4 and Valkey 9.0 do";

/// Whether a key is a value that is being built up.
pub(crate) fn is_unfinished(key: &[u8]) -> bool {
    key.ends_with(UNFINISHED)
}

/// Copies a key from one server to another; `state` is what it was found to be on the source.
pub(crate) async fn copy(
    source: &Node,
    target: &Node,
    key: &[u8],
    state: &Snapshot,
) -> Result<(), node::Error> {
    let unfinished = [key, UNFINISHED].concat();
    let copied = copy_by(source, target, (key, &unfinished), state).await;
    if copied.is_err() {
        // What remains goes away later; why it failed is what counts.
        let _ = target.send(redis::cmd("UNLINK").arg(&unfinished)).await;
    }
    copied
}

async fn copy_by(
    source: &Node,
    target: &Node,
    (key, unfinished): (&[u8], &[u8]),
    state: &Snapshot,
) -> Result<(), node::Error> {
    let Some(mut elements) = Elements::of(source, key, fields::may_end(state)).await? else {
        if source.send(redis::cmd("EXISTS").arg(key)).await? == Value::Int(0) {
            // What came between is seen when the key is compared again.
            return Ok(());
        }
        return Err(unsupported(source, "TYPE", "it is of a type that only a dump can carry"));
    };
    let kind = elements.kind;
    let mut first = redis::pipe();
    first.cmd("UNLINK").arg(unfinished);
    match kind {
        Kind::String => _ = first.cmd("SET").arg(unfinished).arg(""),
        // A stream can be there without an entry.
        Kind::Stream => {
            first.cmd("XGROUP").arg("CREATE").arg(unfinished).arg("none").arg("0").arg("MKSTREAM");
            first.cmd("XGROUP").arg("DESTROY").arg(unfinished).arg("none");
        }
        _ => {}
    }
    send(target, &first).await?;
    loop {
        let chunk = elements.chunk().await?;
        if chunk.is_empty() {
            break;
        }
        let mut pipeline = redis::pipe();
        add(&mut pipeline, kind, unfinished, chunk);
        pipeline.cmd("PEXPIRE").arg(unfinished).arg(ABANDONED);
        send(target, &pipeline).await?;
    }
    if kind == Kind::Stream {
        let stream = Stream::of(source, key).await?;
        if stream.is_idempotent() {
            return Err(unsupported(
                source,
                "XINFO",
                "it remembers its producers, which only a dump can carry",
            ));
        }
        stream.give((source, key), (target, unfinished)).await?;
    }
    let mut last = redis::pipe();
    last.cmd("MULTI");
    let Snapshot::Present { ends, .. } = state else { return Ok(()) };
    match ends {
        Some(ends) => last.cmd("PEXPIREAT").arg(unfinished).arg(*ends),
        None => last.cmd("PERSIST").arg(unfinished),
    };
    last.cmd("RENAME").arg(unfinished).arg(key).cmd("EXEC");
    // Of a block that was aborted the first reply that is an error says why.
    for reply in target.send_pipeline(&last, 0, last.len()).await? {
        let Value::Array(replies) = target.accept("RENAME", reply)? else { continue };
        for reply in replies {
            match target.accept("RENAME", reply) {
                // All of its fields have come to their end: then the source has nothing either.
                Err(error) if is_empty(&error) => _ = target.send(redis::cmd("UNLINK").arg(key)).await?,
                renamed => _ = renamed?,
            }
        }
    }
    Ok(())
}

/// Returns whether nothing was built up.
fn is_empty(error: &node::Error) -> bool {
    matches!(error.kind(), node::ErrorKind::Server(reply) if reply.details().contains("no such key"))
}

fn add(pipeline: &mut Pipeline, kind: Kind, key: &[u8], chunk: Vec<Element>) {
    let name = match kind {
        Kind::String => "APPEND",
        Kind::List => "RPUSH",
        Kind::Set => "SADD",
        Kind::Hash => return add_fields(pipeline, key, chunk),
        Kind::SortedSet => "ZADD",
        Kind::Stream => {
            for entry in chunk {
                pipeline.cmd("XADD").arg(key).arg(entry);
            }
            return;
        }
    };
    let cmd = pipeline.cmd(name).arg(key);
    for mut element in chunk {
        if kind == Kind::SortedSet {
            element.reverse();
        }
        cmd.arg(element);
    }
}

/// Adds fields with their values, and when those go away that do.
fn add_fields(pipeline: &mut Pipeline, key: &[u8], chunk: Vec<Element>) {
    let mut ending: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    let cmd = pipeline.cmd("HSET").arg(key);
    for mut field in chunk {
        if let (Some(ends), Some(name)) = (field.get(2), field.first()) {
            ending.entry(ends.clone()).or_default().push(name.clone());
        }
        field.truncate(2);
        cmd.arg(field);
    }
    for (ends, names) in ending {
        pipeline.cmd("HPEXPIREAT").arg(key).arg(ends).arg("FIELDS").arg(names.len()).arg(names);
    }
}

/// Sends commands, none of which may fail.
pub(crate) async fn send(node: &Node, pipeline: &Pipeline) -> Result<(), node::Error> {
    for (cmd, reply) in pipeline.cmd_iter().zip(node.send_pipeline(pipeline, 0, pipeline.len()).await?) {
        node.accept("RESTORE", reply).map_err(|error| match cmd.args_iter().next() {
            Some(redis::Arg::Simple(b"HPEXPIREAT")) if is_unknown(&error) => {
                unsupported(node, "HPEXPIREAT", NO_ENDS)
            }
            _ => error,
        })?;
    }
    Ok(())
}

fn unsupported(node: &Node, command: &'static str, reason: &'static str) -> node::Error {
    node::Error::new(node.name().into(), command, node::ErrorKind::Unsupported(reason.into()))
}

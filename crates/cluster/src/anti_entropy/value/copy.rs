//! A copy of a value, element by element. A value takes this way if its dump is too large, or if the other server is older
//! and does not read it.
//!
//! What the other server has no place for is not left out in silence: the value is not copied then, and the error says why.
//! Only counts and dates are left out so: how many entries a stream has had and a group has read, which Redis 6.2 does not
//! count, and when a consumer was seen last. So are pending entries that are deleted.

use std::collections::BTreeMap;

use redis::Cmd;
use redis::Pipeline;
use redis::Value;
use redisdb_node as node;
use redisdb_node::DedicatedConnection;
use redisdb_node::Node;
use redisdb_node::command::lookup;
use redisdb_node::command::rows;

use crate::anti_entropy::value;
use crate::anti_entropy::value::Content;
use crate::anti_entropy::value::Limits;
use crate::anti_entropy::value::Put;
use crate::anti_entropy::value::Snapshot;
use crate::anti_entropy::value::Written;
use crate::anti_entropy::value::chunks::Element;
use crate::anti_entropy::value::chunks::Elements;
use crate::anti_entropy::value::chunks::Kind;
use crate::anti_entropy::value::compare::is_still;
use crate::anti_entropy::value::denied::is_unknown;
use crate::anti_entropy::value::fields;
use crate::anti_entropy::value::is_denied;
use crate::anti_entropy::value::stream::Stream;

/// What the keys end with under which values are built up before they replace what is there: a user who may write keys
/// that begin in some way may write these too.
const UNFINISHED: &[u8] = b":__redisdb:copying";
/// After so many milliseconds without another element, what was built up goes away: whoever did it is gone.
const ABANDONED: u64 = 600_000;

/// So many bytes of a string are set at once: a server keeps them where it has received them. It may move all of a string that it appends
/// to, which takes it about 0.7 ms per MiB.
const SET_UP_TO: usize = 16 << 20;

/// Said of a hash some of whose fields go away by themselves.
const NO_ENDS: &str =
    "it has fields with a time to live, which this server does not know; Redis 7.4 and Valkey 9.0 do";

/// Returns whether a key is a value that is being built up.
pub(crate) fn is_unfinished(key: &[u8]) -> bool {
    key.ends_with(UNFINISHED)
}

/// Makes a key what it is on the source, by compare-and-set: the key is watched from before it is looked at once more until the new value,
/// which was built up under another name, takes its place. Where this user may not watch keys, it replaces whatever is there.
pub(crate) async fn copy(
    source: &Node,
    target: &Node,
    put: &Put<'_>,
    limits: Limits,
) -> Result<Written, node::Error> {
    let connection = target.dedicated().await?;
    match connection.run(rows::WATCH.spec(), rows::WATCH.cmd().arg(put.key)).await {
        Ok(_) if !still_holds(target, put.key, put.replaces, limits).await? => return Ok(Written::Changed),
        Ok(_) => {}
        Err(error) if is_denied(&error) => {}
        Err(error) => return Err(error),
    }
    let Snapshot::Present { ends, .. } = put.wanted else {
        return replace(target, &connection, &[rows::UNLINK.cmd().arg(put.key).take()]).await;
    };
    let unfinished = [put.key, UNFINISHED].concat();
    let copied = async {
        // What came between is seen when the key is compared again. It may be on its way to the target, and would be executed there once more.
        if !fill(source, target, (put, &unfinished), limits).await?
            || can_be_told(put.wanted) && !still_holds(source, put.key, put.wanted, limits).await?
        {
            return Ok(Written::Changed);
        }
        let lives = match ends {
            Some(ends) => rows::PEXPIREAT.cmd().arg(&unfinished).arg(*ends).take(),
            None => rows::PERSIST.cmd().arg(&unfinished).take(),
        };
        let rename = rows::RENAME.cmd().arg(&unfinished).arg(put.key).take();
        // A large value that is renamed away is freed at once, and one that is unlinked by and by.
        replace(target, &connection, &[rows::UNLINK.cmd().arg(put.key).take(), lives, rename]).await
    };
    let copied = copied.await;
    if copied.as_ref().ok() != Some(&Written::Yes) {
        // What remains goes away later; why it failed is what counts.
        let _ = target.send(redis::cmd("UNLINK").arg(&unfinished)).await;
    }
    copied
}

/// Runs commands in one block, unless the watched key has changed.
async fn replace(
    target: &Node,
    connection: &DedicatedConnection,
    block: &[Cmd],
) -> Result<Written, node::Error> {
    connection.run(rows::MULTI.spec(), &rows::MULTI.cmd()).await?;
    for cmd in block {
        connection.run(lookup(cmd).unwrap_or(rows::UNLINK.spec()), cmd).await?;
    }
    let Value::Array(replies) = connection.run(rows::EXEC.spec(), &rows::EXEC.cmd()).await? else {
        return Ok(Written::Changed);
    };
    for (cmd, reply) in block.iter().zip(replies) {
        match target.accept(lookup(cmd).map_or("RENAME", |spec| spec.name), reply) {
            // All of its fields have come to their end: then the source has nothing either.
            Err(error) if is_empty(&error) => {}
            reply => _ = reply?,
        }
    }
    Ok(Written::Yes)
}

/// Returns whether a server certainly holds what it was seen to hold.
async fn still_holds(node: &Node, key: &[u8], seen: &Snapshot, limits: Limits) -> Result<bool, node::Error> {
    let there = value::read(node, &[key.to_vec()], as_it_was_read(seen, limits)).await?;
    Ok(there.first().is_some_and(|there| is_still(there, seen)))
}

/// Returns whether a value can be told from another one.
fn can_be_told(seen: &Snapshot) -> bool {
    !matches!(seen, Snapshot::Present { content: Content::Digest(None), .. })
}

/// The same way of reading as that by which a value was seen.
fn as_it_was_read(seen: &Snapshot, limits: Limits) -> Limits {
    match seen {
        Snapshot::Present { content: Content::Digest(_), .. } => Limits { dumped: 0, undivided: 0, ..limits },
        _ => Limits { dumped: u64::MAX, undivided: u64::MAX, ..limits },
    }
}

/// Builds up what the source holds, element by element; whole where that is the only way. Returns whether the source holds anything.
async fn fill(
    source: &Node,
    target: &Node,
    (put, unfinished): (&Put<'_>, &[u8]),
    limits: Limits,
) -> Result<bool, node::Error> {
    let error = match fill_by_elements(source, target, (put, unfinished), limits).await {
        Err(error) if is_denied(&error) || matches!(error.kind(), node::ErrorKind::Unsupported(_)) => error,
        filled => return filled,
    };
    let size = value::sizes(&[source], &[put.key.to_vec()]).await?.first().copied();
    if size.is_none_or(|size| limits.undivided < size) || limits.undivided == 0 {
        return Err(error);
    }
    let Ok(Value::BulkString(dump)) = source.send(redis::cmd("DUMP").arg(put.key)).await else {
        return Err(error);
    };
    let mut restore = redis::cmd("RESTORE");
    restore.arg(unfinished).arg(ABANDONED).arg(dump).arg("REPLACE");
    target.send(&restore).await.map(|_| true).map_err(|_| error)
}

async fn fill_by_elements(
    source: &Node,
    target: &Node,
    (put, unfinished): (&Put<'_>, &[u8]),
    limits: Limits,
) -> Result<bool, node::Error> {
    let key = put.key;
    let Some(mut elements) = Elements::of(source, key, fields::may_end(put.wanted), limits).await? else {
        if source.send(redis::cmd("EXISTS").arg(key)).await? == Value::Int(0) {
            return Ok(false);
        }
        return Err(unsupported(source, "TYPE", "it is of a type that only a dump can carry"));
    };
    let kind = elements.kind;
    let mut first = redis::pipe();
    first.cmd("UNLINK").arg(unfinished);
    if kind == Kind::Stream {
        // It can be there without an entry.
        first.cmd("XGROUP").arg("CREATE").arg(unfinished).arg("none").arg("0").arg("MKSTREAM");
        first.cmd("XGROUP").arg("DESTROY").arg(unfinished).arg("none");
        first.cmd("PEXPIRE").arg(unfinished).arg(ABANDONED);
    }
    send(target, &first).await?;
    if kind == Kind::String {
        set_text(&mut elements, target, unfinished).await?;
    }
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
    Ok(true)
}

/// Returns whether nothing was built up.
fn is_empty(error: &node::Error) -> bool {
    matches!(error.kind(), node::ErrorKind::Server(reply) if reply.details().contains("no such key"))
}

/// Sets a string, or the beginning of one that is very large, by one command.
async fn set_text(elements: &mut Elements<'_>, target: &Node, unfinished: &[u8]) -> Result<(), node::Error> {
    let mut text = Vec::new();
    while text.len() < SET_UP_TO {
        let chunk = elements.chunk().await?;
        if chunk.is_empty() {
            break;
        }
        chunk.iter().flatten().for_each(|part| text.extend_from_slice(part));
    }
    let mut set = redis::pipe();
    set.cmd("SET").arg(unfinished).arg(text).arg("PX").arg(ABANDONED);
    send(target, &set).await
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
        let name = lookup(cmd).map_or("RESTORE", |spec| spec.name);
        node.accept(name, reply).map_err(|error| match cmd.args_iter().next() {
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

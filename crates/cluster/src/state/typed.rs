//! Copying a value element by element, where its dump cannot be used: it is too large, or the other server is older and
//! does not read it.
//!
//! Left out are the pending entries of a stream's groups, and the times to live of single fields of a hash.

use redis::Pipeline;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;

use super::elements::Element;
use super::elements::Elements;
use super::elements::Kind;
use super::elements::stream_state;

/// What the keys end with under which values are built up before they replace what is there: a user who may write keys
/// that begin in some way may write these too.
const UNFINISHED: &[u8] = b":__redisdb:copying";
/// After so many milliseconds without another element, what was built up goes away: whoever did it is gone.
const ABANDONED: u64 = 600_000;

/// Whether a key is a value that is being built up.
pub(crate) fn is_unfinished(key: &[u8]) -> bool {
    key.ends_with(UNFINISHED)
}

/// Copies a key from one server to another; `ends` is when it goes away.
pub(super) async fn copy(
    source: &Node,
    target: &Node,
    key: &[u8],
    ends: Option<i64>,
) -> Result<(), node::Error> {
    let unfinished = [key, UNFINISHED].concat();
    let Some(mut elements) = Elements::of(source, key).await? else {
        if source.send(redis::cmd("EXISTS").arg(key)).await? == Value::Int(0) {
            // What came between is seen when the key is compared again.
            return Ok(());
        }
        let reason = "it is of a type that only its module can copy";
        return Err(node::Error::new(source.name().into(), "TYPE", unsupported(reason)));
    };
    let kind = elements.kind;
    let mut first = redis::pipe();
    first.cmd("UNLINK").arg(&unfinished);
    match kind {
        Kind::String => _ = first.cmd("SET").arg(&unfinished).arg(""),
        // A stream can be there without an entry.
        Kind::Stream => {
            first.cmd("XGROUP").arg("CREATE").arg(&unfinished).arg("none").arg("0").arg("MKSTREAM");
            first.cmd("XGROUP").arg("DESTROY").arg(&unfinished).arg("none");
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
        add(&mut pipeline, kind, &unfinished, chunk);
        pipeline.cmd("PEXPIRE").arg(&unfinished).arg(ABANDONED);
        send(target, &pipeline).await?;
    }
    let mut last = redis::pipe();
    last.cmd("MULTI");
    if kind == Kind::Stream {
        let (id, groups) = stream_state(source, key).await?;
        last.cmd("XSETID").arg(&unfinished).arg(id);
        for (group, delivered) in groups {
            last.cmd("XGROUP").arg("CREATE").arg(&unfinished).arg(group).arg(delivered);
        }
    }
    match ends {
        Some(ends) => last.cmd("PEXPIREAT").arg(&unfinished).arg(ends),
        None => last.cmd("PERSIST").arg(&unfinished),
    };
    last.cmd("RENAME").arg(&unfinished).arg(key).cmd("EXEC");
    // Of a block that was aborted the first reply that is an error says why.
    for reply in target.send_pipeline(&last, 0, last.len()).await? {
        if let Value::Array(replies) = target.accept("RENAME", reply)? {
            replies.into_iter().try_for_each(|reply| target.accept("RENAME", reply).map(drop))?;
        }
    }
    Ok(())
}

fn add(pipeline: &mut Pipeline, kind: Kind, key: &[u8], chunk: Vec<Element>) {
    let name = match kind {
        Kind::String => "APPEND",
        Kind::List => "RPUSH",
        Kind::Set => "SADD",
        Kind::Hash => "HSET",
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

async fn send(node: &Node, pipeline: &Pipeline) -> Result<(), node::Error> {
    for reply in node.send_pipeline(pipeline, 0, pipeline.len()).await? {
        node.accept("RESTORE", reply)?;
    }
    Ok(())
}

fn unsupported(reason: &'static str) -> node::ErrorKind {
    node::ErrorKind::Unsupported(reason.into())
}

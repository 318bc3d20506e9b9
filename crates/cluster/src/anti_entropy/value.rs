//! The value of a key as one server has it: read, compared, and written to another server.

mod chunks;
mod compare;
pub(crate) use compare::Compared;
pub(crate) use compare::compare;
mod contents;
mod copy;
pub(crate) use copy::is_unfinished;
mod denied;
pub(crate) use denied::is_denied;
pub(crate) use denied::is_denied_key;
pub(crate) use denied::mending;
mod fields;
mod hll;
mod stream;

use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use futures_util::FutureExt;
use futures_util::future::join_all;
use futures_util::future::ready;
use redis::Pipeline;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;

/// Values are read whole as long as they are not larger together, in bytes of the server's memory; what is larger is
/// compared and copied some elements at a time. A reply of this size comes within the second that a reply may take.
pub(crate) const WHOLE: u64 = 64 << 20;
/// So many values go element by element at the same time.
const AT_ONCE: usize = 16;

/// One key on one server.
#[derive(Debug, Clone)]
pub(crate) enum Snapshot {
    /// There is no such key.
    Missing,
    /// It is there.
    Present {
        /// As `DUMP` gives it, checksum and all; `None` if that would be too large, or is not given to this user.
        dump: Option<Vec<u8>>,
        /// When it goes away, in milliseconds since 1970.
        ends: Option<i64>,
    },
    /// This user may not use this key.
    Denied(node::Error),
}

/// Reads many keys at once, those whole that take `whole` bytes of memory together at most.
pub(crate) async fn read(node: &Node, keys: &[Vec<u8>], whole: u64) -> Result<Vec<Snapshot>, node::Error> {
    let mut sizes = Pipeline::with_capacity(keys.len());
    for key in keys {
        sizes.cmd("MEMORY").arg("USAGE").arg(key);
    }
    let sizes = node.send_pipeline(&sizes, 0, sizes.len()).await?;
    let mut room = whole;
    let mut fits = Vec::with_capacity(keys.len());
    let mut pipeline = Pipeline::with_capacity(keys.len() * 2);
    for (key, size) in keys.iter().zip(sizes) {
        // An error means that this user may not ask: then all are read whole.
        let size = redis::from_redis_value::<Option<u64>>(size).ok().flatten().unwrap_or(0);
        let left = room.checked_sub(size);
        room = left.unwrap_or(room);
        fits.push(left.is_some());
        pipeline.cmd(if left.is_some() { "DUMP" } else { "EXISTS" }).arg(key).cmd("PTTL").arg(key);
    }
    let asked = node.server_clock().unwrap_or_else(SystemTime::now);
    let mut replies = node.send_pipeline(&pipeline, 0, pipeline.len()).await?.into_iter();
    let mut states = Vec::with_capacity(keys.len());
    let mut undumped = Vec::new();
    for fits in fits {
        let (Some(dump), Some(left)) = (replies.next(), replies.next()) else { break };
        let ends = match node.accept("PTTL", left) {
            Ok(Value::Int(left)) if left >= 0 => Some(millis(asked).saturating_add(left)),
            Ok(_) => None,
            Err(error) if is_denied_key(&error) => {
                states.push(Snapshot::Denied(error));
                continue;
            }
            Err(error) => return Err(error),
        };
        states.push(match node.accept("DUMP", dump) {
            Ok(Value::BulkString(dump)) => Snapshot::Present { dump: Some(dump), ends },
            Ok(Value::Int(1)) if !fits => Snapshot::Present { dump: None, ends },
            Ok(_) => Snapshot::Missing,
            Err(error) if is_denied_key(&error) => Snapshot::Denied(error),
            Err(error) if is_denied(&error) => {
                undumped.push((states.len(), ends));
                Snapshot::Missing
            }
            Err(error) => return Err(error),
        });
    }
    // Of what is not given whole it is asked at least whether it is there.
    let mut pipeline = Pipeline::with_capacity(undumped.len());
    for key in undumped.iter().filter_map(|(idx, _)| keys.get(*idx)) {
        pipeline.cmd("EXISTS").arg(key);
    }
    let replies = node.send_pipeline(&pipeline, 0, pipeline.len()).await?;
    for ((idx, ends), reply) in undumped.into_iter().zip(replies) {
        if let Some(state) = states.get_mut(idx) {
            *state = match node.accept("EXISTS", reply)? {
                Value::Int(0) => Snapshot::Missing,
                _ => Snapshot::Present { dump: None, ends },
            };
        }
    }
    Ok(states)
}

/// Makes keys on a server what they are on the source; returns for each whether it took.
///
/// A value goes by its dump, or element by element where it is too large, where the server does not read the dump of a
/// newer one, or where this user is not given dumps or may not restore them.
pub(crate) async fn write(
    source: &Node,
    target: &Node,
    keys: &[(&[u8], &Snapshot)],
) -> Result<Vec<Result<(), node::Error>>, node::Error> {
    let mut pipeline = Pipeline::with_capacity(keys.len());
    for (key, state) in keys {
        match state {
            Snapshot::Missing => pipeline.cmd("UNLINK").arg(key),
            Snapshot::Present { dump: Some(dump), ends } => {
                let ends = ends.unwrap_or(0);
                pipeline.cmd("RESTORE").arg(key).arg(ends).arg(dump).arg("REPLACE").arg("ABSTTL")
            }
            Snapshot::Present { dump: None, .. } | Snapshot::Denied(_) => continue,
        };
    }
    let mut replies = target.send_pipeline(&pipeline, 0, pipeline.len()).await?.into_iter();
    let mut reply = |command| target.accept(command, replies.next().unwrap_or(Value::Nil)).map(drop);
    // In this order, for the replies come in it.
    let restored: Vec<_> = keys
        .iter()
        .map(|(key, state)| match state {
            Snapshot::Missing => (key, None, reply("UNLINK")),
            Snapshot::Present { dump: Some(_), .. } => match reply("RESTORE") {
                Err(error) if goes_by_elements(&error) => (key, Some(*state), Ok(())),
                restored => (key, None, restored),
            },
            Snapshot::Present { dump: None, .. } => (key, Some(*state), Ok(())),
            Snapshot::Denied(error) => (key, None, Err(error.clone())),
        })
        .collect();
    let mut outcomes = Vec::with_capacity(keys.len());
    for some in restored.chunks(AT_ONCE) {
        let each = some.iter().map(|(key, by_elements, restored)| match by_elements {
            Some(state) => copy::copy(source, target, key, state).boxed(),
            None => ready(restored.clone()).boxed(),
        });
        outcomes.extend(join_all(each.collect::<Vec<_>>()).await);
    }
    Ok(outcomes)
}

/// Returns whether a server refused a dump because it does not know how to read it, or does not let this user restore any.
fn goes_by_elements(error: &node::Error) -> bool {
    match error.kind() {
        node::ErrorKind::Server(reply) => {
            reply.details().contains("DUMP payload version")
                || reply.details().contains("Bad data format")
                || is_denied(error) && !is_denied_key(error)
        }
        _ => false,
    }
}

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

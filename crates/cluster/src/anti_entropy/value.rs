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
mod put;
pub(crate) use put::Put;
pub(crate) use put::Written;
pub(crate) use put::write;
mod stream;

use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

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

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

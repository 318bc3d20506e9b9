//! The value of a key as one server has it: read, compared, and written to another server.

mod chunks;
mod compare;
pub(crate) use compare::Compared;
pub(crate) use compare::compare;
pub(crate) use compare::is_still;
mod contents;
mod copy;
pub(crate) use copy::is_unfinished;
mod denied;
pub(crate) use denied::is_denied;
pub(crate) use denied::is_denied_in_script;
pub(crate) use denied::is_denied_key;
pub(crate) use denied::mending;
mod dump;
mod fields;
mod hll;
mod put;
pub(crate) use put::Put;
pub(crate) use put::Written;
pub(crate) use put::write;
mod stream;

use std::ops::Range;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use futures_util::future::try_join_all;
use redis::Pipeline;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;

/// A value that takes more bytes of its server's memory than this is large: it is copied some elements at a time. Its `RESTORE` holds a
/// server for half a millisecond; that of 1 MiB takes 4 to 18 ms.
pub(crate) const LARGE: u64 = 64 << 10;
/// A value that takes more than this is also read some elements at a time. A `DUMP` of this size holds a server for 2 ms if it cannot be
/// compressed, and mostly for a quarter of that: most types take a server longer by their elements.
const DUMPED: u64 = 384 << 10;
/// A value that can only go whole goes so up to this size. The values of a node that are held at once take no more than this. A
/// reply of this size comes within the second that a reply may take.
pub(crate) const WHOLE: u64 = 64 << 20;
/// The bytes of memory that are asked for at once: a server executes what comes together without a pause.
const PORTION: u64 = 256 << 10;
/// The number of values that go element by element at the same time.
const AT_ONCE: usize = 16;

/// How values are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Up to this size, in bytes of the server's memory, values are read whole, by their dump ..
    pub(crate) dumped: u64,
    /// .. and up to this size they are written so.
    pub(crate) restored: u64,
    /// Up to this size, values also go whole that cannot go element by element: their type is not known here, or the user may not
    /// read their elements.
    pub(crate) undivided: u64,
    /// The bytes of large values that are read in a second at most.
    pub(crate) bytes_per_second: Option<u64>,
}

impl Limits {
    pub(crate) const DEFAULT: Self =
        Self { dumped: DUMPED, restored: LARGE, undivided: WHOLE, bytes_per_second: None };

    /// Values up to this size go by their dump, and no others.
    pub(crate) fn dump_up_to(bytes: u64) -> Self {
        Self { dumped: bytes, restored: bytes, undivided: bytes, bytes_per_second: None }
    }

    /// Returns whether a value of this size may be read whole, and not be written so.
    pub(crate) fn is_large(&self, size: u64) -> bool {
        self.restored < self.dumped && self.restored < size
    }

    /// Waits until as much may be read again as was read.
    async fn pace(&self, n_bytes: u64) {
        if let Some(rate) = self.bytes_per_second
            && 0 < n_bytes
        {
            tokio::time::sleep(Duration::from_secs_f64(n_bytes as f64 / rate as f64)).await;
        }
    }
}

/// One key on one server.
#[derive(Debug, Clone)]
pub(crate) enum Snapshot {
    /// There is no such key.
    Missing,
    /// It is there.
    Present {
        content: Content,
        /// When it goes away, in milliseconds since 1970.
        ends: Option<i64>,
    },
    /// This user may not use this key.
    Denied(node::Error),
}

impl Snapshot {
    /// The same, short: of a dump only a number for it.
    pub(crate) fn without_dump(&self) -> Self {
        match self {
            Self::Present { content, ends } => {
                Self::Present { content: Content::Digest(content.digest()), ends: *ends }
            }
            other => other.clone(),
        }
    }
}

/// What is in a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// As `DUMP` gives it, checksum and all.
    Dump(Vec<u8>),
    /// A number for its elements; `None` if they cannot be told one by one, or have changed meanwhile.
    Digest(Option<u128>),
}

impl Content {
    /// A number for it: the same for contents that were read in the same way and prove to be the same.
    pub(crate) fn digest(&self) -> Option<u128> {
        match self {
            Self::Dump(dump) => Some(dump::digest(dump)),
            Self::Digest(digest) => *digest,
        }
    }
}

/// Returns how many bytes of memory each value takes, about, on the node where it takes the most; 0 if it is missing, or this user may
/// not ask.
pub(crate) async fn sizes(nodes: &[&Node], keys: &[Vec<u8>]) -> Result<Vec<u64>, node::Error> {
    let mut question = Pipeline::with_capacity(keys.len());
    for key in keys {
        question.cmd("MEMORY").arg("USAGE").arg(key);
    }
    let ask = async |node: &&Node| node.send_pipeline(&question, 0, question.len()).await;
    let mut largest = vec![0; keys.len()];
    for sizes in try_join_all(nodes.iter().map(ask)).await? {
        let size = |reply| redis::from_redis_value::<Option<u64>>(reply).ok().flatten().unwrap_or(0);
        largest.iter_mut().zip(sizes).for_each(|(largest, reply)| *largest = size(reply).max(*largest));
    }
    Ok(largest)
}

/// Reads many keys, whose [`sizes`] are known, on several nodes at once: each value in the same way on all of them.
pub(crate) async fn read_all(
    nodes: &[&Node],
    keys: &[Vec<u8>],
    sizes: &[u64],
    limits: Limits,
) -> Result<Vec<Vec<Snapshot>>, node::Error> {
    try_join_all(nodes.iter().map(|node| read_sized(node, keys, sizes, limits))).await
}

/// Reads many keys, whose [`sizes`] are known, on several nodes, and compares them. Returns what was read on each node, and what came
/// of each key.
pub(crate) async fn read_and_compare(
    nodes: &[&Node],
    keys: &[Vec<u8>],
    sizes: &[u64],
    limits: Limits,
) -> Result<(Vec<Vec<Snapshot>>, Vec<Compared>), node::Error> {
    let looks = read_all(nodes, keys, sizes, limits).await?;
    let compared = compare(nodes, keys, (&looks, sizes), limits).await?;
    Ok((looks, compared))
}

/// Reads many keys at once: small values whole, and the digest of large ones.
pub(crate) async fn read(
    node: &Node,
    keys: &[Vec<u8>],
    limits: Limits,
) -> Result<Vec<Snapshot>, node::Error> {
    read_sized(node, keys, &sizes(&[node], keys).await?, limits).await
}

/// The same of values whose sizes are known.
pub(crate) async fn read_sized(
    node: &Node,
    keys: &[Vec<u8>],
    sizes: &[u64],
    limits: Limits,
) -> Result<Vec<Snapshot>, node::Error> {
    let mut room = WHOLE.max(limits.dumped);
    let fits = |size: &u64| {
        let left = room.checked_sub(*size).filter(|_| *size <= limits.dumped);
        room = left.unwrap_or(room);
        left.is_some()
    };
    let fits: Vec<bool> = sizes.iter().map(fits).collect();
    let costs: Vec<u64> = sizes.iter().zip(&fits).map(|(size, fits)| if *fits { *size } else { 0 }).collect();
    let (mut states, mut divided) = (Vec::with_capacity(keys.len()), Vec::new());
    for portion in portions(&costs) {
        let n_bytes: u64 =
            costs.get(portion.clone()).unwrap_or_default().iter().copied().filter(|n| LARGE < *n).sum();
        let (keys, fits) =
            (keys.get(portion.clone()).unwrap_or_default(), fits.get(portion).unwrap_or_default());
        let mut pipeline = Pipeline::with_capacity(keys.len() * 2);
        for (key, fits) in keys.iter().zip(fits) {
            pipeline.cmd(if *fits { "DUMP" } else { "EXISTS" }).arg(key).cmd("PTTL").arg(key);
        }
        let asked = node.server_clock().unwrap_or_else(SystemTime::now);
        let mut replies = node.send_pipeline(&pipeline, 0, pipeline.len()).await?.into_iter();
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
            let unread = Snapshot::Present { content: Content::Digest(None), ends };
            states.push(match node.accept("DUMP", dump) {
                Ok(Value::BulkString(dump)) => Snapshot::Present { content: Content::Dump(dump), ends },
                Ok(Value::Int(1)) if !fits => {
                    divided.push((states.len(), true));
                    unread
                }
                Ok(_) => Snapshot::Missing,
                Err(error) if is_denied_key(&error) => Snapshot::Denied(error),
                Err(error) if is_denied(&error) => {
                    divided.push((states.len(), false));
                    unread
                }
                Err(error) => return Err(error),
            });
        }
        limits.pace(n_bytes).await;
    }
    for some in divided.chunks(AT_ONCE) {
        let each = some.iter().map(async |(at, may_dump)| {
            let size = sizes.get(*at).filter(|size| *may_dump && **size <= limits.undivided);
            let key = keys.get(*at).map_or(&[][..], Vec::as_slice);
            Ok::<_, node::Error>((*at, read_divided(node, key, limits, size.is_some()).await?))
        });
        for (at, read) in try_join_all(each).await? {
            match (states.get_mut(at), read) {
                (Some(Snapshot::Present { content, .. }), Ok(Some(read))) => *content = read,
                (Some(state), Ok(None)) => *state = Snapshot::Missing,
                (Some(state), Err(error)) => *state = Snapshot::Denied(error),
                _ => {}
            }
        }
    }
    Ok(states)
}

/// What is in one value, element by element, or whole if that is the only way and it may go so; `None` if it is not there, and an error
/// of what is denied.
async fn read_divided(
    node: &Node,
    key: &[u8],
    limits: Limits,
    may_go_whole: bool,
) -> Result<Result<Option<Content>, node::Error>, node::Error> {
    let digest = match chunks::digest(node, key, limits).await? {
        Ok(Some(digest)) => return Ok(Ok(Some(Content::Digest(Some(digest))))),
        Err(error) if is_denied_key(&error) => return Ok(Err(error)),
        digest => digest,
    };
    if !may_go_whole {
        return match (digest, node.send(redis::cmd("EXISTS").arg(key)).await?) {
            (_, Value::Int(0)) => Ok(Ok(None)),
            (digest, _) => Ok(digest.map(|digest| Some(Content::Digest(digest)))),
        };
    }
    Ok(Ok(match node.send(redis::cmd("DUMP").arg(key)).await? {
        Value::BulkString(dump) => Some(Content::Dump(dump)),
        _ => None,
    }))
}

/// Where to cut what costs so much each, so that no portion costs more than may be asked for at once, but for one of a single one.
fn portions(costs: &[u64]) -> Vec<Range<usize>> {
    let (mut portions, mut cost) = (Vec::<Range<usize>>::new(), 0);
    for (at, one) in costs.iter().enumerate() {
        match portions.last_mut() {
            Some(last) if cost + one <= PORTION => last.end = at + 1,
            _ => {
                portions.push(at..at + 1);
                cost = 0;
            }
        }
        cost += one;
    }
    portions
}

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portion_costs_no_more_than_may_be_asked_for_at_once_but_for_a_single_one() {
        let third = PORTION / 3;
        for (costs, ends) in [
            (vec![], vec![]),
            (vec![0; 128], vec![128]),
            (vec![third; 7], vec![3, 6, 7]),
            (vec![1, PORTION * 2, 1, 1], vec![1, 2, 4]),
        ] {
            let starts = std::iter::once(0).chain(ends.iter().copied());
            let expected: Vec<_> = starts.zip(&ends).map(|(start, end)| start..*end).collect();
            assert_eq!(portions(&costs), expected, "{costs:?}");
        }
    }
}

//! What a key is on a server, so that it can be compared with what it is on another, and brought there.

mod elements;
mod typed;
pub(crate) use typed::UNFINISHED;

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use futures_util::future::try_join;
use redis::Pipeline;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;

use self::elements::Kind;

/// Two servers may be this far apart about the end of a key: they are asked one after the other.
const SAME_END: i64 = 1000;
/// Values are read whole as long as they are not larger together, in bytes of the server's memory; what is larger is
/// compared and copied some elements at a time. A reply of this size comes within the second that a reply may take.
pub(crate) const WHOLE: u64 = 64 << 20;

/// One key on one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// There is no such key.
    Missing,
    /// It is there.
    Present {
        /// As `DUMP` gives it, checksum and all; `None` if that would be too large.
        dump: Option<Vec<u8>>,
        /// When it goes away, in milliseconds since 1970.
        ends: Option<i64>,
    },
}

/// Reads many keys at once, those whole that take `whole` bytes of memory together at most.
pub(crate) async fn read(node: &Node, keys: &[Vec<u8>], whole: u64) -> Result<Vec<State>, node::Error> {
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
    for fits in fits {
        let (Some(dump), Some(left)) = (replies.next(), replies.next()) else { break };
        let (dump, left) = (node.accept("DUMP", dump)?, node.accept("PTTL", left)?);
        let ends = match left {
            Value::Int(left) if left >= 0 => Some(millis(asked).saturating_add(left)),
            _ => None,
        };
        states.push(match dump {
            Value::BulkString(dump) => State::Present { dump: Some(dump), ends },
            Value::Int(1) if !fits => State::Present { dump: None, ends },
            _ => State::Missing,
        });
    }
    Ok(states)
}

/// Makes keys on a server what they are on the source; returns for each whether it took.
///
/// A value goes by its dump, or element by element where it is too large or the server does not read the dump of a
/// newer one.
pub(crate) async fn write(
    source: &Node,
    target: &Node,
    keys: &[(&[u8], &State)],
) -> Result<Vec<Result<(), node::Error>>, node::Error> {
    let mut pipeline = Pipeline::with_capacity(keys.len());
    for (key, state) in keys {
        match state {
            State::Missing => pipeline.cmd("UNLINK").arg(key),
            State::Present { dump: Some(dump), ends } => {
                let ends = ends.unwrap_or(0);
                pipeline.cmd("RESTORE").arg(key).arg(ends).arg(dump).arg("REPLACE").arg("ABSTTL")
            }
            State::Present { dump: None, .. } => continue,
        };
    }
    let mut replies = match pipeline.is_empty() {
        true => Vec::new(),
        false => target.send_pipeline(&pipeline, 0, pipeline.len()).await?,
    }
    .into_iter();
    let mut outcomes = Vec::with_capacity(keys.len());
    for (key, state) in keys {
        let (is_whole, ends) = match state {
            State::Missing => (true, None),
            State::Present { dump, ends } => (dump.is_some(), *ends),
        };
        let restored = match is_whole {
            true => target.accept("RESTORE", replies.next().unwrap_or(Value::Nil)).map(drop),
            false => Ok(()),
        };
        outcomes.push(match restored {
            Ok(()) if is_whole => Ok(()),
            Err(error) if !is_unreadable(&error) => Err(error),
            _ => typed::copy(source, target, key, ends).await,
        });
    }
    Ok(outcomes)
}

/// Returns whether a server refused a dump because it does not know how to read it.
fn is_unreadable(error: &node::Error) -> bool {
    match error.kind() {
        node::ErrorKind::Server(reply) => {
            reply.message.contains("DUMP payload version") || reply.message.contains("Bad data format")
        }
        _ => false,
    }
}

/// Returns which of the keys are the same on two servers; the states are theirs.
///
/// Equal dumps prove equality. Different dumps prove nothing: those of hashes and sets follow the order of insertion,
/// others the way in which a value grew, and all of them the server's version. Then the contents are compared.
pub(crate) async fn compare(
    keys: &[Vec<u8>],
    (a, of_a): (&Node, &[State]),
    (b, of_b): (&Node, &[State]),
) -> Result<Vec<bool>, node::Error> {
    let mut same: Vec<bool> = of_a.iter().zip(of_b).map(|(a, b)| is_same(a, b)).collect();
    let (mut unproved, mut large) = (Vec::new(), Vec::new());
    for (i, (key, states)) in keys.iter().zip(of_a.iter().zip(of_b)).enumerate() {
        if same.get(i) == Some(&false) && may_be_same(states.0, states.1) {
            let is_large = is_large(states.0) || is_large(states.1);
            if is_large { &mut large } else { &mut unproved }.push(key.as_slice());
        }
    }
    let mut equal: BTreeMap<&[u8], bool> = BTreeMap::new();
    if !unproved.is_empty() {
        let (contents_a, contents_b) = try_join(contents(a, &unproved), contents(b, &unproved)).await?;
        let both = unproved.into_iter().zip(contents_a.into_iter().zip(contents_b));
        equal.extend(both.map(|(key, (a, b))| (key, a.is_some() && a == b)));
    }
    for key in large {
        let (a, b) = try_join(elements::digest(a, key), elements::digest(b, key)).await?;
        equal.insert(key, a.is_some() && a == b);
    }
    for (key, same) in keys.iter().zip(&mut same) {
        *same |= equal.get(key.as_slice()).copied().unwrap_or(false);
    }
    Ok(same)
}

fn is_large(state: &State) -> bool {
    matches!(state, State::Present { dump: None, .. })
}

fn is_same(a: &State, b: &State) -> bool {
    match (a, b) {
        (State::Missing, State::Missing) => true,
        (State::Present { dump: Some(dump), .. }, State::Present { dump: Some(other), .. })
            if dump == other =>
        {
            may_be_same(a, b)
        }
        _ => false,
    }
}

/// Returns whether two states differ in their dumps at most.
fn may_be_same(a: &State, b: &State) -> bool {
    match (a, b) {
        (State::Present { ends: a, .. }, State::Present { ends: b, .. }) => match (a, b) {
            (Some(a), Some(b)) => a.abs_diff(*b) <= SAME_END.unsigned_abs(),
            (None, None) => true,
            _ => false,
        },
        _ => false,
    }
}

/// What is in values, in an order that is the same everywhere; `None` of types that are not known here.
async fn contents(node: &Node, keys: &[&[u8]]) -> Result<Vec<Option<Vec<Vec<u8>>>>, node::Error> {
    let mut types = Pipeline::with_capacity(keys.len());
    for key in keys {
        types.cmd("TYPE").arg(key);
    }
    let types = node.send_pipeline(&types, 0, types.len()).await?;
    let kinds: Vec<Option<Kind>> = types.iter().map(Kind::of).collect();
    let mut questions = Pipeline::new();
    for (key, kind) in keys.iter().zip(&kinds) {
        let Some(kind) = kind else { continue };
        match kind {
            Kind::String => questions.cmd("GET").arg(key),
            Kind::List => questions.cmd("LRANGE").arg(key).arg("0").arg("-1"),
            Kind::Set => questions.cmd("SMEMBERS").arg(key),
            Kind::Hash => questions.cmd("HGETALL").arg(key),
            Kind::SortedSet => questions.cmd("ZRANGE").arg(key).arg("0").arg("-1").arg("WITHSCORES"),
            Kind::Stream => questions.cmd("XRANGE").arg(key).arg("-").arg("+"),
        };
    }
    let mut replies = match questions.is_empty() {
        true => Vec::new(),
        false => node.send_pipeline(&questions, 0, questions.len()).await?,
    }
    .into_iter();
    let mut contents = Vec::with_capacity(keys.len());
    for (key, kind) in keys.iter().zip(kinds) {
        let Some(kind) = kind else {
            contents.push(None);
            continue;
        };
        // A key that has become another type since is not the same.
        let reply = node.accept("DUMP", replies.next().unwrap_or(Value::Nil)).unwrap_or(Value::Nil);
        let mut parts: Vec<Vec<u8>> = match reply {
            Value::Array(mut elements) => {
                if kind == Kind::SortedSet {
                    elements.iter_mut().skip(1).step_by(2).for_each(without_spelling);
                }
                let step = if kind == Kind::Hash { 2 } else { 1 };
                elements.chunks(step).map(framed).collect()
            }
            one => vec![framed(&[one])],
        };
        if matches!(kind, Kind::Set | Kind::Hash) {
            parts.sort_unstable();
        }
        if kind == Kind::Stream {
            let (last, groups) = elements::stream_state(node, key).await?;
            parts.push(last);
            parts.extend(groups.into_iter().flat_map(|(group, delivered)| [group, delivered]));
        }
        parts.push(format!("{kind:?}").into_bytes());
        contents.push(Some(parts));
    }
    Ok(contents)
}

/// Makes a score the same text whichever version of Redis wrote it.
fn without_spelling(score: &mut Value) {
    if let Value::BulkString(text) = score
        && let Some(bits) = elements::score_bits(text)
    {
        *text = bits.to_be_bytes().to_vec();
    }
}

/// Several values as one byte string, such that no two lists give the same.
fn framed(values: &[Value]) -> Vec<u8> {
    let mut bytes = values.len().to_be_bytes().to_vec();
    for value in values {
        let part = match value {
            Value::BulkString(part) => part.clone(),
            Value::SimpleString(part) => part.clone().into_bytes(),
            Value::Array(values) | Value::Set(values) => framed(values),
            other => format!("{other:?}").into_bytes(),
        };
        bytes.extend(part.len().to_be_bytes());
        bytes.extend(part);
    }
    bytes
}

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

//! What a key is on a server, so that it can be compared with what it is on another, and brought there.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use redis::Pipeline;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;

/// Two servers may be this far apart about the end of a key: they are asked one after the other.
const SAME_END: i64 = 1000;

/// One key on one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// There is no such key.
    Missing,
    /// It is there.
    Present {
        /// As `DUMP` gives it, checksum and all.
        dump: Vec<u8>,
        /// When it goes away, in milliseconds since 1970.
        ends: Option<i64>,
    },
}

/// Reads many keys at once.
pub(crate) async fn read(node: &Node, keys: &[Vec<u8>]) -> Result<Vec<State>, node::Error> {
    let mut pipeline = Pipeline::with_capacity(keys.len() * 2);
    for key in keys {
        pipeline.cmd("DUMP").arg(key).cmd("PTTL").arg(key);
    }
    let asked = SystemTime::now();
    let mut replies = node.send_pipeline(&pipeline, 0, pipeline.len()).await?.into_iter();
    let mut states = Vec::with_capacity(keys.len());
    while let (Some(dump), Some(left)) = (replies.next(), replies.next()) {
        let (dump, left) = (node.accept("DUMP", dump)?, node.accept("PTTL", left)?);
        states.push(match dump {
            Value::BulkString(dump) => {
                let ends = match left {
                    Value::Int(left) if left >= 0 => Some(millis(asked).saturating_add(left)),
                    _ => None,
                };
                State::Present { dump, ends }
            }
            _ => State::Missing,
        });
    }
    Ok(states)
}

/// Makes keys on a server what they are elsewhere; returns for each whether it took.
pub(crate) async fn write(
    node: &Node,
    keys: &[(&[u8], &State)],
) -> Result<Vec<Result<(), node::Error>>, node::Error> {
    let mut pipeline = Pipeline::with_capacity(keys.len());
    for (key, state) in keys {
        match state {
            State::Missing => pipeline.cmd("UNLINK").arg(key),
            State::Present { dump, ends } => {
                let ends = ends.unwrap_or(0);
                pipeline.cmd("RESTORE").arg(key).arg(ends).arg(dump).arg("REPLACE").arg("ABSTTL")
            }
        };
    }
    let replies = node.send_pipeline(&pipeline, 0, pipeline.len()).await?;
    Ok(replies.into_iter().map(|reply| node.accept("RESTORE", reply).map(drop)).collect())
}

/// Returns which of the keys are the same on two servers; the states are theirs.
///
/// Equal dumps prove equality. Different dumps of hashes and sets prove nothing, because they follow the order of
/// insertion, so their contents are compared without it.
pub(crate) async fn compare(
    keys: &[Vec<u8>],
    (a, of_a): (&Node, &[State]),
    (b, of_b): (&Node, &[State]),
) -> Result<Vec<bool>, node::Error> {
    let mut same: Vec<bool> = of_a.iter().zip(of_b).map(|(a, b)| is_same(a, b)).collect();
    let unproved: Vec<&[u8]> = keys
        .iter()
        .zip(of_a.iter().zip(of_b))
        .zip(&same)
        .filter(|((_, states), same)| !**same && may_be_same(states.0, states.1))
        .map(|((key, _), _)| key.as_slice())
        .collect();
    if unproved.is_empty() {
        return Ok(same);
    }
    let (contents_a, contents_b) =
        futures_util::future::try_join(contents(a, &unproved), contents(b, &unproved)).await?;
    let equal: BTreeMap<&[u8], bool> = unproved
        .iter()
        .zip(contents_a.into_iter().zip(contents_b))
        .map(|(key, (a, b))| (*key, a.is_some() && a == b))
        .collect();
    for (key, same) in keys.iter().zip(&mut same) {
        *same |= equal.get(key.as_slice()).copied().unwrap_or(false);
    }
    Ok(same)
}

fn is_same(a: &State, b: &State) -> bool {
    match (a, b) {
        (State::Missing, State::Missing) => true,
        (State::Present { dump: a, .. }, State::Present { dump: b, .. }) if a != b => false,
        _ => may_be_same(a, b),
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

/// What is in hashes and sets, in an order that is the same everywhere; `None` of any other type, for
/// which equal values have equal dumps.
async fn contents(node: &Node, keys: &[&[u8]]) -> Result<Vec<Option<Vec<Vec<u8>>>>, node::Error> {
    let mut types = Pipeline::with_capacity(keys.len());
    for key in keys {
        types.cmd("TYPE").arg(key);
    }
    let types = node.send_pipeline(&types, 0, types.len()).await?;
    let mut questions = Pipeline::new();
    let mut steps = Vec::with_capacity(keys.len());
    for (key, kind) in keys.iter().zip(types) {
        let step = match kind {
            Value::SimpleString(kind) => match kind.as_str() {
                "hash" => Some(("HGETALL", 2)),
                "set" => Some(("SMEMBERS", 1)),
                _ => None,
            },
            _ => None,
        };
        if let Some((command, _)) = step {
            questions.cmd(command).arg(key);
        }
        steps.push(step);
    }
    if questions.is_empty() {
        return Ok(vec![None; keys.len()]);
    }
    let mut replies = node.send_pipeline(&questions, 0, questions.len()).await?.into_iter();
    let contents = steps.into_iter().map(|step| {
        let (command, step) = step?;
        let reply = node.accept(command, replies.next()?).ok()?;
        let elements: Vec<Vec<u8>> = redis::from_redis_value(reply).ok()?;
        let mut parts: Vec<Vec<u8>> = elements.chunks(step).map(framed).collect();
        parts.sort_unstable();
        Some(parts)
    });
    Ok(contents.collect())
}

/// Several byte strings as one, such that no two lists give the same.
fn framed(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.len().to_be_bytes().into_iter().chain(part.iter().copied())).collect()
}

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

//! Whether a key is the same on two servers.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::join_all;
use futures_util::future::try_join;
use redis::Pipeline;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;

use super::AT_ONCE;
use super::State;
use super::elements;
use super::elements::Kind;
use super::hll;
use super::is_denied;

/// Two servers may be this far apart about the end of a key: they are asked one after the other.
const SAME_END: i64 = 1000;

/// Whether a key is the same on two servers.
#[derive(Debug, Clone)]
pub(crate) enum Compared {
    Same,
    Different,
    /// A server does not let this user see it.
    Denied(node::Error),
}

impl Compared {
    pub(crate) fn is_same(&self) -> bool {
        matches!(self, Self::Same)
    }

    fn of(a: &State, b: &State) -> Self {
        match (a, b) {
            (State::Denied(error), _) | (_, State::Denied(error)) => Self::Denied(error.clone()),
            (State::Missing, State::Missing) => Self::Same,
            (State::Present { dump: Some(dump), .. }, State::Present { dump: Some(other), .. })
                if dump == other && may_be_same(a, b) =>
            {
                Self::Same
            }
            _ => Self::Different,
        }
    }
}

/// Compares the keys on two servers; the states are theirs.
///
/// Equal dumps prove equality. Different dumps prove nothing: those of hashes and sets follow the order of insertion,
/// others the way in which a value grew, that of a HyperLogLog when it was counted last, and all of them the server's
/// version. Then the contents are compared.
pub(crate) async fn compare(
    keys: &[Vec<u8>],
    (a, of_a): (&Node, &[State]),
    (b, of_b): (&Node, &[State]),
) -> Result<Vec<Compared>, node::Error> {
    let mut compared: Vec<Compared> = of_a.iter().zip(of_b).map(|(a, b)| Compared::of(a, b)).collect();
    let (mut unproved, mut large) = (Vec::new(), Vec::new());
    for ((key, states), compared) in keys.iter().zip(of_a.iter().zip(of_b)).zip(&compared) {
        if matches!(compared, Compared::Different) && may_be_same(states.0, states.1) {
            let is_large = is_large(states.0) || is_large(states.1);
            if is_large { &mut large } else { &mut unproved }.push(key.as_slice());
        }
    }
    let mut equal: BTreeMap<&[u8], Compared> = BTreeMap::new();
    if !unproved.is_empty() {
        let (contents_a, contents_b) = try_join(contents(a, &unproved), contents(b, &unproved)).await?;
        let both = unproved.into_iter().zip(contents_a.into_iter().zip(contents_b));
        equal.extend(both.map(|(key, (a, b))| (key, by_contents(a, b))));
    }
    for some in large.chunks(AT_ONCE) {
        let each =
            some.iter().map(|key| try_join(elements::digest(a, key), elements::digest(b, key)).boxed());
        let digests = join_all(each.collect::<Vec<_>>()).await;
        for (key, digests) in some.iter().zip(digests) {
            let compared = match digests {
                Ok((a, b)) => by_contents(Ok(a), Ok(b)),
                Err(error) if is_denied(&error) => Compared::Denied(error),
                Err(error) => return Err(error),
            };
            equal.insert(key, compared);
        }
    }
    for (key, compared) in keys.iter().zip(&mut compared) {
        if let Some(by_contents) = equal.remove(key.as_slice()) {
            *compared = by_contents;
        }
    }
    Ok(compared)
}

fn by_contents<T: PartialEq>(
    a: Result<Option<T>, node::Error>,
    b: Result<Option<T>, node::Error>,
) -> Compared {
    match (a, b) {
        (Err(error), _) | (_, Err(error)) => Compared::Denied(error),
        (Ok(Some(a)), Ok(Some(b))) if a == b => Compared::Same,
        _ => Compared::Different,
    }
}

fn is_large(state: &State) -> bool {
    matches!(state, State::Present { dump: None, .. })
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

/// What is in a value, in an order that is the same everywhere.
type Parts = Vec<Vec<u8>>;

/// What is in values; `None` of types that are not known here, and an error of what is denied.
async fn contents(
    node: &Node,
    keys: &[&[u8]],
) -> Result<Vec<Result<Option<Parts>, node::Error>>, node::Error> {
    let mut types = Pipeline::with_capacity(keys.len());
    for key in keys {
        types.cmd("TYPE").arg(key);
    }
    let mut kinds = Vec::with_capacity(keys.len());
    for kind in node.send_pipeline(&types, 0, types.len()).await? {
        kinds.push(match node.accept("TYPE", kind) {
            Err(error) if !is_denied(&error) => return Err(error),
            kind => kind.map(|kind| Kind::of(&kind)),
        });
    }
    let mut questions = Pipeline::new();
    for (key, kind) in keys.iter().zip(&kinds) {
        let Ok(Some(kind)) = kind else { continue };
        match kind {
            Kind::String => questions.cmd("GET").arg(key),
            Kind::List => questions.cmd("LRANGE").arg(key).arg("0").arg("-1"),
            Kind::Set => questions.cmd("SMEMBERS").arg(key),
            Kind::Hash => questions.cmd("HGETALL").arg(key),
            Kind::SortedSet => questions.cmd("ZRANGE").arg(key).arg("0").arg("-1").arg("WITHSCORES"),
            Kind::Stream => questions.cmd("XRANGE").arg(key).arg("-").arg("+"),
        };
    }
    let mut replies = node.send_pipeline(&questions, 0, questions.len()).await?.into_iter();
    let mut contents = Vec::with_capacity(keys.len());
    for (key, kind) in keys.iter().zip(kinds) {
        let kind = match kind {
            Ok(Some(kind)) => kind,
            other => {
                contents.push(other.map(|_| None));
                continue;
            }
        };
        let reply = match node.accept(kind.whole(), replies.next().unwrap_or(Value::Nil)) {
            Ok(reply) => reply,
            // A key that has become another type since is not the same.
            Err(error) => {
                contents.push(if is_denied(&error) { Err(error) } else { Ok(None) });
                continue;
            }
        };
        let mut parts: Vec<Vec<u8>> = match reply {
            Value::Array(mut elements) => {
                if kind == Kind::SortedSet {
                    elements.iter_mut().skip(1).step_by(2).for_each(without_spelling);
                }
                let step = if kind == Kind::Hash { 2 } else { 1 };
                elements.chunks(step).map(framed).collect()
            }
            Value::BulkString(text) => match hll::registers(&text) {
                Some(registers) => vec![b"HYLL".to_vec(), registers],
                None => vec![text],
            },
            one => vec![framed(&[one])],
        };
        if matches!(kind, Kind::Set | Kind::Hash) {
            parts.sort_unstable();
        }
        parts.push(format!("{kind:?}").into_bytes());
        contents.push(match kind {
            Kind::Stream => match elements::stream_state(node, key).await {
                Ok((last, groups)) => {
                    parts.push(last);
                    parts.extend(groups.into_iter().flat_map(|(group, delivered)| [group, delivered]));
                    Ok(Some(parts))
                }
                Err(error) if matches!(error.kind(), node::ErrorKind::Server(_)) => {
                    if is_denied(&error) {
                        Err(error)
                    } else {
                        Ok(None)
                    }
                }
                Err(error) => return Err(error),
            },
            _ => Ok(Some(parts)),
        });
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

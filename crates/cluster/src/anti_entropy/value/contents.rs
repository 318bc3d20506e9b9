//! The contents of a value, read whole, in an order that is the same on every server.

use futures_util::future::join_all;
use redis::Pipeline;
use redis::Value;
use redis::from_redis_value;
use redisdb_node as node;
use redisdb_node::Node;

use crate::anti_entropy::value::Content;
use crate::anti_entropy::value::Snapshot;
use crate::anti_entropy::value::chunks;
use crate::anti_entropy::value::chunks::Kind;
use crate::anti_entropy::value::fields;
use crate::anti_entropy::value::hll;
use crate::anti_entropy::value::is_denied;
use crate::anti_entropy::value::portions;
use crate::anti_entropy::value::stream::Stream;

/// What is in a value, in an order that is the same everywhere.
pub(crate) type Parts = Vec<Vec<u8>>;

/// What is in values; `None` of types that are not known here, and an error of what is denied.
pub(crate) async fn contents(
    node: &Node,
    keys: &[(&[u8], &Snapshot)],
) -> Result<Vec<Result<Option<Parts>, node::Error>>, node::Error> {
    let cost = |(_, state): &(&[u8], &Snapshot)| match state {
        Snapshot::Present { content: Content::Dump(dump), .. } => dump.len() as u64,
        _ => 0,
    };
    let mut contents = Vec::with_capacity(keys.len());
    for portion in portions(&keys.iter().map(cost).collect::<Vec<_>>()) {
        contents.extend(contents_at_once(node, keys.get(portion).unwrap_or_default()).await?);
    }
    Ok(contents)
}

async fn contents_at_once(
    node: &Node,
    keys: &[(&[u8], &Snapshot)],
) -> Result<Vec<Result<Option<Parts>, node::Error>>, node::Error> {
    let mut types = Pipeline::with_capacity(keys.len());
    for (key, _) in keys {
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
    for ((key, _), kind) in keys.iter().zip(&kinds) {
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
    let each = keys.iter().zip(kinds).map(|((key, state), kind)| {
        let reply = match kind {
            Ok(Some(_)) => replies.next().unwrap_or(Value::Nil),
            _ => Value::Nil,
        };
        async move {
            let kind = match kind {
                Ok(Some(kind)) => kind,
                other => return Ok(other.map(|_| None)),
            };
            match parts(node, (key, state), kind, reply).await {
                Ok(parts) => Ok(Ok(Some(parts))),
                Err(error) if is_denied(&error) => Ok(Err(error)),
                // A key that has become another type since is not the same.
                Err(error) if matches!(error.kind(), node::ErrorKind::Server(_)) => Ok(Ok(None)),
                Err(error) => Err(error),
            }
        }
    });
    join_all(each.collect::<Vec<_>>()).await.into_iter().collect()
}

/// What is in a value, by the reply to the command that gives all of it.
async fn parts(
    node: &Node,
    (key, state): (&[u8], &Snapshot),
    kind: Kind,
    reply: Value,
) -> Result<Parts, node::Error> {
    let reply = node.accept(kind.whole(), reply)?;
    let mut parts: Parts = match (kind, reply) {
        (Kind::Hash, reply) => {
            let words: Vec<Vec<u8>> = from_redis_value(reply).unwrap_or_default();
            let mut fields = words.chunks(2).map(<[_]>::to_vec).collect();
            if fields::may_end(state) {
                (fields, _) = fields::with_ends(node, key, fields).await?;
            }
            let framed_words =
                |words: Vec<_>| framed(&words.into_iter().map(Value::BulkString).collect::<Vec<_>>());
            fields.into_iter().map(framed_words).collect()
        }
        (_, Value::Array(mut elements)) => {
            if kind == Kind::SortedSet {
                elements.iter_mut().skip(1).step_by(2).for_each(without_spelling);
            }
            elements.chunks(1).map(framed).collect()
        }
        (_, Value::BulkString(text)) => match hll::registers(&text) {
            Some(registers) => vec![b"HYLL".to_vec(), registers],
            None => vec![text],
        },
        (_, one) => vec![framed(&[one])],
    };
    if matches!(kind, Kind::Set | Kind::Hash) {
        parts.sort_unstable();
    }
    parts.push(format!("{kind:?}").into_bytes());
    if kind == Kind::Stream {
        parts.extend(Stream::of(node, key).await?.compared());
    }
    Ok(parts)
}

/// Makes a score the same text whichever version of Redis wrote it.
fn without_spelling(score: &mut Value) {
    if let Value::BulkString(text) = score
        && let Some(bits) = chunks::score_bits(text)
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

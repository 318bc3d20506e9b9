//! The keys of a server, read from the server itself, and compared with those of the others.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use redis::Cmd;
use redis::Connection;
use redis::FromRedisValue;
use redis::RedisResult;
use redis::Value;

use crate::clock::micros;
use crate::clock::now;

/// The time that a server may take that nothing is done to any more.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The beginning of the keys that a copy keeps for itself.
const MARKER: &str = "__redisdb";

/// The milliseconds by which the ends of a life may differ.
const SAME_END: u64 = 1000;

/// The number of keys are asked for at once.
const AT_ONCE: usize = 500;

/// The value and the end of a key on a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Its type and its elements, in an order that does not depend on how they came there.
    pub value: Vec<String>,
    /// The time when it expires, in milliseconds since 1970.
    pub end: Option<u64>,
}

/// A connection to a server that nobody else uses.
///
/// # Errors
/// The server does not answer.
pub fn connect(port: u16) -> RedisResult<Connection> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
    let connection = client.get_connection_with_timeout(TIMEOUT)?;
    connection.set_read_timeout(Some(TIMEOUT))?;
    connection.set_write_timeout(Some(TIMEOUT))?;
    Ok(connection)
}

/// The keys of the server on this port that a copy does not keep for itself.
///
/// # Errors
/// The server does not answer.
pub fn keys(connection: &mut Connection) -> RedisResult<Vec<String>> {
    let keys: Vec<String> = Cmd::new().arg("KEYS").arg("*").query(connection)?;
    Ok(keys.into_iter().filter(|key| !key.starts_with(MARKER)).collect())
}

/// All that the server on this port holds, but for what a copy keeps for itself. There are no streams in it.
///
/// # Errors
/// The server does not answer, or holds a stream.
pub fn held(port: u16) -> RedisResult<BTreeMap<String, Held>> {
    let mut connection = connect(port)?;
    let mut all = BTreeMap::new();
    for names in keys(&mut connection)?.chunks(AT_ONCE) {
        let mut kinds = redis::pipe();
        names.iter().for_each(|key| _ = kinds.cmd("TYPE").arg(key).cmd("PTTL").arg(key));
        let replies: Vec<(String, i64)> = pairs(kinds.query(&mut connection)?)?;
        let at = now() / micros(Duration::from_millis(1));
        // One that has expired since has no type.
        let there: Vec<_> = names.iter().zip(replies).filter(|(_, (kind, _))| kind != "none").collect();
        let mut values = redis::pipe();
        for (key, (kind, _)) in &there {
            let (name, args): (_, &[&str]) = match kind.as_str() {
                "list" => ("LRANGE", &["0", "-1"]),
                "set" => ("SMEMBERS", &[]),
                "hash" => ("HGETALL", &[]),
                "zset" => ("ZRANGE", &["0", "-1", "WITHSCORES"]),
                _ => ("GET", &[]),
            };
            _ = values.cmd(name).arg(key).arg(args);
        }
        let values: Vec<Value> = values.query(&mut connection)?;
        for ((key, (kind, left)), value) in there.into_iter().zip(values) {
            let value = [vec![kind.clone()], canonical(&kind, words(&value))].concat();
            let end = u64::try_from(left).ok().map(|left| at + left);
            all.insert(key.clone(), Held { value, end });
        }
    }
    Ok(all)
}

fn pairs(replies: Vec<Value>) -> RedisResult<Vec<(String, i64)>> {
    let mut replies = replies.into_iter();
    let mut pairs = Vec::new();
    while let (Some(kind), Some(left)) = (replies.next(), replies.next()) {
        pairs.push((String::from_redis_value(kind)?, i64::from_redis_value(left)?));
    }
    Ok(pairs)
}

/// All words of a reply, however it is nested.
pub fn words(reply: &Value) -> Vec<String> {
    match reply {
        Value::Nil => Vec::new(),
        Value::Int(number) => vec![number.to_string()],
        Value::Double(number) => vec![number.to_string()],
        Value::BulkString(bytes) => vec![String::from_utf8_lossy(bytes).into_owned()],
        Value::SimpleString(text) => vec![text.clone()],
        Value::Okay => vec!["OK".to_owned()],
        Value::Array(values) | Value::Set(values) => values.iter().flat_map(words).collect(),
        Value::Map(pairs) => {
            pairs.iter().flat_map(|(key, value)| [words(key), words(value)].concat()).collect()
        }
        other => vec![format!("{other:?}")],
    }
}

/// The elements of a reply, in an order that does not depend on how they came into a value of this type.
pub fn canonical(kind: &str, words: Vec<String>) -> Vec<String> {
    let mut elements: Vec<String> = match kind {
        "hash" | "zset" => words.chunks(2).map(|pair| pair.join("=")).collect(),
        _ => words,
    };
    if matches!(kind, "hash" | "set") {
        elements.sort();
    }
    elements
}

/// The keys that are not the same on all servers, each with what every server holds of it.
pub fn differences(nodes: &[BTreeMap<String, Held>]) -> Vec<(String, Vec<String>)> {
    let keys: BTreeSet<&String> = nodes.iter().flat_map(BTreeMap::keys).collect();
    let is_same = |key: &&String| {
        let entries: Vec<Option<&Held>> = nodes.iter().map(|node| node.get(*key)).collect();
        entries.windows(2).all(|pair| match (pair[0], pair[1]) {
            (Some(a), Some(b)) => a.value == b.value && is_same_end(a.end, b.end),
            (a, b) => a.is_none() && b.is_none(),
        })
    };
    let shown = |key: &String| {
        let on = |node: &BTreeMap<String, Held>| match node.get(key) {
            Some(Held { value, end: None }) => value.join(" "),
            Some(Held { value, end: Some(end) }) => format!("{} (until {end})", value.join(" ")),
            None => "nothing".to_owned(),
        };
        (key.clone(), nodes.iter().map(on).collect())
    };
    keys.into_iter().filter(|key| !is_same(key)).map(shown).collect()
}

fn is_same_end(a: Option<u64>, b: Option<u64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.abs_diff(b) <= SAME_END,
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(entries: &[(&str, &str, Option<u64>)]) -> BTreeMap<String, Held> {
        let entry = |(key, value, end): &(&str, &str, Option<u64>)| {
            let value = vec![(*value).to_owned()];
            ((*key).to_owned(), Held { value, end: *end })
        };
        entries.iter().map(entry).collect()
    }

    fn differing(nodes: &[BTreeMap<String, Held>]) -> Vec<String> {
        differences(nodes).into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn a_key_differs_by_its_value_its_end_or_its_absence() {
        let base = node(&[("a", "1", None), ("b", "2", Some(5000))]);
        assert!(differing(&[base.clone(), base.clone()]).is_empty());
        assert_eq!(differing(&[base.clone(), node(&[("a", "2", None), ("b", "2", Some(5000))])]), ["a"]);
        assert_eq!(differing(&[base.clone(), node(&[("a", "1", None)])]), ["b"]);
        assert_eq!(differing(&[base.clone(), node(&[("a", "1", None), ("b", "2", None)])]), ["b"]);
        assert_eq!(differing(&[base.clone(), node(&[("a", "1", None), ("b", "2", Some(6001))])]), ["b"]);
        assert!(differing(&[base, node(&[("a", "1", None), ("b", "2", Some(6000))])]).is_empty());
    }
}

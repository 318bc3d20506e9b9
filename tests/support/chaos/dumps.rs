//! What each server holds in the end, read from the server itself and compared.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use redis::Cmd;
use redis::Connection;
use redis::RedisError;
use redis::RedisResult;
use redis::Value;

use crate::clock::micros;
use crate::clock::now;
use crate::journal::Seen;
use crate::keys;
use crate::keys::KeyKind;
use crate::keys::looks;
use crate::keys::seen;

/// How long a server may take that nothing is done to any more.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What the copy's own keys begin with.
const MARKER: &str = "__redisdb";

/// How far apart the ends of a life may be, in milliseconds.
const SAME_END: u64 = 1000;

/// What a server holds of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its type and its elements, in an order that does not depend on how they came there.
    pub(crate) value: Vec<String>,
    /// When it expires, in milliseconds since 1970.
    pub(crate) end: Option<u64>,
    /// Its elements as the readers see them.
    pub(crate) seen: Seen,
}

/// What a server holds.
pub(crate) type Contents = BTreeMap<String, Entry>;

/// A connection to a server that nobody else uses.
pub(crate) fn connect(port: u16) -> RedisResult<Connection> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
    let connection = client.get_connection_with_timeout(TIMEOUT)?;
    connection.set_read_timeout(Some(TIMEOUT))?;
    connection.set_write_timeout(Some(TIMEOUT))?;
    Ok(connection)
}

/// What keys begin with that nobody uses.
const BALLAST: &str = "ballast:";

/// Gives the server on this port so many keys that nobody uses.
pub(crate) fn fill(port: u16, n_keys: usize) -> RedisResult<()> {
    const AT_ONCE: usize = 1000;
    let mut connection = connect(port)?;
    for first in (0..n_keys).step_by(AT_ONCE) {
        let mut mset = redis::cmd("MSET");
        (first..n_keys.min(first + AT_ONCE)).for_each(|i| _ = mset.arg(format!("{BALLAST}{i}")).arg(i));
        mset.exec(&mut connection)?;
    }
    Ok(())
}

/// Reads all that the server on this port holds, but for the ballast.
pub(crate) fn contents(port: u16) -> Result<Contents, RedisError> {
    let mut connection = connect(port)?;
    let keys: Vec<String> = Cmd::new().arg("KEYS").arg("*").query(&mut connection)?;
    let ours = keys.into_iter().filter(|key| !key.starts_with(MARKER) && !key.starts_with(BALLAST));
    ours.map(|key| entry(&mut connection, &key).map(|entry| (key, entry))).collect()
}

fn entry(connection: &mut Connection, key: &str) -> RedisResult<Entry> {
    let kind: String = Cmd::new().arg("TYPE").arg(key).query(connection)?;
    let left: i64 = Cmd::new().arg("PTTL").arg(key).query(connection)?;
    let end = u64::try_from(left).ok().map(|left| now() / micros(Duration::from_millis(1)) + left);
    let mut elements = Seen::new();
    let mut value = vec![kind.clone()];
    for look in looks(key) {
        let reply: Value = look.cmd.query(connection)?;
        elements.extend(seen(key, look.scope, &reply));
        if look.scope != "ttl" {
            value.extend(canonical(&kind, &reply));
        }
    }
    if keys::kind_of(key) == Some(KeyKind::Stream) {
        let info: Value = Cmd::new().arg("XINFO").arg("STREAM").arg(key).query(connection)?;
        let words = keys::words(&info);
        let last = words.iter().position(|word| word == "last-generated-id");
        value.extend(last.and_then(|position| words.get(position + 1)).map(|last| format!("last {last}")));
    }
    Ok(Entry { value, end, seen: elements })
}

fn canonical(kind: &str, reply: &Value) -> Vec<String> {
    let words = keys::words(reply);
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
pub(crate) fn differences(nodes: &[Contents]) -> Vec<(String, Vec<String>)> {
    let keys: BTreeSet<&String> = nodes.iter().flat_map(BTreeMap::keys).collect();
    let is_same = |key: &&String| {
        let entries: Vec<Option<&Entry>> = nodes.iter().map(|node| node.get(*key)).collect();
        entries.windows(2).all(|pair| match (pair[0], pair[1]) {
            (Some(a), Some(b)) => a.value == b.value && is_same_end(a.end, b.end),
            (a, b) => a.is_none() && b.is_none(),
        })
    };
    let shown = |key: &String| {
        let on = |node: &Contents| match node.get(key) {
            Some(Entry { value, end: None, .. }) => value.join(" "),
            Some(Entry { value, end: Some(end), .. }) => format!("{} (until {end})", value.join(" ")),
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

    fn node(entries: &[(&str, &str, Option<u64>)]) -> Contents {
        let entry = |(key, value, end): &(&str, &str, Option<u64>)| {
            let value = vec![(*value).to_owned()];
            ((*key).to_owned(), Entry { value, end: *end, seen: Seen::new() })
        };
        entries.iter().map(entry).collect()
    }

    fn differing(nodes: &[Contents]) -> Vec<String> {
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

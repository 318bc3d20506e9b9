//! The dumps of all servers in the end, read from the servers themselves and compared.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::Cmd;
use redis::Connection;
use redis::RedisError;
use redis::RedisResult;
use redis::Value;
use redisdb_tests::Held;
use redisdb_tests::canonical;
use redisdb_tests::clock::micros;
use redisdb_tests::clock::now;
use redisdb_tests::connect;
use redisdb_tests::keys;
use redisdb_tests::words;

use crate::journal::Seen;
use crate::keys::KeyKind;
use crate::keys::kind_of;
use crate::keys::looks;
use crate::keys::seen;

/// The value of a key on a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) held: Held,
    /// Its elements as the readers see them.
    pub(crate) seen: Seen,
}

/// The keys of a server.
pub(crate) type Contents = BTreeMap<String, Entry>;

/// The beginning of keys that nobody uses.
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
    let ours = keys(&mut connection)?.into_iter().filter(|key| !key.starts_with(BALLAST));
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
            value.extend(canonical(&kind, words(&reply)));
        }
    }
    if kind_of(key) == Some(KeyKind::Stream) {
        let info: Value = Cmd::new().arg("XINFO").arg("STREAM").arg(key).query(connection)?;
        let words = words(&info);
        let last = words.iter().position(|word| word == "last-generated-id");
        value.extend(last.and_then(|position| words.get(position + 1)).map(|last| format!("last {last}")));
    }
    Ok(Entry { held: Held { value, end }, seen: elements })
}

/// The keys that are not the same on all servers, each with what every server holds of it.
pub(crate) fn differences(nodes: &[Contents]) -> Vec<(String, Vec<String>)> {
    let held = |node: &Contents| node.iter().map(|(key, entry)| (key.clone(), entry.held.clone())).collect();
    let nodes: Vec<BTreeMap<String, Held>> = nodes.iter().map(held).collect();
    redisdb_tests::differences(&nodes)
}

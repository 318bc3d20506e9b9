//! The expiry of single fields of a hash. Redis 7.4 and Valkey 9.0 have it; on servers before them every field stays.

use futures_util::future::try_join_all;
use redis::from_redis_value;
use redisdb_node as node;
use redisdb_node::Info;
use redisdb_node::Node;
use redisdb_node::commands::ServerCommands;

use crate::anti_entropy::value::Content;
use crate::anti_entropy::value::Snapshot;
use crate::anti_entropy::value::chunks::Element;
use crate::anti_entropy::value::denied::is_unknown;
use crate::anti_entropy::value::is_denied;

/// So many fields are asked about in one command.
const AT_ONCE: usize = 512;
/// What a server says of a field that is not there.
const GONE: i64 = -2;
/// The first byte of the dump of a hash without such fields, as a table, zipmap, ziplist or listpack.
const PLAIN: [u8; 4] = [4, 9, 13, 16];
/// How Redis, and how Valkey, tells in `INFO` the number of hashes of a database with such fields.
const COUNTED: [&str; 2] = ["subexpiry=", "keys_with_volatile_items="];

/// Returns whether a hash may have fields that expire. It may, unless its dump shows that it has none.
pub(crate) fn may_end(state: &Snapshot) -> bool {
    match state {
        Snapshot::Present { content: Content::Dump(dump), .. } => {
            !dump.first().is_some_and(|kind| PLAIN.contains(kind))
        }
        _ => true,
    }
}

/// Returns whether any hash of a node's database may have fields that expire. It may, unless the server says that none has: to ask
/// about each field takes a server longer than to read it.
pub(crate) async fn any_may_end(node: &Node) -> Result<bool, node::Error> {
    match node.info_with(&["keyspace"]).await {
        Ok(info) => Ok(n_hashes(&info, node.config().db()) != Some(0)),
        Err(error) if is_denied(&error) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Returns how many hashes of a database have such fields, where the server says so.
fn n_hashes(info: &Info, db: u32) -> Option<u64> {
    let counts = info.get("keyspace", &format!("db{db}"))?;
    let count = |count: &str| COUNTED.iter().find_map(|name| count.strip_prefix(name))?.parse().ok();
    counts.split(',').find_map(count)
}

/// Adds to each field and value when they go away, in milliseconds since 1970, if they do; leaves out those that have gone
/// meanwhile. Returns also whether the server knows such fields at all.
pub(crate) async fn with_ends(
    node: &Node,
    key: &[u8],
    mut fields: Vec<Element>,
) -> Result<(Vec<Element>, bool), node::Error> {
    let questions = fields.chunks(AT_ONCE).map(|fields| async move {
        let names = fields.iter().filter_map(|field| field.first());
        let mut cmd = redis::cmd("HPEXPIRETIME");
        cmd.arg(key).arg("FIELDS").arg(names.clone().count());
        names.for_each(|name| _ = cmd.arg(name));
        match node.send(&cmd).await {
            // Of a key that is not there some versions say nothing else.
            Ok(reply) => Ok(Some(from_redis_value(reply).unwrap_or_else(|_| vec![GONE; fields.len()]))),
            Err(error) if is_unknown(&error) => Ok(None),
            Err(error) => Err(error),
        }
    });
    let ends: Option<Vec<Vec<i64>>> = try_join_all(questions).await?.into_iter().collect();
    let Some(ends) = ends else { return Ok((fields, false)) };
    for (field, ends) in fields.iter_mut().zip(ends.iter().flatten()) {
        match *ends {
            GONE => field.clear(),
            ends if 0 <= ends => field.push(ends.to_string().into_bytes()),
            _ => {}
        }
    }
    fields.retain(|field| !field.is_empty());
    Ok((fields, true))
}

#[cfg(test)]
mod tests {
    use redis::FromRedisValue;
    use redis::Value;

    use super::*;

    #[test]
    fn a_server_says_how_many_hashes_of_a_database_have_fields_that_end_or_does_not() {
        let of = |counts: &str| {
            let text = format!("# Keyspace\r\ndb0:keys=1\r\ndb3:keys=9,expires=2,avg_ttl=7{counts}\r\n");
            n_hashes(&Info::from_redis_value(Value::BulkString(text.into())).unwrap(), 3)
        };
        assert_eq!(of(",subexpiry=0"), Some(0));
        assert_eq!(of(",subexpiry=12"), Some(12));
        assert_eq!(of(",keys_with_volatile_items=0"), Some(0));
        assert_eq!(of(",keys_with_volatile_items=3"), Some(3));
        for says_nothing in ["", ",subexpiry=", ",subexpiry=some", ",other=0"] {
            assert_eq!(of(says_nothing), None, "{says_nothing:?}");
        }
    }
}

//! The expiry of single fields of a hash. Redis 7.4 and Valkey 9.0 have it; on servers before them every field stays.

use futures_util::future::try_join_all;
use redis::from_redis_value;
use redisdb_node as node;
use redisdb_node::Node;

use crate::anti_entropy::value::Content;
use crate::anti_entropy::value::Snapshot;
use crate::anti_entropy::value::chunks::Element;
use crate::anti_entropy::value::denied::is_unknown;

/// So many fields are asked about in one command.
const AT_ONCE: usize = 512;
/// What a server says of a field that is not there.
const GONE: i64 = -2;
/// The first byte of the dump of a hash without such fields, as a table, zipmap, ziplist or listpack.
const PLAIN: [u8; 4] = [4, 9, 13, 16];

/// Returns whether a hash may have fields that expire. It may, unless its dump shows that it has none.
pub(crate) fn may_end(state: &Snapshot) -> bool {
    match state {
        Snapshot::Present { content: Content::Dump(dump), .. } => {
            !dump.first().is_some_and(|kind| PLAIN.contains(kind))
        }
        _ => true,
    }
}

/// Adds to each field and value when they go away, in milliseconds since 1970, if they do; leaves out those that have gone
/// meanwhile.
pub(crate) async fn with_ends(
    node: &Node,
    key: &[u8],
    mut fields: Vec<Element>,
) -> Result<Vec<Element>, node::Error> {
    let questions = fields.chunks(AT_ONCE).map(|fields| async move {
        let names = fields.iter().filter_map(|field| field.first());
        let mut cmd = redis::cmd("HPEXPIRETIME");
        cmd.arg(key).arg("FIELDS").arg(names.clone().count());
        names.for_each(|name| _ = cmd.arg(name));
        match node.send(&cmd).await {
            // Of a key that is not there some versions say nothing else.
            Ok(reply) => Ok(from_redis_value(reply).unwrap_or_else(|_| vec![GONE; fields.len()])),
            Err(error) if is_unknown(&error) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    });
    let ends: Vec<Vec<i64>> = try_join_all(questions).await?;
    for (field, ends) in fields.iter_mut().zip(ends.iter().flatten()) {
        match *ends {
            GONE => field.clear(),
            ends if 0 <= ends => field.push(ends.to_string().into_bytes()),
            _ => {}
        }
    }
    fields.retain(|field| !field.is_empty());
    Ok(fields)
}

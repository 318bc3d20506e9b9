//! Where a command goes on a ring: a plain function of its row, its keys and the placement.

use redis::Cmd;
use redisdb_hashring::HashRing;
use redisdb_node::command::Keys;
use redisdb_node::command::Merge;
use redisdb_node::command::OnRing;
use redisdb_node::command::Spec;

use crate::error::CrossNode;
use crate::error::Error;
use crate::split;
use crate::split::Part;

/// Where a command goes; a node is its index in the ring.
#[derive(Debug)]
pub(crate) enum Route {
    /// To the owner of its keys.
    Owner(usize),
    /// A part to each owner; the replies are merged.
    Parts(Vec<Part>, Merge),
    /// The whole command to every node; the replies are merged.
    EveryNode(Merge),
    /// To whichever node is up.
    AnyNode,
}

/// Decides where a command goes.
///
/// `colocated` accepts keys that do not belong together but live on one node today.
pub(crate) fn route(
    ring: &HashRing,
    spec: &'static Spec,
    cmd: &Cmd,
    colocated: bool,
) -> Result<Route, Error> {
    match spec.ring {
        OnRing::ByKey => owner(ring, spec, cmd, colocated),
        OnRing::Split(merge) => {
            let mut parts = split::split(ring, spec, cmd)?;
            match parts.len() {
                // The whole command, as the caller wrote it.
                0 | 1 => Ok(Route::Owner(parts.pop().map_or(0, |part| part.node))),
                _ => Ok(Route::Parts(parts, merge)),
            }
        }
        OnRing::EveryNode(merge) => Ok(Route::EveryNode(merge)),
        OnRing::AnyNode => Ok(Route::AnyNode),
        OnRing::Refuse(reason) => Err(refused(spec, reason)),
        // A rule that this version does not know.
        _ => Err(refused(spec, "its rule is not known")),
    }
}

fn owner(ring: &HashRing, spec: &'static Spec, cmd: &Cmd, colocated: bool) -> Result<Route, Error> {
    let bad = |reason| Error::Keys { command: spec.name, reason };
    if let Keys::One(_) | Keys::Channel(_) = spec.keys {
        let key = spec.first_key(cmd).map_err(bad)?.unwrap_or_default();
        return Ok(Route::Owner(ring.lookup(key)));
    }
    if spec.pattern_of(cmd).is_some() {
        return Err(refused(
            spec,
            "its pattern reads keys that may be on other nodes; read them by `mget` and sort here",
        ));
    }
    let mut keys = spec.keys_of(cmd).map_err(bad)?.map(|(_, key)| key);
    let Some(first) = keys.next() else {
        return Err(refused(spec, "without keys it has no owner; run it on one node, by `on_node(name)`"));
    };
    let owner = ring.lookup(first);
    let belongs = |key: &[u8]| ring.tag(key) == ring.tag(first) || colocated && ring.lookup(key) == owner;
    if keys.all(belongs) {
        return Ok(Route::Owner(owner));
    }
    let keys = spec.keys_of(cmd).map_err(bad)?;
    let keys = keys.map(|(_, key)| (key.to_vec(), ring.name(ring.lookup(key)).to_owned())).collect();
    Err(Error::CrossNode(Box::new(CrossNode { command: spec.name, keys })))
}

fn refused(spec: &Spec, reason: &str) -> Error {
    Error::Unsupported { command: spec.name.to_owned(), strategy: "ring", reason: reason.to_owned() }
}

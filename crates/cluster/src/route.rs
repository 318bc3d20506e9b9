//! Where a command goes on a ring: a plain function of its row, its keys and the placement.

use redis::Cmd;
use redisdb_hashring::HashRing;
use redisdb_node::command::Keys;
use redisdb_node::command::Merge;
use redisdb_node::command::OnRing;
use redisdb_node::command::Spec;

use crate::error::CrossNode;
use crate::error::Error;
use crate::split::Shares;
use crate::split::Split;

/// Where a command goes; a node is its index in the ring.
#[derive(Debug)]
pub(crate) enum Route {
    /// To the owner of its keys.
    Owner(usize),
    /// A part to each owner; the replies are merged.
    Parts(Split, Merge),
    /// The whole command to every node; the replies are merged.
    EveryNode(Merge),
    /// To whichever node is up.
    AnyNode,
}

/// Decides where a command goes.
///
/// `serving` says which node answers for a key, its owner as a rule. `colocated` accepts keys that do not belong
/// together but live on one node today.
pub(crate) fn route(
    ring: &HashRing,
    serving: impl Fn(&[u8]) -> usize,
    spec: &'static Spec,
    cmd: &Cmd,
    colocated: bool,
) -> Result<Route, Error> {
    match spec.ring {
        OnRing::ByKey => owner(ring, serving, spec, cmd, colocated),
        OnRing::Split(merge) => {
            let shares = Shares::of(ring.len(), serving, spec, cmd)?;
            match shares.only() {
                // The whole command, as the caller wrote it.
                Some(owner) => Ok(Route::Owner(owner)),
                None => Ok(Route::Parts(shares.split(), merge)),
            }
        }
        OnRing::EveryNode(merge) => Ok(Route::EveryNode(merge)),
        OnRing::AnyNode => Ok(Route::AnyNode),
        OnRing::Refuse(reason) => Err(Error::refused(spec.name, "ring", reason)),
        // A rule that this version does not know.
        _ => Err(Error::refused(spec.name, "ring", "its rule is not known")),
    }
}

fn owner(
    ring: &HashRing,
    serving: impl Fn(&[u8]) -> usize,
    spec: &'static Spec,
    cmd: &Cmd,
    colocated: bool,
) -> Result<Route, Error> {
    let bad = Error::keys(spec);
    if let Keys::One(_) | Keys::Channel(_) = spec.keys {
        let key = spec.first_key(cmd).map_err(&bad)?.unwrap_or_default();
        return Ok(Route::Owner(serving(key)));
    }
    let mut keys = spec.keys_of(cmd).map_err(&bad)?.map(|(_, key)| key);
    let Some(first) = keys.next() else {
        return Err(Error::refused(
            spec.name,
            "ring",
            "without keys it has no owner; run it on one node, by `on_node(name)`",
        ));
    };
    let owner = ring.lookup(first);
    let belongs = |key: &[u8]| ring.tag(key) == ring.tag(first) || colocated && ring.lookup(key) == owner;
    if !keys.all(belongs) {
        let keys = spec.keys_of(cmd).map_err(&bad)?;
        let keys = keys.map(|(_, key)| (key.to_vec(), ring.name(ring.lookup(key)).to_owned())).collect();
        return Err(Error::CrossNode(Box::new(CrossNode { command: spec.name, keys })));
    }
    if !spec.patterns_of(cmd).all(|pattern| tagged(ring, pattern).is_some_and(belongs)) {
        return Err(Error::refused(
            spec.name,
            "ring",
            "its pattern reads keys that may be on other nodes; give it the hash tag of the key, as in \
             `{user:1}:*`, or read them by `mget` and sort here",
        ));
    }
    Ok(Route::Owner(serving(first)))
}

/// What stands before the `*` of a pattern, if there is a hash tag in it, which nothing that replaces the `*` can change.
fn tagged<'a>(ring: &HashRing, pattern: &'a [u8]) -> Option<&'a [u8]> {
    let fixed = pattern.split(|byte| *byte == b'*').next()?;
    (ring.tag(fixed).len() < fixed.len()).then_some(fixed)
}

#[cfg(test)]
mod tests {
    use redis::Cmd;
    use redisdb_node::command::lookup;

    use super::*;

    #[test]
    fn a_pattern_goes_with_its_key_if_it_carries_the_tag_of_the_key() {
        let ring = HashRing::builder().node("a").node("b").node("c").build().unwrap();
        let accepts = |words: &str| {
            let mut cmd = Cmd::new();
            cmd.arg(words.split(' ').collect::<Vec<_>>());
            match route(&ring, |key| ring.lookup(key), lookup(&cmd).unwrap(), &cmd, false) {
                Ok(Route::Owner(owner)) => {
                    assert_eq!(owner, ring.lookup("{t}k"), "{words}");
                    true
                }
                Err(Error::Unsupported { reason, .. }) => {
                    assert!(reason.contains("hash tag"), "{reason}");
                    false
                }
                other => panic!("{words}: {other:?}"),
            }
        };
        assert!(accepts("SORT {t}k"));
        assert!(accepts("SORT {t}k BY nosort GET #"));
        assert!(accepts("SORT {t}k BY {t}w_* GET {t}v_*->f GET # STORE {t}to"));
        assert!(accepts("SORT_RO t BY x{t}*"), "a key without a tag is its own");
        assert!(!accepts("SORT {t}k BY w_*"));
        assert!(!accepts("SORT {t}k BY {t}w_* GET v_*"));
        assert!(!accepts("SORT {t}k BY {u}w_*"));
        assert!(!accepts("SORT {t}k BY *{t}"), "what replaces the `*` may have a tag of its own");
        assert!(!accepts("SORT {t}k BY {*}t}"));
        assert!(!accepts("SORT t BY t*"));
    }
}

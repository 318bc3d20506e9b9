//! The route of a command on a ring: a plain function of its row, its keys and the placement.

use redis::Cmd;
use redisdb_hashring::HashRing;
use redisdb_node::command::Keys;
use redisdb_node::command::OnRing;
use redisdb_node::command::Spec;

use crate::error::CrossNode;
use crate::error::Error;
use crate::plan::Plan;
use crate::plan::context::Context;
use crate::plan::split::Shares;

const KEYLESS: &str = "without keys it has no owner; run it on one node, by `on_node(name)`";
const EVERY_NODE: &str =
    "a block and a transaction run on one node, and this is for every node; call it outside of them";
const PATTERN: &str = "its pattern reads keys that may be on other nodes; give it the hash tag of the key, as in \
                       `{user:1}:*`, or read the keys by `mget` and sort them yourself";

/// Returns the plan of a command that runs by itself or in a pipeline.
///
/// `serving` gives the node that answers for a key, as a rule its owner. `colocated` accepts keys without a common hash tag
/// that one node owns today.
pub(crate) fn route(
    ring: &HashRing,
    serving: impl Fn(&[u8]) -> usize,
    spec: &'static Spec,
    cmd: &Cmd,
    colocated: bool,
    context: Context,
) -> Result<Plan, Error> {
    sendable(spec, cmd, context)?;
    match spec.ring {
        OnRing::ByKey => {
            let first_key = || spec.first_key(cmd).map_err(Error::keys(spec));
            let at = match spec.keys {
                // Whoever listens to a channel does so at its owner.
                Keys::Channel(_) => first_key()?.map(|channel| ring.lookup(channel)),
                Keys::One(_) => first_key()?.map(serving),
                _ => common_key(ring, &serving, spec.name, std::iter::once((spec, cmd)), colocated)?
                    .map(serving),
            };
            Ok(Plan::One(at.unwrap_or(0)))
        }
        OnRing::Split(merge) => {
            let shares = Shares::of(ring.len(), serving, spec, cmd)?;
            match shares.only() {
                // The whole command, as the caller wrote it.
                Some(owner) => Ok(Plan::One(owner)),
                None => Ok(Plan::Parts(shares.split(), merge)),
            }
        }
        // The only node's reply is the whole answer, and needs no name.
        OnRing::EveryNode(_) if is_everything(ring, colocated) => Ok(Plan::One(0)),
        OnRing::EveryNode(merge) => Ok(Plan::Every(merge)),
        OnRing::AnyNode => Ok(Plan::Any),
        // A rule that this version does not know.
        _ => Err(Error::refused(spec.name, "ring", "its rule is not known")),
    }
}

/// Returns the node on which commands run together, in one block or one transaction: the owner of all their keys.
pub(crate) fn route_together<'a>(
    ring: &HashRing,
    commands: impl Iterator<Item = (&'static Spec, &'a Cmd)> + Clone,
    colocated: bool,
    context: Context,
) -> Result<usize, Error> {
    for (spec, cmd) in commands.clone() {
        sendable(spec, cmd, context)?;
        match spec.ring {
            OnRing::ByKey | OnRing::Split(_) | OnRing::AnyNode => {}
            _ if is_everything(ring, colocated) => {}
            _ => return Err(Error::refused(spec.name, "ring", EVERY_NODE)),
        }
    }
    let owner = |key: &[u8]| ring.lookup(key);
    Ok(common_key(ring, owner, "MULTI", commands, colocated)?.map_or(0, owner))
}

/// Checks that a command may be sent in this context, whatever its keys are.
fn sendable(spec: &Spec, cmd: &Cmd, context: Context) -> Result<(), Error> {
    let reason = match spec.ring {
        OnRing::Refuse(reason) => Some(reason),
        _ => context.refuses(spec, cmd),
    };
    reason.map_or(Ok(()), |reason| Err(Error::refused(spec.name, "ring", reason)))
}

/// Returns whether the ring has only one node, and the caller accepts that as one place for all keys.
fn is_everything(ring: &HashRing, colocated: bool) -> bool {
    colocated && ring.len() == 1
}

/// Returns a key whose owner has all keys of these commands, which must belong together. `None` if they have no keys and
/// one node has everything. Keys that only have the same owner must also be served by one node, which `serving` gives: others may
/// stand in for the owner, and not the same one for each key.
fn common_key<'a>(
    ring: &HashRing,
    serving: impl Fn(&[u8]) -> usize,
    name: &'static str,
    commands: impl Iterator<Item = (&'static Spec, &'a Cmd)> + Clone,
    colocated: bool,
) -> Result<Option<&'a [u8]>, Error> {
    let keys = |(spec, cmd): (&'static Spec, &'a Cmd)| spec.keys_of(cmd).map_err(Error::keys(spec));
    let mut first = None;
    let belongs = |first: &[u8], key: &[u8]| {
        ring.tag(key) == ring.tag(first)
            || colocated && ring.lookup(key) == ring.lookup(first) && serving(key) == serving(first)
    };
    for command in commands.clone() {
        for (_, key) in keys(command)? {
            if !belongs(first.get_or_insert(key), key) {
                let mut named = Vec::new();
                for command in commands {
                    let owned = |(_, key): (_, &[u8])| (key.to_vec(), ring.name(serving(key)).to_owned());
                    named.extend(keys(command)?.map(owned));
                }
                return Err(Error::CrossNode(Box::new(CrossNode { command: name, keys: named })));
            }
        }
    }
    if is_everything(ring, colocated) {
        return Ok(first);
    }
    let Some(first) = first else { return Err(Error::refused(name, "ring", KEYLESS)) };
    for (spec, cmd) in commands {
        let is_there = |pattern| tagged(ring, pattern).is_some_and(|fixed| belongs(first, fixed));
        if !spec.patterns_of(cmd).all(is_there) {
            return Err(Error::refused(spec.name, "ring", PATTERN));
        }
    }
    Ok(Some(first))
}

/// Returns the part of a pattern before its `*`, if that has a hash tag: nothing that replaces the `*` can change the tag.
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
            match route(&ring, |key| ring.lookup(key), lookup(&cmd).unwrap(), &cmd, false, Context::Alone) {
                Ok(Plan::One(owner)) => {
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

    #[test]
    fn keys_that_only_have_the_same_owner_go_together_while_one_node_answers_for_them() {
        let ring = HashRing::builder().node("a").node("b").node("c").build().unwrap();
        let keys: Vec<String> =
            (0..).map(|i| format!("k{i}")).filter(|key| ring.lookup(key) == 0).take(2).collect();
        let routed = |serving: &dyn Fn(&[u8]) -> usize, line: String| {
            let mut cmd = Cmd::new();
            cmd.arg(line.split(' ').collect::<Vec<_>>());
            route(&ring, serving, lookup(&cmd).unwrap(), &cmd, true, Context::Alone)
        };
        let union = || format!("SUNION {} {}", keys[0], keys[1]);
        let owner = |key: &[u8]| ring.lookup(key);
        assert!(matches!(routed(&owner, union()), Ok(Plan::One(0))));
        assert!(matches!(routed(&|_| 2, union()), Ok(Plan::One(2))));
        let apart = |key: &[u8]| 1 + usize::from(key == keys[1].as_bytes());
        let Err(Error::CrossNode(error)) = routed(&apart, union()) else { panic!("it needs two nodes") };
        assert_eq!(error.keys.iter().map(|(_, node)| node.as_str()).collect::<Vec<_>>(), ["b", "c"]);
        let tagged = format!("SUNION {{{}}}x {{{}}}y", keys[0], keys[0]);
        assert!(matches!(routed(&|_| 2, tagged), Ok(Plan::One(2))));
    }

    #[test]
    fn a_message_goes_to_the_owner_of_its_channel_whoever_answers_for_its_keys() {
        let ring = HashRing::builder().node("a").node("b").node("c").build().unwrap();
        for line in ["PUBLISH news x", "SPUBLISH news x"] {
            let mut cmd = Cmd::new();
            cmd.arg(line.split(' ').collect::<Vec<_>>());
            let serving = |key: &[u8]| (ring.lookup(key) + 1) % 3;
            let plan = route(&ring, serving, lookup(&cmd).unwrap(), &cmd, false, Context::Alone);
            assert!(matches!(plan, Ok(Plan::One(at)) if at == ring.lookup("news")), "{line}: {plan:?}");
        }
    }
}

//! The replication plan of a copy: which words each node is sent, so that all end up the same.
//!
//! The authority is what Redis itself sends to its replicas:
//! <https://redis.io/docs/latest/develop/reference/key-specs/> names the keys, the source of each command the rest.

use std::time::SystemTime;

use redis::Cmd;
use redisdb_node::command;
use redisdb_node::command::Access;
use redisdb_node::command::Effect;
use redisdb_node::command::Merge;
use redisdb_node::command::OnCopy;
use redisdb_node::command::OnRing;
use redisdb_node::command::Spec;
use redisdb_node::command::words;

use crate::call::Call;
use crate::error::Error;
use crate::plan::Plan;
use crate::plan::context::Context;
use crate::plan::expiry;
use crate::plan::primary_effect;

const SCRIPT: &str = "each node could end up different; if it does the same everywhere, invoke it as a `Script` that is \
     declared `deterministic()`";

const CURSOR: &str = "a cursor means something to one server only, and the next step might be asked of another; \
     use `hscan_iter`, `sscan_iter` or `zscan_iter`";

const DECIDED: &str = "in a `MULTI` block each node would decide it by what it holds, and could end up different; send it \
     outside of the block, or write the block as a `Script` that is `deterministic()`";

const SERVERS: &str = "it is about the servers, not about keys; send it outside of the `MULTI` block";

const DELIVERED: &str = "each node would deliver it once; send it outside of the `MULTI` block";

/// Decides what a copy does with a command; `now` is asked for the time if it matters. `converges` says whether the nodes become equal by
/// themselves where they differ.
///
/// # Errors
/// Why nothing is sent.
pub(crate) fn plan(
    context: Context,
    call: &Call<'_>,
    converges: bool,
    now: impl FnOnce() -> SystemTime,
) -> Result<Plan, Error> {
    let Call { spec, cmd, .. } = *call;
    let refused = |reason| Error::refused(spec.name, "copy", reason);
    let plan = by_row(spec, cmd, converges, now).map_err(refused)?;
    if let Some(reason) = context.refuses(spec, cmd) {
        return Err(refused(reason));
    }
    // The keys must be known before anything is sent: a node that misses a write is behind on them.
    call.check_keys()?;
    let has_key = call.first_key().is_some();
    match (context, &plan) {
        (Context::Block, Plan::PrimaryFirst(..)) => Err(refused(DECIDED)),
        (Context::Block, Plan::First) if spec.copy == OnCopy::OneNode => Err(refused(DELIVERED)),
        (Context::Block, _) if !has_key || spec.access == Access::Each => Err(refused(SERVERS)),
        // In a block each node is asked all of it.
        (Context::Block, Plan::First | Plan::Every(_)) => Ok(Plan::All(None)),
        _ => Ok(plan),
    }
}

fn by_row(
    spec: &Spec,
    cmd: &Cmd,
    converges: bool,
    now: impl FnOnce() -> SystemTime,
) -> Result<Plan, &'static str> {
    match spec.copy {
        OnCopy::AnyNode if goes_on_with_a_scan(spec, cmd) => Err(CURSOR),
        OnCopy::AnyNode | OnCopy::OneNode => Ok(Plan::First),
        OnCopy::EveryNode if spec.access == Access::Read => Ok(Plan::Every(rule_of(spec))),
        OnCopy::EveryNode => Ok(Plan::All(None)),
        OnCopy::Refuse(reason) => Err(reason),
        OnCopy::Effect(effect) => match effect {
            // Sums in another order may be rounded otherwise, and no sum lacks what was added: of two decisions that cross, one may undo
            // the other.
            Effect::Float if converges => Ok(Plan::All(None)),
            Effect::Deadline => Ok(at_one_time(spec, cmd, now)),
            Effect::ConditionalIf { .. } if spec.condition_of(cmd).is_none() => {
                Ok(at_one_time(spec, cmd, now))
            }
            Effect::ConditionalIf { .. }
            | Effect::Conditional
            | Effect::Random
            | Effect::Float
            | Effect::Pop => decided(spec, cmd, now),
            Effect::Script => Err(SCRIPT),
            _ => Err("its effect is not known"),
        },
        _ => Err("its rule is not known"),
    }
}

/// How the replies of all nodes to a question become one.
pub(crate) fn rule_of(spec: &Spec) -> Merge {
    match spec.ring {
        OnRing::EveryNode(rule) => rule,
        _ => Merge::AllOk,
    }
}

/// Every node ends what it stores at the same moment.
fn at_one_time(spec: &Spec, cmd: &Cmd, now: impl FnOnce() -> SystemTime) -> Plan {
    Plan::All(expiry::absolute(spec, cmd, now))
}

/// One node decides, the moment of an expiry being the same for it and the others.
fn decided(spec: &Spec, cmd: &Cmd, now: impl FnOnce() -> SystemTime) -> Result<Plan, &'static str> {
    let absolute = expiry::absolute(spec, cmd, now);
    let words = absolute.as_ref().unwrap_or(cmd);
    Ok(match primary_effect::how(command::lookup(words).unwrap_or(spec), words)? {
        Some(decide) => Plan::PrimaryFirst(decide, absolute),
        None => Plan::All(None),
    })
}

/// Returns whether a write leaves the same on every node that takes it, whatever the node held of its keys
/// before.
pub(crate) fn is_whole(spec: &Spec, cmd: &Cmd) -> bool {
    match spec.name {
        "SETEX" | "PSETEX" | "MSET" | "DEL" | "UNLINK" | "FLUSHALL" | "FLUSHDB" => true,
        "RESTORE" => words(cmd).skip(4).any(|word| word.eq_ignore_ascii_case(b"REPLACE")),
        "SET" => {
            let keeps = |word: &[u8]| word.eq_ignore_ascii_case(b"KEEPTTL");
            spec.condition_of(cmd).is_none() && !words(cmd).skip(3).any(keeps)
        }
        _ => false,
    }
}

fn goes_on_with_a_scan(spec: &Spec, cmd: &Cmd) -> bool {
    matches!(spec.name, "HSCAN" | "SSCAN" | "ZSCAN") && words(cmd).nth(2).is_some_and(|cursor| cursor != b"0")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;
    use std::time::UNIX_EPOCH;

    use redisdb_node::command::lookup;

    use super::*;
    use crate::plan::primary_effect::Decide;

    /// 1000 s after 1970.
    fn check(words: &[&str], expected: Result<&[&str], &str>) {
        let mut cmd = Cmd::new();
        cmd.arg(words);
        let spec = lookup(&cmd).unwrap();
        let found = match by_row(spec, &cmd, false, || UNIX_EPOCH + Duration::from_secs(1000)) {
            Ok(Plan::All(None) | Plan::First) if spec.copy != OnCopy::OneNode => {
                Ok(words.iter().map(|&word| word.to_owned()).collect())
            }
            Ok(Plan::All(Some(cmd))) => Ok(super::words(&cmd)
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect::<Vec<_>>()),
            Ok(Plan::PrimaryFirst(..)) => Err("decided"),
            Ok(Plan::First) => Err("one node"),
            Ok(plan) => panic!("{words:?}: {plan:?}"),
            Err(reason) => Err(reason),
        };
        let expected = expected.map(|words| words.iter().map(|&word| word.to_owned()).collect());
        assert_eq!(found, expected, "{words:?}");
    }

    #[test]
    fn a_write_is_whole_if_nothing_of_what_was_there_matters() {
        let is_whole = |line: &str| {
            let mut cmd = Cmd::new();
            cmd.arg(line.split(' ').collect::<Vec<_>>());
            is_whole(lookup(&cmd).unwrap(), &cmd)
        };
        for whole in [
            "SET k v",
            "SET k keepttl",
            "set k v EX 5",
            "SETEX k 5 v",
            "PSETEX k 5 v",
            "MSET a 1 b 2",
            "DEL k",
            "UNLINK k",
        ] {
            assert!(is_whole(whole), "{whole}");
        }
        for part in [
            "SET k v keepttl",
            "SET k v NX",
            "SET k v GET",
            "SETNX k v",
            "APPEND k v",
            "SETRANGE k 0 v",
            "EXPIRE k 5",
        ] {
            assert!(!is_whole(part), "{part}");
        }
    }

    #[test]
    fn a_condition_is_decided_by_one_node() {
        check(&["SET", "k", "v", "nx"], Err("decided"));
        check(&["SET", "nx", "get"], Ok(&["SET", "nx", "get"]));
        check(&["EVAL", "return 1", "0"], Err(SCRIPT));
        let mut set = redis::cmd("SET");
        set.arg(&["k", "v", "NX", "EX", "5"]);
        let plan = by_row(lookup(&set).unwrap(), &set, false, || UNIX_EPOCH + Duration::from_secs(1000));
        let Ok(Plan::PrimaryFirst(Decide::Set, Some(absolute))) = plan else { panic!("{plan:?}") };
        assert_eq!(words(&absolute).last(), Some(b"1005000".as_slice()));
    }

    #[test]
    fn every_effect_of_a_row_is_decided_or_refused_with_a_reason() {
        // Only what blocks is left to its own file.
        for row in redisdb_node::command::ALL {
            let effects = [Effect::Conditional, Effect::Random, Effect::Float, Effect::Pop];
            if effects.iter().any(|effect| row.copy == OnCopy::Effect(*effect)) {
                let cmd = redis::cmd(row.name).arg("k").arg("0-*").take();
                let told = primary_effect::how(row, &cmd).map_err(str::len);
                assert!(!matches!(told, Ok(None) | Err(0)) || row.name == "XTRIM", "{}: {told:?}", row.name);
            }
        }
    }

    #[test]
    fn a_sum_is_decided_by_one_node_unless_the_nodes_become_equal_by_themselves() {
        for line in ["INCRBYFLOAT k 0.5", "HINCRBYFLOAT k f 0.5", "ZINCRBY k 0.5 m"] {
            let cmd = redis::Cmd::new().arg(line.split(' ').collect::<Vec<_>>()).take();
            let plan = |converges| by_row(lookup(&cmd).unwrap(), &cmd, converges, || UNIX_EPOCH);
            assert!(matches!(plan(false), Ok(Plan::PrimaryFirst(..))), "{line}");
            assert!(matches!(plan(true), Ok(Plan::All(None))), "{line}");
        }
    }

    #[test]
    fn a_scan_goes_on_where_it_began_or_not_at_all() {
        check(&["HSCAN", "k", "0"], Ok(&["HSCAN", "k", "0"]));
        check(&["HSCAN", "k", "17"], Err(CURSOR));
        // What it names is a range.
        check(&["ARSCAN", "k", "5", "10"], Ok(&["ARSCAN", "k", "5", "10"]));
    }
}

//! Where a command would go, and why.

use std::fmt;
use std::time::SystemTime;

use redis::Cmd;
use redisdb_hashring::HashRing;
use redisdb_node::command;
use redisdb_node::command::Access;
use redisdb_node::command::Merge;
use redisdb_node::command::Spec;

use crate::effect;
use crate::effect::Plan;
use crate::error::Error;
use crate::error::Shown;
use crate::error::first_word;
use crate::route::Route;
use crate::topology::Topology;

/// Where a command would go and why, or why it would not; shown as a sentence.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Explanation {
    /// The command, as on the wire.
    pub command: String,
    /// `ring` or `copy`.
    pub strategy: &'static str,
    /// Where it would go.
    pub decision: Decision,
}

/// Where a command would go.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Decision {
    /// To this node, which owns the keys; on a copy, to this one first.
    Node {
        /// The node's name.
        node: String,
        /// The first key.
        key: Option<Vec<u8>>,
    },
    /// A part to each of these nodes.
    Split {
        /// Each node and how many of the keys it owns.
        parts: Vec<(String, usize)>,
        /// How the replies become one.
        merge: Merge,
    },
    /// To every node.
    EveryNode {
        /// How the replies become one; `None` where each is kept apart.
        merge: Option<Merge>,
        /// Whether a relative expiry becomes an absolute one first.
        absolute: bool,
    },
    /// To this node, which decides what it does; what came of it goes to the others.
    Decided {
        /// The node's name.
        node: String,
    },
    /// To whichever node is up.
    AnyNode,
    /// Nowhere: this error would be returned.
    Refused(Error),
}

pub(crate) fn explain_on_ring(topology: &Topology, cmd: &Cmd) -> Explanation {
    let name = |idx: usize| topology.nodes.name(idx).to_string();
    explain("ring", cmd, |spec| {
        Ok(match topology.route(spec, cmd)? {
            Route::Owner(idx) => Decision::Node { node: name(idx), key: first_key(spec, cmd) },
            Route::Parts(split, merge) => {
                let parts = split.parts.into_iter().map(|part| (name(part.node), part.n_keys)).collect();
                Decision::Split { parts, merge }
            }
            Route::EveryNode(merge) => Decision::EveryNode { merge: Some(merge), absolute: false },
            Route::AnyNode => Decision::AnyNode,
        })
    })
}

pub(crate) fn explain_on_copy(ring: &HashRing, cmd: &Cmd) -> Explanation {
    explain("copy", cmd, |spec| {
        let first =
            |key: &Option<Vec<u8>>| ring.name(ring.lookup(key.as_deref().unwrap_or_default())).to_owned();
        let one = |key: Option<Vec<u8>>| Decision::Node { node: first(&key), key };
        let _known = spec.keys_of(cmd).map_err(Error::keys(spec))?;
        Ok(match (effect::plan(spec, cmd, || SystemTime::UNIX_EPOCH), spec.access) {
            (Plan::Refuse(reason), _) => {
                return Err(Error::refused(spec.name, "copy", reason));
            }
            (Plan::OneNode, _) | (_, Access::Read) => one(first_key(spec, cmd)),
            (Plan::Decided(..), _) => Decision::Decided { node: first(&first_key(spec, cmd)) },
            (Plan::AsItIs, _) => Decision::EveryNode { merge: None, absolute: false },
            (Plan::Instead(_), _) => Decision::EveryNode { merge: None, absolute: true },
        })
    })
}

fn explain(
    strategy: &'static str,
    cmd: &Cmd,
    decide: impl Fn(&'static Spec) -> Result<Decision, Error>,
) -> Explanation {
    let (command, decision) = match command::lookup(cmd) {
        Some(spec) => (spec.name.to_owned(), decide(spec).unwrap_or_else(Decision::Refused)),
        None => (first_word(cmd), Decision::Refused(Error::unknown(cmd))),
    };
    Explanation { command, strategy, decision }
}

fn first_key(spec: &Spec, cmd: &Cmd) -> Option<Vec<u8>> {
    spec.first_key(cmd).ok().flatten().map(<[u8]>::to_vec)
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Decision::Refused(error) = &self.decision {
            return error.fmt(f);
        }
        write!(f, "`{}` on a {}: ", self.command, self.strategy)?;
        match &self.decision {
            Decision::Node { node, key } => match (key, self.strategy) {
                (Some(key), "ring") => write!(f, "to `{node}`, which owns `{}`", Shown(key)),
                (Some(key), _) => {
                    write!(f, "to `{node}` first, chosen by `{}`; to the next one if it is down", Shown(key))
                }
                (None, _) => write!(f, "to `{node}` first; to the next one if it is down"),
            },
            Decision::Split { parts, merge } => {
                f.write_str("split, ")?;
                for (i, (node, keys)) in parts.iter().enumerate() {
                    write!(f, "{}{keys} of its keys to `{node}`", if i == 0 { "" } else { ", " })?;
                }
                write!(f, "; {}", merged(*merge))
            }
            Decision::EveryNode { merge: Some(merge), .. } => write!(f, "to every node; {}", merged(*merge)),
            Decision::EveryNode { merge: None, absolute } => {
                f.write_str("to every node")?;
                f.write_str(if *absolute { ", its expiry as one point in time" } else { "" })?;
                f.write_str("; each reply is kept")
            }
            Decision::Decided { node } => {
                write!(
                    f,
                    "decided by `{node}`, or the next one if it is down; what came of it goes to the others"
                )
            }
            Decision::AnyNode => f.write_str("to one node, whichever is up"),
            Decision::Refused(_) => Ok(()),
        }
    }
}

fn merged(merge: Merge) -> &'static str {
    match merge {
        Merge::Sum => "the replies are added",
        Merge::Concat => "the replies are put together in the order of the keys",
        Merge::AllOk => "every reply must be the same",
        Merge::Min => "the smallest reply counts",
        Merge::All => "each reply is kept, under its node's name",
        Merge::Union => "the replies become one list without duplicates",
        Merge::First => "one reply counts",
        _ => "the replies are merged",
    }
}

//! An explanation where a command would go, and why, without sending it.

use std::fmt;
use std::time::SystemTime;

use redis::Cmd;
use redis::Pipeline;
use redisdb_hashring::HashRing;
use redisdb_node::command::Access;
use redisdb_node::command::Merge;
use redisdb_node::command::OnCopy;
use redisdb_node::command::Spec;
use redisdb_node::plumbing::foreign;

use crate::call::Call;
use crate::dispatch::failover_read::rule_of;
use crate::engine::topology::Topology;
use crate::error::Error;
use crate::error::first_word;
use crate::plan::context::Context;
use crate::plan::context::row;
use crate::plan::replicate;
use crate::plan::replicate::Replication;
use crate::plan::route::Route;

/// Where a command would go and why, or why it would not; shown as a sentence. A call is decided by the same rules.
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

/// On a ring: where a command would go that is called by itself.
pub(crate) fn for_ring(topology: &Topology, cmd: &Cmd) -> Explanation {
    explain("ring", cmd, |spec| on_ring(topology, spec, cmd, Context::Alone))
}

/// The same of each command of a pipeline.
pub(crate) fn pipeline_for_ring(topology: &Topology, pipeline: &Pipeline) -> Vec<Explanation> {
    if !pipeline.is_transaction() {
        let decide = |cmd, spec| on_ring(topology, spec, cmd, Context::Pipeline);
        return pipeline.cmd_iter().map(|cmd| explain("ring", cmd, |spec| decide(cmd, spec))).collect();
    }
    let block = pipeline.cmd_iter().map(|cmd| Ok((row(cmd)?, cmd))).collect::<Result<Vec<_>, Error>>();
    let owner = block.and_then(|block| topology.route_together(block.into_iter(), Context::Block));
    let decide = |cmd, spec| {
        let node = topology.nodes.name(owner.clone()?).to_string();
        Ok(Decision::Node { node, key: first_key(spec, cmd) })
    };
    pipeline.cmd_iter().map(|cmd| explain("ring", cmd, |spec| decide(cmd, spec))).collect()
}

/// On a copy: where a command would go that is called by itself.
pub(crate) fn for_copy(placement: &HashRing, cmd: &Cmd) -> Explanation {
    explain("copy", cmd, |spec| on_copy(placement, spec, cmd, Context::Alone))
}

/// The same of each command of a pipeline.
pub(crate) fn pipeline_for_copy(placement: &HashRing, pipeline: &Pipeline) -> Vec<Explanation> {
    let context = if pipeline.is_transaction() { Context::Block } else { Context::Pipeline };
    let decide = |cmd, spec| on_copy(placement, spec, cmd, context);
    let explained = pipeline.cmd_iter().map(|cmd| explain("copy", cmd, |spec| decide(cmd, spec)));
    let mut explained: Vec<_> = explained.collect();
    // One command of a block that is refused, and none is sent.
    let refused = explained.iter().find_map(|explanation| match &explanation.decision {
        Decision::Refused(error) if context == Context::Block => Some(error.clone()),
        _ => None,
    });
    if let Some(error) = refused {
        explained.iter_mut().for_each(|explanation| explanation.decision = Decision::Refused(error.clone()));
    }
    explained
}

fn on_ring(topology: &Topology, spec: &'static Spec, cmd: &Cmd, context: Context) -> Result<Decision, Error> {
    let name = |idx: usize| topology.nodes.name(idx).to_string();
    Ok(match topology.route(spec, cmd, context)? {
        Route::Owner(idx) => Decision::Node { node: name(idx), key: first_key(spec, cmd) },
        Route::Parts(split, merge) => {
            let parts = split.parts.into_iter().map(|part| (name(part.node), part.n_keys)).collect();
            Decision::Split { parts, merge }
        }
        Route::EveryNode(merge) => Decision::EveryNode { merge: Some(merge), absolute: false },
        Route::AnyNode => Decision::AnyNode,
    })
}

fn on_copy(ring: &HashRing, spec: &'static Spec, cmd: &Cmd, context: Context) -> Result<Decision, Error> {
    let call = Call::new(spec, cmd);
    let key = call.first_key().map(<[u8]>::to_vec);
    let first = || ring.name(ring.lookup(key.as_deref().unwrap_or_default())).to_owned();
    Ok(match (replicate::plan(context, &call, || SystemTime::UNIX_EPOCH)?, spec.access) {
        (Replication::AsItIs, Access::Read) if context == Context::Block => {
            Decision::EveryNode { merge: Some(Merge::First), absolute: false }
        }
        (Replication::AsItIs, Access::Read) if spec.copy == OnCopy::EveryNode => {
            Decision::EveryNode { merge: Some(rule_of(spec)), absolute: false }
        }
        (Replication::OneNode, _) | (_, Access::Read) => Decision::Node { node: first(), key: key.clone() },
        (Replication::Decided(..), _) => Decision::Decided { node: first() },
        (Replication::AsItIs, _) => Decision::EveryNode { merge: None, absolute: false },
        (Replication::Instead(_), _) => Decision::EveryNode { merge: None, absolute: true },
    })
}

fn explain(
    strategy: &'static str,
    cmd: &Cmd,
    decide: impl FnOnce(&'static Spec) -> Result<Decision, Error>,
) -> Explanation {
    let (command, decision) = match row(cmd) {
        Ok(spec) => (spec.name.to_owned(), decide(spec).unwrap_or_else(Decision::Refused)),
        Err(unknown) => (first_word(cmd), Decision::Refused(unknown)),
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
                (Some(key), "ring") => write!(f, "to `{node}`, which owns `{}`", foreign::bytes(key)),
                (None, "ring") => write!(f, "to `{node}`"),
                (Some(key), _) => {
                    write!(
                        f,
                        "to `{node}` first, chosen by `{}`; to the next one if it is down",
                        foreign::bytes(key)
                    )
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

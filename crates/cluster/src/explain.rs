//! An explanation where a command would go, and why, without sending it.

use std::fmt;

use redis::Cmd;
use redis::Pipeline;
use redisdb_node::command::Access;
use redisdb_node::command::Merge;
use redisdb_node::plumbing::foreign;

use crate::call::Call;
use crate::error::Error;
use crate::error::first_word;
use crate::plan::Plan;
use crate::plan::Planner;
use crate::plan::context::Context;
use crate::plan::context::row;

/// An explanation where a command would go and why, or why it would not; shown as a sentence. A call goes by the same rules.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Explanation {
    /// The command, as on the wire.
    pub command: String,
    /// `ring` or `copy`.
    pub strategy: &'static str,
    /// The place where it would go.
    pub decision: Decision,
}

/// The place where a command would go.
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
        /// The rule by which the replies become one.
        merge: Merge,
    },
    /// To every node.
    EveryNode {
        /// The rule by which the replies become one; `None` where each is kept apart.
        merge: Option<Merge>,
        /// A relative expiry becomes an absolute one first.
        absolute: bool,
    },
    /// To this node, which decides what it does; its effect goes to the others.
    Decided {
        /// The node's name.
        node: String,
    },
    /// To whichever node is up.
    AnyNode,
    /// Nowhere: this error would be returned.
    Refused(Error),
}

/// Explains a command that is called by itself.
pub(crate) fn alone<P: Planner>(planner: &P, cmd: &Cmd) -> Explanation {
    explain(planner, cmd, Context::Alone)
}

/// Explains each command of a pipeline.
pub(crate) fn pipeline<P: Planner>(planner: &P, pipeline: &Pipeline) -> Vec<Explanation> {
    if !pipeline.is_transaction() {
        return pipeline.cmd_iter().map(|cmd| explain(planner, cmd, Context::Pipeline)).collect();
    }
    let calls =
        pipeline.cmd_iter().map(|cmd| Ok(Call::new(row(cmd)?, cmd))).collect::<Result<Vec<_>, Error>>();
    let plans = calls.and_then(|calls| {
        let plans = planner.plan_block(&calls)?;
        Ok(calls.iter().zip(plans).map(|(call, plan)| decision(planner, call, plan)).collect::<Vec<_>>())
    });
    let of = |cmd, decision| Explanation { command: name_of(cmd), strategy: P::STRATEGY, decision };
    match plans {
        Ok(decisions) => {
            pipeline.cmd_iter().zip(decisions).map(|(cmd, decision)| of(cmd, decision)).collect()
        }
        // If one command of a block is refused, none is sent.
        Err(error) => pipeline.cmd_iter().map(|cmd| of(cmd, Decision::Refused(error.clone()))).collect(),
    }
}

fn explain<P: Planner>(planner: &P, cmd: &Cmd, context: Context) -> Explanation {
    let decided = row(cmd).and_then(|spec| {
        let call = Call::new(spec, cmd);
        Ok(decision(planner, &call, planner.plan(&call, context)?))
    });
    let decision = decided.unwrap_or_else(Decision::Refused);
    Explanation { command: name_of(cmd), strategy: P::STRATEGY, decision }
}

fn decision(planner: &impl Planner, call: &Call<'_>, plan: Plan) -> Decision {
    let nodes = planner.nodes();
    let name = |idx: usize| nodes.name(idx).to_string();
    let key = call.first_key();
    let first = || nodes.owner(key.unwrap_or_default()).name().to_owned();
    match plan {
        Plan::One(idx) => Decision::Node { node: name(idx), key: key.map(<[u8]>::to_vec) },
        Plan::First => Decision::Node { node: first(), key: key.map(<[u8]>::to_vec) },
        Plan::Parts(split, merge) => {
            let parts = split.parts.into_iter().map(|part| (name(part.node), part.n_keys)).collect();
            Decision::Split { parts, merge }
        }
        Plan::Every(merge) => Decision::EveryNode { merge: Some(merge), absolute: false },
        // A read in a block: every node is asked, and one reply counts.
        Plan::All(_) if call.spec.access == Access::Read => {
            Decision::EveryNode { merge: Some(Merge::First), absolute: false }
        }
        Plan::All(instead) => Decision::EveryNode { merge: None, absolute: instead.is_some() },
        Plan::PrimaryFirst(..) => Decision::Decided { node: first() },
        Plan::Any => Decision::AnyNode,
    }
}

/// Returns the name of a command, as on the wire.
fn name_of(cmd: &Cmd) -> String {
    row(cmd).map_or_else(|_| first_word(cmd), |spec| spec.name.to_owned())
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
                write!(f, "decided by `{node}`, or the next one if it is down; its effect goes to the others")
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

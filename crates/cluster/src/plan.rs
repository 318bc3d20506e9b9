//! Planning: where a command goes, and how its replies become one. Plain functions of values, without I/O.
//!
//! On a ring: [`route`], [`split`], [`merge`]. On a copy: [`replicate`], [`expiry`], [`primary_effect`], [`quorum`], and
//! [`divergence`], which judges what the nodes answered.

pub(crate) mod context;
pub(crate) mod divergence;
pub(crate) mod evidence;
pub(crate) mod expiry;
pub(crate) mod merge;
pub(crate) mod primary_effect;
pub(crate) mod quorum;
pub(crate) mod replicate;
pub(crate) mod route;
pub(crate) mod split;

use redis::Cmd;
use redisdb_node::command::Merge;

use crate::call::Call;
use crate::engine::nodes::Nodes;
use crate::error::Error;
use crate::plan::context::Context;
use crate::plan::primary_effect::Decide;
use crate::plan::split::Split;

/// The plan of a command, made before anything is sent. `explain` prints it, `dispatch` and `pipeline` carry it out. A node is
/// given by its index.
#[derive(Debug)]
pub(crate) enum Plan {
    /// This node of a ring runs it.
    One(usize),
    /// The first of the key's places on a copy that can runs it.
    First,
    /// All of the key's places run it, or this command in its place; each reply is kept.
    All(Option<Cmd>),
    /// The first of the key's places decides it, or this command in its place; the others are sent the effect.
    PrimaryFirst(Decide, Option<Cmd>),
    /// Each node that has some of its keys runs a part; the replies are merged.
    Parts(Split, Merge),
    /// Every node runs it; the replies are merged, or each is kept under its node's name.
    Every(Merge),
    /// Any node that is up runs it: all would give the same reply.
    Any,
}

/// A planner of commands: the nodes of a ring or of a copy, with their settings.
pub(crate) trait Planner {
    /// `ring` or `copy`.
    const STRATEGY: &'static str;

    fn nodes(&self) -> &Nodes;

    /// Returns the plan of a command that is not in a block.
    ///
    /// # Errors
    /// The reason why the command is not sent.
    fn plan(&self, call: &Call<'_>, context: Context) -> Result<Plan, Error>;

    /// Returns the plan of each command of a block.
    ///
    /// # Errors
    /// The reason why none of them is sent.
    fn plan_block(&self, calls: &[Call<'_>]) -> Result<Vec<Plan>, Error>;
}

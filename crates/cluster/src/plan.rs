//! Planning: where a command goes and what is made of the replies. Plain functions of values, without I/O.
//!
//! On a ring: [`route`], [`split`], [`merge`]. On a copy: [`replicate`], [`expiry`], [`primary_effect`], [`quorum`], and
//! [`divergence`], which judges what the nodes answered.

pub(crate) mod context;
pub(crate) mod divergence;
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

/// What is done with a command: decided before anything is sent. `explain` prints it, `dispatch` and `pipeline` carry it out. A
/// node is its index.
#[derive(Debug)]
pub(crate) enum Plan {
    /// One node does it: this one, which is the first of the key's nodes, or on a copy the next of them that can.
    One(usize),
    /// All of the key's nodes do it, in these words if there are some; each reply is kept.
    All(Option<Cmd>),
    /// The first of the key's nodes decides what comes of it, asked in these words if there are some; the others do the same.
    PrimaryFirst(Decide, Option<Cmd>),
    /// A part goes to each node that has some of its keys; the replies are merged.
    Parts(Split, Merge),
    /// Every node is asked; the replies are merged, or each is kept under its node's name.
    Every(Merge),
    /// Whichever node is up is asked: they would all say the same.
    Any,
}

/// What plans commands: the nodes of a ring or of a copy, and how they are used.
pub(crate) trait Planner {
    /// `ring` or `copy`.
    const STRATEGY: &'static str;

    fn nodes(&self) -> &Nodes;

    /// What is done with a command that is not in a block.
    ///
    /// # Errors
    /// Why it is not sent.
    fn plan(&self, call: &Call<'_>, context: Context) -> Result<Plan, Error>;

    /// What is done with each command of a block.
    ///
    /// # Errors
    /// Why none of them is sent.
    fn plan_block(&self, calls: &[Call<'_>]) -> Result<Vec<Plan>, Error>;
}

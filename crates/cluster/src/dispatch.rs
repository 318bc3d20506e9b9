//! Dispatch: a planned command is sent to its nodes.
//!
//! A ring sends to one node, or [scatters](scatter) to several and gathers their replies. A copy [fans a write
//! out](fan_out) to all nodes, or lets one [decide it first](primary_first), under a [write guard](write_guard). A copy
//! [reads from one node, failing over](failover_read) to the next, or from [all](unanimous_read) where none may answer alone.

pub(crate) mod agreement;
pub(crate) mod failover_read;
pub(crate) mod fan_out;
pub(crate) mod primary_first;
pub(crate) mod run_with;
pub(crate) mod scatter;
pub(crate) mod unanimous_read;
pub(crate) mod write_guard;

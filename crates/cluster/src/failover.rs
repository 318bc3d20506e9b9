//! Failover: what a ring does while a node is down, as [`OnDown`](crate::OnDown) says.
//!
//! An [outage](outage) is a plain value, explored in all orders; its [tracker](tracker) shares it between calls. While it
//! lasts another node [stands in](stand_in); when the node is back it [rejoins](rejoin).

pub(crate) mod outage;
pub(crate) mod rejoin;
pub(crate) mod stand_in;
pub(crate) mod tracker;

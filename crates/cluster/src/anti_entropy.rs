//! Anti-entropy: the nodes of a copy are compared, and what differs is copied from a node that counts.
//!
//! [`replay`] brings over the keys that a node is known to have missed, [`full_sync`] compares all keys, and [`verify`]
//! compares without changing anything. [`reconcile`] compares all nodes where none is known to be right, and
//! what nobody has right is a [`conflict`]. [`convergence`] makes the nodes equal that differ though none missed a write. [`decide`] asks
//! the explored rules who is right about a key that was compared. A key's value is read, compared and written in [`value`].

pub(crate) mod conflict;
pub(crate) mod convergence;
pub(crate) mod decide;
pub(crate) mod full_sync;
pub(crate) mod key_scan;
pub(crate) mod progress;
pub(crate) mod reconcile;
pub(crate) mod repair;
pub(crate) mod replay;
pub(crate) mod skipped;
pub(crate) mod source;
pub(crate) mod throttle;
pub(crate) mod transfer;
pub(crate) mod value;
pub(crate) mod verify;

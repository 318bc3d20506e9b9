//! Membership: which server process is which node of a copy, whether its memory counts, and how it comes back.
//!
//! A server is known by its [marker](marker). What is seen of a node drives a [state machine](state_machine), and the
//! [supervisor](supervisor) looks at each node and brings it back, under a [lease](lease).

pub(crate) mod adopt;
pub(crate) mod forget;
pub(crate) mod identify;
pub(crate) mod identity;
pub(crate) mod leadership;
pub(crate) mod lease;
pub(crate) mod look;
pub(crate) mod mark;
pub(crate) mod marker;
pub(crate) mod marker_watch;
pub(crate) mod permissions;
pub(crate) mod state_machine;
pub(crate) mod supervisor;

//! The engine: the nodes of a ring or a copy, and what every call on them needs.

pub(crate) mod background_task;
pub(crate) mod copy;
pub(crate) mod deadline;
pub(crate) mod member;
pub(crate) mod nodes;
pub(crate) mod replace;
pub(crate) mod ring;

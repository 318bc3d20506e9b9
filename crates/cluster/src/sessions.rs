//! Sessions: calls of more than one command, such as a transaction, a subscription or a lock.

pub(crate) mod lock;
pub(crate) mod pubsub;
pub(crate) mod script;
pub(crate) mod transaction;

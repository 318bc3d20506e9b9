//! The edge to redis-rs: its errors, its replies, and the commands that it treats in its own way.

mod decode;
mod fault;

pub(crate) mod empty;
pub(crate) mod no_response;

pub use decode::decode;
pub(crate) use decode::ill_formed;
pub use decode::shape;
pub(crate) use fault::Fate;
pub(crate) use fault::Fault;

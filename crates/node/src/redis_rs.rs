//! The edge to redis-rs: its replies, and the commands that it treats in its own way.

mod decode;

pub(crate) mod empty;

pub use decode::decode;
pub(crate) use decode::ill_formed;
pub use decode::shape;

//! Where redis-rs does something else than is wanted here.

mod decode;
mod fault;

pub(crate) mod empty;
pub(crate) mod no_response;

pub use decode::decode;
pub(crate) use fault::Fate;
pub(crate) use fault::Fault;

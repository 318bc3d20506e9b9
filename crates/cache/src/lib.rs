#![doc = include_str!("../README.md")]

mod cache;
pub use cache::Cache;
mod engine;
mod lookup;
pub use lookup::Lookup;
mod write;
pub use write::Stored;
mod many;
pub use many::Batch;
pub use many::Deleted;
pub use many::Found;
mod condition;
mod counter;
mod expiry;
mod keys;
mod load;
mod sweep;
mod ttl;
mod versions;
pub use redisdb_node::TimeToLive;
pub use sweep::Sweep;
pub use sweep::SweepProgress;
pub use sweep::Swept;
pub use ttl::Ttl;
mod key;
pub use key::AsKey;
pub use key::FoundKey;
pub use key::Key;
pub use key::KeyStyle;
mod builder;
pub use builder::BuildError;
pub use builder::CacheBuilder;
mod settings;
pub use settings::OnError;
pub use settings::OnUndecodable;
mod codec;
pub use codec::Codec;
mod error;
pub use error::DecodeError;
pub use error::DecodeReason;
pub use error::EncodeError;
pub use error::Error;
pub use error::KeyError;
pub use error::LoadError;
pub use error::MissingError;
pub use error::ReplyError;
pub use error::TooLargeError;
mod stats;
pub use stats::Stats;
mod entry;
mod event;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
#[cfg(test)]
mod laws;
mod preset;

#![doc = include_str!("../README.md")]

mod ring;
pub use ring::HashRing;

mod builder;
pub use builder::Builder;

mod config;
pub use config::{Member, RingConfig};

mod tag;
pub use tag::HashTag;

mod successors;
pub use successors::Successors;

mod moved;
pub use moved::{Flow, Moved};

mod error;
pub use error::BuildError;

mod fingerprint;
mod placement;
mod points;
mod table;

#![doc = include_str!("../README.md")]

mod ring;
pub use ring::HashRing;

mod builder;
pub use builder::Builder;

mod config;
pub use config::{Member, RingConfig};

mod tag;
pub use tag::HashTag;

pub mod layout;
pub use layout::Layout;

#[cfg(feature = "layouts")]
mod hash32;
#[cfg(feature = "layouts")]
pub use hash32::Hash32;

mod successors;
pub use successors::Successors;

mod moved;
pub use moved::{Flow, Moved};

mod error;
pub use error::BuildError;

mod fingerprint;
mod key_hash;
mod placement;
mod points;
mod stretches;
mod table;
#[cfg(feature = "serde")]
mod written;

#[cfg(feature = "layouts")]
mod circle;
#[cfg(feature = "layouts")]
mod index;
#[cfg(feature = "layouts")]
mod php_hash;
#[cfg(feature = "layouts")]
mod rendezvous;
#[cfg(feature = "layouts")]
mod slots;

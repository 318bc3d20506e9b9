//! Planning: where a command goes and what is made of the replies. Plain functions of values, without I/O.
//!
//! On a ring: [`route`], [`split`], [`merge`]. On a copy: [`replicate`], [`expiry`], [`primary_effect`], [`quorum`], and
//! [`divergence`], which judges what the nodes answered.

pub(crate) mod context;
pub(crate) mod divergence;
pub(crate) mod expiry;
pub(crate) mod merge;
pub(crate) mod primary_effect;
pub(crate) mod quorum;
pub(crate) mod replicate;
pub(crate) mod route;
pub(crate) mod split;

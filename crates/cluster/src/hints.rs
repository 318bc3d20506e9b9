//! Hinted handoff: what a node of a copy has missed is remembered, here and with an identity on the other servers too, and
//! brought over when the node is back.

pub(crate) mod agreed;
pub(crate) mod book;
pub(crate) mod copy_window;
pub(crate) mod durable;
pub(crate) mod key_log;
pub(crate) mod learned;
pub(crate) mod log;
mod reading;
#[cfg(test)]
mod testing;
pub(crate) mod trust;
mod ungiven;

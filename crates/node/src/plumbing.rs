//! The items that the crates above this one need, and a program does not: none of them is covered by semantic
//! versioning.

pub use crate::connection::Fence;
pub use crate::error::foreign;
pub use crate::node::FAR;
pub use crate::node::after;
pub use crate::pipeline::Answers;
pub use crate::pipeline::Batch;
pub use crate::pipeline::Recorded;
pub use crate::pipeline::SendMany;
pub use crate::pipeline::Words;
pub use crate::pipeline::given_up;
pub use crate::pipeline::too_few;
pub use crate::redis_rs::decode;
pub use crate::redis_rs::shape;
pub use crate::scan::Way;
pub use crate::sessions::HoldLocks;
pub use crate::sessions::LONGEST;
pub use crate::sessions::Topics;
pub use crate::sessions::is_keyspace_channel;

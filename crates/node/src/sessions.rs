//! Uses of a node that take more than one command: transactions, scripts, locks, subscriptions,
//! change feeds.

mod change_feed;
mod listener;
pub(crate) mod lock;
mod pubsub;
mod script;
pub(crate) mod transaction;

pub use change_feed::ChangeFeed;
pub use change_feed::Changes;
pub use change_feed::UnknownChanges;
pub use lock::HoldLocks;
pub use lock::LONGEST;
pub use lock::Lock;
pub use lock::LockError;
pub use lock::LockGuard;
pub use lock::LockOptions;
pub use pubsub::Message;
pub use pubsub::PubSubEvent;
pub use pubsub::Subscription;
pub use pubsub::Topics;
pub use pubsub::is_keyspace_channel;
pub use script::RunScript;
pub use script::Script;
pub use script::ScriptCall;
pub use transaction::Transaction;

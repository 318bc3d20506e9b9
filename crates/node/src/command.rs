//! What is known of each command: one row of data says where it may go and what its failure means.

mod keys;
mod registry;
mod spec;
mod table;

pub use keys::KeyError;
pub(crate) use keys::value_of_stream_option;
pub use keys::words;
pub use registry::Registration;
pub use registry::RegistrationError;
pub use spec::{
    Access, Command, Connection, Each, Effect, Group, Keys, Merge, OnCopy, OnRing, Read, Retry, Since, Spec,
    Until, Write,
};
pub(crate) use table::name_of;
pub use table::{ALL, lookup, rows};

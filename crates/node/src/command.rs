//! The command table: one row of data for each command says where the command may go and what its failure
//! means.

pub(crate) mod block_time;
pub(crate) mod command_info;
mod keys;
mod lookup;
mod registry;
mod spec;
mod table;
mod words;

pub use keys::KeyError;
pub use lookup::lookup;
pub(crate) use lookup::name_of;
pub use registry::Registration;
pub use registry::RegistrationError;
pub(crate) use spec::spare;
pub use spec::{
    Access, Command, Connection, Each, Effect, Group, Keys, Merge, OnCopy, OnRing, Read, Retry, Since, Spec,
    Until, Write,
};
pub use table::{ALL, rows};
pub(crate) use words::value_of_stream_option;
pub use words::words;

//! The look-up of a command: its row in the table or among those registered, and its name.

use std::borrow::Cow;

use redis::Cmd;

use super::registry::registered;
use super::spec::Spec;
use super::table::in_table;
use super::words::words;

/// Returns the row of a command by its name on the wire, in capitals or not; `None` for one that is neither
/// in the table nor [registered](super::Registration).
///
/// ```
/// let row = redisdb_node::command::lookup(redis::cmd("config").arg("get").arg("maxmemory")).unwrap();
/// assert_eq!(row.name, "CONFIG GET");
/// ```
pub fn lookup(cmd: &Cmd) -> Option<&'static Spec> {
    in_table(cmd).or_else(|| registered(cmd))
}

/// The name of a command for an error: never one of its arguments.
pub(crate) fn name_of(cmd: &Cmd) -> Cow<'static, str> {
    match lookup(cmd) {
        Some(spec) => spec.name.into(),
        None => {
            let name = words(cmd).next().unwrap_or_default();
            String::from_utf8_lossy(name).into_owned().into()
        }
    }
}

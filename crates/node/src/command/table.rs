//! THE table: one row a command, sorted by name. Only this file knows where a command may go.
//!
//! It is held against the server itself by the test module `table`: arity, key positions, write flag, and that
//! every command of the server has a row.

use redis::Arg;
use redis::Cmd;

use super::spec::Access;
use super::spec::Command;
use super::spec::Connection;
use super::spec::Each;
use super::spec::Effect::Conditional;
use super::spec::Effect::ConditionalIf;
use super::spec::Effect::Deadline;
use super::spec::Effect::Float;
use super::spec::Effect::Pop;
use super::spec::Effect::Random;
use super::spec::Effect::Script;
use super::spec::Group;
use super::spec::Keys;
use super::spec::Merge::All;
use super::spec::Merge::AllOk;
use super::spec::Merge::Concat;
use super::spec::Merge::First;
use super::spec::Merge::Min;
use super::spec::Merge::Sum;
use super::spec::Merge::Union;
use super::spec::OnCopy;
use super::spec::OnRing;
use super::spec::Read;
use super::spec::Retry;
use super::spec::Spec;
use super::spec::Write;

/// The longest name of the table, in bytes.
const LONGEST_NAME: usize = 32;

/// Returns the row of a command by its name on the wire, in capitals or not; `None` for one that is not known.
///
/// ```
/// let row = redisdb_node::command::lookup(redis::cmd("config").arg("get").arg("maxmemory")).unwrap();
/// assert_eq!(row.name, "CONFIG GET");
/// ```
pub fn lookup(cmd: &Cmd) -> Option<&'static Spec> {
    let mut words = cmd.args_iter().map(|arg| match arg {
        Arg::Simple(word) => word,
        _ => b"",
    });
    let mut name = Name::default();
    name.push(words.next()?)?;
    let index = position(&name);
    // The rows are sorted: the subcommands of a command, if it has any, come right after it.
    if let Ok(i) = index
        && !ALL.get(i + 1).is_some_and(|next| next.name.as_bytes().get(name.len) == Some(&b' '))
    {
        return ALL.get(i).copied();
    }
    let subcommand = words.next().and_then(|word| {
        name.push(b" ")?;
        name.push(word)?;
        position(&name).ok()
    });
    ALL.get(subcommand.or(index.ok())?).copied()
}

fn position(name: &Name) -> Result<usize, usize> {
    ALL.binary_search_by(|row| row.name.as_bytes().cmp(name.as_bytes()))
}

/// A command's name in capitals, built without an allocation.
#[derive(Default)]
struct Name {
    bytes: [u8; LONGEST_NAME],
    len: usize,
}

impl Name {
    /// Appends a word; `None` if no row has a name that long.
    fn push(&mut self, word: &[u8]) -> Option<()> {
        let end = self.len.checked_add(word.len())?;
        let room = self.bytes.get_mut(self.len..end)?;
        room.copy_from_slice(word);
        room.make_ascii_uppercase();
        self.len = end;
        Some(())
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// What stands in most `Refuse` columns: the command concerns one server, and only the caller knows which.
const ONE_SERVER: &str = "it concerns one server; call it on that node, by `on_node(name)`";

macro_rules! table {
    ($(
        $row:ident $name:literal $group:ident $since:tt $arity:literal $access:ident,
        $keys:ident $(($($keys_of:tt)*))? $({ $($keys_in:tt)* })?,
        $ring:ident $(($($ring_of:tt)*))?,
        $copy:ident $(($($copy_of:tt)*))?,
        $retry:ident, $connection:ident $(($connection_of:literal))?;
    )*) => {
        /// The rows by name: `rows::GET`.
        pub mod rows {
            use super::*;
            $(
                #[doc = concat!("The row of `", $name, "`.")]
                pub static $row: Command<$access> = Command::<$access>::new(Spec {
                    name: $name,
                    group: Group::$group,
                    since: $since,
                    arity: $arity,
                    access: Access::$access,
                    keys: Keys::$keys $(($($keys_of)*))? $({ $($keys_in)* })?,
                    ring: OnRing::$ring $(($($ring_of)*))?,
                    copy: OnCopy::$copy $(($($copy_of)*))?,
                    retry: Retry::$retry,
                    connection: Connection::$connection $(($connection_of))?,
                });
            )*
        }

        /// Every row, sorted by name.
        pub static ALL: &[&Spec] = &[$(rows::$row.spec()),*];
    };
}

// Columns: row, name, group, since, arity, access, keys, on a ring, on a copy, retry, connection.
table! {
    DBSIZE "DBSIZE" Server (1, 0, 0) 1 Read, None, EveryNode(Sum), AnyNode, Read, Shared;
    DEL "DEL" Generic (1, 0, 0) -2 Write, Each { first: 1, step: 1 }, Split(Sum), EveryNode, Reply, Shared;
    ECHO "ECHO" Connection (1, 0, 0) 2 Read, None, AnyNode, AnyNode, Read, Shared;
    GET "GET" String (1, 0, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    INFO "INFO" Server (1, 0, 0) -1 Each, None, EveryNode(All), EveryNode, Read, Shared;
    MGET "MGET" String (1, 0, 0) -2 Read, Each { first: 1, step: 1 }, Split(Concat), AnyNode, Read, Shared;
    MSET "MSET" String (1, 0, 1) -3 Write, Each { first: 1, step: 2 }, Split(AllOk), EveryNode, Idempotent, Shared;
    PING "PING" Connection (1, 0, 0) -1 Read, None, EveryNode(First), AnyNode, Read, Shared;
    SET "SET" String (1, 0, 0) -3 Write, One(1), ByKey,
        Effect(ConditionalIf { from: 3, options: &["GET", "NX", "XX"] }), Idempotent, Shared;
    WAIT "WAIT" Generic (3, 0, 0) 3 Read, None, Refuse(ONE_SERVER), Refuse(ONE_SERVER), Read, Blocking;
}

//! THE table: one row a command, sorted by name. Only this file knows where a command may go.
//!
//! The test module `table` holds the rows against the server itself: arity, key positions, write flag, and
//! that every command of the server has a row.

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
use super::spec::Since;
use super::spec::Spec;
use super::spec::Until::End;
use super::spec::Until::Fields;
use super::spec::Until::Number;
use super::spec::Write;

/// The longest name of the table, in bytes.
const LONGEST_NAME: usize = 32;

/// Returns the row of a command if it is in the table.
pub(super) fn in_table(cmd: &Cmd) -> Option<&'static Spec> {
    let mut words = super::words::words(cmd);
    let mut name = Name::default();
    name.push(words.next().filter(|word| !word.contains(&b' '))?)?;
    let found = position(&name);
    // The rows are sorted: the subcommands of a command, if it has any, stand right after it.
    let (Ok(before) | Err(before)) = found.map(|at| at + 1);
    let has_subcommands = ALL
        .get(before)
        .and_then(|next| next.name.as_bytes().strip_prefix(name.as_bytes()))
        .is_some_and(|rest| rest.starts_with(b" "));
    match words.next() {
        Some(subcommand) if has_subcommands => {
            name.push(b" ")?;
            name.push(subcommand)?;
            ALL.get(position(&name).ok()?).copied()
        }
        _ => ALL.get(found.ok()?).copied(),
    }
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

// Why a command is refused, and what to do instead.
const BETWEEN_SERVERS: &str = "only servers say it to each other, to replicate; no client does";
const BUSY_SERVER: &str =
    "it ends the script of one server, the one that answers `BUSY`; call it on that node, by `on_node(name)`";
const CLUSTER_ONLY: &str = "it belongs to Redis Cluster, which these independent servers do not form; \
    to ask one server all the same, call it on that node, by `on_node(name)`";
const CONFIGURED: &str = "every connection to a node must be alike; give the user, password, database and \
    client name in the configuration of the node";
const CHANNELS: &str = "it turns a connection into a subscription; use `subscribe(..)`, or `ssubscribe(..)` for the channels of \
    `SPUBLISH`, which have connections of their own";
const CLUSTER_CONNECTION: &str = "it tells a server of Redis Cluster what to do for one connection, and these \
    independent servers form none";
const CURSOR: &str = "its cursor means something to one server only; iterate by `scan_iter(..)`, which keeps one for \
    all, or call it on one node, by `on_node(name)`";
const FEED: &str = "it turns a connection into a list of all that one server is sent; open a connection for it by the \
    crate `redis`";
const MIGRATES: &str = "it would move keys to a server on which they are not looked for; to do it all the same, \
    call it on one node, by `on_node(name)`";
const NO_TRANSACTION: &str = "a copy has no transactions: nothing has its nodes take the blocks of two clients in the same \
    order; write in one block, by `pipeline().atomic()`, and hold a lock while you do what follows from a read, by \
    `lock(name, ..)`";
const ONE_CONNECTION: &str = "it changes one connection, and this one is shared; take a connection of your own to one \
    node, by `on_node(name)` and `dedicated()`";
const ONE_SERVER: &str = "it concerns one server; call it on that node, by `on_node(name)`";
const PATTERNS: &str =
    "a pattern may match channels of every node; use `psubscribe(..)`, which listens to all of them";
const REPLICAS: &str = "it waits for the replicas of one server, after writes of the same connection; make both on a \
    connection of your own, by `on_node(name)` and `dedicated()`";
const SENTINEL: &str =
    "only a sentinel answers it, which holds no data; connect a node to the sentinel and ask it";
const SUBSCRIBER: &str = "only the connection that subscribed can do it; drop the `Subscription`, and start another one for the \
                          rest";
const TRANSACTION: &str = "a transaction needs one server and one connection; use `transaction(keys, ..)`, or \
                           `pipeline().atomic()`";

/// The end of the options of `HEXPIRE` and its like.
/// The options of `GEORADIUS` that a key follows.
const GEO_STORES: &[&str] = &["STORE", "STOREDIST"];
/// The options of `SORT` that a pattern of other keys follows.
const SORT_PATTERNS: &[&str] = &["BY", "GET"];
/// The options that make `EXPIRE` and its like depend on the expiry that the node holds.
const EXPIRE_CONDITIONS: &[&str] = &["GT", "LT", "NX", "XX"];
/// The options that make `SET` depend on the value that the node holds, or answer it.
const SET_CONDITIONS: &[&str] = &["GET", "IFDEQ", "IFDNE", "IFEQ", "IFNE", "NX", "XX"];
/// The options that make `ZADD` depend on the scores that the node holds.
const ZADD_CONDITIONS: &[&str] = &["GT", "INCR", "LT", "NX", "XX"];

/// `(7, 4, 0)` of Redis, `(7, 4, 0) / (9, 0, 0)` of Redis and of Valkey, `never / (9, 0, 0)` of Valkey alone.
macro_rules! since {
    (never, $valkey:tt) => {
        Since::valkey($valkey)
    };
    ($redis:tt, $valkey:tt) => {
        Since::both($redis, $valkey)
    };
    ($redis:tt) => {
        Since::redis($redis)
    };
}

macro_rules! table {
    ($(
        $row:ident $name:literal $group:ident $since:tt $(/ $valkey:tt)? $arity:literal $access:ident,
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
                    since: since!($since $(, $valkey)?),
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

// Columns: row, name, group, since, arity, access, keys, on a ring, on a copy, retry, connection. Where a
// row's retry is `Never` though its effect could be repeated, one of its sources may be its destination:
// `ZUNIONSTORE a 2 a b` adds `b` to `a` each time, and `SDIFFSTORE a b a` takes away what it has just stored.
table! {
    ACL_CAT "ACL CAT" Server (6, 0, 0) -2 Read, None, AnyNode, AnyNode, Read, Shared;
    ACL_DELUSER "ACL DELUSER" Server (6, 0, 0) -3 Write, None, EveryNode(Min), EveryNode, Reply, Shared;
    ACL_DRYRUN "ACL DRYRUN" Server (7, 0, 0) -4 Each, None, EveryNode(All), EveryNode, Read, Shared;
    ACL_GENPASS "ACL GENPASS" Server (6, 0, 0) -2 Read, None, AnyNode, AnyNode, Read, Shared;
    ACL_GETUSER "ACL GETUSER" Server (6, 0, 0) 3 Each, None, EveryNode(All), EveryNode, Read, Shared;
    ACL_HELP "ACL HELP" Server (6, 0, 0) 2 Read, None, AnyNode, AnyNode, Read, Shared;
    ACL_LIST "ACL LIST" Server (6, 0, 0) 2 Each, None, EveryNode(All), EveryNode, Read, Shared;
    ACL_LOAD "ACL LOAD" Server (6, 0, 0) 2 Write, None, EveryNode(AllOk), EveryNode, Idempotent, Shared;
    ACL_LOG "ACL LOG" Server (6, 0, 0) -2 Each, None, EveryNode(All), EveryNode, Idempotent, Shared;
    ACL_SAVE "ACL SAVE" Server (6, 0, 0) 2 Write, None, EveryNode(AllOk), EveryNode, Idempotent, Shared;
    ACL_SETUSER "ACL SETUSER" Server (6, 0, 0) -3 Write, None, EveryNode(AllOk),
        EveryNode, Idempotent, Shared;
    ACL_USERS "ACL USERS" Server (6, 0, 0) 2 Each, None, EveryNode(All), EveryNode, Read, Shared;
    ACL_WHOAMI "ACL WHOAMI" Server (6, 0, 0) 2 Each, None, EveryNode(All), EveryNode, Read, Shared;
    APPEND "APPEND" String (2, 0, 0) 3 Write, One(1), ByKey, EveryNode, Never, Shared;
    ARCOUNT "ARCOUNT" Array (8, 8, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    ARDEL "ARDEL" Array (8, 8, 0) -3 Write, One(1), ByKey, EveryNode, Reply, Shared;
    ARDELRANGE "ARDELRANGE" Array (8, 8, 0) -4 Write, One(1), ByKey, EveryNode, Reply, Shared;
    ARGET "ARGET" Array (8, 8, 0) 3 Read, One(1), ByKey, AnyNode, Read, Shared;
    ARGETRANGE "ARGETRANGE" Array (8, 8, 0) 4 Read, One(1), ByKey, AnyNode, Read, Shared;
    ARGREP "ARGREP" Array (8, 8, 0) -6 Read, One(1), ByKey, AnyNode, Read, Shared;
    ARINFO "ARINFO" Array (8, 8, 0) -2 Read, One(1), ByKey, AnyNode, Read, Shared;
    ARINSERT "ARINSERT" Array (8, 8, 0) -3 Write, One(1), ByKey, EveryNode, Never, Shared;
    ARLASTITEMS "ARLASTITEMS" Array (8, 8, 0) -3 Read, One(1), ByKey, AnyNode, Read, Shared;
    ARLEN "ARLEN" Array (8, 8, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    ARMGET "ARMGET" Array (8, 8, 0) -3 Read, One(1), ByKey, AnyNode, Read, Shared;
    ARMSET "ARMSET" Array (8, 8, 0) -4 Write, One(1), ByKey, EveryNode, Reply, Shared;
    ARNEXT "ARNEXT" Array (8, 8, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    AROP "AROP" Array (8, 8, 0) -5 Read, One(1), ByKey, AnyNode, Read, Shared;
    ARRING "ARRING" Array (8, 8, 0) -4 Write, One(1), ByKey, EveryNode, Never, Shared;
    ARSCAN "ARSCAN" Array (8, 8, 0) -4 Read, One(1), ByKey, AnyNode, Read, Shared;
    ARSEEK "ARSEEK" Array (8, 8, 0) 3 Write, One(1), ByKey, EveryNode, Reply, Shared;
    ARSET "ARSET" Array (8, 8, 0) -4 Write, One(1), ByKey, EveryNode, Reply, Shared;
    ASKING "ASKING" Cluster (3, 0, 0) 1 Read, None, Refuse(CLUSTER_CONNECTION),
        Refuse(CLUSTER_CONNECTION), Read, Session;
    AUTH "AUTH" Connection (1, 0, 0) -2 Read, None, Refuse(CONFIGURED), Refuse(CONFIGURED), Read, Session;
    BACKUP_ABORT "BACKUP ABORT" Server (8, 10, 0) 2 Write, None, EveryNode(AllOk), EveryNode, Reply, Shared;
    BACKUP_CLEANUP "BACKUP CLEANUP" Server (8, 10, 0) 2 Write, None, EveryNode(AllOk),
        EveryNode, Reply, Shared;
    BACKUP_HELP "BACKUP HELP" Server (8, 10, 0) 2 Read, None, AnyNode, AnyNode, Read, Shared;
    BACKUP_LIST "BACKUP LIST" Server (8, 10, 0) 2 Each, None, EveryNode(All), EveryNode, Read, Shared;
    BACKUP_SEAL "BACKUP SEAL" Server (8, 10, 0) 2 Write, None, EveryNode(AllOk), EveryNode, Reply, Shared;
    BACKUP_START "BACKUP START" Server (8, 10, 0) 2 Write, None, EveryNode(AllOk), EveryNode, Reply, Shared;
    BACKUP_STATUS "BACKUP STATUS" Server (8, 10, 0) 2 Each, None, EveryNode(All), EveryNode, Read, Shared;
    BGREWRITEAOF "BGREWRITEAOF" Server (1, 0, 0) 1 Write, None, EveryNode(AllOk),
        EveryNode, Idempotent, Shared;
    BGSAVE "BGSAVE" Server (1, 0, 0) -1 Write, None, EveryNode(AllOk), EveryNode, Idempotent, Shared;
    BITCOUNT "BITCOUNT" Bitmap (2, 6, 0) -2 Read, One(1), ByKey, AnyNode, Read, Shared;
    BITFIELD "BITFIELD" Bitmap (3, 2, 0) -2 Write, One(1), ByKey, EveryNode, Never, Shared;
    BITFIELD_RO "BITFIELD_RO" Bitmap (6, 0, 0) -2 Read, One(1), ByKey, AnyNode, Read, Shared;
    BITOP "BITOP" Bitmap (2, 6, 0) -4 Write, Each { first: 2, step: 1 }, ByKey, EveryNode, Never, Shared;
    BITPOS "BITPOS" Bitmap (2, 8, 7) -3 Read, One(1), ByKey, AnyNode, Read, Shared;
    BLMOVE "BLMOVE" List (6, 2, 0) 6 Write, Pair(1, 2), ByKey, Effect(Pop), Never, Blocking;
    BLMOVEM "BLMOVEM" List (8, 10, 0) -6 Write, Pair(1, 2), ByKey, Effect(Pop), Never, Blocking;
    BLMPOP "BLMPOP" List (7, 0, 0) -5 Write, Counted(2), ByKey, Effect(Pop), Never, Blocking;
    BLPOP "BLPOP" List (2, 0, 0) -3 Write, Until { first: 1, trailing: 1 }, ByKey,
        Effect(Pop), Never, Blocking;
    BRPOP "BRPOP" List (2, 0, 0) -3 Write, Until { first: 1, trailing: 1 }, ByKey,
        Effect(Pop), Never, Blocking;
    BRPOPLPUSH "BRPOPLPUSH" List (2, 2, 0) 4 Write, Pair(1, 2), ByKey, Effect(Pop), Never, Blocking;
    BZMPOP "BZMPOP" SortedSet (7, 0, 0) -5 Write, Counted(2), ByKey, Effect(Pop), Never, Blocking;
    BZPOPMAX "BZPOPMAX" SortedSet (5, 0, 0) -3 Write, Until { first: 1, trailing: 1 }, ByKey,
        Effect(Pop), Never, Blocking;
    BZPOPMIN "BZPOPMIN" SortedSet (5, 0, 0) -3 Write, Until { first: 1, trailing: 1 }, ByKey,
        Effect(Pop), Never, Blocking;
    CLIENT_CACHING "CLIENT CACHING" Connection (6, 0, 0) 3 Read, None, Refuse(ONE_CONNECTION),
        Refuse(ONE_CONNECTION), Read, Session;
    CLIENT_CAPA "CLIENT CAPA" Connection never / (8, 0, 0) -3 Read, None, Refuse(ONE_CONNECTION),
        Refuse(ONE_CONNECTION), Read, Session;
    CLIENT_GETNAME "CLIENT GETNAME" Connection (2, 6, 9) 2 Each, None, EveryNode(All),
        EveryNode, Read, Shared;
    CLIENT_GETREDIR "CLIENT GETREDIR" Connection (6, 0, 0) 2 Each, None, EveryNode(All),
        EveryNode, Read, Shared;
    CLIENT_HELP "CLIENT HELP" Connection (5, 0, 0) 2 Read, None, AnyNode, AnyNode, Read, Shared;
    CLIENT_ID "CLIENT ID" Connection (5, 0, 0) 2 Each, None, EveryNode(All), EveryNode, Read, Shared;
    CLIENT_IMPORT_SOURCE "CLIENT IMPORT-SOURCE" Connection never / (8, 1, 0) 3 Read, None, Refuse(ONE_CONNECTION),
        Refuse(ONE_CONNECTION), Read, Session;
    CLIENT_INFO "CLIENT INFO" Connection (6, 2, 0) 2 Each, None, EveryNode(All), EveryNode, Read, Shared;
    CLIENT_KILL "CLIENT KILL" Connection (2, 4, 0) -3 Write, None, Refuse(ONE_SERVER),
        Refuse(ONE_SERVER), Never, Shared;
    CLIENT_LIST "CLIENT LIST" Connection (2, 4, 0) -2 Each, None, EveryNode(All), EveryNode, Read, Shared;
    CLIENT_NO_EVICT "CLIENT NO-EVICT" Connection (7, 0, 0) 3 Read, None, Refuse(ONE_CONNECTION),
        Refuse(ONE_CONNECTION), Read, Session;
    CLIENT_NO_TOUCH "CLIENT NO-TOUCH" Connection (7, 2, 0) 3 Read, None, Refuse(ONE_CONNECTION),
        Refuse(ONE_CONNECTION), Read, Session;
    CLIENT_PAUSE "CLIENT PAUSE" Connection (2, 9, 50) -3 Write, None, EveryNode(AllOk),
        EveryNode, Never, Shared;
    CLIENT_REPLY "CLIENT REPLY" Connection (3, 2, 0) 3 Read, None, Refuse(ONE_CONNECTION),
        Refuse(ONE_CONNECTION), Read, Session;
    CLIENT_SETINFO "CLIENT SETINFO" Connection (7, 2, 0) 4 Read, None, Refuse(CONFIGURED),
        Refuse(CONFIGURED), Read, Session;
    CLIENT_SETNAME "CLIENT SETNAME" Connection (2, 6, 9) 3 Read, None, Refuse(CONFIGURED),
        Refuse(CONFIGURED), Read, Session;
    CLIENT_TRACKING "CLIENT TRACKING" Connection (6, 0, 0) -3 Read, None, Refuse(ONE_CONNECTION),
        Refuse(ONE_CONNECTION), Read, Session;
    CLIENT_TRACKINGINFO "CLIENT TRACKINGINFO" Connection (6, 2, 0) 2 Each, None, EveryNode(All),
        EveryNode, Read, Shared;
    CLIENT_UNBLOCK "CLIENT UNBLOCK" Connection (5, 0, 0) -3 Write, None, Refuse(ONE_SERVER),
        Refuse(ONE_SERVER), Never, Shared;
    CLIENT_UNPAUSE "CLIENT UNPAUSE" Connection (6, 2, 0) 2 Write, None, EveryNode(AllOk),
        EveryNode, Idempotent, Shared;
    CLUSTER_ADDSLOTS "CLUSTER ADDSLOTS" Cluster (3, 0, 0) -3 Write, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Never, Shared;
    CLUSTER_ADDSLOTSRANGE "CLUSTER ADDSLOTSRANGE" Cluster (7, 0, 0) -4 Write, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Never, Shared;
    CLUSTER_BUMPEPOCH "CLUSTER BUMPEPOCH" Cluster (3, 0, 0) 2 Write, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Never, Shared;
    CLUSTER_CANCELSLOTMIGRATIONS "CLUSTER CANCELSLOTMIGRATIONS" Cluster never / (9, 0, 0) 2 Write, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Never, Shared;
    CLUSTER_COUNT_FAILURE_REPORTS "CLUSTER COUNT-FAILURE-REPORTS" Cluster (3, 0, 0) 3 Each, None,
        Refuse(CLUSTER_ONLY), Refuse(CLUSTER_ONLY), Read, Shared;
    CLUSTER_COUNTKEYSINSLOT "CLUSTER COUNTKEYSINSLOT" Cluster (3, 0, 0) 3 Each, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Read, Shared;
    CLUSTER_DELSLOTS "CLUSTER DELSLOTS" Cluster (3, 0, 0) -3 Write, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Never, Shared;
    CLUSTER_DELSLOTSRANGE "CLUSTER DELSLOTSRANGE" Cluster (7, 0, 0) -4 Write, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Never, Shared;
    CLUSTER_FAILOVER "CLUSTER FAILOVER" Cluster (3, 0, 0) -2 Write, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Never, Shared;
    CLUSTER_FLUSHSLOT "CLUSTER FLUSHSLOT" Cluster never / (9, 0, 0) -3 Write, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Never, Shared;
    CLUSTER_FLUSHSLOTS "CLUSTER FLUSHSLOTS" Cluster (3, 0, 0) 2 Write, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Never, Shared;
    CLUSTER_FORGET "CLUSTER FORGET" Cluster (3, 0, 0) 3 Write, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Never, Shared;
    CLUSTER_GETKEYSINSLOT "CLUSTER GETKEYSINSLOT" Cluster (3, 0, 0) 4 Each, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Read, Shared;
    CLUSTER_GETSLOTMIGRATIONS "CLUSTER GETSLOTMIGRATIONS" Cluster never / (9, 0, 0) 2 Each, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Read, Shared;
    CLUSTER_HELP "CLUSTER HELP" Cluster (5, 0, 0) 2 Each, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Read, Shared;
    CLUSTER_INFO "CLUSTER INFO" Cluster (3, 0, 0) 2 Each, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Read, Shared;
    CLUSTER_KEYSLOT "CLUSTER KEYSLOT" Cluster (3, 0, 0) 3 Each, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Read, Shared;
    CLUSTER_LINKS "CLUSTER LINKS" Cluster (7, 0, 0) 2 Each, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Read, Shared;
    CLUSTER_MEET "CLUSTER MEET" Cluster (3, 0, 0) -4 Write, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Never, Shared;
    CLUSTER_MIGRATESLOTS "CLUSTER MIGRATESLOTS" Cluster never / (9, 0, 0) -4 Write, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Never, Shared;
    CLUSTER_MIGRATION "CLUSTER MIGRATION" Cluster (8, 4, 0) -4 Write, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Never, Shared;
    CLUSTER_MYID "CLUSTER MYID" Cluster (3, 0, 0) 2 Each, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Read, Shared;
    CLUSTER_MYSHARDID "CLUSTER MYSHARDID" Cluster (7, 2, 0) 2 Each, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Read, Shared;
    CLUSTER_NODES "CLUSTER NODES" Cluster (3, 0, 0) 2 Each, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Read, Shared;
    CLUSTER_REPLICAS "CLUSTER REPLICAS" Cluster (5, 0, 0) 3 Each, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Read, Shared;
    CLUSTER_REPLICATE "CLUSTER REPLICATE" Cluster (3, 0, 0) -3 Write, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Never, Shared;
    CLUSTER_RESET "CLUSTER RESET" Cluster (3, 0, 0) -2 Write, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Never, Shared;
    CLUSTER_SAVECONFIG "CLUSTER SAVECONFIG" Cluster (3, 0, 0) 2 Write, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Never, Shared;
    CLUSTER_SET_CONFIG_EPOCH "CLUSTER SET-CONFIG-EPOCH" Cluster (3, 0, 0) 3 Write, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Never, Shared;
    CLUSTER_SETSLOT "CLUSTER SETSLOT" Cluster (3, 0, 0) -4 Write, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Never, Shared;
    CLUSTER_SHARDS "CLUSTER SHARDS" Cluster (7, 0, 0) 2 Each, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Read, Shared;
    CLUSTER_SLAVES "CLUSTER SLAVES" Cluster (3, 0, 0) 3 Each, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Read, Shared;
    CLUSTER_SLOT_STATS "CLUSTER SLOT-STATS" Cluster (8, 2, 0) / (8, 0, 0) -4 Each, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Read, Shared;
    CLUSTER_SLOTS "CLUSTER SLOTS" Cluster (3, 0, 0) 2 Each, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Read, Shared;
    CLUSTER_SYNCSLOTS "CLUSTER SYNCSLOTS" Cluster never / (9, 0, 0) -3 Write, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Never, Shared;
    CLUSTERSCAN "CLUSTERSCAN" Cluster never / (9, 1, 0) -2 Read, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Read, Shared;
    COMMAND "COMMAND" Server (2, 8, 13) -1 Read, None, AnyNode, AnyNode, Read, Shared;
    COMMAND_COUNT "COMMAND COUNT" Server (2, 8, 13) 2 Read, None, AnyNode, AnyNode, Read, Shared;
    COMMAND_DOCS "COMMAND DOCS" Server (7, 0, 0) -2 Read, None, AnyNode, AnyNode, Read, Shared;
    COMMAND_GETKEYS "COMMAND GETKEYS" Server (2, 8, 13) -3 Read, None, AnyNode, AnyNode, Read, Shared;
    COMMAND_GETKEYSANDFLAGS "COMMAND GETKEYSANDFLAGS" Server (7, 0, 0) -3 Read, None, AnyNode,
        AnyNode, Read, Shared;
    COMMAND_HELP "COMMAND HELP" Server (5, 0, 0) 2 Read, None, AnyNode, AnyNode, Read, Shared;
    COMMAND_INFO "COMMAND INFO" Server (2, 8, 13) -2 Read, None, AnyNode, AnyNode, Read, Shared;
    COMMAND_LIST "COMMAND LIST" Server (7, 0, 0) -2 Read, None, AnyNode, AnyNode, Read, Shared;
    COMMANDLOG_GET "COMMANDLOG GET" Server never / (8, 1, 0) 4 Each, None, EveryNode(All), EveryNode, Read, Shared;
    COMMANDLOG_HELP "COMMANDLOG HELP" Server never / (8, 1, 0) 2 Read, None, AnyNode, AnyNode, Read, Shared;
    COMMANDLOG_LEN "COMMANDLOG LEN" Server never / (8, 1, 0) 3 Each, None, EveryNode(All), EveryNode, Read, Shared;
    COMMANDLOG_RESET "COMMANDLOG RESET" Server never / (8, 1, 0) 3 Write, None, EveryNode(AllOk),
        EveryNode, Idempotent, Shared;
    CONFIG_GET "CONFIG GET" Server (2, 0, 0) -3 Each, None, EveryNode(All), EveryNode, Read, Shared;
    CONFIG_HELP "CONFIG HELP" Server (5, 0, 0) 2 Read, None, AnyNode, AnyNode, Read, Shared;
    CONFIG_RESETSTAT "CONFIG RESETSTAT" Server (2, 0, 0) 2 Write, None, EveryNode(AllOk),
        EveryNode, Idempotent, Shared;
    CONFIG_REWRITE "CONFIG REWRITE" Server (2, 8, 0) 2 Write, None, EveryNode(AllOk),
        EveryNode, Idempotent, Shared;
    CONFIG_SET "CONFIG SET" Server (2, 0, 0) -4 Write, None, EveryNode(AllOk), EveryNode, Idempotent, Shared;
    COPY "COPY" Generic (6, 2, 0) -3 Write, Pair(1, 2), ByKey, EveryNode, Reply, Shared;
    DBSIZE "DBSIZE" Server (1, 0, 0) 1 Read, None, EveryNode(Sum), AnyNode, Read, Shared;
    DEBUG "DEBUG" Server (1, 0, 0) -2 Write, None, Refuse(ONE_SERVER), Refuse(ONE_SERVER), Never, Shared;
    DECR "DECR" String (1, 0, 0) 2 Write, One(1), ByKey, EveryNode, Never, Shared;
    DECRBY "DECRBY" String (1, 0, 0) 3 Write, One(1), ByKey, EveryNode, Never, Shared;
    DEL "DEL" Generic (1, 0, 0) -2 Write, Each { first: 1, step: 1 }, Split(Sum), EveryNode, Reply, Shared;
    DELEX "DELEX" String (8, 4, 0) -2 Write, One(1), ByKey, Effect(Conditional), Reply, Shared;
    DELIFEQ "DELIFEQ" String never / (9, 0, 0) 3 Write, One(1), ByKey, Effect(Conditional), Reply, Shared;
    DIGEST "DIGEST" String (8, 4, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    DISCARD "DISCARD" Transactions (2, 0, 0) 1 Read, None, Refuse(TRANSACTION),
        Refuse(NO_TRANSACTION), Read, Session;
    DUMP "DUMP" Generic (2, 6, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    ECHO "ECHO" Connection (1, 0, 0) 2 Read, None, AnyNode, AnyNode, Read, Shared;
    EVAL "EVAL" Scripting (2, 6, 0) -3 Write, Counted(2), ByKey, Effect(Script), Never, Shared;
    EVALSHA "EVALSHA" Scripting (2, 6, 0) -3 Write, Counted(2), ByKey, Effect(Script), Never, Shared;
    EVALSHA_RO "EVALSHA_RO" Scripting (7, 0, 0) -3 Read, Counted(2), ByKey, AnyNode, Read, Shared;
    EVAL_RO "EVAL_RO" Scripting (7, 0, 0) -3 Read, Counted(2), ByKey, AnyNode, Read, Shared;
    EXEC "EXEC" Transactions (1, 2, 0) 1 Write, None, Refuse(TRANSACTION),
        Refuse(NO_TRANSACTION), Never, Session;
    EXISTS "EXISTS" Generic (1, 0, 0) -2 Read, Each { first: 1, step: 1 }, Split(Sum), AnyNode, Read, Shared;
    EXPIRE "EXPIRE" Generic (1, 0, 0) -3 Write, One(1), ByKey,
        Effect(ConditionalIf { from: 3, until: End, options: EXPIRE_CONDITIONS }), Reply, Shared;
    EXPIREAT "EXPIREAT" Generic (1, 2, 0) -3 Write, One(1), ByKey,
        Effect(ConditionalIf { from: 3, until: End, options: EXPIRE_CONDITIONS }), Idempotent, Shared;
    EXPIRETIME "EXPIRETIME" Generic (7, 0, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    FAILOVER "FAILOVER" Server (6, 2, 0) -1 Write, None, Refuse(ONE_SERVER),
        Refuse(ONE_SERVER), Never, Shared;
    FCALL "FCALL" Scripting (7, 0, 0) -3 Write, Counted(2), ByKey, Effect(Script), Never, Shared;
    FCALL_RO "FCALL_RO" Scripting (7, 0, 0) -3 Read, Counted(2), ByKey, AnyNode, Read, Shared;
    FLUSHALL "FLUSHALL" Server (1, 0, 0) -1 Write, None, EveryNode(AllOk), EveryNode, Idempotent, Shared;
    FLUSHDB "FLUSHDB" Server (1, 0, 0) -1 Write, None, EveryNode(AllOk), EveryNode, Idempotent, Shared;
    FUNCTION_DELETE "FUNCTION DELETE" Scripting (7, 0, 0) 3 Write, None, EveryNode(AllOk),
        EveryNode, Reply, Shared;
    FUNCTION_DUMP "FUNCTION DUMP" Scripting (7, 0, 0) 2 Read, None, AnyNode, AnyNode, Read, Shared;
    FUNCTION_FLUSH "FUNCTION FLUSH" Scripting (7, 0, 0) -2 Write, None, EveryNode(AllOk),
        EveryNode, Idempotent, Shared;
    FUNCTION_HELP "FUNCTION HELP" Scripting (7, 0, 0) 2 Read, None, AnyNode, AnyNode, Read, Shared;
    FUNCTION_KILL "FUNCTION KILL" Scripting (7, 0, 0) 2 Write, None, Refuse(BUSY_SERVER),
        Refuse(BUSY_SERVER), Never, Shared;
    FUNCTION_LIST "FUNCTION LIST" Scripting (7, 0, 0) -2 Read, None, AnyNode, AnyNode, Read, Shared;
    FUNCTION_LOAD "FUNCTION LOAD" Scripting (7, 0, 0) -3 Write, None, EveryNode(AllOk),
        EveryNode, Reply, Shared;
    FUNCTION_RESTORE "FUNCTION RESTORE" Scripting (7, 0, 0) -3 Write, None, EveryNode(AllOk),
        EveryNode, Reply, Shared;
    FUNCTION_STATS "FUNCTION STATS" Scripting (7, 0, 0) 2 Each, None, EveryNode(All), EveryNode, Read, Shared;
    GEOADD "GEOADD" Geo (3, 2, 0) -5 Write, One(1), ByKey,
        Effect(ConditionalIf { from: 2, until: Number, options: &["NX", "XX"] }), Idempotent, Shared;
    GEODIST "GEODIST" Geo (3, 2, 0) -4 Read, One(1), ByKey, AnyNode, Read, Shared;
    GEOHASH "GEOHASH" Geo (3, 2, 0) -2 Read, One(1), ByKey, AnyNode, Read, Shared;
    GEOPOS "GEOPOS" Geo (3, 2, 0) -2 Read, One(1), ByKey, AnyNode, Read, Shared;
    GEORADIUS "GEORADIUS" Geo (3, 2, 0) -6 Write, OneAndAfter { from: 6, stores: GEO_STORES, patterns: &[] },
        ByKey, EveryNode, Never, Shared;
    GEORADIUSBYMEMBER "GEORADIUSBYMEMBER" Geo (3, 2, 0) -5 Write,
        OneAndAfter { from: 5, stores: GEO_STORES, patterns: &[] }, ByKey, EveryNode, Never, Shared;
    GEORADIUSBYMEMBER_RO "GEORADIUSBYMEMBER_RO" Geo (3, 2, 10) -5 Read, One(1), ByKey, AnyNode, Read, Shared;
    GEORADIUS_RO "GEORADIUS_RO" Geo (3, 2, 10) -6 Read, One(1), ByKey, AnyNode, Read, Shared;
    GEOSEARCH "GEOSEARCH" Geo (6, 2, 0) -7 Read, One(1), ByKey, AnyNode, Read, Shared;
    GEOSEARCHSTORE "GEOSEARCHSTORE" Geo (6, 2, 0) -8 Write, Pair(1, 2), ByKey, EveryNode, Never, Shared;
    GET "GET" String (1, 0, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    GETBIT "GETBIT" Bitmap (2, 2, 0) 3 Read, One(1), ByKey, AnyNode, Read, Shared;
    GETDEL "GETDEL" String (6, 2, 0) 2 Write, One(1), ByKey, Effect(Conditional), Never, Shared;
    GETEX "GETEX" String (6, 2, 0) -2 Write, One(1), ByKey, Effect(Deadline), Idempotent, Shared;
    GETRANGE "GETRANGE" String (2, 4, 0) 4 Read, One(1), ByKey, AnyNode, Read, Shared;
    GETSET "GETSET" String (1, 0, 0) 3 Write, One(1), ByKey, Effect(Conditional), Reply, Shared;
    HDEL "HDEL" Hash (2, 0, 0) -3 Write, One(1), ByKey, EveryNode, Reply, Shared;
    HELLO "HELLO" Connection (6, 0, 0) -1 Read, None, Refuse(CONFIGURED), Refuse(CONFIGURED), Read, Session;
    HEXISTS "HEXISTS" Hash (2, 0, 0) 3 Read, One(1), ByKey, AnyNode, Read, Shared;
    HEXPIRE "HEXPIRE" Hash (7, 4, 0) / (9, 0, 0) -6 Write, One(1), ByKey,
        Effect(ConditionalIf { from: 3, until: Fields, options: EXPIRE_CONDITIONS }), Reply, Shared;
    HEXPIREAT "HEXPIREAT" Hash (7, 4, 0) / (9, 0, 0) -6 Write, One(1), ByKey,
        Effect(ConditionalIf { from: 3, until: Fields, options: EXPIRE_CONDITIONS }), Idempotent, Shared;
    HEXPIRETIME "HEXPIRETIME" Hash (7, 4, 0) / (9, 0, 0) -5 Read, One(1), ByKey, AnyNode, Read, Shared;
    HGET "HGET" Hash (2, 0, 0) 3 Read, One(1), ByKey, AnyNode, Read, Shared;
    HGETALL "HGETALL" Hash (2, 0, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    HGETDEL "HGETDEL" Hash (8, 0, 0) / (9, 1, 0) -5 Write, One(1), ByKey, Effect(Conditional), Never, Shared;
    HGETEX "HGETEX" Hash (8, 0, 0) / (9, 0, 0) -5 Write, One(1), ByKey, Effect(Deadline), Idempotent, Shared;
    HIMPORT_DISCARD "HIMPORT DISCARD" Hash (8, 10, 0) 3 Read, None, Refuse(ONE_CONNECTION),
        Refuse(ONE_CONNECTION), Read, Session;
    HIMPORT_DISCARDALL "HIMPORT DISCARDALL" Hash (8, 10, 0) 2 Read, None, Refuse(ONE_CONNECTION),
        Refuse(ONE_CONNECTION), Read, Session;
    HIMPORT_PREPARE "HIMPORT PREPARE" Hash (8, 10, 0) -4 Read, None, Refuse(ONE_CONNECTION),
        Refuse(ONE_CONNECTION), Read, Session;
    HIMPORT_SET "HIMPORT SET" Hash (8, 10, 0) -5 Write, One(2), Refuse(ONE_CONNECTION),
        Refuse(ONE_CONNECTION), Idempotent, Session;
    HINCRBY "HINCRBY" Hash (2, 0, 0) 4 Write, One(1), ByKey, EveryNode, Never, Shared;
    HINCRBYFLOAT "HINCRBYFLOAT" Hash (2, 6, 0) 4 Write, One(1), ByKey, Effect(Float), Never, Shared;
    HKEYS "HKEYS" Hash (2, 0, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    HLEN "HLEN" Hash (2, 0, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    HMGET "HMGET" Hash (2, 0, 0) -3 Read, One(1), ByKey, AnyNode, Read, Shared;
    HMSET "HMSET" Hash (2, 0, 0) -4 Write, One(1), ByKey, EveryNode, Idempotent, Shared;
    HOTKEYS_GET "HOTKEYS GET" Server (8, 6, 0) 2 Each, None, EveryNode(All), EveryNode, Read, Shared;
    HOTKEYS_HELP "HOTKEYS HELP" Server (8, 6, 1) 2 Read, None, AnyNode, AnyNode, Read, Shared;
    HOTKEYS_RESET "HOTKEYS RESET" Server (8, 6, 0) 2 Write, None, EveryNode(AllOk),
        EveryNode, Idempotent, Shared;
    HOTKEYS_START "HOTKEYS START" Server (8, 6, 0) -2 Write, None, EveryNode(AllOk), EveryNode, Reply, Shared;
    HOTKEYS_STOP "HOTKEYS STOP" Server (8, 6, 0) 2 Write, None, EveryNode(AllOk), EveryNode, Reply, Shared;
    HPERSIST "HPERSIST" Hash (7, 4, 0) / (9, 0, 0) -5 Write, One(1), ByKey, EveryNode, Idempotent, Shared;
    HPEXPIRE "HPEXPIRE" Hash (7, 4, 0) / (9, 0, 0) -6 Write, One(1), ByKey,
        Effect(ConditionalIf { from: 3, until: Fields, options: EXPIRE_CONDITIONS }), Reply, Shared;
    HPEXPIREAT "HPEXPIREAT" Hash (7, 4, 0) / (9, 0, 0) -6 Write, One(1), ByKey,
        Effect(ConditionalIf { from: 3, until: Fields, options: EXPIRE_CONDITIONS }), Idempotent, Shared;
    HPEXPIRETIME "HPEXPIRETIME" Hash (7, 4, 0) / (9, 0, 0) -5 Read, One(1), ByKey, AnyNode, Read, Shared;
    HPTTL "HPTTL" Hash (7, 4, 0) / (9, 0, 0) -5 Read, One(1), ByKey, AnyNode, Read, Shared;
    HRANDFIELD "HRANDFIELD" Hash (6, 2, 0) -2 Read, One(1), ByKey, AnyNode, Read, Shared;
    HSCAN "HSCAN" Hash (2, 8, 0) -3 Read, One(1), ByKey, AnyNode, Read, Shared;
    HSET "HSET" Hash (2, 0, 0) -4 Write, One(1), ByKey, EveryNode, Idempotent, Shared;
    HSETEX "HSETEX" Hash (8, 0, 0) / (9, 0, 0) -6 Write, One(1), ByKey,
        Effect(ConditionalIf { from: 2, until: Fields, options: &["FNX", "FXX"] }), Idempotent, Shared;
    HSETNX "HSETNX" Hash (2, 0, 0) 4 Write, One(1), ByKey, Effect(Conditional), Reply, Shared;
    HSTRLEN "HSTRLEN" Hash (3, 2, 0) 3 Read, One(1), ByKey, AnyNode, Read, Shared;
    HTTL "HTTL" Hash (7, 4, 0) / (9, 0, 0) -5 Read, One(1), ByKey, AnyNode, Read, Shared;
    HVALS "HVALS" Hash (2, 0, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    INCR "INCR" String (1, 0, 0) 2 Write, One(1), ByKey, EveryNode, Never, Shared;
    INCRBY "INCRBY" String (1, 0, 0) 3 Write, One(1), ByKey, EveryNode, Never, Shared;
    INCRBYFLOAT "INCRBYFLOAT" String (2, 6, 0) 3 Write, One(1), ByKey, Effect(Float), Never, Shared;
    INCREX "INCREX" String (8, 8, 0) -2 Write, One(1), ByKey, Effect(Conditional), Never, Shared;
    INFO "INFO" Server (1, 0, 0) -1 Each, None, EveryNode(All), EveryNode, Read, Shared;
    KEYS "KEYS" Generic (1, 0, 0) 2 Read, None, EveryNode(Concat), AnyNode, Read, Shared;
    LASTSAVE "LASTSAVE" Server (1, 0, 0) 1 Each, None, EveryNode(All), EveryNode, Read, Shared;
    LATENCY_DOCTOR "LATENCY DOCTOR" Server (2, 8, 13) 2 Each, None, EveryNode(All), EveryNode, Read, Shared;
    LATENCY_GRAPH "LATENCY GRAPH" Server (2, 8, 13) 3 Each, None, EveryNode(All), EveryNode, Read, Shared;
    LATENCY_HELP "LATENCY HELP" Server (2, 8, 13) 2 Read, None, AnyNode, AnyNode, Read, Shared;
    LATENCY_HISTOGRAM "LATENCY HISTOGRAM" Server (7, 0, 0) -2 Each, None, EveryNode(All),
        EveryNode, Read, Shared;
    LATENCY_HISTORY "LATENCY HISTORY" Server (2, 8, 13) 3 Each, None, EveryNode(All), EveryNode, Read, Shared;
    LATENCY_LATEST "LATENCY LATEST" Server (2, 8, 13) 2 Each, None, EveryNode(All), EveryNode, Read, Shared;
    LATENCY_RESET "LATENCY RESET" Server (2, 8, 13) -2 Write, None, EveryNode(Sum), EveryNode, Reply, Shared;
    LCS "LCS" String (7, 0, 0) -3 Read, Pair(1, 2), ByKey, AnyNode, Read, Shared;
    LINDEX "LINDEX" List (1, 0, 0) 3 Read, One(1), ByKey, AnyNode, Read, Shared;
    LINSERT "LINSERT" List (2, 2, 0) 5 Write, One(1), ByKey, EveryNode, Never, Shared;
    LLEN "LLEN" List (1, 0, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    LMOVE "LMOVE" List (6, 2, 0) 5 Write, Pair(1, 2), ByKey, Effect(Pop), Never, Shared;
    LMOVEM "LMOVEM" List (8, 10, 0) -5 Write, Pair(1, 2), ByKey, Effect(Pop), Never, Shared;
    LMPOP "LMPOP" List (7, 0, 0) -4 Write, Counted(1), ByKey, Effect(Pop), Never, Shared;
    LOLWUT "LOLWUT" Server (5, 0, 0) -1 Read, None, AnyNode, AnyNode, Read, Shared;
    LPOP "LPOP" List (1, 0, 0) -2 Write, One(1), ByKey, Effect(Pop), Never, Shared;
    LPOS "LPOS" List (6, 0, 6) -3 Read, One(1), ByKey, AnyNode, Read, Shared;
    LPUSH "LPUSH" List (1, 0, 0) -3 Write, One(1), ByKey, EveryNode, Never, Shared;
    LPUSHX "LPUSHX" List (2, 2, 0) -3 Write, One(1), ByKey, Effect(Conditional), Never, Shared;
    LRANGE "LRANGE" List (1, 0, 0) 4 Read, One(1), ByKey, AnyNode, Read, Shared;
    LREM "LREM" List (1, 0, 0) 4 Write, One(1), ByKey, EveryNode, Never, Shared;
    LSET "LSET" List (1, 0, 0) 4 Write, One(1), ByKey, EveryNode, Idempotent, Shared;
    LTRIM "LTRIM" List (1, 0, 0) 4 Write, One(1), ByKey, EveryNode, Never, Shared;
    MEMORY_DOCTOR "MEMORY DOCTOR" Server (4, 0, 0) 2 Each, None, EveryNode(All), EveryNode, Read, Shared;
    MEMORY_HELP "MEMORY HELP" Server (4, 0, 0) 2 Read, None, AnyNode, AnyNode, Read, Shared;
    MEMORY_MALLOC_STATS "MEMORY MALLOC-STATS" Server (4, 0, 0) 2 Each, None, EveryNode(All),
        EveryNode, Read, Shared;
    MEMORY_PURGE "MEMORY PURGE" Server (4, 0, 0) 2 Write, None, EveryNode(AllOk),
        EveryNode, Idempotent, Shared;
    MEMORY_STATS "MEMORY STATS" Server (4, 0, 0) 2 Each, None, EveryNode(All), EveryNode, Read, Shared;
    MEMORY_USAGE "MEMORY USAGE" Server (4, 0, 0) -3 Read, One(2), ByKey, AnyNode, Read, Shared;
    MGET "MGET" String (1, 0, 0) -2 Read, Each { first: 1, step: 1 }, Split(Concat), AnyNode, Read, Shared;
    MIGRATE "MIGRATE" Generic (2, 6, 0) -6 Write, Migrate, Refuse(MIGRATES), Refuse(MIGRATES), Never, Shared;
    MODULE_HELP "MODULE HELP" Server (5, 0, 0) 2 Read, None, AnyNode, AnyNode, Read, Shared;
    MODULE_LIST "MODULE LIST" Server (4, 0, 0) 2 Each, None, EveryNode(All), EveryNode, Read, Shared;
    MODULE_LOAD "MODULE LOAD" Server (4, 0, 0) -3 Write, None, Refuse(ONE_SERVER),
        Refuse(ONE_SERVER), Never, Shared;
    MODULE_LOADEX "MODULE LOADEX" Server (7, 0, 0) -3 Write, None, Refuse(ONE_SERVER),
        Refuse(ONE_SERVER), Never, Shared;
    MODULE_UNLOAD "MODULE UNLOAD" Server (4, 0, 0) 3 Write, None, Refuse(ONE_SERVER),
        Refuse(ONE_SERVER), Never, Shared;
    MONITOR "MONITOR" Server (1, 0, 0) 1 Read, None, Refuse(FEED), Refuse(FEED), Read, Session;
    MOVE "MOVE" Generic (1, 0, 0) 3 Write, One(1), ByKey, EveryNode, Reply, Shared;
    MSET "MSET" String (1, 0, 1) -3 Write, Each { first: 1, step: 2 }, Split(AllOk),
        EveryNode, Idempotent, Shared;
    MSETEX "MSETEX" String (8, 4, 0) / (9, 1, 0) -4 Write, CountedPairs(1), ByKey,
        Effect(ConditionalIf { from: 4, until: End, options: &["NX", "XX"] }), Idempotent, Shared;
    MSETNX "MSETNX" String (1, 0, 1) -3 Write, Each { first: 1, step: 2 }, ByKey,
        Effect(Conditional), Reply, Shared;
    MULTI "MULTI" Transactions (1, 2, 0) 1 Read, None, Refuse(TRANSACTION),
        Refuse(NO_TRANSACTION), Read, Session;
    OBJECT_ENCODING "OBJECT ENCODING" Generic (2, 2, 3) 3 Read, One(2), ByKey, AnyNode, Read, Shared;
    OBJECT_FREQ "OBJECT FREQ" Generic (4, 0, 0) 3 Read, One(2), ByKey, AnyNode, Read, Shared;
    OBJECT_HELP "OBJECT HELP" Generic (6, 2, 0) 2 Read, None, AnyNode, AnyNode, Read, Shared;
    OBJECT_IDLETIME "OBJECT IDLETIME" Generic (2, 2, 3) 3 Read, One(2), ByKey, AnyNode, Read, Shared;
    OBJECT_REFCOUNT "OBJECT REFCOUNT" Generic (2, 2, 3) 3 Read, One(2), ByKey, AnyNode, Read, Shared;
    PERSIST "PERSIST" Generic (2, 2, 0) 2 Write, One(1), ByKey, EveryNode, Idempotent, Shared;
    PEXPIRE "PEXPIRE" Generic (2, 6, 0) -3 Write, One(1), ByKey,
        Effect(ConditionalIf { from: 3, until: End, options: EXPIRE_CONDITIONS }), Reply, Shared;
    PEXPIREAT "PEXPIREAT" Generic (2, 6, 0) -3 Write, One(1), ByKey,
        Effect(ConditionalIf { from: 3, until: End, options: EXPIRE_CONDITIONS }), Idempotent, Shared;
    PEXPIRETIME "PEXPIRETIME" Generic (7, 0, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    PFADD "PFADD" HyperLogLog (2, 8, 9) -2 Write, One(1), ByKey, EveryNode, Idempotent, Shared;
    PFCOUNT "PFCOUNT" HyperLogLog (2, 8, 9) -2 Read, Each { first: 1, step: 1 }, ByKey, AnyNode, Read, Shared;
    PFDEBUG "PFDEBUG" HyperLogLog (2, 8, 9) 3 Write, One(2), ByKey, EveryNode, Never, Shared;
    PFMERGE "PFMERGE" HyperLogLog (2, 8, 9) -2 Write, Each { first: 1, step: 1 }, ByKey,
        EveryNode, Idempotent, Shared;
    PFSELFTEST "PFSELFTEST" HyperLogLog (2, 8, 9) 1 Read, None, Refuse(ONE_SERVER),
        Refuse(ONE_SERVER), Read, Shared;
    PING "PING" Connection (1, 0, 0) -1 Read, None, EveryNode(AllOk), AnyNode, Read, Shared;
    PSETEX "PSETEX" String (2, 6, 0) 4 Write, One(1), ByKey, Effect(Deadline), Idempotent, Shared;
    PSUBSCRIBE "PSUBSCRIBE" PubSub (2, 0, 0) -2 Read, None, Refuse(PATTERNS), Refuse(PATTERNS), Read, Session;
    PSYNC "PSYNC" Server (2, 8, 0) -3 Read, None, Refuse(BETWEEN_SERVERS),
        Refuse(BETWEEN_SERVERS), Read, Session;
    PTTL "PTTL" Generic (2, 6, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    PUBLISH "PUBLISH" PubSub (2, 0, 0) 3 Write, Channel(1), ByKey, OneNode, Never, Shared;
    PUBSUB_CHANNELS "PUBSUB CHANNELS" PubSub (2, 8, 0) -2 Read, None, EveryNode(Union),
        EveryNode, Read, Shared;
    PUBSUB_HELP "PUBSUB HELP" PubSub (6, 2, 0) 2 Read, None, AnyNode, AnyNode, Read, Shared;
    PUBSUB_NUMPAT "PUBSUB NUMPAT" PubSub (2, 8, 0) 2 Each, None, EveryNode(All), EveryNode, Read, Shared;
    PUBSUB_NUMSUB "PUBSUB NUMSUB" PubSub (2, 8, 0) -2 Each, None, EveryNode(All), EveryNode, Read, Shared;
    PUBSUB_SHARDCHANNELS "PUBSUB SHARDCHANNELS" PubSub (7, 0, 0) -2 Read, None, EveryNode(Union),
        EveryNode, Read, Shared;
    PUBSUB_SHARDNUMSUB "PUBSUB SHARDNUMSUB" PubSub (7, 0, 0) -2 Each, None, EveryNode(All),
        EveryNode, Read, Shared;
    PUNSUBSCRIBE "PUNSUBSCRIBE" PubSub (2, 0, 0) -1 Read, None, Refuse(SUBSCRIBER),
        Refuse(SUBSCRIBER), Read, Session;
    QUIT "QUIT" Connection (1, 0, 0) -1 Read, None, Refuse(ONE_CONNECTION),
        Refuse(ONE_CONNECTION), Read, Session;
    RANDOMKEY "RANDOMKEY" Generic (1, 0, 0) 1 Read, None, EveryNode(First), AnyNode, Read, Shared;
    READONLY "READONLY" Cluster (3, 0, 0) 1 Read, None, Refuse(CLUSTER_CONNECTION),
        Refuse(CLUSTER_CONNECTION), Read, Session;
    READWRITE "READWRITE" Cluster (3, 0, 0) 1 Read, None, Refuse(CLUSTER_CONNECTION),
        Refuse(CLUSTER_CONNECTION), Read, Session;
    RENAME "RENAME" Generic (1, 0, 0) 3 Write, Pair(1, 2), ByKey, EveryNode, Reply, Shared;
    RENAMENX "RENAMENX" Generic (1, 0, 0) 3 Write, Pair(1, 2), ByKey, Effect(Conditional), Reply, Shared;
    REPLCONF "REPLCONF" Server (3, 0, 0) -1 Read, None, Refuse(BETWEEN_SERVERS),
        Refuse(BETWEEN_SERVERS), Read, Session;
    REPLICAOF "REPLICAOF" Server (5, 0, 0) 3 Write, None, Refuse(ONE_SERVER),
        Refuse(ONE_SERVER), Never, Shared;
    RESET "RESET" Connection (6, 2, 0) 1 Read, None, Refuse(ONE_CONNECTION),
        Refuse(ONE_CONNECTION), Read, Session;
    RESTORE "RESTORE" Generic (2, 6, 0) -4 Write, One(1), ByKey, Effect(Deadline), Reply, Shared;
    RESTORE_ASKING "RESTORE-ASKING" Server (3, 0, 0) -4 Write, One(1), Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Reply, Shared;
    ROLE "ROLE" Server (2, 8, 12) 1 Each, None, EveryNode(All), EveryNode, Read, Shared;
    RPOP "RPOP" List (1, 0, 0) -2 Write, One(1), ByKey, Effect(Pop), Never, Shared;
    RPOPLPUSH "RPOPLPUSH" List (1, 2, 0) 3 Write, Pair(1, 2), ByKey, Effect(Pop), Never, Shared;
    RPUSH "RPUSH" List (1, 0, 0) -3 Write, One(1), ByKey, EveryNode, Never, Shared;
    RPUSHX "RPUSHX" List (2, 2, 0) -3 Write, One(1), ByKey, Effect(Conditional), Never, Shared;
    SADD "SADD" Set (1, 0, 0) -3 Write, One(1), ByKey, EveryNode, Idempotent, Shared;
    SAVE "SAVE" Server (1, 0, 0) 1 Write, None, EveryNode(AllOk), EveryNode, Idempotent, Shared;
    SCAN "SCAN" Generic (2, 8, 0) -2 Read, None, Refuse(CURSOR), Refuse(CURSOR), Read, Shared;
    SCARD "SCARD" Set (1, 0, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    SCRIPT_DEBUG "SCRIPT DEBUG" Scripting (3, 2, 0) -3 Read, None, Refuse(ONE_CONNECTION),
        Refuse(ONE_CONNECTION), Read, Session;
    SCRIPT_EXISTS "SCRIPT EXISTS" Scripting (2, 6, 0) -3 Read, None, EveryNode(Min), EveryNode, Read, Shared;
    SCRIPT_FLUSH "SCRIPT FLUSH" Scripting (2, 6, 0) -2 Write, None, EveryNode(AllOk),
        EveryNode, Idempotent, Shared;
    SCRIPT_HELP "SCRIPT HELP" Scripting (5, 0, 0) 2 Read, None, AnyNode, AnyNode, Read, Shared;
    SCRIPT_KILL "SCRIPT KILL" Scripting (2, 6, 0) 2 Write, None, Refuse(BUSY_SERVER),
        Refuse(BUSY_SERVER), Never, Shared;
    SCRIPT_LOAD "SCRIPT LOAD" Scripting (2, 6, 0) 3 Write, None, EveryNode(AllOk),
        EveryNode, Idempotent, Shared;
    SCRIPT_SHOW "SCRIPT SHOW" Scripting never / (8, 0, 0) 3 Read, None, AnyNode, AnyNode, Read, Shared;
    SDIFF "SDIFF" Set (1, 0, 0) -2 Read, Each { first: 1, step: 1 }, ByKey, AnyNode, Read, Shared;
    SDIFFCARD "SDIFFCARD" Set (8, 10, 0) -3 Read, Counted(1), ByKey, AnyNode, Read, Shared;
    SDIFFSTORE "SDIFFSTORE" Set (1, 0, 0) -3 Write, Each { first: 1, step: 1 }, ByKey,
        EveryNode, Never, Shared;
    SELECT "SELECT" Connection (1, 0, 0) 2 Read, None, Refuse(CONFIGURED), Refuse(CONFIGURED), Read, Session;
    SENTINEL_CKQUORUM "SENTINEL CKQUORUM" Sentinel (2, 8, 4) 3 Each, None, Refuse(SENTINEL),
        Refuse(SENTINEL), Read, Shared;
    SENTINEL_CONFIG "SENTINEL CONFIG" Sentinel (6, 2, 0) -3 Write, None, Refuse(SENTINEL),
        Refuse(SENTINEL), Never, Shared;
    SENTINEL_DEBUG "SENTINEL DEBUG" Sentinel (7, 0, 0) -2 Write, None, Refuse(SENTINEL),
        Refuse(SENTINEL), Never, Shared;
    SENTINEL_FAILOVER "SENTINEL FAILOVER" Sentinel (2, 8, 4) 3 Write, None, Refuse(SENTINEL),
        Refuse(SENTINEL), Never, Shared;
    SENTINEL_FLUSHCONFIG "SENTINEL FLUSHCONFIG" Sentinel (2, 8, 4) 2 Write, None, Refuse(SENTINEL),
        Refuse(SENTINEL), Never, Shared;
    SENTINEL_GET_MASTER_ADDR_BY_NAME "SENTINEL GET-MASTER-ADDR-BY-NAME" Sentinel (2, 8, 4) 3 Each, None,
        Refuse(SENTINEL), Refuse(SENTINEL), Read, Shared;
    SENTINEL_HELP "SENTINEL HELP" Sentinel (6, 2, 0) 2 Each, None, Refuse(SENTINEL),
        Refuse(SENTINEL), Read, Shared;
    SENTINEL_INFO_CACHE "SENTINEL INFO-CACHE" Sentinel (3, 2, 0) -3 Each, None, Refuse(SENTINEL),
        Refuse(SENTINEL), Read, Shared;
    SENTINEL_IS_MASTER_DOWN_BY_ADDR "SENTINEL IS-MASTER-DOWN-BY-ADDR" Sentinel (2, 8, 4) 6 Each, None,
        Refuse(SENTINEL), Refuse(SENTINEL), Read, Shared;
    SENTINEL_MASTER "SENTINEL MASTER" Sentinel (2, 8, 4) 3 Each, None, Refuse(SENTINEL),
        Refuse(SENTINEL), Read, Shared;
    SENTINEL_MASTERS "SENTINEL MASTERS" Sentinel (2, 8, 4) 2 Each, None, Refuse(SENTINEL),
        Refuse(SENTINEL), Read, Shared;
    SENTINEL_MONITOR "SENTINEL MONITOR" Sentinel (2, 8, 4) 6 Write, None, Refuse(SENTINEL),
        Refuse(SENTINEL), Never, Shared;
    SENTINEL_MYID "SENTINEL MYID" Sentinel (6, 2, 0) 2 Each, None, Refuse(SENTINEL),
        Refuse(SENTINEL), Read, Shared;
    SENTINEL_PENDING_SCRIPTS "SENTINEL PENDING-SCRIPTS" Sentinel (2, 8, 4) 2 Each, None, Refuse(SENTINEL),
        Refuse(SENTINEL), Read, Shared;
    SENTINEL_REMOVE "SENTINEL REMOVE" Sentinel (2, 8, 4) 3 Write, None, Refuse(SENTINEL),
        Refuse(SENTINEL), Never, Shared;
    SENTINEL_REPLICAS "SENTINEL REPLICAS" Sentinel (5, 0, 0) 3 Each, None, Refuse(SENTINEL),
        Refuse(SENTINEL), Read, Shared;
    SENTINEL_RESET "SENTINEL RESET" Sentinel (2, 8, 4) 3 Write, None, Refuse(SENTINEL),
        Refuse(SENTINEL), Never, Shared;
    SENTINEL_SENTINELS "SENTINEL SENTINELS" Sentinel (2, 8, 4) 3 Each, None, Refuse(SENTINEL),
        Refuse(SENTINEL), Read, Shared;
    SENTINEL_SET "SENTINEL SET" Sentinel (2, 8, 4) -5 Write, None, Refuse(SENTINEL),
        Refuse(SENTINEL), Never, Shared;
    SENTINEL_SIMULATE_FAILURE "SENTINEL SIMULATE-FAILURE" Sentinel (3, 2, 0) -3 Write, None, Refuse(SENTINEL),
        Refuse(SENTINEL), Never, Shared;
    SENTINEL_SLAVES "SENTINEL SLAVES" Sentinel (2, 8, 4) 3 Each, None, Refuse(SENTINEL),
        Refuse(SENTINEL), Read, Shared;
    SET "SET" String (1, 0, 0) -3 Write, One(1), ByKey,
        Effect(ConditionalIf { from: 3, until: End, options: SET_CONDITIONS }), Idempotent, Shared;
    SETBIT "SETBIT" Bitmap (2, 2, 0) 4 Write, One(1), ByKey, EveryNode, Reply, Shared;
    SETEX "SETEX" String (2, 0, 0) 4 Write, One(1), ByKey, Effect(Deadline), Idempotent, Shared;
    SETNX "SETNX" String (1, 0, 0) 3 Write, One(1), ByKey, Effect(Conditional), Reply, Shared;
    SETRANGE "SETRANGE" String (2, 2, 0) 4 Write, One(1), ByKey, EveryNode, Idempotent, Shared;
    SHUTDOWN "SHUTDOWN" Server (1, 0, 0) -1 Write, None, Refuse(ONE_SERVER),
        Refuse(ONE_SERVER), Never, Shared;
    SINTER "SINTER" Set (1, 0, 0) -2 Read, Each { first: 1, step: 1 }, ByKey, AnyNode, Read, Shared;
    SINTERCARD "SINTERCARD" Set (7, 0, 0) -3 Read, Counted(1), ByKey, AnyNode, Read, Shared;
    SINTERSTORE "SINTERSTORE" Set (1, 0, 0) -3 Write, Each { first: 1, step: 1 }, ByKey,
        EveryNode, Idempotent, Shared;
    SISMEMBER "SISMEMBER" Set (1, 0, 0) 3 Read, One(1), ByKey, AnyNode, Read, Shared;
    SLAVEOF "SLAVEOF" Server (1, 0, 0) 3 Write, None, Refuse(ONE_SERVER), Refuse(ONE_SERVER), Never, Shared;
    SLOWLOG_GET "SLOWLOG GET" Server (2, 2, 12) -2 Each, None, EveryNode(All), EveryNode, Read, Shared;
    SLOWLOG_HELP "SLOWLOG HELP" Server (6, 2, 0) 2 Read, None, AnyNode, AnyNode, Read, Shared;
    SLOWLOG_LEN "SLOWLOG LEN" Server (2, 2, 12) 2 Each, None, EveryNode(All), EveryNode, Read, Shared;
    SLOWLOG_RESET "SLOWLOG RESET" Server (2, 2, 12) 2 Write, None, EveryNode(AllOk),
        EveryNode, Idempotent, Shared;
    SMEMBERS "SMEMBERS" Set (1, 0, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    SMISMEMBER "SMISMEMBER" Set (6, 2, 0) -3 Read, One(1), ByKey, AnyNode, Read, Shared;
    SMOVE "SMOVE" Set (1, 0, 0) 4 Write, Pair(1, 2), ByKey, EveryNode, Reply, Shared;
    SORT "SORT" Generic (1, 0, 0) -2 Write,
        OneAndAfter { from: 2, stores: &["STORE"], patterns: SORT_PATTERNS }, ByKey, EveryNode, Never, Shared;
    SORT_RO "SORT_RO" Generic (7, 0, 0) -2 Read,
        OneAndAfter { from: 2, stores: &[], patterns: SORT_PATTERNS }, ByKey, AnyNode, Read, Shared;
    SPOP "SPOP" Set (1, 0, 0) -2 Write, One(1), ByKey, Effect(Random), Never, Shared;
    SPUBLISH "SPUBLISH" PubSub (7, 0, 0) 3 Write, Channel(1), ByKey, OneNode, Never, Shared;
    SRANDMEMBER "SRANDMEMBER" Set (1, 0, 0) -2 Read, One(1), ByKey, AnyNode, Read, Shared;
    SREM "SREM" Set (1, 0, 0) -3 Write, One(1), ByKey, EveryNode, Reply, Shared;
    SSCAN "SSCAN" Set (2, 8, 0) -3 Read, One(1), ByKey, AnyNode, Read, Shared;
    SSUBSCRIBE "SSUBSCRIBE" PubSub (7, 0, 0) -2 Read, Channels { first: 1 },
        Refuse(CHANNELS), Refuse(CHANNELS), Read, Session;
    STRLEN "STRLEN" String (2, 2, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    SUBSCRIBE "SUBSCRIBE" PubSub (2, 0, 0) -2 Read, Channels { first: 1 },
        Refuse(CHANNELS), Refuse(CHANNELS), Read, Session;
    SUBSTR "SUBSTR" String (1, 0, 0) 4 Read, One(1), ByKey, AnyNode, Read, Shared;
    SUNION "SUNION" Set (1, 0, 0) -2 Read, Each { first: 1, step: 1 }, ByKey, AnyNode, Read, Shared;
    SUNIONCARD "SUNIONCARD" Set (8, 10, 0) -3 Read, Counted(1), ByKey, AnyNode, Read, Shared;
    SUNIONSTORE "SUNIONSTORE" Set (1, 0, 0) -3 Write, Each { first: 1, step: 1 }, ByKey,
        EveryNode, Idempotent, Shared;
    SUNSUBSCRIBE "SUNSUBSCRIBE" PubSub (7, 0, 0) -1 Read, None, Refuse(SUBSCRIBER),
        Refuse(SUBSCRIBER), Read, Session;
    SWAPDB "SWAPDB" Server (4, 0, 0) 3 Write, None, EveryNode(AllOk), EveryNode, Never, Shared;
    SYNC "SYNC" Server (1, 0, 0) 1 Read, None, Refuse(BETWEEN_SERVERS),
        Refuse(BETWEEN_SERVERS), Read, Session;
    TIME "TIME" Server (2, 6, 0) 1 Each, None, EveryNode(All), EveryNode, Read, Shared;
    TOUCH "TOUCH" Generic (3, 2, 1) -2 Read, Each { first: 1, step: 1 }, Split(Sum), AnyNode, Read, Shared;
    TRIMSLOTS "TRIMSLOTS" Server (8, 4, 0) -5 Write, None, Refuse(CLUSTER_ONLY),
        Refuse(CLUSTER_ONLY), Never, Shared;
    TTL "TTL" Generic (1, 0, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    TYPE "TYPE" Generic (1, 0, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    UNLINK "UNLINK" Generic (4, 0, 0) -2 Write, Each { first: 1, step: 1 }, Split(Sum),
        EveryNode, Reply, Shared;
    UNSUBSCRIBE "UNSUBSCRIBE" PubSub (2, 0, 0) -1 Read, None, Refuse(SUBSCRIBER),
        Refuse(SUBSCRIBER), Read, Session;
    UNWATCH "UNWATCH" Transactions (2, 2, 0) 1 Read, None, Refuse(TRANSACTION),
        Refuse(NO_TRANSACTION), Read, Session;
    VADD "VADD" VectorSet (8, 0, 0) -5 Write, One(1), ByKey, EveryNode, Idempotent, Shared;
    VCARD "VCARD" VectorSet (8, 0, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    VDIM "VDIM" VectorSet (8, 0, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    VEMB "VEMB" VectorSet (8, 0, 0) -3 Read, One(1), ByKey, AnyNode, Read, Shared;
    VGETATTR "VGETATTR" VectorSet (8, 0, 0) 3 Read, One(1), ByKey, AnyNode, Read, Shared;
    VINFO "VINFO" VectorSet (8, 0, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    VISMEMBER "VISMEMBER" VectorSet (8, 0, 0) 3 Read, One(1), ByKey, AnyNode, Read, Shared;
    VLINKS "VLINKS" VectorSet (8, 0, 0) -3 Read, One(1), ByKey, AnyNode, Read, Shared;
    VRANDMEMBER "VRANDMEMBER" VectorSet (8, 0, 0) -2 Read, One(1), ByKey, AnyNode, Read, Shared;
    VRANGE "VRANGE" VectorSet (8, 4, 0) -4 Read, One(1), ByKey, AnyNode, Read, Shared;
    VREM "VREM" VectorSet (8, 0, 0) 3 Write, One(1), ByKey, EveryNode, Reply, Shared;
    VSETATTR "VSETATTR" VectorSet (8, 0, 0) 4 Write, One(1), ByKey, EveryNode, Idempotent, Shared;
    VSIM "VSIM" VectorSet (8, 0, 0) -4 Read, One(1), ByKey, AnyNode, Read, Shared;
    WAIT "WAIT" Generic (3, 0, 0) 3 Read, None, Refuse(REPLICAS), Refuse(REPLICAS), Read, Blocking;
    WAITAOF "WAITAOF" Generic (7, 2, 0) 4 Read, None, Refuse(REPLICAS), Refuse(REPLICAS), Read, Blocking;
    WATCH "WATCH" Transactions (2, 2, 0) -2 Read, Each { first: 1, step: 1 }, Refuse(TRANSACTION),
        Refuse(NO_TRANSACTION), Read, Session;
    XACK "XACK" Stream (5, 0, 0) -4 Write, One(1), ByKey, EveryNode, Reply, Shared;
    XACKDEL "XACKDEL" Stream (8, 2, 0) -6 Write, One(1), ByKey, EveryNode, Reply, Shared;
    XADD "XADD" Stream (5, 0, 0) -5 Write, One(1), ByKey, Effect(Random), Never, Shared;
    XAUTOCLAIM "XAUTOCLAIM" Stream (6, 2, 0) -6 Write, One(1), ByKey, Effect(Random), Never, Shared;
    XCFGSET "XCFGSET" Stream (8, 6, 0) -2 Write, One(1), ByKey, EveryNode, Idempotent, Shared;
    XCLAIM "XCLAIM" Stream (5, 0, 0) -6 Write, One(1), ByKey, Effect(Random), Never, Shared;
    XDEL "XDEL" Stream (5, 0, 0) -3 Write, One(1), ByKey, EveryNode, Reply, Shared;
    XDELEX "XDELEX" Stream (8, 2, 0) -5 Write, One(1), ByKey, EveryNode, Reply, Shared;
    XGROUP_CREATE "XGROUP CREATE" Stream (5, 0, 0) -5 Write, One(2), ByKey, EveryNode, Reply, Shared;
    XGROUP_CREATECONSUMER "XGROUP CREATECONSUMER" Stream (6, 2, 0) 5 Write, One(2), ByKey,
        EveryNode, Reply, Shared;
    XGROUP_DELCONSUMER "XGROUP DELCONSUMER" Stream (5, 0, 0) 5 Write, One(2), ByKey, EveryNode, Reply, Shared;
    XGROUP_DESTROY "XGROUP DESTROY" Stream (5, 0, 0) 4 Write, One(2), ByKey, EveryNode, Reply, Shared;
    XGROUP_HELP "XGROUP HELP" Stream (5, 0, 0) 2 Read, None, AnyNode, AnyNode, Read, Shared;
    XGROUP_SETID "XGROUP SETID" Stream (5, 0, 0) -5 Write, One(2), ByKey, EveryNode, Never, Shared;
    XIDMPRECORD "XIDMPRECORD" Stream (8, 6, 2) 5 Write, One(1), ByKey, EveryNode, Idempotent, Shared;
    XINFO_CONSUMERS "XINFO CONSUMERS" Stream (5, 0, 0) 4 Read, One(2), ByKey, AnyNode, Read, Shared;
    XINFO_GROUPS "XINFO GROUPS" Stream (5, 0, 0) 3 Read, One(2), ByKey, AnyNode, Read, Shared;
    XINFO_HELP "XINFO HELP" Stream (5, 0, 0) 2 Read, None, AnyNode, AnyNode, Read, Shared;
    XINFO_STREAM "XINFO STREAM" Stream (5, 0, 0) -3 Read, One(2), ByKey, AnyNode, Read, Shared;
    XLEN "XLEN" Stream (5, 0, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    XNACK "XNACK" Stream (8, 8, 0) -7 Write, One(1), ByKey, EveryNode, Never, Shared;
    XPENDING "XPENDING" Stream (5, 0, 0) -3 Read, One(1), ByKey, AnyNode, Read, Shared;
    XRANGE "XRANGE" Stream (5, 0, 0) -4 Read, One(1), ByKey, AnyNode, Read, Shared;
    XREAD "XREAD" Stream (5, 0, 0) -4 Read, Streams, ByKey, AnyNode, Read, BlockingWith("BLOCK");
    XREADGROUP "XREADGROUP" Stream (5, 0, 0) -7 Write, Streams, ByKey,
        Effect(Random), Never, BlockingWith("BLOCK");
    XREVRANGE "XREVRANGE" Stream (5, 0, 0) -4 Read, One(1), ByKey, AnyNode, Read, Shared;
    XSETID "XSETID" Stream (5, 0, 0) -3 Write, One(1), ByKey, EveryNode, Idempotent, Shared;
    XTRIM "XTRIM" Stream (5, 0, 0) -4 Write, One(1), ByKey, Effect(Random), Reply, Shared;
    ZADD "ZADD" SortedSet (1, 2, 0) -4 Write, One(1), ByKey,
        Effect(ConditionalIf { from: 2, until: Number, options: ZADD_CONDITIONS }), Idempotent, Shared;
    ZCARD "ZCARD" SortedSet (1, 2, 0) 2 Read, One(1), ByKey, AnyNode, Read, Shared;
    ZCOUNT "ZCOUNT" SortedSet (2, 0, 0) 4 Read, One(1), ByKey, AnyNode, Read, Shared;
    ZDIFF "ZDIFF" SortedSet (6, 2, 0) -3 Read, Counted(1), ByKey, AnyNode, Read, Shared;
    ZDIFFSTORE "ZDIFFSTORE" SortedSet (6, 2, 0) -4 Write, StoreCounted(1, 2), ByKey,
        EveryNode, Never, Shared;
    ZINCRBY "ZINCRBY" SortedSet (1, 2, 0) 4 Write, One(1), ByKey, Effect(Float), Never, Shared;
    ZINTER "ZINTER" SortedSet (6, 2, 0) -3 Read, Counted(1), ByKey, AnyNode, Read, Shared;
    ZINTERCARD "ZINTERCARD" SortedSet (7, 0, 0) -3 Read, Counted(1), ByKey, AnyNode, Read, Shared;
    ZINTERSTORE "ZINTERSTORE" SortedSet (2, 0, 0) -4 Write, StoreCounted(1, 2), ByKey,
        EveryNode, Never, Shared;
    ZLEXCOUNT "ZLEXCOUNT" SortedSet (2, 8, 9) 4 Read, One(1), ByKey, AnyNode, Read, Shared;
    ZMPOP "ZMPOP" SortedSet (7, 0, 0) -4 Write, Counted(1), ByKey, Effect(Pop), Never, Shared;
    ZMSCORE "ZMSCORE" SortedSet (6, 2, 0) -3 Read, One(1), ByKey, AnyNode, Read, Shared;
    ZPOPMAX "ZPOPMAX" SortedSet (5, 0, 0) -2 Write, One(1), ByKey, Effect(Pop), Never, Shared;
    ZPOPMIN "ZPOPMIN" SortedSet (5, 0, 0) -2 Write, One(1), ByKey, Effect(Pop), Never, Shared;
    ZRANDMEMBER "ZRANDMEMBER" SortedSet (6, 2, 0) -2 Read, One(1), ByKey, AnyNode, Read, Shared;
    ZRANGE "ZRANGE" SortedSet (1, 2, 0) -4 Read, One(1), ByKey, AnyNode, Read, Shared;
    ZRANGEBYLEX "ZRANGEBYLEX" SortedSet (2, 8, 9) -4 Read, One(1), ByKey, AnyNode, Read, Shared;
    ZRANGEBYSCORE "ZRANGEBYSCORE" SortedSet (1, 0, 5) -4 Read, One(1), ByKey, AnyNode, Read, Shared;
    ZRANGESTORE "ZRANGESTORE" SortedSet (6, 2, 0) -5 Write, Pair(1, 2), ByKey, EveryNode, Never, Shared;
    ZRANK "ZRANK" SortedSet (2, 0, 0) -3 Read, One(1), ByKey, AnyNode, Read, Shared;
    ZREM "ZREM" SortedSet (1, 2, 0) -3 Write, One(1), ByKey, EveryNode, Reply, Shared;
    ZREMRANGEBYLEX "ZREMRANGEBYLEX" SortedSet (2, 8, 9) 4 Write, One(1), ByKey, EveryNode, Reply, Shared;
    ZREMRANGEBYRANK "ZREMRANGEBYRANK" SortedSet (2, 0, 0) 4 Write, One(1), ByKey, EveryNode, Never, Shared;
    ZREMRANGEBYSCORE "ZREMRANGEBYSCORE" SortedSet (1, 2, 0) 4 Write, One(1), ByKey, EveryNode, Reply, Shared;
    ZREVRANGE "ZREVRANGE" SortedSet (1, 2, 0) -4 Read, One(1), ByKey, AnyNode, Read, Shared;
    ZREVRANGEBYLEX "ZREVRANGEBYLEX" SortedSet (2, 8, 9) -4 Read, One(1), ByKey, AnyNode, Read, Shared;
    ZREVRANGEBYSCORE "ZREVRANGEBYSCORE" SortedSet (2, 2, 0) -4 Read, One(1), ByKey, AnyNode, Read, Shared;
    ZREVRANK "ZREVRANK" SortedSet (2, 0, 0) -3 Read, One(1), ByKey, AnyNode, Read, Shared;
    ZSCAN "ZSCAN" SortedSet (2, 8, 0) -3 Read, One(1), ByKey, AnyNode, Read, Shared;
    ZSCORE "ZSCORE" SortedSet (1, 2, 0) 3 Read, One(1), ByKey, AnyNode, Read, Shared;
    ZUNION "ZUNION" SortedSet (6, 2, 0) -3 Read, Counted(1), ByKey, AnyNode, Read, Shared;
    ZUNIONSTORE "ZUNIONSTORE" SortedSet (2, 0, 0) -4 Write, StoreCounted(1, 2), ByKey,
        EveryNode, Never, Shared;
}

#[cfg(test)]
mod tests {
    use redis::cmd;

    use super::*;
    use crate::command::lookup;

    fn each_row(holds: impl Fn(&Spec) -> bool) {
        let broken: Vec<_> = ALL.iter().filter(|row| !holds(row)).map(|row| row.name).collect();
        assert_eq!(broken, [""; 0], "rows that break the rule");
    }

    #[test]
    fn the_rows_are_sorted_by_name_and_unique() {
        let out_of_order: Vec<_> =
            ALL.windows(2).filter(|pair| pair[0].name >= pair[1].name).map(|pair| pair[1].name).collect();
        assert_eq!(out_of_order, [""; 0]);
    }

    #[test]
    fn a_name_is_one_or_two_words_in_capitals() {
        each_row(|row| row.name.len() <= LONGEST_NAME && matches!(row.words().count(), 1 | 2));
        each_row(|row| row.name == row.name.to_uppercase() && row.words().all(|word| !word.is_empty()));
        each_row(|row| usize::from(row.arity.unsigned_abs()) >= row.words().count());
    }

    #[test]
    fn only_the_six_commands_whose_parts_mean_the_same_are_split() {
        let split: Vec<_> =
            ALL.iter().filter(|row| matches!(row.ring, OnRing::Split(_))).map(|row| row.name).collect();
        assert_eq!(split, ["DEL", "EXISTS", "MGET", "MSET", "TOUCH", "UNLINK"]);
        each_row(|row| {
            !matches!(row.ring, OnRing::Split(_)) || matches!(row.keys, Keys::Each { first: 1, .. })
        });
    }

    #[test]
    fn a_command_with_keys_goes_by_them_and_one_without_does_not() {
        each_row(|row| match row.ring {
            OnRing::ByKey | OnRing::Split(_) => row.keys != Keys::None,
            OnRing::EveryNode(_) | OnRing::AnyNode => row.keys == Keys::None,
            OnRing::Refuse(_) => true,
        });
    }

    #[test]
    fn a_refusal_says_why_in_lower_case_and_without_a_final_stop() {
        let is_reason = |text: &str| {
            text.len() > 20
                && !text.ends_with('.')
                && text.starts_with(char::is_lowercase)
                && !text.contains("  ")
        };
        each_row(|row| if let OnRing::Refuse(text) = row.ring { is_reason(text) } else { true });
        each_row(|row| if let OnCopy::Refuse(text) = row.copy { is_reason(text) } else { true });
        // A command that is refused on a copy has no answer of several servers to merge either.
        each_row(|row| matches!(row.ring, OnRing::Refuse(_)) == matches!(row.copy, OnCopy::Refuse(_)));
    }

    #[test]
    fn a_write_never_goes_to_any_node_of_a_copy_and_a_read_never_has_an_effect() {
        each_row(|row| match (row.access, row.copy) {
            (_, OnCopy::Refuse(_)) => true,
            (Access::Write, copy) => copy != OnCopy::AnyNode,
            // A keyless question whose answer is the sum of what the nodes know: `PUBSUB CHANNELS`.
            (Access::Read, OnCopy::EveryNode) => matches!(row.ring, OnRing::EveryNode(Union | Min)),
            (Access::Read, copy) => copy == OnCopy::AnyNode,
            (Access::Each, copy) => copy == OnCopy::EveryNode,
        });
        each_row(|row| row.copy != OnCopy::OneNode || matches!(row.keys, Keys::Channel(_)));
    }

    #[test]
    fn what_changes_a_connection_is_refused_where_connections_are_shared() {
        each_row(|row| row.connection != Connection::Session || matches!(row.ring, OnRing::Refuse(_)));
    }

    #[test]
    fn replies_are_kept_apart_for_questions_about_a_server_only() {
        each_row(|row| match row.ring {
            OnRing::Refuse(_) => true,
            ring => (ring == OnRing::EveryNode(All)) == (row.access == Access::Each),
        });
    }

    #[test]
    fn a_write_is_never_repeated_as_a_read_is() {
        each_row(|row| row.access != Access::Write || row.retry != Retry::Read);
        each_row(|row| row.access != Access::Read || row.retry == Retry::Read);
        // An element that is taken away is gone, and a program may do anything.
        each_row(|row| match row.copy {
            OnCopy::Effect(Pop | Script | Float) => row.retry == Retry::Never,
            _ => true,
        });
    }

    #[test]
    fn a_condition_is_written_in_capitals() {
        each_row(|row| match row.copy {
            OnCopy::Effect(ConditionalIf { options, .. }) => {
                !options.is_empty() && options.iter().all(|option| *option == option.to_uppercase())
            }
            _ => true,
        });
    }

    #[test]
    fn lookup_finds_every_row_by_its_own_words_in_any_case() {
        each_row(|row| {
            let mut command = cmd("");
            command.clear();
            for word in row.words() {
                command.arg(word.to_lowercase());
            }
            let bare = lookup(&command).is_some_and(|found| found.name == row.name);
            command.arg("HELP").arg("x");
            bare && (row.name == "COMMAND" || lookup(&command).is_some_and(|found| found.name == row.name))
        });
    }

    #[test]
    fn what_has_no_row_is_not_found() {
        let name = |words: &[&str]| {
            let mut command = cmd(words[0]);
            command.arg(&words[1..]);
            lookup(&command).map(|row| row.name)
        };
        assert_eq!(name(&["COMMAND"]), Some("COMMAND"));
        assert_eq!(name(&["COMMAND", "docs", "get"]), Some("COMMAND DOCS"));
        assert_eq!(name(&["COMMAND", "NOSUCH"]), None);
        assert_eq!(name(&["CONFIG"]), None);
        assert_eq!(name(&["CONFIG", "NOSUCH"]), None);
        assert_eq!(name(&["CONFIG GET"]), None, "one word with a space is no name of the protocol");
        assert_eq!(name(&["CONFIG", "GET maxmemory"]), None);
        assert_eq!(name(&["CONF"]), None);
        assert_eq!(name(&[""]), None);
        assert_eq!(name(&["A"]), None);
        assert_eq!(name(&["ZZZ"]), None);
        assert_eq!(name(&["G\u{c9}T"]), None);
        let long = "X".repeat(1000);
        assert_eq!(name(&[&long]), None);
        assert_eq!(name(&["CONFIG", &long]), None);
        assert_eq!(name(&["COMMAND", &long]), None);
        assert_eq!(name(&["GET", &long]), Some("GET"), "a key is no part of the name");
        assert_eq!(lookup(&Cmd::new()).map(|row| row.name), None);
    }
}

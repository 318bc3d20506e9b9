//! The columns of the command table.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use redis::Cmd;
use redis::ToRedisArgs;

use super::words::value_of_stream_option;

/// A row of the table: everything that routing, copying and retrying need to know of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spec {
    /// The wire name in capitals; a subcommand follows its command after one space: `CONFIG GET`.
    pub name: &'static str,
    /// The group on redis.io.
    pub group: Group,
    /// The first server versions that have the command.
    pub since: Since,
    /// The number of words on the wire, the name's own included; `-n` means at least `n`.
    pub arity: i8,
    /// The access: the command reads data, may change something, or asks a server about itself.
    pub access: Access,
    /// The positions of its keys.
    pub keys: Keys,
    /// The route of the command on a ring.
    pub ring: OnRing,
    /// The route of the command on a copy.
    pub copy: OnCopy,
    /// The retries: whether the command may be sent again after an attempt whose outcome is not known.
    pub retry: Retry,
    /// The kind of connection that the command needs.
    pub connection: Connection,
}

impl Spec {
    /// The words of the name: one, or two for a subcommand.
    pub fn words(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.name.split(' ')
    }

    /// Returns whether a command of `n_args` words, the name's own included, has an acceptable length.
    pub fn accepts(&self, n_args: usize) -> bool {
        let arity = usize::from(self.arity.unsigned_abs());
        if self.arity < 0 { n_args >= arity } else { n_args == arity }
    }

    /// Says why a command must not run on a connection that others use, if it must not.
    #[inline]
    pub fn needs_dedicated(&self, cmd: &Cmd) -> Option<&'static str> {
        const BLOCKS: &str =
            "it would block the shared connection; run it on a connection of its own, by `dedicated()`";
        const CHANGES: &str =
            "it would change the shared connection; run it on a connection of its own, by `dedicated()`";
        match self.connection {
            Connection::Shared => None,
            Connection::BlockingWith(option) if value_of_stream_option(cmd, option).is_none() => None,
            Connection::Blocking | Connection::BlockingWith(_) => Some(BLOCKS),
            Connection::Session => Some(CHANGES),
        }
    }

    /// Returns whether it can wait for keys on a connection of its own, given it alone. `WAIT` cannot: it
    /// asks about what its own connection wrote before.
    pub fn blocks_for_keys(&self) -> bool {
        let blocks = matches!(self.connection, Connection::Blocking | Connection::BlockingWith(_));
        blocks && self.keys != Keys::None
    }
}

/// The first versions that have a command, as `(major, minor, patch)`; `None` where no version has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Since {
    /// The first version of Redis.
    pub redis: Option<(u8, u8, u8)>,
    /// The first version of Valkey, which has all that Redis 7.2.4 has.
    pub valkey: Option<(u8, u8, u8)>,
}

impl Since {
    /// Of Redis since this version, and of Valkey if Redis had it when Valkey began.
    pub(super) const fn redis(version: (u8, u8, u8)) -> Self {
        let (major, minor, patch) = version;
        let before_valkey = major < 7 || major == 7 && (minor < 2 || minor == 2 && patch <= 4);
        let valkey = if before_valkey { Some(version) } else { None };
        Self { redis: Some(version), valkey }
    }

    /// Of both, since these versions.
    pub(super) const fn both(redis: (u8, u8, u8), valkey: (u8, u8, u8)) -> Self {
        Self { redis: Some(redis), valkey: Some(valkey) }
    }

    /// Of Valkey alone, since this version.
    pub(super) const fn valkey(version: (u8, u8, u8)) -> Self {
        Self { redis: None, valkey: Some(version) }
    }
}

/// A row whose access is part of its type, so that a write cannot be sent as a read.
///
/// ```compile_fail
/// # async fn f(node: redisdb_node::Node) {
/// use redisdb_node::{Execute, command};
/// let _ = node.read::<()>(&command::rows::SET, command::rows::SET.cmd()).await; // `SET` is a `Command<Write>`
/// # }
/// ```
pub struct Command<A> {
    spec: Spec,
    /// The words of its name: looking for the space anew for each command would cost as much as its routing.
    words: (&'static str, Option<&'static str>),
    access: PhantomData<A>,
}

impl<A> Command<A> {
    /// The row itself.
    pub const fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Starts the command: its name is written, its arguments follow by [`Cmd::arg`].
    ///
    /// Room for a few short arguments is reserved, so that a common command costs two allocations.
    // With the body of this function in them, the typed commands would be too big to be inlined. The future
    // that each returns would be moved twice, not made where it is awaited: 5 % of a call.
    #[inline(never)]
    pub fn cmd(&self) -> Cmd {
        match SPARE.try_with(Cell::take) {
            Ok(Some(spare)) => self.begun(spare),
            _ => self.with_room(4, 64),
        }
    }

    /// The command with one argument, or several in one.
    pub(crate) fn with(&self, argument: impl ToRedisArgs) -> Cmd {
        let mut cmd = self.cmd();
        cmd.arg(argument);
        cmd
    }

    /// Starts the command as [`cmd`](Self::cmd) does, with room for that many arguments of 32 bytes: growing
    /// its way up costs 70 instructions for each of a hundred.
    #[inline(never)]
    pub(crate) fn cmd_for(&self, n_args: usize) -> Cmd {
        // Whoever counted them may be wrong: more than these grow as they come.
        const MOST: usize = 1 << 16;
        let n_args = n_args.min(MOST);
        self.with_room(2 + n_args, 32 * (1 + n_args))
    }

    fn with_room(&self, n_words: usize, n_bytes: usize) -> Cmd {
        self.begun(Cmd::with_capacity(n_words, n_bytes))
    }

    fn begun(&self, mut cmd: Cmd) -> Cmd {
        let (command, subcommand) = self.words;
        cmd.arg(command);
        if let Some(subcommand) = subcommand {
            cmd.arg(subcommand);
        }
        cmd
    }
}

thread_local! {
    /// The memory of a command that is over, for the next one of this thread.
    static SPARE: Cell<Option<Cmd>> = const { Cell::new(None) };
}

/// Keeps the memory of a command that is over. Recording a hundred commands in a pipeline would else be two hundred allocations, of which
/// nothing is left but the bytes that were packed.
#[inline]
pub(crate) fn spare(mut cmd: Cmd) {
    cmd.clear();
    // At the end of a thread it is dropped.
    let _ = SPARE.try_with(|spare| spare.set(Some(cmd)));
}

impl<A> fmt::Debug for Command<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spec.fmt(f)
    }
}

/// Access of [`Command`]: reads data.
#[derive(Debug, Clone, Copy)]
pub enum Read {}

/// Access of [`Command`]: may change data or a server.
#[derive(Debug, Clone, Copy)]
pub enum Write {}

/// Access of [`Command`]: asks each server about itself.
#[derive(Debug, Clone, Copy)]
pub enum Each {}

macro_rules! typed {
    ($($access:ident),*) => {$(
        impl Command<$access> {
            pub(super) const fn new(mut spec: Spec) -> Self {
                spec.access = Access::$access;
                Self { spec, words: words(spec.name), access: PhantomData }
            }
        }
    )*};
}
typed!(Read, Write, Each);

const fn words(name: &'static str) -> (&'static str, Option<&'static str>) {
    let mut rest = name.as_bytes();
    while let [first, behind @ ..] = rest {
        if *first == b' ' {
            let (command, _) = name.split_at(name.len() - rest.len());
            let (_, subcommand) = name.split_at(name.len() - behind.len());
            return (command, Some(subcommand));
        }
        rest = behind;
    }
    (name, None)
}

/// The access of a command to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// The command reads data.
    Read,
    /// The command may change data, or the server itself.
    Write,
    /// The command asks a server about itself; the answers of several servers are kept apart.
    Each,
}

/// The groups of <https://redis.io/docs/latest/commands/>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names are redis.io's own")]
pub enum Group {
    Array,
    Bitmap,
    Cluster,
    Connection,
    Generic,
    Geo,
    Hash,
    HyperLogLog,
    List,
    /// No group of redis.io: it was [registered](crate::command::Registration).
    Module,
    PubSub,
    Scripting,
    Sentinel,
    Server,
    Set,
    SortedSet,
    Stream,
    String,
    Transactions,
    VectorSet,
}

/// The positions of the keys of a command; a position counts words from the command's name, which is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keys {
    /// The command has no key.
    None,
    /// A key at this position.
    One(u8),
    /// Two keys at these positions.
    Pair(u8, u8),
    /// A key at `first` and at every `step`-th word after it, to the end: `MGET`, `MSET`.
    Each {
        /// The position of the first key.
        first: u8,
        /// The distance from one key to the next.
        step: u8,
    },
    /// Keys from `first` up to the `trailing` last words, which are not keys: `BLPOP key .. timeout`.
    Until {
        /// The position of the first key.
        first: u8,
        /// The number of words at the end that are not keys.
        trailing: u8,
    },
    /// The number of keys stands at this position and the keys follow it: `EVAL`, `LMPOP`.
    Counted(u8),
    /// The number of keys stands at this position; the keys follow it, each with its value: `MSETEX`.
    CountedPairs(u8),
    /// A destination at the first position, the number of source keys at the second, the sources after it:
    /// `ZUNIONSTORE`.
    StoreCounted(u8, u8),
    /// The first half of what follows the word `STREAMS`: `XREAD`.
    Streams,
    /// A key at 1 and one after the last of the options `stores`: `SORT .. STORE`, `GEORADIUS .. STORE`.
    OneAndAfter {
        /// The position of the first word that may be an option.
        from: u8,
        /// The options that a key follows.
        stores: &'static [&'static str],
        /// The options that a pattern of other keys follows: `BY weight_*`. No client can tell which keys
        /// those are.
        patterns: &'static [&'static str],
    },
    /// `MIGRATE`: the key at 3, or, where that is empty, those after the word `KEYS`.
    Migrate,
    /// A channel, not a key, at this position, placed as a key is: `PUBLISH`.
    Channel(u8),
    /// Channels, not keys, from `first` to the end, placed as keys are: `SUBSCRIBE`, `SSUBSCRIBE`.
    Channels {
        /// The position of the first channel.
        first: u8,
    },
}

/// The route of a command on a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnRing {
    /// To the node that owns its keys, which must have one hash tag.
    ByKey,
    /// A part for each node that owns some of the keys; the replies are merged in the caller's order.
    Split(Merge),
    /// To every node; the replies are merged.
    EveryNode(Merge),
    /// To one node, whichever is up: they would all say the same.
    AnyNode,
    /// The command is not sent: the text says why, and what to do instead.
    Refuse(&'static str),
}

/// The rule by which the replies of several nodes become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Merge {
    /// Integers are added: `DEL`, `DBSIZE`.
    Sum,
    /// The elements stand where the caller's keys stood: `MGET`; of keyless commands, one list after the
    /// other: `KEYS`.
    Concat,
    /// Every node must have said the same simple answer: `MSET`, `FLUSHALL`, `SCRIPT LOAD`.
    AllOk,
    /// The smallest integer; of arrays, element by element: `SCRIPT EXISTS`, where it is a logical and.
    Min,
    /// Nothing is merged: each node's reply under its name: `INFO`.
    All,
    /// A list without duplicates: `PUBSUB CHANNELS`.
    Union,
    /// A single reply, weighted by the number of keys of its node: `RANDOMKEY`.
    First,
}

/// The route of a command on a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnCopy {
    /// A read: one node, chosen by the key; the next one when it is down.
    AnyNode,
    /// The same command to every node: its effect is the same everywhere.
    EveryNode,
    /// Its text would not have the same effect everywhere; see the effect.
    Effect(Effect),
    /// A single node, chosen by the channel: every node would deliver the message again.
    OneNode,
    /// The command is not sent: the text says why, and what to do instead.
    Refuse(&'static str),
}

/// The reason why the same text may leave two servers different, and so what is sent instead.
///
/// The authority is what Redis itself sends to its replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// The command has a relative expiry: one absolute deadline is computed once and sent to all.
    Deadline,
    /// The server chooses: `SPOP`, `XADD *`.
    Random,
    /// Floating point, which may round differently: `INCRBYFLOAT`.
    Float,
    /// The data of the node decides whether the command takes effect: `SETNX`.
    Conditional,
    /// The data of the node decides what the command takes away: `LPOP`.
    Pop,
    /// A program, which may do any of these: `EVAL`.
    Script,
    /// `Conditional` if one of `options` stands there, `Deadline` otherwise: `SET`; see
    /// [`Spec::condition_of`].
    ///
    /// A command without a relative expiry (`ZADD`) has nothing to be made absolute: it goes as it is.
    ConditionalIf {
        /// The position of the first word that may be an option.
        from: u8,
        /// The end of the options.
        until: Until,
        /// The options that make it conditional, in capitals.
        options: &'static [&'static str],
    },
}

/// The end of the options of a command, so that a member called `NX` is not taken for an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Until {
    /// With the command.
    End,
    /// Before the first number: the score in `ZADD board GT CH 5 lt`.
    Number,
    /// Anywhere but among the fields: `HEXPIRE key 10 NX FIELDS 1 nx`, and since Redis 8.4 also
    /// `HEXPIRE key 10 FIELDS 1 nx NX`.
    Fields,
}

/// The retries after an attempt whose outcome is not known: it timed out, or the connection broke.
///
/// With an option that makes it conditional ([`Spec::condition_of`]), a command counts as `Never`, whatever
/// its row says: `ZADD .. INCR` would add twice, and `SET .. NX` would say that it lost against itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// The command changes nothing and may be sent again.
    Read,
    /// Sending it twice leaves the same state, and the second reply serves as well: `SET`, `HSET`, `SADD`. The
    /// second reply may count less than the first one did: what was added is there by then.
    Idempotent,
    /// Sending it twice leaves the same state, but the reply would differ: `DEL`, `SETNX`.
    Reply,
    /// Sending it twice would do it twice, or it is not known: `INCR`, `LPUSH`, `EVAL`.
    Never,
}

/// The kind of connection that a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Connection {
    /// The node's shared connection.
    Shared,
    /// A dedicated one: the command blocks all that come after it.
    Blocking,
    /// A dedicated one if this word stands among the options: `XREAD .. BLOCK`.
    BlockingWith(&'static str),
    /// A dedicated one: the command changes the state of the connection, as `MULTI`, `SELECT` and `SUBSCRIBE`
    /// do.
    Session,
}

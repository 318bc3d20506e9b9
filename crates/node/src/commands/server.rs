//! Servers: <https://redis.io/docs/latest/commands/?group=server>, and what the connection group asks a
//! server.

use std::collections::HashMap;
use std::collections::HashSet;
use std::future::Future;

use redis::FromRedisValue;
use redis::RedisWrite;
use redis::Role;
use redis::ToRedisArgs;
use redis::ToSingleRedisArg;
use redis::Value;

use super::clients::ClientList;
use super::expiry::Timestamp;
use super::info::Info;
use super::latency::LatencyEvent;
use super::latency::LatencyHistogram;
use super::latency::LatencySpike;
use super::slowlog::CommandLog;
use super::slowlog::CommandLogEntry;
use super::slowlog::SlowlogEntry;
use crate::Execute;
use crate::command::rows::BGREWRITEAOF;
use crate::command::rows::BGSAVE;
use crate::command::rows::CLIENT_KILL;
use crate::command::rows::CLIENT_LIST;
use crate::command::rows::COMMAND_COUNT;
use crate::command::rows::COMMAND_DOCS;
use crate::command::rows::COMMAND_GETKEYS;
use crate::command::rows::COMMAND_GETKEYSANDFLAGS;
use crate::command::rows::COMMAND_LIST;
use crate::command::rows::COMMANDLOG_GET;
use crate::command::rows::COMMANDLOG_LEN;
use crate::command::rows::COMMANDLOG_RESET;
use crate::command::rows::CONFIG_GET;
use crate::command::rows::CONFIG_RESETSTAT;
use crate::command::rows::CONFIG_REWRITE;
use crate::command::rows::CONFIG_SET;
use crate::command::rows::DBSIZE;
use crate::command::rows::DEBUG;
use crate::command::rows::ECHO;
use crate::command::rows::FLUSHALL;
use crate::command::rows::FLUSHDB;
use crate::command::rows::INFO;
use crate::command::rows::LASTSAVE;
use crate::command::rows::LATENCY_DOCTOR;
use crate::command::rows::LATENCY_GRAPH;
use crate::command::rows::LATENCY_HISTOGRAM;
use crate::command::rows::LATENCY_HISTORY;
use crate::command::rows::LATENCY_LATEST;
use crate::command::rows::LATENCY_RESET;
use crate::command::rows::MEMORY_DOCTOR;
use crate::command::rows::MEMORY_MALLOC_STATS;
use crate::command::rows::MEMORY_PURGE;
use crate::command::rows::MEMORY_STATS;
use crate::command::rows::MEMORY_USAGE;
use crate::command::rows::PING;
use crate::command::rows::REPLICAOF;
use crate::command::rows::ROLE;
use crate::command::rows::SAVE;
use crate::command::rows::SHUTDOWN;
use crate::command::rows::SLAVEOF;
use crate::command::rows::SLOWLOG_GET;
use crate::command::rows::SLOWLOG_LEN;
use crate::command::rows::SLOWLOG_RESET;
use crate::command::rows::SWAPDB;
use crate::command::rows::TIME;

/// The commands that concern a server as a whole.
///
/// A question to a server about itself is put to every node of a ring and of a copy, and each node's answer
/// is returned under its name. A command that changes a server is run on every node. A command that can only
/// be meant for one server (`SHUTDOWN`, `REPLICAOF`, ..) is refused: call it on that node.
///
/// # Errors
/// As [`Execute::read`], [`Execute::write`] and [`Execute::each`].
pub trait ServerCommands: Execute {
    /// Starts to rewrite the append-only file in the background.
    ///
    /// See <https://redis.io/docs/latest/commands/bgrewriteaof/>.
    fn bgrewriteaof(&self) -> impl Future<Output = Result<Self::Write<String>, Self::Error>> + Send {
        self.write(&BGREWRITEAOF, BGREWRITEAOF.cmd())
    }

    /// Starts to save the data set to disk in the background.
    ///
    /// # Errors
    /// The server's, if it is already saving, or rewriting its append-only file: see
    /// [`bgsave_schedule`](Self::bgsave_schedule).
    ///
    /// See <https://redis.io/docs/latest/commands/bgsave/>.
    fn bgsave(&self) -> impl Future<Output = Result<Self::Write<String>, Self::Error>> + Send {
        self.write(&BGSAVE, BGSAVE.cmd())
    }

    /// Starts to save the data set to disk in the background, or does so once the append-only file has been
    /// rewritten.
    ///
    /// See <https://redis.io/docs/latest/commands/bgsave/>.
    fn bgsave_schedule(&self) -> impl Future<Output = Result<Self::Write<String>, Self::Error>> + Send {
        self.write(&BGSAVE, BGSAVE.cmd().arg("SCHEDULE").take())
    }

    /// Closes the connection of a client, given its `ip:port`.
    ///
    /// # Errors
    /// The server's, if there is no such client.
    ///
    /// See <https://redis.io/docs/latest/commands/client-kill/>.
    fn client_kill(
        &self,
        address: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&CLIENT_KILL, CLIENT_KILL.with(address))
    }

    /// Closes the connections of all clients that pass every filter, and returns how many there were.
    ///
    /// See <https://redis.io/docs/latest/commands/client-kill/>.
    fn client_kill_with(
        &self,
        filters: ClientKillFilters,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&CLIENT_KILL, CLIENT_KILL.with(filters))
    }

    /// Returns the clients that are connected.
    ///
    /// See <https://redis.io/docs/latest/commands/client-list/>.
    fn client_list(&self) -> impl Future<Output = Result<Self::Each<ClientList>, Self::Error>> + Send {
        self.each(&CLIENT_LIST, CLIENT_LIST.cmd())
    }

    /// Returns how many commands the server knows.
    ///
    /// See <https://redis.io/docs/latest/commands/command-count/>.
    fn command_count(&self) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&COMMAND_COUNT, COMMAND_COUNT.cmd())
    }

    /// Returns the documentation of commands, each a map as the server sends it. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/command-docs/>.
    fn command_docs(
        &self,
        names: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<HashMap<String, Value>, Self::Error>> + Send {
        self.read(&COMMAND_DOCS, COMMAND_DOCS.with(names))
    }

    /// Returns the keys of a command, which is given as its words; it is not run.
    ///
    /// # Errors
    /// The server's, if there is no such command or it has no key.
    ///
    /// See <https://redis.io/docs/latest/commands/command-getkeys/>.
    fn command_getkeys<K: FromRedisValue + Send>(
        &self,
        command: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Vec<K>, Self::Error>> + Send {
        self.read(&COMMAND_GETKEYS, COMMAND_GETKEYS.with(command))
    }

    /// Returns the keys of a command as [`command_getkeys`](Self::command_getkeys) does, each with what is
    /// done to it: `RO`, `access`, .. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/command-getkeysandflags/>.
    fn command_getkeysandflags<K: FromRedisValue + Send>(
        &self,
        command: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Vec<(K, Vec<String>)>, Self::Error>> + Send {
        self.read(&COMMAND_GETKEYSANDFLAGS, COMMAND_GETKEYSANDFLAGS.with(command))
    }

    /// Returns the names of the commands that the server knows. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/command-list/>.
    fn command_list(&self) -> impl Future<Output = Result<HashSet<String>, Self::Error>> + Send {
        self.read(&COMMAND_LIST, COMMAND_LIST.cmd())
    }

    /// Returns the configuration parameters that match glob-style patterns. Several patterns need Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/config-get/>.
    fn config_get(
        &self,
        patterns: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Each<HashMap<String, String>>, Self::Error>> + Send {
        self.each(&CONFIG_GET, CONFIG_GET.with(patterns))
    }

    /// Sets the statistics that [`info`](Self::info) returns to zero.
    ///
    /// See <https://redis.io/docs/latest/commands/config-resetstat/>.
    fn config_resetstat(&self) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&CONFIG_RESETSTAT, CONFIG_RESETSTAT.cmd())
    }

    /// Writes the configuration in force to the configuration file.
    ///
    /// # Errors
    /// The server's, if it runs without a configuration file.
    ///
    /// See <https://redis.io/docs/latest/commands/config-rewrite/>.
    fn config_rewrite(&self) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&CONFIG_REWRITE, CONFIG_REWRITE.cmd())
    }

    /// Sets a configuration parameter.
    ///
    /// # Errors
    /// The server's, if there is no such parameter, or it cannot be set so.
    ///
    /// See <https://redis.io/docs/latest/commands/config-set/>.
    fn config_set(
        &self,
        name: impl ToSingleRedisArg + Send,
        value: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&CONFIG_SET, CONFIG_SET.cmd().arg(name).arg(value).take())
    }

    /// Sets configuration parameters, pairs of a name and a value: all of them or none. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/config-set/>.
    fn config_set_multiple<N: ToSingleRedisArg + Send, V: ToSingleRedisArg + Send>(
        &self,
        parameters: impl IntoIterator<Item = (N, V)> + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        let mut cmd = CONFIG_SET.cmd();
        for (name, value) in parameters {
            cmd.arg(name).arg(value);
        }
        self.write(&CONFIG_SET, cmd)
    }

    /// Returns the number of keys.
    ///
    /// # On a ring
    /// The sum over all nodes.
    ///
    /// # On a copy
    /// The number of keys of one node. On a copy with an identity its own keys count: the marker, and for each node that is
    /// behind one key with what it has missed.
    ///
    /// See <https://redis.io/docs/latest/commands/dbsize/>.
    fn dbsize(&self) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&DBSIZE, DBSIZE.cmd())
    }

    /// Returns what the server knows of a value inside, as text. Only where its configuration allows it.
    ///
    /// See <https://redis.io/docs/latest/commands/debug/>.
    fn debug_object(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<String>, Self::Error>> + Send {
        self.write(&DEBUG, DEBUG.cmd().arg("OBJECT").arg(key).take())
    }

    /// Returns what was sent.
    ///
    /// See <https://redis.io/docs/latest/commands/echo/>.
    fn echo<V: FromRedisValue + Send>(
        &self,
        message: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<V, Self::Error>> + Send {
        self.read(&ECHO, ECHO.with(message))
    }

    /// Deletes all keys of all databases.
    ///
    /// See <https://redis.io/docs/latest/commands/flushall/>.
    fn flushall(&self) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&FLUSHALL, FLUSHALL.cmd())
    }

    /// Deletes all keys of all databases, and says whether to wait for it. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/flushall/>.
    fn flushall_with(
        &self,
        mode: FlushMode,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&FLUSHALL, FLUSHALL.with(mode))
    }

    /// Deletes all keys of the database.
    ///
    /// See <https://redis.io/docs/latest/commands/flushdb/>.
    fn flushdb(&self) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&FLUSHDB, FLUSHDB.cmd())
    }

    /// Deletes all keys of the database, and says whether to wait for it. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/flushdb/>.
    fn flushdb_with(
        &self,
        mode: FlushMode,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&FLUSHDB, FLUSHDB.with(mode))
    }

    /// Returns what the server says of itself, in its default sections.
    ///
    /// See <https://redis.io/docs/latest/commands/info/>.
    fn info(&self) -> impl Future<Output = Result<Self::Each<Info>, Self::Error>> + Send {
        self.each(&INFO, INFO.cmd())
    }

    /// Returns sections of what the server says of itself: `"memory"`, `"all"`. Several sections need Redis
    /// 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/info/>.
    fn info_with(
        &self,
        sections: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Each<Info>, Self::Error>> + Send {
        self.each(&INFO, INFO.with(sections))
    }

    /// Returns when the data set was last saved, in whole seconds.
    ///
    /// See <https://redis.io/docs/latest/commands/lastsave/>.
    fn lastsave(&self) -> impl Future<Output = Result<Self::Each<Timestamp>, Self::Error>> + Send {
        self.each(&LASTSAVE, LASTSAVE.cmd())
    }

    /// Returns the server's own words on its latency.
    ///
    /// See <https://redis.io/docs/latest/commands/latency-doctor/>.
    fn latency_doctor(&self) -> impl Future<Output = Result<Self::Each<String>, Self::Error>> + Send {
        self.each(&LATENCY_DOCTOR, LATENCY_DOCTOR.cmd())
    }

    /// Returns the latency spikes of an event as a picture in characters.
    ///
    /// # Errors
    /// The server's, if there were none.
    ///
    /// See <https://redis.io/docs/latest/commands/latency-graph/>.
    fn latency_graph(
        &self,
        event: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Each<String>, Self::Error>> + Send {
        self.each(&LATENCY_GRAPH, LATENCY_GRAPH.with(event))
    }

    /// Returns how long the calls of these commands took; of none means of all. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/latency-histogram/>.
    fn latency_histogram(
        &self,
        commands: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Each<HashMap<String, LatencyHistogram>>, Self::Error>> + Send {
        self.each(&LATENCY_HISTOGRAM, LATENCY_HISTOGRAM.with(commands))
    }

    /// Returns the latency spikes of an event, the oldest first, up to 160 of them.
    ///
    /// See <https://redis.io/docs/latest/commands/latency-history/>.
    fn latency_history(
        &self,
        event: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Each<Vec<LatencySpike>>, Self::Error>> + Send {
        self.each(&LATENCY_HISTORY, LATENCY_HISTORY.with(event))
    }

    /// Returns the latest and the longest latency spike of each event.
    ///
    /// See <https://redis.io/docs/latest/commands/latency-latest/>.
    fn latency_latest(
        &self,
    ) -> impl Future<Output = Result<Self::Each<Vec<LatencyEvent>>, Self::Error>> + Send {
        self.each(&LATENCY_LATEST, LATENCY_LATEST.cmd())
    }

    /// Forgets the latency spikes of all events, and returns of how many events.
    ///
    /// See <https://redis.io/docs/latest/commands/latency-reset/>.
    fn latency_reset(&self) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&LATENCY_RESET, LATENCY_RESET.cmd())
    }

    /// Forgets the latency spikes of these events, and returns of how many there were some.
    ///
    /// See <https://redis.io/docs/latest/commands/latency-reset/>.
    fn latency_reset_events(
        &self,
        events: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&LATENCY_RESET, LATENCY_RESET.with(events))
    }

    /// Returns the server's own words on its memory.
    ///
    /// See <https://redis.io/docs/latest/commands/memory-doctor/>.
    fn memory_doctor(&self) -> impl Future<Output = Result<Self::Each<String>, Self::Error>> + Send {
        self.each(&MEMORY_DOCTOR, MEMORY_DOCTOR.cmd())
    }

    /// Returns what the server's allocator says of itself.
    ///
    /// See <https://redis.io/docs/latest/commands/memory-malloc-stats/>.
    fn memory_malloc_stats(&self) -> impl Future<Output = Result<Self::Each<String>, Self::Error>> + Send {
        self.each(&MEMORY_MALLOC_STATS, MEMORY_MALLOC_STATS.cmd())
    }

    /// Asks the allocator to give back memory.
    ///
    /// See <https://redis.io/docs/latest/commands/memory-purge/>.
    fn memory_purge(&self) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&MEMORY_PURGE, MEMORY_PURGE.cmd())
    }

    /// Returns what takes how much memory: numbers, and maps of numbers for each database.
    ///
    /// See <https://redis.io/docs/latest/commands/memory-stats/>.
    fn memory_stats(
        &self,
    ) -> impl Future<Output = Result<Self::Each<HashMap<String, Value>>, Self::Error>> + Send {
        self.each(&MEMORY_STATS, MEMORY_STATS.cmd())
    }

    /// Returns how many bytes a key and its value take, estimated from 5 of its elements; `None` if it does
    /// not exist.
    ///
    /// See <https://redis.io/docs/latest/commands/memory-usage/>.
    fn memory_usage(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Option<u64>, Self::Error>> + Send {
        self.read(&MEMORY_USAGE, MEMORY_USAGE.with(key))
    }

    /// Returns how many bytes a key and its value take, estimated from `samples` elements; 0 means all.
    ///
    /// See <https://redis.io/docs/latest/commands/memory-usage/>.
    fn memory_usage_with(
        &self,
        key: impl ToSingleRedisArg + Send,
        samples: u64,
    ) -> impl Future<Output = Result<Option<u64>, Self::Error>> + Send {
        self.read(&MEMORY_USAGE, MEMORY_USAGE.cmd().arg(key).arg("SAMPLES").arg(samples).take())
    }

    /// Returns once the server has answered.
    ///
    /// # On a ring
    /// Every node must have answered.
    ///
    /// See <https://redis.io/docs/latest/commands/ping/>.
    fn ping(&self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.read(&PING, PING.cmd())
    }

    /// Returns what was sent, once the server has answered.
    ///
    /// See <https://redis.io/docs/latest/commands/ping/>.
    fn ping_with<V: FromRedisValue + Send>(
        &self,
        message: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<V, Self::Error>> + Send {
        self.read(&PING, PING.with(message))
    }

    /// Makes the server a replica of another.
    ///
    /// See <https://redis.io/docs/latest/commands/replicaof/>.
    fn replicaof(
        &self,
        host: impl ToSingleRedisArg + Send,
        port: u16,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&REPLICAOF, REPLICAOF.cmd().arg(host).arg(port).take())
    }

    /// Makes a replica a server of its own.
    ///
    /// See <https://redis.io/docs/latest/commands/replicaof/>.
    fn replicaof_no_one(&self) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&REPLICAOF, REPLICAOF.cmd().arg("NO").arg("ONE").take())
    }

    /// Returns whether the server is a primary or a replica, and of whom.
    ///
    /// See <https://redis.io/docs/latest/commands/role/>.
    fn role(&self) -> impl Future<Output = Result<Self::Each<Role>, Self::Error>> + Send {
        self.each(&ROLE, ROLE.cmd())
    }

    /// Saves the data set to disk, and returns when it is done. The server does nothing else meanwhile.
    ///
    /// See <https://redis.io/docs/latest/commands/save/>.
    fn save(&self) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&SAVE, SAVE.cmd())
    }

    /// Shuts the server down, saving the data set if it is configured to.
    ///
    /// # Errors
    /// Always one: the connection ends instead of an answer.
    ///
    /// See <https://redis.io/docs/latest/commands/shutdown/>.
    fn shutdown(&self) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&SHUTDOWN, SHUTDOWN.cmd())
    }

    /// Shuts the server down, and says whether to save the data set.
    ///
    /// # Errors
    /// Always one: the connection ends instead of an answer.
    ///
    /// See <https://redis.io/docs/latest/commands/shutdown/>.
    fn shutdown_with(
        &self,
        save: ShutdownSave,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&SHUTDOWN, SHUTDOWN.with(save))
    }

    /// Makes the server a replica of another: the old name of [`replicaof`](Self::replicaof).
    ///
    /// See <https://redis.io/docs/latest/commands/slaveof/>.
    fn slaveof(
        &self,
        host: impl ToSingleRedisArg + Send,
        port: u16,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&SLAVEOF, SLAVEOF.cmd().arg(host).arg(port).take())
    }

    /// Makes a replica a server of its own: the old name of [`replicaof_no_one`](Self::replicaof_no_one).
    ///
    /// See <https://redis.io/docs/latest/commands/slaveof/>.
    fn slaveof_no_one(&self) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&SLAVEOF, SLAVEOF.cmd().arg("NO").arg("ONE").take())
    }

    /// Returns the last `count` commands of a log, the latest first; -1 means all. Since Valkey 8.1.
    ///
    /// See <https://valkey.io/commands/commandlog-get/>.
    fn commandlog_get(
        &self,
        count: i64,
        log: CommandLog,
    ) -> impl Future<Output = Result<Self::Each<Vec<CommandLogEntry>>, Self::Error>> + Send {
        self.each(&COMMANDLOG_GET, COMMANDLOG_GET.cmd().arg(count).arg(log).take())
    }

    /// Returns how many commands a log holds. Since Valkey 8.1.
    ///
    /// See <https://valkey.io/commands/commandlog-len/>.
    fn commandlog_len(
        &self,
        log: CommandLog,
    ) -> impl Future<Output = Result<Self::Each<u64>, Self::Error>> + Send {
        self.each(&COMMANDLOG_LEN, COMMANDLOG_LEN.with(log))
    }

    /// Empties a log of commands. Since Valkey 8.1.
    ///
    /// See <https://valkey.io/commands/commandlog-reset/>.
    fn commandlog_reset(
        &self,
        log: CommandLog,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&COMMANDLOG_RESET, COMMANDLOG_RESET.with(log))
    }

    /// Returns the last commands that were slow, the latest first; the server's default is 10 of them.
    ///
    /// See <https://redis.io/docs/latest/commands/slowlog-get/>.
    fn slowlog_get(&self) -> impl Future<Output = Result<Self::Each<Vec<SlowlogEntry>>, Self::Error>> + Send {
        self.each(&SLOWLOG_GET, SLOWLOG_GET.cmd())
    }

    /// Returns the last `count` commands that were slow, the latest first; -1 means all (since Redis 7.0).
    ///
    /// See <https://redis.io/docs/latest/commands/slowlog-get/>.
    fn slowlog_get_count(
        &self,
        count: i64,
    ) -> impl Future<Output = Result<Self::Each<Vec<SlowlogEntry>>, Self::Error>> + Send {
        self.each(&SLOWLOG_GET, SLOWLOG_GET.with(count))
    }

    /// Returns how many commands the slow log holds.
    ///
    /// See <https://redis.io/docs/latest/commands/slowlog-len/>.
    fn slowlog_len(&self) -> impl Future<Output = Result<Self::Each<u64>, Self::Error>> + Send {
        self.each(&SLOWLOG_LEN, SLOWLOG_LEN.cmd())
    }

    /// Empties the slow log.
    ///
    /// See <https://redis.io/docs/latest/commands/slowlog-reset/>.
    fn slowlog_reset(&self) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&SLOWLOG_RESET, SLOWLOG_RESET.cmd())
    }

    /// Swaps two databases: who is connected to one sees the data of the other at once.
    ///
    /// See <https://redis.io/docs/latest/commands/swapdb/>.
    fn swapdb(&self, a: u32, b: u32) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&SWAPDB, SWAPDB.cmd().arg(a).arg(b).take())
    }

    /// Returns the time by the server's clock, in microseconds.
    ///
    /// See <https://redis.io/docs/latest/commands/time/>.
    fn time(&self) -> impl Future<Output = Result<Self::Each<Timestamp>, Self::Error>> + Send {
        self.each(&TIME, TIME.cmd())
    }
}

impl<E: Execute + ?Sized> ServerCommands for E {}

/// The way in which `FLUSHALL` and `FLUSHDB` free the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlushMode {
    /// Frees the memory in the background.
    Async,
    /// Frees the memory before it answers.
    Sync,
}

impl ToRedisArgs for FlushMode {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let word = match self {
            Self::Async => "ASYNC",
            Self::Sync => "SYNC",
        };
        word.write_redis_args(out);
    }
}

/// The saving of the data set by `SHUTDOWN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShutdownSave {
    /// The data set is saved, even if no save points are configured.
    Save,
    /// The data set is not saved, even if save points are configured.
    NoSave,
}

impl ToRedisArgs for ShutdownSave {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let word = match self {
            Self::Save => "SAVE",
            Self::NoSave => "NOSAVE",
        };
        word.write_redis_args(out);
    }
}

/// The filters of `CLIENT KILL`, which closes the clients that pass every one. Without any the server
/// refuses.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct ClientKillFilters {
    words: Vec<(&'static str, String)>,
}

impl ClientKillFilters {
    /// No filter yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The client of this id.
    pub fn id(self, id: u64) -> Self {
        self.filter("ID", id.to_string())
    }

    /// The client at this `ip:port`.
    pub fn addr(self, address: impl Into<String>) -> Self {
        self.filter("ADDR", address.into())
    }

    /// Clients connected to this `ip:port` of the server. Since Redis 6.2.
    pub fn laddr(self, address: impl Into<String>) -> Self {
        self.filter("LADDR", address.into())
    }

    /// Clients logged in as this user.
    pub fn user(self, user: impl Into<String>) -> Self {
        self.filter("USER", user.into())
    }

    /// Clients of this type: `normal`, `master`, `replica` or `pubsub`.
    pub fn client_type(self, client_type: impl Into<String>) -> Self {
        self.filter("TYPE", client_type.into())
    }

    /// The client that asks, too: by default it is spared.
    pub fn include_me(self) -> Self {
        self.filter("SKIPME", "no".into())
    }

    fn filter(mut self, name: &'static str, value: String) -> Self {
        self.words.push((name, value));
        self
    }
}

impl ToRedisArgs for ClientKillFilters {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        self.words.write_redis_args(out);
    }
}

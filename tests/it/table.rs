//! The command table against what a running server says of its own commands: `COMMAND`, `COMMAND DOCS` and
//! `COMMAND GETKEYS`.
//!
//! A server before 7.0 says nothing of subcommands, tips and history: what can be compared there is counted and
//! printed, and a test that compares nothing is skipped.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::Write as _;

use redis::Value;
use redis::cmd;
use redisdb_node::command::ALL;
use redisdb_node::command::Access;
use redisdb_node::command::Connection;
use redisdb_node::command::Effect;
use redisdb_node::command::Group;
use redisdb_node::command::Keys;
use redisdb_node::command::Merge;
use redisdb_node::command::OnCopy;
use redisdb_node::command::OnRing;
use redisdb_node::command::Retry;
use redisdb_node::command::Spec;
use redisdb_tests::Release;
use redisdb_tests::argument_lists;
use redisdb_tests::command;
use xtask::Server;
use xtask::skipped;

type Version = (u8, u8, u8);

/// From here on a server tells its subcommands, tips and key specifications, and has `COMMAND DOCS`.
const DESCRIBES_ITSELF: Version = (7, 0, 0);

/// Commands of old servers that 7.0 no longer has. The first two close the connection of a browser that was tricked
/// into speaking to the server.
const GONE: [&str; 3] = ["HOST:", "POST", "STRALGO"];

/// Commands that a server before 7.0 has and does not list.
const NOT_LISTED: [&str; 1] = ["QUIT"];

/// Rows that accept more than 7.0 does, because a later server does.
const WIDENED: [&str; 6] =
    ["CLUSTER REPLICATE", "COMMAND GETKEYS", "COMMAND GETKEYSANDFLAGS", "SCRIPT DEBUG", "ZRANK", "ZREVRANK"];

/// The servers that say something.
enum Servers {
    All,
    /// The servers that have all of Redis 7.2, Valkey among them.
    Since72,
    /// The servers that have not.
    Before72,
}

const IMPORT: &str = "a connection remembers the fields, and this one is shared";
const HOT: &str = "each server counts its own keys, and is asked as `SLOWLOG` is";

/// The place where we route otherwise than the server's tips say, on which servers, and why.
const OTHERWISE: [(&str, Servers, &str); 19] = [
    ("ACL DELUSER", Servers::Since72, "a user is gone everywhere or the smallest number says it is not"),
    ("CLIENT SETINFO", Servers::All, "every connection of a node says the same of itself"),
    ("CLIENT SETNAME", Servers::Since72, "every connection of a node says the same of itself"),
    ("COMMANDLOG LEN", Servers::All, "a log is a server's own: its length is kept apart, as its entries are"),
    ("FUNCTION KILL", Servers::All, "one succeeds and the others fail: the caller knows which node is busy"),
    ("HIMPORT DISCARD", Servers::All, IMPORT),
    ("HIMPORT DISCARDALL", Servers::All, IMPORT),
    ("HIMPORT PREPARE", Servers::All, IMPORT),
    ("HOTKEYS GET", Servers::All, HOT),
    ("HOTKEYS RESET", Servers::All, HOT),
    ("HOTKEYS START", Servers::All, HOT),
    ("HOTKEYS STOP", Servers::All, HOT),
    ("LATENCY RESET", Servers::Before72, "its reply is a number of events, which adds up"),
    ("MSETEX", Servers::All, "all or nothing holds on one node only"),
    ("MSETNX", Servers::Before72, "all or nothing holds on one node only"),
    ("SCRIPT KILL", Servers::All, "one succeeds and the others fail: the caller knows which node is busy"),
    ("SLOWLOG LEN", Servers::All, "a log is a server's own: its length is kept apart, as its entries are"),
    ("WAIT", Servers::All, "it waits for the writes of one connection to one server"),
    ("WAITAOF", Servers::All, "it waits for the writes of one connection to one server"),
];

/// Rows whose first version some servers tell otherwise.
const SINCE_OTHERWISE: [(&str, &str); 1] = [("CLIENT PAUSE", "3.0.0")];

/// Commands, or the beginnings of them, in which we find other keys than `COMMAND GETKEYS` does, and why.
const FINDS_OTHERWISE: [(&str, &str); 4] = [
    ("GEORADIUS g 1 2 3 km STORE d STOREDIST e", "the last one counts: nothing is stored in the other"),
    ("MIGRATE h 1 _ 0 9 COPY AUTH2 u KEYS ", "6.2 takes the password for an option"),
    ("MSETEX 2 w2 w3 w4", "the last key has no value"),
    ("PFMERGE w1", "the destination is a key also when it is the only one"),
];

#[test]
fn every_command_of_the_server_has_a_row_and_every_row_is_a_command_of_the_server() {
    let live = Live::start();
    let rows: BTreeSet<_> = ALL.iter().map(|row| row.name).collect();
    let without_a_row: Vec<_> = live
        .commands
        .values()
        .filter(|said| !said.is_container(&rows) && !rows.contains(said.name.as_str()))
        .filter(|said| !GONE.contains(&said.name.as_str()))
        .map(|said| &said.name)
        .collect();
    assert_eq!(without_a_row, [""; 0], "commands of the server without a row");

    let is_listed = |row: &Spec| live.describes_itself() || !NOT_LISTED.contains(&row.name);
    let unknown: Vec<_> =
        live.rows().filter(|row| live.said_of(row).is_none() && is_listed(row)).map(|row| row.name).collect();
    assert_eq!(unknown, [""; 0], "rows that the server does not have, though it is new enough");
    live.report("are commands of it", live.rows().count());
}

#[test]
fn arity_agrees() {
    let live = Live::start();
    let n = live.hold(|row, said| {
        let arity = i64::from(row.arity);
        // Before 7.0 some commands had a fixed length that options have made open since, and `PFDEBUG` an open one.
        let was_fixed = said.arity == -arity;
        let is_widened =
            WIDENED.contains(&row.name) && (was_fixed && arity < 0 || arity > said.arity && said.arity < 0);
        // A module says of its commands' length that it is open.
        if said.arity == arity || said.has("module") || was_fixed && !live.describes_itself() || is_widened {
            Ok(true)
        } else {
            Err(format!("arity {} in the table, {} on the server", row.arity, said.arity))
        }
    });
    live.report("agree in arity", n);
}

#[test]
fn flags_agree() {
    let live = Live::start();
    let n = live.hold(|row, said| {
        if said.has("write") != (row.access == Access::Write) && (said.has("write") || said.has("readonly")) {
            return Err(format!("access {:?}, and its flags are {:?}", row.access, said.flags));
        }
        if said.has("readonly") && row.access != Access::Read {
            return Err(format!("access {:?}, and the server says readonly", row.access));
        }
        let blocks = matches!(row.connection, Connection::Blocking | Connection::BlockingWith(_));
        // `WAIT` has the flag since 7.2, the others since 7.0.
        if live.describes_itself() && said.has("blocking") != blocks && !row.name.starts_with("WAIT") {
            return Err(format!("connection {:?}, and its flags are {:?}", row.connection, said.flags));
        }
        Ok(true)
    });
    live.report("agree in their flags write, readonly and blocking", n);
}

#[test]
fn the_first_and_the_last_key_agree() {
    let live = Live::start();
    let n = live.hold(|row, said| {
        let expected = match row.keys {
            // An old server says of movable keys only that they are movable; `COMMAND GETKEYS` tells them.
            _ if !live.describes_itself() && said.has("movablekeys") => return Ok(false),
            Keys::None | Keys::Counted(_) | Keys::CountedPairs(_) | Keys::Streams => (0, 0, 0),
            Keys::One(at) => (at.into(), at.into(), 1),
            Keys::Pair(a, b) => (a.into(), b.into(), i64::from(b - a)),
            Keys::Each { first, step } => (first.into(), -1, step.into()),
            Keys::Until { first, trailing } => (first.into(), -1 - i64::from(trailing), 1),
            Keys::StoreCounted(at, _) => (at.into(), at.into(), 1),
            Keys::OneAndAfter { .. } => (1, 1, 1),
            Keys::Migrate => (3, 3, 1),
            // To Redis Cluster a sharded channel is a key, and a channel is none.
            Keys::Channel(at) if row.name == "SPUBLISH" => (at.into(), at.into(), 1),
            Keys::Channels { first } if row.name == "SSUBSCRIBE" => (first.into(), -1, 1),
            Keys::Channel(_) | Keys::Channels { .. } => (0, 0, 0),
            other => return Err(format!("{other:?} is not known to this test")),
        };
        // It unsubscribes without any channel too: its row leaves them to the subscription. To Redis Cluster a cursor stands
        // for a slot, as a key does.
        if said.keys == expected || ["CLUSTERSCAN", "SUNSUBSCRIBE"].contains(&row.name) {
            Ok(true)
        } else {
            Err(format!("{:?}, which is {expected:?}, and the server says {:?}", row.keys, said.keys))
        }
    });
    live.report("agree in their first and last key", n);
}

#[test]
fn the_keys_of_generated_commands_are_those_that_the_server_finds() {
    let mut live = Live::start();
    let rows: Vec<_> = live.rows().collect();
    let (mut n_rows, mut n_lists, mut differing) = (0, 0, Vec::new());
    for row in rows {
        // An old server finds the keys of a container's every subcommand where most of them have some.
        let is_told_apart = live.describes_itself() || row.words().count() == 1;
        if row.keys == Keys::None && !is_told_apart {
            continue;
        }
        n_rows += 1;
        let accepted = live.said_of(row).map_or(row.arity.into(), |said| said.arity);
        for words in argument_lists(row).into_iter().filter(|words| accepts(accepted, words.len())) {
            n_lists += 1;
            let ours = keys_by_row(row, &words);
            let theirs = live.keys_of(&words);
            let is_known = FINDS_OTHERWISE.iter().any(|(list, _)| words.join(" ").starts_with(list))
                // To a server, a channel is no key.
                || matches!(row.keys, Keys::Channel(_) | Keys::Channels { .. }) && theirs.is_empty();
            if ours != theirs && !is_known {
                differing.push(format!("{}: {ours:?} by the row, {theirs:?} by the server", words.join(" ")));
            }
        }
    }
    assert_eq!(differing, [""; 0], "commands whose keys are not where the row says");
    live.report(&format!("find the keys of {n_lists} generated commands where it does"), n_rows);
}

#[test]
fn the_routing_on_a_ring_agrees_with_the_tips() {
    let live = Live::start();
    let n = live.hold(|row, said| {
        let agrees = agrees_with_tips(row, said);
        let is_meant = |servers: &Servers| match servers {
            Servers::All => true,
            Servers::Since72 => live.release.version >= (7, 2, 0),
            Servers::Before72 => live.release.version < (7, 2, 0),
        };
        let exception = OTHERWISE.iter().find(|(name, servers, _)| *name == row.name && is_meant(servers));
        match exception {
            Some((.., why)) if agrees && live.describes_itself() => {
                Err(format!("is an exception ({why}) without need"))
            }
            None if !agrees => Err(format!("{:?}, and the server's tips are {:?}", row.ring, said.tips)),
            _ => Ok(!said.tips.is_empty()),
        }
    });
    live.report("have tips and are routed by them", n);
}

#[test]
fn a_write_whose_output_the_server_chooses_is_never_sent_as_it_is_to_every_node_of_a_copy() {
    let live = Live::start();
    let n = live.hold(|row, said| {
        if !said.has("write") || !live.describes_itself() {
            return Ok(false);
        }
        let is_chosen = said.tips.iter().any(|tip| tip == "nondeterministic_output");
        if is_chosen && !matches!(row.copy, OnCopy::Effect(Effect::Random) | OnCopy::Refuse(_)) {
            return Err(format!("{:?}, and the server's tips are {:?}", row.copy, said.tips));
        }
        Ok(true)
    });
    live.report("are writes and copied as their tips allow", n);
}

#[test]
fn group_and_since_agree() {
    let mut live = Live::start();
    let docs = live.docs();
    let mut n = 0;
    let mut differing = Vec::new();
    for row in live.rows() {
        let Some((group, since)) = docs.get(row.name) else { continue };
        // A module does not tell when it got its commands, nor of which group they are.
        if live.said_of(row).is_some_and(|said| said.has("module")) {
            continue;
        }
        n += 1;
        let first = live.since(row).map(|(major, minor, patch)| format!("{major}.{minor}.{patch}"));
        if first.as_ref() != Some(since) && !SINCE_OTHERWISE.contains(&(row.name, since)) {
            differing.push(format!("{}: since {first:?} in the table, {since} on the server", row.name));
        }
        if group.replace(['-', '_'], "") != format!("{:?}", row.group).to_lowercase() {
            differing.push(format!("{}: {:?} in the table, {group} on the server", row.name, row.group));
        }
    }
    assert_eq!(differing, [""; 0]);
    assert_eq!(n > 300, live.describes_itself(), "{n} rows have a documentation");
    live.report("agree in group and first version", n);
}

/// Returns whether the row's routing on a ring is what the server recommends to a client of several shards.
fn agrees_with_tips(row: &Spec, said: &Said) -> bool {
    let tip = |name: &str| said.tips.iter().find_map(|tip| tip.strip_prefix(name));
    let by_request = match tip("request_policy:") {
        None => true,
        Some("multi_shard") => matches!(row.ring, OnRing::Split(_)),
        // What belongs to Redis Cluster means nothing here.
        Some("all_shards" | "all_nodes") if row.group == Group::Cluster => {
            matches!(row.ring, OnRing::Refuse(_))
        }
        Some("all_shards" | "all_nodes") => matches!(row.ring, OnRing::EveryNode(_)),
        // Its cursor belongs to one node.
        Some("special") => matches!(row.ring, OnRing::Refuse(_)),
        Some(_) => false,
    };
    let merge = match row.ring {
        OnRing::Split(merge) | OnRing::EveryNode(merge) => Some(merge),
        _ => None,
    };
    let by_response = match tip("response_policy:") {
        None => true,
        Some("agg_sum") => merge == Some(Merge::Sum),
        Some("agg_min" | "agg_logical_and") => merge == Some(Merge::Min),
        Some("all_succeeded") => merge == Some(Merge::AllOk),
        // Merged in a way of its own, or not at all.
        Some("special") => matches!(merge, None | Some(Merge::All | Merge::First)),
        Some(_) => false,
    };
    by_request && by_response
}

fn accepts(arity: i64, len: usize) -> bool {
    let n = usize::try_from(arity.unsigned_abs()).unwrap();
    if arity < 0 { len >= n } else { len == n }
}

/// The keys, sorted; none when they cannot be told.
fn keys_by_row(row: &Spec, words: &[String]) -> Vec<String> {
    let command = command(words);
    let mut keys: Vec<_> = match row.keys_of(&command) {
        Ok(keys) => keys.map(|(_, key)| String::from_utf8(key.to_vec()).unwrap()).collect(),
        Err(_) => Vec::new(),
    };
    keys.sort();
    keys
}

/// A running server and what it says of its commands.
struct Live {
    _server: Server,
    connection: redis::Connection,
    release: Release,
    commands: BTreeMap<String, Said>,
}

/// The words of a server about one command.
struct Said {
    name: String,
    arity: i64,
    flags: Vec<String>,
    keys: (i64, i64, i64),
    tips: Vec<String>,
    has_subcommands: bool,
}

impl Said {
    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|f| f == flag)
    }

    /// Returns whether only its subcommands are commands: `CONFIG`. A server before 7.0 does not say so, but our rows do.
    fn is_container(&self, rows: &BTreeSet<&str>) -> bool {
        let prefix = format!("{} ", self.name);
        self.name != "COMMAND"
            && (self.has_subcommands || rows.iter().any(|name| name.starts_with(&prefix)))
            && !rows.contains(self.name.as_str())
    }
}

impl Live {
    fn start() -> Live {
        let server = Server::start().unwrap();
        let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
        let info: String = cmd("INFO").arg("server").query(&mut connection).unwrap();
        let mut commands = BTreeMap::new();
        for entry in array(cmd("COMMAND").query(&mut connection).unwrap()) {
            add_said(entry, &mut commands);
        }
        Live { _server: server, connection, release: Release::of(&info), commands }
    }

    /// Returns whether the server tells its subcommands, tips and history.
    fn describes_itself(&self) -> bool {
        self.release.version >= DESCRIBES_ITSELF
    }

    /// The first version of this server's kind that has a row's command.
    fn since(&self, row: &Spec) -> Option<Version> {
        if self.release.valkey.is_some() { row.since.valkey } else { row.since.redis }
    }

    /// Returns whether this server is new enough for a row's command.
    fn has(&self, row: &Spec) -> bool {
        self.release.has([row.since.redis, row.since.valkey])
    }

    /// The rows that this server should know.
    fn rows(&self) -> impl Iterator<Item = &'static Spec> + use<'_> {
        // A data server does not answer what a sentinel does.
        ALL.iter().copied().filter(|row| self.has(row) && row.group != Group::Sentinel)
    }

    /// Returns what the server says of a row's command; of a subcommand before 7.0, what it says of its container.
    fn said_of(&self, row: &Spec) -> Option<&Said> {
        let name = match row.words().next() {
            Some(container) if !self.describes_itself() => container,
            _ => row.name,
        };
        self.commands.get(name)
    }

    /// Holds every row against what the server says of it; `compare` says whether there was anything to compare.
    /// Returns how many were held.
    fn hold(&self, compare: impl Fn(&Spec, &Said) -> Result<bool, String>) -> usize {
        let mut held = 0;
        let mut differing = Vec::new();
        for row in self.rows() {
            // What an old server says of a container holds for some of its subcommands only.
            let is_told_apart = self.describes_itself() || row.words().count() == 1;
            let Some(said) = self.said_of(row).filter(|_| is_told_apart) else { continue };
            match compare(row, said) {
                Ok(compared) => held += usize::from(compared),
                Err(difference) => differing.push(format!("{}: {difference}", row.name)),
            }
        }
        assert_eq!(differing, [""; 0], "rows that do not agree with the server");
        held
    }

    /// The keys that the server finds in a command, sorted; none when it finds none or cannot tell.
    fn keys_of(&mut self, words: &[String]) -> Vec<String> {
        let mut command = cmd("COMMAND");
        command.arg("GETKEYS");
        for word in words {
            command.arg(if word == "_" { "" } else { word });
        }
        let mut keys: Vec<String> = match command.query(&mut self.connection) {
            Ok(keys) => keys,
            Err(error) if error.kind() == redis::ErrorKind::Server(redis::ServerErrorKind::ResponseError) => {
                Vec::new()
            }
            Err(error) => panic!("{}: {error}", words.join(" ")),
        };
        keys.sort();
        keys
    }

    /// The group and the first version of every command, by name; empty before 7.0.
    fn docs(&mut self) -> BTreeMap<String, (String, String)> {
        let mut docs = BTreeMap::new();
        if self.describes_itself() {
            let all: Value = cmd("COMMAND").arg("DOCS").query(&mut self.connection).unwrap();
            add_docs(all, &mut docs);
        }
        docs
    }

    /// Says on stderr how much was compared, also when the test passes; if it was nothing, the test is skipped.
    fn report(&self, what: &str, n: usize) {
        if n == 0 {
            skipped(&format!("{} does not describe its commands", self.release), None);
        }
        let others = ALL.iter().filter(|row| !self.has(row)).count();
        let sentinel = ALL.iter().filter(|row| self.has(row) && row.group == Group::Sentinel).count();
        let total = ALL.len();
        let line = format!(
            "table: {}: {n} of {total} rows {what} \
             ({others} are of other servers, {sentinel} for sentinels)\n",
            self.release
        );
        // Written past the capture of the test harness: it is the result that a person wants to see.
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
}

fn add_said(entry: Value, commands: &mut BTreeMap<String, Said>) {
    let mut parts = array(entry).into_iter();
    let name = text(parts.next().unwrap()).to_uppercase().replace('|', " ");
    let arity = integer(parts.next().unwrap());
    let flags = array(parts.next().unwrap()).into_iter().map(text).collect();
    let mut key = || integer(parts.next().unwrap());
    let keys = (key(), key(), key());
    // After the categories: tips, key specifications, subcommands, since 7.0.
    let tips = parts.nth(1).map_or(Vec::new(), |tips| array(tips).into_iter().map(text).collect());
    let subcommands = parts.nth(1).map_or(Vec::new(), array);
    let has_subcommands = !subcommands.is_empty();
    commands.insert(name.clone(), Said { name, arity, flags, keys, tips, has_subcommands });
    for subcommand in subcommands {
        add_said(subcommand, commands);
    }
}

/// A result that is stored where it comes from, as in `SDIFFSTORE b a b`, is another thing the second time, or is not.
#[test]
fn what_is_sent_again_leaves_the_same_also_where_it_is_stored_among_its_sources() {
    let server = Server::start().unwrap();
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut n_tried = 0;
    let stores = |row: &&&Spec| row.name.ends_with("STORE") || matches!(row.name, "PFMERGE" | "BITOP");
    for row in ALL.iter().filter(stores).filter(|row| row.retry == Retry::Idempotent) {
        for (to, from) in [("b", ["a", "b"]), ("b", ["b", "a"])] {
            let mut left = Vec::new();
            for n_times in [1, 2] {
                cmd("FLUSHALL").exec(&mut connection).unwrap();
                for (key, members) in [("a", [1, 2, 3]), ("b", [2, 3, 4])] {
                    match row.group {
                        Group::HyperLogLog => cmd("PFADD").arg(key).arg(&members).exec(&mut connection),
                        _ => cmd("SADD").arg(key).arg(&members).exec(&mut connection),
                    }
                    .unwrap();
                }
                let mut store = cmd(row.name);
                match row.keys {
                    Keys::StoreCounted(..) => store.arg(to).arg(2).arg(&from),
                    _ => store.arg(to).arg(&from),
                };
                (0..n_times).for_each(|_| store.exec(&mut connection).unwrap());
                left.push(match row.group {
                    Group::HyperLogLog => {
                        cmd("PFCOUNT").arg("b").query::<Vec<u8>>(&mut connection).unwrap_or_default()
                    }
                    Group::SortedSet => cmd("ZRANGE")
                        .arg("b")
                        .arg(0)
                        .arg(-1)
                        .arg("WITHSCORES")
                        .query::<Vec<Vec<u8>>>(&mut connection)
                        .unwrap()
                        .concat(),
                    _ => {
                        let mut members: Vec<Vec<u8>> =
                            cmd("SMEMBERS").arg("b").query(&mut connection).unwrap();
                        members.sort();
                        members.concat()
                    }
                });
            }
            assert_eq!(left[0], left[1], "{} {to} {from:?}", row.name);
            n_tried += 1;
        }
    }
    assert!(n_tried >= 6, "{n_tried}");
}

fn add_docs(all: Value, docs: &mut BTreeMap<String, (String, String)>) {
    for (name, of_command) in pairs(all) {
        let name = name.to_uppercase().replace('|', " ");
        let (mut group, mut since) = (String::new(), String::new());
        for (field, value) in pairs(of_command) {
            match field.as_str() {
                "group" => group = text(value),
                "since" => since = text(value),
                "subcommands" => add_docs(value, docs),
                _ => {}
            }
        }
        docs.insert(name, (group, since));
    }
}

fn pairs(value: Value) -> Vec<(String, Value)> {
    let mut items = array(value).into_iter();
    let mut pairs = Vec::new();
    while let (Some(field), Some(value)) = (items.next(), items.next()) {
        pairs.push((text(field), value));
    }
    pairs
}

fn array(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) | Value::Set(items) => items,
        other => panic!("an array was expected, not {other:?}"),
    }
}

fn text(value: Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).unwrap(),
        Value::SimpleString(text) => text,
        Value::Okay => "OK".to_string(),
        other => panic!("a string was expected, not {other:?}"),
    }
}

fn integer(value: Value) -> i64 {
    match value {
        Value::Int(n) => n,
        other => panic!("an integer was expected, not {other:?}"),
    }
}

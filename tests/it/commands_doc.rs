//! `docs/commands.md` is the command table in words: rendered here, and compared with what is in the repository.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

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
use redisdb_node::command::Since;
use redisdb_node::command::Spec;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/commands.md");
const BLESS: &str = "REDISDB_BLESS=1 cargo test -p redisdb-tests commands_doc";

const INTRO: &str = "\
# Every command, and where it goes

A ring and a copy are several servers that know nothing of each other, so for each command somebody has to decide \
which of them it goes to. That is decided in one table, a row for each command; this page is that table in words. \
`ring.explain(&cmd)` and `copy.explain(&cmd)` say the same of a command with its arguments, and name the nodes; \
`explain_pipeline(&pipeline)` says it of the commands of a pipeline, which may be atomic. A call does what they say, \
whichever way it comes in: by its method, through redis-rs, in a pipeline or in a transaction.

A command that is not here is refused, not guessed, until it is registered: `redisdb_node::command::Registration` \
for a command of a module, or `Node::learn`, which asks the server where its keys stand. A command that is refused can still be sent to one node that \
you choose, by `ring.on_node(name)` or `copy.on_node(name)`; if it needs a connection of its own, as `WAIT` and `SELECT` do, \
by `dedicated()` of that node.

## The words of the tables

**Since** is the first version of Redis that has the command, and of Valkey where that is not one before 8.0. A dash means \
that no version has it.

**Keys** says which words of the command are keys, counted from its name, which is 0.

**On a ring**

| word | meaning |
|---|---|
| by key | The node that owns the key. Several keys must have one hash tag, as in `{user:1}:name`; otherwise the command is refused and the error names the keys and their nodes. |
| split | Each node gets the keys that it owns, all at the same time. *added*: the numbers are added up; *in order*: the values stand where their keys stood; *all alike*: every node must say the same. Not atomic. |
| every node | All nodes get it, at the same time. *added*, *all alike*: as above; *one list*: one list after the other; *no duplicates*: one list, each element once; *the least*: the smallest number, element by element; *one, by weight*: one reply, from a node with many keys more often. |
| each node | All nodes get it, and each node's answer is kept under its name: by our own methods those of the nodes that \
failed too, through redis-rs and `query` in one map, or in an error (`Partial`) if one of them failed. The only node of \
a ring with `allow_colocated()` answers as it would by itself. |
| any node | One node that is up: all would say the same. |
| refused | Not sent; the reason stands below the table. |

**On a copy**

| word | meaning |
|---|---|
| one node | One node, chosen by the key; the next one when it is down. |
| every node | All nodes get it as it is: it does the same everywhere. |
| each node | All nodes get it, and each node's answer is kept under its name. |
| channel's node | One node, chosen by the channel: if all got it, subscribers would see it more than once. |
| deadline | All nodes get it. A relative expiry (`EX 10`) is turned into one point in time before, so that the key goes away everywhere at once. |
| conditional | What it does depends on what the node holds. *with* names the options that make it so; without them it goes to every node, as a deadline does. |
| random | The server chooses, and each would choose otherwise. |
| float | Servers may round differently. Where the nodes of a copy become equal by themselves, all are sent it. |
| pop | What it takes away depends on what the node holds. |
| script | A program, which may do any of these. |
| refused | Not sent; the reason stands below the table. |

A command that is conditional, random, pop or script is never sent to all nodes as it is, because copies \
would part. `copy.explain(&cmd)` says what is done instead, or why nothing can be.

**Retry** is what may be done when it is not known whether a server executed the command: the connection broke, or \
no answer came in time.

| word | meaning |
|---|---|
| yes | It changes nothing: it is sent again. |
| same state | Twice leaves what once leaves: it may be sent again to the same node. The second reply may count less: what was added is there by then. Not with an option that makes it conditional. |
| reply differs | Twice leaves what once leaves, but the second reply is another one: it may be sent again if nobody needs the reply. |
| no | Twice would do it twice. The error says that it may have been executed. |

**Connection** is empty for the connection that all share. *own* is one of its own, taken from a pool: the command \
blocks those after it, or changes what the connection is. So it is refused in a pipeline and in a block.

An atomic pipeline and the queue of a transaction are one `MULTI` block. On a ring a block runs on the node that owns all \
its keys, so what is *every node* or *each node* is refused there; what is *any node* goes with the others. On a copy \
every node runs the block, so what one node decides, and what has no key, is refused there. If one command of a block is \
refused nothing of it is sent.

`SORT` and `SORT_RO` with a pattern (`BY weight_*`, `GET object_*`) read keys that they do not name. No client can \
tell where those are, so on a ring they are refused, unless the pattern carries the hash tag of the key before its \
`*`: `SORT {user:1}:friends BY {user:1}:weight_*`. Without a pattern they go by key.
";

#[test]
fn the_page_of_commands_is_the_table() {
    let rendered = page();
    if std::env::var_os("REDISDB_BLESS").is_some() {
        fs::write(PAGE, &rendered).unwrap();
    }
    let there = fs::read_to_string(Path::new(PAGE)).unwrap_or_default();
    let differing = there.lines().zip(rendered.lines()).position(|(a, b)| a != b);
    let line = differing.unwrap_or(there.lines().count().min(rendered.lines().count())) + 1;
    assert!(there == rendered, "docs/commands.md is stale from line {line} on; write it anew: {BLESS}");
}

#[test]
fn every_row_stands_on_the_page_once() {
    let rendered = page();
    for row in ALL {
        let n = rendered.matches(&format!("| [`{}`]", row.name)).count();
        assert_eq!(n, 1, "{}", row.name);
    }
}

/// The whole page.
fn page() -> String {
    let mut groups: BTreeMap<&str, Vec<&Spec>> = BTreeMap::new();
    for row in ALL {
        groups.entry(title(row.group)).or_default().push(row);
    }
    let mut page = format!(
        "<!-- Rendered from the command table. Do not edit: {BLESS} -->\n\n{INTRO}\n## The commands\n\n"
    );
    for title in groups.keys() {
        writeln!(page, "* [{title}](#{})", title.to_lowercase().replace(' ', "-")).unwrap();
    }
    for (title, rows) in &groups {
        write!(page, "\n### {title}\n\n{}", table(rows)).unwrap();
    }
    page
}

/// The table of one group, and under it the reasons of its refusals.
fn table(rows: &[&Spec]) -> String {
    let mut table = String::from(
        "| command | since | keys | on a ring | on a copy | retry | connection |\n|---|---|---|---|---|---|---|\n",
    );
    let mut reasons: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for row in rows {
        writeln!(
            table,
            "| [`{name}`]({link}) | {} | {} | {} | {} | {} | {} |",
            since(row.since),
            keys(row.keys),
            on_ring(row.ring),
            on_copy(row),
            retry(row.retry),
            connection(row.connection),
            name = row.name,
            link = link(row),
        )
        .unwrap();
        let (ring, copy) = match (row.ring, row.copy) {
            (OnRing::Refuse(ring), OnCopy::Refuse(copy)) if ring == copy => (Some(("Refused", ring)), None),
            (OnRing::Refuse(ring), OnCopy::Refuse(copy)) => {
                (Some(("Refused on a ring", ring)), Some(("Refused on a copy", copy)))
            }
            _ => (None, None),
        };
        for reason in ring.into_iter().chain(copy) {
            reasons.entry(reason).or_default().push(format!("`{}`", row.name));
        }
    }
    for ((refused, reason), names) in reasons {
        let names = if names.len() == rows.len() { "all of them".to_string() } else { names.join(", ") };
        write!(table, "\n{refused}, because {reason}: {names}.\n").unwrap();
    }
    table
}

/// The first version of Redis, and that of Valkey where it is another one.
fn since(since: Since) -> String {
    let shown = |version: Option<(u8, u8, u8)>| match version {
        Some((major, minor, patch)) => format!("{major}.{minor}.{patch}"),
        None => "-".to_string(),
    };
    match since.redis == since.valkey {
        true => shown(since.redis),
        false => format!("{}, Valkey {}", shown(since.redis), shown(since.valkey)),
    }
}

fn link(row: &Spec) -> String {
    if row.group == Group::Sentinel {
        return "https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/".to_string();
    }
    let name = row.name.to_lowercase().replace(' ', "-");
    match row.since.redis {
        Some(_) => format!("https://redis.io/docs/latest/commands/{name}/"),
        None => format!("https://valkey.io/commands/{name}/"),
    }
}

fn keys(keys: Keys) -> String {
    match keys {
        Keys::None => String::new(),
        Keys::One(at) => at.to_string(),
        Keys::Pair(a, b) => format!("{a} and {b}"),
        Keys::Each { first, step: 1 } => format!("all from {first} on"),
        Keys::Each { first, step } => format!("every {step}nd from {first} on"),
        Keys::Until { first, trailing: 1 } => format!("{first} to the last but one"),
        Keys::Until { first, trailing } => format!("{first} on, but not the last {trailing}"),
        Keys::Counted(at) => format!("as many as {at} says, after it"),
        Keys::CountedPairs(at) => format!("as many as {at} says, after it, each with a value"),
        Keys::StoreCounted(to, at) => format!("{to}, and as many as {at} says, after it"),
        Keys::Streams => "the first half of what follows `STREAMS`".to_string(),
        Keys::OneAndAfter { stores: [], .. } => "1".to_string(),
        Keys::OneAndAfter { stores, .. } => format!("1, and after {}", code(stores)),
        Keys::Migrate => "3, or after `KEYS`".to_string(),
        Keys::Channel(at) => format!("channel {at}"),
        Keys::Channels { first } => format!("channels from {first} on"),
        other => panic!("{other:?} has no words yet"),
    }
}

fn on_ring(ring: OnRing) -> String {
    match ring {
        OnRing::ByKey => "by key".to_string(),
        OnRing::Split(Merge::Concat) => "split, in order".to_string(),
        OnRing::Split(merge) => format!("split, {}", merged(merge)),
        OnRing::EveryNode(Merge::All) => "each node".to_string(),
        OnRing::EveryNode(merge) => format!("every node, {}", merged(merge)),
        OnRing::AnyNode => "any node".to_string(),
        OnRing::Refuse(_) => "refused".to_string(),
        other => panic!("{other:?} has no words yet"),
    }
}

fn merged(merge: Merge) -> &'static str {
    match merge {
        Merge::Sum => "added",
        Merge::Concat => "one list",
        Merge::AllOk => "all alike",
        Merge::Min => "the least",
        Merge::Union => "no duplicates",
        Merge::First => "one, by weight",
        other => panic!("{other:?} has no words yet"),
    }
}

fn on_copy(row: &Spec) -> String {
    match row.copy {
        OnCopy::EveryNode if row.access == Access::Each => "each node".to_string(),
        OnCopy::AnyNode => "one node".to_string(),
        OnCopy::EveryNode => "every node".to_string(),
        OnCopy::OneNode => "channel's node".to_string(),
        OnCopy::Effect(Effect::ConditionalIf { options, .. }) => {
            format!("conditional with {}", code(options))
        }
        OnCopy::Effect(effect) => format!("{effect:?}").to_lowercase(),
        OnCopy::Refuse(_) => "refused".to_string(),
        other => panic!("{other:?} has no words yet"),
    }
}

fn retry(retry: Retry) -> &'static str {
    match retry {
        Retry::Read => "yes",
        Retry::Idempotent => "same state",
        Retry::Reply => "reply differs",
        Retry::Never => "no",
        other => panic!("{other:?} has no words yet"),
    }
}

fn connection(connection: Connection) -> String {
    match connection {
        Connection::Shared => String::new(),
        Connection::Blocking | Connection::Session => "own".to_string(),
        Connection::BlockingWith(option) => format!("own with `{option}`"),
        other => panic!("{other:?} has no words yet"),
    }
}

fn code(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn title(group: Group) -> &'static str {
    match group {
        Group::Array => "Arrays",
        Group::Bitmap => "Bitmaps",
        Group::Cluster => "Redis Cluster",
        Group::Connection => "Connection",
        Group::Generic => "Keys",
        Group::Geo => "Geo",
        Group::Hash => "Hashes",
        Group::HyperLogLog => "HyperLogLog",
        Group::List => "Lists",
        Group::Module => "Modules",
        Group::PubSub => "Pub and sub",
        Group::Scripting => "Scripts and functions",
        Group::Sentinel => "Sentinel",
        Group::Server => "Server",
        Group::Set => "Sets",
        Group::SortedSet => "Sorted sets",
        Group::Stream => "Streams",
        Group::String => "Strings",
        Group::Transactions => "Transactions",
        Group::VectorSet => "Vector sets",
        other => panic!("{other:?} has no title yet"),
    }
}

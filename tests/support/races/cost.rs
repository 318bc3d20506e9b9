//! What it costs the servers that a copy makes them equal: the time that a server spends for each key that was written, beside that
//! of a `DUMP` of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;
use std::time::Instant;

use futures_util::future::try_join_all;
use redis::Cmd;
use redis::Pipeline;
use redis::cmd;
use redisdb::Node;
use redisdb::RedisCopy;
use redisdb_tests::Outcome;
use redisdb_tests::number;
use redisdb_tests::process;
use tokio::runtime::Builder;
use xtask::Servers;

/// How many keys have values of the smallest size.
const KEYS: usize = 2000;

/// The types of values, each with the command that writes one whole.
const TYPES: [(&str, &str); 5] =
    [("string", "SET"), ("list", "RPUSH"), ("set", "SADD"), ("hash", "HSET"), ("sorted set", "ZADD")];

/// The bytes of a value, and one in how many of the keys have so large ones.
const SIZES: [(usize, usize); 5] = [(64, 1), (1 << 10, 1), (16 << 10, 4), (100 << 10, 40), (1 << 20, 250)];

/// The bytes of an element of a list, a set, a hash or a sorted set.
const ELEMENT: usize = 32;

/// How many microseconds a server may spend for a key with a value of [`SIZES`]' first: others may take it twice their `DUMP`, and lists
/// of these sizes three times.
const MOST_OF_SMALL: f64 = 3.0;
const READ_BY_ELEMENTS: usize = 384 << 10;

/// So many bytes of large values are read in a second at most.
const LARGE_PER_SECOND: usize = 16 << 20;

/// The keys are written in so many rounds. The one that other work of the machine has disturbed least counts.
const ROUNDS: usize = 3;

/// How long what the servers are sent at rest is measured.
const REST: Duration = Duration::from_secs(5);

/// How often the servers are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// When all keys are to be compared.
const COMPARED: Duration = Duration::from_secs(120);

/// Writes values of each type and size, has the nodes compared, and prints what that took the servers. Returns whether it is within
/// what is promised.
pub(crate) fn run(words: &[String]) -> Outcome<bool> {
    let n_keys = words.first().map_or(Ok(KEYS), |word| number("--keys", word))?;
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(measure(n_keys))
}

async fn measure(n_keys: usize) -> Outcome<bool> {
    let servers = Servers::start(3)?;
    let copy = process(&servers.urls(), Some("cost")).connect().await?;
    let nodes = try_join_all(servers.iter().map(|server| Node::connect(server.url()))).await?;
    until("it leads, and has compared all keys", async || {
        let convergence = copy.convergence();
        Ok(convergence.leads && !convergence.round_due)
    })
    .await?;
    let (before, start) = (spent(&nodes).await?, Instant::now());
    tokio::time::sleep(REST).await;
    let at_rest = since(&before, &spent(&nodes).await?, "") / start.elapsed().as_secs_f64();
    println!("| value | keys | us for each key | us of a `DUMP` | |\n|---|--:|--:|--:|---|");
    let mut are_within = true;
    for (size, one_in) in SIZES {
        for (name, write) in TYPES {
            let keys: Vec<String> =
                (0..n_keys.div_ceil(one_in)).map(|i| format!("{name}:{size}:{i}")).collect();
            let (mut ours, mut dump) = (f64::INFINITY, f64::INFINITY);
            for some in keys.chunks(keys.len().div_ceil(ROUNDS)) {
                ours = ours.min(compare(&copy, &nodes, some, (write, size), at_rest).await?);
                dump = dump.min(dump_of(&nodes, some, size).await?);
            }
            let most = match (name, size) {
                _ if size == SIZES[0].0 => MOST_OF_SMALL,
                ("list", READ_BY_ELEMENTS..) => dump * 3.0,
                _ => dump * 2.0,
            };
            let mut row = format!("| {name} of {} | {} |", bytes(size), keys.len());
            write!(row, " {ours:.2} | {dump:.2} |")?;
            let verdict = if ours <= most { "" } else { " more than promised" };
            println!("{row} {:.1} times{verdict} |", ours / dump);
            are_within &= ours <= most;
        }
    }
    Ok(are_within)
}

/// Writes keys, waits until the nodes were compared, and returns the microseconds that a server took for each key.
async fn compare(
    copy: &RedisCopy,
    nodes: &[Node],
    keys: &[String],
    (write, size): (&str, usize),
    at_rest: f64,
) -> Outcome<f64> {
    let (before, start) = (spent(nodes).await?, Instant::now());
    let writes = nodes.iter().map(async |node| {
        // Whoever writes, what follows is the same.
        for some in keys.chunks((4 << 20) / size.max(1 << 10)) {
            let mut writes = Pipeline::new();
            for key in some {
                _ = writes.add_command(writing(write, key, size)).ignore();
            }
            () = writes.query_async(&mut node.dedicated().await?).await?;
        }
        Outcome::Ok(())
    });
    try_join_all(writes).await?;
    // Before Redis 7.0 the statistics have no subcommands.
    let asked = |stats: &Stats| stats.get("memory|usage").or(stats.get("memory")).map_or(0, |of| of.0);
    let (n_asked, n_keys) = (asked(&before), keys.len() as u64 * nodes.len() as u64);
    until("all keys are compared", async || {
        let now = spent(nodes).await?;
        Ok(n_asked + n_keys <= asked(&now) && copy.convergence().dirty == 0)
    })
    .await?;
    // The last of them may still be under way.
    let mut last = spent(nodes).await?;
    until("nothing more is read", async || {
        let before = std::mem::replace(&mut last, spent(nodes).await?);
        let n_read =
            |stats: &Stats| READS.iter().filter_map(|read| stats.get(*read)).map(|of| of.0).sum::<u64>();
        Ok(n_read(&before) == n_read(&last))
    })
    .await?;
    let ours = since(&before, &last, &write.to_lowercase());
    Ok((ours - at_rest * start.elapsed().as_secs_f64()) / n_keys as f64)
}

/// Commands that read values, and that nothing at rest sends.
const READS: [&str; 9] = ["dump", "pttl", "exists", "type", "getrange", "lrange", "sscan", "hscan", "zrange"];

/// The microseconds of a `DUMP` of each key, at the same pace and on all nodes at once, as when keys are compared.
async fn dump_of(nodes: &[Node], keys: &[String], size: usize) -> Outcome<f64> {
    let of = |stats: &Stats| stats.get("dump").copied().unwrap_or_default();
    let before = of(&spent(nodes).await?);
    for key in keys {
        let dumps = nodes.iter().map(async |node| node.query::<Vec<u8>>(cmd("DUMP").arg(key)).await);
        try_join_all(dumps).await?;
        if 64 << 10 < size {
            tokio::time::sleep(Duration::from_secs_f64(size as f64 / LARGE_PER_SECOND as f64)).await;
        }
    }
    let after = of(&spent(nodes).await?);
    Ok((after.1 - before.1) as f64 / (after.0 - before.0) as f64)
}

/// A command that writes a whole value of about so many bytes.
fn writing(write: &str, key: &str, size: usize) -> Cmd {
    let mut command = cmd(write);
    command.arg(key);
    if write == "SET" {
        return command.arg("v".repeat(size)).clone();
    }
    for i in 0..size / ELEMENT {
        match write {
            "HSET" => command.arg(format!("{i:08}")).arg(format!("{i:024}")),
            "ZADD" => command.arg(i).arg(format!("{i:024}")),
            _ => command.arg(format!("{i:032}")),
        };
    }
    command
}

/// How often each command was executed, and how many microseconds that took, on all servers together.
type Stats = BTreeMap<String, (u64, u64)>;

async fn spent(nodes: &[Node]) -> Outcome<Stats> {
    let mut stats = Stats::new();
    for node in nodes {
        let info: String = node.query(cmd("INFO").arg("commandstats")).await?;
        for line in info.lines().filter_map(|line| line.strip_prefix("cmdstat_")) {
            let number = |name: &str| line.split(name).nth(1)?.split(',').next()?.trim().parse::<u64>().ok();
            let (Some((name, _)), Some(calls), Some(usec)) =
                (line.split_once(':'), number("calls="), number("usec="))
            else {
                continue;
            };
            let of = stats.entry(name.to_owned()).or_default();
            *of = (of.0 + calls, of.1 + usec);
        }
    }
    Ok(stats)
}

/// The microseconds that all commands took since then, but for those with which this measures.
fn since(before: &Stats, now: &Stats, write: &str) -> f64 {
    let took = |stats: &Stats, name: &str| stats.get(name).map_or(0, |of| of.1);
    let counted = now.keys().filter(|name| *name != write && *name != "info");
    counted.map(|name| took(now, name) - took(before, name)).sum::<u64>() as f64
}

fn bytes(size: usize) -> String {
    match size {
        0..1024 => format!("{size} B"),
        _ if size < 1 << 20 => format!("{} KiB", size >> 10),
        _ => format!("{} MiB", size >> 20),
    }
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> Outcome<bool>) -> Outcome<()> {
    let start = Instant::now();
    while !condition().await? {
        if COMPARED < start.elapsed() {
            return Err(format!("waited {COMPARED:?} in vain: {what}").into());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

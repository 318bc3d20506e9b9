//! Every way in does with every command what `explain` says: alone, in a pipeline and in an atomic one, each by our own
//! methods and through redis-rs.
//!
//! No server is needed: all nodes are at ports where nobody listens, so what is not refused names the nodes that it was
//! meant for. Calls in a transaction need one that lets it begin.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use futures_util::future::join_all;
use redis::Cmd;
use redis::Value;
use redisdb::Error;
use redisdb::OnDown;
use redisdb::OnReturn;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::Replies;
use redisdb::Scan;
use redisdb::Servers;
use redisdb::cluster::Decision;
use redisdb::cluster::Explanation;
use redisdb::node::LockOptions;
use redisdb::node::ScanOptions;
use redisdb::node::Script;
use redisdb::node::StreamCommands;
use redisdb::node::StringCommands;
use redisdb::node::Subscription;
use redisdb_node::command::ALL;
use redisdb_node::command::Spec;
use redisdb_node::command::lookup;
use redisdb_tests::Hostile;
use redisdb_tests::NAMES;
use redisdb_tests::argument_lists;
use redisdb_tests::command;

/// The nodes that did not answer, of a command whose answers are kept apart.
trait Failed: Servers {
    fn failed(written: &Self::Write<Value>) -> BTreeSet<String>;
}

impl Failed for RedisRing {
    fn failed(value: &Value) -> BTreeSet<String> {
        panic!("{value:?} came from nowhere")
    }
}

impl Failed for RedisCopy {
    fn failed(replies: &Replies<Value>) -> BTreeSet<String> {
        replies.failures().map(|(node, _)| node.to_owned()).collect()
    }
}

/// URLs at which nobody listens.
fn nowhere(n: usize) -> Vec<String> {
    let listeners: Vec<_> = (0..n).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| format!("redis://{}", listener.local_addr().unwrap())).collect()
}

fn ring(n: usize) -> redisdb::RingBuilder {
    NAMES.iter().zip(nowhere(n)).fold(RedisRing::builder(), |ring, (name, url)| ring.node(*name, &url))
}

fn copy(n: usize) -> RedisCopy {
    let nodes = NAMES.iter().zip(nowhere(n));
    let copy = nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, &url));
    copy.on_return(OnReturn::Wait).build().unwrap()
}

/// Commands of a row: with all that their keys may be, with keys of one tag, and cut short.
pub fn examples(row: &Spec) -> Vec<Cmd> {
    let name: Vec<String> = row.words().map(str::to_owned).collect();
    let mut lists = argument_lists(row);
    lists.extend([name.clone(), [name, vec!["x".to_owned()]].concat()]);
    lists.extend(more(row.name).iter().map(|list| list.split(' ').map(str::to_owned).collect()));
    let mut examples = Vec::with_capacity(2 * lists.len());
    for words in lists {
        let cmd = command(&words);
        let at: Vec<usize> = row.keys_of(&cmd).into_iter().flatten().map(|(at, _)| at).collect();
        let tagged = words.iter().enumerate().map(|(i, word)| match at.contains(&i) {
            true => format!("{{t}}{word}"),
            false => word.clone(),
        });
        if !at.is_empty() {
            examples.push(command(&tagged.collect::<Vec<_>>()));
        }
        examples.push(cmd);
    }
    // `COMMAND x` would be a subcommand.
    examples.retain(|cmd| lookup(cmd).is_some_and(|found| found.name == row.name));
    examples
}

/// Commands that read keys which they do not name, and scans that begin.
fn more(name: &str) -> &'static [&'static str] {
    match name {
        "SORT" => &[
            "SORT {t}l BY w_*",
            "SORT {t}l BY {t}w_*",
            "SORT {t}l BY nosort GET v_*",
            "SORT {t}l GET {u}v_*->f STORE {t}d",
        ],
        "HSCAN" => &["HSCAN {t}h 0"],
        "SSCAN" => &["SSCAN {t}s 0"],
        "ZSCAN" => &["ZSCAN {t}z 0"],
        "SORT_RO" => &["SORT_RO {t}l BY w_*", "SORT_RO {t}l BY {t}w_* GET #", "SORT_RO {t}l GET *"],
        _ => &[],
    }
}

/// The fate that was meant for a command: the text of its refusal, or the nodes that it goes to.
#[derive(Debug, PartialEq)]
enum Fate {
    Refused(String),
    /// To this one, or first to this one.
    Node(String),
    /// To all of these.
    Nodes(BTreeSet<String>),
    AnyNode,
}

impl Fate {
    fn of(explanation: &Explanation, nodes: &[String]) -> Self {
        match &explanation.decision {
            Decision::Refused(error) => Self::Refused(error.to_string()),
            Decision::Node { node, .. } | Decision::Decided { node } => Self::Node(node.clone()),
            Decision::Split { parts, .. } => {
                Self::Nodes(parts.iter().map(|(node, _)| node.clone()).collect())
            }
            Decision::EveryNode { .. } => Self::Nodes(nodes.iter().cloned().collect()),
            Decision::AnyNode => Self::AnyNode,
            other => panic!("{other:?} is not known to this test"),
        }
    }

    /// Says what is wrong if this error is not what had to come of it where nobody listens.
    fn differs(&self, error: &Error, is_ring: bool) -> Option<String> {
        if error.may_have_executed() {
            return Some(format!("it may have been executed: {error}"));
        }
        let asked: Vec<&str> = error.node_errors().iter().filter_map(|error| error.node()).collect();
        let is_so = match self {
            Self::Refused(why) => error.is_unsupported() && error.to_string() == *why,
            _ if error.is_unsupported() => false,
            Self::Node(node) if is_ring => asked == [node.as_str()],
            // Those that have never been reached are not asked what they may have lost.
            Self::Node(node) => match error {
                Error::Unavailable(unavailable) => {
                    asked.contains(&node.as_str()) || unavailable.behind.contains(node)
                }
                _ => asked.contains(&node.as_str()),
            },
            Self::Nodes(nodes) => {
                asked.iter().map(|node| (*node).to_owned()).collect::<BTreeSet<_>>() == *nodes
            }
            Self::AnyNode => !asked.is_empty(),
        };
        (!is_so).then(|| format!("{self:?} by `explain`, and the call says: {error}"))
    }

    /// The same of an error as redis-rs has it, which is a text.
    fn differs_in_redis_rs(&self, error: &redis::RedisError) -> Option<String> {
        let text = error.to_string();
        let is_so = match self {
            Self::Refused(why) => text.contains(why.as_str()),
            _ if text.contains("cannot run on") => false,
            Self::Node(node) => text.contains(&format!("`{node}`")),
            Self::Nodes(nodes) => nodes.iter().all(|node| text.contains(&format!("`{node}`"))),
            Self::AnyNode => NAMES.iter().any(|node| text.contains(&format!("`{node}`"))),
        };
        (!is_so).then(|| format!("{self:?} by `explain`, and redis-rs is told: {text}"))
    }
}

/// Holds every way in against `explain`, for every row.
async fn every_way_in_does_what_explain_says<S: Failed>(store: S, nodes: Vec<String>, is_ring: bool) {
    let mut connection = store.clone();
    let mut differing = Vec::new();
    let mut n = 0;
    for row in ALL {
        for cmd in examples(row) {
            n += 1;
            let words: Vec<_> =
                redisdb_node::command::words(&cmd).map(|word| String::from_utf8_lossy(word)).collect();
            let words = words.join(" ");
            let mut report = |way: &str, difference: Option<String>| {
                differing.extend(difference.map(|difference| format!("{words}, {way}: {difference}")));
            };
            let fate = Fate::of(&store.explain(&cmd), &nodes);
            report("alone", fate.differs(&store.query::<Value>(&cmd).await.unwrap_err(), is_ring));
            let error = cmd.query_async::<Value>(&mut connection).await.unwrap_err();
            report("alone through redis-rs", fate.differs_in_redis_rs(&error));

            for is_atomic in [false, true] {
                // By itself, and with others that have a key.
                for with in [false, true] {
                    let (mut lent, mut typed) = (redis::pipe(), store.pipeline());
                    if is_atomic {
                        lent.atomic();
                        typed = typed.atomic();
                    }
                    let mut promises = Vec::new();
                    let mut add = |cmd: &Cmd| {
                        lent.add_command(cmd.clone());
                        promises.push(typed.command::<Value>(cmd.clone()));
                    };
                    if with {
                        add(redis::cmd("SET").arg("{t}first").arg(1));
                    }
                    add(&cmd);
                    let explained = store.explain_pipeline(&lent);
                    let fates: Vec<_> = explained.iter().map(|told| Fate::of(told, &nodes)).collect();
                    let way =
                        format!("{} {}", ["piped", "atomic"][usize::from(is_atomic)], usize::from(with));
                    assert_eq!(typed.execute().await.len(), fates.len());
                    for (fate, promise) in fates.iter().zip(promises) {
                        report(
                            &way,
                            match promise.await {
                                Err(error) => fate.differs(&error, is_ring),
                                Ok(written) => (*fate != Fate::Nodes(S::failed(&written)))
                                    .then(|| format!("{fate:?} by `explain`, and others were asked")),
                            },
                        );
                    }
                    lent.ignore_errors();
                    let values = lent.query_async::<Vec<redis::RedisResult<Value>>>(&mut connection).await;
                    let errors: Vec<_> = match values {
                        // The block as a whole.
                        Err(error) => vec![error],
                        Ok(values) => values.into_iter().map(Result::unwrap_err).collect(),
                    };
                    for (fate, error) in fates.iter().zip(&errors) {
                        report(&format!("{way} through redis-rs"), fate.differs_in_redis_rs(error));
                    }
                }
            }
        }
    }
    println!("{n} commands of {} rows", ALL.len());
    let n_differing = differing.len();
    differing.truncate(20);
    assert!(n_differing == 0, "{n_differing} do not agree:\n{}", differing.join("\n"));
}

fn names(n: usize) -> Vec<String> {
    NAMES.iter().take(n).map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn on_a_ring_of_three_every_way_in_does_what_explain_says() {
    every_way_in_does_what_explain_says(ring(3).build().unwrap(), names(3), true).await;
}

#[tokio::test]
async fn on_a_ring_of_three_with_colocated_keys_every_way_in_does_what_explain_says() {
    every_way_in_does_what_explain_says(ring(3).allow_colocated().build().unwrap(), names(3), true).await;
}

#[tokio::test]
async fn on_a_ring_of_one_every_way_in_does_what_explain_says() {
    every_way_in_does_what_explain_says(ring(1).build().unwrap(), names(1), true).await;
}

#[tokio::test]
async fn on_a_ring_of_one_with_colocated_keys_every_way_in_does_what_explain_says() {
    every_way_in_does_what_explain_says(ring(1).allow_colocated().build().unwrap(), names(1), true).await;
}

#[tokio::test]
async fn on_a_copy_of_three_every_way_in_does_what_explain_says() {
    every_way_in_does_what_explain_says(copy(3), names(3), false).await;
}

#[tokio::test]
async fn on_a_copy_of_one_every_way_in_does_what_explain_says() {
    every_way_in_does_what_explain_says(copy(1), names(1), false).await;
}

/// Calls on the connection of a transaction, for every row: one is refused just where it would be in a block with the watched
/// key, but for what waits, which only a block cannot do. Nothing may run there whose keys are elsewhere.
///
/// The servers say that all is well to whatever they are sent, and do nothing: real ones would be shut down.
async fn in_a_transaction_a_call_is_refused_as_in_a_block(n: usize, is_colocated: bool) {
    let servers = join_all((0..n).map(|_| Hostile::start())).await;
    let nodes = NAMES.iter().zip(&servers);
    let ring = nodes.fold(RedisRing::builder(), |ring, (name, server)| ring.node(*name, &server.url()));
    let ring = if is_colocated { ring.allow_colocated() } else { ring }.build().unwrap();
    let (watched, ring) = ("{t}watched", &ring);
    let owner = ring.node_for(watched).name().to_owned();
    let owner = owner.as_str();
    let differing = ring.transaction(watched, |tx| async move {
        let (mut differing, mut n_run) = (Vec::new(), 0);
        for row in ALL {
            for cmd in examples(row) {
                let mut block = redis::pipe();
                block.atomic().cmd("EXISTS").arg(watched).add_command(cmd.clone());
                let refused =
                    ring.explain_pipeline(&block).into_iter().find_map(|told| match told.decision {
                        Decision::Refused(error) => Some(error),
                        _ => None,
                    });
                let waits = row.needs_dedicated(&cmd).is_some() && row.blocks_for_keys();
                let called = tx.query::<Value>(&cmd).await;
                let is_so = match (&called, &refused) {
                    (Err(called), Some(refused)) => waits || called.to_string() == refused.to_string(),
                    (Ok(_), None) => true,
                    (Ok(_), Some(_)) => waits,
                    (Err(_), None) => false,
                };
                if called.is_ok() {
                    n_run += 1;
                }
                let elsewhere = called.is_ok().then(|| row.keys_of(&cmd).unwrap());
                let elsewhere =
                    elsewhere.into_iter().flatten().any(|(_, key)| ring.node_for(key).name() != owner);
                if !is_so || elsewhere {
                    differing.push(format!("{}: {called:?}, in a block {refused:?}", row.name));
                }
            }
        }
        println!("{n_run} commands were run");
        assert!(n_run > 300, "{n_run}");
        Ok(differing)
    });
    let mut differing = differing.await.unwrap();
    let n_differing = differing.len();
    differing.truncate(20);
    assert!(n_differing == 0, "{n_differing} differ:\n{}", differing.join("\n"));
}

#[tokio::test]
async fn in_a_transaction_on_a_ring_of_three_a_call_is_refused_as_in_a_block() {
    in_a_transaction_a_call_is_refused_as_in_a_block(3, false).await;
    in_a_transaction_a_call_is_refused_as_in_a_block(3, true).await;
}

#[tokio::test]
async fn in_a_transaction_on_a_ring_of_one_a_call_is_refused_as_in_a_block() {
    in_a_transaction_a_call_is_refused_as_in_a_block(1, false).await;
    in_a_transaction_a_call_is_refused_as_in_a_block(1, true).await;
}

/// Names that a refusal may tell of, each with a use of it, which is compiled and dropped.
macro_rules! there {
    ($($name:literal: $use:expr;)*) => {{
        $(drop($use);)*
        BTreeSet::from([$($name),*])
    }};
}

/// Returns what stands in backquotes in a text and is a name in Rust, not on the wire: `on_node(name)`, `Script`.
fn told(text: &str) -> BTreeSet<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    let names = quoted.flat_map(|quoted| quoted.split("().")).filter_map(|call| call.split('(').next());
    let is_name = |name: &&str| {
        name.starts_with(char::is_alphabetic)
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
            && name.contains(|c: char| c.is_ascii_lowercase())
    };
    names.filter(is_name).map(str::to_owned).collect()
}

/// Of every refusal the names that there are not for this strategy.
fn missing<S: Failed>(store: &S, there: &BTreeSet<&str>) -> BTreeSet<String> {
    let mut missing = BTreeSet::new();
    for row in ALL {
        for cmd in examples(row) {
            let alone = store.explain(&cmd);
            let mut pipe = redis::pipe();
            let piped = store.explain_pipeline(pipe.add_command(cmd));
            let atomic = store.explain_pipeline(pipe.atomic());
            for explanation in [alone].iter().chain(&piped).chain(&atomic) {
                // Which keys of the caller's are where is no advice.
                if let Decision::Refused(error @ Error::Unsupported { .. }) = &explanation.decision {
                    let names = told(&error.to_string()).into_iter();
                    missing.extend(names.filter(|name| !there.contains(name.as_str())));
                }
            }
        }
    }
    missing
}

#[tokio::test]
async fn a_refusal_tells_of_nothing_that_is_not_there() {
    let (ring, copy) = (ring(1).build().unwrap(), copy(1));
    let node = ring.on_node("a").unwrap();
    let both = there! {
        "Script": Script::new("return 1").deterministic();
        "deterministic": Script::function("f").deterministic();
        "Subscription": None::<Subscription>;
        "redis": redis::Client::open("redis://h");
        "dedicated": node.dedicated();
    };
    let of_ring = there! {
        "on_node": ring.on_node("a");
        "pipeline": ring.pipeline();
        "atomic": ring.pipeline().atomic();
        "mget": ring.mget::<u8>("k");
        "psubscribe": ring.psubscribe("c*");
        "scan_iter": ring.scan_iter::<String>(ScanOptions::new());
        "ssubscribe": ring.ssubscribe("c");
        "subscribe": ring.subscribe("c");
        "transaction": ring.transaction("k", async |_| Ok(()));
    };
    let of_copy = there! {
        "on_node": copy.on_node("a");
        "pipeline": copy.pipeline();
        "atomic": copy.pipeline().atomic();
        "hscan_iter": copy.hscan_iter::<u8, u8>("k", ScanOptions::new());
        "lock": copy.lock("k", LockOptions::new(Duration::from_secs(1)));
        "psubscribe": copy.psubscribe("c*");
        "scan_iter": copy.scan_iter::<String>(ScanOptions::new());
        "sscan_iter": copy.sscan_iter::<u8>("k", ScanOptions::new());
        "ssubscribe": copy.ssubscribe("c");
        "subscribe": copy.subscribe("c");
        "xread": copy.xread::<u8, u8, u8>("k", "0");
        "zscan_iter": copy.zscan_iter::<u8>("k", ScanOptions::new());
    };
    assert_eq!(missing(&ring, &both.union(&of_ring).copied().collect()), BTreeSet::new());
    assert_eq!(missing(&copy, &both.union(&of_copy).copied().collect()), BTreeSet::new());
}

#[tokio::test]
async fn a_ring_that_does_without_those_away_refuses_what_explain_refuses() {
    let on_down = OnDown::Failover { ttl_cap: Duration::from_secs(1) };
    let ring = ring(3).on_down(on_down).build().unwrap();
    let mut differing = Vec::new();
    for row in ALL {
        for cmd in examples(row) {
            // A write makes the ring send each command by itself.
            let pipeline = ring.pipeline();
            drop(pipeline.set("k", 1));
            let promise = pipeline.command::<Value>(cmd.clone());
            pipeline.execute().await.check().unwrap_err();
            let error = promise.await.unwrap_err();
            let explained = ring.explain_pipeline(redis::pipe().add_command(cmd)).remove(0);
            let (is_refused, call) =
                (matches!(explained.decision, Decision::Refused(_)), error.is_unsupported());
            if is_refused != call {
                differing.push(format!("{explained}, and the call says: {error}"));
            }
        }
    }
    differing.truncate(20);
    assert_eq!(differing, [""; 0]);
}

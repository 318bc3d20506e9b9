//! Bringing a node of a copy back, and finding where the nodes differ.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redisdb::Error;
use redisdb::Health;
use redisdb::Node;
use redisdb::OnReturn;
use redisdb::Progress;
use redisdb::RedisCopy;
use redisdb::RepairReason;
use redisdb::commands::*;
use redisdb_tests::NAMES;
use redisdb_tests::Proxy;
use redisdb_tests::Way;
use redisdb_tests::calls;
use redisdb_tests::contents;
use redisdb_tests::copy;
use redisdb_tests::eventually;
use redisdb_tests::process;
use xtask::Data;
use xtask::Servers;

/// Keys of every type, some with a time to live.
async fn fill(copy: &RedisCopy, n: usize) {
    for i in 0..n {
        match i % 6 {
            0 => drop(copy.set(format!("string:{i}"), i).await.unwrap()),
            1 => drop(copy.hset_multiple(format!("hash:{i}"), (0..20).map(|f| (f, i))).await.unwrap()),
            2 => drop(
                copy.sadd(format!("set:{i}"), (0..20).map(|m| format!("m{m}")).collect::<Vec<_>>())
                    .await
                    .unwrap(),
            ),
            3 => drop(copy.rpush(format!("list:{i}"), (0..20).collect::<Vec<_>>()).await.unwrap()),
            4 => drop(copy.zadd(format!("zset:{i}"), (0..20).map(|m| (m as f64, m))).await.unwrap()),
            _ => drop(copy.setex(format!("short:{i}"), Duration::from_secs(1000), i).await.unwrap()),
        }
    }
}

async fn all_contents(copy: &RedisCopy) -> Vec<BTreeMap<String, String>> {
    let mut all = Vec::new();
    for node in copy.nodes() {
        all.push(contents(&node).await);
    }
    all
}

async fn restart(copy: &RedisCopy, servers: &mut Servers, idx: usize) -> Node {
    let node = copy.on_node(NAMES[idx]).unwrap().clone();
    let before = node.incarnation();
    servers[idx].restart(Data::Lose).unwrap();
    eventually("it is up and known to be another process", async || {
        node.ready().await.is_ok() && node.incarnation() > before
    })
    .await;
    node
}

#[tokio::test]
async fn a_server_that_came_back_empty_is_filled_and_readmitted() {
    let (mut servers, copy) = copy().await;
    fill(&copy, 1000).await;
    servers[0].kill();
    _ = copy.set("string:0", "changed while it was down").await.unwrap();
    _ = copy.del("string:6").await.unwrap();
    let node = restart(&copy, &mut servers, 0).await;
    // What somebody else put there is not on the others.
    node.set("stray", 1).await.unwrap();
    eventually("it is known to have lost all", async || {
        copy.health()[0] == ("a".to_owned(), Health::Syncing)
    })
    .await;

    let dry = copy.repair("a").dry_run().run().await.unwrap();
    assert_eq!((dry.copied, dry.removed, dry.readmitted), (999, 1, false));
    assert_eq!(node.dbsize().await.unwrap(), 1);

    let mut seen: Vec<Progress> = Vec::new();
    let repaired = copy.repair("a").on_progress(|progress| seen.push(progress)).run().await.unwrap();
    assert_eq!((repaired.copied, repaired.removed, repaired.readmitted), (999, 1, true), "{repaired:?}");
    // After them come the keys that it missed while it was down.
    assert!(seen.iter().filter(|progress| progress.total == 999).count() > 3, "{seen:?}");
    let all = all_contents(&copy).await;
    assert_eq!(all[0], all[1]);
    assert_eq!(all[0], all[2]);
    assert!(copy.health().iter().all(|(_, health)| *health == Health::Up));
    assert_eq!(copy.verify().run().await.unwrap(), []);
}

#[tokio::test]
async fn the_keys_of_missed_writes_are_brought_over() {
    let (mut servers, _) = copy().await;
    let timeout = Duration::from_millis(500);
    let nodes = NAMES.iter().zip(servers.urls());
    let copy = nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, &url));
    let copy = copy.on_return(OnReturn::Wait).response_timeout(timeout).connect_timeout(timeout);
    let copy = copy.connect().await.unwrap();
    fill(&copy, 300).await;
    servers[1].pause();
    _ = copy.incr("counter").await.unwrap();
    _ = copy.set("string:0", "new").await.unwrap();
    _ = copy.del("string:6").await.unwrap();
    servers[1].resume();
    let node = copy.on_node("b").unwrap();
    eventually("it answers", async || node.ready().await.is_ok() && node.ping().await.is_ok()).await;
    // It has executed what it was sent while it was paused, or not: both are made right.
    node.set("counter", 77).await.unwrap();
    let repaired = copy.repair("b").run().await.unwrap();
    assert_eq!((repaired.compared, repaired.readmitted), (300, true), "{repaired:?}");
    assert!((1..=3).contains(&(repaired.copied + repaired.removed)), "{repaired:?}");
    assert_eq!(node.get::<i64>("counter").await.unwrap(), Some(1));
    assert_eq!(copy.verify().run().await.unwrap(), []);
    let _servers = &mut servers;
}

#[tokio::test]
async fn what_is_written_during_a_repair_is_not_lost() {
    let (mut servers, copy) = copy().await;
    fill(&copy, 600).await;
    servers[2].kill();
    restart(&copy, &mut servers, 2).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|w| {
            let (copy, stop) = (copy.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut n = 0;
                // One writer for each key: with several, copies may differ without any repair.
                while !stop.load(Ordering::Relaxed) {
                    let key = w * 6 + n % 100 * 24;
                    _ = copy.set(format!("string:{key}"), n).await.unwrap();
                    _ = copy.incr(format!("counter:{w}")).await.unwrap();
                    _ = copy.hset(format!("hash:{}", key + 1), "written", n).await.unwrap();
                    n += 1;
                }
                n
            })
        })
        .collect();
    let repaired = copy.repair("c").keys_per_second(3000).run().await.unwrap();
    stop.store(true, Ordering::Relaxed);
    let mut written = 0;
    for writer in writers {
        written += writer.await.unwrap();
    }
    assert!(written > 20, "{written}");
    assert!(repaired.copied > 300, "{repaired:?}");
    // Keys that were still being written at the end are brought over now.
    assert!(copy.repair("c").run().await.unwrap().readmitted);
    let all = all_contents(&copy).await;
    assert_eq!(all[0], all[1]);
    assert_eq!(all[0], all[2]);
    assert!(copy.health().iter().all(|(_, health)| *health == Health::Up));
}

/// A server at one moment: what a key holds there, and how often each command was executed.
struct Moment {
    value: Option<String>,
    stats: String,
}

impl Moment {
    /// The key is set before that, if it is to be.
    async fn of(node: &Node, key: &str, set: Option<&str>) -> Self {
        let script = "if ARGV[1] then redis.call('SET', KEYS[1], ARGV[1]) end \
                      return {redis.call('GET', KEYS[1]), redis.call('INFO', 'commandstats')}";
        let reply = node.send(redis::cmd("EVAL").arg(script).arg(1).arg(key).arg(set)).await.unwrap();
        let (value, stats) = redis::from_redis_value(reply).unwrap();
        Self { value, stats }
    }

    fn n(&self, command: &str) -> u64 {
        let prefix = format!("cmdstat_{command}:calls=");
        let stats = self.stats.lines().find_map(|line| line.strip_prefix(&prefix));
        stats.map_or(0, |stats| stats.split(',').next().unwrap().parse().unwrap())
    }
}

/// Two nodes, of which what is sent to the second one can be held up, and that one without the proxy.
async fn with_a_slow_one() -> (Servers, Proxy, RedisCopy, Node) {
    let servers = Servers::start(2).unwrap();
    let proxy = Proxy::to(servers[1].port()).await;
    let urls = [servers[0].url(), proxy.url()];
    let nodes = NAMES.iter().zip(&urls);
    let copy = nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, url));
    let copy =
        copy.on_return(OnReturn::Wait).response_timeout(Duration::from_secs(10)).connect().await.unwrap();
    let b = Node::connect(servers[1].url()).await.unwrap();
    (servers, proxy, copy, b)
}

const LATE: Duration = Duration::from_millis(150);

/// What somebody writes where a key holds "seen" stays, after that was looked at for the last time, and before the copy comes.
async fn stays(meanwhile: &str) {
    let (_servers, proxy, copy, b) = with_a_slow_one().await;
    // Whether a trial came in time is known afterwards only: the machine may be busy.
    let mut is_in_time = false;
    for trial in 0..20 {
        let key = format!("key of trial {trial}");
        copy.on_node("a").unwrap().set(&key, "of the source").await.unwrap();
        let before = Moment::of(&b, &key, Some("seen")).await;
        proxy.slow(Way::Requests, LATE, Duration::ZERO);
        let repairing = tokio::spawn({
            let copy = copy.clone();
            async move { copy.repair("b").run().await.unwrap() }
        });
        // When all keys are compared, when those that differ are to be copied, and when they are watched.
        let looks = before.n("dump") + 3;
        eventually("it was looked at", async || looks == Moment::of(&b, &key, None).await.n("dump")).await;
        let written = Moment::of(&b, &key, Some(meanwhile)).await;
        let is_tried = async || before.n("exec") < Moment::of(&b, &key, None).await.n("exec");
        eventually("it was to be copied", is_tried).await;
        let after = Moment::of(&b, &key, None).await;
        is_in_time = written.n("exec") == before.n("exec") && after.n("exec") == before.n("exec") + 1;
        if is_in_time {
            assert_eq!(after.value.as_deref(), Some(meanwhile));
        }
        proxy.heal();
        // It is looked at again, and then it is brought over.
        assert_eq!(repairing.await.unwrap().copied, 1);
        assert_eq!(copy.verify().run().await.unwrap(), []);
        if is_in_time {
            break;
        }
    }
    assert!(is_in_time, "the machine is too slow for this test");
}

#[tokio::test]
async fn what_somebody_writes_between_the_look_at_a_key_and_its_copy_is_not_overwritten() {
    stays("written meanwhile").await;
}

#[tokio::test]
async fn what_somebody_writes_between_the_look_at_a_key_and_its_copy_is_not_overwritten_if_it_is_what_was_seen()
 {
    stays("seen").await;
}

/// What is written after the target was looked at, and before the key is watched, ends the copy. `on_both` writes what was seen on both nodes,
/// and else something is written on the target. Returns how often the key was copied, and watched.
async fn written_before_it_is_watched(on_both: bool) -> (u64, u64) {
    let (_servers, proxy, copy, b) = with_a_slow_one().await;
    let a = copy.on_node("a").unwrap();
    for trial in 0..20 {
        let key = format!("key of trial {trial}");
        a.set(&key, "of the source").await.unwrap();
        let before = Moment::of(&b, &key, Some("seen")).await;
        proxy.slow(Way::Requests, LATE, Duration::ZERO);
        let repairing = tokio::spawn({
            let copy = copy.clone();
            async move { copy.repair("b").run().await.unwrap() }
        });
        let looks = before.n("dump") + 2;
        eventually("it was looked at", async || looks == Moment::of(&b, &key, None).await.n("dump")).await;
        if on_both {
            Moment::of(&b, &key, Some("seen")).await;
            a.set(&key, "seen").await.unwrap();
        } else {
            Moment::of(&b, &key, Some("written meanwhile")).await;
        }
        let written = Moment::of(&b, &key, None).await;
        let is_in_time = written.n("watch") == before.n("watch") && written.n("dump") == looks;
        let repaired = repairing.await.unwrap();
        let after = Moment::of(&b, &key, None).await;
        proxy.heal();
        assert_eq!(copy.verify().run().await.unwrap(), []);
        if is_in_time {
            assert_eq!(repaired.copied, after.n("restore") - before.n("restore"));
            return (repaired.copied, after.n("watch") - before.n("watch"));
        }
    }
    panic!("the machine is too slow for this test");
}

#[tokio::test]
async fn what_both_nodes_hold_since_the_target_was_looked_at_is_not_overwritten_if_it_is_what_was_seen_there()
{
    assert_eq!(written_before_it_is_watched(true).await.0, 0);
}

#[tokio::test]
async fn what_is_written_on_the_target_before_it_is_watched_has_it_looked_at_again() {
    assert_eq!(written_before_it_is_watched(false).await, (1, 2));
}

#[tokio::test]
async fn keys_that_nobody_writes_do_not_wait_one_by_one_because_of_one_that_somebody_writes() {
    const N_KEYS: u64 = 64;
    let (_servers, proxy, copy, b) = with_a_slow_one().await;
    let key = |i: u64| format!("key:{i}");
    let hot = key(0);
    for i in 0..N_KEYS {
        copy.on_node("a").unwrap().set(key(i), "of the source").await.unwrap();
        b.set(key(i), "of the target").await.unwrap();
    }
    let before = Moment::of(&b, &hot, None).await;
    // The key is written between the look at it and the block, whenever that is.
    proxy.slow(Way::Requests, Duration::from_millis(20), Duration::ZERO);
    let repairing = tokio::spawn({
        let copy = copy.clone();
        async move { copy.repair("b").run().await.unwrap() }
    });
    let mut n_written = 0;
    while !repairing.is_finished() {
        n_written += 1;
        b.set(&hot, n_written).await.unwrap();
    }
    let repaired = repairing.await.unwrap();
    let n_watched = Moment::of(&b, &hot, None).await.n("watch") - before.n("watch");
    assert!(N_KEYS - 1 <= repaired.copied, "{repaired:?}");
    assert!(
        1 < n_watched && n_watched < N_KEYS,
        "{n_watched} times {N_KEYS} keys were watched, or some of them"
    );
    proxy.heal();
    copy.repair("b").run().await.unwrap();
    assert_eq!(copy.verify().run().await.unwrap(), []);
}

#[tokio::test]
async fn what_somebody_writes_while_a_large_value_is_copied_is_not_overwritten() {
    let (_servers, proxy, copy, b) = with_a_slow_one().await;
    copy.on_node("a").unwrap().set("key", "of the source".repeat(10_000)).await.unwrap();
    b.set("key", "seen").await.unwrap();
    proxy.slow(Way::Requests, Duration::from_millis(100), Duration::ZERO);
    let repairing = tokio::spawn({
        let copy = copy.clone();
        async move { copy.repair("b").run().await.unwrap() }
    });
    // From here on to the end of the block there are five round trips, and ten more before that of the next attempt.
    eventually("it is built up", async || calls(&b, "set").await == 2).await;
    b.set("key", "written meanwhile").await.unwrap();
    assert_eq!(calls(&b, "exec").await, 0, "the machine is too slow for this test");
    eventually("it was to be copied", async || calls(&b, "exec").await == 1).await;
    assert!(b.get::<String>("key").await.unwrap().as_deref() == Some("written meanwhile"));
    proxy.heal();
    assert_eq!(repairing.await.unwrap().copied, 1);
    assert_eq!(copy.verify().run().await.unwrap(), []);
}

#[tokio::test]
async fn what_was_read_of_a_large_value_is_not_written_if_the_source_has_changed_meanwhile() {
    const CHUNKS: u64 = 8;
    let (_servers, proxy, copy, b) = with_a_slow_one().await;
    let a = copy.on_node("a").unwrap();
    for trial in 0..20 {
        let key = format!("key of trial {trial}");
        a.rpush(&key, vec!["x".repeat(100); 256 * CHUNKS as usize]).await.unwrap();
        b.set(&key, "seen").await.unwrap();
        let (pushed, renamed) = (calls(&b, "rpush").await, calls(&b, "rename").await);
        proxy.slow(Way::Requests, LATE, Duration::ZERO);
        let repairing = tokio::spawn({
            let copy = copy.clone();
            async move { copy.repair("b").run().await.unwrap() }
        });
        eventually("the first elements are there", async || pushed < calls(&b, "rpush").await).await;
        a.lset(&key, 0, "written meanwhile").await.unwrap();
        let is_in_time = calls(&b, "rpush").await < pushed + CHUNKS;
        assert_eq!(repairing.await.unwrap().copied, 1);
        proxy.heal();
        assert_eq!(copy.verify().run().await.unwrap(), []);
        if is_in_time {
            assert_eq!(calls(&b, "rename").await, renamed + 1);
            return;
        }
    }
    panic!("the machine is too slow for this test");
}

#[tokio::test]
async fn verify_says_which_keys_differ_and_where() {
    let (_servers, copy) = copy().await;
    fill(&copy, 200).await;
    let node = |name: &str| copy.on_node(name).unwrap().clone();
    node("b").set("string:0", "other").await.unwrap();
    node("c").del("hash:1").await.unwrap();
    node("a").set("only-here", 1).await.unwrap();
    node("c").set("only-there", 1).await.unwrap();
    node("b").persist("short:5").await.unwrap();
    // The same set, filled in another order: nothing differs.
    node("b").del("set:2").await.unwrap();
    node("b").sadd("set:2", (0..20).rev().map(|m| format!("m{m}")).collect::<Vec<_>>()).await.unwrap();
    let found: Vec<String> = copy.verify().run().await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "`hash:1` is missing on c",
            "`only-here` is missing on b, c",
            "`only-there` is missing on a, b",
            "`short:5` is something else on b",
            "`string:0` is something else on b",
        ]
    );
}

/// Returns why a node was not repaired.
fn why(error: &Error) -> Option<RepairReason> {
    match error {
        Error::Repair(error) => Some(error.reason),
        _ => None,
    }
}

#[tokio::test]
async fn an_error_says_that_another_process_repairs_the_node() {
    let mut servers = Servers::start(3).unwrap();
    let copy = process(&servers.urls(), Some("shop")).on_return(OnReturn::Wait).connect().await.unwrap();
    fill(&copy, 60).await;
    restart(&copy, &mut servers, 1).await;
    let b = copy.on_node("b").unwrap();
    let info = b.info_with(&["server"]).await.unwrap();
    let lock = format!("__redisdb:{{shop}}:sync:{}", info.get("server", "run_id").unwrap());
    let lock = lock.as_str();
    b.set(lock, "another process").await.unwrap();
    let error = copy.repair("b").run().await.unwrap_err();
    assert_eq!(why(&error), Some(RepairReason::Busy), "{error}");
    assert!(!error.is_unsupported() && !error.may_have_executed() && error.to_string().contains("node `b`"));
    b.del(lock).await.unwrap();
    let repair = copy.repair("b").keys_per_second(50);
    // Somebody else takes the node over meanwhile.
    let taken_over = async {
        eventually("the repair has begun", async || b.exists(lock).await.unwrap() == 1).await;
        b.set(lock, "another process").await.unwrap();
    };
    let (repaired, ()) = tokio::join!(repair.run(), taken_over);
    let error = repaired.unwrap_err();
    assert_eq!(why(&error), Some(RepairReason::LeaseLost), "{error}");
    assert!(!error.is_unsupported() && error.may_have_executed());
}

#[tokio::test]
async fn a_repair_needs_a_source() {
    let (mut servers, copy) = copy().await;
    fill(&copy, 60).await;
    for idx in 0..3 {
        servers[idx].kill();
        restart(&copy, &mut servers, idx).await;
    }
    let error = copy.repair("a").run().await.unwrap_err();
    assert!(
        !error.is_unsupported() && error.to_string().contains("say whose keys count, by `readmit(name)`"),
        "{error}"
    );
    assert_eq!((why(&error), error.may_have_executed()), (Some(RepairReason::NoSource), false));
    assert!(copy.repair("a").from("a").run().await.is_err());
    assert!(copy.repair("x").run().await.is_err());
    copy.nodes().nth(1).unwrap().set("kept", 1).await.unwrap();
    copy.readmit("b").await.unwrap();
    assert!(copy.repair("a").from("b").run().await.unwrap().readmitted);
    assert_eq!(copy.get::<u8>("kept").await.unwrap(), Some(1));
}

/// A key that is read from `a` first, of which `b` and `c` hold something else, and are known to.
async fn missed_by_b_and_c(copy: &RedisCopy) -> String {
    let key = (0..).map(|i| format!("key:{i}")).find(|key| copy.node_for(key).name() == "a").unwrap();
    for (name, value) in NAMES.into_iter().zip([1, 10, 100]) {
        copy.on_node(name).unwrap().set(&key, value).await.unwrap();
    }
    _ = copy.incr(&key).await.unwrap();
    key
}

#[tokio::test]
async fn what_the_named_node_has_missed_itself_comes_from_another() {
    let (mut servers, copy) = copy().await;
    fill(&copy, 60).await;
    let key = missed_by_b_and_c(&copy).await;
    let b = copy.on_node("b").unwrap().clone();
    let value = async || b.get::<u32>(&key).await.unwrap();
    let repaired = copy.repair("b").from("c").run().await.unwrap();
    assert_eq!((value().await, repaired.doubtful.len(), repaired.readmitted), (Some(2), 0, true));

    // Also where all keys are compared.
    restart(&copy, &mut servers, 1).await;
    let repaired = copy.repair("b").from("c").run().await.unwrap();
    assert_eq!((value().await, repaired.doubtful.len(), repaired.readmitted), (Some(2), 0, true));

    // Where none has it right it is said.
    servers[0].kill();
    let a = copy.on_node("a").unwrap();
    eventually("it is known to be down", async || !a.is_connected()).await;
    restart(&copy, &mut servers, 1).await;
    let dry = copy.repair("b").from("c").dry_run().run().await.unwrap();
    assert_eq!(dry.doubtful, [b""; 0]);
    let repaired = copy.repair("b").from("c").run().await.unwrap();
    assert_eq!((value().await, repaired.readmitted), (Some(101), true));
    assert_eq!(repaired.doubtful, [key.as_bytes()]);
}

#[tokio::test]
async fn a_node_that_is_readmitted_answers_nothing_that_it_has_missed_and_another_has_right() {
    let (mut servers, copy) = copy().await;
    let key = missed_by_b_and_c(&copy).await;
    copy.readmit("c").await.unwrap();
    let c = copy.on_node("c").unwrap();
    servers[0].kill();
    servers[1].kill();
    eventually("it alone is left", async || {
        let others = ["a", "b"].map(|name| copy.on_node(name).unwrap().is_connected());
        others == [false; 2]
    })
    .await;
    assert!(copy.get::<u32>(&key).await.is_err());
    // Where none has, it counts.
    copy.readmit("c").await.unwrap();
    assert_eq!(copy.get::<u32>(&key).await.unwrap(), c.get(&key).await.unwrap());
}

/// Changes, removes and adds something on one node alone, and returns how many keys that is.
async fn tamper(node: &Node) -> usize {
    node.set("string:0", "other").await.unwrap();
    node.hset("hash:1", "another", 1).await.unwrap();
    node.del(["set:2", "list:3"].to_vec()).await.unwrap();
    node.set("stray", 1).await.unwrap();
    5
}

#[tokio::test]
async fn a_repair_by_hand_mends_what_verify_finds() {
    let (_servers, copy) = copy().await;
    fill(&copy, 300).await;
    for from in [None, Some("c")] {
        let n_different = tamper(&copy.on_node("b").unwrap()).await;
        assert_eq!(copy.verify().run().await.unwrap().len(), n_different);
        let repair = || match from {
            None => copy.repair("b"),
            Some(from) => copy.repair("b").from(from),
        };
        let dry = repair().dry_run().run().await.unwrap();
        assert_eq!((dry.compared, dry.copied, dry.removed, dry.readmitted), (300, 4, 1, false), "{dry:?}");
        assert_eq!(copy.verify().run().await.unwrap().len(), n_different);
        let repaired = repair().run().await.unwrap();
        assert_eq!((repaired.compared, repaired.copied, repaired.removed), (300, 4, 1), "{repaired:?}");
        assert!(repaired.readmitted && repaired.undecided.is_empty(), "{repaired:?}");
        assert_eq!(copy.verify().run().await.unwrap(), []);
        assert!(copy.health().iter().all(|(_, health)| *health == Health::Up));
    }
    // The node that was named counts, also where most others agree.
    tamper(&copy.on_node("b").unwrap()).await;
    for name in ["a", "c"] {
        assert!(copy.repair(name).from("b").run().await.unwrap().readmitted);
    }
    assert_eq!(copy.get::<String>("string:0").await.unwrap().as_deref(), Some("other"));
    assert_eq!(copy.verify().run().await.unwrap(), []);
}

#[tokio::test]
async fn a_repair_by_hand_brings_over_more_keys_than_are_remembered_one_by_one() {
    let (_servers, copy) = copy().await;
    let value = |i: u32| (format!("key:{i}"), i);
    for thousand in 0..12 {
        _ = copy.mset((thousand * 1000..(thousand + 1) * 1000).map(value)).await.unwrap();
    }
    copy.on_node("b").unwrap().flushall().await.unwrap();
    let repaired = copy.repair("b").run().await.unwrap();
    assert_eq!((repaired.copied, repaired.readmitted), (12_000, true));
    assert_eq!(copy.on_node("b").unwrap().dbsize().await.unwrap(), 12_000);
}

#[tokio::test]
async fn a_node_keeps_what_it_has_right_and_the_named_one_has_missed() {
    let (_servers, copy) = copy().await;
    fill(&copy, 60).await;
    let key = missed_by_b_and_c(&copy).await;
    let repaired = copy.repair("a").from("c").run().await.unwrap();
    assert_eq!((repaired.copied, repaired.doubtful.len(), repaired.readmitted), (0, 0, true), "{repaired:?}");
    assert_eq!(copy.on_node("a").unwrap().get::<u32>(&key).await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_source_that_cannot_be_one_is_an_error_before_anything() {
    let (mut servers, copy) = copy().await;
    fill(&copy, 6).await;
    for dry in [true, false] {
        for source in ["nope", "b"] {
            let repair = copy.repair("b").from(source);
            let repair = if dry { repair.dry_run() } else { repair };
            let error = repair.run().await.unwrap_err().to_string();
            let said = error.contains("no node `nope`") || error.contains("cannot be repaired from itself");
            assert!(said, "{error}");
        }
    }
    // Nothing is missed, and nothing can be compared.
    servers[0].kill();
    eventually("it is known to be down", async || !copy.on_node("a").unwrap().is_connected()).await;
    let error = copy.repair("b").from("a").run().await.unwrap_err();
    assert!(error.is_connect(), "{error}");
    servers[2].kill();
    eventually("it is known to be down", async || !copy.on_node("c").unwrap().is_connected()).await;
    assert!(copy.repair("b").run().await.is_err());
    // Also where the node itself is not there.
    let error = copy.repair("a").from("a").run().await.unwrap_err();
    assert!(error.to_string().contains("cannot be repaired from itself"), "{error}");
}

#[tokio::test]
async fn verify_needs_two_nodes_and_says_which_it_compared() {
    let (mut servers, copy) = copy().await;
    fill(&copy, 60).await;
    let verified = copy.verify().run().await.unwrap();
    assert_eq!((verified.compared, verified.nodes.len(), verified.left_out.len()), (60, 3, 0));
    // Another handle that has not connected yet compares as much.
    let nodes = NAMES.iter().zip(servers.urls());
    let fresh = nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, &url)).build().unwrap();
    assert_eq!(fresh.verify().run().await.unwrap().compared, 60);

    copy.on_node("c").unwrap().set("only-here", 1).await.unwrap();
    servers[0].kill();
    let verified = copy.verify().run().await.unwrap();
    assert_eq!(
        (verified.compared, verified.nodes.as_slice()),
        (61, ["b".to_owned(), "c".to_owned()].as_slice())
    );
    assert_eq!(verified.left_out[0].0, "a");
    assert!(verified.left_out[0].1.is_connect());
    assert_eq!(verified.len(), 1);

    servers[1].kill();
    for down in [true, false] {
        let error = copy.verify().run().await.unwrap_err();
        assert!(matches!(error, Error::TooFewNodes(_)) && error.is_connect(), "{error}");
        assert!(error.to_string().contains("needs 2 nodes, and"), "{error}");
        if down {
            servers[2].kill();
        }
    }
}

/// Checks that progress never goes back and is complete in the end, and only then.
fn check_progress(seen: &[Progress]) {
    assert!(seen.is_sorted_by_key(|progress| progress.compared), "{seen:?}");
    assert!(seen.iter().all(|progress| progress.total == seen[0].total), "{seen:?}");
    let (last, rest) = seen.split_last().unwrap();
    assert_eq!(last.compared, last.total, "{seen:?}");
    assert!(3 < rest.len() && rest.iter().all(|progress| progress.compared < progress.total), "{seen:?}");
}

#[tokio::test]
async fn progress_never_goes_back_and_is_complete_only_at_the_end() {
    let (mut servers, copy) = copy().await;
    fill(&copy, 1000).await;
    let mut seen = Vec::new();
    let _same = copy.verify().on_progress(|progress| seen.push(progress)).run().await.unwrap();
    check_progress(&seen);
    for dry in [true, false] {
        let mut seen = Vec::new();
        tamper(&copy.on_node("b").unwrap()).await;
        let repair = copy.repair("b").on_progress(|progress| seen.push(progress));
        let repair = if dry { repair.dry_run() } else { repair };
        repair.run().await.unwrap();
        check_progress(&seen);
        let mut seen = Vec::new();
        restart(&copy, &mut servers, 2).await;
        _ = copy.set("string:0", "new").await.unwrap();
        let repair = copy.repair("c").on_progress(|progress| seen.push(progress));
        let repair = if dry { repair.dry_run() } else { repair };
        repair.run().await.unwrap();
        check_progress(&seen);
    }
}

//! Servers of a copy that go away, come back, and lose their data, under a load that knows what it may find: no read
//! says "missing" of what is there, no acknowledged write is lost, and in the end all servers hold the same, without
//! anybody doing anything.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use futures_util::StreamExt;
use redisdb::Error;
use redisdb::Event;
use redisdb::Health;
use redisdb::Node;
use redisdb::OnReturn;
use redisdb::RedisCopy;
use redisdb::commands::*;
use redisdb_tests::Load;
use redisdb_tests::NAMES;
use redisdb_tests::Proxy;
use redisdb_tests::Tally;
use redisdb_tests::eventually;
use redisdb_tests::fill;
use redisdb_tests::process;
use xtask::Data;
use xtask::Server;
use xtask::Servers;

/// One of so many calls may read what another process has put back.
const STALE: u64 = 100;

async fn is_well(copy: &RedisCopy) -> bool {
    copy.health().iter().all(|(_, health)| *health == Health::Up)
}

/// Waits until some time of load has passed.
async fn meanwhile(copy: &RedisCopy, n_calls: u64) {
    // A counter that nobody else counts tells how much a server has done.
    let calls = async || {
        let info = copy.on_node("b").unwrap().info_with(&["stats"]).await.ok()?;
        info.get("stats", "total_commands_processed")?.parse::<u64>().ok()
    };
    let mut start = None;
    eventually("the load goes on", async || match (calls().await, start) {
        (Some(now), None) => {
            start = Some(now);
            false
        }
        (Some(now), Some(start)) => now >= start + n_calls,
        _ => false,
    })
    .await;
}

/// Client processes beside this one.
struct Others(Vec<Child>);

impl Others {
    fn start(n: usize, urls: &[String], identity: Option<&str>) -> Self {
        let start = |i: usize| {
            let mut child = Command::new(env!("CARGO_BIN_EXE_copy_load"))
                .arg(format!("other{i}"))
                .arg(identity.unwrap_or("-"))
                .args(urls)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            let stdout = child.stdout.take().unwrap();
            let mut stdout = BufReader::with_capacity(1, stdout);
            stdout.read_line(&mut line).unwrap();
            assert_eq!(line, "started\n");
            child.stdout = Some(stdout.into_inner());
            child
        };
        Self((0..n).map(start).collect())
    }

    fn stop(mut self) -> Vec<Tally> {
        self.0.iter_mut().for_each(|child| drop(child.stdin.take()));
        let stop = |child: &mut Child| {
            let mut text = String::new();
            child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
            assert!(child.wait().unwrap().success());
            Tally::read(&text)
        };
        self.0.iter_mut().map(stop).collect()
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|child| _ = child.kill());
        self.0.iter_mut().for_each(|child| _ = child.wait());
    }
}

/// Loads a copy, has something done to its servers meanwhile, and checks that it recovers from it.
async fn survives(
    mut servers: Servers,
    identity: Option<&str>,
    n_others: usize,
    fault: impl AsyncFnOnce(&mut Servers, &RedisCopy),
) {
    let urls = servers.urls();
    let copy = process(&urls, identity).connect().await.unwrap();
    fill(&copy).await;
    let others = Others::start(n_others, &urls, identity);
    let load = Load::start(&copy, "own", 12);
    meanwhile(&copy, 500).await;
    fault(&mut servers, &copy).await;
    eventually("all nodes are up again", async || is_well(&copy).await).await;
    meanwhile(&copy, 500).await;
    let mut tallies = vec![load.stop().await];
    tallies.extend(others.stop());
    eventually("all nodes have what they missed", async || is_well(&copy).await).await;
    let differences = copy.verify().run().await.unwrap();
    assert!(differences.is_empty(), "{differences:?}");
    let away: BTreeSet<_> = tallies.iter().flat_map(|tally| &tally.away).collect();
    for tally in &tallies {
        let Tally { calls, failed, missing, wrong, .. } = *tally;
        let n_stale: u64 = tally.stale.values().sum();
        println!("{calls} calls, {failed} failed, {missing} falsely missing, {wrong} wrong, {n_stale} stale");
        assert!(calls > 100, "{calls}");
        assert_eq!((missing, wrong), (0, 0));
        // Without an identity each process syncs a server, and one may put back there for a moment what it has read before
        // another wrote: never on a server that was not away, and in the end all is right, as is checked here.
        assert!(n_stale == 0 || identity.is_none() && n_others > 0, "{:?}", tally.stale);
        assert!(n_stale <= calls / STALE, "{n_stale} of {calls}");
        let is_at_home = |key: &&String| !away.contains(&copy.node_for(key).name().to_owned());
        assert_eq!(tally.stale.keys().find(is_at_home), None, "{away:?} were away, {:?}", tally.stale);
        for node in copy.nodes() {
            tally.check(&node.clone()).await;
        }
    }
    for name in NAMES {
        assert_eq!(copy.on_node(name).unwrap().get::<u64>("standing:7").await.unwrap(), Some(7));
    }
}

async fn comes_back_empty(servers: &mut Servers, copy: &RedisCopy) {
    for idx in 0..NAMES.len() {
        servers[idx].kill();
        meanwhile_without(copy, idx).await;
        servers[idx].restart(Data::Lose).unwrap();
        eventually("it is up again", async || is_well(copy).await).await;
    }
}

/// Waits until a node is known to be down.
async fn meanwhile_without(copy: &RedisCopy, idx: usize) {
    eventually("it is known to be down", async || copy.health()[idx].1 == Health::Down).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_server_in_turn_comes_back_empty() {
    survives(Servers::start(3).unwrap(), None, 0, comes_back_empty).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_server_in_turn_comes_back_empty_to_a_copy_with_an_identity() {
    survives(Servers::start(3).unwrap(), Some("shop"), 0, comes_back_empty).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_comes_back_with_its_data() {
    let servers = Server::builder().persistent().start_many(3).unwrap();
    survives(servers, Some("shop"), 0, async |servers, copy| {
        servers[0].kill();
        meanwhile_without(copy, 0).await;
        meanwhile(copy, 500).await;
        servers[0].restart(Data::Keep).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_comes_back_with_older_data() {
    survives(Servers::start(3).unwrap(), Some("shop"), 0, async |servers, copy| {
        let older = servers[2].dump().unwrap();
        meanwhile(copy, 1000).await;
        servers[2].restart_from(&older).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_flushed_by_somebody_else() {
    survives(Servers::start(3).unwrap(), Some("shop"), 0, async |servers, copy| {
        for idx in 0..NAMES.len() {
            let outsider = Node::connect(servers[idx].url()).await.unwrap();
            outsider.flushall().await.unwrap();
            eventually("it is noticed", async || copy.health()[idx].1 != Health::Up).await;
            eventually("it is up again", async || is_well(copy).await).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_hangs_for_a_while() {
    survives(Servers::start(3).unwrap(), None, 0, async |servers, copy| {
        for idx in 0..NAMES.len() {
            servers[idx].pause();
            meanwhile_without(copy, idx).await;
            servers[idx].resume();
            eventually("it is up again", async || is_well(copy).await).await;
        }
    })
    .await;
}

async fn several_things_happen(servers: &mut Servers, copy: &RedisCopy) {
    servers[0].kill();
    meanwhile_without(copy, 0).await;
    servers[0].restart(Data::Lose).unwrap();
    eventually("it is up again", async || is_well(copy).await).await;
    servers[2].pause();
    meanwhile_without(copy, 2).await;
    servers[2].resume();
    eventually("it is up again", async || is_well(copy).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_bring_the_same_servers_back() {
    survives(Servers::start(3).unwrap(), Some("shop"), 1, several_things_happen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_without_an_identity_bring_the_same_servers_back() {
    survives(Servers::start(3).unwrap(), None, 1, several_things_happen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_processes_bring_the_same_servers_back() {
    survives(Servers::start(3).unwrap(), Some("shop"), 3, several_things_happen).await;
}

#[tokio::test]
async fn a_process_that_starts_later_does_not_read_from_a_server_with_older_data() {
    let mut servers = Servers::start(3).unwrap();
    let urls = servers.urls();
    let first = process(&urls, Some("shop")).connect().await.unwrap();
    let keys: Vec<String> = (0..60).map(|i| format!("key:{i}")).collect();
    _ = first.mset(keys.iter().map(|key| (key, "old"))).await.unwrap();
    let older = servers[0].dump().unwrap();
    _ = first.mset(keys.iter().map(|key| (key, "new"))).await.unwrap();
    drop(first);
    servers[0].restart_from(&older).unwrap();
    let second = process(&urls, Some("shop")).connect().await.unwrap();
    let owner = second.on_node("a").unwrap().clone();
    assert_eq!(owner.get::<String>(&keys[0]).await.unwrap().as_deref(), Some("old"));
    for key in &keys {
        assert_eq!(second.get::<String>(key).await.unwrap().as_deref(), Some("new"), "{key}");
    }
    eventually("it is up again", async || is_well(&second).await).await;
    assert_eq!(owner.get::<String>(&keys[0]).await.unwrap().as_deref(), Some("new"));
    // It was marked anew, so the next process takes it for whole.
    let third = process(&urls, Some("shop")).connect().await.unwrap();
    assert!(is_well(&third).await, "{:?}", third.health());
}

#[tokio::test]
async fn a_process_that_starts_later_does_not_read_from_a_server_that_was_away_for_long() {
    let servers = Servers::start(3).unwrap();
    let urls = servers.urls();
    let marker = "__redisdb:{shop}:node";
    drop(process(&urls, Some("shop")).connect().await.unwrap());
    // As if the others had gone on for many beats, with processes that are gone now.
    for (name, url) in NAMES.iter().zip(&urls) {
        let node = Node::connect(url.as_str()).await.unwrap();
        let marked: String = node.get(marker).await.unwrap().unwrap();
        assert!(marked.contains("\"epoch\":1,"), "{marked}");
        node.set("k", if *name == "c" { "old" } else { "new" }).await.unwrap();
        if *name != "c" {
            node.set(marker, marked.replace("\"epoch\":1,", "\"epoch\":9,")).await.unwrap();
        }
    }
    let copy = process(&urls, Some("shop")).connect().await.unwrap();
    assert_eq!(copy.health()[2], ("c".to_owned(), Health::Syncing));
    eventually("it is up again", async || is_well(&copy).await).await;
    let behind = copy.on_node("c").unwrap().clone();
    assert_eq!(behind.get::<String>("k").await.unwrap().as_deref(), Some("new"));
    let marked: String = behind.get(marker).await.unwrap().unwrap();
    assert!(marked.contains("\"epoch\":9,") && marked.contains("\"ready\""), "{marked}");
}

#[tokio::test]
async fn a_marker_of_the_first_format_is_read_and_replaced() {
    let servers = Servers::start(3).unwrap();
    let urls = servers.urls();
    for (name, url) in NAMES.iter().zip(&urls) {
        let node = Node::connect(url.as_str()).await.unwrap();
        node.set("__redisdb:{shop}:node", *name).await.unwrap();
        node.set("k", 1).await.unwrap();
    }
    let copy = process(&urls, Some("shop")).connect().await.unwrap();
    assert_eq!(copy.get::<u8>("k").await.unwrap(), Some(1));
    let last = copy.on_node("c").unwrap().clone();
    eventually("it has an epoch", async || {
        last.get::<String>("__redisdb:{shop}:node").await.unwrap().is_some_and(|text| text.contains("epoch"))
    })
    .await;
    assert!(is_well(&copy).await);
}

#[tokio::test]
async fn nodes_that_have_missed_what_only_one_took_that_is_away_answer_all_others() {
    let mut servers = Servers::start(3).unwrap();
    let copy = process(&servers.urls(), None).connect().await.unwrap();
    let key = (0..).map(|i| format!("n:{i}")).find(|key| copy.node_for(key).name() == "a").unwrap();
    _ = copy.set("other", 7).await.unwrap();
    // What `a` took alone.
    servers[1].pause();
    servers[2].kill();
    meanwhile_without(&copy, 1).await;
    meanwhile_without(&copy, 2).await;
    _ = copy.incrby(&key, 10).await.unwrap();
    servers[0].pause();
    meanwhile_without(&copy, 0).await;
    servers[1].resume();
    servers[2].restart(Data::Lose).unwrap();
    // Nor are they sent what builds on it.
    eventually("the others are there", async || {
        let error = copy.incrby(&key, 1).await.unwrap_err();
        assert!(!error.may_have_executed(), "{error}");
        matches!(&error, Error::Unavailable(unavailable) if unavailable.behind.len() == 2)
    })
    .await;
    eventually("they answer what they have not missed", async || {
        copy.get::<u8>("other").await.is_ok_and(|found| found == Some(7))
    })
    .await;
    eventually("it waits for nobody", async || copy.health()[1].1 == Health::Suspect).await;
    let error = copy.get::<u8>(&key).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    // Whoever has it is right.
    servers[0].resume();
    eventually("all nodes are up", async || is_well(&copy).await).await;
    assert_eq!(copy.verify().run().await.unwrap(), []);
    assert_eq!(copy.get::<i32>(&key).await.unwrap(), Some(10));
}

#[tokio::test]
async fn nobody_watches_when_there_is_no_handle() {
    let servers = Servers::start(3).unwrap();
    let copy = process(&servers.urls(), None).connect().await.unwrap();
    let outsider = Node::connect(servers[0].url()).await.unwrap();
    let connected = async || {
        let info = outsider.info_with(&["clients"]).await.unwrap();
        info.get("clients", "connected_clients").unwrap().parse::<u32>().unwrap()
    };
    let again = copy.clone();
    drop(copy);
    _ = again.set("k", 1).await.unwrap();
    assert_eq!(connected().await, 2);
    drop(again);
    eventually("its connections are gone", async || connected().await == 1).await;
}

#[tokio::test]
async fn a_server_that_is_full_takes_no_writes_and_is_filled_up_later() {
    let servers = Servers::start(3).unwrap();
    let copy = process(&servers.urls(), None).connect().await.unwrap();
    let full = copy.on_node("b").unwrap().clone();
    full.config_set("maxmemory", 1).await.unwrap();
    let replies = copy.set("k", "new").await.unwrap();
    assert_eq!(replies.failures().map(|(name, _)| name).collect::<Vec<_>>(), ["b"]);
    assert_eq!(copy.health()[1], ("b".to_owned(), Health::WriteDegraded));
    for i in 0..30 {
        assert_eq!(copy.get::<String>("k").await.unwrap().as_deref(), Some("new"), "{i}");
    }
    full.config_set("maxmemory", 0).await.unwrap();
    eventually("it is up again", async || is_well(&copy).await).await;
    assert_eq!(full.get::<String>("k").await.unwrap().as_deref(), Some("new"));
}

#[tokio::test]
async fn a_server_that_may_be_somebody_elses_is_left_alone() {
    let mut servers = Servers::start(3).unwrap();
    let urls = servers.urls();
    let copy = process(&urls, None).connect().await.unwrap();
    fill(&copy).await;
    servers[1].kill();
    meanwhile_without(&copy, 1).await;
    // Another one takes its place, before the copy can know.
    let mut other = Server::start().unwrap();
    let theirs = Node::connect(other.url()).await.unwrap();
    theirs.mset((0..300).map(|i| (format!("theirs:{i}"), i))).await.unwrap();
    servers[1].restart_from(&other.dump().unwrap()).unwrap();
    other.kill();
    let node = copy.on_node("b").unwrap().clone();
    eventually("it was looked through", async || {
        let stats = node.info_with(&["commandstats"]).await.ok();
        let is_looked_through =
            stats.is_some_and(|stats| stats.get("commandstats", "cmdstat_scan").is_some());
        is_looked_through && copy.health()[1].1 == Health::Syncing
    })
    .await;
    assert_eq!(node.dbsize().await.unwrap(), 300);
    assert_eq!(copy.get::<u64>("standing:7").await.unwrap(), Some(7));
    // Whoever knows better says so.
    assert_eq!(copy.repair("b").run().await.unwrap().removed, 300);
    eventually("it is up again", async || is_well(&copy).await).await;
}

#[tokio::test]
async fn a_server_comes_back_with_a_dump_of_the_time_when_it_had_been_flushed_and_not_marked() {
    let mut servers = Servers::start(3).unwrap();
    let proxy = Proxy::to(servers[2].port()).await;
    let urls = [servers[0].url(), servers[1].url(), proxy.url()];
    let copy = process(&urls, Some("shop")).connect().await.unwrap();
    fill(&copy).await;
    let outsider = Node::connect(servers[2].url()).await.unwrap();
    proxy.refuse();
    eventually("it is noticed", async || copy.health()[2].1 == Health::Down).await;
    outsider.flushall().await.unwrap();
    outsider.mset((0..20).map(|i| (format!("standing:{i}"), "of that time"))).await.unwrap();
    let unmarked = servers[2].dump().unwrap();
    proxy.heal();
    let marker = "__redisdb:{shop}:node";
    eventually("it is marked again", async || outsider.exists(marker).await.unwrap() == 1).await;
    eventually("it is up again", async || is_well(&copy).await).await;
    servers[2].restart_from(&unmarked).unwrap();
    eventually("it is noticed", async || copy.health()[2].1 != Health::Up).await;
    eventually("it is up again", async || is_well(&copy).await).await;
    assert_eq!(copy.verify().run().await.unwrap(), []);
}

#[tokio::test]
async fn a_server_comes_back_with_a_dump_of_the_time_when_it_had_come_back_empty_and_was_not_marked() {
    let mut servers = Servers::start(3).unwrap();
    let proxies = [Proxy::to(servers[0].port()).await, Proxy::to(servers[1].port()).await];
    let urls = [proxies[0].url(), proxies[1].url(), servers[2].url()];
    let copy = process(&urls, Some("shop")).connect().await.unwrap();
    let writer = process(&servers.urls(), Some("shop")).on_return(OnReturn::Wait).connect().await.unwrap();
    fill(&writer).await;
    // Without a source nobody makes it whole.
    proxies.iter().for_each(Proxy::refuse);
    servers[2].restart(Data::Lose).unwrap();
    let is_syncing = |copy: &RedisCopy| copy.health()[2].1 == Health::Syncing;
    eventually("both have seen it empty", async || is_syncing(&copy) && is_syncing(&writer)).await;
    let set = async |value: &str| {
        _ = writer.mset((0..20).map(|i| (format!("standing:{i}"), value))).await.unwrap();
    };
    set("of that time").await;
    let unmarked = servers[2].dump().unwrap();
    proxies.iter().for_each(Proxy::heal);
    eventually("it is up again", async || is_well(&copy).await).await;
    set("newer").await;
    servers[2].restart_from(&unmarked).unwrap();
    eventually("it is noticed", async || copy.health()[2].1 != Health::Up).await;
    eventually("it is up again", async || is_well(&copy).await).await;
    assert_eq!(copy.verify().run().await.unwrap(), []);
}

#[tokio::test]
async fn a_server_that_came_back_empty_is_marked_before_it_is_given_anything() {
    let mut servers = Servers::start(3).unwrap();
    let proxy = Proxy::to(servers[2].port()).await;
    let urls = [servers[0].url(), servers[1].url(), proxy.url()];
    let copy = process(&urls, Some("shop")).connect().await.unwrap();
    fill(&copy).await;
    proxy.refuse();
    eventually("it is noticed", async || copy.health()[2].1 == Health::Down).await;
    _ = copy.mset((0..20).map(|i| (format!("missed:{i}"), i))).await.unwrap();
    servers[2].restart(Data::Lose).unwrap();
    let c = Node::connect(servers[2].url()).await.unwrap();
    c.config_set("slowlog-max-len", 100_000).await.unwrap();
    c.config_set("slowlog-log-slower-than", 0).await.unwrap();
    proxy.heal();
    eventually("it is up again", async || is_well(&copy).await).await;
    c.config_set("slowlog-log-slower-than", -1).await.unwrap();
    type Entry = (u64, u64, u64, Vec<Vec<u8>>, String, String);
    let mut log: Vec<Entry> = c.query(redis::cmd("SLOWLOG").arg("GET").arg(100_000)).await.unwrap();
    log.sort_by_key(|entry| entry.0);
    let first_write_of = |start: &str| {
        let is_write = |words: &[Vec<u8>]| {
            [b"SET".as_slice(), b"RESTORE", b"EVAL", b"EVALSHA"].contains(&words[0].as_slice())
                && words.iter().any(|word| word.starts_with(start.as_bytes()))
        };
        log.iter().position(|entry| is_write(&entry.3)).unwrap()
    };
    assert!(first_write_of("__redisdb:{shop}:node") < first_write_of("missed:"));
}

#[tokio::test]
async fn a_server_comes_back_with_a_dump_most_of_whose_keys_are_gone_elsewhere() {
    let mut servers = Servers::start(3).unwrap();
    let copy = process(&servers.urls(), Some("shop")).connect().await.unwrap();
    let jobs = |from: u64| (from..from + 100).map(|i| format!("job:{i}")).collect::<Vec<_>>();
    _ = copy.mset(jobs(0).iter().map(|job| (job, "to do"))).await.unwrap();
    let older = servers[2].dump().unwrap();
    _ = copy.del(jobs(0)).await.unwrap();
    _ = copy.mset(jobs(100).iter().map(|job| (job, "to do"))).await.unwrap();
    servers[2].restart_from(&older).unwrap();
    eventually("it is noticed", async || copy.health()[2].1 != Health::Up).await;
    eventually("it is up again", async || is_well(&copy).await).await;
    assert_eq!(copy.on_node("c").unwrap().exists(jobs(0)).await.unwrap(), 0);
    assert_eq!(copy.verify().run().await.unwrap(), []);
}

#[tokio::test]
async fn every_turn_of_a_nodes_way_back_is_told() {
    let mut servers = Servers::start(3).unwrap();
    let copy = process(&servers.urls(), None).connect().await.unwrap();
    _ = copy.set("k", 1).await.unwrap();
    let mut events = copy.events();
    servers[1].kill();
    eventually("it is down", async || copy.health()[1].1 == Health::Down).await;
    servers[1].restart(Data::Lose).unwrap();
    let mut told = Vec::new();
    let all = async {
        while told.last() != Some(&Health::Up) {
            if let Some(Event::Health { node, health }) = events.next().await {
                assert_eq!(node, "b");
                told.push(health);
            }
        }
    };
    tokio::time::timeout(redisdb_tests::DEADLINE, all).await.unwrap();
    // Some may be over before they are told.
    assert!(told.contains(&Health::Syncing) || told.contains(&Health::Replaying), "{told:?}");
    assert_eq!(copy.on_node("b").unwrap().get::<u8>("k").await.unwrap(), Some(1));
}

#[tokio::test]
async fn servers_that_all_hung_for_a_while_do_not_wait_for_each_other() {
    let servers = Servers::start(3).unwrap();
    let short = Duration::from_millis(200);
    let copy = process(&servers.urls(), None).response_timeout(short).connect().await.unwrap();
    fill(&copy).await;
    let (mut counted, mut unknown) = (0, 0);
    for _ in 0..3 {
        (0..3).for_each(|i| servers[i].pause());
        for i in 0..40 {
            // Of each key it is unknown on every node whether it was written.
            match copy.incr(format!("n:{}", i % 4)).await {
                Ok(_) => counted += 1,
                Err(error) => unknown += i64::from(error.may_have_executed()),
            }
        }
        (0..3).for_each(|i| servers[i].resume());
        eventually("all nodes are up again", async || is_well(&copy).await).await;
        counted += i64::from(copy.incr("n:0").await.is_ok());
    }
    let differences = copy.verify().run().await.unwrap();
    assert!(differences.is_empty(), "{differences:?}");
    let mut sum = 0;
    for i in 0..4 {
        sum += copy.get::<i64>(format!("n:{i}")).await.unwrap().unwrap_or(0);
    }
    assert!((counted..=counted + unknown).contains(&sum), "{sum} of {counted} and {unknown} unknown");
}

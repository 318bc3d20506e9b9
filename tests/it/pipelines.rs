//! Many commands at once.

use std::time::Duration;

use redisdb::Error;
use redisdb::Node;
use redisdb::RedisRing;
use redisdb::node::BlockingCommands;
use redisdb::node::HashCommands;
use redisdb::node::KeyCommands;
use redisdb::node::ListCommands;
use redisdb::node::ServerCommands;
use redisdb::node::StringCommands;
use redisdb_tests::NAMES;
use redisdb_tests::eventually;
use redisdb_tests::ring;
use xtask::Data;
use xtask::Server;

/// One key for each node of a ring.
fn key_of(ring: &RedisRing, node: &str) -> String {
    (0..).map(|i| format!("key:{i}")).find(|key| ring.node_for(key).name() == node).unwrap()
}

/// The text and the answer of each error are about its own command, whatever became of others.
#[tokio::test]
async fn what_errors_of_a_pipeline_say_is_so_when_its_server_dies_under_it() {
    let mut server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let pipeline = node.pipeline();
    let promises: Vec<_> = (0..100_000).map(|i| pipeline.set(i, "x".repeat(100))).collect();
    let outsider = Node::connect(server.url()).await.unwrap();
    let killed = async {
        eventually("it is under way", async || outsider.dbsize().await.unwrap() > 0).await;
        server.kill();
    };
    let (_each_has_its_own, ()) = tokio::join!(pipeline.execute(), killed);
    let (mut not_sent, mut unknown) = (0, 0);
    for promise in promises {
        if let Err(error) = promise.await {
            let text = error.to_string();
            assert_eq!(text.contains("may have been executed"), error.may_have_executed(), "{text}");
            if error.may_have_executed() { unknown += 1 } else { not_sent += 1 }
        }
    }
    // The batch that was to follow may have met a connection that was over.
    assert!(0 < not_sent && unknown <= 1000, "{not_sent} not sent, {unknown} unknown");
}

#[tokio::test]
async fn typed_commands_are_recorded_and_each_gets_its_reply() {
    let (_servers, ring) = ring().await;
    ring.set("text", "x").await.unwrap();
    let pipeline = ring.pipeline();
    let set = pipeline.set("a", 1);
    let sum = pipeline.incrby("a", 41);
    let wrong = pipeline.incr("text");
    let refused = pipeline.rename("x", "y");
    let length = pipeline.hset("h", "f", "v");
    let all = pipeline.mget::<String>(&["a", "none", "text"]);
    let size = pipeline.dbsize();
    let ttl = pipeline.ttl("a");
    let info = pipeline.info();
    let raw = pipeline.command::<String>(redis::cmd("GETRANGE").arg("text").arg(0).arg(-1).take());
    let unknown = pipeline.command::<()>(redis::cmd("NOSUCH").take());
    let blocked = pipeline.blpop::<String, String>("l", Duration::from_secs(1));
    assert_eq!(pipeline.len(), 11);
    let executed = pipeline.execute().await;
    assert_eq!(executed.len(), 11);
    assert_eq!(executed.failures().map(|(i, _)| i).collect::<Vec<_>>(), [2, 3, 10]);
    assert!(pipeline.is_empty());

    set.await.unwrap();
    assert_eq!(sum.await.unwrap(), 42);
    assert_eq!(wrong.await.unwrap_err().code(), Some("ERR"));
    assert!(matches!(refused.await, Err(Error::CrossNode(_))));
    assert!(length.await.unwrap());
    let expected = [Some("42"), None, Some("x")].map(|value| value.map(str::to_owned));
    assert_eq!(all.await.unwrap(), expected);
    assert_eq!(size.await.unwrap(), 3);
    ttl.await.unwrap();
    assert_eq!(info.await.unwrap().successes().map(|(name, _)| name).collect::<Vec<_>>(), NAMES);
    assert_eq!(raw.await.unwrap(), "x");
    assert!(unknown.await.unwrap_err().to_string().contains("command table"));
    assert!(blocked.await.unwrap_err().is_unsupported());
}

#[tokio::test]
async fn a_random_key_in_a_pipeline_is_one_of_any_node() {
    let (_servers, ring) = ring().await;
    ring.mset((0..90).map(|i| (format!("key:{i}"), i))).await.unwrap();
    let pipeline = ring.pipeline();
    let promises: Vec<_> = (0..100).map(|_| pipeline.randomkey::<String>()).collect();
    pipeline.execute().await.check().unwrap();
    let mut owners = std::collections::BTreeSet::new();
    for promise in promises {
        owners.insert(ring.node_for(promise.await.unwrap().unwrap()).name().to_owned());
    }
    assert_eq!(owners.into_iter().collect::<Vec<_>>(), NAMES);
}

#[tokio::test]
async fn a_promise_says_what_is_wrong_and_never_hangs() {
    let (server, node) = (Server::start().unwrap(), ());
    let () = node;
    let node = Node::connect(server.url()).await.unwrap();
    let pipeline = node.pipeline();
    let early = pipeline.get::<u8>("k").await.unwrap_err();
    assert!(early.to_string().contains("execute"), "{early}");
    // The other way round is fine: the promise waits for the execution.
    let got = pipeline.get::<u8>("k");
    let (executed, got) = tokio::join!(pipeline.execute(), got);
    assert_eq!((executed.len(), got.unwrap()), (2, None));

    // Dropped in mid-flight, it says that it may have been executed.
    server.pause();
    let lost = pipeline.incr("n");
    let dropped = tokio::time::timeout(Duration::from_millis(50), pipeline.execute()).await;
    assert!(dropped.is_err());
    assert!(lost.await.unwrap_err().may_have_executed());
    server.resume();
}

#[tokio::test]
async fn commands_that_are_not_sent_to_a_node_are_answered_between_those_that_are() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let pipeline = node.pipeline();
    let blocks = || pipeline.blpop::<String, String>("l", Duration::from_secs(1));
    let (first, second) = (blocks(), blocks());
    let one = pipeline.incr("n");
    let third = blocks();
    let two = pipeline.incr("n");
    let last = blocks();
    let executed = pipeline.execute().await;
    assert_eq!(executed.failures().map(|(i, _)| i).collect::<Vec<_>>(), [0, 1, 3, 5]);
    assert_eq!((one.await.unwrap(), two.await.unwrap()), (1, 2));
    for refused in [first.await, second.await, third.await, last.await] {
        assert!(refused.unwrap_err().is_unsupported());
    }
    // And again, after all of it was answered.
    let three = pipeline.incr("n");
    pipeline.execute().await.check().unwrap();
    assert_eq!(three.await.unwrap(), 3);
}

#[tokio::test]
async fn an_atomic_pipeline_runs_whole_or_not_at_all() {
    let (_servers, ring) = ring().await;
    let pipeline = ring.pipeline().atomic();
    drop(pipeline.set("{t}:a", 1));
    let sum = pipeline.incr("{t}:a");
    pipeline.execute().await.check().unwrap();
    assert_eq!(sum.await.unwrap(), 2);

    let pipeline = ring.pipeline().atomic();
    drop((pipeline.set("{t}:a", 9), pipeline.set("b", 9)));
    assert!(matches!(pipeline.execute().await.check(), Err(Error::CrossNode(_))));
    let pipeline = ring.pipeline().atomic();
    drop(pipeline.set("{t}:a", 9));
    drop(pipeline.command::<()>(redis::cmd("GETRANGE").arg("{t}:a").take()));
    assert_eq!(pipeline.execute().await.failures().count(), 2);
    assert_eq!(ring.get::<u8>("{t}:a").await.unwrap(), Some(2));
}

/// The same commands one by one and in a pipeline leave the same and answer the same.
#[tokio::test]
async fn a_hundred_thousand_mixed_commands_answer_as_one_by_one() {
    const N: u64 = 100_000;
    let (_servers, ring) = ring().await;
    let key = |i: u64| format!("{}:{}", ["s", "n", "l", "h"][(i % 4) as usize], i * 7 % 997);
    let pipeline = ring.pipeline();
    let mut counts = Vec::new();
    let (mut texts, mut lasts) = (Vec::new(), Vec::new());
    for i in 0..N {
        match (i % 4, i % 8) {
            (0, 0) => drop(pipeline.set(key(i), i)),
            (0, _) => texts.push(pipeline.get::<String>(key(i))),
            (1, _) => counts.push(pipeline.incrby(key(i), i64::try_from(i).unwrap())),
            (2, 2) => drop(pipeline.rpush(key(i), i)),
            (2, _) => lasts.push(pipeline.lindex::<String>(key(i), -1)),
            _ => drop(pipeline.hset(key(i), "f", i)),
        }
    }
    let start = std::time::Instant::now();
    pipeline.execute().await.check().unwrap();
    let piped = start.elapsed();
    let mut piped_counts = Vec::new();
    for count in counts {
        piped_counts.push(count.await.unwrap());
    }
    let mut piped_texts = Vec::new();
    for text in texts {
        piped_texts.push(text.await.unwrap());
    }
    for last in lasts {
        piped_texts.push(last.await.unwrap());
    }
    let digests = async || {
        let each =
            ring.on_each(|node| async move { node.send(redis::cmd("DEBUG").arg("DIGEST")).await }).await;
        each.successes().map(|(_, digest)| format!("{digest:?}")).collect::<Vec<_>>()
    };
    let left = digests().await;
    ring.flushall().await.unwrap();

    let start = std::time::Instant::now();
    let (mut one_counts, mut one_texts, mut one_lasts) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..N {
        match (i % 4, i % 8) {
            (0, 0) => ring.set(key(i), i).await.unwrap(),
            (0, _) => one_texts.push(ring.get::<String>(key(i)).await.unwrap()),
            (1, _) => one_counts.push(ring.incrby(key(i), i64::try_from(i).unwrap()).await.unwrap()),
            (2, 2) => drop(ring.rpush(key(i), i).await.unwrap()),
            (2, _) => one_lasts.push(ring.lindex::<String>(key(i), -1).await.unwrap()),
            _ => drop(ring.hset(key(i), "f", i).await.unwrap()),
        }
    }
    println!("{N} commands: {piped:.2?} in a pipeline, {:.2?} one by one", start.elapsed());
    assert_eq!(piped_counts, one_counts);
    one_texts.extend(one_lasts);
    assert_eq!(piped_texts, one_texts);
    assert_eq!(left, digests().await);
}

#[tokio::test]
async fn every_outcome_is_true_when_a_node_dies_midway() {
    let (mut servers, ring) = ring().await;
    // Kept on disk, so that the servers can be asked afterwards what was executed.
    drop(servers);
    servers = Server::builder().persistent().start_many(3).unwrap();
    let ring = {
        drop(ring);
        redisdb_tests::ring_over(&servers).await
    };
    let keys = NAMES.map(|name| key_of(&ring, name));
    let (mut ok, mut not_sent, mut unknown) = ([0u64; 3], [0u64; 3], [0u64; 3]);
    let pipeline = ring.pipeline();
    let promises: Vec<_> = (0..60_000).map(|i| (i % 3, pipeline.incr(&keys[i % 3]))).collect();
    let progress = ring.on_node("b").unwrap().clone();
    let kill = async {
        eventually("it is under way", async || {
            progress.get::<u64>(&keys[1]).await.unwrap().unwrap_or(0) > 2000
        })
        .await;
        servers[1].kill();
    };
    let (executed, ()) = tokio::join!(pipeline.execute(), kill);
    assert_eq!(executed.len(), 60_000);
    for (node, promise) in promises {
        match promise.await {
            Ok(n) => {
                ok[node] += 1;
                assert_eq!(n, i64::try_from(ok[node]).unwrap(), "in order");
            }
            Err(error) if error.may_have_executed() => unknown[node] += 1,
            Err(_) => not_sent[node] += 1,
        }
    }
    println!("a node killed midway: {ok:?} ok, {unknown:?} unknown, {not_sent:?} not sent");
    assert_eq!((ok[0], ok[2]), (20_000, 20_000), "the others have lost nothing");
    assert_eq!(ok[1] + unknown[1] + not_sent[1], 20_000);
    assert!(ok[1] > 0 && not_sent[1] > 0, "{ok:?} {not_sent:?}");
    servers[1].restart(Data::Keep).unwrap();
    eventually("it is back", async || ring.get::<u64>(&keys[1]).await.is_ok()).await;
    let executed = ring.get::<u64>(&keys[1]).await.unwrap().unwrap();
    assert!((ok[1]..=ok[1] + unknown[1]).contains(&executed), "{executed} were executed");
}

#[tokio::test]
async fn a_command_for_a_node_that_is_down_names_its_own_key() {
    let (mut servers, ring) = ring().await;
    servers[1].kill();
    let keys: Vec<String> = (0..300).map(|i| format!("key:{i}")).collect();
    let is_down = |key: &String| ring.node_for(key).name() == "b";
    assert!(keys.iter().any(is_down) && !keys.iter().all(is_down));
    // Once the connection is known to be gone, nothing is sent, and so nothing may have been executed.
    let down = keys.iter().find(|key| is_down(key)).unwrap();
    eventually("it is down", async || ring.get::<u8>(down).await.is_err_and(|error| error.is_connect()))
        .await;
    let pipeline = ring.pipeline();
    let promises: Vec<_> = keys.iter().map(|key| pipeline.incr(key)).collect();
    let executed = pipeline.execute().await;
    assert_eq!(executed.failures().count(), keys.iter().filter(|key| is_down(key)).count());
    for (key, promise) in keys.iter().zip(promises) {
        match promise.await {
            Ok(n) => assert_eq!((n, is_down(key)), (1, false)),
            Err(Error::Unavailable(error)) => {
                assert_eq!(error.key.as_deref(), Some(key.as_bytes()));
                assert!(is_down(key), "{key}");
            }
            Err(other) => panic!("{key}: {other}"),
        }
    }
}

#[tokio::test]
async fn a_million_commands_need_no_memory_twice() {
    let (_servers, ring) = ring().await;
    let rss = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0)
    };
    let pipeline = ring.pipeline();
    for i in 0..1_000_000u32 {
        drop(pipeline.incr(format!("n:{}", i % 1000)));
    }
    let recorded = rss();
    pipeline.execute().await.check().unwrap();
    let executed = rss();
    println!(
        "1,000,000 commands: {} MB recorded, {} MB at most while sent",
        recorded / 1024,
        executed / 1024
    );
    assert_eq!(ring.get::<u32>("n:7").await.unwrap(), Some(1000));
    // All replies as values would be 56 MB or more, all commands cloned as much as they take.
    assert!(executed.saturating_sub(recorded) < 100 * 1024, "{recorded} kB, then {executed} kB");
}

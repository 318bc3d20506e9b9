//! Many commands at once on a copy.

use std::pin::pin;
use std::time::Duration;
use std::time::Instant;

use redisdb::Error;
use redisdb::Node;
use redisdb::Outcome;
use redisdb::RedisCopy;
use redisdb::WriteTo;
use redisdb::node::BlockingCommands;
use redisdb::node::HashCommands;
use redisdb::node::KeyCommands;
use redisdb::node::ListCommands;
use redisdb::node::PubSubCommands;
use redisdb::node::ScriptingCommands;
use redisdb::node::ServerCommands;
use redisdb::node::SetCommands;
use redisdb::node::StringCommands;
use redisdb_tests::NAMES;
use redisdb_tests::copy;
use redisdb_tests::copy_over;
use redisdb_tests::eventually;
use xtask::Data;
use xtask::Server;
use xtask::Servers;

/// One key that this node of a copy is asked for.
fn key_of(copy: &RedisCopy, node: &str) -> String {
    (0..).map(|i| format!("key:{i}")).find(|key| copy.node_for(key).name() == node).unwrap()
}

async fn digests(copy: &RedisCopy) -> Vec<String> {
    let each = copy.on_each(|node| async move { node.send(redis::cmd("DEBUG").arg("DIGEST")).await }).await;
    each.successes().map(|(_, digest)| format!("{digest:?}")).collect()
}

/// A copy whose third node is given up on after a short time.
async fn copy_with_patience(servers: &Servers, patience: Duration) -> RedisCopy {
    let nodes = NAMES.iter().zip(servers.urls());
    let copy = nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, &url));
    copy.response_timeout(patience).connect().await.unwrap()
}

#[tokio::test]
async fn writes_go_to_every_node_and_each_command_gets_its_outcome() {
    let (_servers, copy) = copy().await;
    let pipeline = copy.pipeline();
    let set = pipeline.set("a", 1);
    let sum = pipeline.incrby("a", 41);
    let read = pipeline.get::<i64>("a");
    let wrong = pipeline.lpush("a", 1);
    let expiring = pipeline.setex("e", Duration::from_secs(100), "v");
    let script = pipeline.eval::<i64>("return 1", &[0; 0], &[0; 0]);
    let blocked = pipeline.blpop::<String, String>("l", Duration::from_secs(1));
    let added = pipeline.sadd("s", &[1, 2, 3, 4, 5]);
    let popped = pipeline.spop::<u8>("s");
    let again = pipeline.spop::<u8>("s");
    let left = pipeline.scard("s");
    let first = pipeline.setnx("n", 1);
    let second = pipeline.setnx("n", 2);
    let float = pipeline.incrbyfloat("f", 0.5);
    let info = pipeline.info();
    let unknown = pipeline.command::<()>(redis::cmd("NOSUCH").take());
    let raw = pipeline.command::<i64>(redis::cmd("APPEND").arg("r").arg("xyz").take());
    let executed = pipeline.execute().await;
    assert_eq!(executed.len(), 16);
    assert_eq!(executed.failures().map(|(i, _)| i).collect::<Vec<_>>(), [3, 5, 6]);

    assert_eq!(set.await.unwrap().successes().map(|(name, ())| name).collect::<Vec<_>>(), NAMES);
    assert_eq!(sum.await.unwrap().successes().map(|(_, n)| *n).collect::<Vec<_>>(), [42; 3]);
    assert_eq!(read.await.unwrap(), Some(42));
    let Err(Error::TooFewReplies(wrong)) = wrong.await else { panic!("a string is no list") };
    assert_eq!(wrong.replies.failures().filter(|(_, error)| error.code() == Some("WRONGTYPE")).count(), 3);
    assert!(expiring.await.unwrap().is_complete());
    assert!(script.await.unwrap_err().is_unsupported());
    assert!(blocked.await.unwrap_err().is_unsupported());
    assert_eq!(added.await.unwrap().first(), Some(&5));
    for popped in [popped.await.unwrap(), again.await.unwrap()] {
        assert!(popped.agreed() && popped.is_complete() && popped.len() == 3, "{popped:?}");
    }
    assert_eq!(left.await.unwrap(), 3);
    assert_eq!((first.await.unwrap().first(), second.await.unwrap().first()), (Some(&true), Some(&false)));
    assert_eq!(float.await.unwrap().first(), Some(&0.5));
    assert_eq!(info.await.unwrap().successes().map(|(name, _)| name).collect::<Vec<_>>(), NAMES);
    assert!(unknown.await.unwrap_err().to_string().contains("command table"));
    assert_eq!(raw.await.unwrap().first(), Some(&3));
    // One deadline, to the millisecond, which is a part of the digest.
    let digests = digests(&copy).await;
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    assert!(copy.health().iter().all(|(_, health)| *health == redisdb::Health::Up));
}

/// The same commands one by one and in a pipeline leave the same and answer the same.
#[tokio::test]
async fn many_mixed_commands_answer_as_one_by_one() {
    const N: u64 = 12_000;
    let (_servers, copy) = copy().await;
    let command = |i: u64| {
        let key = format!("{}:{}", ["s", "n", "l", "h"][(i % 4) as usize], i * 7 % 97);
        let mut cmd = redis::Cmd::new();
        match (i % 4, i % 24) {
            (0, 0) => cmd.arg("SET").arg(&key).arg(i),
            (0, 4) => cmd.arg("SET").arg(&key).arg(i).arg("NX"),
            (0, 8) => cmd.arg("GETSET").arg(&key).arg(i),
            (0, _) => cmd.arg("GET").arg(&key),
            (1, 5) => cmd.arg("INCRBYFLOAT").arg(&key).arg(0.5),
            (1, 9) => cmd.arg("MGET").arg(&key).arg("n:1"),
            (1, _) => cmd.arg("INCRBYFLOAT").arg(&key).arg(i),
            (2, 6) => cmd.arg("LPOP").arg(&key),
            (2, 2 | 10) => cmd.arg("RPUSH").arg(&key).arg(i),
            (2, _) => cmd.arg("LINDEX").arg(&key).arg(-1),
            _ => cmd.arg("HINCRBY").arg(&key).arg("f").arg(i),
        };
        cmd
    };
    let pipeline = copy.pipeline();
    let promises: Vec<_> = (0..N).map(|i| pipeline.command::<redis::Value>(command(i))).collect();
    pipeline.execute().await.check().unwrap();
    let mut piped = Vec::new();
    for promise in promises {
        piped.push(promise.await.unwrap().first().cloned().unwrap());
    }
    let left = digests(&copy).await;
    assert!(left.iter().all(|digest| *digest == left[0]), "{left:?}");
    _ = copy.flushall().await.unwrap();
    for (i, piped) in (0..N).zip(piped) {
        let alone = copy.query::<redis::Value>(&command(i)).await.unwrap();
        assert_eq!(alone, piped, "{i}: {:?}", command(i));
    }
    assert_eq!(left, digests(&copy).await);
}

#[tokio::test]
async fn a_read_never_comes_from_a_node_that_missed_the_write_before_it() {
    let (servers, copy) = copy().await;
    let key = key_of(&copy, "b");
    _ = copy.set(&key, "old").await.unwrap();
    // It answers reads, and takes no writes that need memory.
    let full = Node::connect(servers[1].url()).await.unwrap();
    full.config_set("maxmemory", 1).await.unwrap();

    let pipeline = copy.pipeline();
    let before = pipeline.get::<String>("other");
    let set = pipeline.set(&key, "new");
    let read = pipeline.get::<String>(&key);
    pipeline.execute().await.check().unwrap();
    assert_eq!(before.await.unwrap(), None);
    let set = set.await.unwrap();
    assert!(matches!(set.get("b"), Some(Outcome::Error(error)) if error.code() == Some("OOM")), "{set:?}");
    assert_eq!(read.await.unwrap().as_deref(), Some("new"));

    // Where another node would give what was written later, there is no answer instead of a wrong one.
    let key = (0..).map(|i| format!("x:{i}")).find(|key| copy.node_for(key).name() == "b").unwrap();
    let pipeline = copy.pipeline();
    drop(pipeline.set(&key, "first"));
    let read = pipeline.get::<String>(&key);
    drop(pipeline.set(&key, "second"));
    let last = pipeline.get::<String>(&key);
    assert_eq!(pipeline.execute().await.failures().map(|(i, _)| i).collect::<Vec<_>>(), [1]);
    assert!(matches!(read.await, Err(Error::Unavailable(_))));
    assert_eq!(last.await.unwrap().as_deref(), Some("second"));
}

#[tokio::test]
async fn a_question_about_all_keys_is_asked_elsewhere_only_if_nothing_is_written_after_it() {
    let (servers, copy) = copy().await;
    copy.node_for("").config_set("maxmemory", 1).await.unwrap();
    let pipeline = copy.pipeline();
    drop(pipeline.set("a", 1));
    let count = pipeline.dbsize();
    drop(pipeline.set("b", 1));
    assert_eq!(pipeline.execute().await.failures().map(|(i, _)| i).collect::<Vec<_>>(), [1]);
    assert!(matches!(count.await, Err(Error::Unavailable(_))));
    // One that has not seen yet that this node misses what is written.
    let fresh = copy_over(&servers).await;
    let pipeline = fresh.pipeline();
    drop(pipeline.set("c", 1));
    let count = pipeline.dbsize();
    pipeline.execute().await.check().unwrap();
    assert_eq!(count.await.unwrap(), 3);
}

#[tokio::test]
async fn a_node_that_hangs_is_behind_for_what_it_missed_and_for_nothing_else() {
    let mut servers = Servers::start(3).unwrap();
    let copy = copy_with_patience(&servers, Duration::from_millis(300)).await;
    let keys = (0..).map(|i| format!("k:{i}")).filter(|key| copy.node_for(key).name() == "c");
    let keys: Vec<String> = keys.take(40).collect();
    for key in &keys {
        _ = copy.set(key, "old").await.unwrap();
    }
    servers[2].pause();
    let pipeline = copy.pipeline();
    let sets: Vec<_> = keys[..20].iter().map(|key| pipeline.set(key, "new")).collect();
    let reads: Vec<_> = keys[..30].iter().map(|key| pipeline.get::<String>(key)).collect();
    pipeline.execute().await.check().unwrap();
    for set in sets {
        assert!(matches!(set.await.unwrap().get("c"), Some(Outcome::Unknown(_))));
    }
    for (i, read) in reads.into_iter().enumerate() {
        assert_eq!(read.await.unwrap().as_deref(), Some(if i < 20 { "new" } else { "old" }));
    }
    servers[2].resume();
    // Only `c` is left to ask: what it missed it does not answer.
    servers[0].kill();
    servers[1].kill();
    for (i, key) in keys.iter().enumerate() {
        let answered = async || copy.get::<String>(key).await;
        match i < 20 {
            true => assert!(matches!(answered().await, Err(Error::Unavailable(_))), "{i}"),
            false => {
                eventually("it answers", async || answered().await.is_ok()).await;
                assert_eq!(answered().await.unwrap().as_deref(), Some("old"), "{i}");
            }
        }
    }
}

#[tokio::test]
async fn what_a_node_that_hangs_left_open_is_asked_elsewhere_within_the_deadline() {
    const DEADLINE: Duration = Duration::from_secs(2);
    let servers = Servers::start(3).unwrap();
    let copy = copy_with_patience(&servers, DEADLINE).await;
    let keys: Vec<String> = NAMES.iter().map(|name| key_of(&copy, name)).collect();
    for key in &keys {
        _ = copy.set(key, "v").await.unwrap();
    }
    servers[2].pause();
    let pipeline = copy.with_deadline(DEADLINE).pipeline();
    let replies: Vec<_> = keys.iter().map(|key| pipeline.get::<String>(key)).collect();
    let start = Instant::now();
    pipeline.execute().await.check().unwrap();
    let took = start.elapsed();
    servers[2].resume();
    for reply in replies {
        assert_eq!(reply.await.unwrap().as_deref(), Some("v"));
    }
    assert!(took < DEADLINE + DEADLINE / 8, "{took:?}");
}

#[tokio::test]
async fn a_dropped_pipeline_leaves_the_nodes_behind_that_have_not_answered() {
    let (servers, copy) = copy().await;
    let key = key_of(&copy, "c");
    _ = copy.set(&key, "old").await.unwrap();
    servers[2].pause();
    let pipeline = copy.pipeline();
    let lost = pipeline.set(&key, "new");
    {
        let mut execution = pin!(pipeline.execute());
        let others_have_it = eventually("the others have it", async || {
            let mut all = true;
            for node in copy.nodes().filter(|node| node.name() != "c") {
                all &= node.get::<String>(&key).await.unwrap().as_deref() == Some("new");
            }
            all
        });
        // In this order: what they answered on the same connections is read before the last of the answers that say so.
        tokio::select! {
            biased;
            _ = &mut execution => panic!("one node hangs"),
            () = others_have_it => {}
        }
    }
    assert!(lost.await.unwrap_err().may_have_executed());
    assert_eq!(copy.get::<String>(&key).await.unwrap().as_deref(), Some("new"));
    let health = copy.health();
    assert_ne!(health[2].1, redisdb::Health::Up, "{health:?}");
    assert!(health[..2].iter().all(|(_, health)| *health == redisdb::Health::Up), "{health:?}");
    servers[2].resume();
}

#[tokio::test]
async fn every_outcome_of_every_node_is_true_when_a_node_dies_midway() {
    const N: usize = 20_000;
    // Kept on disk, so that the server can be asked afterwards what was executed.
    let mut servers = Server::builder().persistent().start_many(3).unwrap();
    let copy = copy_over(&servers).await;
    let pipeline = copy.pipeline();
    let promises: Vec<_> = (0..N).map(|_| pipeline.incr("n")).collect();
    let progress = copy.on_node("b").unwrap().clone();
    let kill = async {
        eventually("it is under way", async || progress.get::<usize>("n").await.unwrap().unwrap_or(0) > 2000)
            .await;
        servers[1].kill();
    };
    let (executed, ()) = tokio::join!(pipeline.execute(), kill);
    executed.check().unwrap();
    let (mut ok, mut not_sent, mut unknown) = ([0; 3], [0; 3], [0; 3]);
    for promise in promises {
        let replies = promise.await.unwrap();
        for (i, (_, outcome)) in replies.iter().enumerate() {
            match outcome {
                Outcome::Ok(n) => {
                    ok[i] += 1;
                    assert_eq!(*n, ok[i], "in order");
                }
                Outcome::Unknown(_) => unknown[i] += 1,
                Outcome::NotSent(_) => not_sent[i] += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    println!("a node killed midway: {ok:?} ok, {unknown:?} unknown, {not_sent:?} not sent");
    let n = i64::try_from(N).unwrap();
    assert_eq!((ok[0], ok[2], ok[1] + unknown[1] + not_sent[1]), (n, n, n));
    assert!(ok[1] > 0 && not_sent[1] > 0);
    assert_eq!(copy.get::<i64>("n").await.unwrap(), Some(n), "not from the one that missed some");
    servers[1].restart(Data::Keep).unwrap();
    eventually("it is back", async || progress.get::<i64>("n").await.is_ok()).await;
    let executed = progress.get::<i64>("n").await.unwrap().unwrap();
    assert!((ok[1]..=ok[1] + unknown[1]).contains(&executed), "{executed} were executed");
}

#[tokio::test]
async fn redis_rs_pipelines_run_on_a_copy_too() {
    let (_servers, mut copy) = copy().await;
    let mut pipe = redis::pipe();
    pipe.set("a", 1).ignore().incr("a", 1).sadd("s", &[1, 2, 3]).spop("s").scard("s").get("a");
    let (a, added, _popped, left, read): (i64, u8, u8, u8, i64) = pipe.query_async(&mut copy).await.unwrap();
    assert_eq!((a, added, left, read), (2, 3, 2, 2));
    let mut block = redis::pipe();
    block.atomic().set("a", 5).ignore().incr("a", 1).get("a");
    let (a, read): (i64, i64) = block.query_async(&mut copy).await.unwrap();
    assert_eq!((a, read), (6, 6));
    for node in copy.nodes() {
        assert_eq!(node.get::<i64>("a").await.unwrap(), Some(6));
    }
    let refused = redis::pipe().atomic().spop("s").query_async::<()>(&mut copy).await.unwrap_err();
    assert!(refused.to_string().contains("outside of the block"), "{refused}");
}

#[tokio::test]
async fn messages_of_a_pipeline_come_once_and_in_order() {
    let (mut servers, copy) = copy().await;
    let mut news = copy.subscribe("news").await.unwrap();
    let publish = async |from: u32| {
        let pipeline = copy.pipeline();
        for i in from..from + 50 {
            drop(pipeline.publish("news", i));
        }
        pipeline.execute().await
    };
    publish(0).await.check().unwrap();
    let mut expect = async |from: u32| {
        let mut expected = from;
        while expected < from + 50 {
            if let redisdb::node::PubSubEvent::Message(message) = news.next().await {
                assert_eq!(message.payload_as::<u32>().unwrap(), expected);
                expected += 1;
            }
        }
    };
    expect(0).await;
    // Its node gone, they are published to the next one.
    let idx = NAMES.iter().position(|name| *name == copy.node_for("news").name()).unwrap();
    servers[idx].kill();
    eventually("the loss is noticed", async || {
        copy.nodes().nth(idx).is_some_and(|node| !node.is_connected())
    })
    .await;
    publish(50).await.check().unwrap();
    expect(50).await;

    // A client that has talked to nobody yet does not know that it is gone, and publishes to the next one all the same.
    let nodes = NAMES.iter().zip(servers.urls());
    let fresh = nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, &url)).build().unwrap();
    let pipeline = fresh.pipeline();
    let published = pipeline.publish("news", 100);
    pipeline.execute().await.check().unwrap();
    assert_eq!(published.await.unwrap().first(), Some(&1));
}

/// A node that decides a command may need what another one has decided before.
#[tokio::test]
async fn commands_of_one_key_that_are_decided_wait_for_each_other() {
    let (_servers, copy) = copy().await;
    for i in 0..20 {
        let (from, to) = (format!("from:{i}"), format!("to:{i}"));
        _ = copy.set(&from, i).await.unwrap();
        let pipeline = copy.pipeline();
        let renamed = pipeline.renamenx(&from, &to);
        let taken = pipeline.getdel::<u8>(&to);
        pipeline.execute().await.check().unwrap();
        assert_eq!(renamed.await.unwrap().first(), Some(&true));
        assert_eq!(taken.await.unwrap().first(), Some(&Some(i)));
        for node in copy.nodes() {
            assert_eq!(node.exists(&[&from, &to]).await.unwrap(), 0);
        }
    }
}

#[tokio::test]
async fn too_few_nodes_fail_a_write_of_a_pipeline_only() {
    let mut servers = Servers::start(3).unwrap();
    let nodes = NAMES.iter().zip(servers.urls());
    let copy = nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, &url));
    let copy = copy.write_to(WriteTo::All).connect().await.unwrap();
    servers[0].kill();
    let pipeline = copy.pipeline();
    let set = pipeline.hset("h", "f", 1);
    let read = pipeline.hget::<i64>("h", "f");
    drop(pipeline.lpush("l", 1));
    assert_eq!(pipeline.execute().await.failures().map(|(i, _)| i).collect::<Vec<_>>(), [0, 2]);
    assert!(matches!(set.await, Err(Error::TooFewReplies(write)) if write.replies.successes().count() == 2));
    assert_eq!(read.await.unwrap(), Some(1), "it was written to those that are up");
}

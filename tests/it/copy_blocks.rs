//! Blocks of commands on a copy: `MULTI` on every node.

use std::time::Duration;

use redisdb::Node;
use redisdb::node::KeyCommands;
use redisdb::node::ListCommands;
use redisdb::node::LockOptions;
use redisdb::node::StringCommands;
use redisdb_tests::contents;
use redisdb_tests::copy;
use redisdb_tests::eventually;
use xtask::Data;

#[tokio::test]
async fn a_block_runs_on_every_node_whole_or_not_at_all() {
    let (_servers, copy) = copy().await;
    let pipeline = copy.pipeline().atomic();
    // No common hash tag is needed: every node has every key.
    drop((pipeline.set("a", 1), pipeline.rpush("l", &[1, 2])));
    let sum = pipeline.incr("a");
    let read = pipeline.get::<i64>("a");
    let expiring = pipeline.expire("l", Duration::from_secs(100));
    pipeline.execute().await.check().unwrap();
    assert_eq!(sum.await.unwrap().successes().map(|(_, n)| *n).collect::<Vec<_>>(), [2; 3]);
    assert_eq!(read.await.unwrap(), Some(2));
    assert!(expiring.await.unwrap().is_complete());

    // What a server would decide, what it may not be asked in a block, and what is malformed: nothing is executed.
    let refused = [
        redis::cmd("SPOP").arg("s").take(),
        redis::cmd("SET").arg("k").arg(1).arg("NX").take(),
        redis::cmd("LPOP").arg("l").take(),
        redis::cmd("INCRBYFLOAT").arg("a").arg(1).take(),
        redis::cmd("EVAL").arg("return 1").arg(0).take(),
        redis::cmd("PUBLISH").arg("c").arg("m").take(),
        redis::cmd("FLUSHALL").take(),
        redis::cmd("BLPOP").arg("l").arg(0).take(),
    ];
    for cmd in refused {
        let pipeline = copy.pipeline().atomic();
        let set = pipeline.set("a", 9);
        drop(pipeline.command::<redis::Value>(cmd.clone()));
        let error = pipeline.execute().await.check().unwrap_err();
        assert!(error.is_unsupported() && !error.may_have_executed(), "{cmd:?}: {error}");
        assert!(set.await.is_err());
    }
    let pipeline = copy.pipeline().atomic();
    drop(pipeline.set("a", 9));
    drop(pipeline.command::<()>(redis::cmd("GETRANGE").arg("a").take()));
    assert_eq!(pipeline.execute().await.failures().count(), 2);
    for node in copy.nodes() {
        assert_eq!(node.get::<i64>("a").await.unwrap(), Some(2), "{}", node.name());
    }
    assert!(copy.health().iter().all(|(_, health)| *health == redisdb::Health::Up));
    assert_eq!(contents(&copy.on_node("a").unwrap()).await, contents(&copy.on_node("c").unwrap()).await);
}

#[tokio::test]
async fn a_reader_of_a_node_sees_a_whole_block() {
    let (servers, copy) = copy().await;
    let writer = async {
        for i in 1..=300 {
            let pipeline = copy.pipeline().atomic();
            drop((pipeline.set("a", i), pipeline.set("b", i)));
            pipeline.execute().await.check().unwrap();
        }
    };
    let reader = Node::connect(servers[0].url()).await.unwrap();
    let read = async {
        let mut last = 0;
        while last < 300 {
            let both = reader.mget::<i64>(&["a", "b"]).await.unwrap();
            assert_eq!(both[0], both[1]);
            last = both[0].unwrap_or(0);
        }
    };
    tokio::join!(writer, read);
}

#[tokio::test]
async fn a_node_that_misses_a_block_is_behind_for_its_keys() {
    let (mut servers, copy) = copy().await;
    _ = copy.set("c", 1).await.unwrap();
    servers[1].kill();
    let pipeline = copy.pipeline().atomic();
    let set = pipeline.set("a", 1);
    drop(pipeline.set("b", 1));
    pipeline.execute().await.check().unwrap();
    let set = set.await.unwrap();
    assert_eq!(set.successes().map(|(name, ())| name).collect::<Vec<_>>(), ["a", "c"]);
    assert!(set.get("b").unwrap().error().is_some());
    servers[1].restart(Data::Lose).unwrap();
    eventually("it is repaired", async || {
        copy.repair("b").run().await.is_ok()
            && copy.health().iter().all(|(_, health)| *health == redisdb::Health::Up)
    })
    .await;
    assert_eq!(contents(&copy.on_node("a").unwrap()).await, contents(&copy.on_node("b").unwrap()).await);
}

/// The replacement for a transaction that stands in the docs.
#[tokio::test]
async fn one_writer_under_a_lock_keeps_every_node_equal() {
    let (_servers, copy) = copy().await;
    let add = async || {
        for _ in 0..20 {
            let options = LockOptions::new(Duration::from_secs(30)).retry_every(Duration::from_millis(4));
            let guard = copy.lock("lock", options).acquire().await.unwrap();
            let n = copy.get::<i64>("n").await.unwrap().unwrap_or(0);
            let block = copy.pipeline().atomic();
            drop((block.set("n", n + 1), block.rpush("log", n)));
            block.execute().await.check().unwrap();
            guard.release().await.unwrap();
        }
    };
    futures_util::future::join_all((0..4).map(|_| add())).await;
    for node in copy.nodes() {
        assert_eq!(node.get::<i64>("n").await.unwrap(), Some(80));
        let log = node.lrange::<i64>("log", 0, -1).await.unwrap();
        assert_eq!(log, (0..80).collect::<Vec<_>>());
    }
}

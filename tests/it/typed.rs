//! Values that go from server to server element by element: those of a newer server to an older one, and large ones.

use std::collections::HashMap;
use std::time::Duration;

use redis::Cmd;
use redis::Value;
use redisdb::Node;
use redisdb::OnReturn;
use redisdb::RedisCopy;
use redisdb::commands::*;
use redisdb_tests::contents;
use redisdb_tests::eventually;
use xtask::Binary;
use xtask::Data;
use xtask::Server;
use xtask::needs;
use xtask::skipped;

async fn send(node: &Node, words: &str) {
    node.send(Cmd::new().arg(words.split(' ').collect::<Vec<_>>())).await.unwrap();
}

/// Values of all types, small and large, with and without an end.
async fn fill(node: &Node) {
    for (size, n) in [("small", 5_u32), ("large", 3000)] {
        node.set(format!("string:{size}"), "\r\n\0x".repeat(n as usize)).await.unwrap();
        node.rpush(format!("list:{size}"), (0..n).collect::<Vec<_>>()).await.unwrap();
        node.lpush(format!("list:{size}"), (0..n).collect::<Vec<_>>()).await.unwrap();
        node.sadd(format!("set:{size}"), (0..n).map(|m| format!("m{m}")).collect::<Vec<_>>()).await.unwrap();
        node.sadd(format!("numbers:{size}"), (0..n).collect::<Vec<_>>()).await.unwrap();
        node.hset_multiple(format!("hash:{size}"), (0..n).map(|f| (f, f * 2))).await.unwrap();
        node.zadd(format!("zset:{size}"), (0..n).map(|m| (f64::from(m) * 0.1, m))).await.unwrap();
        for i in 1..=n {
            send(node, &format!("XADD stream:{size} {i}-{i} field v{i} other w")).await;
        }
        send(node, &format!("XDEL stream:{size} {n}-{n}")).await;
        send(node, &format!("XGROUP CREATE stream:{size} group 3-3")).await;
        send(node, &format!("XGROUP CREATE stream:{size} late $")).await;
        // Two have something to acknowledge, one of it twice, and one has nothing.
        send(node, &format!("XREADGROUP GROUP group one COUNT 1 STREAMS stream:{size} >")).await;
        send(node, &format!("XREADGROUP GROUP group two COUNT 1000 STREAMS stream:{size} >")).await;
        send(node, &format!("XCLAIM stream:{size} group one 0 4-4")).await;
        send(node, &format!("XGROUP CREATECONSUMER stream:{size} group none")).await;
    }
    send(node, "XADD empty 7-1 f v").await;
    send(node, "XDEL empty 7-1").await;
    node.expire("string:large", Duration::from_secs(1000)).await.unwrap();
    node.expire("stream:small", Duration::from_secs(1000)).await.unwrap();
    node.set("blank", "").await.unwrap();
}

/// A copy of two nodes whose second has lost all, and the first has [filled](fill) values.
async fn half_lost(first: &Server, second: &mut Server) -> RedisCopy {
    let copy = RedisCopy::builder().node("full", &first.url()).node("lost", &second.url());
    // Else it would bring the node back by itself meanwhile, in its own way.
    let copy = copy.on_return(OnReturn::Wait).connect().await.unwrap();
    fill(&copy.on_node("full").unwrap()).await;
    second.restart(Data::Lose).unwrap();
    let lost = copy.on_node("lost").unwrap().clone();
    eventually("it is known to be another process", async || {
        lost.ready().await.is_ok() && lost.incarnation() > 0
    })
    .await;
    lost.set("string:small", "to be replaced").await.unwrap();
    copy
}

/// Returns what a stream is besides its entries, but for times; counts only if they are known on both servers.
async fn of_stream(node: &Node, key: &str, with_counts: bool) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut names = vec!["last-generated-id"];
    if with_counts {
        names.extend(["entries-added", "max-deleted-entry-id"]);
    }
    let info: HashMap<String, Value> = ask(node, &format!("XINFO STREAM {key}")).await;
    found.push(names.iter().map(|name| format!("{:?}", info.get(*name))).collect());
    let mut names = vec!["name", "consumers", "pending", "last-delivered-id"];
    if with_counts {
        names.extend(["entries-read", "lag"]);
    }
    for group in ask::<Vec<HashMap<String, Value>>>(node, &format!("XINFO GROUPS {key}")).await {
        found.push(names.iter().map(|name| format!("{:?}", group.get(*name))).collect());
    }
    let pending: Vec<(String, String, u64, u64)> =
        ask(node, &format!("XPENDING {key} group - + 10000")).await;
    found.extend(pending.into_iter().map(|(id, consumer, _, times)| vec![id, consumer, times.to_string()]));
    let consumers: Vec<HashMap<String, Value>> = ask(node, &format!("XINFO CONSUMERS {key} group")).await;
    let of = |consumer: &HashMap<String, Value>| {
        ["name", "pending"].map(|name| format!("{:?}", consumer.get(name))).to_vec()
    };
    found.extend(consumers.iter().map(of));
    found
}

async fn ask<T: redis::FromRedisValue>(node: &Node, words: &str) -> T {
    let reply = node.send(Cmd::new().arg(words.split(' ').collect::<Vec<_>>())).await.unwrap();
    redis::from_redis_value(reply).unwrap()
}

async fn check(copy: &RedisCopy) {
    let (full, lost) = (copy.on_node("full").unwrap().clone(), copy.on_node("lost").unwrap().clone());
    assert_eq!(contents(&lost).await, contents(&full).await);
    assert_eq!(copy.verify().run().await.unwrap(), []);
    for node in [&full, &lost] {
        let ends = node.ttl("string:large").await.unwrap();
        assert!(matches!(ends, TimeToLive::In(left) if left.as_secs().abs_diff(1000) < 30), "{ends:?}");
        // The last identifiers are there: an older one is refused.
        for (stream, id) in [("empty", "7-1"), ("stream:large", "3000-3000")] {
            let add = Cmd::new().arg(&["XADD", stream, id, "f", "v"]).clone();
            assert!(node.send(&add).await.is_err(), "{stream} {id}");
        }
    }
    let counts = async |node: &Node| {
        let info: HashMap<String, Value> = ask(node, "XINFO STREAM empty").await;
        info.contains_key("entries-added")
    };
    let with_counts = counts(&full).await && counts(&lost).await;
    for key in ["stream:small", "stream:large"] {
        let wanted = of_stream(&full, key, with_counts).await;
        assert!(5 < wanted.len());
        assert_eq!(of_stream(&lost, key, with_counts).await, wanted);
    }
    // A difference in one element of many is seen.
    for (key, change) in [
        ("list:large", "LSET list:large 5990 x"),
        ("set:large", "SREM set:large m17"),
        ("hash:large", "HSET hash:large 2999 x"),
        ("zset:large", "ZADD zset:large 0.11 1"),
        ("stream:large", "XDEL stream:large 2999-2999"),
        ("stream:small", "XGROUP SETID stream:small group 2-2"),
        ("string:large", "SETRANGE string:large 11000 y"),
    ] {
        send(&lost, change).await;
        let found = copy.verify().run().await.unwrap();
        assert_eq!(found.iter().map(|found| found.key.as_slice()).collect::<Vec<_>>(), [key.as_bytes()]);
        lost.del(key).await.unwrap();
        full.del(key).await.unwrap();
    }
}

/// The oldest server that is supported.
fn older() -> Result<Binary, String> {
    Binary::named("redis-6.2").unwrap().map_err(|error| format!("Redis 6.2 cannot be had: {error}"))
}

#[tokio::test]
async fn values_go_from_a_newer_server_to_an_older_one() {
    let older = needs!(older());
    let newer = Binary::find().unwrap();
    if newer.version == older.version {
        let reason = format!("the tests run on {}, the oldest server that is supported", older.version);
        skipped(&reason, Some("values that the other server's dumps cannot bring over"));
    }
    let first = Server::builder().binary(&newer).start().unwrap();
    let mut second = Server::builder().binary(&older).start().unwrap();
    let copy = half_lost(&first, &mut second).await;
    let repaired = copy.repair("lost").run().await.unwrap();
    assert!(repaired.readmitted && repaired.failed.is_empty(), "{repaired:?}");
    check(&copy).await;
}

#[tokio::test]
async fn values_go_from_an_older_server_to_a_newer_one() {
    let older = needs!(older());
    let first = Server::builder().binary(&older).start().unwrap();
    let mut second = Server::start().unwrap();
    let copy = half_lost(&first, &mut second).await;
    assert!(copy.repair("lost").run().await.unwrap().readmitted);
    check(&copy).await;
}

#[tokio::test]
async fn large_values_go_some_elements_at_a_time() {
    let (first, mut second) = (Server::start().unwrap(), Server::start().unwrap());
    let copy = half_lost(&first, &mut second).await;
    let restored = async |node: &str| {
        let stats = copy.on_node(node).unwrap().info_with(&["commandstats"]).await.unwrap();
        stats.get("commandstats", "cmdstat_restore").is_some()
    };
    let repaired = copy.repair("lost").dump_up_to(0).run().await.unwrap();
    assert!(repaired.readmitted && repaired.failed.is_empty(), "{repaired:?}");
    assert!(!restored("lost").await);
    check(&copy).await;
}

#[tokio::test]
async fn what_only_a_dump_can_carry_is_named_where_none_can() {
    let newest = needs!(Binary::named("redis-8.10").unwrap().map_err(|error| error.to_string()));
    let other = needs!(Binary::named("redis-8").unwrap().map_err(|error| error.to_string()));
    let [first, alike, older] =
        [&newest, &newest, &other].map(|binary| Server::builder().binary(binary).start().unwrap());
    let copy = RedisCopy::builder().node("first", &first.url()).node("alike", &alike.url());
    let copy = copy.node("older", &older.url()).on_return(OnReturn::Wait).connect().await.unwrap();
    let [first, alike, older] = ["first", "alike", "older"].map(|name| copy.on_node(name).unwrap().clone());
    let id: String = ask(&first, "XADD orders IDMP shop 17 * item tea").await;
    send(&first, "ARSET array 3 tea").await;
    send(&first, "SET text tea").await;
    for (name, whole) in [("alike", 0), ("older", 64 << 20)] {
        let repaired = copy.repair(name).from("first").dump_up_to(whole).run().await.unwrap();
        let failed: Vec<(&[u8], bool)> = repaired
            .failed
            .iter()
            .map(|(key, reason)| (key.as_slice(), reason.contains("only a dump can carry")))
            .collect();
        assert_eq!(failed, [(b"array".as_slice(), true), (b"orders", true)], "{repaired:?}");
        let keys: Vec<String> = copy.on_node(name).unwrap().keys("*").await.unwrap();
        assert_eq!(keys, ["text"]);
    }
    let repaired = copy.repair("alike").from("first").run().await.unwrap();
    assert!(repaired.readmitted && repaired.failed.is_empty(), "{repaired:?}");
    // The same order a second time is none.
    assert_eq!(ask::<String>(&alike, "XADD orders IDMP shop 17 * item tea").await, id);
    assert_eq!(ask::<u64>(&older, "XLEN orders").await, 0);
    // On a copy each server would have to remember for itself.
    let mut connection = copy.clone();
    let add = redis::cmd("XADD").arg(&["orders", "IDMP", "shop", "18", "*", "item", "tea"]).clone();
    let refused = add.query_async::<String>(&mut connection).await.unwrap_err();
    assert!(refused.to_string().contains("memory of its producers"), "{refused}");
    assert_eq!(ask::<u64>(&first, "XLEN orders").await, 1);
}

//! Values that are the same, and are written down differently.

use redis::Value;
use redisdb::Node;
use redisdb::RedisCopy;
use redisdb::commands::*;
use redisdb_tests::NAMES;
use redisdb_tests::copy;

async fn dump(copy: &RedisCopy, name: &str, key: &str) -> Value {
    copy.on_node(name).unwrap().send(redis::cmd("DUMP").arg(key)).await.unwrap()
}

async fn send(node: &Node, command: &str) {
    let words: Vec<&str> = command.split(' ').collect();
    node.send(redis::Cmd::new().arg(words)).await.unwrap();
}

/// Checks that a key is written down differently on some nodes, and is the same for those who compare.
async fn is_the_same(copy: &RedisCopy, key: &str) {
    let mut dumps = Vec::new();
    for name in NAMES {
        dumps.push(dump(copy, name, key).await);
    }
    assert!(dumps.iter().any(|dump| *dump != dumps[0]), "{key} is written down the same everywhere");
    assert_eq!(copy.verify().run().await.unwrap(), [], "{key}");
    for whole in [0, 64 << 20] {
        let repaired = copy.repair("b").from("a").dump_up_to(whole).run().await.unwrap();
        assert_eq!((repaired.copied, repaired.removed), (0, 0), "{key}: {repaired:?}");
    }
}

#[tokio::test]
async fn a_hyperloglog_is_the_same_after_some_node_has_counted_it() {
    let (_servers, copy) = copy().await;
    copy.pfadd("visitors", (0..50).collect::<Vec<_>>()).await.unwrap();
    assert!(48 < copy.pfcount(&["visitors"]).await.unwrap());
    is_the_same(&copy, "visitors").await;
    // One that counts more is another one.
    send(copy.on_node("c").unwrap(), "PFADD visitors x y z").await;
    assert_eq!(copy.verify().run().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_hyperloglog_is_the_same_whichever_way_it_is_written() {
    let (_servers, copy) = copy().await;
    send(copy.on_node("b").unwrap(), "CONFIG SET hll-sparse-max-bytes 0").await;
    copy.pfadd("sparse:or:dense", (0..50).collect::<Vec<_>>()).await.unwrap();
    is_the_same(&copy, "sparse:or:dense").await;
}

#[tokio::test]
async fn a_command_that_reads_changes_how_a_value_is_written_at_most() {
    let (_servers, copy) = copy().await;
    let a = copy.on_node("a").unwrap();
    let commands = [
        "SET string 12",
        "SET bits abc",
        "RPUSH list 1 2 3",
        "SADD set 1 2 3",
        "HSET hash f 1 g 2",
        "ZADD zset 1 a 2 b",
        "GEOADD geo 13.36 38.11 p 15.08 37.50 c",
        "XADD stream 1-1 f v",
        "PFADD hll a b c",
    ];
    for node in copy.nodes() {
        for command in commands {
            send(node, command).await;
        }
    }
    let keys: Vec<String> = a.keys("*").await.unwrap();
    let dumps = async || {
        let mut dumps = Vec::new();
        for key in &keys {
            dumps.push((key.clone(), dump(&copy, "a", key).await));
        }
        dumps
    };
    let mut before = dumps().await;
    // Those of the table with the server's flag `readonly`, each on what it reads; whether it is an error does not matter.
    let commands: Vec<Value> =
        redis::from_redis_value(a.send(&redis::cmd("COMMAND")).await.unwrap()).unwrap();
    let mut changing = Vec::new();
    for command in commands {
        let Value::Array(parts) = command else { panic!("what is that?") };
        let name: String = redis::from_redis_value(parts[0].clone()).unwrap();
        let flags: Vec<String> = redis::from_redis_value(parts[2].clone()).unwrap();
        let has = |flag: &str| flags.iter().any(|found| found == flag);
        if !has("readonly") || has("blocking") || name == "xread" {
            continue;
        }
        for key in &keys {
            for rest in [
                &[][..],
                &["f"],
                &["0", "-1"],
                &["0"],
                &["-", "+"],
                &["p", "c"],
                &["0", "5", "LIMIT", "0", "1"],
            ] {
                let _any = a.send(redis::cmd(&name).arg(key).arg(rest)).await;
            }
        }
        let after = dumps().await;
        if after != before {
            changing.push(name);
            before = after;
        }
    }
    // The one writes the count that it found into the value, the other one gives a sorted set its larger form.
    changing.sort();
    assert!(changing == ["pfcount", "sort_ro"] || changing == ["pfcount"], "{changing:?}");
    assert_eq!(copy.verify().run().await.unwrap(), []);
}

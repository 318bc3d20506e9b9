//! Fields of a hash that go away by themselves, which Redis 7.4 and Valkey 9.0 have and older servers have not.

use redis::Cmd;
use redisdb::Node;
use redisdb::OnReturn;
use redisdb::RedisCopy;
use redisdb::commands::*;
use redisdb_tests::calls;
use redisdb_tests::contents;
use redisdb_tests::eventually;
use xtask::Binary;
use xtask::Server;
use xtask::needs;

/// A time that no test lives to see, in milliseconds since 1970.
const LATE: i64 = 40_000_000_000_000;

/// A server of this name.
fn server(name: &str) -> Result<Server, String> {
    match Binary::named(name).unwrap() {
        Ok(binary) => Ok(Server::builder().binary(&binary).start().unwrap()),
        Err(error) => Err(format!("{name} cannot be had: {error}")),
    }
}

async fn send(node: &Node, words: &str) -> redis::Value {
    node.send(Cmd::new().arg(words.split(' ').collect::<Vec<_>>())).await.unwrap()
}

/// Returns when the fields of a hash go away.
async fn ends(node: &Node, key: &str, fields: &[String]) -> Vec<i64> {
    let cmd = redis::cmd("HPEXPIRETIME").arg(key).arg("FIELDS").arg(fields.len()).arg(fields).clone();
    redis::from_redis_value(node.send(&cmd).await.unwrap()).unwrap()
}

fn fields(n: u32) -> Vec<String> {
    (0..n).map(|i| format!("f{i}")).collect()
}

/// Hashes some of whose fields go away: every third one, at two times.
async fn fill(node: &Node) {
    for (key, n) in [("small", 6_u32), ("large", 3000)] {
        node.hset_multiple(key, fields(n).into_iter().zip(0..n)).await.unwrap();
        for (first, at) in [(0, LATE), (3, LATE + 17)] {
            let some: Vec<String> = fields(n).into_iter().skip(first).step_by(6).collect();
            let cmd =
                redis::cmd("HPEXPIREAT").arg(key).arg(at).arg("FIELDS").arg(some.len()).arg(&some).clone();
            node.send(&cmd).await.unwrap();
        }
    }
    node.hset_multiple("plain", fields(5).into_iter().zip(0..)).await.unwrap();
}

/// A copy whose node `to` does not hold what `from` holds. It is brought over when it is asked for only.
async fn parted(from: &Server, to: &Server) -> (RedisCopy, Node, Node) {
    let copy = RedisCopy::builder().node("from", &from.url()).node("to", &to.url());
    let copy = copy.on_return(OnReturn::Wait).connect().await.unwrap();
    let [from, to] = ["from", "to"].map(|name| copy.on_node(name).unwrap().clone());
    fill(&from).await;
    (copy, from, to)
}

/// Checks that fields go from one server to the other with the times at which they end.
async fn they_go(from: &str, to: &str, dump_up_to: u64) {
    let (from, to) = (needs!(server(from)), needs!(server(to)));
    let (copy, from, to) = parted(&from, &to).await;
    let repaired = copy.repair("to").from("from").dump_up_to(dump_up_to).run().await.unwrap();
    assert!(repaired.readmitted && repaired.failed.is_empty(), "{repaired:?}");
    assert_eq!(contents(&to).await, contents(&from).await);
    for (key, n) in [("small", 6), ("large", 3000)] {
        let found = ends(&to, key, &fields(n)).await;
        assert_eq!(found, ends(&from, key, &fields(n)).await, "{key}");
        assert_eq!(found.get(..4), Some(&[LATE, -1, -1, LATE + 17][..]));
    }
    assert_eq!(copy.verify().run().await.unwrap(), []);
    // A millisecond makes them different, however they are read; and so does one that does not go away.
    for change in [
        format!("HPEXPIREAT small {} FIELDS 1 f0", LATE + 1),
        format!("HPEXPIREAT large {} FIELDS 1 f2994", LATE + 1),
        "HPERSIST large FIELDS 1 f2997".to_owned(),
        format!("HPEXPIREAT plain {LATE} FIELDS 1 f1"),
    ] {
        let before = send(&to, &format!("DUMP {}", change.split(' ').nth(1).unwrap())).await;
        send(&to, &change).await;
        let key = change.split(' ').nth(1).unwrap().as_bytes();
        let found = copy.verify().run().await.unwrap();
        assert_eq!(found.iter().map(|found| found.key.as_slice()).collect::<Vec<_>>(), [key], "{change}");
        for whole in [0, 64 << 20] {
            let would = copy.repair("to").from("from").dump_up_to(whole).dry_run().run().await.unwrap();
            assert_eq!(would.copied, 1, "{change}: {would:?}");
        }
        let redis::Value::BulkString(before) = before else { panic!("no dump") };
        let back = redis::cmd("RESTORE").arg(key).arg(0).arg(before).arg("REPLACE").clone();
        to.send(&back).await.unwrap();
        assert_eq!(copy.verify().run().await.unwrap(), [], "{change}");
    }
}

#[tokio::test]
async fn they_go_element_by_element_on_redis() {
    they_go("redis-8", "redis-8", 0).await;
}

#[tokio::test]
async fn they_go_element_by_element_on_valkey() {
    they_go("valkey-9", "valkey-9", 0).await;
}

#[tokio::test]
async fn they_go_by_dump() {
    they_go("redis-8", "redis-8", 64 << 20).await;
    they_go("valkey-9", "valkey-9", 64 << 20).await;
}

#[tokio::test]
async fn they_go_from_redis_to_valkey_and_back() {
    they_go("redis-8", "valkey-9", 64 << 20).await;
    they_go("valkey-9", "redis-8", 64 << 20).await;
}

/// Checks that a hash with such fields is named, and not brought to a server that would keep them for ever.
async fn they_do_not_go(from: &str, to: &str) {
    let (from, to) = (needs!(server(from)), needs!(server(to)));
    let (copy, from, to) = parted(&from, &to).await;
    to.hset("small", "f0", "old").await.unwrap();
    let repaired = copy.repair("to").from("from").run().await.unwrap();
    let failed: Vec<(&[u8], bool)> = repaired
        .failed
        .iter()
        .map(|(key, reason)| (key.as_slice(), reason.contains("fields with a time to live")))
        .collect();
    assert_eq!(failed, [(b"large".as_slice(), true), (b"small", true)], "{repaired:?}");
    assert!(!repaired.readmitted);
    // What was there stays, what was begun does not.
    let keys: Vec<String> = to.keys("*").await.unwrap();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert_eq!(to.hget::<String>("small", "f0").await.unwrap().as_deref(), Some("old"));
    assert_eq!(to.hlen("plain").await.unwrap(), 5);
    let found: Vec<_> = copy.verify().run().await.unwrap().into_iter().map(|found| found.key).collect();
    assert_eq!(found, [b"large", b"small"]);
    // It is read from the server that has it right.
    for i in 0..6 {
        assert_eq!(copy.hget::<u32>("small", format!("f{i}")).await.unwrap(), Some(i));
        assert_eq!(copy.hlen("large").await.unwrap(), 3000);
    }
    // Without such fields it goes.
    for (key, n) in [("small", 6), ("large", 3000)] {
        from.hpersist(key, fields(n)).await.unwrap();
    }
    let repaired = copy.repair("to").from("from").run().await.unwrap();
    assert!(repaired.readmitted && repaired.failed.is_empty(), "{repaired:?}");
    assert_eq!(contents(&to).await, contents(&from).await);
}

#[tokio::test]
async fn they_do_not_go_to_a_redis_that_would_keep_them_for_ever() {
    they_do_not_go("redis-8", "redis-7.0").await;
    they_do_not_go("redis-8", "redis-6.2").await;
}

#[tokio::test]
async fn they_do_not_go_to_a_valkey_that_would_keep_them_for_ever() {
    they_do_not_go("valkey-9", "valkey-8").await;
}

/// Fields and values of a hash that is compared some elements at a time.
fn too_large_for_a_dump() -> impl Iterator<Item = (String, String)> {
    fields(3000).into_iter().map(|field| (field, "v".repeat(300)))
}

/// To ask about each field takes a server longer than to read it.
#[tokio::test]
async fn a_server_is_asked_about_the_fields_of_a_large_hash_only_while_some_hash_of_the_database_has_such() {
    for name in ["redis-8", "valkey-9"] {
        let (a, b) = (needs!(server(name)), needs!(server(name)));
        let copy =
            RedisCopy::builder().node("a", &format!("{}/2", a.url())).node("b", &format!("{}/2", b.url()));
        let copy = copy.connect().await.unwrap();
        let nodes = ["a", "b"].map(|name| copy.on_node(name).unwrap());
        _ = copy.hset_multiple("large", too_large_for_a_dump()).await.unwrap();
        assert_eq!(copy.verify().run().await.unwrap(), []);
        for node in &nodes {
            assert!(0 < calls(node, "hscan").await);
            assert_eq!(calls(node, "hpexpiretime").await, 0, "{name}");
        }
        // Of the node where there are none, nothing is asked.
        send(&nodes[1], &format!("HPEXPIREAT large {LATE} FIELDS 1 f1700")).await;
        let found = copy.verify().run().await.unwrap();
        assert_eq!(found.iter().map(|found| found.key.as_slice()).collect::<Vec<_>>(), [b"large"], "{name}");
        assert_eq!(calls(&nodes[0], "hpexpiretime").await, 0, "{name}");
        assert!(0 < calls(&nodes[1], "hpexpiretime").await, "{name}");
    }
}

#[tokio::test]
async fn a_server_that_knows_no_such_fields_is_asked_about_them_once_of_a_hash() {
    let (a, b) = (needs!(server("redis-7.0")), needs!(server("redis-7.0")));
    let copy = RedisCopy::builder().nodes([a.url(), b.url()]).connect().await.unwrap();
    _ = copy.hset_multiple("large", too_large_for_a_dump()).await.unwrap();
    let node = Node::connect(a.url()).await.unwrap();
    let n_errors = async || {
        let stats = node.info_with(&["stats"]).await.unwrap();
        stats.get("stats", "total_error_replies").unwrap().parse::<u64>().unwrap()
    };
    let before = n_errors().await;
    assert_eq!(copy.verify().run().await.unwrap(), []);
    assert_eq!(n_errors().await, before + 1);
}

#[tokio::test]
async fn a_write_that_an_older_server_does_not_know_is_answered_by_the_newer_one() {
    let (newer, older) = (needs!(server("redis-8")), needs!(server("redis-7.0")));
    let copy = RedisCopy::builder().node("newer", &newer.url()).node("older", &older.url());
    let copy = copy.connect().await.unwrap();
    _ = copy.hset_multiple("h", [("a", 1), ("b", 2)]).await.unwrap();
    let set = copy
        .hpexpireat(
            "h",
            std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(LATE as u64),
            "a",
        )
        .await
        .unwrap();
    assert!(set.failures().count() == 1, "{set:?}");
    // The older one is never read for it again, and is not made to hold it.
    let name = copy.on_node("older").unwrap().clone();
    eventually("it was tried to bring it over", async || {
        let stats = name.info_with(&["commandstats"]).await.unwrap();
        stats.get("commandstats", "cmdstat_restore").is_some()
    })
    .await;
    name.hset("h", "a", "of the older one").await.unwrap();
    for _ in 0..20 {
        assert_eq!(copy.hget::<u32>("h", "a").await.unwrap(), Some(1));
    }
    assert!(!copy.health().contains(&("older".to_owned(), redisdb::Health::Up)));
}

#[tokio::test]
async fn a_hash_all_of_whose_fields_have_ended_is_nothing_on_an_older_server() {
    let newer = needs!(Binary::named("redis-8").unwrap().map_err(|error| error.to_string()));
    let older = needs!(server("redis-7.0"));
    let newer = Server::builder().binary(&newer).arg("--enable-debug-command", "yes").start().unwrap();
    let (copy, from, to) = parted(&newer, &older).await;
    for node in [&from, &to] {
        send(node, "FLUSHALL").await;
    }
    // So that what has ended stays, and is not shown to anybody.
    send(&from, "DEBUG SET-ACTIVE-EXPIRE 0").await;
    send(&from, "HSET ended a 1 b 2").await;
    send(&from, "HPEXPIRE ended 1 FIELDS 2 a b").await;
    eventually("its fields have ended", async || {
        let fields: Vec<String> = redis::from_redis_value(send(&from, "HKEYS ended").await).unwrap();
        fields.is_empty()
    })
    .await;
    to.hset("ended", "a", 1).await.unwrap();
    let repaired = copy.repair("to").from("from").run().await.unwrap();
    assert_eq!(repaired.failed, []);
    assert_eq!(to.exists("ended").await.unwrap(), 0);
}

#[tokio::test]
async fn what_a_user_lacks_for_them_is_named() {
    let (from, to) = (needs!(server("redis-8")), needs!(server("redis-8")));
    let (_all, _, lost) = parted(&from, &to).await;
    let mut builder = RedisCopy::builder();
    for (name, server) in [("from", &from), ("to", &to)] {
        let all = Node::connect(server.url()).await.unwrap();
        send(&all, "ACL SETUSER app on >pw ~* +@all -restore -hpexpiretime").await;
        builder = builder.node(name, &server.url().replace("redis://", "redis://app:pw@"));
    }
    let copy = builder.on_return(OnReturn::Wait).connect().await.unwrap();
    let repaired = copy.repair("to").from("from").run().await.unwrap();
    let failed: Vec<_> =
        repaired.failed.iter().map(|(key, reason)| (key.as_slice(), reason.as_str())).collect();
    assert_eq!(failed.len(), 2, "{failed:?}");
    for (key, reason) in failed {
        assert!([b"small".as_slice(), b"large"].contains(&key));
        assert!(reason.contains("`ACL SETUSER app +hpexpiretime` permits it"), "{reason}");
    }
    assert_eq!(lost.hlen("plain").await.unwrap(), 5);
}

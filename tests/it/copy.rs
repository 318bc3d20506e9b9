//! A copy on three servers.

use std::time::Duration;

use redis::AsyncCommands;
use redisdb::Error;
use redisdb::Health;
use redisdb::Outcome;
use redisdb::RedisCopy;
use redisdb::WriteTo;
use redisdb::node::KeyCommands;
use redisdb::node::ListCommands;
use redisdb::node::ServerCommands;
use redisdb::node::SetCommands;
use redisdb::node::SortedSetCommands;
use redisdb::node::StringCommands;
use redisdb::node::TimeToLive;
use redisdb_tests::NAMES;
use redisdb_tests::contents;
use redisdb_tests::copy;
use redisdb_tests::is_since;
use xtask::Servers;

#[tokio::test]
async fn the_originals_example_on_two_nodes() {
    let servers = Servers::start(2).unwrap();
    let ring = redisdb::RedisRing::builder().nodes(servers.urls()).connect().await.unwrap();
    ring.set("key", "value").await.unwrap();

    let copy = RedisCopy::builder().nodes(servers.urls()).connect().await.unwrap();
    let set = copy.set("key", "value").await.unwrap();
    assert_eq!((set.len(), set.is_complete(), set.agreed()), (2, true, true));
    // One node has one of the members already: each says for itself what was new to it.
    copy.nodes().next().unwrap().zadd("board", [(1.0, "one")]).await.unwrap();
    let added = copy.zadd("board", [(1.0, "one")]).await.unwrap();
    assert_eq!(added.successes().map(|(_, n)| *n).collect::<Vec<_>>(), [0, 1]);
    assert!(!added.agreed());
    _ = copy.zadd("board", [(2.0, "two"), (3.0, "three")]).await.unwrap();
    let names = copy.zrange::<String>("board", 0, -1).await.unwrap();
    assert_eq!(names, ["one", "two", "three"]);
    let scored = copy.zrange_withscores::<String>("board", 0, -1).await.unwrap();
    let expected = [("one", 1.0), ("two", 2.0), ("three", 3.0)];
    assert_eq!(scored, expected.map(|(name, score)| (name.to_owned(), score)));
}

#[tokio::test]
async fn a_write_reaches_every_node() {
    let (_servers, copy) = copy().await;
    let replies = copy.set("k", "v").await.unwrap();
    assert_eq!(replies.iter().map(|(name, _)| name).collect::<Vec<_>>(), NAMES);
    for node in copy.nodes() {
        assert_eq!(node.get::<String>("k").await.unwrap().as_deref(), Some("v"));
    }
    let deleted = copy.del("k").await.unwrap();
    assert_eq!(deleted.successes().map(|(_, n)| *n).collect::<Vec<_>>(), [1, 1, 1]);
    for node in copy.nodes() {
        assert_eq!(node.exists("k").await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_read_is_answered_by_one_node_that_the_key_chooses() {
    let (_servers, copy) = copy().await;
    for key in ["x", "y", "z", "key:1", "key:2"] {
        for node in copy.nodes() {
            node.set(key, node.name()).await.unwrap();
        }
        let answered = copy.get::<String>(key).await.unwrap();
        assert_eq!(answered.as_deref(), Some(copy.node_for(key).name()));
    }
}

#[tokio::test]
async fn a_relative_expiry_is_sent_to_all_as_one_moment() {
    let (_servers, copy) = copy().await;
    _ = copy.config_set("slowlog-log-slower-than", 0).await.unwrap();
    _ = copy.setex("k", Duration::from_secs(100), "v").await.unwrap();
    _ = copy.set("l", "v").await.unwrap();
    _ = copy.expire("l", Duration::from_secs(100)).await.unwrap();
    // What each server was sent.
    let log = copy.slowlog_get().await.unwrap();
    for (name, since_word) in [("SET", 4), ("PEXPIREAT", 2)] {
        let mut moments = log.successes().map(|(_, entries)| {
            let sent = entries.iter().map(|entry| &entry.args).find(|words| {
                words.first().is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
                    && words.len() > since_word
            });
            sent.unwrap_or_else(|| panic!("no {name} in {entries:?}"))[since_word].clone()
        });
        let first = moments.next().unwrap();
        assert!(moments.all(|moment| moment == first));
    }
    for key in ["k", "l"] {
        let left = copy.ttl(key).await.unwrap();
        assert!(matches!(left, TimeToLive::In(left) if left.as_secs().abs_diff(100) < 20), "{left:?}");
    }
}

#[tokio::test]
async fn what_a_server_chooses_or_decides_is_the_same_on_all_nodes() {
    let (_servers, mut copy) = copy().await;
    _ = copy.sadd("s", (0..200).collect::<Vec<_>>()).await.unwrap();
    let popped = copy.spop::<u32>("s").await.unwrap();
    // What the deciding node popped is what all of them answer.
    assert!(popped.is_complete() && popped.agreed() && popped.len() == 3, "{popped:?}");
    let decided = [
        "SPOP s 50",
        "SET k v NX",
        "SET k w NX",
        "SET k x XX GET EX 500",
        "SETNX n 1",
        "SETNX n 2",
        "MSETNX a 1 b 2",
        "MSETNX b 3 c 4",
        "HSETNX h f 1",
        "HSETNX h f 2",
        "GETSET g 1",
        "GETSET g 2",
        "GETDEL g",
        "INCRBYFLOAT f 0.1",
        "EXPIRE f 100",
        "INCRBYFLOAT f 0.2",
        "HINCRBYFLOAT h g 0.7",
        "ZADD z 1 a 2 b 3 c",
        "ZADD z GT CH 5 a 1 b",
        "ZADD z XX 9 nobody 8 c",
        "ZADD z INCR 0.3 a",
        "ZINCRBY z 0.1 b",
        "ZPOPMIN z",
        "GEOADD geo 13.361389 38.115556 Palermo",
        "GEOADD geo NX 1 1 Palermo 15.087269 37.502669 Catania",
        "RPUSH l 1 2 3 4 5 6",
        "LPUSHX l 0",
        "RPUSHX none 0",
        "LPOP l",
        "RPOP l 2",
        "LMOVE l m LEFT RIGHT",
        "RPOPLPUSH l m",
        "RENAMENX m o",
        "RENAMENX o l",
        "XADD x * field value",
        "XADD x MAXLEN = 5 * field value",
        "XADD x 9999999999999-1 field value",
        "XTRIM x MAXLEN 2",
    ];
    let since_7 = ["LMPOP 2 none o LEFT COUNT 1", "PEXPIRE o 100000 NX", "PEXPIRE o 50000 GT"];
    let is_since_7 = is_since(&copy.nodes().next().unwrap(), (7, 0, 0), &since_7.join(", ")).await;
    for words in decided.into_iter().chain(since_7.into_iter().filter(|_| is_since_7)) {
        let mut cmd = redis::Cmd::new();
        cmd.arg(words.split(' ').collect::<Vec<_>>());
        let before = contents(&copy.nodes().next().unwrap()).await;
        // One value, which none of the nodes contradicts.
        if let Err(error) = cmd.query_async::<redis::Value>(&mut copy).await {
            panic!("{words}: {error}");
        }
        let mut states = Vec::new();
        for node in copy.nodes() {
            states.push(contents(&node).await);
        }
        assert_eq!(states[0], states[1], "after {words}, from {before:#?}");
        assert_eq!(states[0], states[2], "after {words}, from {before:#?}");
    }
    assert!(copy.health().iter().all(|(_, health)| *health == Health::Up), "{:?}", copy.health());
}

#[tokio::test]
async fn a_pop_that_finds_something_else_shows_that_the_nodes_differ() {
    let (_servers, copy) = copy().await;
    _ = copy.rpush("l", &["a", "b", "c"]).await.unwrap();
    _ = copy.sadd("s", "x").await.unwrap();
    let odd = NAMES.iter().find(|name| copy.node_for("l").name() != **name).unwrap();
    copy.on_node(odd).unwrap().lset("l", 0, "z").await.unwrap();
    _ = copy.lpop::<String>("l").await.unwrap();
    let behind: Vec<_> = copy.health().into_iter().filter(|(_, health)| *health != Health::Up).collect();
    assert_eq!(behind, [((*odd).to_owned(), Health::Suspect)]);
}

#[tokio::test]
async fn the_others_are_sent_nothing_if_a_command_did_nothing() {
    let (_servers, copy) = copy().await;
    _ = copy.set("k", 1).await.unwrap();
    let replies = copy.setnx("k", 2).await.unwrap();
    assert_eq!(replies.successes().map(|(_, took)| *took).collect::<Vec<_>>(), [false]);
    assert_eq!(replies.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Skipped)).count(), 2);
    assert!(replies.is_complete() && replies.agreed());
}

#[tokio::test]
async fn what_cannot_be_made_the_same_is_refused() {
    let (_servers, mut copy) = copy().await;
    for words in [&["EVAL", "return 1", "0"][..], &["XTRIM", "x", "MAXLEN", "~", "5"], &["BLPOP", "l", "1"]] {
        let mut cmd = redis::Cmd::new();
        cmd.arg(words);
        let error = cmd.query_async::<()>(&mut copy).await.unwrap_err().to_string();
        assert!(error.contains("cannot run on a copy: "), "{error}");
    }
}

#[tokio::test]
async fn an_error_of_every_node_is_an_error_with_their_code() {
    let (_servers, copy) = copy().await;
    _ = copy.set("text", "x").await.unwrap();
    let error = copy.incr("text").await.unwrap_err();
    let Error::TooFewReplies(write) = &error else { panic!("{error}") };
    assert_eq!((write.wanted, write.replies.failures().count()), (1, 3));
    assert_eq!(error.code(), Some("ERR"));
    assert!(!error.may_have_executed());
    // All nodes refused alike, so none is behind.
    assert!(copy.health().iter().all(|(_, health)| *health == Health::Up));
}

#[tokio::test]
async fn write_to_says_how_many_nodes_must_take_a_write() {
    let (mut servers, _) = copy().await;
    let over = |write_to| {
        let nodes = NAMES.iter().zip(servers.urls());
        nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, &url)).write_to(write_to)
    };
    let (any, two, all) = (over(WriteTo::Any), over(WriteTo::AtLeast(2)), over(WriteTo::All));
    assert!(matches!(over(WriteTo::AtLeast(4)).build(), Err(Error::Config(_))));
    assert!(matches!(over(WriteTo::AtLeast(0)).build(), Err(Error::Config(_))));
    let (any, two, all) =
        (any.connect().await.unwrap(), two.connect().await.unwrap(), all.connect().await.unwrap());
    servers[0].kill();
    let replies = any.set("k", 1).await.unwrap();
    assert!(matches!(replies.get("a"), Some(Outcome::NotSent(_) | Outcome::Unknown(_))), "{replies:?}");
    assert!(two.set("k", 2).await.unwrap().failures().count() == 1);
    let error = all.set("k", 3).await.unwrap_err();
    let Error::TooFewReplies(write) = &error else { panic!("{error}") };
    assert_eq!((write.wanted, write.replies.successes().count()), (3, 2));
    assert!(error.may_have_executed());
    servers[1].kill();
    assert!(matches!(two.set("k", 4).await, Err(Error::TooFewReplies(_))));
    assert!(any.set("k", 5).await.is_ok());
}

#[tokio::test]
async fn redis_rs_gets_one_value_or_is_told_that_there_are_several() {
    let (_servers, mut copy) = copy().await;
    let () = AsyncCommands::set(&mut copy, "n", 1).await.unwrap();
    let n: i64 = redis::cmd("INCR").arg("n").query_async(&mut copy).await.unwrap();
    assert_eq!(n, 2);
    copy.nodes().next().unwrap().set("n", 100).await.unwrap();
    let error = redis::cmd("INCR").arg("n").query_async::<i64>(&mut copy).await.unwrap_err();
    assert_eq!(error.code(), Some("DISAGREEMENT"));
    assert_eq!(copy.query::<i64>(redis::cmd("INCRBY").arg("other").arg(3)).await.unwrap(), 3);
    // Since then it is known who is behind, and not asked any more.
    assert_eq!(copy.query::<i64>(redis::cmd("INCR").arg("n")).await.unwrap(), 4);
    let got: (i64, i64) = redis::pipe()
        .set("m", 5)
        .ignore()
        .get("m")
        .cmd("MGET")
        .arg("m")
        .query_async::<(i64, Vec<i64>)>(&mut copy)
        .await
        .map(|(a, b)| (a, b[0]))
        .unwrap();
    assert_eq!(got, (5, 5));
}

#[tokio::test]
async fn a_message_is_published_once() {
    let (_servers, mut copy) = copy().await;
    let receivers: i64 = redis::cmd("PUBLISH").arg("news").arg("x").query_async(&mut copy).await.unwrap();
    assert_eq!(receivers, 0);
    let published = copy
        .on_each(|node| async move {
            let stats = node.info_with(&["commandstats"]).await?;
            Ok(stats.get("commandstats", "cmdstat_publish").is_some())
        })
        .await;
    assert_eq!(published.successes().filter(|(_, once)| **once).count(), 1);
}

#[tokio::test]
async fn explain_says_where_a_command_goes() {
    let (_servers, copy) = copy().await;
    let explain = |words: &[&str]| copy.explain(redis::Cmd::new().arg(words)).to_string();
    assert_eq!(explain(&["SET", "k", "v"]), "`SET` on a copy: to every node; each reply is kept");
    assert!(explain(&["SET", "k", "v", "EX", "9"]).contains("as one point in time"));
    assert!(explain(&["SET", "k", "v", "NX"]).contains("; its effect goes to the others"));
    assert!(explain(&["EVAL", "return 1", "0"]).starts_with("`EVAL` cannot run on a copy: "));
    let first = copy.node_for("k").name().to_owned();
    assert_eq!(
        explain(&["GET", "k"]),
        format!("`GET` on a copy: to `{first}` first, chosen by `k`; to the next one if it is down")
    );
}

//! The change feed of one node: which keys changed there, as the server itself tells.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::Cmd;
use redis::Value;
use redisdb::Node;
use redisdb::NodeConfig;
use redisdb::commands::*;
use redisdb::node::ChangeFeed;
use redisdb::node::Changes;
use redisdb::node::ErrorKind;
use redisdb::node::UnknownChanges;
use redisdb_tests::DEADLINE;
use redisdb_tests::Events;
use redisdb_tests::Hostile;
use redisdb_tests::Release;
use redisdb_tests::Says;
use redisdb_tests::eventually;
use tracing::Level;
use xtask::Data;
use xtask::Server;

/// A server, a node of it whose changes are told, and another client.
async fn start() -> (Server, ChangeFeed, Node) {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let feed = node.changes().await.unwrap();
    let other = Node::connect(server.url()).await.unwrap();
    (server, feed, other)
}

async fn next(feed: &mut ChangeFeed) -> Changes {
    tokio::time::timeout(DEADLINE, feed.next()).await.expect("nothing comes")
}

async fn unknown(feed: &mut ChangeFeed) -> UnknownChanges {
    match next(feed).await {
        Changes::Unknown(why) => why,
        other => panic!("{other:?}"),
    }
}

/// The names of all changes that were made before, which are all known.
async fn names(feed: &mut ChangeFeed) -> BTreeSet<String> {
    feed.barrier().await.unwrap();
    let mut names = BTreeSet::new();
    while let Some(changes) = feed.try_next() {
        match changes {
            Changes::Keys(keys) => names.extend(keys.into_iter().map(|key| String::from_utf8(key).unwrap())),
            other => panic!("{other:?}"),
        }
    }
    names
}

async fn send(node: &Node, words: &[&str]) -> Value {
    node.send(Cmd::new().arg(words)).await.unwrap()
}

#[tokio::test]
async fn each_way_in_which_another_client_changes_a_key_is_told_and_a_read_is_not() {
    let (_server, mut feed, other) = start().await;
    let changed: [(&[&str], &[&str]); 9] = [
        (&["SET", "text", "v"], &["text"]),
        (&["HSET", "hash", "f", "v"], &["hash"]),
        (&["MSET", "a", "1", "b", "2"], &["a", "b"]),
        (&["EVAL", "redis.call('SET', 'by script', 1)", "0"], &["by script"]),
        (&["EXPIRE", "text", "100"], &["text"]),
        (&["RENAME", "a", "c"], &["a", "c"]),
        (&["SETRANGE", "text", "5", "w"], &["text"]),
        (&["DEL", "text", "none"], &["text"]),
        (&["GET", "b"], &[]),
    ];
    for (words, keys) in changed {
        send(&other, words).await;
        assert_eq!(names(&mut feed).await, keys.iter().map(|key| (*key).to_owned()).collect(), "{words:?}");
    }

    let block = other.pipeline().atomic();
    drop((block.incr("n"), block.rpush("list", &[1, 2])));
    block.execute().await.check().unwrap();
    assert_eq!(names(&mut feed).await, ["list", "n"].map(str::to_owned).into());

    let Value::BulkString(dump) = send(&other, &["DUMP", "list"]).await else { panic!() };
    other.send(redis::cmd("RESTORE").arg("restored").arg(0).arg(dump)).await.unwrap();
    assert_eq!(names(&mut feed).await, ["restored".to_owned()].into());

    // The node itself is a client as well.
    feed.node().clone().set("own", 1).await.unwrap();
    assert_eq!(names(&mut feed).await, ["own".to_owned()].into());
}

#[tokio::test]
async fn a_key_that_expires_or_is_evicted_is_told() {
    let (_server, mut feed, other) = start().await;
    send(&other, &["SET", "short", "v", "PX", "20"]).await;
    send(&other, &["SET", "long", "v"]).await;
    assert_eq!(names(&mut feed).await.len(), 2);
    // Nobody asks for it.
    eventually("it expires", async || names(&mut feed).await.contains("short")).await;

    send(&other, &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    send(&other, &["CONFIG", "SET", "maxmemory", "1"]).await;
    eventually("it is evicted", async || names(&mut feed).await.contains("long")).await;
    assert_eq!(other.dbsize().await.unwrap(), 0);
}

#[tokio::test]
async fn keys_of_all_databases_are_told() {
    let (server, mut feed, _other) = start().await;
    let third = Node::connect(format!("{}/3", server.url())).await.unwrap();
    third.set("there", 1).await.unwrap();
    assert_eq!(names(&mut feed).await, ["there".to_owned()].into());
    send(&third, &["FLUSHDB"]).await;
    assert_eq!(unknown(&mut feed).await, UnknownChanges::Flushed);
}

#[tokio::test]
async fn only_names_with_a_prefix_are_told_where_one_is_named() {
    let (server, mut all, other) = start().await;
    let node = Node::connect(server.url()).await.unwrap();
    let mut some = node.changes_under(&["user:", "cart:"]).await.unwrap();
    for key in ["user:1", "users", "cart:1", "order:1"] {
        other.set(key, 1).await.unwrap();
    }
    assert_eq!(names(&mut some).await, ["cart:1", "user:1"].map(str::to_owned).into());
    assert_eq!(names(&mut all).await.len(), 4);
    send(&other, &["FLUSHALL"]).await;
    assert_eq!(unknown(&mut some).await, UnknownChanges::Flushed);

    let nothing: [&str; 0] = [];
    let error = node.changes_under(&nothing).await.unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("changes()"), "{error}");
    let error = node.changes_under(&["user:", "user:1"]).await.unwrap_err();
    assert!(error.command() == "CLIENT TRACKING" && error.to_string().contains("overlap"), "{error}");
}

#[tokio::test]
async fn any_key_may_have_changed_after_a_flush_and_later_changes_are_told() {
    let (_server, mut feed, other) = start().await;
    for flush in ["FLUSHALL", "FLUSHDB"] {
        other.set("before", 1).await.unwrap();
        send(&other, &[flush]).await;
        other.set("after", 1).await.unwrap();
        feed.barrier().await.unwrap();
        assert_eq!(unknown(&mut feed).await, UnknownChanges::Flushed);
        assert_eq!(names(&mut feed).await, ["after".to_owned()].into());
    }
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_any_key_may_have_changed_meanwhile() {
    let (mut server, mut feed, other) = start().await;
    let of_process = async |feed: &mut ChangeFeed, key: &str| {
        eventually("it can be written", async || other.set(key, 1).await.is_ok()).await;
        assert_eq!(names(feed).await, [key.to_owned()].into());
        let node = feed.node();
        let process = node.process(node.incarnation());
        assert!(process.is_some());
        assert_eq!(feed.process(), process.as_deref());
        process
    };
    let first = of_process(&mut feed, "first").await;
    send(&other, &["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    assert_eq!(unknown(&mut feed).await, UnknownChanges::Gap);
    eventually("it can be asked", async || feed.barrier().await.is_ok()).await;
    assert_eq!(of_process(&mut feed, "again").await, first);

    server.kill();
    eventually("the loss is noticed", async || feed.barrier().await.is_err()).await;
    let error = feed.barrier().await.unwrap_err();
    assert!(error.is_connect() && error.is_not_sent(), "{error}");
    server.restart(Data::Lose).unwrap();
    assert_eq!(unknown(&mut feed).await, UnknownChanges::Gap);
    assert_ne!(feed.process(), first.as_deref());
    eventually("it can be asked", async || feed.barrier().await.is_ok()).await;
    assert_ne!(of_process(&mut feed, "restarted").await, first);
}

#[tokio::test]
async fn a_barrier_ends_in_an_error_when_the_connection_is_lost_meanwhile_or_the_server_hangs() {
    for n_answered in 0..2 {
        let pings = AtomicU64::new(0);
        let (_server, mut feed) = scripted(move |word| match word {
            "PING" if pings.fetch_add(1, Ordering::SeqCst) == n_answered => Says::ThisAndEnds(Vec::new()),
            "PING" => Says::Usual,
            _ => Says::This(b"+OK\r\n".to_vec()),
        })
        .await;
        let error = feed.barrier().await.unwrap_err();
        assert!(error.command() == "PING" && error.may_have_executed(), "{error}");
        assert_eq!(unknown(&mut feed).await, UnknownChanges::Gap);
        eventually("it can be asked", async || feed.barrier().await.is_ok()).await;
    }

    let (server, feed, _other) = start().await;
    server.pause();
    let error = feed.barrier().await.unwrap_err();
    server.resume();
    assert!(error.is_timeout(), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_before_a_barrier_is_missing_after_it() {
    let (_server, mut feed, other) = start().await;
    for i in 0..300 {
        let key = format!("key:{i}");
        other.set(&key, i).await.unwrap();
        assert!(names(&mut feed).await.contains(&key), "{key}");
    }
}

const SUBSCRIBED: &[u8] = b">3\r\n$9\r\nsubscribe\r\n$17\r\n__redisdb:changes\r\n:1\r\n";

/// A server that answers to the commands of a feed, and a feed of it. The rule says what to do with `CLIENT TRACKING` and
/// `PING`.
async fn scripted(rule: impl Fn(&str) -> Says + Send + Sync + 'static) -> (Hostile, ChangeFeed) {
    let server = Hostile::with(move |words| {
        let words: Vec<String> = words.iter().map(|word| word.to_uppercase()).collect();
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["SUBSCRIBE", ..] => Says::This(SUBSCRIBED.to_vec()),
            ["CLIENT", "TRACKING", ..] => rule("TRACKING"),
            ["PING"] => rule("PING"),
            _ => Says::Usual,
        }
    })
    .await;
    let config = NodeConfig::new(&server.url()).unwrap().with_probe_interval(Duration::ZERO);
    let feed = Node::connect(config).await.unwrap().changes().await.unwrap();
    (server, feed)
}

/// A real server does so when it reads a write and the barrier in one turn.
#[tokio::test]
async fn a_name_that_the_server_tells_after_its_first_reply_is_there_after_the_barrier() {
    let pings = AtomicU64::new(0);
    let (_server, mut feed) = scripted(move |word| match word {
        "PING" if pings.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) => Says::Usual,
        "PING" => Says::This(b">2\r\n$10\r\ninvalidate\r\n*1\r\n$4\r\nlate\r\n+PONG\r\n".to_vec()),
        _ => {
            pings.store(0, Ordering::SeqCst);
            Says::This(b"+OK\r\n".to_vec())
        }
    })
    .await;
    assert_eq!(names(&mut feed).await, ["late".to_owned()].into());
}

/// A real server does so when a key changes between two commands of the feed.
#[tokio::test]
async fn a_change_that_a_new_connection_tells_before_it_is_set_up_is_of_before_the_gap() {
    let (_server, mut feed) = scripted(|word| match word {
        "PING" => Says::ThisAndEnds(Vec::new()),
        _ => Says::This(b"+OK\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$5\r\nearly\r\n".to_vec()),
    })
    .await;
    for _ in 0..2 {
        assert!(feed.try_next().is_none());
        feed.barrier().await.unwrap_err();
        assert_eq!(unknown(&mut feed).await, UnknownChanges::Gap);
    }
}

#[tokio::test]
async fn a_slow_reader_is_told_that_any_key_may_have_changed_and_costs_bounded_memory() {
    let (_server, mut feed, other) = start().await;
    let large = "x".repeat(64 << 10);
    // 75 MiB of names, in parts that the server does not end the connection for.
    for part in 0..12 {
        let script = "for i = 1, 100 do redis.call('SET', ARGV[1] .. ARGV[2] .. '.' .. i, '') end";
        send(&other, &["EVAL", script, "0", &large, &part.to_string()]).await;
        feed.barrier().await.unwrap();
    }
    other.set("last", 1).await.unwrap();
    feed.barrier().await.unwrap();
    assert_eq!(unknown(&mut feed).await, UnknownChanges::Overflow);
    let names = names(&mut feed).await;
    assert!(names.contains("last") && names.len() < 1200, "{}", names.len());
    assert!(feed.try_next().is_none());
}

#[tokio::test]
async fn a_server_that_has_more_to_tell_than_it_may_keep_ends_the_connection_and_that_is_a_gap() {
    let (_server, mut feed, other) = start().await;
    send(&other, &["CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 1mb 1"]).await;
    let script = "for i = 1, 100 do redis.call('SET', ARGV[1] .. i, '') end";
    send(&other, &["EVAL", script, "0", &"x".repeat(64 << 10)]).await;
    assert_eq!(unknown(&mut feed).await, UnknownChanges::Gap);
    eventually("it can be asked", async || feed.barrier().await.is_ok()).await;
    other.set("after", 1).await.unwrap();
    assert_eq!(names(&mut feed).await, ["after".to_owned()].into());
}

/// A user who may do everything but this.
async fn denied(all: &Node, rules: &[&str]) {
    let user = ["ACL", "SETUSER", "app", "reset", "on", ">pw", "~*", "&*", "+@all"];
    all.send(Cmd::new().arg(&user).arg(rules)).await.unwrap();
}

#[tokio::test]
async fn who_may_not_track_or_subscribe_is_told_so_with_the_line_that_mends_it() {
    let server = Server::start().unwrap();
    let all = Node::connect(server.url()).await.unwrap();
    for (rule, command) in
        [("-client", "CLIENT TRACKING"), ("-subscribe", "SUBSCRIBE"), ("resetchannels", "SUBSCRIBE")]
    {
        let (warnings, _listening) = Events::listen("redisdb_node::sessions", Level::WARN);
        denied(&all, &[rule]).await;
        let node = Node::connect(server.url().replace("redis://", "redis://app:pw@")).await.unwrap();
        let error = node.changes().await.unwrap_err();
        assert_eq!((error.command(), error.code()), (command, Some("NOPERM")), "{rule}");
        assert!(!error.may_have_executed());
        let told = warnings.lines();
        let [line] = told.as_slice() else { panic!("{rule}: {told:?}") };
        let (_, mends) = line.split_once("`ACL ").unwrap_or_else(|| panic!("{rule}: {line}"));
        let mends: Vec<&str> = mends.split('`').next().unwrap().split(' ').collect();
        all.send(redis::cmd("ACL").arg(&mends)).await.unwrap();
        node.changes().await.unwrap();
    }
    let server = Server::builder().args(["--rename-command", "CLIENT", ""]).start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let error = node.changes().await.unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("Redis 6.0"), "{error}");
    let server = Server::builder().args(["--rename-command", "HELLO", ""]).start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let error = node.changes().await.unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("RESP3"), "{error}");
}

#[tokio::test]
async fn a_permission_that_is_taken_away_is_told_once_and_the_feed_goes_on_when_it_is_back() {
    let (warnings, _listening) = Events::listen("redisdb_node::sessions", Level::WARN);
    let server = Server::start().unwrap();
    let all = Node::connect(server.url()).await.unwrap();
    denied(&all, &[]).await;
    let node = Node::connect(server.url().replace("redis://", "redis://app:pw@")).await.unwrap();
    let mut feed = node.changes().await.unwrap();
    send(&all, &["ACL", "SETUSER", "app", "-client"]).await;
    send(&all, &["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    match next(&mut feed).await {
        Changes::Refused(error) => {
            assert_eq!((error.command(), error.code()), ("CLIENT TRACKING", Some("NOPERM")));
        }
        other => panic!("{other:?}"),
    }
    let n_connections = async || {
        let info = all.info().await.unwrap();
        info.parse::<u64>("stats", "total_connections_received").unwrap()
    };
    let before = n_connections().await;
    eventually("it is tried again and again", async || n_connections().await >= before + 3).await;
    assert!(feed.try_next().is_none());
    let error = feed.barrier().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Down { cause } if matches!(**cause, ErrorKind::Server(_))));
    let told = warnings.lines();
    assert_eq!(told.iter().filter(|line| line.contains("NOPERM")).count(), 1, "{told:?}");

    send(&all, &["ACL", "SETUSER", "app", "+client"]).await;
    assert_eq!(unknown(&mut feed).await, UnknownChanges::Gap);
    eventually("it can be asked", async || feed.barrier().await.is_ok()).await;
    all.set("after", 1).await.unwrap();
    assert_eq!(names(&mut feed).await, ["after".to_owned()].into());
}

#[tokio::test]
async fn a_key_that_the_user_may_not_read_is_told_by_servers_before_redis_8_10_alone() {
    let server = Server::start().unwrap();
    let all = Node::connect(server.url()).await.unwrap();
    denied(&all, &["resetkeys", "~app:*"]).await;
    let node = Node::connect(server.url().replace("redis://", "redis://app:pw@")).await.unwrap();
    let mut feed = node.changes().await.unwrap();
    send(&all, &["MSET", "app:1", "1", "secret", "1"]).await;
    let hides = Release::at(&all).await.has([Some((8, 10, 0)), None]);
    let told = if hides { vec!["app:1"] } else { vec!["app:1", "secret"] };
    assert_eq!(names(&mut feed).await, told.into_iter().map(str::to_owned).collect());
}

#[tokio::test]
async fn a_feed_that_is_dropped_closes_its_connection() {
    let (_server, feed, other) = start().await;
    let clients = async || other.info().await.unwrap().parse::<u64>("clients", "connected_clients").unwrap();
    let (node, before) = (feed.node().clone(), clients().await);
    assert_eq!(before, 3);
    drop(feed);
    eventually("its connection is closed", async || clients().await == 2).await;
    assert!(node.is_connected());
}

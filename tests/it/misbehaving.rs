//! Servers that do what no server should: they hang up, never come to an end, pay no heed, and repeat what they were told.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use futures_util::StreamExt;
use redis::ExpireOption;
use redisdb::Node;
use redisdb::NodeConfig;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::cache::Cache;
use redisdb::commands::*;
use redisdb::node::ErrorKind;
use redisdb::node::PubSubEvent;
use redisdb::node::RunScript;
use redisdb::node::Scan;
use redisdb::node::ScanOptions;
use redisdb::node::Script;
use redisdb_tests::Events;
use redisdb_tests::Hostile;
use redisdb_tests::Says;
use redisdb_tests::eventually;
use tracing::Level;
use xtask::Server;
use xtask::Servers;

fn is(words: &[String], name: &str) -> bool {
    words.first().is_some_and(|word| word.eq_ignore_ascii_case(name))
}

#[tokio::test]
async fn a_server_that_hangs_up_after_the_handshake_is_left_alone() {
    let server = Hostile::with(|words| match is(words, "CLIENT") {
        // The last question of a node that has just connected: it has no connection to end that it knows the number of.
        true => Says::ThisAndEnds(b"-NOPERM this user has no permissions\r\n".to_vec()),
        false => Says::Usual,
    })
    .await;
    let node = Node::new(NodeConfig::new(&server.url()).unwrap());
    // Whoever connects is told of a connection, or of its end.
    let _told = node.ping().await;
    eventually("it is left alone", async || node.is_down()).await;
    assert!(server.n_connections() <= 5, "{} connections", server.n_connections());
    let error = node.get::<u8>("k").await.unwrap_err();
    assert!(error.is_not_sent() && error.is_connect(), "{error}");
}

#[tokio::test]
async fn a_subscription_that_is_ended_again_and_again_is_made_anew_after_growing_pauses() {
    let (warnings, _listening) = Events::listen("redisdb_node::sessions::listener", Level::WARN);
    let server = Hostile::with(|words| match is(words, "SUBSCRIBE") {
        true => Says::ThisAndEnds(b">3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n".to_vec()),
        false => Says::Usual,
    })
    .await;
    let node = Node::new(NodeConfig::new(&server.url()).unwrap());
    let mut news = node.subscribe("news").await.unwrap();
    assert!(matches!(news.next().await, PubSubEvent::Gap { .. }));
    let first = Instant::now();
    assert!(matches!(news.next().await, PubSubEvent::Gap { .. }));
    // A second, up to a fifth less.
    assert!(first.elapsed() >= Duration::from_millis(800), "{:?}", first.elapsed());
    assert!(server.n_connections() <= 4, "{} connections", server.n_connections());
    assert!(warnings.lines().len() <= 4, "{:?}", warnings.lines());
}

#[tokio::test]
async fn a_sentinel_that_names_twenty_thousand_others_has_few_of_them_asked() {
    let master = Server::start().unwrap();
    let port = master.port();
    let sentinel = Hostile::with(move |words| {
        let of = |words: &[&str]| -> Vec<u8> {
            let word = |word: &&str| format!("${}\r\n{word}\r\n", word.len());
            format!("*{}\r\n{}", words.len(), words.iter().map(word).collect::<String>()).into_bytes()
        };
        match words.get(1).map(|word| word.to_uppercase()).as_deref() {
            Some("GET-MASTER-ADDR-BY-NAME") => Says::This(of(&["127.0.0.1", &port.to_string()])),
            Some("SENTINELS") => {
                let mut reply = b"*20000\r\n".to_vec();
                for port in 1..=20_000 {
                    reply.extend(of(&["ip", "127.0.0.1", "port", &port.to_string()]));
                }
                Says::This(reply)
            }
            _ => Says::Usual,
        }
    })
    .await;
    let url = format!("redis+sentinel://127.0.0.1:{}/my", sentinel.port());
    // Twenty thousand names take a busy machine a while to read.
    let config = NodeConfig::new(&url).unwrap().with_connect_timeout(Duration::from_secs(20));
    let node = Node::connect(config.clone()).await.unwrap();
    node.set("k", 1).await.unwrap();
    // Those that are remembered are all that were asked.
    let remembered = format!("{config:?}").matches("127.0.0.1").count();
    assert!((2..=40).contains(&remembered), "{remembered}");
}

#[tokio::test]
async fn keys_that_never_end_are_an_error() {
    let server = Hostile::with(|words| match words[0].ends_with("SCAN") {
        true => Says::This(b"*2\r\n$1\r\n5\r\n*2\r\n$1\r\nk\r\n$1\r\n1\r\n".to_vec()),
        false => Says::Usual,
    })
    .await;
    let node = Node::connect(server.url()).await.unwrap();
    let mut keys = node.scan_iter::<String>(ScanOptions::new()).take(100).collect::<Vec<_>>().await;
    let error = keys.pop().unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Reply(_)), "{error:?}");
    let fields = node.hscan_iter::<String, u8>("h", ScanOptions::new()).take(100);
    let error = fields.collect::<Vec<_>>().await.pop().unwrap().unwrap_err();
    assert!(error.to_string().contains("never end"), "{error}");
    // Also where the keys are gone through to delete them.
    let cache = Cache::builder(node).prefix("shop").build().unwrap();
    assert!(cache.clear().await.is_err());
}

/// A copy of two such servers, which are different processes.
async fn copy_of(
    rule: impl Fn(&[String]) -> Says + Clone + Send + Sync + 'static,
) -> (RedisCopy, Vec<Hostile>) {
    let mut servers = Vec::new();
    for info in ["$8\r\nrun_id:a\r\n", "$8\r\nrun_id:b\r\n"] {
        let rule = rule.clone();
        let rule = move |words: &[String]| match is(words, "INFO") {
            true => Says::This(info.as_bytes().to_vec()),
            false => rule(words),
        };
        servers.push(Hostile::with(rule).await);
    }
    let [a, b] = [servers[0].url(), servers[1].url()];
    (RedisCopy::builder().node("a", &a).node("b", &b).connect().await.unwrap(), servers)
}

#[tokio::test]
async fn elements_that_never_end_are_an_error() {
    // Of a value that is too large to be read whole.
    let (copy, _servers) = copy_of(|words| {
        Says::This(match words[0].as_str() {
            "SCAN" => b"*2\r\n$1\r\n0\r\n*1\r\n$1\r\nh\r\n".to_vec(),
            "MEMORY" => b":99999999999\r\n".to_vec(),
            "EXISTS" => b":1\r\n".to_vec(),
            "PTTL" => b":-1\r\n".to_vec(),
            "TYPE" => b"+hash\r\n".to_vec(),
            "DBSIZE" | "HLEN" => b":1\r\n".to_vec(),
            "HPEXPIRETIME" => b"*1\r\n:-1\r\n".to_vec(),
            "HSCAN" => b"*2\r\n$1\r\n5\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n".to_vec(),
            _ => return Says::Usual,
        })
    })
    .await;
    let verified = tokio::time::timeout(Duration::from_secs(20), copy.verify().run()).await;
    let error = verified.expect("it comes to an end").unwrap_err();
    assert!(error.to_string().contains("never end"), "{error}");
}

#[tokio::test]
async fn a_value_whose_parts_never_end_is_read_up_to_its_length_or_is_an_error() {
    let large = |len: usize| format!("${len}\r\n{}\r\n", "v".repeat(len));
    // The same part again and again, and a part of more than was asked for.
    let one = "*1\r\n$1\r\nv\r\n".to_owned();
    let pair = "*2\r\n$1\r\nv\r\n$1\r\n1\r\n".to_owned();
    let entry = "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n".to_owned();
    let many = |n: usize| format!("*{n}\r\n{}", "$1\r\nv\r\n".repeat(n));
    for (kind, part, said) in [
        ("string", large(1 << 20), None),
        ("string", large((1 << 20) + 1), Some("more elements")),
        ("list", one, None),
        ("list", many(600), Some("more elements")),
        ("zset", pair, None),
        ("zset", many(1200), Some("more elements")),
        ("stream", entry, Some("gave before")),
    ] {
        let (copy, _servers) = copy_of(move |words| {
            Says::This(match words[0].as_str() {
                "SCAN" => b"*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n".to_vec(),
                "MEMORY" => b":99999999999\r\n".to_vec(),
                "EXISTS" | "DBSIZE" => b":1\r\n".to_vec(),
                "PTTL" => b":-1\r\n".to_vec(),
                "TYPE" => format!("+{kind}\r\n").into_bytes(),
                "LLEN" | "ZCARD" | "XLEN" => b":9\r\n".to_vec(),
                "STRLEN" => b":9000000\r\n".to_vec(),
                "GETRANGE" | "LRANGE" | "ZRANGE" | "XRANGE" => part.clone().into_bytes(),
                _ => return Says::Usual,
            })
        })
        .await;
        let verified = tokio::time::timeout(Duration::from_secs(60), copy.verify().run()).await;
        let verified = verified.unwrap_or_else(|_| panic!("a {kind} comes to no end"));
        match said {
            None => assert_eq!(verified.unwrap().differences, [], "{kind}"),
            Some(said) => {
                let error = verified.unwrap_err();
                assert!(error.to_string().contains(said), "{kind}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn a_reply_for_fewer_fields_than_were_named_is_an_error() {
    let (copy, _servers) = copy_of(|words| match is(words, "HPEXPIREAT") {
        true => Says::This(b"*1\r\n:1\r\n".to_vec()),
        false => Says::Usual,
    })
    .await;
    let minute = Duration::from_secs(60);
    let error = copy.hexpire_with("h", minute, ExpireOption::NX, &["f", "g"]).await.unwrap_err();
    assert!(error.to_string().contains("1 elements for 2"), "{error}");
    assert!(error.may_have_executed(), "{error}");
}

#[tokio::test]
async fn a_server_that_pays_no_heed_to_a_pattern_has_nothing_else_deleted() {
    let deleted = Arc::<Mutex<Vec<String>>>::default();
    let log = Arc::clone(&deleted);
    let server = Hostile::with(move |words| {
        if is(words, "SCAN") {
            let keys = ["shop:1:user:7", "shop:2:user:7", "shop:1:order:7", "other:1:user:7"];
            let keys: String = keys.iter().map(|key| format!("${}\r\n{key}\r\n", key.len())).collect();
            return Says::This(format!("*2\r\n$1\r\n0\r\n*4\r\n{keys}").into_bytes());
        }
        if is(words, "UNLINK") {
            log.lock().unwrap().extend_from_slice(&words[1..]);
            return Says::This(format!(":{}\r\n", words.len() - 1).into_bytes());
        }
        Says::Usual
    })
    .await;
    let node = Node::connect(server.url()).await.unwrap();
    let cache = Cache::builder(node).prefix("shop").version(1).build().unwrap();
    let keys: Vec<String> = cache.keys("user:*").map(|key| key.unwrap().to_string()).collect().await;
    assert_eq!(keys, ["user:7"]);
    assert_eq!(cache.delete_pattern("user:*").await.unwrap().n_deleted, 1);
    assert_eq!(std::mem::take(&mut *deleted.lock().unwrap()), ["shop:1:user:7"]);
    assert_eq!(cache.clear().await.unwrap().n_deleted, 3);
    assert_eq!(*deleted.lock().unwrap(), ["shop:1:user:7", "shop:2:user:7", "shop:1:order:7"]);
}

#[tokio::test]
async fn a_password_that_a_server_repeats_is_shown_nowhere() {
    let (warnings, _listening) = Events::listen("redisdb", Level::WARN);
    for said in [
        "ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `default`, `hunter2`, ",
        "ERR unknown command 'hello', with args beginning with: '3' 'AUTH' 'default' 'hunter2' ",
        "ERR what is hunter2?",
        "WRONGPASS hunter2 is not the password",
        "hunter2",
    ] {
        let server = Hostile::with(move |words| match is(words, "HELLO") {
            true => Says::This(format!("-{said}\r\n").into_bytes()),
            false => Says::Usual,
        })
        .await;
        let url = format!("redis://:hunter2@127.0.0.1:{}", server.port());
        let node = Node::connect(url.as_str()).await.unwrap();
        let error = node.subscribe("news").await.unwrap_err();
        let ring = RedisRing::builder().node("a", &url).connect().await.unwrap();
        let told = ring.subscribe("news").await.unwrap_err();
        for shown in [format!("{error} {error:?}"), format!("{told} {told:?}"), warnings.lines().concat()] {
            assert!(!shown.contains("hunter2"), "{said}: {shown}");
        }
    }
    assert!(!warnings.lines().is_empty());
    // Of a real server, what answers a command with a password in it.
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let rules = redis::cmd("ACL").arg("SETUSER").arg("ann").arg(">hunter2 +@all").arg("hunter2").to_owned();
    let error = node.send(&rules).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}

/// A server that answers each command that somebody calls with the password, in one way or another.
async fn who_says(said: &'static str, run_id: &'static str) -> Hostile {
    Hostile::with(move |words| match words[0].to_uppercase().as_str() {
        "INFO" => Says::This(format!("$8\r\nrun_id:{run_id}\r\n").into_bytes()),
        "HELLO" | "AUTH" | "CLIENT" | "SELECT" | "PING" => Says::Usual,
        _ => Says::This(format!("{said}\r\n").into_bytes()),
    })
    .await
}

#[tokio::test]
async fn a_password_that_a_server_says_in_answer_to_a_later_command_is_shown_in_no_way() {
    let (events, _listening) = Events::listen("redisdb", Level::DEBUG);
    for said in [
        "-ERR what is hunter2?",
        "-hunter2",
        "-NOPERM run the 'hunter2' command",
        "-LOADING hunter2",
        ":hunter2",
    ] {
        let servers = [who_says(said, "a").await, who_says(said, "b").await];
        let urls = servers.each_ref().map(|server| format!("redis://:hunter2@127.0.0.1:{}", server.port()));
        let node = Node::connect(urls[0].as_str()).await.unwrap();
        let ring = RedisRing::builder().node("a", &urls[0]).node("b", &urls[1]).connect().await.unwrap();
        let copy = RedisCopy::builder().node("a", &urls[0]).node("b", &urls[1]).connect().await.unwrap();
        let mut shown = Vec::new();
        let mut told = |error: &dyn std::error::Error| shown.push(format!("{error} {error:?}"));
        told(&node.get::<String>("k").await.unwrap_err());
        told(&node.send(redis::cmd("GET").arg("k")).await.unwrap_err());
        told(&node.set("k", "v").await.unwrap_err());
        for pipeline in [node.pipeline(), node.pipeline().atomic()] {
            let promise = pipeline.get::<String>("k");
            told(&pipeline.execute().await.check().unwrap_err());
            told(&promise.await.unwrap_err());
        }
        told(
            &node
                .transaction("k", |transaction| async move { transaction.get::<u8>("k").await })
                .await
                .unwrap_err(),
        );
        told(&node.dedicated().await.unwrap().get::<u8>("k").await.unwrap_err());
        told(&node.invoke::<i64>(&Script::new("return 1").key("k")).await.unwrap_err());
        told(&node.scan_iter::<String>(ScanOptions::new()).next().await.unwrap().unwrap_err());
        told(&node.subscribe("news").await.unwrap_err());
        told(&ring.get::<String>("k").await.unwrap_err());
        told(&ring.mget::<String>(&["k", "l", "m", "n"]).await.unwrap_err());
        told(&ring.subscribe("news").await.unwrap_err());
        told(&redis::RedisError::from(ring.get::<String>("k").await.unwrap_err()));
        told(&copy.get::<String>("k").await.unwrap_err());
        told(&copy.set("k", "v").await.unwrap_err());
        told(&copy.verify().run().await.unwrap_err());
        let cache = Cache::builder(node).prefix("shop").build().unwrap();
        told(&cache.get::<String>("k").await.unwrap_err());
        told(&cache.set("k", "v").await.unwrap_err());
        shown.push(events.lines().concat());
        for shown in shown {
            assert!(!shown.contains("hunter2"), "{said}: {shown}");
        }
    }
    assert!(!events.lines().is_empty());
}

#[tokio::test]
async fn a_reply_of_another_type_is_not_quoted() {
    let servers = Servers::start(2).unwrap();
    let urls = servers.urls();
    let node = Node::connect(urls[0].as_str()).await.unwrap();
    let ring = RedisRing::builder().node("a", &urls[0]).connect().await.unwrap();
    let copy = RedisCopy::builder().node("a", &urls[0]).node("b", &urls[1]).connect().await.unwrap();
    let token = "hunter2".repeat(100_000);
    _ = copy.set("k", &token).await.unwrap();
    _ = copy.rpush("l", &[&token, &token]).await.unwrap();
    let shown = [
        format!("{0} {0:?}", node.get::<u8>("k").await.unwrap_err()),
        format!("{0} {0:?}", node.lrange::<u8>("l", 0, -1).await.unwrap_err()),
        format!("{0} {0:?}", ring.get::<u8>("k").await.unwrap_err()),
        format!("{0} {0:?}", ring.mget::<u8>(&["k", "l"]).await.unwrap_err()),
        format!("{0} {0:?}", copy.get::<u8>("k").await.unwrap_err()),
    ];
    for shown in shown {
        assert!(!shown.contains("hunter2") && shown.len() < 500, "{shown:.500}");
        assert!(shown.contains("cannot be read as"), "{shown}");
    }
}

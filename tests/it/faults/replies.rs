//! Servers that say more than anybody can hold, or what no server says.

use std::time::Duration;
use std::time::Instant;

use redisdb::Node;
use redisdb::NodeConfig;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::node::BlockingCommands;
use redisdb::node::Error;
use redisdb::node::ErrorKind;
use redisdb::node::Execute;
use redisdb::node::KeyCommands;
use redisdb::node::ListCommands;
use redisdb::node::ServerCommands;
use redisdb::node::StringCommands;
use redisdb_tests::Hostile;
use redisdb_tests::NAMES;
use redisdb_tests::eventually;
use redisdb_tests::measured;
use xtask::Servers;

use super::limits::in_child;
use super::limits::urls;

const MIB: usize = 1 << 20;
/// The number of bytes that a reply may take here.
const LIMIT: usize = 32 * MIB;
/// The memory that may be held of a reply that is refused, and of one that just fits, in MiB.
const SLACK: u64 = 12;
const WHOLE: u64 = 2 * (LIMIT / MIB) as u64 + SLACK;
const PATIENT: Duration = Duration::from_secs(20);

fn config(url: &str) -> NodeConfig {
    NodeConfig::new(url).unwrap().with_max_reply(LIMIT).with_response_timeout(PATIENT)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_is_too_large_fails_before_it_takes_memory() {
    let Some(urls) = urls() else { return in_child(&Servers::start(3).unwrap(), 256) };
    let node = Node::connect(config(&urls[0])).await.unwrap();
    // The server makes them: here they would take memory.
    let fill = "for i = 1, 200000 do redis.call('RPUSH', KEYS[1], i) end redis.call('SETRANGE', KEYS[2], ARGV[1], 'x')";
    let fill = redis::cmd("EVAL").arg(fill).arg(2).arg("list").arg("big").arg(LIMIT).take();
    node.send(&fill).await.unwrap();
    node.setrange("fits", (LIMIT - 2) as u64, "x").await.unwrap();
    node.set("small", "v").await.unwrap();

    let found =
        measured("a string of 32 MiB, the limit", WHOLE, async || node.get::<Vec<u8>>("fits").await).await;
    assert_eq!(found.unwrap().map(|value| value.len()), Some(LIMIT - 1));

    let error =
        measured("a string above it", SLACK, async || node.get::<Vec<u8>>("big").await.unwrap_err()).await;
    assert!(matches!(error.kind(), ErrorKind::ReplyTooLarge { limit: LIMIT }), "{error}");
    assert!(error.may_have_executed());

    // Five bytes each, and what an element takes.
    let list = measured("200,000 elements", WHOLE, async || node.lrange::<u32>("list", 0, -1).await).await;
    assert_eq!(list.unwrap().len(), 200_000);
    let more = redis::cmd("EVAL")
        .arg("for i = 1, 600000 do redis.call('RPUSH', KEYS[1], i) end")
        .arg(1)
        .arg("list")
        .take();
    node.send(&more).await.unwrap();
    let error = measured("800,000 elements, above the limit", SLACK, async || {
        node.lrange::<u32>("list", 0, -1).await.unwrap_err()
    })
    .await;
    assert!(matches!(error.kind(), ErrorKind::ReplyTooLarge { .. }), "{error}");

    // In a pipeline too, whose other replies are within the limit.
    let pipeline = node.pipeline();
    let (small, _big) = (pipeline.get::<String>("small"), pipeline.get::<Vec<u8>>("big"));
    let _each_reply_tells = pipeline.execute().await;
    let error = small.await.unwrap_err();
    assert!(error.to_string().contains("max_reply"), "{error}");

    // It was nobody's fault: the server is not left alone, however often.
    for _ in 0..5 {
        node.get::<Vec<u8>>("big").await.unwrap_err();
        assert!(!node.is_down());
        assert_eq!(node.get::<String>("small").await.unwrap().as_deref(), Some("v"));
    }
    assert_eq!(node.incarnation(), 0);
    others_are_spared(&node).await;
    on_connections_of_ones_own(&node).await;
    on_a_ring_and_a_copy(&urls).await;
}

/// Reads that share the connection are asked again, and nobody is told of a reply that is not his.
async fn others_are_spared(node: &Node) {
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let node = node.clone();
            tokio::spawn(async move {
                for i in 0..20 {
                    if task == 0 && i == 10 {
                        let error = node.get::<Vec<u8>>("big").await.unwrap_err();
                        assert!(matches!(error.kind(), ErrorKind::ReplyTooLarge { .. }), "{error}");
                    } else {
                        assert_eq!(node.get::<String>("small").await.unwrap().as_deref(), Some("v"));
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Checks the connections on which something is waited for, or watched.
async fn on_connections_of_ones_own(node: &Node) {
    let is_too_large = |error: &Error| {
        assert!(matches!(error.kind(), ErrorKind::ReplyTooLarge { limit: LIMIT }), "{error}");
        assert!(error.may_have_executed());
    };
    let owned = node.dedicated().await.unwrap();
    let error = measured("a string above it, on a dedicated connection", SLACK, async || {
        owned.get::<Vec<u8>>("big").await.unwrap_err()
    })
    .await;
    is_too_large(&error);
    assert!(owned.get::<String>("small").await.unwrap_err().is_not_sent());

    let fill = redis::cmd("EVAL")
        .arg("redis.call('RPUSH', KEYS[1], redis.call('GET', KEYS[2]))")
        .arg(&["2", "queue", "big"])
        .take();
    node.send(&fill).await.unwrap();
    let error = measured("an element above it, waited for", SLACK, async || {
        node.blpop::<String, Vec<u8>>("queue", PATIENT).await.unwrap_err()
    })
    .await;
    is_too_large(&error);

    let watched = node.transaction("small", |watching| async move {
        let queue = watching.queue();
        let (_small, big) = (queue.get::<String>("small"), queue.get::<Vec<u8>>("big"));
        let _each_reply_tells = queue.execute().await;
        big.await
    });
    let error = measured("a block with a string above it", SLACK, async || watched.await.unwrap_err()).await;
    is_too_large(&error);
    assert!(!node.is_down());
    assert_eq!(node.dedicated().await.unwrap().get::<String>("small").await.unwrap().as_deref(), Some("v"));
}

async fn on_a_ring_and_a_copy(urls: &[String]) {
    let nodes = || NAMES.iter().zip(urls);
    let ring = nodes()
        .fold(RedisRing::builder(), |ring, (name, url)| ring.node_config(config(url).with_name(*name)));
    too_large(&ring.connect().await.unwrap()).await;
    let copy = nodes()
        .fold(RedisCopy::builder(), |copy, (name, url)| copy.node_config(config(url).with_name(*name)));
    too_large(&copy.connect().await.unwrap()).await;
}

async fn too_large(store: &impl Execute) {
    store.flushall().await.unwrap();
    store.setrange("large", LIMIT as u64, "x").await.unwrap();
    let error = store.get::<Vec<u8>>("large").await.map(drop).unwrap_err();
    assert!(error.to_string().contains("max_reply"), "{error}");
    assert_eq!(store.strlen("large").await.unwrap(), LIMIT as u64 + 1);
    store.unlink(&["large"]).await.unwrap();
}

/// A reply that comes bit by bit reaches the limit, or before that the timeout, which in the end takes the connection from others.
const OF_STREAMS: [&str; 3] = ["ReplyTooLarge", "Timeout", "Disconnected"];

type Flaw = (&'static str, &'static [u8], &'static [u8], &'static [&'static str]);

/// The answer of a hostile server to a `GET`: how it is called, how it begins, how it goes on for ever, and what calls
/// may fail with.
const FLAWS: [Flaw; 11] = [
    ("noise", b"\x00\xff\xfe?", b"\x17\x80\r\n", &["Disconnected"]),
    ("another protocol", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", &["Disconnected"]),
    ("no number", b"$seven\r\n", b"", &["Disconnected"]),
    ("a flood of pushes", b"", b">2\r\n+invalidate\r\n*1\r\n+k\r\n", &["Timeout"]),
    ("a flood of attributes", b"", b"|1\r\n+k\r\n+v\r\n", &["ReplyTooLarge", "Disconnected"]),
    ("nesting without end", b"", b"*1\r\n", &["ReplyTooLarge", "Disconnected"]),
    ("elements without end", b"*2000000000\r\n", b":1\r\n", &["ReplyTooLarge"]),
    (
        "elements as many as are within the limit",
        b"*400000\r\n",
        b"*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n",
        &OF_STREAMS,
    ),
    ("a line without end", b"+", b"x", &OF_STREAMS),
    ("a string without end", b"$9000000000000000000\r\n", b"x", &OF_STREAMS),
    ("a text of negative length", b"=-5\r\n", b"x", &OF_STREAMS),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_server_gets_neither_memory_nor_time() {
    if urls().is_none() {
        return in_child(&Servers::start(1).unwrap(), 256);
    }
    const TIMEOUT: Duration = Duration::from_millis(400);
    let server = Hostile::start().await;
    for (flaw, first, then, kinds) in FLAWS {
        // A node of its own, for a server that comes and goes is left alone longer and longer.
        let config = config(&server.url()).with_response_timeout(TIMEOUT).with_connect_timeout(TIMEOUT);
        let node = Node::new(config);
        eventually("it is let in", async || node.get::<String>("k").await.is_ok_and(|found| found.is_none()))
            .await;
        server.answers(first, then);
        let hurt = async || {
            let mut found = Vec::new();
            for _ in 0..6 {
                let start = Instant::now();
                let error = node.get::<String>("k").await.unwrap_err();
                assert!(start.elapsed() < Duration::from_secs(5), "{flaw}: {:?}", start.elapsed());
                // Three in a row, and it is left alone.
                if !error.is_not_sent() {
                    found.push(format!("{:?}", error.kind()));
                }
            }
            found
        };
        let found = measured(flaw, WHOLE, hurt).await;
        println!(
            "{flaw}: {}",
            found.iter().map(|kind| kind.chars().take(80).collect()).collect::<Vec<String>>().join("; ")
        );
        let is = |found: &String, kinds: &[&str]| kinds.iter().any(|kind| found.starts_with(kind));
        // On a busy machine anything may come too late.
        assert!(found.iter().any(|found| is(found, kinds)), "{flaw}: {found:?}");
        assert!(found.iter().all(|found| is(found, kinds) || is(found, &["Timeout"])), "{flaw}: {found:?}");
        server.is_well();
        eventually("it is used again", async || {
            node.get::<String>("k").await.is_ok_and(|found| found.is_none())
        })
        .await;
        // The same on a connection of its own.
        let owned = node.dedicated().await.unwrap();
        server.answers(first, then);
        let found = measured(&format!("{flaw}, on a dedicated connection"), WHOLE, async || {
            format!("{:?}", owned.get::<String>("k").await.unwrap_err().kind())
        })
        .await;
        assert!(is(&found, kinds) || is(&found, &["Timeout"]), "{flaw}: {found}");
        server.is_well();
    }
}

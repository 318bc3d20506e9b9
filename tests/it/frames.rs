//! Replies as frames: the bytes of the server, on the connection that all calls share.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use redis::Cmd;
use redis::Value;
use redisdb::Node;
use redisdb::NodeConfig;
use redisdb::commands::*;
use redisdb::node::ErrorKind;
use redisdb_tests::DEADLINE;
use redisdb_tests::eventually;
use xtask::Server;

/// The number of bytes that a reply may take, where it is bounded.
const LIMIT: usize = 100_000;

fn command(words: &[&str]) -> Cmd {
    Cmd::new().arg(words).take()
}

/// The frame of a reply, as text.
async fn raw(node: &Node, words: &[&str]) -> String {
    let frame = node.send_raw(&command(words)).await.unwrap();
    String::from_utf8(frame.into_bytes()).unwrap()
}

/// Commands whose replies name their caller, in every form, while others leave.
async fn each_has_its_own(node: &Node, who: usize) {
    for i in 0..100 {
        let word = format!("{who}:{i}:")
            .repeat([1, 100, 20_000][usize::from(i % 10 == 0) + usize::from(i % 50 == 0)]);
        let expected = format!("${}\r\n{word}\r\n", word.len());
        let echo = command(&["ECHO", &word]);
        match (who + i) % 5 {
            0 => assert!(node.send(&echo).await.unwrap() == Value::BulkString(word.into_bytes())),
            1 => drop(node.send_raw(&echo).now_or_never()),
            2 => drop(node.send(&echo).now_or_never()),
            3 => {
                let pipeline = node.pipeline();
                let key = format!("{who}:{i}");
                let (first, second) = (pipeline.set(&key, i), pipeline.get::<usize>(&key));
                pipeline.execute().await.check().unwrap();
                first.await.unwrap();
                assert_eq!(second.await.unwrap(), Some(i));
            }
            _ => assert!(node.send_raw(&echo).await.unwrap().as_bytes() == expected.as_bytes()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_of_both_forms_on_one_connection_are_never_swapped_whoever_goes() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    for node in [node.in_resp3(), node] {
        let before = node.client_id().await.unwrap();
        let tasks = (10..42).map(|who| {
            let node = node.clone();
            tokio::spawn(async move { each_has_its_own(&node, who).await })
        });
        join_all(tasks).await.into_iter().for_each(|ended| ended.unwrap());
        assert_eq!(node.client_id().await.unwrap(), before, "the connection was lost");
        eventually("no call is under way", async || node.in_flight() == 0).await;
    }
}

#[tokio::test]
async fn a_frame_is_what_the_server_said_in_the_protocol_of_the_connection() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let resp3 = node.in_resp3();
    node.hset("h", "f", "v").await.unwrap();
    node.zadd("z", [(1.5, "m")]).await.unwrap();
    for (words, in_resp2, in_resp3) in [
        (vec!["HGETALL", "h"], "*2\r\n$1\r\nf\r\n$1\r\nv\r\n", "%1\r\n$1\r\nf\r\n$1\r\nv\r\n"),
        (vec!["GET", "none"], "$-1\r\n", "_\r\n"),
        (vec!["ZSCORE", "z", "m"], "$3\r\n1.5\r\n", ",1.5\r\n"),
        (vec!["SET", "k", "v"], "+OK\r\n", "+OK\r\n"),
        (vec!["DEL", "none"], ":0\r\n", ":0\r\n"),
        (vec!["LRANGE", "none", "0", "1"], "*0\r\n", "*0\r\n"),
    ] {
        assert_eq!(raw(&node, &words).await, in_resp2);
        assert_eq!(raw(&resp3, &words).await, in_resp3);
        for node in [&node, &resp3] {
            let cmd = command(&words);
            let frame = node.send_raw(&cmd).await.unwrap();
            assert!(!frame.is_error());
            assert_eq!(frame.decode().unwrap(), node.send(&cmd).await.unwrap());
        }
    }
    // A connection that is made anew speaks the same.
    let id = resp3.client_id().await.unwrap();
    node.send(redis::cmd("CLIENT").arg("KILL").arg("ID").arg(id)).await.unwrap();
    eventually("it is connected anew", async || resp3.client_id().await.is_ok_and(|other| other != id)).await;
    assert_eq!(raw(&resp3, &["GET", "none"]).await, "_\r\n");
    // With a password too.
    node.send(&command(&["CONFIG", "SET", "requirepass", "secret"])).await.unwrap();
    let url = server.url().replace("redis://", "redis://:secret@");
    let with_password = Node::new(NodeConfig::new(&url).unwrap()).in_resp3();
    assert_eq!(raw(&with_password, &["GET", "none"]).await, "_\r\n");
}

#[tokio::test]
async fn an_error_reply_is_a_frame_and_the_node_takes_notice_of_it() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    node.hset("h", "f", "v").await.unwrap();
    let get = command(&["GET", "h"]);
    let frame = node.send_raw(&get).await.unwrap();
    assert!(
        frame.is_error()
            && frame.as_bytes().starts_with(b"-WRONGTYPE ")
            && frame.as_bytes().ends_with(b"\r\n")
    );
    assert!(matches!(frame.decode().unwrap(), Value::ServerError(error) if error.code() == "WRONGTYPE"));
    assert_eq!(node.send(&get).await.unwrap_err().code(), Some("WRONGTYPE"));
    // What it holds is not shown.
    assert_eq!(format!("{frame:?}"), format!("Frame {{ kind: Some('-'), len: {} }}", frame.as_bytes().len()));

    node.config_set("maxmemory", "1").await.unwrap();
    assert!(raw(&node, &["SET", "k", "v"]).await.starts_with("-OOM "));
    assert!(node.refuses_writes());
    // By `send`, which takes no notice that a write is taken.
    node.send(&command(&["CONFIG", "SET", "maxmemory", "0"])).await.unwrap();
    assert_eq!(raw(&node, &["GET", "k"]).await, "$-1\r\n");
    assert!(node.refuses_writes(), "a read says nothing of writes");
    assert_eq!(raw(&node, &["SET", "k", "v"]).await, "+OK\r\n");
    assert!(!node.refuses_writes());
}

#[tokio::test]
async fn a_frame_is_bounded_as_any_reply_is() {
    let server = Server::start().unwrap();
    let config = NodeConfig::new(&server.url()).unwrap().with_max_reply(LIMIT);
    let node = Node::connect(config).await.unwrap();
    node.setrange("fits", LIMIT as u64 - 1, "x").await.unwrap();
    node.setrange("big", LIMIT as u64, "x").await.unwrap();
    node.rpush("list", (0..10_000).collect::<Vec<_>>()).await.unwrap();
    for node in [&node, &node.in_resp3()] {
        assert_eq!(raw(node, &["GET", "fits"]).await.len(), LIMIT + "$100000\r\n\r\n".len());
        for words in [["GET", "big"].as_slice(), &["LRANGE", "list", "0", "-1"]] {
            for _ in 0..3 {
                let error = node.send_raw(&command(words)).await.unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::ReplyTooLarge { limit: LIMIT }), "{error}");
                assert!(!node.is_down());
            }
        }
        eventually("it is connected anew", async || node.get::<Vec<u8>>("fits").await.is_ok()).await;
    }
}

#[tokio::test]
async fn a_frame_has_the_deadline_and_the_limits_of_every_call() {
    let server = Server::start().unwrap();
    let config =
        NodeConfig::new(&server.url()).unwrap().with_max_in_flight(1).with_response_timeout(DEADLINE);
    let node = Node::connect(config).await.unwrap();
    for refused in [["MULTI"].as_slice(), &["BLPOP", "k", "0"], &["SELECT", "1"]] {
        assert!(node.send_raw(&command(refused)).await.unwrap_err().is_unsupported());
    }
    assert!(node.send_raw(&Cmd::new()).await.unwrap_err().is_unsupported());
    let outsider = Node::connect(server.url()).await.unwrap();
    outsider.client_pause(Duration::from_secs(3600)).await.unwrap();
    let ping = command(&["PING"]);
    let waiting = tokio::spawn({
        let (node, ping) = (node.clone(), ping.clone());
        async move { node.send_raw(&ping).await }
    });
    eventually("it is under way", async || node.in_flight() == 1).await;
    let error = node.send_raw(&ping).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Overloaded { limit: 1, .. }), "{error}");
    waiting.abort();
    eventually("it is over", async || node.in_flight() == 0).await;
    // The server has not answered it: it may still execute it.
    assert!(node.send_raw(&ping).await.unwrap_err().is_overloaded());
    let error = outsider.with_deadline(Duration::from_millis(20)).send_raw(&ping).await.unwrap_err();
    assert!(error.is_timeout() && error.may_have_executed(), "{error}");
}

//! The examples of the README on real servers, as they stand there.

use std::fs;
use std::path::Path;

use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::prelude::*;
use redisdb_tests::eventually;
use xtask::Servers;

/// Each line of the README's code stands here too, but for white space, and with servers that run in place of its own.
#[test]
fn every_line_of_its_code_is_run_here() {
    let squashed = |text: &str| text.split_whitespace().collect::<String>();
    let (page, here) =
        (Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md"), squashed(include_str!("readme.rs")));
    let page = fs::read_to_string(page).unwrap();
    let blocks = page.split("```").skip(1).step_by(2).filter(|block| block.starts_with("rust"));
    let mut n_lines = 0;
    for line in blocks.flat_map(|block| block.lines().skip(1)) {
        // What every program has around it.
        if ["use ", "#[tokio::main", "async fn main", "}"].iter().any(|begin| line.starts_with(begin)) {
            continue;
        }
        let code = line.split(" // ").next().unwrap();
        let code =
            code.replace("\"redis://10.0.0.1\"", "&urls[0]").replace("\"redis://10.0.0.2\"", "&urls[1]");
        assert!(here.contains(&squashed(&code)), "this is not run: {line}");
        n_lines += 1;
    }
    assert!(n_lines > 10, "it is found: {n_lines}");
}

#[tokio::test]
async fn a_ring_of_two_servers() -> Result<(), redisdb::Error> {
    let mut servers = Servers::start(2).unwrap();
    let urls = servers.urls();
    let ring = RedisRing::builder().node("a", &urls[0]).node("b", &urls[1]).connect().await?;
    ring.set("user:1", "Ann").await?;
    let names = ring.mget::<String>(&["user:1", "user:2"]).await?;
    println!("{names:?}");
    assert_eq!(names, [Some("Ann".to_owned()), None]);

    // "While a server is down, its keys fail at once with an error that names it, and no other key is touched."
    let of =
        |name: &str| (0..).map(|i| format!("k:{i}")).find(|key| ring.node_for(key).name() == name).unwrap();
    let (of_a, of_b) = (of("a"), of("b"));
    ring.set(&of_a, 1).await?;
    servers[1].kill();
    eventually("it is down", async || ring.on_node("b").unwrap().is_down()).await;
    let error = ring.get::<u8>(&of_b).await.unwrap_err();
    assert!(
        error.to_string().contains("its node `b` cannot answer") && !error.may_have_executed(),
        "{error}"
    );
    assert_eq!(ring.get::<u8>(&of_a).await?, Some(1));
    Ok(())
}

#[tokio::test]
async fn a_copy_of_two_servers() -> Result<(), redisdb::Error> {
    let mut servers = Servers::start(2).unwrap();
    let urls = servers.urls();
    let copy = RedisCopy::builder().nodes([&urls[0], &urls[1]]).connect().await?;
    servers[0].kill();
    let mut missed = Vec::new();
    for (node, error) in copy.set("user:1", "Ann").await?.failures() {
        eprintln!("{node} missed it: {error}");
        missed.push(node.to_owned());
    }
    let name = copy.get::<String>("user:1").await?;
    println!("{name:?}");
    assert_eq!((name.as_deref(), missed), (Some("Ann"), vec![format!("127.0.0.1:{}", servers[0].port())]));
    Ok(())
}

//! The same shards used by a ring and by the programs that other languages use, in both directions.
//!
//! Debian has them as nutcracker, ruby-redis and php-redis. The test of one that is not on this machine is skipped.

use std::io::Write;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use redisdb::Layout;
use redisdb::RedisRing;
use redisdb::commands::*;
use redisdb::hashring::layout::PhpRedis;
use redisdb::hashring::layout::RedisRb;
use redisdb::hashring::layout::Twemproxy;
use redisdb_tests::eventually;
use xtask::Servers;
use xtask::needs;

const N: usize = 300;

/// Keys of many forms, among them some with what may be a hash tag.
fn keys(of: &str) -> Vec<String> {
    (0..N)
        .map(|i| match i % 5 {
            0 => format!("{of}:{i}"),
            1 => format!("{{{of}:{i}}}:a"),
            2 => format!("{of}:{{{i}}}"),
            3 => format!("ключ:{of}:{i}"),
            _ => format!("{of} with spaces {i}"),
        })
        .collect()
}

/// Runs a program to its end with a script, an URL a line and then a key a line at its standard input, and returns
/// the lines of its output.
fn run(program: &str, args: &[&str], input: &[String]) -> Vec<String> {
    let mut child =
        Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let input = input.join("\n");
    let mut stdin = child.stdin.take().unwrap();
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success(), "{program}: {}", output.status);
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Makes sure that a program is there and can do what it is for.
fn here(program: &str, args: &[&str]) -> Result<(), String> {
    let tried = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    match tried.is_ok_and(|status| status.success()) {
        true => Ok(()),
        false => Err(format!("`{program} {}` does not work on this machine", args.join(" "))),
    }
}

/// Every key that the peer wrote is found by the ring, on the node where the peer put it.
async fn check_found(ring: &RedisRing, keys: &[String]) {
    for key in keys {
        assert_eq!(ring.get::<String>(key).await.unwrap().as_deref(), Some(key.as_str()), "{key}");
    }
    let mut sizes = 0;
    for node in ring.nodes() {
        let size = node.dbsize().await.unwrap();
        assert!(size > 0, "nothing is on {}: this shows nothing", node.name());
        sizes += size;
    }
    assert_eq!(sizes, keys.len() as u64);
}

async fn write(ring: &RedisRing, keys: &[String]) {
    ring.mset(keys.iter().map(|key| (key, key))).await.unwrap();
}

/// A child process that ends with this value, and with this process.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        // The shell that waits for the end of its input ends the proxy.
        drop(self.0.stdin.take());
        let _ended = self.0.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_ring_joins_the_shards_of_twemproxy() {
    needs!(here("nutcracker", &["--version"]));
    let servers = Servers::start(3).unwrap();
    let port = free_port();
    let entries: String =
        servers.iter().map(|server| format!("   - 127.0.0.1:{}:1\n", server.port())).collect();
    let config = servers.iter().next().unwrap().dir().join("nutcracker.yml");
    let settings = "  hash: fnv1a_64\n  distribution: ketama\n  hash_tag: \"{}\"\n  redis: true\n";
    std::fs::write(&config, format!("pool:\n  listen: 127.0.0.1:{port}\n{settings}  servers:\n{entries}"))
        .unwrap();
    let script =
        r#"nutcracker --conf-file="$1" --stats-port="$2" --verbose=0 2>/dev/null & read -r _; kill $!; wait"#;
    let mut proxy = Command::new("sh");
    proxy.args(["-c", script, "sh"]).arg(&config).arg(free_port().to_string()).stdin(Stdio::piped());
    let _proxy = Proxy(proxy.spawn().unwrap());

    // It closes a connection that says who it is, which redis-rs would by default.
    let info: redis::ConnectionInfo =
        redis::IntoConnectionInfo::into_connection_info(format!("redis://127.0.0.1:{port}")).unwrap();
    let client = redis::Client::open(
        info.set_redis_settings(redis::RedisConnectionInfo::default().set_skip_set_lib_name()),
    )
    .unwrap();
    let mut through = None;
    eventually("the proxy listens", async || {
        through = client.get_multiplexed_async_connection().await.ok();
        through.is_some()
    })
    .await;
    let mut through = through.unwrap();
    through.set_response_timeout(Duration::from_secs(5));

    let hash_tag = redisdb::HashTag::Delimiters { open: b'{', close: b'}' };
    let builder = RedisRing::builder().nodes(servers.urls()).layout(Layout::Twemproxy(Twemproxy::default()));
    let ring = builder.hash_tag(hash_tag).connect().await.unwrap();
    let theirs = keys("theirs");
    for key in &theirs {
        let () = redis::cmd("SET").arg(key).arg(key).query_async(&mut through).await.unwrap();
    }
    check_found(&ring, &theirs).await;
    let ours = keys("ours");
    write(&ring, &ours).await;
    for key in &ours {
        let value: Option<String> = redis::cmd("GET").arg(key).query_async(&mut through).await.unwrap();
        assert_eq!(value.as_ref(), Some(key));
    }
}

#[tokio::test]
async fn a_ring_joins_the_shards_of_redis_rb() {
    let version = r#"require "redis"; require "redis/distributed"; exit Redis::VERSION.to_i < 5"#;
    needs!(here("ruby", &["-e", version]));
    let servers = Servers::start(3).unwrap();
    let urls = servers.urls();
    // The id of a node is its URL with the database.
    let named = |url: &String| format!("{url}/0");
    let nodes = urls.iter().fold(RedisRing::builder(), |ring, url| ring.node(named(url), url));
    let ring = nodes.layout(Layout::RedisRb(RedisRb::V4)).connect().await.unwrap();
    let script = |each: &str| {
        format!(
            r#"require "redis"; require "redis/distributed"
               lines = STDIN.read.force_encoding("UTF-8").split("\n"); keys = lines.drop(3)
               ring = Redis::Distributed.new(lines.take(3)); {each}"#
        )
    };
    let input = |keys: &[String]| [urls.clone(), keys.to_vec()].concat();
    let theirs = keys("theirs");
    run("ruby", &["-W0", "-e", &script("keys.each { |key| ring.set(key, key) }")], &input(&theirs));
    check_found(&ring, &theirs).await;
    let ours = keys("ours");
    write(&ring, &ours).await;
    let read = run("ruby", &["-W0", "-e", &script("keys.each { |key| puts ring.get(key) }")], &input(&ours));
    assert_eq!(read, ours);
}

#[tokio::test]
async fn a_ring_joins_the_shards_of_phpredis() {
    needs!(here("php", &["-r", "exit(class_exists('RedisArray') ? 0 : 1);"]));
    for (consistent, layout) in [("false", PhpRedis::default()), ("true", PhpRedis::consistent())] {
        let servers = Servers::start(3).unwrap();
        let hosts: Vec<String> =
            servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
        let ring = RedisRing::builder()
            .nodes(servers.urls())
            .layout(Layout::PhpRedis(layout))
            .connect()
            .await
            .unwrap();
        let script = |each: &str| {
            format!(
                "$lines = explode(\"\\n\", stream_get_contents(STDIN)); $keys = array_slice($lines, 3);
                 $ring = new RedisArray(array_slice($lines, 0, 3), ['consistent' => {consistent}]);
                 foreach ($keys as $key) {{ {each} }}"
            )
        };
        let input = |keys: &[String]| [hosts.clone(), keys.to_vec()].concat();
        let theirs = keys("theirs");
        run("php", &["-r", &script("$ring->set($key, $key);")], &input(&theirs));
        check_found(&ring, &theirs).await;
        let ours = keys("ours");
        write(&ring, &ours).await;
        let read = run("php", &["-r", &script("echo $ring->get($key), \"\\n\";")], &input(&ours));
        assert_eq!(read, ours);
    }
}

/// The servers themselves know nothing of this: they are independent.
#[tokio::test]
async fn the_default_layout_would_not_find_them() {
    let servers = Servers::start(3).unwrap();
    let ring = |layout| RedisRing::builder().nodes(servers.urls()).layout(layout).build().unwrap();
    let (ours, theirs) = (ring(Layout::Xxh3), ring(Layout::Twemproxy(Twemproxy::default())));
    write(&theirs, &keys("k")).await;
    let mut found = 0;
    for key in keys("k") {
        found += usize::from(ours.get::<String>(&key).await.unwrap().is_some());
    }
    assert!((N / 6..N / 2).contains(&found), "{found} of {N}");
}

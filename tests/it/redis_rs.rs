//! A ring or a copy tells redis-rs what the server itself tells it.

use redis::Cmd;
use redis::Pipeline;
use redis::RedisError;
use redis::Value;
use redis::aio::ConnectionLike;
use redisdb::RedisRing;
use redisdb::node::ConnectionCommands;
use redisdb_node::command::lookup;
use redisdb_tests::copy;
use redisdb_tests::ring;
use xtask::Server;

/// The name of a command, as its row has it.
fn name(cmd: &Cmd) -> &'static str {
    lookup(cmd).unwrap().name
}

/// Each word is what stands between two bars.
fn cmd(words: &str) -> Cmd {
    let mut cmd = Cmd::new();
    for word in words.split('|') {
        cmd.arg(word);
    }
    cmd
}

async fn plain(server: &Server) -> impl ConnectionLike + use<> {
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
    let client = redis::Client::open(server.url()).unwrap();
    client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
}

async fn ring_of_one(server: &Server) -> RedisRing {
    RedisRing::builder().node("a", &server.url()).allow_colocated().connect().await.unwrap()
}

/// Returns what can be asked of an error of redis-rs.
fn told(error: &RedisError) -> String {
    let (code, detail) = (error.code(), error.detail());
    let errors = error.clone().into_server_errors();
    format!("{:?} {code:?} {detail:?} {errors:?} {}", error.kind(), error.is_unrecoverable_error())
}

fn outcome(outcome: Result<Value, RedisError>) -> String {
    outcome.map_or_else(|error| told(&error), |value| format!("{value:?}"))
}

/// Commands whose keys have one hash tag, each after the ones before it.
const COMMANDS: &[&str] = &[
    "SET|{t}s|text",
    "SET|{t}s",
    "SET|{t}s|1|FOO",
    "INCR|{t}s",
    "LPUSH|{t}s|1",
    "GET|{t}none",
    "SETEX|{t}s|0|x",
    "XGROUP|CREATE|{t}x|g|0",
    "XADD|{t}x|1-1|f|v",
    "XADD|{t}x|1-1|f|v",
    "XGROUP|CREATE|{t}x|g|0",
    "XGROUP|CREATE|{t}x|g|0",
    "RENAME|{t}none|{t}s",
    "SADD|{t}set|a",
    "SORT|{t}set",
    "RESTORE|{t}new|0|what's this",
    "FLUSHDB|NOW",
    "SCRIPT|LOAD|no script at all",
    "CONFIG|SET|no-such-option|1",
    "FUNCTION|LOAD|no library",
];

/// The questions to each node whose answer is always the same.
const EACH: &[&str] = &[
    "ACL|WHOAMI",
    "ACL|USERS",
    "ACL|LOG",
    "PUBSUB|NUMSUB|none",
    "PUBSUB|CHANNELS",
    "CONFIG|GET|maxmemory",
    "CLIENT|GETNAME",
    "ROLE",
    "SLOWLOG|GET",
    "SCRIPT|EXISTS|none",
    "DBSIZE",
    "KEYS|*",
    "RANDOMKEY",
];

/// .. and where it is another one each time.
const EACH_OTHERWISE: &[&str] =
    &["INFO", "INFO|server", "CLIENT|ID", "CLIENT|INFO", "CLIENT|LIST", "LASTSAVE", "MEMORY|STATS", "TIME"];

/// Scripts that answer with what no command does.
const SCRIPTS: &[&str] = &[
    "return redis.error_reply('MY it is \"quoted\" and \\'quoted\\', with a \\\\ in it')",
    "return redis.error_reply('MY  two  spaces')",
    "return redis.error_reply('MY tab\\there')",
    "return redis.error_reply('MY \u{fc}ber, \u{2603} and \u{202e}')",
    "return redis.error_reply('MY ' .. string.rep('x', 400))",
    "return redis.error_reply('NOSCRIPT of mine')",
    "return redis.error_reply('LOADING of mine')",
    "return redis.error_reply('MOVED 1234 127.0.0.1:1')",
    "return redis.error_reply('lower case')",
    "return {redis.error_reply('IN a list'), {redis.error_reply('DEEP in it')}, 1}",
    "return {1, {'two', false}, redis.status_reply('FINE')}",
    "no script at all",
    "error('thrown')",
];

/// Asks both the same, alone, in a pipeline and in a block; both servers are empty.
async fn say_the_same(
    commands: impl Iterator<Item = Cmd>,
    one: &mut impl ConnectionLike,
    other: &mut impl ConnectionLike,
) {
    for cmd in commands {
        let asked = String::from_utf8_lossy(&cmd.get_packed_command()).into_owned();
        let reply = outcome(cmd.query_async(one).await);
        assert_eq!(outcome(cmd.query_async(other).await), reply, "{asked}");
        for ignores in [false, true] {
            let mut pipeline = Pipeline::new();
            pipeline.add_command(cmd.clone()).cmd("GET").arg("{t}none");
            if ignores {
                pipeline.ignore_errors();
            }
            let reply = outcome(pipeline.query_async(one).await);
            assert_eq!(outcome(pipeline.query_async(other).await), reply, "pipeline of {asked}");
        }
    }
}

fn scripts() -> impl Iterator<Item = Cmd> {
    SCRIPTS.iter().map(|script| redis::cmd("EVAL").arg(script).arg(1).arg("{t}s").clone())
}

#[tokio::test]
async fn a_ring_of_one_node_tells_redis_rs_what_its_server_would() {
    let (one, other) = (Server::start().unwrap(), Server::start().unwrap());
    let (mut one, mut ring) = (plain(&one).await, ring_of_one(&other).await);
    say_the_same(COMMANDS.iter().map(|words| cmd(words)).chain(scripts()), &mut one, &mut ring).await;
}

/// Returns what kind of value it is, and how many are in it: what does not change from one call to the next.
fn shape(value: &Value) -> String {
    match value {
        Value::Array(elements) => format!("{} elements {:?}", elements.len(), elements.first().map(shape)),
        Value::Map(pairs) => format!("{} pairs", pairs.len()),
        other => format!("{:?}", std::mem::discriminant(other)),
    }
}

#[tokio::test]
async fn a_ring_of_one_node_answers_as_its_server_what_is_asked_of_each_node() {
    let (one, other) = (Server::start().unwrap(), Server::start().unwrap());
    let (mut one, mut ring) = (plain(&one).await, ring_of_one(&other).await);
    say_the_same(EACH.iter().map(|words| cmd(words)), &mut one, &mut ring).await;
    for words in EACH_OTHERWISE {
        let cmd = cmd(words);
        for is_atomic in [None, Some(false), Some(true)] {
            let mut pipeline = Pipeline::new();
            pipeline.add_command(cmd.clone());
            if is_atomic == Some(true) {
                pipeline.atomic();
            }
            let of_one: Value = match is_atomic {
                None => cmd.query_async(&mut one).await.unwrap(),
                _ => pipeline.query_async(&mut one).await.unwrap(),
            };
            let of_ring: Value = match is_atomic {
                None => cmd.query_async(&mut ring).await.unwrap(),
                _ => pipeline.query_async(&mut ring).await.unwrap(),
            };
            assert_eq!(shape(&of_ring), shape(&of_one), "{words} {is_atomic:?}");
        }
        assert_eq!(ring.explain(&cmd).to_string(), format!("`{}` on a ring: to `a`", name(&cmd)));
    }
    // By our own methods it has its name, and in a pipeline.
    let pipeline = ring.pipeline();
    let (piped, queried) =
        (pipeline.client_id(), pipeline.command::<u64>(redis::cmd("CLIENT").arg("ID").take()));
    pipeline.execute().await.check().unwrap();
    let id: u64 = ring.query(redis::cmd("CLIENT").arg("ID")).await.unwrap();
    for by_name in [ring.client_id().await.unwrap(), piped.await.unwrap()] {
        assert_eq!(by_name.successes().collect::<Vec<_>>(), [("a", &id)]);
    }
    assert_eq!(queried.await.unwrap(), id);
}

#[tokio::test]
async fn a_ring_tells_redis_rs_what_a_single_server_would() {
    let one = Server::start().unwrap();
    let (mut one, (_servers, mut ring)) = (plain(&one).await, ring().await);
    say_the_same(COMMANDS.iter().map(|words| cmd(words)).chain(scripts()), &mut one, &mut ring).await;
}

#[tokio::test]
async fn a_copy_tells_redis_rs_what_a_single_server_would() {
    let one = Server::start().unwrap();
    let (mut one, (_servers, mut copy)) = (plain(&one).await, copy().await);
    // Of a write that has too few words a copy cannot tell what it would do.
    let commands = COMMANDS.iter().filter(|words| **words != "SET|{t}s").map(|words| cmd(words));
    say_the_same(commands, &mut one, &mut copy).await;
}

/// No word and no command: redis-rs says so itself.
async fn is_an_empty_command(connection: &mut impl ConnectionLike) {
    for error in [
        Cmd::new().query_async::<Value>(connection).await.unwrap_err(),
        redis::pipe().query_async::<Value>(connection).await.unwrap_err(),
    ] {
        assert_eq!(
            (error.kind(), error.to_string()),
            (redis::ErrorKind::Client, "empty command - Client".into())
        );
    }
    let block: Value = redis::pipe().atomic().query_async(connection).await.unwrap();
    assert_eq!(block, Value::Array(vec![]));
}

#[tokio::test]
async fn nothing_to_send_is_the_error_that_redis_rs_has_for_it() {
    let server = Server::start().unwrap();
    is_an_empty_command(&mut plain(&server).await).await;
    is_an_empty_command(&mut ring_of_one(&server).await).await;
    is_an_empty_command(&mut ring().await.1).await;
    is_an_empty_command(&mut copy().await.1).await;
}

/// A pipeline and a block that nobody answered are lost as a whole.
async fn is_lost(connection: &mut impl ConnectionLike) {
    for pipeline in [&mut redis::pipe(), redis::pipe().atomic()] {
        pipeline.cmd("SET").arg("{t}k").arg(1).cmd("GET").arg("{t}k").ignore_errors();
        let error = pipeline.query_async::<Value>(connection).await.unwrap_err();
        assert!(error.is_io_error() && error.is_connection_dropped(), "{}", told(&error));
    }
}

#[tokio::test]
async fn a_pipeline_that_no_server_answers_is_an_io_error_to_redis_rs() {
    let mut server = Server::start().unwrap();
    let mut ring = ring_of_one(&server).await;
    server.kill();
    is_lost(&mut ring).await;
    let (mut servers, mut copy) = copy().await;
    servers.iter_mut().for_each(Server::kill);
    is_lost(&mut copy).await;
}

#[tokio::test]
async fn a_pipeline_that_one_server_answers_has_each_outcome_for_redis_rs() {
    let (mut servers, mut ring) = ring().await;
    let key = |name: &str| (0..).map(|i| format!("k{i}")).find(|k| ring.node_for(k).name() == name).unwrap();
    let (lives, lost) = (key("a"), key("b"));
    servers[1].kill();
    let mut pipeline = redis::pipe();
    pipeline.cmd("SET").arg(&lives).arg(1).cmd("GET").arg(&lost).ignore_errors();
    let values: Vec<Value> = pipeline.query_async(&mut ring).await.unwrap();
    assert!(matches!(&values[..], [Value::Okay, Value::ServerError(_)]), "{values:?}");
}

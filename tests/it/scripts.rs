//! Scripts and functions.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use redisdb::Error;
use redisdb::Node;
use redisdb::node::ErrorKind;
use redisdb::node::FlushMode;
use redisdb::node::FunctionRestore;
use redisdb::node::KeyCommands;
use redisdb::node::Script;
use redisdb::node::ScriptingCommands;
use redisdb::node::StringCommands;
use redisdb_tests::Hostile;
use redisdb_tests::Says;
use redisdb_tests::copy;
use redisdb_tests::eventually;
use redisdb_tests::is_since;
use redisdb_tests::ring;
use redisdb_tests::since;
use xtask::Data;
use xtask::Server;
use xtask::needs;

const LIBRARY: &str = "#!lua name=counters
redis.register_function('add', function(keys, args) return redis.call('INCRBY', keys[1], args[1]) end)
redis.register_function{
    function_name = 'look', callback = function(keys) return redis.call('GET', keys[1]) end,
    flags = {'no-writes'}, description = 'reads one'
}";

fn add() -> Script {
    Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])")
}

#[tokio::test]
async fn a_script_is_sent_once_and_again_after_a_restart() {
    let mut server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let add = add();
    let calls = async |name: &str| {
        let stats = node.send(redis::cmd("INFO").arg("commandstats")).await.unwrap();
        let stats: String = redis::from_redis_value(stats).unwrap();
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
        line.map_or(0, |line| line.split(',').next().unwrap().parse::<u32>().unwrap())
    };
    for sum in 1..=5 {
        assert_eq!(add.key("n").arg(1).invoke::<i64, _>(&node).await.unwrap(), sum);
    }
    assert_eq!((calls("eval").await, calls("evalsha").await), (1, 5));
    server.restart(Data::Lose).unwrap();
    eventually("it is back", async || node.get::<u8>("n").await.is_ok()).await;
    assert_eq!(add.key("n").arg(1).invoke::<i64, _>(&node).await.unwrap(), 1);
    node.script_flush(FlushMode::Sync).await.unwrap();
    assert_eq!(add.key("n").arg(1).invoke::<i64, _>(&node).await.unwrap(), 2);

    // An error of a script: what it did before stays, so it counts as executed.
    let wrong = Script::new("redis.call('SET', KEYS[1], 'x') return redis.call('INCR', KEYS[1])");
    let error = wrong.key("w").invoke::<i64, _>(&node).await.unwrap_err();
    assert!(error.may_have_executed() && error.code() == Some("ERR"), "{error}");
    // A script that says the same as a server that does not know it is not run twice.
    let sly = Script::new("redis.call('INCR', KEYS[1]) return redis.error_reply('NOSCRIPT none')");
    assert!(sly.key("sly").invoke::<i64, _>(&node).await.is_err());
    assert_eq!(node.get::<u8>("sly").await.unwrap(), Some(1));
}

/// The features that a server before 7.0 lacks.
const READ_ONLY: &str = "EVAL_RO and EVALSHA_RO";

#[tokio::test]
async fn a_read_only_call_may_not_write() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    node.set("k", 7).await.unwrap();
    assert_eq!(node.eval::<i64>("return #KEYS + #ARGV", &["a", "b"], &[1, 2, 3]).await.unwrap(), 5);
    let hash = node.script_load("return ARGV[1]").await.unwrap();
    assert_eq!(node.evalsha::<String>(&hash, &[""; 0], "x").await.unwrap(), "x");
    if !is_since(&node, (7, 0, 0), READ_ONLY).await {
        return;
    }
    let look = Script::new("return redis.call('GET', KEYS[1])");
    for _ in 0..2 {
        assert_eq!(look.key("k").invoke_ro::<Option<u8>, _>(&node).await.unwrap(), Some(7));
    }
    assert!(add().key("k").arg(1).invoke_ro::<i64, _>(&node).await.is_err());
    assert_eq!(node.eval_ro::<u8>("return redis.call('GET', KEYS[1])", "k", &[0; 0]).await.unwrap(), 7);
    assert_eq!(node.evalsha_ro::<String>(&hash, &[""; 0], "x").await.unwrap(), "x");
}

#[tokio::test]
async fn on_a_ring_a_script_runs_at_the_owner_of_its_keys() {
    let (_servers, ring) = ring().await;
    let add = add();
    let has_read_only = is_since(&ring.on_node("a").unwrap(), (7, 0, 0), READ_ONLY).await;
    for i in 0..30 {
        let key = format!("key:{i}");
        assert_eq!(add.key(&key).arg(5).invoke::<i64, _>(&ring).await.unwrap(), 5);
        assert_eq!(ring.node_for(&key).get::<i64>(&key).await.unwrap(), Some(5));
        let look = Script::new("return redis.call('GET', KEYS[1])");
        if has_read_only {
            assert_eq!(look.key(&key).invoke_ro::<i64, _>(&ring).await.unwrap(), 5);
        }
    }
    let error = add.key(&["a", "b"]).arg(1).invoke::<i64, _>(&ring).await.unwrap_err();
    assert!(matches!(error, Error::CrossNode(_)), "{error}");
    let error = add.arg(1).invoke::<i64, _>(&ring).await.unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("on_node"), "{error}");

    // Loading reaches every node, and so does asking.
    let hash = ring.script_load("return 7").await.unwrap();
    assert_eq!(ring.script_exists(&hash).await.unwrap(), [true]);
    let other = ring.on_node("b").unwrap().script_load("return 8").await.unwrap();
    assert_eq!(ring.script_exists(&[&hash, &other]).await.unwrap(), [true, false]);
    ring.script_flush(FlushMode::Async).await.unwrap();
    assert_eq!(ring.script_exists(&hash).await.unwrap(), [false]);
}

#[tokio::test]
async fn on_a_copy_a_script_must_be_declared_deterministic() {
    let (_servers, copy) = copy().await;
    let error = add().key("n").arg(1).invoke::<i64, _>(&copy).await.unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("deterministic"), "{error}");
    assert_eq!(copy.exists("n").await.unwrap(), 0);
    let add = add().deterministic();
    // One node knows the script already: each is asked for itself.
    copy.on_node("b").unwrap().script_load(add.code().unwrap()).await.unwrap();
    let sums = add.key("n").arg(3).invoke::<i64, _>(&copy).await.unwrap();
    assert!(sums.is_complete() && sums.agreed() && sums.first() == Some(&3), "{sums:?}");
    for node in copy.nodes() {
        assert_eq!(node.get::<i64>("n").await.unwrap(), Some(3));
    }
    let look = Script::new("return redis.call('GET', KEYS[1])");
    if is_since(&copy.on_node("a").unwrap(), (7, 0, 0), READ_ONLY).await {
        assert_eq!(look.key("n").invoke_ro::<i64, _>(&copy).await.unwrap(), 3);
    }
    assert!(copy.eval::<i64>("return 1", "k", &[0; 0]).await.unwrap_err().is_unsupported());
}

#[tokio::test]
async fn a_copy_remembers_which_node_missed_a_script() {
    let (mut servers, copy) = copy().await;
    let add = add().deterministic();
    let key = (0..).map(|i| format!("n:{i}")).find(|key| copy.node_for(key).name() == "a").unwrap();
    _ = add.key(&key).arg(1).invoke::<i64, _>(&copy).await.unwrap();
    servers[0].pause();
    let sums = add.key(&key).arg(1).invoke::<i64, _>(&copy).await.unwrap();
    assert_eq!(sums.failures().map(|(name, _)| name).collect::<Vec<_>>(), ["a"]);
    servers[0].resume();
    assert_eq!(copy.get::<i64>(&key).await.unwrap(), Some(2));
    servers[0].kill();
}

#[tokio::test]
async fn functions_are_loaded_everywhere_and_run_where_their_keys_are() {
    let (_servers, ring) = ring().await;
    needs!(since(&ring.on_node("a").unwrap(), (7, 0, 0)).await);
    assert_eq!(ring.function_load(LIBRARY).await.unwrap(), "counters");
    assert!(ring.function_load(LIBRARY).await.is_err());
    assert_eq!(ring.function_load_replace(LIBRARY).await.unwrap(), "counters");
    for i in 0..10 {
        let key = format!("key:{i}");
        assert_eq!(ring.fcall::<i64>("add", &key, i).await.unwrap(), i);
        assert_eq!(ring.fcall_ro::<i64>("look", &key, &[0; 0]).await.unwrap(), i);
    }
    assert!(ring.fcall_ro::<i64>("add", "key:1", 1).await.is_err());
    let libraries = ring.function_list().await.unwrap();
    assert_eq!((libraries[0].name.as_str(), libraries[0].engine.as_str()), ("counters", "LUA"));
    let look = libraries[0].functions.iter().find(|function| function.name == "look").unwrap();
    assert_eq!(look.description.as_deref(), Some("reads one"));
    assert_eq!(look.flags, ["no-writes"]);
    assert!(ring.function_stats().await.unwrap().is_complete());

    let dump = ring.function_dump().await.unwrap();
    ring.function_delete("counters").await.unwrap();
    assert_eq!(ring.function_list().await.unwrap(), []);
    ring.function_restore(&dump, FunctionRestore::Append).await.unwrap();
    assert!(ring.function_restore(&dump, FunctionRestore::Append).await.is_err());
    ring.function_restore(&dump, FunctionRestore::Replace).await.unwrap();
    assert_eq!(ring.fcall_ro::<i64>("look", "key:1", &[0; 0]).await.unwrap(), 1);
    ring.function_flush(FlushMode::Sync).await.unwrap();
    assert_eq!(ring.function_list().await.unwrap(), []);
}

#[tokio::test]
async fn a_script_that_does_not_end_is_killed() {
    let server = Server::builder().args(["--lua-time-limit", "5"]).start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let error = node.script_kill().await.unwrap_err();
    assert_eq!(error.code(), Some("NOTBUSY"), "{error}");
    let endless = tokio::spawn({
        let owned = node.dedicated().await.unwrap();
        async move { owned.eval::<i64>("while true do end", &[""; 0], &[0; 0]).await }
    });
    eventually("it is killed", async || node.script_kill().await.is_ok()).await;
    endless.await.unwrap().unwrap_err();
    assert_eq!(node.eval::<u8>("return 1", &[""; 0], &[0; 0]).await.unwrap(), 1);
    if is_since(&node, (7, 0, 0), "FUNCTION KILL").await {
        assert_eq!(node.function_kill().await.unwrap_err().code(), Some("NOTBUSY"));
    }
    let (_servers, ring) = ring().await;
    assert!(ring.script_kill().await.unwrap_err().is_unsupported());
    assert!(ring.function_kill().await.unwrap_err().is_unsupported());
}

#[tokio::test]
async fn functions_run_on_every_node_of_a_copy_if_they_are_declared_deterministic() {
    let (_servers, copy) = copy().await;
    needs!(since(&copy.on_node("a").unwrap(), (7, 0, 0)).await);
    _ = copy.function_load(LIBRARY).await.unwrap();
    let error = Script::function("add").key("n").arg(1).invoke::<i64, _>(&copy).await.unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("deterministic"), "{error}");
    assert!(copy.fcall::<i64>("add", "n", 1).await.unwrap_err().to_string().contains("`Script`"));
    assert_eq!(copy.exists("n").await.unwrap(), 0);
    let sums = Script::function("add").deterministic().key("n").arg(3).invoke::<i64, _>(&copy).await.unwrap();
    assert!(sums.is_complete() && sums.agreed() && sums.first() == Some(&3), "{sums:?}");
    for node in copy.nodes() {
        assert_eq!(node.get::<i64>("n").await.unwrap(), Some(3));
    }

    // What only reads is asked of the key's node, and the server sees to it.
    copy.node_for("n").set("n", 7).await.unwrap();
    let look = Script::function("look").read_only();
    assert_eq!(look.key("n").invoke::<i64, _>(&copy).await.unwrap().first(), Some(&7));
    assert_eq!(look.key("n").invoke_ro::<i64, _>(&copy).await.unwrap(), 7);
    let script = Script::new("return redis.call('GET', KEYS[1])").read_only();
    for _ in 0..2 {
        assert_eq!(script.key("n").invoke::<i64, _>(&copy).await.unwrap().first(), Some(&7));
    }
    assert!(Script::function("add").read_only().key("n").arg(1).invoke::<i64, _>(&copy).await.is_err());
    assert!(Script::function("none").deterministic().key("n").invoke::<i64, _>(&copy).await.is_err());
    assert_eq!(copy.node_for("n").get::<i64>("n").await.unwrap(), Some(7));

    let (_servers, ring) = ring().await;
    ring.function_load(LIBRARY).await.unwrap();
    for i in 0..10 {
        let key = format!("key:{i}");
        assert_eq!(Script::function("add").key(&key).arg(i).invoke::<i64, _>(&ring).await.unwrap(), i);
        assert_eq!(look.key(&key).invoke::<i64, _>(&ring).await.unwrap(), i);
    }
    let error = Script::function("add").key(&["a", "b"]).arg(1).invoke::<i64, _>(&ring).await.unwrap_err();
    assert!(matches!(error, Error::CrossNode(_)), "{error}");
}

#[tokio::test]
async fn an_idempotent_script_is_sent_again_when_its_connection_breaks_and_another_is_not() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let other = Node::connect(server.url()).await.unwrap();
    let code = "redis.call('INCR', 'calls:' .. KEYS[1]) return redis.call('SET', KEYS[1], ARGV[1])";
    let client = async |words: &[&str]| other.send(redis::cmd("CLIENT").arg(words)).await.unwrap();
    // Both wait in the server, for a script may write; on one connection the second waits behind the first.
    client(&["PAUSE", "60000", "WRITE"]).await;
    let invoke = |script: Script, key: &'static str| {
        let node = node.clone();
        tokio::spawn(async move { script.key(key).arg(1).invoke::<(), _>(&node).await })
    };
    let again = invoke(Script::new(code).idempotent(), "again");
    let once = invoke(Script::new(code), "once");
    eventually("both wait", async || {
        let clients = other.send(redis::cmd("INFO").arg("clients")).await.unwrap();
        format!("{clients:?}").contains("blocked_clients:1")
    })
    .await;
    client(&["KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    let error = once.await.unwrap().unwrap_err();
    assert!(error.may_have_executed() && !error.is_timeout(), "{error}");
    client(&["UNPAUSE"]).await;
    again.await.unwrap().unwrap();
    let calls = node.mget::<u8>(&["calls:again", "calls:once", "again"]).await.unwrap();
    assert_eq!(calls, [Some(1), None, Some(1)]);
}

/// A server that ends the connection at a command, so often, and then answers it with 1.
async fn ends_at(command: &'static str, times: usize) -> Hostile {
    let seen = AtomicUsize::new(0);
    Hostile::with(move |words| match words[0].eq_ignore_ascii_case(command) {
        true if seen.fetch_add(1, Ordering::Relaxed) < times => Says::ThisAndEnds(Vec::new()),
        true => Says::This(b":1\r\n".to_vec()),
        false => Says::Usual,
    })
    .await
}

#[tokio::test]
async fn a_script_that_only_reads_is_sent_again_as_often_as_a_read_and_an_idempotent_one_once() {
    let look = Script::new("return redis.call('GET', KEYS[1])");
    for (command, script, times) in [
        ("EVALSHA_RO", look.clone().read_only(), 2),
        ("EVALSHA", look.clone().idempotent(), 1),
        ("EVALSHA", look, 0),
    ] {
        let server = ends_at(command, times).await;
        let node = Node::connect(server.url()).await.unwrap();
        assert_eq!(script.key("k").invoke::<u8, _>(&node).await.unwrap(), 1, "{command}");
        let server = ends_at(command, times + 1).await;
        let node = Node::connect(server.url()).await.unwrap();
        let error = script.key("k").invoke::<u8, _>(&node).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Disconnected(_)), "{command}: {error}");
    }
}

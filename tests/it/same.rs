//! Values that are the same, and are written down differently.

use redis::Value;
use redisdb::Node;
use redisdb::OnReturn;
use redisdb::RedisCopy;
use redisdb::commands::*;
use redisdb_tests::NAMES;
use redisdb_tests::copy;
use redisdb_tests::is_since;
use xtask::Binary;
use xtask::Server;

async fn dump(copy: &RedisCopy, name: &str, key: &str) -> Value {
    copy.on_node(name).unwrap().send(redis::cmd("DUMP").arg(key)).await.unwrap()
}

async fn send(node: &Node, command: &str) {
    let words: Vec<&str> = command.split(' ').collect();
    node.send(redis::Cmd::new().arg(words)).await.unwrap();
}

/// Checks that a key is written down differently on some nodes, and is the same for those who compare.
async fn is_the_same(copy: &RedisCopy, key: &str) {
    let mut dumps = Vec::new();
    for name in NAMES {
        dumps.push(dump(copy, name, key).await);
    }
    assert!(dumps.iter().any(|dump| *dump != dumps[0]), "{key} is written down the same everywhere");
    assert_eq!(copy.verify().run().await.unwrap(), [], "{key}");
    for whole in [0, 64 << 20] {
        let repaired = copy.repair("b").from("a").dump_up_to(whole).run().await.unwrap();
        assert_eq!((repaired.copied, repaired.removed), (0, 0), "{key}: {repaired:?}");
    }
}

#[tokio::test]
async fn a_hyperloglog_is_the_same_after_some_node_has_counted_it() {
    let (_servers, copy) = copy().await;
    _ = copy.pfadd("visitors", (0..50).collect::<Vec<_>>()).await.unwrap();
    assert!(48 < copy.pfcount(&["visitors"]).await.unwrap());
    is_the_same(&copy, "visitors").await;
    // One that counts more is another one.
    send(&copy.on_node("c").unwrap(), "PFADD visitors x y z").await;
    assert_eq!(copy.verify().run().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_hyperloglog_is_the_same_whichever_way_it_is_written() {
    let (_servers, copy) = copy().await;
    send(&copy.on_node("b").unwrap(), "CONFIG SET hll-sparse-max-bytes 0").await;
    _ = copy.pfadd("sparse:or:dense", (0..50).collect::<Vec<_>>()).await.unwrap();
    is_the_same(&copy, "sparse:or:dense").await;
}

#[tokio::test]
async fn a_command_that_reads_changes_how_a_value_is_written_at_most() {
    let (_servers, copy) = copy().await;
    let a = copy.on_node("a").unwrap();
    let commands = [
        "SET string 12",
        "SET bits abc",
        "RPUSH list 1 2 3",
        "SADD set 1 2 3",
        "HSET hash f 1 g 2",
        "ZADD zset 1 a 2 b",
        "GEOADD geo 13.36 38.11 p 15.08 37.50 c",
        "XADD stream 1-1 f v",
        "PFADD hll a b c",
    ];
    for node in copy.nodes() {
        for command in commands {
            send(&node, command).await;
        }
    }
    let keys: Vec<String> = a.keys("*").await.unwrap();
    let dumps = async || {
        let mut dumps = Vec::new();
        for key in &keys {
            dumps.push((key.clone(), dump(&copy, "a", key).await));
        }
        dumps
    };
    let mut before = dumps().await;
    // Those of the table with the server's flag `readonly`, each on what it reads; whether it is an error does not matter.
    let commands: Vec<Value> =
        redis::from_redis_value(a.send(&redis::cmd("COMMAND")).await.unwrap()).unwrap();
    let mut changing = Vec::new();
    for command in commands {
        let Value::Array(parts) = command else { panic!("what is that?") };
        let name: String = redis::from_redis_value(parts[0].clone()).unwrap();
        let flags: Vec<String> = redis::from_redis_value(parts[2].clone()).unwrap();
        let has = |flag: &str| flags.iter().any(|found| found == flag);
        // Redis 6.2 calls the words of HTTP commands that read, and hangs up at them.
        let is_http = name == "post" || name == "host:";
        if !has("readonly") || has("blocking") || name == "xread" || is_http {
            continue;
        }
        for key in &keys {
            for rest in [
                &[][..],
                &["f"],
                &["0", "-1"],
                &["0"],
                &["-", "+"],
                &["p", "c"],
                &["0", "5", "LIMIT", "0", "1"],
            ] {
                let _any = a.send(redis::cmd(&name).arg(key).arg(rest)).await;
            }
        }
        let after = dumps().await;
        if after != before {
            changing.push(name);
            before = after;
        }
    }
    // The one writes the count that it found into the value, the other one gives a sorted set its larger form.
    changing.sort();
    assert!(changing == ["pfcount", "sort_ro"] || changing == ["pfcount"], "{changing:?}");
    assert_eq!(copy.verify().run().await.unwrap(), []);
}

/// The settings that have a value written down in its other form: lists in small nodes, nothing packed, nothing compressed.
const OTHER_FORM: [&str; 8] = [
    "list-max-ziplist-size 5",
    "list-compress-depth 1",
    "hash-max-ziplist-entries 0",
    "set-max-intset-entries 0",
    "set-max-listpack-entries 0",
    "zset-max-ziplist-entries 0",
    "stream-node-max-entries 3",
    "rdbcompression no",
];

/// Values of all types, such that each is written down in several ways. A score of -0 is one of 0.
async fn fill(node: &Node) {
    let many = |command: &str, words: &mut dyn Iterator<Item = String>| {
        format!("{command} {}", words.collect::<Vec<_>>().join(" "))
    };
    for command in [
        format!("SET text {}", "again ".repeat(20).trim().replace(' ', "_")),
        "SET number 12".to_owned(),
        many("RPUSH list", &mut (0..100).map(|i| format!("element{i}"))),
        many("SADD numbers", &mut (0..50).map(|i| i.to_string())),
        many("SADD set", &mut (0..50).map(|i| format!("m{i}"))),
        many("HSET hash", &mut (0..50).map(|i| format!("f{i} {i}"))),
        format!("ZADD zset -0 zero inf end -inf begin 0.1 tenth {} {}", 0.1 + 0.2, "more"),
        "GEOADD geo 13.36 38.11 p 15.08 37.50 c".to_owned(),
        "PFADD hll a b c d e".to_owned(),
    ] {
        send(node, &command).await;
    }
    for i in 1..20 {
        send(node, &format!("XADD stream {i}-1 field {i}")).await;
        send(node, &format!("XADD trimmed {i}-1 field {i}")).await;
    }
    for command in [
        "XDEL stream 7-1",
        "XTRIM trimmed MAXLEN 5",
        "XGROUP CREATE stream group 0",
        "XREADGROUP GROUP group consumer COUNT 3 STREAMS stream >",
    ] {
        send(node, command).await;
    }
}

const FILLED: [&str; 10] =
    ["text", "list", "numbers", "set", "hash", "zset", "geo", "stream", "trimmed", "hll"];

#[tokio::test]
async fn a_value_is_the_same_however_its_server_is_configured() {
    let (_servers, copy) = copy().await;
    for setting in OTHER_FORM.into_iter().chain(["hll-sparse-max-bytes 0"]) {
        let words: Vec<&str> = ["CONFIG", "SET"].into_iter().chain(setting.split(' ')).collect();
        // Before Redis 7.2 small sets have one form less.
        let _unknown = copy.on_node("b").unwrap().send(redis::Cmd::new().arg(words)).await;
    }
    for name in NAMES {
        fill(&copy.on_node(name).unwrap()).await;
    }
    for key in FILLED {
        is_the_same(&copy, key).await;
    }
}

#[tokio::test]
async fn a_value_is_the_same_whatever_way_it_came_to_be() {
    let (_servers, copy) = copy().await;
    for name in NAMES {
        fill(&copy.on_node(name).unwrap()).await;
    }
    let b = copy.on_node("b").unwrap();
    for commands in [
        "SADD numbers x,SREM numbers x",
        "SADD set x,SREM set x,SREM set m0,SADD set m0",
        "HDEL hash f0,HSET hash f0 0",
        "LPUSH list x,LPOP list,LINSERT list BEFORE element50 x,LREM list 1 x",
        "ZADD zset 7 x,ZREM zset x,ZADD zset 0 zero",
        "XREADGROUP GROUP group consumer COUNT 3 STREAMS stream 0",
        "PFADD hll a,PFCOUNT hll",
        "SETRANGE number 0 1",
    ] {
        for command in commands.split(',') {
            send(&b, command).await;
        }
        // Some take no trace of it, on some versions.
        assert_eq!(copy.verify().run().await.unwrap(), [], "{commands}");
        for whole in [0, 64 << 20] {
            let repaired = copy.repair("b").from("a").dump_up_to(whole).run().await.unwrap();
            assert_eq!((repaired.copied, repaired.removed), (0, 0), "{commands}: {repaired:?}");
        }
    }
}

#[tokio::test]
async fn a_value_is_the_same_on_servers_of_all_versions() {
    let mut servers = Vec::new();
    let mut builder = RedisCopy::builder();
    for named in &xtask::SERVERS {
        match Binary::named(named.name).unwrap() {
            Ok(binary) => {
                let server = Server::builder().binary(&binary).start().unwrap();
                builder = builder.node(named.name, &server.url());
                servers.push(server);
            }
            Err(error) => {
                xtask::skipped(&format!("{} cannot be had: {error}", named.name), Some("its values"));
            }
        }
    }
    let copy = builder.on_return(OnReturn::Wait).connect().await.unwrap();
    for node in copy.nodes() {
        fill(&node).await;
    }
    let verified = copy.verify().run().await.unwrap();
    assert_eq!(verified, []);
    assert_eq!((verified.compared, verified.nodes.len()), (11, servers.len()));
    let first = copy.nodes().next().unwrap().name().to_owned();
    for node in copy.nodes().skip(1) {
        for whole in [0, 64 << 20] {
            let repaired = copy.repair(node.name()).from(&first).dump_up_to(whole).run().await.unwrap();
            assert_eq!((repaired.copied, repaired.removed), (0, 0), "{}: {repaired:?}", node.name());
        }
    }
    for key in FILLED {
        send(&copy.on_node(&first).unwrap(), &format!("DEL {key}")).await;
    }
    assert_eq!(copy.verify().run().await.unwrap().len(), 10);
}

/// The commands that the test of reads leaves out: those that wait or have subcommands, and programs that may only read. The server counts its
/// changes, so also one is seen that leaves a value as it is written.
#[tokio::test]
async fn a_command_that_reads_streams_or_by_a_program_changes_nothing() {
    let server = Server::start().unwrap();
    let a = Node::connect(server.url()).await.unwrap();
    let programs = is_since(&a, (7, 0, 0), "programs that may only read").await;
    let library = "#!lua name=l\nredis.register_function{function_name = 'look', flags = {'no-writes'}, callback = \
                   function(keys) return redis.call('GET', keys[1]) end}\nredis.register_function{function_name = 'count', \
                   flags = {'no-writes'}, callback = function(keys) return redis.call('PFCOUNT', keys[1]) end}";
    for command in [
        "SET string 12",
        "PFADD hll a b c",
        "XADD stream 1-1 f v",
        "XADD stream 2-1 f v",
        "XGROUP CREATE stream group 0",
        "XREADGROUP GROUP group consumer COUNT 1 STREAMS stream >",
        "XGROUP CREATE stream idle $",
    ] {
        send(&a, command).await;
    }
    if programs {
        a.send(redis::cmd("FUNCTION").arg("LOAD").arg(library)).await.unwrap();
    }
    let reads =
        |words: &[&str]| words.iter().map(|words| words.split(' ').map(str::to_owned).collect()).collect();
    let mut commands: Vec<Vec<String>> = reads(&[
        "XREAD COUNT 1 STREAMS stream 0",
        "XREAD STREAMS stream none 0 0",
        "XREAD BLOCK 1 STREAMS stream 0",
        "XREAD BLOCK 1 STREAMS stream none $ $",
        "XINFO STREAM stream",
        "XINFO STREAM stream FULL",
        "XINFO GROUPS stream",
        "XINFO CONSUMERS stream group",
        "XPENDING stream group",
        "XPENDING stream group IDLE 0 - + 10",
        "XPENDING stream group - + 10 consumer",
        "XPENDING stream group - + 10 nobody",
        "OBJECT ENCODING stream",
        "OBJECT IDLETIME hll",
        "OBJECT REFCOUNT string",
        "MEMORY USAGE hll",
    ]);
    let program = |name: &str, code: &str, key: &str| [name, code, "1", key].map(str::to_owned).to_vec();
    if programs {
        let look = "return redis.call('GET', KEYS[1])";
        let sha = a.script_load(look).await.unwrap();
        commands.extend([
            program("EVAL_RO", look, "string"),
            program("EVALSHA_RO", &sha, "string"),
            program("EVAL_RO", "return redis.call('XREAD', 'STREAMS', KEYS[1], '0')", "stream"),
            program("EVAL_RO", "return redis.call('XPENDING', KEYS[1], 'group')", "stream"),
            program("FCALL_RO", "look", "string"),
            program("FCALL", "look", "string"),
            program("EVAL", "#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1])", "string"),
        ]);
    }
    let mut connection = a.dedicated().await.unwrap();
    // What would change something is refused in them, also where the server calls it a read.
    let refused = [
        program("EVAL_RO", "return redis.call('PFCOUNT', KEYS[1])", "hll"),
        program("EVAL_RO", "return redis.call('SET', KEYS[1], 1)", "string"),
        program("EVAL", "#!lua flags=no-writes\nreturn redis.call('PFCOUNT', KEYS[1])", "hll"),
        program("FCALL_RO", "count", "hll"),
    ];
    let refused = refused.into_iter().map(|words| (words, false)).filter(|_| programs);
    let state = async || {
        let mut dumps = Vec::new();
        for key in ["string", "hll", "stream"] {
            dumps.push(a.send(redis::cmd("DUMP").arg(key)).await.unwrap());
        }
        let info = a.info_with(&["persistence"]).await.unwrap();
        (info.get("persistence", "rdb_changes_since_last_save").unwrap().to_owned(), dumps)
    };
    for (words, is_answered) in commands.into_iter().map(|words| (words, true)).chain(refused) {
        let before = state().await;
        let reply = redis::Cmd::new().arg(&words).query_async::<Value>(&mut connection).await;
        assert_eq!(reply.is_ok(), is_answered, "{words:?}: {reply:?}");
        assert!(state().await == before, "{words:?} changes something");
    }
}

//! Every typed method on real servers: on a node, on a ring of three and on a copy of three it returns what the same
//! words return on one server through plain redis-rs.
//!
//! A command that a copy refuses must be refused; one that is newer than the servers must fail on both sides.

mod edges;
mod stage;

use std::fs;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use redis::Direction;
use redis::ExpireOption;
use redis::IncrexOptions;
use redis::Role;
use redis::Value;
use redis::cmd;
use redisdb_node::Node;
use redisdb_node::commands::*;
use redisdb_tests::copy_over;
use redisdb_tests::eventually;
use redisdb_tests::is_since;
use redisdb_tests::ring_over;
use xtask::Server;
use xtask::Servers;

use self::stage::Stage;
use self::stage::Store;
use self::stage::expires;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// 2100-01-01.
const FAR: Duration = Duration::from_secs(4_102_444_800);

fn far() -> SystemTime {
    UNIX_EPOCH + FAR
}

/// Calls every method.
async fn every_method<S: Store>(store: S, copied: &[String]) {
    let s = Stage::new(store, copied).await;
    strings(&s).await;
    s.copies_are_equal().await;
    keys(&s).await;
    s.copies_are_equal().await;
    hashes(&s).await;
    s.copies_are_equal().await;
    field_expiry(&s).await;
    s.copies_are_equal().await;
    lists(&s).await;
    s.copies_are_equal().await;
    sets(&s).await;
    s.copies_are_equal().await;
    sorted_sets(&s).await;
    s.copies_are_equal().await;
    sorted_sets_combined(&s).await;
    s.copies_are_equal().await;
    bitmaps(&s).await;
    s.copies_are_equal().await;
    hyperloglogs(&s).await;
    s.copies_are_equal().await;
    places(&s).await;
    s.copies_are_equal().await;
    streams(&s).await;
    s.copies_are_equal().await;
    consumer_groups(&s).await;
    s.copies_are_equal().await;
    edges::of_no_key(&s).await;
    s.copies_are_equal().await;
    edges::of_no_entry(&s).await;
    s.copies_are_equal().await;
    users(&s).await;
    connections(&s).await;
    s.copies_are_equal().await;
    server(&s).await;
    s.copies_are_equal().await;
}

/// Runs a future whose state machine, in a debug build, is larger than the stack of a test.
fn on_a_large_stack<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test());
    // By its name the test is known that leaves something out.
    let name = std::thread::current().name().unwrap().to_owned();
    std::thread::Builder::new().name(name).stack_size(256 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn every_method_on_a_node_answers_as_one_server_does() {
    on_a_large_stack(async || {
        let server = Server::start().unwrap();
        every_method(Node::connect(server.url()).await.unwrap(), &[]).await;
    });
}

#[test]
fn every_method_over_resp3_answers_as_one_server_does() {
    on_a_large_stack(async || {
        let server = Server::start().unwrap();
        every_method(Node::connect(server.url()).await.unwrap().in_resp3(), &[]).await;
    });
}

#[test]
fn every_method_on_a_ring_answers_as_one_server_does() {
    on_a_large_stack(async || {
        let servers = Servers::start(3).unwrap();
        every_method(ring_over(&servers).await, &[]).await;
    });
}

#[test]
fn every_method_on_a_copy_answers_as_one_server_does() {
    on_a_large_stack(async || {
        let servers = Servers::start(3).unwrap();
        every_method(copy_over(&servers).await, &servers.urls()).await;
    });
}

async fn strings<S: Store>(s: &Stage<S>) {
    let e = &s.store;
    s.write(e.set("k", "value"), "SET k value").await;
    s.read(e.get::<String>("k"), "GET k").await;
    s.read(e.get::<Vec<u8>>("none"), "GET none").await;
    s.write(e.append("k", "s"), "APPEND k s").await;
    s.read(e.strlen("k"), "STRLEN k").await;
    s.read(e.getrange::<String>("k", 1, -2), "GETRANGE k 1 -2").await;
    s.read(e.substr::<String>("k", 1, -2), "SUBSTR k 1 -2").await;
    s.write(e.setrange("k", 8, "x"), "SETRANGE k 8 x").await;
    s.read(e.get::<Vec<u8>>("k"), "GET k").await;
    s.fails(e.incr("k"), "INCR k").await;

    s.write(e.incr("n"), "INCR n").await;
    s.write(e.incrby("n", 41), "INCRBY n 41").await;
    s.write(e.decr("n"), "DECR n").await;
    s.write(e.decrby("n", 50), "DECRBY n 50").await;
    s.read(e.get::<i64>("n"), "GET n").await;
    s.write(e.incrbyfloat("f", 0.5), "INCRBYFLOAT f 0.5").await;
    s.read(e.get::<f64>("f"), "GET f").await;

    s.write(e.set_with("o", 1, SetOptions::new().ex(HOUR)), "SET o 1 EX 3600").await;
    s.write(e.set_with("o", 2, SetOptions::new().nx()), "SET o 2 NX").await;
    s.write(e.set_with("o", 3, SetOptions::new().xx().keepttl()), "SET o 3 XX KEEPTTL").await;
    s.lives(e.ttl("o"), "TTL o", SECOND).await;
    s.write(e.set_with("o", 4, SetOptions::new().px(HOUR)), "SET o 4 PX 3600000").await;
    s.write(e.set_with("o", 5, SetOptions::new().exat(far())), "SET o 5 EXAT 4102444800").await;
    s.write(e.set_with("o", 6, SetOptions::new().pxat(far())), "SET o 6 PXAT 4102444800000").await;
    s.write(e.set_get::<u8>("o", 7, SetOptions::new()), "SET o 7 GET").await;
    s.write(e.getset::<u8>("o", 8), "GETSET o 8").await;
    s.write(e.setnx("o", 9), "SETNX o 9").await;
    s.write(e.getex::<u8>("o", HOUR), "GETEX o PX 3600000").await;
    s.lives(e.pttl("o"), "PTTL o", MS).await;
    s.write(e.getex_with::<u8>("o", GetExOptions::new().persist()), "GETEX o PERSIST").await;
    s.lives(e.ttl("o"), "TTL o", SECOND).await;
    s.write(e.setex("o", HOUR, 10), "SETEX o 3600 10").await;
    s.write(e.psetex("o", HOUR, 11), "PSETEX o 3600000 11").await;
    s.fails(e.setex("o", Duration::ZERO, 1), "SETEX o 0 1").await;
    s.read(e.get::<u8>("o"), "GET o").await;
    s.write(e.getdel::<u8>("o"), "GETDEL o").await;
    s.lives(e.ttl("o"), "TTL o", SECOND).await;

    s.write(e.mset([("a", 1), ("b", 2), ("c", 3)]), "MSET a 1 b 2 c 3").await;
    s.read(e.mget::<u8>(&["c", "none", "a", "b", "a"]), "MGET c none a b a").await;
    s.write(e.msetnx([("{t}a", 1), ("{t}b", 2)]), "MSETNX {t}a 1 {t}b 2").await;
    s.read(e.mget::<u8>(&["{t}a", "{t}b"]), "MGET {t}a {t}b").await;

    s.write(e.mset([("{l}a", "ohmytext"), ("{l}b", "mynewtext")]), "MSET {l}a ohmytext {l}b mynewtext").await;
    s.read(e.lcs::<String>("{l}a", "{l}b"), "LCS {l}a {l}b").await;
    s.read(e.lcs_len("{l}a", "{l}b"), "LCS {l}a {l}b LEN").await;
    s.read(e.lcs_idx("{l}a", "{l}b", 4), "LCS {l}a {l}b IDX MINMATCHLEN 4 WITHMATCHLEN").await;

    s.read(e.digest("a"), "DIGEST a").await;
    s.write(
        e.msetex([("{m}a", 1), ("{m}b", 2)], SetOptions::new().ex(HOUR)),
        "MSETEX 2 {m}a 1 {m}b 2 EX 3600",
    )
    .await;
    s.write(e.delex("{m}a", ValueIs::equal_to(1)), "DELEX {m}a IFEQ 1").await;
    s.write(e.set("eq", 1), "SET eq 1").await;
    if s.has_since([Some((8, 4, 0)), Some((8, 1, 0))], "SET IFEQ") {
        let hour = SetOptions::new().ex(HOUR);
        s.write(e.set_if("eq", 2, ValueIs::equal_to(1), hour), "SET eq 2 IFEQ 1 EX 3600").await;
        s.lives(e.ttl("eq"), "TTL eq", SECOND).await;
        s.write(e.set_if("eq", 3, ValueIs::equal_to(1), hour), "SET eq 3 IFEQ 1 EX 3600").await;
        s.write(e.set_if("none", 3, ValueIs::equal_to(1), hour), "SET none 3 IFEQ 1 EX 3600").await;
        s.read(e.mget::<u8>(&["eq", "none"]), "MGET eq none").await;
    }
    if s.has_since([Some((8, 4, 0)), None], "SET IFNE") {
        let options = SetOptions::new();
        s.write(e.set_if("eq", 4, ValueIs::other_than(4), options), "SET eq 4 IFNE 4").await;
        s.write(e.set_if("eq", 5, ValueIs::other_than(4), options), "SET eq 5 IFNE 4").await;
    }
    s.write(e.delifeq("eq", 7), "DELIFEQ eq 7").await;
    s.write(e.delifeq("eq", 2), "DELIFEQ eq 2").await;
    s.read(e.exists("eq"), "EXISTS eq").await;
    let nx = SetOptions::new().nx();
    s.write(e.msetex([("{m}a", 3), ("{m}c", 4)], nx), "MSETEX 2 {m}a 3 {m}c 4 NX").await;
    let xx = SetOptions::new().xx().keepttl();
    s.write(e.msetex([("{m}a", "NX"), ("{m}b", "XX")], xx), "MSETEX 2 {m}a NX {m}b XX XX KEEPTTL").await;
    s.read(e.mget::<String>(&["{m}a", "{m}b", "{m}c"]), "MGET {m}a {m}b {m}c").await;
    s.write(e.increx("{m}n", 5, IncrexOptions::default().upper_bound(9)), "INCREX {m}n BYINT 5 UBOUND 9")
        .await;
    s.write(e.increx_float("{m}f", 0.5, IncrexOptions::default()), "INCREX {m}f BYFLOAT 0.5").await;
}

async fn keys<S: Store>(s: &Stage<S>) {
    let e = &s.store;
    s.write(e.mset([("{k}a", 1), ("{k}b", 2)]), "MSET {k}a 1 {k}b 2").await;
    s.read(e.exists(&["{k}a", "{k}b", "{k}a", "none"]), "EXISTS {k}a {k}b {k}a none").await;
    s.read(e.touch(&["{k}a", "none", "a", "b"]), "TOUCH {k}a none a b").await;
    s.read(e.key_type("{k}a"), "TYPE {k}a").await;
    s.read(e.key_type("none"), "TYPE none").await;
    s.write(e.copy("{k}a", "{k}b"), "COPY {k}a {k}b").await;
    let options = CopyOptions::new().db(0).replace();
    s.write(e.copy_with("{k}a", "{k}b", options), "COPY {k}a {k}b DB 0 REPLACE").await;
    s.read(e.get::<u8>("{k}b"), "GET {k}b").await;
    s.write(e.rename("{k}b", "{k}c"), "RENAME {k}b {k}c").await;
    s.write(e.renamenx("{k}c", "{k}a"), "RENAMENX {k}c {k}a").await;
    s.fails(e.rename("{k}none", "{k}b"), "RENAME {k}none {k}b").await;
    s.write(e.move_to_db("{k}c", 1), "MOVE {k}c 1").await;
    s.read(e.keys::<String>("{k}*"), "KEYS {k}*").await;

    s.write(e.expire("{k}a", HOUR), "EXPIRE {k}a 3600").await;
    s.lives(e.ttl("{k}a"), "TTL {k}a", SECOND).await;
    s.write(e.pexpire("{k}a", HOUR), "PEXPIRE {k}a 3600000").await;
    s.lives(e.pttl("{k}a"), "PTTL {k}a", MS).await;
    s.write(e.persist("{k}a"), "PERSIST {k}a").await;
    s.lives(e.pttl("{k}a"), "PTTL {k}a", MS).await;
    s.write(e.expireat("{k}a", far()), "EXPIREAT {k}a 4102444800").await;
    s.read_as(e.expiretime("{k}a"), "EXPIRETIME {k}a", expires(SECOND)).await;
    s.write(e.pexpireat("{k}a", far() + MS), "PEXPIREAT {k}a 4102444800001").await;
    s.read_as(e.pexpiretime("{k}a"), "PEXPIRETIME {k}a", expires(MS)).await;
    s.read_as(e.pexpiretime("none"), "PEXPIRETIME none", expires(MS)).await;
    if s.is_since((7, 0, 0), "EXPIRE with a condition") {
        s.write(e.expire_with("{k}a", HOUR, ExpireOption::NX), "EXPIRE {k}a 3600 NX").await;
        s.write(e.expireat_with("{k}a", far(), ExpireOption::GT), "EXPIREAT {k}a 4102444800 GT").await;
        s.write(e.pexpire_with("{k}a", HOUR, ExpireOption::LT), "PEXPIRE {k}a 3600000 LT").await;
        s.write(e.pexpireat_with("{k}a", far(), ExpireOption::XX), "PEXPIREAT {k}a 4102444800000 XX").await;
    }
    s.write(e.expire("{k}a", Duration::ZERO), "EXPIRE {k}a 0").await;
    s.read(e.exists("{k}a"), "EXISTS {k}a").await;

    s.write(e.set("d", "dumped"), "SET d dumped").await;
    s.read(e.dump("d"), "DUMP d").await;
    s.read(e.dump("none"), "DUMP none").await;
    let dump: Vec<u8> = s.plain("DUMP d").await.unwrap();
    let restore = |key: &str, ttl: u64| cmd("RESTORE").arg(key).arg(ttl).arg(&dump).take();
    s.write_cmd(e.restore("r", HOUR, &dump), restore("r", 3_600_000)).await;
    s.lives(e.ttl("r"), "TTL r", SECOND).await;
    let options = RestoreOptions::new().expires_at(far()).replace();
    let words = restore("r", 4_102_444_800_000).arg("REPLACE").arg("ABSTTL").take();
    s.write_cmd(e.restore_with("r", &dump, options), words).await;
    s.read_as(e.pexpiretime("r"), "PEXPIRETIME r", expires(MS)).await;
    s.read(e.get::<String>("r"), "GET r").await;

    s.read(e.object_encoding("d"), "OBJECT ENCODING d").await;
    s.read(e.object_encoding("none"), "OBJECT ENCODING none").await;
    s.read(e.object_refcount("d"), "OBJECT REFCOUNT d").await;
    let idle = |seconds: Option<u64>| seconds.map(Duration::from_secs);
    s.read_as(e.object_idletime("none"), "OBJECT IDLETIME none", idle).await;
    assert!(e.object_idletime("d").await.unwrap().unwrap() < HOUR);
    s.fails(e.object_freq("d"), "OBJECT FREQ d").await;

    s.write(e.rpush("{s}l", &[3, 1, 2]), "RPUSH {s}l 3 1 2").await;
    s.write(e.mset([("{s}w1", 9), ("{s}w2", 8), ("{s}w3", 7)]), "MSET {s}w1 9 {s}w2 8 {s}w3 7").await;
    s.write(e.sort::<u8>("{s}l"), "SORT {s}l").await;
    s.read(e.sort_ro::<u8>("{s}l"), "SORT_RO {s}l").await;
    let options = SortOptions::new().by("{s}w*").limit(0, 2).get("#").get("{s}w*").desc().alpha();
    let words = "{s}l BY {s}w* LIMIT 0 2 GET # GET {s}w* DESC ALPHA";
    s.write(e.sort_with::<(u8, Option<u8>)>("{s}l", options.clone()), &format!("SORT {words}")).await;
    s.read(e.sort_ro_with::<Option<u8>>("{s}l", options), &format!("SORT_RO {words}")).await;
    s.write(e.sort_store("{s}l", "{s}to", SortOptions::new().desc()), "SORT {s}l DESC STORE {s}to").await;
    s.read(e.lrange::<u8>("{s}to", 0, -1), "LRANGE {s}to 0 -1").await;

    s.write(e.del(&["a", "b", "none"]), "DEL a b none").await;
    s.write(e.delete("c"), "DEL c").await;
    s.write(e.unlink(&["{t}a", "d", "none"]), "UNLINK {t}a d none").await;
    assert!(e.randomkey::<String>().await.unwrap().is_some());
    s.write(e.flushdb(), "FLUSHDB").await;
    s.read(e.randomkey::<String>(), "RANDOMKEY").await;
    s.write(e.set("k", 1), "SET k 1").await;
    s.read(e.randomkey::<String>(), "RANDOMKEY").await;
    if s.on_one_server(e.scan::<String>(0), "SCAN 0").await {
        s.read(e.scan::<String>(0), "SCAN 0").await;
    }
    let options = ScanOptions::new().pattern("k*").count(100);
    if s.on_one_server(e.scan_with::<String>(0, options.clone()), "SCAN 0").await {
        s.read(e.scan_with::<String>(0, options), "SCAN 0 MATCH k* COUNT 100").await;
    }
}

async fn hashes<S: Store>(s: &Stage<S>) {
    let e = &s.store;
    s.write(e.hset("h", "f", 1), "HSET h f 1").await;
    s.write(e.hset("h", "f", 2), "HSET h f 2").await;
    s.read(e.hrandfield::<String>("h"), "HRANDFIELD h").await;
    s.read(e.hrandfield::<String>("none"), "HRANDFIELD none").await;
    s.read(e.hrandfield_count::<String>("h", -2), "HRANDFIELD h -2").await;
    s.read(e.hrandfield_withvalues::<String, u8>("h", 2), "HRANDFIELD h 2 WITHVALUES").await;
    s.write(e.hset_multiple("h", [("f", 3), ("g", 4)]), "HSET h f 3 g 4").await;
    s.write(e.hmset("h", [("i", "x"), ("j", "")]), "HMSET h i x j ").await;
    s.write(e.hsetnx("h", "f", 1), "HSETNX h f 1").await;
    s.read(e.hget::<u8>("h", "f"), "HGET h f").await;
    s.read(e.hget::<u8>("h", "none"), "HGET h none").await;
    s.read(e.hmget::<String>("h", &["g", "none", "j"]), "HMGET h g none j").await;
    s.read(e.hgetall::<String, String>("h"), "HGETALL h").await;
    s.read(e.hgetall::<String, String>("none"), "HGETALL none").await;
    s.read(e.hkeys::<String>("h"), "HKEYS h").await;
    s.read(e.hvals::<String>("h"), "HVALS h").await;
    s.read(e.hlen("h"), "HLEN h").await;
    s.read(e.hstrlen("h", "i"), "HSTRLEN h i").await;
    s.read(e.hexists("h", "f"), "HEXISTS h f").await;
    s.read(e.hexists("h", "none"), "HEXISTS h none").await;
    s.write(e.hincrby("h", "f", -10), "HINCRBY h f -10").await;
    s.write(e.hincrbyfloat("h", "f", 0.5), "HINCRBYFLOAT h f 0.5").await;
    s.read(e.hscan::<String, String>("h", 0), "HSCAN h 0").await;
    let options = ScanOptions::new().pattern("[fg]").count(100);
    s.read(e.hscan_with::<String, String>("h", 0, options), "HSCAN h 0 MATCH [fg] COUNT 100").await;
    s.write(e.hdel("h", &["f", "g", "none"]), "HDEL h f g none").await;
    s.fails(e.get::<String>("h"), "GET h").await;
}

/// Since Redis 7.4; on an older server both sides fail.
async fn field_expiry<S: Store>(s: &Stage<S>) {
    let e = &s.store;
    let fields = &["f", "none"];
    s.write(e.hset_multiple("x", [("f", 1), ("g", 2)]), "HSET x f 1 g 2").await;
    s.write(e.hexpire("x", HOUR, fields), "HEXPIRE x 3600 FIELDS 2 f none").await;
    s.write(e.hexpire_with("x", HOUR, ExpireOption::NX, fields), "HEXPIRE x 3600 NX FIELDS 2 f none").await;
    s.write(e.hpexpire("x", HOUR, fields), "HPEXPIRE x 3600000 FIELDS 2 f none").await;
    s.write(e.hpexpire_with("x", HOUR, ExpireOption::XX, "f"), "HPEXPIRE x 3600000 XX FIELDS 1 f").await;
    s.write(e.hexpireat("x", far(), fields), "HEXPIREAT x 4102444800 FIELDS 2 f none").await;
    s.write(e.hexpireat_with("x", far(), ExpireOption::GT, "f"), "HEXPIREAT x 4102444800 GT FIELDS 1 f")
        .await;
    s.write(e.hpexpireat("x", far(), fields), "HPEXPIREAT x 4102444800000 FIELDS 2 f none").await;
    let words = "HPEXPIREAT x 4102444800000 LT FIELDS 1 f";
    s.write(e.hpexpireat_with("x", far(), ExpireOption::LT, "f"), words).await;
    let all = &["f", "g", "none"];
    let at = |unit| move |numbers: Vec<i64>| numbers.into_iter().map(expires(unit)).collect::<Vec<_>>();
    s.read_as(e.hexpiretime("x", all), "HEXPIRETIME x FIELDS 3 f g none", at(SECOND)).await;
    s.read_as(e.hpexpiretime("x", all), "HPEXPIRETIME x FIELDS 3 f g none", at(MS)).await;
    s.write(e.hpersist("x", all), "HPERSIST x FIELDS 3 f g none").await;
    let ttl = |numbers: Vec<i64>| {
        let ttl = |number| if number == -2 { TimeToLive::Missing } else { TimeToLive::Persistent };
        numbers.into_iter().map(ttl).collect::<Vec<_>>()
    };
    s.read_as(e.httl("x", all), "HTTL x FIELDS 3 f g none", ttl).await;
    s.read_as(e.hpttl("x", all), "HPTTL x FIELDS 3 f g none", ttl).await;
    let options = GetExOptions::new().exat(far());
    s.write(e.hgetex::<u8>("x", options, fields), "HGETEX x EXAT 4102444800 FIELDS 2 f none").await;
    let options = HsetExOptions::new().pxat(far());
    s.write(e.hsetex("x", options, [("f", 5)]), "HSETEX x PXAT 4102444800000 FIELDS 1 f 5").await;
    let fnx = HsetExOptions::new().fnx().ex(HOUR);
    s.write(e.hsetex("x", fnx, [("f", 6)]), "HSETEX x FNX EX 3600 FIELDS 1 f 6").await;
    s.write(e.hsetex("x", fnx, [("FNX", 7)]), "HSETEX x FNX EX 3600 FIELDS 1 FNX 7").await;
    let fxx = HsetExOptions::new().fxx();
    s.write(e.hsetex("x", fxx, [("f", 8)]), "HSETEX x FXX FIELDS 1 f 8").await;
    s.read(e.hgetall::<String, String>("x"), "HGETALL x").await;
    s.write(e.hexpireat("x", SystemTime::UNIX_EPOCH + SECOND, &["g"]), "HEXPIREAT x 1 FIELDS 1 g").await;
    s.write(e.hgetdel::<u8>("x", fields), "HGETDEL x FIELDS 2 f none").await;
    s.read(e.hgetall::<String, String>("x"), "HGETALL x").await;
}

async fn lists<S: Store>(s: &Stage<S>) {
    let e = &s.store;
    s.write(e.rpush("l", &["a", "b", "c", "a"]), "RPUSH l a b c a").await;
    s.write(e.lpush("l", &["x", "y"]), "LPUSH l x y").await;
    s.write(e.rpushx("l", "z"), "RPUSHX l z").await;
    s.write(e.lpushx("none", "z"), "LPUSHX none z").await;
    s.read(e.lrange::<String>("l", 0, -1), "LRANGE l 0 -1").await;
    s.read(e.llen("l"), "LLEN l").await;
    s.read(e.lindex::<String>("l", -1), "LINDEX l -1").await;
    s.read(e.lindex::<String>("l", 99), "LINDEX l 99").await;
    s.write(e.linsert("l", ListPlace::Before, "b", "q"), "LINSERT l BEFORE b q").await;
    s.write(e.linsert("l", ListPlace::After, "b", "q"), "LINSERT l AFTER b q").await;
    s.write(e.linsert("l", ListPlace::After, "none", "q"), "LINSERT l AFTER none q").await;
    s.read(e.lpos("l", "q"), "LPOS l q").await;
    s.read(e.lpos("l", "none"), "LPOS l none").await;
    let options = LposOptions::new().rank(-1).maxlen(99);
    s.read(e.lpos_with("l", "q", options), "LPOS l q RANK -1 MAXLEN 99").await;
    s.read(e.lpos_count("l", "q", 0, options), "LPOS l q COUNT 0 RANK -1 MAXLEN 99").await;
    s.write(e.lset("l", 0, "first"), "LSET l 0 first").await;
    s.fails(e.lset("l", 99, "x"), "LSET l 99 x").await;
    s.write(e.lrem("l", -1, "a"), "LREM l -1 a").await;
    s.write(e.ltrim("l", 0, -2), "LTRIM l 0 -2").await;
    s.write(e.lpop::<String>("l"), "LPOP l").await;
    s.write(e.rpop::<String>("l"), "RPOP l").await;
    s.write(e.lpop::<String>("none"), "LPOP none").await;
    s.write(e.lpop_count::<String>("l", 1), "LPOP l 1").await;
    s.write(e.rpop_count::<String>("l", 1), "RPOP l 1").await;
    s.write(e.rpop_count::<String>("none", 1), "RPOP none 1").await;
    s.read(e.lrange::<String>("l", 0, -1), "LRANGE l 0 -1").await;
    s.write(e.rpush("{m}a", &[1, 2, 3, 4]), "RPUSH {m}a 1 2 3 4").await;
    s.write(e.rpoplpush::<u8>("{m}a", "{m}b"), "RPOPLPUSH {m}a {m}b").await;
    let (from, to) = (Direction::Left, Direction::Right);
    s.write(e.lmove::<u8>("{m}a", "{m}b", from, to), "LMOVE {m}a {m}b LEFT RIGHT").await;
    let lmpop = e.lmpop::<String, u8>(&["{m}none", "{m}b"], Direction::Left, 5);
    s.write(lmpop, "LMPOP 2 {m}none {m}b LEFT COUNT 5").await;
    s.write(e.lmpop::<String, u8>("{m}none", Direction::Left, 5), "LMPOP 1 {m}none LEFT COUNT 5").await;
}

async fn sets<S: Store>(s: &Stage<S>) {
    let e = &s.store;
    let two = &["{s}a", "{s}b"];
    s.write(e.sadd("{s}a", &[1, 2, 3]), "SADD {s}a 1 2 3").await;
    s.write(e.sadd("{s}b", &[3, 4]), "SADD {s}b 3 4").await;
    s.read(e.scard("{s}a"), "SCARD {s}a").await;
    s.read(e.smembers::<u8>("{s}a"), "SMEMBERS {s}a").await;
    s.read(e.sismember("{s}a", 1), "SISMEMBER {s}a 1").await;
    s.read(e.smismember("{s}a", &[1, 9]), "SMISMEMBER {s}a 1 9").await;
    s.read(e.sdiff::<u8>(two), "SDIFF {s}a {s}b").await;
    s.read(e.sinter::<u8>(two), "SINTER {s}a {s}b").await;
    s.read(e.sunion::<u8>(two), "SUNION {s}a {s}b").await;
    s.read(e.sintercard(two), "SINTERCARD 2 {s}a {s}b").await;
    s.read(e.sintercard_limit(two, 1), "SINTERCARD 2 {s}a {s}b LIMIT 1").await;
    s.write(e.sdiffstore("{s}d", two), "SDIFFSTORE {s}d {s}a {s}b").await;
    s.write(e.sinterstore("{s}i", two), "SINTERSTORE {s}i {s}a {s}b").await;
    s.write(e.sunionstore("{s}u", two), "SUNIONSTORE {s}u {s}a {s}b").await;
    s.read(e.sscan::<u8>("{s}u", 0), "SSCAN {s}u 0").await;
    let options = ScanOptions::new().pattern("[12]").count(100);
    s.read(e.sscan_with::<u8>("{s}u", 0, options), "SSCAN {s}u 0 MATCH [12] COUNT 100").await;
    s.write(e.smove("{s}a", "{s}b", 1), "SMOVE {s}a {s}b 1").await;
    s.write(e.srem("{s}b", &[3, 4, 9]), "SREM {s}b 3 4 9").await;
    s.read(e.srandmember::<u8>("{s}b"), "SRANDMEMBER {s}b").await;
    s.read(e.srandmember_count::<u8>("{s}b", -2), "SRANDMEMBER {s}b -2").await;
    s.write(e.spop::<u8>("{s}b"), "SPOP {s}b").await;
    s.write(e.spop::<u8>("{s}b"), "SPOP {s}b").await;
    s.write(e.spop_count::<u8>("{s}u", 9), "SPOP {s}u 9").await;
}

async fn sorted_sets<S: Store>(s: &Stage<S>) {
    let e = &s.store;
    s.write(e.zadd("z", [(1.0, "a"), (2.5, "b"), (f64::INFINITY, "c")]), "ZADD z 1 a 2.5 b inf c").await;
    s.write(e.zadd_with("z", [(2.0, "b")], ZaddOptions::new().ch()), "ZADD z CH 2 b").await;
    s.write(e.zadd_with("z", [(3.0, "b")], ZaddOptions::new().xx().gt()), "ZADD z XX GT 3 b").await;
    s.write(e.zadd_incr("z", "a", 1.5, ZaddOptions::new()), "ZADD z INCR 1.5 a").await;
    s.write(e.zincrby("z", "b", -0.5), "ZINCRBY z -0.5 b").await;
    s.read(e.zcard("z"), "ZCARD z").await;
    s.read(e.zscore("z", "c"), "ZSCORE z c").await;
    s.read(e.zscore("z", "none"), "ZSCORE z none").await;
    s.read(e.zmscore("z", &["a", "none"]), "ZMSCORE z a none").await;
    s.read(e.zcount("z", ScoreBound::Excluding(1.0), "inf"), "ZCOUNT z (1 inf").await;
    s.read(e.zrank("z", "b"), "ZRANK z b").await;
    s.read(e.zrank("z", "none"), "ZRANK z none").await;
    s.read(e.zrevrank("z", "b"), "ZREVRANK z b").await;
    if s.is_since((7, 2, 0), "ZRANK and ZREVRANK with WITHSCORE") {
        s.read(e.zrank_withscore("z", "b"), "ZRANK z b WITHSCORE").await;
        s.read(e.zrevrank_withscore("z", "b"), "ZREVRANK z b WITHSCORE").await;
    }
    s.read(e.zrange::<String>("z", 0, -1), "ZRANGE z 0 -1").await;
    s.read(e.zrange_withscores::<String>("z", 0, -1), "ZRANGE z 0 -1 WITHSCORES").await;
    let options = ZrangeOptions::new().byscore().rev().limit(0, 2);
    s.read(e.zrange_with::<String>("z", "inf", 1, options), "ZRANGE z inf 1 BYSCORE REV LIMIT 0 2").await;
    let words = "ZRANGE z inf 1 BYSCORE REV LIMIT 0 2 WITHSCORES";
    s.read(e.zrange_withscores_with::<String>("z", "inf", 1, options), words).await;
    s.read(e.zrevrange::<String>("z", 0, 1), "ZREVRANGE z 0 1").await;
    s.read(e.zrevrange_withscores::<String>("z", 0, 1), "ZREVRANGE z 0 1 WITHSCORES").await;
    let limit = Limit::new(1, 1);
    s.read(e.zrangebyscore::<String>("z", 1, 9), "ZRANGEBYSCORE z 1 9").await;
    s.read(e.zrangebyscore_with::<String>("z", 1, 9, limit), "ZRANGEBYSCORE z 1 9 LIMIT 1 1").await;
    s.read(e.zrangebyscore_withscores::<String>("z", 1, 9), "ZRANGEBYSCORE z 1 9 WITHSCORES").await;
    let words = "ZRANGEBYSCORE z 1 9 WITHSCORES LIMIT 1 1";
    s.read(e.zrangebyscore_withscores_with::<String>("z", 1, 9, limit), words).await;
    s.read(e.zrevrangebyscore::<String>("z", 9, 1), "ZREVRANGEBYSCORE z 9 1").await;
    s.read(e.zrevrangebyscore_with::<String>("z", 9, 1, limit), "ZREVRANGEBYSCORE z 9 1 LIMIT 1 1").await;
    s.read(e.zrevrangebyscore_withscores::<String>("z", 9, 1), "ZREVRANGEBYSCORE z 9 1 WITHSCORES").await;
    let words = "ZREVRANGEBYSCORE z 9 1 WITHSCORES LIMIT 1 1";
    s.read(e.zrevrangebyscore_withscores_with::<String>("z", 9, 1, limit), words).await;
    s.read(e.zscan::<String>("z", 0), "ZSCAN z 0").await;
    let options = ScanOptions::new().pattern("[ab]").count(100);
    s.read(e.zscan_with::<String>("z", 0, options), "ZSCAN z 0 MATCH [ab] COUNT 100").await;

    s.write(e.zadd("y", [(0.0, "a"), (0.0, "b"), (0.0, "c"), (0.0, "d")]), "ZADD y 0 a 0 b 0 c 0 d").await;
    let (b, c) = (LexBound::Excluding("b"), LexBound::Including("c"));
    s.read(e.zlexcount("y", LexBound::Lowest::<&str>, c.clone()), "ZLEXCOUNT y - [c").await;
    s.read(e.zrangebylex::<String>("y", b.clone(), LexBound::Highest::<&str>), "ZRANGEBYLEX y (b +").await;
    s.read(e.zrangebylex_with::<String>("y", "-", "+", limit), "ZRANGEBYLEX y - + LIMIT 1 1").await;
    s.read(e.zrevrangebylex::<String>("y", "+", b.clone()), "ZREVRANGEBYLEX y + (b").await;
    s.read(e.zrevrangebylex_with::<String>("y", "+", "-", limit), "ZREVRANGEBYLEX y + - LIMIT 1 1").await;
    s.write(e.zremrangebylex("y", b, c), "ZREMRANGEBYLEX y (b [c").await;
    s.write(e.zremrangebyrank("y", 0, 0), "ZREMRANGEBYRANK y 0 0").await;
    s.write(e.zremrangebyscore("y", 1, 2), "ZREMRANGEBYSCORE y 1 2").await;
    s.write(e.zrem("y", &["b", "none"]), "ZREM y b none").await;
    s.read(e.zrandmember::<String>("y"), "ZRANDMEMBER y").await;
    s.read(e.zrandmember::<String>("none"), "ZRANDMEMBER none").await;
    s.read(e.zrandmember_count::<String>("y", -2), "ZRANDMEMBER y -2").await;
    s.read(e.zrandmember_withscores::<String>("y", 2), "ZRANDMEMBER y 2 WITHSCORES").await;
    s.write(e.zpopmin::<String>("z", 1), "ZPOPMIN z 1").await;
    s.write(e.zpopmax::<String>("z", 9), "ZPOPMAX z 9").await;
    s.write(e.zpopmax::<String>("z", 9), "ZPOPMAX z 9").await;
}

async fn sorted_sets_combined<S: Store>(s: &Stage<S>) {
    let e = &s.store;
    let two = &["{z}a", "{z}b"];
    let combine = || CombineOptions::new().weights([1.0, 0.5]).aggregate(Aggregate::Max);
    let how = "WEIGHTS 1 0.5 AGGREGATE MAX";
    s.write(e.zadd("{z}a", [(1.0, "m"), (2.0, "n")]), "ZADD {z}a 1 m 2 n").await;
    s.write(e.zadd("{z}b", [(4.0, "n"), (5.0, "o")]), "ZADD {z}b 4 n 5 o").await;
    s.read(e.zdiff::<String>(two), "ZDIFF 2 {z}a {z}b").await;
    s.read(e.zdiff_withscores::<String>(two), "ZDIFF 2 {z}a {z}b WITHSCORES").await;
    s.read(e.zinter::<String>(two), "ZINTER 2 {z}a {z}b").await;
    s.read(e.zinter_with::<String>(two, combine()), &format!("ZINTER 2 {{z}}a {{z}}b {how}")).await;
    s.read(
        e.zinter_withscores::<String>(two, combine()),
        &format!("ZINTER 2 {{z}}a {{z}}b {how} WITHSCORES"),
    )
    .await;
    s.read(e.zintercard(two), "ZINTERCARD 2 {z}a {z}b").await;
    s.read(e.zintercard_limit(two, 1), "ZINTERCARD 2 {z}a {z}b LIMIT 1").await;
    s.read(e.zunion::<String>(two), "ZUNION 2 {z}a {z}b").await;
    s.read(e.zunion_with::<String>(two, combine()), &format!("ZUNION 2 {{z}}a {{z}}b {how}")).await;
    s.read(
        e.zunion_withscores::<String>(two, combine()),
        &format!("ZUNION 2 {{z}}a {{z}}b {how} WITHSCORES"),
    )
    .await;
    s.write(e.zdiffstore("{z}to", two), "ZDIFFSTORE {z}to 2 {z}a {z}b").await;
    s.write(e.zinterstore("{z}to", two), "ZINTERSTORE {z}to 2 {z}a {z}b").await;
    s.write(
        e.zinterstore_with("{z}to", two, combine()),
        &format!("ZINTERSTORE {{z}}to 2 {{z}}a {{z}}b {how}"),
    )
    .await;
    s.write(e.zunionstore("{z}to", two), "ZUNIONSTORE {z}to 2 {z}a {z}b").await;
    s.write(
        e.zunionstore_with("{z}to", two, combine()),
        &format!("ZUNIONSTORE {{z}}to 2 {{z}}a {{z}}b {how}"),
    )
    .await;
    s.read(e.zrange_withscores::<String>("{z}to", 0, -1), "ZRANGE {z}to 0 -1 WITHSCORES").await;
    s.write(e.zrangestore("{z}r", "{z}to", 0, 1), "ZRANGESTORE {z}r {z}to 0 1").await;
    let options = ZrangeOptions::new().byscore();
    s.write(e.zrangestore_with("{z}r", "{z}to", 2, 9, options), "ZRANGESTORE {z}r {z}to 2 9 BYSCORE").await;
    let zmpop = e.zmpop::<String, String>(&["{z}none", "{z}to"], ScoreEnd::Max, 2);
    s.write(zmpop, "ZMPOP 2 {z}none {z}to MAX COUNT 2").await;
    s.write(e.zmpop::<String, String>("{z}none", ScoreEnd::Min, 2), "ZMPOP 1 {z}none MIN COUNT 2").await;
}

async fn bitmaps<S: Store>(s: &Stage<S>) {
    let e = &s.store;
    s.write(e.setbit("{b}a", 7, true), "SETBIT {b}a 7 1").await;
    s.write(e.setbit("{b}a", 7, true), "SETBIT {b}a 7 1").await;
    s.write(e.set("{b}b", "foobar"), "SET {b}b foobar").await;
    s.read(e.getbit("{b}a", 7), "GETBIT {b}a 7").await;
    s.read(e.bitcount("{b}b"), "BITCOUNT {b}b").await;
    s.read(e.bitcount_range("{b}b", 1, -2), "BITCOUNT {b}b 1 -2").await;
    let position = |n: i64| u64::try_from(n).ok();
    s.read_as(e.bitpos("{b}a", true), "BITPOS {b}a 1", position).await;
    s.read_as(e.bitpos("none", true), "BITPOS none 1", position).await;
    s.read_as(e.bitpos_from("{b}b", true, 2), "BITPOS {b}b 1 2", position).await;
    s.read_as(e.bitpos_range("{b}b", false, 2, -1), "BITPOS {b}b 0 2 -1", position).await;
    if s.is_since((7, 0, 0), "BITCOUNT and BITPOS with BIT") {
        s.read(e.bitcount_with("{b}b", 5, 30, BitUnit::Bit), "BITCOUNT {b}b 5 30 BIT").await;
        s.read_as(e.bitpos_with("{b}b", true, 9, 30, BitUnit::Bit), "BITPOS {b}b 1 9 30 BIT", position).await;
    }
    s.write(e.bitop(BitOperation::Xor, "{b}x", &["{b}a", "{b}b"]), "BITOP XOR {b}x {b}a {b}b").await;
    s.write(e.bitop(BitOperation::Not, "{b}n", "{b}x"), "BITOP NOT {b}n {b}x").await;
    s.read(e.get::<Vec<u8>>("{b}n"), "GET {b}n").await;
    let (two, bit) = (BitWidth::Unsigned(2), BitOffset::Bit(102));
    let field = BitField::new()
        .incrby(two, bit, 3)
        .overflow(Overflow::Fail)
        .incrby(two, bit, 1)
        .get(two, BitOffset::Nth(51));
    s.write(
        e.bitfield("{b}f", field),
        "BITFIELD {b}f INCRBY u2 102 3 OVERFLOW FAIL INCRBY u2 102 1 GET u2 #51",
    )
    .await;
    let field = BitField::new().get(BitWidth::Signed(8), BitOffset::Nth(12)).get(two, bit);
    s.read(e.bitfield_ro("{b}f", field), "BITFIELD_RO {b}f GET i8 #12 GET u2 102").await;
}

async fn hyperloglogs<S: Store>(s: &Stage<S>) {
    let e = &s.store;
    s.write(e.pfadd("{p}a", &["x", "y"]), "PFADD {p}a x y").await;
    s.write(e.pfadd("{p}a", "x"), "PFADD {p}a x").await;
    s.write(e.pfadd("{p}b", "z"), "PFADD {p}b z").await;
    s.read(e.pfcount(&["{p}a", "{p}b"]), "PFCOUNT {p}a {p}b").await;
    s.write(e.pfmerge("{p}to", &["{p}a", "{p}b"]), "PFMERGE {p}to {p}a {p}b").await;
    s.read(e.pfcount("{p}to"), "PFCOUNT {p}to").await;
}

async fn places<S: Store>(s: &Stage<S>) {
    let e = &s.store;
    let (palermo, catania) = (GeoPoint::new(13.361389, 38.115556), GeoPoint::new(15.087269, 37.502669));
    let words = "GEOADD {g}s 13.361389 38.115556 palermo 15.087269 37.502669 catania";
    s.write(e.geoadd("{g}s", [(palermo, "palermo"), (catania, "catania")]), words).await;
    let words = "GEOADD {g}s CH 13.5 38.115556 palermo";
    s.write(
        e.geoadd_with("{g}s", [(GeoPoint::new(13.5, 38.115556), "palermo")], GeoAddOptions::new().ch()),
        words,
    )
    .await;
    s.read(e.geodist("{g}s", "palermo", "catania", GeoUnit::Kilometers), "GEODIST {g}s palermo catania km")
        .await;
    s.read(e.geodist("{g}s", "palermo", "none", GeoUnit::Meters), "GEODIST {g}s palermo none m").await;
    s.read(e.geohash("{g}s", &["palermo", "none"]), "GEOHASH {g}s palermo none").await;
    s.read(e.geopos("{g}s", &["palermo", "none"]), "GEOPOS {g}s palermo none").await;
    let (center, unit) = (GeoPoint::new(15.0, 37.0), GeoUnit::Kilometers);
    s.write(e.georadius::<String>("{g}s", center, 100.0, unit), "GEORADIUS {g}s 15 37 100 km").await;
    s.read(e.georadius_ro::<String>("{g}s", center, 100.0, unit), "GEORADIUS_RO {g}s 15 37 100 km").await;
    let words = "GEORADIUSBYMEMBER {g}s palermo 100 km";
    s.write(e.georadiusbymember::<String>("{g}s", "palermo", 100.0, unit), words).await;
    let words = "GEORADIUSBYMEMBER_RO {g}s palermo 100 km";
    s.read(e.georadiusbymember_ro::<String>("{g}s", "palermo", 100.0, unit), words).await;
    let search = GeoSearch::circle_at(GeoPoint::new(15.0, 37.0), 200.0, GeoUnit::Kilometers).asc();
    let words = "FROMLONLAT 15 37 BYRADIUS 200 km ASC";
    s.read(e.geosearch::<String>("{g}s", search.clone()), &format!("GEOSEARCH {{g}}s {words}")).await;
    let details = format!("GEOSEARCH {{g}}s {words} WITHCOORD WITHDIST WITHHASH");
    s.read(e.geosearch_details::<String>("{g}s", search.clone()), &details).await;
    s.write(e.geosearchstore("{g}to", "{g}s", search), &format!("GEOSEARCHSTORE {{g}}to {{g}}s {words}"))
        .await;
    let search = GeoSearch::rectangle_around("catania", 400.0, 300.0, GeoUnit::Kilometers).desc().count(1);
    let words = "GEOSEARCHSTORE {g}to {g}s FROMMEMBER catania BYBOX 400 300 km DESC COUNT 1 STOREDIST";
    s.write(e.geosearchstore_dist("{g}to", "{g}s", search), words).await;
    s.read(e.zrange_withscores::<String>("{g}to", 0, -1), "ZRANGE {g}to 0 -1 WITHSCORES").await;
}

async fn streams<S: Store>(s: &Stage<S>) {
    let e = &s.store;
    let id = StreamId::new;
    for n in 1..=4 {
        let options = XaddOptions::new().id(id(1, n));
        s.write(e.xadd_with("{x}a", options, [("f", n), ("g", 0)]), &format!("XADD {{x}}a 1-{n} f {n} g 0"))
            .await;
    }
    s.write(e.xadd_with("none", XaddOptions::new().nomkstream(), [("f", 1)]), "XADD none NOMKSTREAM * f 1")
        .await;
    s.read(e.xlen("{x}a"), "XLEN {x}a").await;
    s.read(e.xrange::<String, u64>("{x}a", "-", id(1, 2)), "XRANGE {x}a - 1-2").await;
    s.read(e.xrange_count::<String, u64>("{x}a", "(1-1", "+", 1), "XRANGE {x}a (1-1 + COUNT 1").await;
    s.read(e.xrevrange::<String, u64>("{x}a", "+", "-"), "XREVRANGE {x}a + -").await;
    s.read(e.xrevrange_count::<String, u64>("{x}a", "+", "-", 1), "XREVRANGE {x}a + - COUNT 1").await;
    let keys = &["{x}a", "{x}none"];
    s.read(
        e.xread::<String, String, u64>(keys, &[id(1, 2), StreamId::MIN]),
        "XREAD STREAMS {x}a {x}none 1-2 0-0",
    )
    .await;
    s.read(e.xread_count::<String, String, u64>("{x}a", "0", 1), "XREAD COUNT 1 STREAMS {x}a 0").await;
    s.read(e.xread::<String, String, u64>("{x}none", "0"), "XREAD STREAMS {x}none 0").await;
    s.write(e.xdel("{x}a", &[id(1, 1), id(9, 9)]), "XDEL {x}a 1-1 9-9").await;
    s.write(e.xtrim("{x}a", StreamTrim::maxlen(2)), "XTRIM {x}a MAXLEN 2").await;
    s.write(e.xtrim("{x}a", StreamTrim::minid(id(1, 4))), "XTRIM {x}a MINID 1-4").await;
    s.read(e.xrange::<String, u64>("{x}a", "-", "+"), "XRANGE {x}a - +").await;
    // The id is the server's own, so that there is nothing to compare it with.
    if s.on_one_server(e.xadd("{x}b", [("f", 1)]), "XADD {x}b * f 1").await {
        assert_eq!(e.xlen("{x}b").await.unwrap(), 1);
        e.del("{x}b").await.unwrap();
    }
}

async fn consumer_groups<S: Store>(s: &Stage<S>) {
    let e = &s.store;
    let id = StreamId::new;
    for n in 1..=4 {
        s.write(
            e.xadd_with("{c}s", XaddOptions::new().id(id(1, n)), [("f", n)]),
            &format!("XADD {{c}}s 1-{n} f {n}"),
        )
        .await;
    }
    s.write(e.xgroup_create("{c}s", "g", "0"), "XGROUP CREATE {c}s g 0").await;
    s.fails(e.xgroup_create("{c}s", "g", "0"), "XGROUP CREATE {c}s g 0").await;
    let options = GroupOptions::new().mkstream();
    s.write(e.xgroup_create_with("{c}n", "g", "$", options), "XGROUP CREATE {c}n g $ MKSTREAM").await;
    s.write(e.xgroup_createconsumer("{c}s", "g", "ann"), "XGROUP CREATECONSUMER {c}s g ann").await;
    s.write(e.xgroup_createconsumer("{c}s", "g", "ann"), "XGROUP CREATECONSUMER {c}s g ann").await;
    let options = ReadGroupOptions::new().count(3);
    let call = e.xreadgroup_with::<String, String, u64>("g", "ann", &["{c}s", "{c}n"], &[">", ">"], options);
    s.write(call, "XREADGROUP GROUP g ann COUNT 3 STREAMS {c}s {c}n > >").await;
    let call = e.xreadgroup::<String, String, u64>("g", "ann", "{c}s", "0");
    s.write(call, "XREADGROUP GROUP g ann STREAMS {c}s 0").await;
    s.read(e.xpending("{c}s", "g"), "XPENDING {c}s g").await;
    s.read(e.xpending("{c}n", "g"), "XPENDING {c}n g").await;
    s.write(e.xackdel("x8", "g", EntryDeletion::DelRef, id(1, 1)), "XACKDEL x8 g DELREF IDS 1 1-1").await;
    s.write(e.xdelex("x8", EntryDeletion::KeepRef, id(1, 1)), "XDELEX x8 KEEPREF IDS 1 1-1").await;
    s.write(e.xack("{c}s", "g", &[id(1, 1), id(9, 9)]), "XACK {c}s g 1-1 9-9").await;

    let entries = e.xpending_range("{c}s", "g", "-", "+", 9).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [id(1, 2), id(1, 3)]);
    assert!(entries.iter().all(|entry| entry.consumer == "ann" && entry.idle < HOUR && entry.deliveries > 0));
    let options = PendingOptions::new().idle(HOUR).consumer("ann");
    s.read(e.xpending_with("{c}s", "g", "-", "+", 9, options), "XPENDING {c}s g IDLE 3600000 - + 9 ann")
        .await;

    let zero = Duration::ZERO;
    let ids = [id(1, 2), id(9, 9)];
    let claim = e.xclaim::<String, u64>("{c}s", "g", "bob", zero, &ids);
    s.write(claim, "XCLAIM {c}s g bob 0 1-2 9-9").await;
    let options = ClaimOptions::new().idle(HOUR).retry_count(7);
    let claim = e.xclaim_with::<String, u64>("{c}s", "g", "bob", zero, id(1, 3), options);
    s.write(claim, "XCLAIM {c}s g bob 0 1-3 IDLE 3600000 RETRYCOUNT 7").await;
    let claim = e.xclaim_justid("{c}s", "g", "ann", zero, id(1, 2), ClaimOptions::new());
    s.write(claim, "XCLAIM {c}s g ann 0 1-2 JUSTID").await;
    let claim = e.xautoclaim_count::<String, u64>("{c}s", "g", "cid", zero, "-", 1);
    s.write(claim, "XAUTOCLAIM {c}s g cid 0 - COUNT 1").await;
    s.write(e.xautoclaim::<String, u64>("{c}s", "g", "cid", zero, "-"), "XAUTOCLAIM {c}s g cid 0 -").await;
    s.write(
        e.xautoclaim_justid("{c}s", "g", "bob", zero, "-", 9),
        "XAUTOCLAIM {c}s g bob 0 - COUNT 9 JUSTID",
    )
    .await;

    s.read(e.xinfo_stream::<String, u64>("{c}s"), "XINFO STREAM {c}s").await;
    s.read(e.xinfo_stream::<String, u64>("{c}n"), "XINFO STREAM {c}n").await;
    s.read(e.xinfo_groups("{c}s"), "XINFO GROUPS {c}s").await;
    let consumers = e.xinfo_consumers("{c}s", "g").await.unwrap();
    let plain: Vec<ConsumerInfo> = s.plain("XINFO CONSUMERS {c}s g").await.unwrap();
    let known = |consumers: &[ConsumerInfo]| -> Vec<_> {
        consumers.iter().map(|consumer| (consumer.name.clone(), consumer.pending)).collect()
    };
    assert_eq!(known(&consumers), known(&plain));
    assert!(consumers.iter().all(|consumer| consumer.idle < HOUR));

    s.write(e.xgroup_setid("{c}s", "g", id(1, 1)), "XGROUP SETID {c}s g 1-1").await;
    s.write(e.xgroup_delconsumer("{c}s", "g", "bob"), "XGROUP DELCONSUMER {c}s g bob").await;
    s.write(e.xgroup_destroy("{c}s", "g"), "XGROUP DESTROY {c}s g").await;
    s.write(e.xgroup_destroy("{c}s", "g"), "XGROUP DESTROY {c}s g").await;
    s.write(e.xsetid("{c}s", id(8, 8)), "XSETID {c}s 8-8").await;
}

async fn server<S: Store>(s: &Stage<S>) {
    let e = &s.store;
    s.write(e.flushall(), "FLUSHALL").await;
    s.write(e.mset([("a", 1), ("b", 2), ("c", 3)]), "MSET a 1 b 2 c 3").await;
    s.read(e.dbsize(), "DBSIZE").await;
    s.read(e.ping(), "PING").await;
    s.read(e.ping_with::<String>("hello"), "PING hello").await;
    s.read(e.echo::<String>("hello"), "ECHO hello").await;
    s.read(e.command_count(), "COMMAND COUNT").await;
    s.read(e.command_list(), "COMMAND LIST").await;
    s.read(e.command_getkeys::<String>(&["MGET", "a", "b"]), "COMMAND GETKEYS MGET a b").await;
    s.read(e.command_getkeysandflags::<String>(&["GET", "a"]), "COMMAND GETKEYSANDFLAGS GET a").await;
    if s.is_since((7, 0, 0), "COMMAND DOCS") {
        assert!(e.command_docs(&["get", "set"]).await.unwrap().contains_key("set"));
    }
    for stats in s.ask(e.memory_stats()).await {
        assert!(matches!(stats.get("total.allocated"), Some(Value::Int(bytes)) if *bytes > 0));
    }
    assert!(s.ask(e.memory_malloc_stats()).await.iter().all(|words| !words.is_empty()));
    assert!(s.ask(e.role()).await.iter().all(|role| matches!(role, Role::Primary { .. })));
    s.read(e.memory_usage("a"), "MEMORY USAGE a").await;
    s.read(e.memory_usage("none"), "MEMORY USAGE none").await;
    s.read(e.memory_usage_with("a", 0), "MEMORY USAGE a SAMPLES 0").await;
    s.write(e.memory_purge(), "MEMORY PURGE").await;
    s.write(e.swapdb(0, 1), "SWAPDB 0 1").await;
    s.read(e.dbsize(), "DBSIZE").await;
    s.write(e.swapdb(0, 1), "SWAPDB 0 1").await;
    s.write(e.flushdb_with(FlushMode::Async), "FLUSHDB ASYNC").await;
    s.read(e.dbsize(), "DBSIZE").await;
    s.write(e.flushall_with(FlushMode::Sync), "FLUSHALL SYNC").await;

    s.write(e.config_set("maxmemory-samples", 7), "CONFIG SET maxmemory-samples 7").await;
    for config in s.ask(e.config_get("maxmemory-s*")).await {
        assert_eq!(config.get("maxmemory-samples").map(String::as_str), Some("7"));
    }
    if s.is_since((7, 0, 0), "CONFIG SET and GET of several") {
        let parameters = [("maxmemory-samples", 5), ("slowlog-log-slower-than", 0)];
        let words = "CONFIG SET maxmemory-samples 5 slowlog-log-slower-than 0";
        s.write(e.config_set_multiple(parameters), words).await;
        for config in s.ask(e.config_get(&["maxmemory-samples", "slowlog-log-slower-than"])).await {
            assert_eq!(config.len(), 2);
        }
    } else {
        s.write(e.config_set("slowlog-log-slower-than", 0), "CONFIG SET slowlog-log-slower-than 0").await;
    }
    s.write(e.config_resetstat(), "CONFIG RESETSTAT").await;
    s.fails(e.config_rewrite(), "CONFIG REWRITE").await;

    if s.has_since([None, Some((8, 1, 0))], "COMMANDLOG") {
        s.write(e.commandlog_reset(CommandLog::LargeRequest), "COMMANDLOG RESET large-request").await;
        assert!(s.ask(e.commandlog_len(CommandLog::Slow)).await.into_iter().all(|n| n > 0));
        for log in s.ask(e.commandlog_get(1, CommandLog::Slow)).await {
            assert!(log.first().is_some_and(|entry| !entry.args.is_empty() && !entry.client_addr.is_empty()));
        }
    }
    s.write(e.slowlog_reset(), "SLOWLOG RESET").await;
    assert!(s.ask(e.slowlog_len()).await.into_iter().all(|n| n > 0));
    for log in s.ask(e.slowlog_get()).await {
        assert!(!log.is_empty());
        assert!(log.iter().all(|entry| entry.took < HOUR && entry.client_addr.starts_with("127.0.0.1:")));
    }
    for log in s.ask(e.slowlog_get_count(1)).await {
        assert_eq!(log.len(), 1);
        assert_eq!(log[0].args[0].to_ascii_uppercase(), b"SLOWLOG");
    }

    let (major, minor, patch) = s.release.version;
    let version = format!("{major}.{minor}.{patch}");
    for info in s.ask(e.info()).await {
        assert_eq!(info.version(), Some(version.as_str()));
        assert_eq!(info.role(), Some("master"));
        assert!(info.run_id().is_some_and(|id| id.len() == 40));
        assert!(info.uptime().is_some_and(|uptime| uptime < HOUR));
        assert!(info.connected_clients() > Some(0) && info.used_memory() > Some(0));
        assert_eq!(info.keys(0), 0);
    }
    for info in s.ask(e.info_with("memory")).await {
        assert_eq!(info.sections().collect::<Vec<_>>(), ["Memory"]);
    }
    let now = SystemTime::now();
    let is_now = |instant: Timestamp| {
        let ahead = instant.instant().duration_since(now).unwrap_or_default();
        let behind = now.duration_since(instant.instant()).unwrap_or_default();
        ahead + behind < Duration::from_secs(120)
    };
    assert!(s.ask(e.time()).await.into_iter().all(is_now));
    assert!(s.ask(e.lastsave()).await.into_iter().all(is_now));
    assert!(s.ask(e.latency_doctor()).await.iter().all(|words| !words.is_empty()));
    assert!(s.ask(e.memory_doctor()).await.iter().all(|words| !words.is_empty()));
    s.write(e.latency_reset(), "LATENCY RESET").await;
    s.write(e.latency_reset_events(&["fork", "command"]), "LATENCY RESET fork command").await;
    assert!(s.ask(e.latency_latest()).await.iter().all(Vec::is_empty));
    assert!(s.ask(e.latency_history("fork")).await.iter().all(Vec::is_empty));
    if s.is_since((7, 0, 0), "LATENCY HISTOGRAM") {
        for histogram in s.ask(e.latency_histogram(&["info", "mset"])).await {
            let of_info = &histogram["info"];
            assert!(of_info.calls > 0 && of_info.within.values().max() == Some(&of_info.calls));
        }
    }
    for clients in s.ask(e.client_list()).await {
        assert!(!clients.is_empty());
        assert!(clients.iter().all(|client| client.id().is_some() && client.db() == Some(0)));
    }

    let saving = async || {
        s.ask(e.info_with("persistence")).await.iter().any(|info| {
            info.get("persistence", "rdb_bgsave_in_progress") != Some("0")
                || info.get("persistence", "aof_rewrite_in_progress") != Some("0")
        })
    };
    s.write(e.save(), "SAVE").await;
    for said in s.done(e.bgsave()).await {
        assert_eq!(said, "Background saving started");
    }
    eventually("the data set is saved", async || !saving().await).await;
    s.done(e.bgsave_schedule()).await;
    eventually("the data set is saved", async || !saving().await).await;
    s.done(e.bgrewriteaof()).await;
    eventually("the file is rewritten", async || !saving().await).await;

    one_server(s).await;
}

/// A command that can only be meant for one server runs on a node, and is refused by a ring and by a copy.
async fn one_server<S: Store>(s: &Stage<S>) {
    let e = &s.store;
    let port = s.plain.port();
    s.on_one_server(e.debug_object("k"), "DEBUG OBJECT k").await;
    let address = "127.0.0.1:1";
    s.on_one_server(e.client_kill(address), "CLIENT KILL 127.0.0.1:1").await;
    s.on_one_server(
        e.client_kill_with(ClientKillFilters::new().addr(address)),
        "CLIENT KILL ADDR 127.0.0.1:1",
    )
    .await;
    s.on_one_server(e.client_unblock(u64::MAX / 2), "CLIENT UNBLOCK 1").await;
    s.on_one_server(e.client_unblock_error(u64::MAX / 2), "CLIENT UNBLOCK 1 ERROR").await;
    let words = "MIGRATE 127.0.0.1 1 none 0 1000";
    s.on_one_server(e.migrate("127.0.0.1", port, "none", 0, SECOND), words).await;
    let options = MigrateOptions::new().copy().replace();
    s.on_one_server(e.migrate_with("127.0.0.1", port, "none", 0, SECOND, options), words).await;
    s.on_one_server(e.replicaof("127.0.0.1", port), "REPLICAOF 127.0.0.1 1").await;
    s.on_one_server(e.replicaof_no_one(), "REPLICAOF NO ONE").await;
    s.on_one_server(e.slaveof("127.0.0.1", port), "SLAVEOF 127.0.0.1 1").await;
    s.on_one_server(e.slaveof_no_one(), "SLAVEOF NO ONE").await;
    s.on_one_server(e.shutdown(), "SHUTDOWN").await;
    s.on_one_server(e.shutdown_with(ShutdownSave::NoSave), "SHUTDOWN NOSAVE").await;
}

async fn users<S: Store>(s: &Stage<S>) {
    let e = &s.store;
    s.read(e.acl_cat(), "ACL CAT").await;
    s.read(e.acl_cat_commands("hyperloglog"), "ACL CAT hyperloglog").await;
    assert_eq!(e.acl_genpass().await.unwrap().len(), 64);
    assert_eq!(e.acl_genpass_bits(5).await.unwrap().len(), 2);
    let rules = &["on", ">secret", "~a:*", "resetchannels", "&news", "+get"];
    s.write(e.acl_setuser("ann", rules), "ACL SETUSER ann on >secret ~a:* resetchannels &news +get").await;
    for lines in s.ask(e.acl_list()).await {
        assert!(lines.len() == 2 && lines.iter().any(|line| line.starts_with("user ann on ")), "{lines:?}");
    }
    for names in s.ask(e.acl_users()).await {
        assert_eq!(names, ["ann", "default"].map(str::to_owned).into());
    }
    for user in s.ask(e.acl_getuser("ann")).await {
        let user = user.unwrap();
        assert!(user.flags.contains("on") && user.commands.contains("+get"), "{user:?}");
        assert_eq!((user.keys, user.channels), (vec!["~a:*".to_owned()], vec!["&news".to_owned()]));
        assert_eq!(user.passwords.len(), 1);
    }
    assert!(s.ask(e.acl_getuser("nobody")).await.iter().all(Option::is_none));
    assert!(s.ask(e.acl_whoami()).await.iter().all(|name| name == "default"));
    if s.is_since((7, 0, 0), "ACL DRYRUN") {
        let verdicts = s.ask(e.acl_dryrun("ann", &["GET", "a:1"])).await;
        assert!(verdicts.iter().all(|verdict| *verdict == AclDryRun::Allowed), "{verdicts:?}");
        for verdict in s.ask(e.acl_dryrun("ann", &["SET", "a:1", "x"])).await {
            assert!(matches!(&verdict, AclDryRun::Denied(reason) if reason.contains("set")), "{verdict:?}");
        }
    }
    s.ask(e.acl_log_reset()).await;
    assert!(s.ask(e.acl_log()).await.iter().all(Vec::is_empty));
    assert!(s.ask(e.acl_log_count(3)).await.iter().all(Vec::is_empty));
    s.write(e.acl_deluser(&["ann", "nobody"]), "ACL DELUSER ann nobody").await;
    // They have no file of users.
    s.fails(e.acl_load(), "ACL LOAD").await;
    s.fails(e.acl_save(), "ACL SAVE").await;
}

async fn connections<S: Store>(s: &Stage<S>) {
    let e = &s.store;
    let ids = s.ask(e.client_id()).await;
    for client in s.ask(e.client_info()).await {
        assert!(client.id().is_some_and(|id| ids.contains(&id)), "{client:?}");
    }
    for clients in s.ask(e.client_list_ids(&ids)).await {
        assert!(clients.iter().any(|client| client.get("cmd").is_some_and(|cmd| cmd.starts_with("client"))));
    }
    assert!(s.ask(e.client_list_type("normal")).await.iter().all(|clients| !clients.is_empty()));
    assert!(s.ask(e.client_list_type("pubsub")).await.iter().all(|clients| clients.is_empty()));
    assert!(s.ask(e.client_getredir()).await.iter().all(|id| *id == -1));
    assert_eq!(s.ask(e.client_getname()).await.len(), ids.len());
    s.write(e.client_pause_writes(HOUR), "CLIENT PAUSE 3600000 WRITE").await;
    s.write(e.client_unpause(), "CLIENT UNPAUSE").await;
    s.write(e.client_pause(MS), "CLIENT PAUSE 1").await;
    s.write(e.set("k", 1), "SET k 1").await;
}

#[tokio::test]
async fn what_changes_a_connection_is_done_on_a_dedicated_one_only() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let e = node.dedicated().await.unwrap();
    e.client_setname("mine").await.unwrap();
    assert_eq!(e.client_getname().await.unwrap().as_deref(), Some("mine"));
    if is_since(&node, (7, 0, 0), "CLIENT NO-EVICT").await {
        e.client_no_evict(true).await.unwrap();
    }
    if is_since(&node, (7, 2, 0), "CLIENT NO-TOUCH").await {
        e.client_no_touch(false).await.unwrap();
    }
    for error in [
        node.client_setname("ours").await.unwrap_err(),
        node.client_no_evict(true).await.unwrap_err(),
        node.client_no_touch(true).await.unwrap_err(),
    ] {
        assert!(error.is_unsupported() && error.to_string().contains("dedicated()"), "{error}");
    }
    assert_ne!(node.client_getname().await.unwrap().as_deref(), Some("ours"));
}

#[tokio::test]
async fn a_waiting_client_is_let_go() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    for with_error in [false, true] {
        let waiting = tokio::spawn({
            let node = node.clone();
            async move { node.blpop::<String, String>("jobs", Duration::ZERO).await }
        });
        let mut id = 0;
        eventually("it waits", async || {
            let clients = node.client_list().await.unwrap();
            let waits = |client: &&ClientInfo| client.get("flags").is_some_and(|flags| flags.contains('b'));
            id = clients.iter().find(waits).and_then(ClientInfo::id).unwrap_or(0);
            id > 0
        })
        .await;
        let e = &node;
        assert!(
            if with_error { e.client_unblock_error(id).await } else { e.client_unblock(id).await }.unwrap()
        );
        match waiting.await.unwrap() {
            Ok(none) => assert!(none.is_none() && !with_error),
            Err(error) => assert!(error.code() == Some("UNBLOCKED") && with_error, "{error}"),
        }
    }
}

#[tokio::test]
async fn refusals_and_spikes_are_told() {
    let server = Server::start().unwrap();
    let e = Node::connect(server.url()).await.unwrap();
    let mut owned = e.dedicated().await.unwrap();
    cmd("AUTH").arg("ann").arg("guess").query_async::<()>(&mut owned).await.unwrap_err();
    let log = e.acl_log_count(3).await.unwrap();
    assert_eq!((log.len(), log[0].reason.as_str(), log[0].username.as_str()), (1, "auth", "ann"));
    assert!(log[0].age < HOUR && log[0].client.id().is_some() && log[0].count == 1);
    e.acl_log_reset().await.unwrap();
    assert_eq!(e.acl_log().await.unwrap(), []);

    e.config_set("latency-monitor-threshold", 1).await.unwrap();
    e.latency_graph("command").await.unwrap_err();
    e.send(cmd("EVAL").arg("for i = 1, 1e7 do end").arg(0)).await.unwrap();
    let latest = e.latency_latest().await.unwrap();
    let event = latest.iter().find(|event| event.event == "command").unwrap();
    assert!(event.latest >= MS && event.longest >= event.latest, "{event:?}");
    let spikes = e.latency_history("command").await.unwrap();
    assert!(spikes.iter().any(|spike| spike.took == event.longest), "{spikes:?}");
    assert!(e.latency_graph("command").await.unwrap().contains("command"));
    assert_eq!(e.latency_reset_events(&["command", "fork"]).await.unwrap(), 1);
}

#[tokio::test]
async fn keys_move_to_another_server() {
    let servers = [Server::start().unwrap(), Server::builder().password("secret").start().unwrap()];
    let here = Node::connect(servers[0].url()).await.unwrap();
    let there = Node::connect(servers[1].url()).await.unwrap();
    here.mset([("a", 1), ("b", 2)]).await.unwrap();
    there.set("b", 9).await.unwrap();
    let port = servers[1].port();
    // First, for the server keeps its connection to the other one for a while.
    let unknown = here.migrate("127.0.0.1", port, "b", 0, SECOND).await.unwrap_err();
    assert!(unknown.to_string().contains("NOAUTH"), "{unknown}");
    let options = || MigrateOptions::new().password("secret");
    let moved = here.migrate_with("127.0.0.1", port, &["a", "none"], 0, SECOND, options()).await.unwrap();
    assert_eq!(moved, Migrated::Moved);
    assert_eq!((here.get::<u8>("a").await.unwrap(), there.get::<u8>("a").await.unwrap()), (None, Some(1)));
    let moved = here.migrate_with("127.0.0.1", port, "a", 0, SECOND, options()).await.unwrap();
    assert_eq!(moved, Migrated::NoKey);
    let busy = here.migrate_with("127.0.0.1", port, "b", 0, SECOND, options()).await.unwrap_err();
    assert!(busy.to_string().contains("BUSYKEY"), "{busy}");
    let options = options().copy().replace();
    here.migrate_with("127.0.0.1", port, "b", 0, SECOND, options).await.unwrap();
    assert_eq!((here.get::<u8>("b").await.unwrap(), there.get::<u8>("b").await.unwrap()), (Some(2), Some(2)));
}

#[tokio::test]
async fn a_client_is_closed_and_a_server_shut_down() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    for by_address in [true, false] {
        let mut victim = client.get_multiplexed_async_connection().await.unwrap();
        let _: Value = cmd("CLIENT").arg("SETNAME").arg("victim").query_async(&mut victim).await.unwrap();
        let clients = node.client_list().await.unwrap();
        let found = clients.into_iter().find(|client| client.name() == Some("victim")).unwrap();
        if by_address {
            node.client_kill(found.addr().unwrap()).await.unwrap();
        } else {
            let filters = ClientKillFilters::new().id(found.id().unwrap());
            assert_eq!(node.client_kill_with(filters).await.unwrap(), 1);
        }
        cmd("PING").query_async::<Value>(&mut victim).await.unwrap_err();
    }
    node.replicaof("127.0.0.1", 1_u16).await.unwrap();
    assert_eq!(node.info_with("replication").await.unwrap().role(), Some("slave"));
    node.replicaof_no_one().await.unwrap();
    assert_eq!(node.info_with("replication").await.unwrap().role(), Some("master"));
    node.shutdown_with(ShutdownSave::NoSave).await.unwrap_err();
    eventually("the server is gone", async || !server.is_running()).await;
}

#[tokio::test]
async fn binary_keys_and_values_come_back_as_they_were() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let bytes: Vec<u8> = (0..=255).chain(0..=255).collect();
    node.set(&bytes, &bytes).await.unwrap();
    assert_eq!(node.get::<Vec<u8>>(&bytes).await.unwrap(), Some(bytes.clone()));
    assert_eq!(node.keys::<Vec<u8>>("*").await.unwrap(), [bytes.as_slice()]);
    node.hset("h", &bytes, &bytes).await.unwrap();
    let fields = node.hgetall::<Vec<u8>, Vec<u8>>("h").await.unwrap();
    assert_eq!(fields.get(&bytes), Some(&bytes));
    node.zadd("z", [(1.0, &bytes)]).await.unwrap();
    let bound = LexBound::Including(&bytes);
    assert_eq!(node.zrangebylex::<Vec<u8>>("z", bound.clone(), bound).await.unwrap(), [bytes]);
    node.get::<String>("h").await.unwrap_err();
    let _: Vec<Option<u8>> = node.mget(&["none"]).await.unwrap();
    node.mget::<u8>(&[] as &[&str]).await.unwrap_err();
}

/// The families of commands whose methods are called in other files than this, on a receiver of any name.
const ELSEWHERE: [(&str, &str); 4] = [
    ("BlockingCommands", include_str!("blocking.rs")),
    ("PubSubCommands", include_str!("pubsub.rs")),
    ("ScriptingCommands", include_str!("scripts.rs")),
    ("SentinelCommands", include_str!("sentinel.rs")),
];

#[test]
fn every_method_is_called_on_a_server() {
    let mut n_families = 0;
    for file in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/node/src/commands")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for family in text.split("\npub trait ").skip(1) {
            n_families += 1;
            let (methods, _) = family.split_once("\n}\n").unwrap();
            let elsewhere = ELSEWHERE.iter().find(|(name, _)| methods.starts_with(name));
            let (receiver, calls) =
                elsewhere.map_or(("e", include_str!("commands.rs")), |(_, calls)| ("", *calls));
            for rest in methods.lines().filter_map(|line| line.strip_prefix("    fn ")) {
                let name = rest.split(['(', '<']).next().unwrap();
                let is_called =
                    ["(", "::<"].iter().any(|end| calls.contains(&format!("{receiver}.{name}{end}")));
                assert!(is_called, "`{name}` is not called");
            }
        }
    }
    assert!(n_families > ELSEWHERE.len());
}

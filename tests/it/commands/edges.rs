//! Missing and removed keys, fields, members and entries. Here replies differ most between servers.

use std::time::Duration;

use redis::Direction;
use redisdb::RedisRing;
use redisdb_node::Node;
use redisdb_node::commands::*;
use redisdb_tests::is_since;
use xtask::Server;

use super::stage::Stage;
use super::stage::Store;

const HOUR: Duration = Duration::from_secs(3600);

/// Every read, and every write that takes something, of a key that does not exist.
pub(super) async fn of_no_key<S: Store>(s: &Stage<S>) {
    let e = &s.store;
    s.read(e.get::<String>("no"), "GET no").await;
    s.read(e.getrange::<String>("no", 0, -1), "GETRANGE no 0 -1").await;
    s.read(e.strlen("no"), "STRLEN no").await;
    s.write(e.getdel::<String>("no"), "GETDEL no").await;
    s.write(e.getex::<String>("no", HOUR), "GETEX no PX 3600000").await;
    s.write(e.set_get::<String>("{no}1", 1, SetOptions::new()), "SET {no}1 1 GET").await;
    s.read(e.lcs::<String>("{no}a", "{no}b"), "LCS {no}a {no}b").await;
    s.read(e.lcs_idx("{no}a", "{no}b", 0), "LCS {no}a {no}b IDX MINMATCHLEN 0 WITHMATCHLEN").await;

    s.read(e.hget::<String>("no", "f"), "HGET no f").await;
    s.read(e.hmget::<String>("no", &["f", "g"]), "HMGET no f g").await;
    s.read(e.hkeys::<String>("no"), "HKEYS no").await;
    s.read(e.hvals::<String>("no"), "HVALS no").await;
    s.read(e.hrandfield_count::<String>("no", 2), "HRANDFIELD no 2").await;
    s.read(e.hrandfield_withvalues::<String, u8>("no", 2), "HRANDFIELD no 2 WITHVALUES").await;
    s.read(e.hscan::<String, String>("no", 0), "HSCAN no 0").await;
    s.write(e.hdel("no", "f"), "HDEL no f").await;
    s.write(e.hexpire("no", HOUR, &["f", "g"]), "HEXPIRE no 3600 FIELDS 2 f g").await;
    s.write(e.hpersist("no", &["f", "g"]), "HPERSIST no FIELDS 2 f g").await;
    let missing = |numbers: Vec<i64>| vec![TimeToLive::Missing; numbers.len()];
    s.read_as(e.httl("no", &["f", "g"]), "HTTL no FIELDS 2 f g", missing).await;
    s.write(e.hgetdel::<u8>("no", &["f", "g"]), "HGETDEL no FIELDS 2 f g").await;
    let options = GetExOptions::new().persist();
    s.write(e.hgetex::<u8>("no", options, &["f", "g"]), "HGETEX no PERSIST FIELDS 2 f g").await;

    s.read(e.lindex::<String>("no", 0), "LINDEX no 0").await;
    s.read(e.lrange::<String>("no", 0, -1), "LRANGE no 0 -1").await;
    s.read(e.lpos("no", "x"), "LPOS no x").await;
    s.read(e.lpos_count("no", "x", 0, LposOptions::new()), "LPOS no x COUNT 0").await;
    s.write(e.lpop_count::<String>("no", 2), "LPOP no 2").await;
    s.write(e.rpop_count::<String>("no", 2), "RPOP no 2").await;
    let (left, right) = (Direction::Left, Direction::Right);
    s.write(e.lmove::<u8>("{no}a", "{no}b", left, right), "LMOVE {no}a {no}b LEFT RIGHT").await;
    s.write(e.rpoplpush::<u8>("{no}a", "{no}b"), "RPOPLPUSH {no}a {no}b").await;
    s.read(e.sort_ro::<u8>("no"), "SORT_RO no").await;

    s.read(e.smembers::<u8>("no"), "SMEMBERS no").await;
    s.read(e.smismember("no", &[1, 2]), "SMISMEMBER no 1 2").await;
    s.read(e.srandmember::<u8>("no"), "SRANDMEMBER no").await;
    s.read(e.srandmember_count::<u8>("no", 2), "SRANDMEMBER no 2").await;
    s.read(e.sunion::<u8>("no"), "SUNION no").await;
    s.read(e.sscan::<u8>("no", 0), "SSCAN no 0").await;
    s.write(e.spop::<u8>("no"), "SPOP no").await;
    s.write(e.spop_count::<u8>("no", 2), "SPOP no 2").await;

    s.read(e.zmscore("no", &["a", "b"]), "ZMSCORE no a b").await;
    s.read(e.zrange::<String>("no", 0, -1), "ZRANGE no 0 -1").await;
    s.read(e.zrange_withscores::<String>("no", 0, -1), "ZRANGE no 0 -1 WITHSCORES").await;
    s.read(e.zrandmember_count::<String>("no", 2), "ZRANDMEMBER no 2").await;
    s.read(e.zrandmember_withscores::<String>("no", 2), "ZRANDMEMBER no 2 WITHSCORES").await;
    s.read(e.zunion_withscores::<String>("no", CombineOptions::new()), "ZUNION 1 no WITHSCORES").await;
    s.read(e.zscan::<String>("no", 0), "ZSCAN no 0").await;
    s.write(e.zpopmin::<String>("no", 2), "ZPOPMIN no 2").await;
    s.write(e.zpopmax::<String>("no", 1), "ZPOPMAX no 1").await;
    let only = ZaddOptions::new().xx();
    s.write(e.zadd_incr("no", "a", 1.0, only), "ZADD no XX INCR 1 a").await;
    if s.is_since((7, 2, 0), "ZRANK and ZREVRANK with WITHSCORE") {
        s.read(e.zrank_withscore("no", "a"), "ZRANK no a WITHSCORE").await;
    }

    s.read(e.geodist("no", "a", "b", GeoUnit::Meters), "GEODIST no a b m").await;
    s.read(e.geohash("no", &["a", "b"]), "GEOHASH no a b").await;
    s.read(e.geopos("no", &["a", "b"]), "GEOPOS no a b").await;
    let search = || GeoSearch::circle_at(GeoPoint::new(15.0, 37.0), 200.0, GeoUnit::Kilometers);
    let words = "GEOSEARCH no FROMLONLAT 15 37 BYRADIUS 200 km";
    s.read(e.geosearch::<String>("no", search()), words).await;
    let words = format!("{words} WITHCOORD WITHDIST WITHHASH");
    s.read(e.geosearch_details::<String>("no", search()), &words).await;

    s.read(
        e.bitfield_ro("no", BitField::new().get(BitWidth::Signed(8), BitOffset::Bit(0))),
        "BITFIELD_RO no GET i8 0",
    )
    .await;
    s.read(e.pfcount("no"), "PFCOUNT no").await;
    s.read(e.dump("no"), "DUMP no").await;
    s.read(e.object_refcount("no"), "OBJECT REFCOUNT no").await;
    s.read(e.xlen("no"), "XLEN no").await;
    s.read(e.xrange::<String, u64>("no", "-", "+"), "XRANGE no - +").await;
    s.read(e.xrange_count::<String, u64>("no", "-", "+", 0), "XRANGE no - + COUNT 0").await;
    s.read(e.xrevrange::<String, u64>("no", "+", "-"), "XREVRANGE no + -").await;
    s.write(e.xdel("no", StreamId::new(1, 1)), "XDEL no 1-1").await;
    s.write(e.xack("no", "g", StreamId::new(1, 1)), "XACK no g 1-1").await;
    s.fails(e.xinfo_stream::<String, u64>("no"), "XINFO STREAM no").await;
    s.fails(e.xpending("no", "g"), "XPENDING no g").await;
}

/// Everything of a stream whose entries are gone, while they are still pending in its groups.
pub(super) async fn of_no_entry<S: Store>(s: &Stage<S>) {
    let e = &s.store;
    for n in 1..=3 {
        let options = XaddOptions::new().id(StreamId::new(1, n));
        s.write(e.xadd_with("{gone}s", options, [("f", n)]), &format!("XADD {{gone}}s 1-{n} f {n}")).await;
    }
    s.write(e.xgroup_create("{gone}s", "g", "0"), "XGROUP CREATE {gone}s g 0").await;
    let call = e.xreadgroup::<String, String, u64>("g", "ann", "{gone}s", ">");
    s.write(call, "XREADGROUP GROUP g ann STREAMS {gone}s >").await;
    s.write(e.xdel("{gone}s", StreamId::new(1, 2)), "XDEL {gone}s 1-2").await;
    s.read(e.xinfo_groups("{gone}s"), "XINFO GROUPS {gone}s").await;
    s.write(e.xtrim("{gone}s", StreamTrim::maxlen(0)), "XTRIM {gone}s MAXLEN 0").await;
    s.read(e.xrange::<String, u64>("{gone}s", "-", "+"), "XRANGE {gone}s - +").await;
    s.read(e.xread::<String, String, u64>("{gone}s", "0"), "XREAD STREAMS {gone}s 0").await;
    let call = e.xreadgroup::<String, String, u64>("g", "ann", "{gone}s", ">");
    s.write(call, "XREADGROUP GROUP g ann STREAMS {gone}s >").await;
    let call = e.xreadgroup::<String, String, u64>("g", "ann", "{gone}s", "0");
    s.write(call, "XREADGROUP GROUP g ann STREAMS {gone}s 0").await;
    s.read(e.xinfo_stream::<String, u64>("{gone}s"), "XINFO STREAM {gone}s").await;
    s.read(e.xinfo_groups("{gone}s"), "XINFO GROUPS {gone}s").await;
    s.read(e.xpending("{gone}s", "g"), "XPENDING {gone}s g").await;
    let ids = [StreamId::new(1, 1)];
    let call = e.xclaim::<String, u64>("{gone}s", "g", "bob", Duration::ZERO, &ids);
    s.write(call, "XCLAIM {gone}s g bob 0 1-1").await;
    let call = e.xautoclaim::<String, u64>("{gone}s", "g", "bob", Duration::ZERO, "-");
    s.write(call, "XAUTOCLAIM {gone}s g bob 0 -").await;
    let call = e.xautoclaim_justid("{gone}s", "g", "bob", Duration::ZERO, "-", 9);
    s.write(call, "XAUTOCLAIM {gone}s g bob 0 - COUNT 9 JUSTID").await;
    s.read(e.xpending("{gone}s", "g"), "XPENDING {gone}s g").await;
}

/// Replies of consumer groups, half of whose entries are gone.
async fn half_gone<S: Store>(e: &S, is_since_7: bool) {
    let id = StreamId::new;
    for n in 1..=4 {
        e.xadd_with("s", XaddOptions::new().id(id(1, n)), [("f", n)]).await.unwrap();
    }
    let entries = e.xrange::<String, u64>("s", "-", "+").await.unwrap();
    assert!(entries.iter().zip(1..).all(|(entry, n)| entry.id == id(1, n) && entry.fields["f"] == n));
    let entry = |n: usize| entries[n - 1].clone();
    for group in ["claim", "auto", "ids", "read"] {
        e.xgroup_create("s", group, "0").await.unwrap();
        e.xreadgroup::<String, String, u64>(group, "ann", "s", ">").await.unwrap();
    }
    e.xdel("s", &[id(1, 2), id(1, 4)]).await.unwrap();
    let all = [1, 2, 3, 4].map(|n| id(1, n));
    let now = Duration::ZERO;

    let claimed = e.xclaim::<String, u64>("s", "claim", "bob", now, &all).await.unwrap();
    assert_eq!(S::written(claimed), [[entry(1), entry(3)]]);
    let options = ClaimOptions::new().retry_count(7);
    let claimed = e.xclaim_with::<String, u64>("s", "claim", "cid", now, &all, options).await.unwrap();
    assert_eq!(S::written(claimed), [[entry(1), entry(3)]]);

    let claimed = e.xautoclaim::<String, u64>("s", "auto", "bob", now, "-").await.unwrap();
    let claimed = S::written(claimed).remove(0);
    assert_eq!((claimed.next, claimed.claimed), (StreamId::MIN, vec![entry(1), entry(3)]));
    assert_eq!(claimed.deleted, if is_since_7 { vec![id(1, 2), id(1, 4)] } else { vec![] });
    let claimed = e.xautoclaim_justid("s", "ids", "bob", now, "-", 9).await.unwrap();
    let claimed = S::written(claimed).remove(0);
    assert_eq!(claimed.claimed, if is_since_7 { vec![id(1, 1), id(1, 3)] } else { all.to_vec() });

    let pending = e.xreadgroup::<String, String, u64>("read", "ann", "s", "0").await.unwrap();
    let [(_, entries)] = &S::written(pending).remove(0)[..] else { panic!("one stream") };
    assert_eq!(entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), all);
    assert_eq!(entries.iter().map(|entry| entry.fields.len()).collect::<Vec<_>>(), [1, 0, 1, 0]);
}

#[tokio::test]
async fn claimed_entries_are_there_whatever_else_was_deleted() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let is_since_7 = is_since(&node, (7, 0, 0), "the ids of claimed entries that are gone").await;
    half_gone(&node, is_since_7).await;
    let ring = RedisRing::builder().node("a", &server.url()).connect().await.unwrap();
    ring.flushall().await.unwrap();
    half_gone(&ring, is_since_7).await;
    ring.flushall().await.unwrap();
    half_gone(&node.in_resp3(), is_since_7).await;
}

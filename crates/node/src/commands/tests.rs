//! The words that each method sends, and how replies of both protocols are read.

use std::collections::HashMap;
use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::fs;
use std::future::Future;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use redis::Arg;
use redis::Cmd;
use redis::Direction;
use redis::ExpireOption;
use redis::Expiry;
use redis::FromRedisValue;
use redis::IncrexOptions;
use redis::Value;

use super::*;
use crate::Execute;
use crate::command;
use crate::command::Command;
use crate::command::Each;
use crate::command::Read;
use crate::command::Spec;
use crate::command::Write;

/// Sends nothing: every call fails with the words it would have sent.
struct Recorder;

#[derive(Debug)]
struct Sent(String);

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Sent {}

/// The words of a command, which must be those of its row.
fn sent<T>(spec: &Spec, cmd: &Cmd) -> Result<T, Sent> {
    assert_eq!(command::lookup(cmd).map(|row| row.name), Some(spec.name));
    assert!(spec.accepts(cmd.args_iter().len()), "{}", spec.name);
    let words = cmd.args_iter().map(|arg| match arg {
        Arg::Simple(word) => String::from_utf8_lossy(word).into_owned(),
        _ => "a cursor".into(),
    });
    Err(Sent(words.collect::<Vec<_>>().join(" ")))
}

impl Execute for Recorder {
    type Error = Sent;
    type Write<T: Send> = T;
    type Each<T: Send> = T;

    async fn read<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Read>,
        cmd: Cmd,
    ) -> Result<T, Sent> {
        sent(command.spec(), &cmd)
    }

    async fn write<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Write>,
        cmd: Cmd,
    ) -> Result<T, Sent> {
        sent(command.spec(), &cmd)
    }

    async fn each<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Each>,
        cmd: Cmd,
    ) -> Result<T, Sent> {
        sent(command.spec(), &cmd)
    }

    fn one_reply<T: Send>(written: T) -> Result<T, Sent> {
        Ok(written)
    }
}

/// Holds if a call sends these words.
async fn sends<T>(call: impl Future<Output = Result<T, Sent>>, words: &str) {
    match call.await {
        Ok(_) => panic!("`{words}` was answered"),
        Err(sent) => assert_eq!(sent.0, words),
    }
}

const MS: Duration = Duration::from_millis(1);

/// 1500 ms after 1970.
fn instant() -> SystemTime {
    UNIX_EPOCH + 1500 * MS
}

#[tokio::test]
async fn a_method_on_strings_sends_its_command() {
    let r = Recorder;
    sends(r.append("k", "v"), "APPEND k v").await;
    sends(r.decr("k"), "DECR k").await;
    sends(r.decrby("k", -2), "DECRBY k -2").await;
    sends(r.delex("k", ValueIs::equal_to(1)), "DELEX k IFEQ 1").await;
    sends(r.delex("k", ValueIs::other_than("v")), "DELEX k IFNE v").await;
    sends(r.delex("k", ValueIs::with_digest("b6acb9d8")), "DELEX k IFDEQ b6acb9d8").await;
    sends(r.delex("k", ValueIs::without_digest("b6acb9d8")), "DELEX k IFDNE b6acb9d8").await;
    sends(r.digest("k"), "DIGEST k").await;
    sends(r.get::<String>("k"), "GET k").await;
    sends(r.getdel::<String>("k"), "GETDEL k").await;
    sends(r.getex::<String>("k", 1500 * MS), "GETEX k PX 1500").await;
    sends(r.getex_with::<String>("k", GetExOptions::new()), "GETEX k").await;
    sends(r.getex_with::<String>("k", GetExOptions::new().ex(1500 * MS)), "GETEX k EX 2").await;
    sends(r.getex_with::<String>("k", GetExOptions::new().px(1500 * MS)), "GETEX k PX 1500").await;
    sends(r.getex_with::<String>("k", GetExOptions::new().exat(instant())), "GETEX k EXAT 2").await;
    sends(r.getex_with::<String>("k", GetExOptions::new().pxat(instant())), "GETEX k PXAT 1500").await;
    sends(r.getex_with::<String>("k", GetExOptions::new().persist()), "GETEX k PERSIST").await;
    sends(r.getrange::<String>("k", 0, -1), "GETRANGE k 0 -1").await;
    sends(r.getset::<String>("k", "v"), "GETSET k v").await;
    sends(r.incr("k"), "INCR k").await;
    sends(r.incrby("k", i64::MAX), "INCRBY k 9223372036854775807").await;
    sends(r.incrbyfloat("k", 0.5), "INCRBYFLOAT k 0.5").await;
    let options = IncrexOptions::default().saturate().upper_bound(9).with_expiration(Expiry::EX(60));
    sends(r.increx("k", 5, options), "INCREX k BYINT 5 SATURATE UBOUND 9 EX 60").await;
    sends(r.increx_float("k", 0.5, IncrexOptions::default()), "INCREX k BYFLOAT 0.5").await;
    sends(r.lcs::<String>("a", "b"), "LCS a b").await;
    sends(r.lcs_len("a", "b"), "LCS a b LEN").await;
    sends(r.lcs_idx("a", "b", 4), "LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN").await;
    sends(r.mget::<String>(&["a", "b"]), "MGET a b").await;
    sends(r.mset([("a", 1), ("b", 2)]), "MSET a 1 b 2").await;
    let options = SetOptions::new().nx().ex(5 * MS);
    sends(r.delifeq("k", "v"), "DELIFEQ k v").await;
    let lives = SetOptions::new().ex(Duration::from_secs(1));
    sends(r.set_if("k", 1, ValueIs::other_than(2), lives), "SET k 1 IFNE 2 EX 1").await;
    sends(r.msetex([("a", 1), ("b", 2)], options), "MSETEX 2 a 1 b 2 NX EX 1").await;
    sends(r.msetnx([("a", 1), ("b", 2)]), "MSETNX a 1 b 2").await;
    sends(r.psetex("k", 1500 * MS, "v"), "PSETEX k 1500 v").await;
    sends(r.set("k", "v"), "SET k v").await;
    sends(r.set_with("k", "v", SetOptions::new()), "SET k v").await;
    sends(r.set_with("k", "v", SetOptions::new().xx().nx().ex(5 * MS)), "SET k v NX EX 1").await;
    sends(r.set_with("k", "v", SetOptions::new().xx().px(MS / 2)), "SET k v XX PX 1").await;
    sends(r.set_with("k", "v", SetOptions::new().exat(instant())), "SET k v EXAT 2").await;
    sends(r.set_with("k", "v", SetOptions::new().pxat(instant())), "SET k v PXAT 1500").await;
    sends(r.set_with("k", "v", SetOptions::new().ex(MS).keepttl()), "SET k v KEEPTTL").await;
    sends(r.set_get::<String>("k", "v", SetOptions::new().nx()), "SET k v NX GET").await;
    sends(r.setex("k", 1001 * MS, "v"), "SETEX k 2 v").await;
    sends(r.setnx("k", "v"), "SETNX k v").await;
    sends(r.setrange("k", 3, "v"), "SETRANGE k 3 v").await;
    sends(r.strlen("k"), "STRLEN k").await;
    sends(r.substr::<String>("k", 0, -1), "SUBSTR k 0 -1").await;
}

#[tokio::test]
async fn pairs_that_are_announced_as_endless_are_sent_as_they_are() {
    struct Pairs(u8);
    impl Iterator for Pairs {
        type Item = (&'static str, u8);
        fn next(&mut self) -> Option<Self::Item> {
            self.0 = self.0.checked_sub(1)?;
            Some(("k", self.0))
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (usize::MAX, None)
        }
    }
    sends(Recorder.mset(Pairs(2)), "MSET k 1 k 0").await;
}

#[tokio::test]
async fn a_method_on_keys_sends_its_command() {
    let r = Recorder;
    sends(r.copy("a", "b"), "COPY a b").await;
    sends(r.copy_with("a", "b", CopyOptions::new().db(1).replace()), "COPY a b DB 1 REPLACE").await;
    sends(r.del("k"), "DEL k").await;
    sends(r.del(vec!["a", "b"]), "DEL a b").await;
    sends(r.delete("k"), "DEL k").await;
    sends(r.dump("k"), "DUMP k").await;
    sends(r.exists(&["a", "a"]), "EXISTS a a").await;
    sends(r.expire("k", 1500 * MS), "EXPIRE k 2").await;
    sends(r.expire("k", Duration::ZERO), "EXPIRE k 0").await;
    sends(r.expire_with("k", MS, ExpireOption::NX), "EXPIRE k 1 NX").await;
    sends(r.expireat("k", instant()), "EXPIREAT k 2").await;
    sends(r.expireat_with("k", instant(), ExpireOption::GT), "EXPIREAT k 2 GT").await;
    sends(r.expiretime("k"), "EXPIRETIME k").await;
    sends(r.keys::<String>("a*"), "KEYS a*").await;
    sends(r.migrate("h", 7, &["a", "b"], 0, 1500 * MS), "MIGRATE h 7  0 1500 KEYS a b").await;
    let options = MigrateOptions::new().copy().replace().password("p");
    sends(r.migrate_with("h", 7, "a", 2, MS, options), "MIGRATE h 7  2 1 COPY REPLACE AUTH p KEYS a").await;
    let options = MigrateOptions::new().user("u", "p");
    assert!(!format!("{options:?}").contains("\"p\""), "the password is not shown");
    sends(r.migrate_with("h", 7, "a", 2, MS, options), "MIGRATE h 7  2 1 AUTH2 u p KEYS a").await;
    sends(r.move_to_db("k", 3), "MOVE k 3").await;
    sends(r.object_encoding("k"), "OBJECT ENCODING k").await;
    sends(r.object_freq("k"), "OBJECT FREQ k").await;
    sends(r.object_idletime("k"), "OBJECT IDLETIME k").await;
    sends(r.object_refcount("k"), "OBJECT REFCOUNT k").await;
    sends(r.persist("k"), "PERSIST k").await;
    sends(r.pexpire("k", 1500 * MS), "PEXPIRE k 1500").await;
    sends(r.pexpire_with("k", MS, ExpireOption::LT), "PEXPIRE k 1 LT").await;
    sends(r.pexpireat("k", instant()), "PEXPIREAT k 1500").await;
    sends(r.pexpireat_with("k", instant(), ExpireOption::XX), "PEXPIREAT k 1500 XX").await;
    sends(r.pexpiretime("k"), "PEXPIRETIME k").await;
    sends(r.pttl("k"), "PTTL k").await;
    sends(r.randomkey::<String>(), "RANDOMKEY").await;
    sends(r.rename("a", "b"), "RENAME a b").await;
    sends(r.renamenx("a", "b"), "RENAMENX a b").await;
    sends(r.restore("k", 1500 * MS, "v"), "RESTORE k 1500 v").await;
    sends(r.restore_with("k", "v", RestoreOptions::new()), "RESTORE k 0 v").await;
    let options = RestoreOptions::new().ttl(MS).replace().freq(7);
    sends(r.restore_with("k", "v", options), "RESTORE k 1 v REPLACE FREQ 7").await;
    let options = RestoreOptions::new().ttl(MS).expires_at(instant()).idletime(1500 * MS);
    sends(r.restore_with("k", "v", options), "RESTORE k 1500 v ABSTTL IDLETIME 1").await;
    sends(r.wait(2, 1500 * MS), "WAIT 2 1500").await;
    sends(r.waitaof(1, 2, 1500 * MS), "WAITAOF 1 2 1500").await;
    sends(r.scan::<String>(0), "SCAN 0").await;
    let options = ScanOptions::new().pattern("a*").count(9);
    sends(r.scan_with::<String>(5, options), "SCAN 5 MATCH a* COUNT 9").await;
    sends(r.sort::<f64>("k"), "SORT k").await;
    let options = SortOptions::new().by("w_*").limit(1, -1).get("#").get("d_*").desc().alpha();
    let words = "k BY w_* LIMIT 1 -1 GET # GET d_* DESC ALPHA";
    sends(r.sort_with::<String>("k", options.clone()), &format!("SORT {words}")).await;
    sends(r.sort_ro::<f64>("k"), "SORT_RO k").await;
    sends(r.sort_ro_with::<String>("k", options.clone()), &format!("SORT_RO {words}")).await;
    sends(r.sort_store("k", "to", options), &format!("SORT {words} STORE to")).await;
    sends(r.touch(&["a", "b"]), "TOUCH a b").await;
    sends(r.ttl("k"), "TTL k").await;
    sends(r.key_type("k"), "TYPE k").await;
    sends(r.unlink(&["a", "b"]), "UNLINK a b").await;
}

#[tokio::test]
async fn a_method_on_hashes_sends_its_command() {
    let r = Recorder;
    let two = &["f", "g"];
    sends(r.hdel("k", two), "HDEL k f g").await;
    sends(r.hexists("k", "f"), "HEXISTS k f").await;
    sends(r.hexpire("k", 1500 * MS, two), "HEXPIRE k 2 FIELDS 2 f g").await;
    sends(r.hexpire_with("k", MS, ExpireOption::NX, two), "HEXPIRE k 1 NX FIELDS 2 f g").await;
    sends(r.hexpireat("k", instant(), "f"), "HEXPIREAT k 2 FIELDS 1 f").await;
    sends(r.hexpireat_with("k", instant(), ExpireOption::XX, "f"), "HEXPIREAT k 2 XX FIELDS 1 f").await;
    sends(r.hexpiretime("k", two), "HEXPIRETIME k FIELDS 2 f g").await;
    sends(r.hget::<String>("k", "f"), "HGET k f").await;
    sends(r.hgetall::<String, String>("k"), "HGETALL k").await;
    sends(r.hgetdel::<String>("k", two), "HGETDEL k FIELDS 2 f g").await;
    let options = GetExOptions::new().px(MS);
    sends(r.hgetex::<String>("k", options, two), "HGETEX k PX 1 FIELDS 2 f g").await;
    sends(r.hincrby("k", "f", -3), "HINCRBY k f -3").await;
    sends(r.hincrbyfloat("k", "f", 1.5), "HINCRBYFLOAT k f 1.5").await;
    sends(r.hkeys::<String>("k"), "HKEYS k").await;
    sends(r.hlen("k"), "HLEN k").await;
    sends(r.hmget::<String>("k", two), "HMGET k f g").await;
    sends(r.hmset("k", [("f", 1), ("g", 2)]), "HMSET k f 1 g 2").await;
    sends(r.hpersist("k", two), "HPERSIST k FIELDS 2 f g").await;
    sends(r.hpexpire("k", 1500 * MS, two), "HPEXPIRE k 1500 FIELDS 2 f g").await;
    sends(r.hpexpire_with("k", MS, ExpireOption::GT, two), "HPEXPIRE k 1 GT FIELDS 2 f g").await;
    sends(r.hpexpireat("k", instant(), "f"), "HPEXPIREAT k 1500 FIELDS 1 f").await;
    sends(r.hpexpireat_with("k", instant(), ExpireOption::LT, "f"), "HPEXPIREAT k 1500 LT FIELDS 1 f").await;
    sends(r.hpexpiretime("k", two), "HPEXPIRETIME k FIELDS 2 f g").await;
    sends(r.hpttl("k", two), "HPTTL k FIELDS 2 f g").await;
    sends(r.hrandfield::<String>("k"), "HRANDFIELD k").await;
    sends(r.hrandfield_count::<String>("k", -2), "HRANDFIELD k -2").await;
    sends(r.hrandfield_withvalues::<String, u8>("k", 2), "HRANDFIELD k 2 WITHVALUES").await;
    sends(r.hscan::<String, String>("k", 0), "HSCAN k 0").await;
    let options = ScanOptions::new().pattern("f*");
    sends(r.hscan_with::<String, String>("k", 8, options), "HSCAN k 8 MATCH f*").await;
    sends(r.hset("k", "f", "v"), "HSET k f v").await;
    sends(r.hset_multiple("k", [("f", 1), ("g", 2)]), "HSET k f 1 g 2").await;
    let options = HsetExOptions::new().fxx().fnx().ex(MS);
    sends(r.hsetex("k", options, [("f", 1)]), "HSETEX k FNX EX 1 FIELDS 1 f 1").await;
    let options = HsetExOptions::new().fxx().keepttl();
    sends(r.hsetex("k", options, [("f", 1), ("g", 2)]), "HSETEX k FXX KEEPTTL FIELDS 2 f 1 g 2").await;
    sends(r.hsetnx("k", "f", "v"), "HSETNX k f v").await;
    sends(r.hstrlen("k", "f"), "HSTRLEN k f").await;
    sends(r.httl("k", two), "HTTL k FIELDS 2 f g").await;
    sends(r.hvals::<String>("k"), "HVALS k").await;
}

#[tokio::test]
async fn a_method_on_lists_sends_its_command() {
    let r = Recorder;
    sends(r.lindex::<String>("k", -1), "LINDEX k -1").await;
    sends(r.linsert("k", ListPlace::Before, "p", "v"), "LINSERT k BEFORE p v").await;
    sends(r.linsert("k", ListPlace::After, "p", "v"), "LINSERT k AFTER p v").await;
    sends(r.llen("k"), "LLEN k").await;
    sends(r.lmove::<String>("a", "b", Direction::Left, Direction::Right), "LMOVE a b LEFT RIGHT").await;
    let keys = &["a", "b"];
    sends(r.lmpop::<String, String>(keys, Direction::Left, 3), "LMPOP 2 a b LEFT COUNT 3").await;
    sends(r.lpop::<String>("k"), "LPOP k").await;
    sends(r.lpop_count::<String>("k", 2), "LPOP k 2").await;
    sends(r.lpos("k", "v"), "LPOS k v").await;
    let options = LposOptions::new().rank(-1).maxlen(9);
    sends(r.lpos_with("k", "v", options), "LPOS k v RANK -1 MAXLEN 9").await;
    sends(r.lpos_count("k", "v", 0, options), "LPOS k v COUNT 0 RANK -1 MAXLEN 9").await;
    sends(r.lpush("k", &["a", "b"]), "LPUSH k a b").await;
    sends(r.lpushx("k", "a"), "LPUSHX k a").await;
    sends(r.lrange::<String>("k", 0, -1), "LRANGE k 0 -1").await;
    sends(r.lrem("k", -2, "v"), "LREM k -2 v").await;
    sends(r.lset("k", 0, "v"), "LSET k 0 v").await;
    sends(r.ltrim("k", 1, -1), "LTRIM k 1 -1").await;
    sends(r.rpop::<String>("k"), "RPOP k").await;
    sends(r.rpop_count::<String>("k", 2), "RPOP k 2").await;
    sends(r.rpoplpush::<String>("a", "b"), "RPOPLPUSH a b").await;
    sends(r.rpush("k", &["a", "b"]), "RPUSH k a b").await;
    sends(r.rpushx("k", "a"), "RPUSHX k a").await;
}

#[tokio::test]
async fn a_method_on_sets_sends_its_command() {
    let r = Recorder;
    let keys = &["a", "b"];
    sends(r.sadd("k", &[1, 2]), "SADD k 1 2").await;
    sends(r.scard("k"), "SCARD k").await;
    sends(r.sdiff::<String>(keys), "SDIFF a b").await;
    sends(r.sdiffstore("to", keys), "SDIFFSTORE to a b").await;
    sends(r.sinter::<String>(keys), "SINTER a b").await;
    sends(r.sintercard(keys), "SINTERCARD 2 a b").await;
    sends(r.sintercard_limit(keys, 3), "SINTERCARD 2 a b LIMIT 3").await;
    sends(r.sinterstore("to", keys), "SINTERSTORE to a b").await;
    sends(r.sismember("k", "m"), "SISMEMBER k m").await;
    sends(r.smembers::<String>("k"), "SMEMBERS k").await;
    sends(r.smismember("k", &["m", "n"]), "SMISMEMBER k m n").await;
    sends(r.smove("a", "b", "m"), "SMOVE a b m").await;
    sends(r.spop::<String>("k"), "SPOP k").await;
    sends(r.spop_count::<String>("k", 2), "SPOP k 2").await;
    sends(r.srandmember::<String>("k"), "SRANDMEMBER k").await;
    sends(r.srandmember_count::<String>("k", -2), "SRANDMEMBER k -2").await;
    sends(r.srem("k", &["m", "n"]), "SREM k m n").await;
    sends(r.sscan::<String>("k", 0), "SSCAN k 0").await;
    sends(r.sscan_with::<String>("k", 0, ScanOptions::new().count(5)), "SSCAN k 0 COUNT 5").await;
    sends(r.sunion::<String>(keys), "SUNION a b").await;
    sends(r.sunionstore("to", keys), "SUNIONSTORE to a b").await;
}

#[tokio::test]
async fn a_method_on_sorted_sets_sends_its_command() {
    let r = Recorder;
    let keys = &["a", "b"];
    let combine = || CombineOptions::new().weights([1.0, 0.5]).aggregate(Aggregate::Max);
    sends(r.zadd("k", [(1.0, "m"), (f64::INFINITY, "n")]), "ZADD k 1.0 m inf n").await;
    let options = ZaddOptions::new().nx().xx().gt().ch();
    sends(r.zadd_with("k", [(1.5, "m")], options), "ZADD k XX GT CH 1.5 m").await;
    sends(r.zadd_with("k", [(1.5, "m")], ZaddOptions::new().lt()), "ZADD k LT 1.5 m").await;
    sends(r.zadd_incr("k", "m", 2.0, ZaddOptions::new().nx()), "ZADD k NX INCR 2.0 m").await;
    sends(r.zcard("k"), "ZCARD k").await;
    sends(r.zcount("k", 1, ScoreBound::Excluding(2.5)), "ZCOUNT k 1 (2.5").await;
    sends(r.zcount("k", f64::NEG_INFINITY, ScoreBound::Excluding(f64::INFINITY)), "ZCOUNT k -inf (inf").await;
    sends(r.zdiff::<String>(keys), "ZDIFF 2 a b").await;
    sends(r.zdiff_withscores::<String>(keys), "ZDIFF 2 a b WITHSCORES").await;
    sends(r.zdiffstore("to", keys), "ZDIFFSTORE to 2 a b").await;
    sends(r.zincrby("k", "m", 0.5), "ZINCRBY k 0.5 m").await;
    sends(r.zinter::<String>(keys), "ZINTER 2 a b").await;
    sends(r.zinter_with::<String>(keys, combine()), "ZINTER 2 a b WEIGHTS 1.0 0.5 AGGREGATE MAX").await;
    sends(r.zinter_withscores::<String>(keys, CombineOptions::new()), "ZINTER 2 a b WITHSCORES").await;
    sends(r.zintercard(keys), "ZINTERCARD 2 a b").await;
    sends(r.zintercard_limit(keys, 3), "ZINTERCARD 2 a b LIMIT 3").await;
    sends(r.zinterstore("to", keys), "ZINTERSTORE to 2 a b").await;
    sends(r.zinterstore_with("to", keys, combine()), "ZINTERSTORE to 2 a b WEIGHTS 1.0 0.5 AGGREGATE MAX")
        .await;
    sends(r.zlexcount("k", "-", LexBound::Including("b")), "ZLEXCOUNT k - [b").await;
    sends(r.zmpop::<String, String>(keys, ScoreEnd::Max, 2), "ZMPOP 2 a b MAX COUNT 2").await;
    sends(r.zmscore("k", &["m", "n"]), "ZMSCORE k m n").await;
    sends(r.zpopmax::<String>("k", 2), "ZPOPMAX k 2").await;
    sends(r.zpopmin::<String>("k", 2), "ZPOPMIN k 2").await;
    sends(r.zrandmember::<String>("k"), "ZRANDMEMBER k").await;
    sends(r.zrandmember_count::<String>("k", -2), "ZRANDMEMBER k -2").await;
    sends(r.zrandmember_withscores::<String>("k", 2), "ZRANDMEMBER k 2 WITHSCORES").await;
    sends(r.zrange::<String>("k", 0, -1), "ZRANGE k 0 -1").await;
    let options = ZrangeOptions::new().byscore().rev().limit(1, 2);
    sends(r.zrange_with::<String>("k", 9, 1.5, options), "ZRANGE k 9 1.5 BYSCORE REV LIMIT 1 2").await;
    sends(r.zrange_withscores::<String>("k", 0, -1), "ZRANGE k 0 -1 WITHSCORES").await;
    let words = "ZRANGE k 9 1.5 BYSCORE REV LIMIT 1 2 WITHSCORES";
    sends(r.zrange_withscores_with::<String>("k", 9, 1.5, options), words).await;
    let (low, high) = (LexBound::Lowest::<&str>, LexBound::Excluding("b"));
    sends(r.zrangebylex::<String>("k", low, high.clone()), "ZRANGEBYLEX k - (b").await;
    let limit = Limit::new(1, -1);
    sends(r.zrangebylex_with::<String>("k", "[a", "+", limit), "ZRANGEBYLEX k [a + LIMIT 1 -1").await;
    sends(r.zrangebyscore::<String>("k", ScoreBound::Including(1.0), "inf"), "ZRANGEBYSCORE k 1.0 inf").await;
    sends(r.zrangebyscore_with::<String>("k", 1, 2, limit), "ZRANGEBYSCORE k 1 2 LIMIT 1 -1").await;
    sends(r.zrangebyscore_withscores::<String>("k", 1, 2), "ZRANGEBYSCORE k 1 2 WITHSCORES").await;
    let words = "ZRANGEBYSCORE k 1 2 WITHSCORES LIMIT 1 -1";
    sends(r.zrangebyscore_withscores_with::<String>("k", 1, 2, limit), words).await;
    sends(r.zrangestore("to", "k", 0, -1), "ZRANGESTORE to k 0 -1").await;
    let options = ZrangeOptions::new().bylex();
    sends(r.zrangestore_with("to", "k", "-", "+", options), "ZRANGESTORE to k - + BYLEX").await;
    sends(r.zrank("k", "m"), "ZRANK k m").await;
    sends(r.zrank_withscore("k", "m"), "ZRANK k m WITHSCORE").await;
    sends(r.zrem("k", &["m", "n"]), "ZREM k m n").await;
    sends(r.zremrangebylex("k", high, LexBound::Highest::<&str>), "ZREMRANGEBYLEX k (b +").await;
    sends(r.zremrangebyrank("k", 0, 1), "ZREMRANGEBYRANK k 0 1").await;
    sends(r.zremrangebyscore("k", 1, 2), "ZREMRANGEBYSCORE k 1 2").await;
    sends(r.zrevrange::<String>("k", 0, -1), "ZREVRANGE k 0 -1").await;
    sends(r.zrevrange_withscores::<String>("k", 0, -1), "ZREVRANGE k 0 -1 WITHSCORES").await;
    sends(r.zrevrangebylex::<String>("k", "+", "-"), "ZREVRANGEBYLEX k + -").await;
    sends(r.zrevrangebylex_with::<String>("k", "+", "-", limit), "ZREVRANGEBYLEX k + - LIMIT 1 -1").await;
    sends(r.zrevrangebyscore::<String>("k", 2, 1), "ZREVRANGEBYSCORE k 2 1").await;
    sends(r.zrevrangebyscore_with::<String>("k", 2, 1, limit), "ZREVRANGEBYSCORE k 2 1 LIMIT 1 -1").await;
    sends(r.zrevrangebyscore_withscores::<String>("k", 2, 1), "ZREVRANGEBYSCORE k 2 1 WITHSCORES").await;
    let words = "ZREVRANGEBYSCORE k 2 1 WITHSCORES LIMIT 1 -1";
    sends(r.zrevrangebyscore_withscores_with::<String>("k", 2, 1, limit), words).await;
    sends(r.zrevrank("k", "m"), "ZREVRANK k m").await;
    sends(r.zrevrank_withscore("k", "m"), "ZREVRANK k m WITHSCORE").await;
    sends(r.zscan::<String>("k", 0), "ZSCAN k 0").await;
    sends(r.zscan_with::<String>("k", 0, ScanOptions::new().pattern("m*")), "ZSCAN k 0 MATCH m*").await;
    sends(r.zscore("k", "m"), "ZSCORE k m").await;
    sends(r.zunion::<String>(keys), "ZUNION 2 a b").await;
    let options = CombineOptions::new().aggregate(Aggregate::Min);
    sends(r.zunion_with::<String>(keys, options), "ZUNION 2 a b AGGREGATE MIN").await;
    let options = CombineOptions::new().aggregate(Aggregate::Sum);
    sends(r.zunion_withscores::<String>(keys, options), "ZUNION 2 a b AGGREGATE SUM WITHSCORES").await;
    sends(r.zunionstore("to", keys), "ZUNIONSTORE to 2 a b").await;
    sends(r.zunionstore_with("to", keys, combine()), "ZUNIONSTORE to 2 a b WEIGHTS 1.0 0.5 AGGREGATE MAX")
        .await;
}

#[tokio::test]
async fn a_method_on_bits_sends_its_command() {
    let r = Recorder;
    sends(r.bitcount("k"), "BITCOUNT k").await;
    sends(r.bitcount_range("k", 0, -1), "BITCOUNT k 0 -1").await;
    sends(r.bitcount_with("k", 0, -1, BitUnit::Bit), "BITCOUNT k 0 -1 BIT").await;
    let reads = BitField::new()
        .get(BitWidth::Unsigned(8), BitOffset::Nth(1))
        .get(BitWidth::Signed(5), BitOffset::Bit(9));
    sends(r.bitfield_ro("k", reads.clone()), "BITFIELD_RO k GET u8 #1 GET i5 9").await;
    let writes = reads
        .set(BitWidth::Signed(64), BitOffset::Bit(0), -1)
        .overflow(Overflow::Fail)
        .incrby(BitWidth::Unsigned(2), BitOffset::Bit(100), 1)
        .overflow(Overflow::Saturate)
        .overflow(Overflow::Wrap);
    let words =
        "BITFIELD k GET u8 #1 GET i5 9 SET i64 0 -1 OVERFLOW FAIL INCRBY u2 100 1 OVERFLOW SAT OVERFLOW WRAP";
    sends(r.bitfield("k", writes), words).await;
    for (operation, word) in [
        (BitOperation::And, "AND"),
        (BitOperation::Or, "OR"),
        (BitOperation::Xor, "XOR"),
        (BitOperation::Not, "NOT"),
        (BitOperation::Diff, "DIFF"),
        (BitOperation::Diff1, "DIFF1"),
        (BitOperation::AndOr, "ANDOR"),
        (BitOperation::One, "ONE"),
    ] {
        sends(r.bitop(operation, "to", &["a", "b"]), &format!("BITOP {word} to a b")).await;
    }
    sends(r.bitpos("k", true), "BITPOS k 1").await;
    sends(r.bitpos_from("k", false, 2), "BITPOS k 0 2").await;
    sends(r.bitpos_range("k", false, 2, -1), "BITPOS k 0 2 -1").await;
    sends(r.bitpos_with("k", false, 2, -1, BitUnit::Byte), "BITPOS k 0 2 -1 BYTE").await;
    sends(r.getbit("k", 7), "GETBIT k 7").await;
    sends(r.setbit("k", 7, true), "SETBIT k 7 1").await;
}

#[tokio::test]
async fn a_method_on_hyperloglogs_sends_its_command() {
    let r = Recorder;
    sends(r.pfadd("k", &["a", "b"]), "PFADD k a b").await;
    sends(r.pfcount(&["a", "b"]), "PFCOUNT a b").await;
    sends(r.pfmerge("to", &["a", "b"]), "PFMERGE to a b").await;
}

#[tokio::test]
async fn a_method_on_places_sends_its_command() {
    let r = Recorder;
    let point = GeoPoint::new(13.5, 38.25);
    sends(r.geoadd("k", [(point, "m")]), "GEOADD k 13.5 38.25 m").await;
    sends(
        r.geoadd_with("k", [(point, "m")], GeoAddOptions::new().nx().xx().ch()),
        "GEOADD k XX CH 13.5 38.25 m",
    )
    .await;
    sends(r.geodist("k", "m", "n", GeoUnit::Miles), "GEODIST k m n mi").await;
    sends(r.geohash("k", &["m", "n"]), "GEOHASH k m n").await;
    sends(r.geopos("k", &["m", "n"]), "GEOPOS k m n").await;
    sends(r.georadius::<String>("k", point, 2.5, GeoUnit::Meters), "GEORADIUS k 13.5 38.25 2.5 m").await;
    sends(r.georadius_ro::<String>("k", point, 2.5, GeoUnit::Meters), "GEORADIUS_RO k 13.5 38.25 2.5 m")
        .await;
    sends(r.georadiusbymember::<String>("k", "n", 2.5, GeoUnit::Feet), "GEORADIUSBYMEMBER k n 2.5 ft").await;
    sends(r.georadiusbymember_ro::<String>("k", "n", 2.5, GeoUnit::Feet), "GEORADIUSBYMEMBER_RO k n 2.5 ft")
        .await;
    let near = GeoSearch::circle_at(point, 2.5, GeoUnit::Kilometers).asc().count(3);
    let words = "FROMLONLAT 13.5 38.25 BYRADIUS 2.5 km ASC COUNT 3";
    sends(r.geosearch::<String>("k", near.clone()), &format!("GEOSEARCH k {words}")).await;
    let details = format!("GEOSEARCH k {words} WITHCOORD WITHDIST WITHHASH");
    sends(r.geosearch_details::<String>("k", near.clone()), &details).await;
    sends(r.geosearchstore("to", "k", near.clone()), &format!("GEOSEARCHSTORE to k {words}")).await;
    sends(r.geosearchstore_dist("to", "k", near), &format!("GEOSEARCHSTORE to k {words} STOREDIST")).await;
    let around = GeoSearch::rectangle_around("m", 4.0, 2.0, GeoUnit::Feet).desc().count_any(1);
    sends(r.geosearch::<String>("k", around), "GEOSEARCH k FROMMEMBER m BYBOX 4.0 2.0 ft DESC COUNT 1 ANY")
        .await;
    let around = GeoSearch::circle_around("m", 4.0, GeoUnit::Meters);
    sends(r.geosearch::<String>("k", around), "GEOSEARCH k FROMMEMBER m BYRADIUS 4.0 m").await;
    let at = GeoSearch::rectangle_at(point, 4.0, 2.0, GeoUnit::Meters);
    sends(r.geosearch::<String>("k", at), "GEOSEARCH k FROMLONLAT 13.5 38.25 BYBOX 4.0 2.0 m").await;
}

#[tokio::test]
async fn a_method_on_streams_sends_its_command() {
    let r = Recorder;
    let id = StreamId::new(5, 1);
    sends(r.xadd("k", [("f", 1), ("g", 2)]), "XADD k * f 1 g 2").await;
    sends(r.xadd_with("k", XaddOptions::new(), [("f", 1)]), "XADD k * f 1").await;
    let options = XaddOptions::new().nomkstream().trim(StreamTrim::maxlen(9).about()).id(id);
    sends(r.xadd_with("k", options, [("f", 1)]), "XADD k NOMKSTREAM MAXLEN ~ 9 5-1 f 1").await;
    sends(r.xdel("k", &[id, StreamId::new(5, 2)]), "XDEL k 5-1 5-2").await;
    sends(r.xdelex("k", EntryDeletion::Acked, &[id]), "XDELEX k ACKED IDS 1 5-1").await;
    sends(r.xlen("k"), "XLEN k").await;
    sends(r.xrange::<String, String>("k", "-", id), "XRANGE k - 5-1").await;
    sends(r.xrange_count::<String, String>("k", "-", "+", 2), "XRANGE k - + COUNT 2").await;
    sends(r.xread::<String, String, String>(&["a", "b"], &["0", "0"]), "XREAD STREAMS a b 0 0").await;
    sends(r.xread_count::<String, String, String>("a", StreamId::MIN, 2), "XREAD COUNT 2 STREAMS a 0-0")
        .await;
    sends(r.xrevrange::<String, String>("k", "+", "-"), "XREVRANGE k + -").await;
    sends(r.xrevrange_count::<String, String>("k", "+", "-", 2), "XREVRANGE k + - COUNT 2").await;
    sends(r.xsetid("k", id), "XSETID k 5-1").await;
    sends(r.xtrim("k", StreamTrim::maxlen(2)), "XTRIM k MAXLEN 2").await;
    sends(r.xtrim("k", StreamTrim::minid(id).limit(7)), "XTRIM k MINID ~ 5-1 LIMIT 7").await;
}

#[tokio::test]
async fn a_method_on_consumer_groups_sends_its_command() {
    let r = Recorder;
    let id = StreamId::new(5, 1);
    sends(r.xack("k", "g", &[id, StreamId::new(5, 2)]), "XACK k g 5-1 5-2").await;
    let ids = &[id, StreamId::new(5, 2)];
    sends(r.xackdel("k", "g", EntryDeletion::KeepRef, ids), "XACKDEL k g KEEPREF IDS 2 5-1 5-2").await;
    sends(r.xackdel("k", "g", EntryDeletion::DelRef, id), "XACKDEL k g DELREF IDS 1 5-1").await;
    sends(r.xautoclaim::<String, String>("k", "g", "c", 1500 * MS, id), "XAUTOCLAIM k g c 1500 5-1").await;
    let call = r.xautoclaim_count::<String, String>("k", "g", "c", MS / 2, id, 3);
    sends(call, "XAUTOCLAIM k g c 1 5-1 COUNT 3").await;
    sends(r.xautoclaim_justid("k", "g", "c", MS, id, 3), "XAUTOCLAIM k g c 1 5-1 COUNT 3 JUSTID").await;
    sends(r.xclaim::<String, String>("k", "g", "c", MS, id), "XCLAIM k g c 1 5-1").await;
    let options = ClaimOptions::new().idle(2 * MS).retry_count(3).force();
    let words = "XCLAIM k g c 1 5-1 IDLE 2 RETRYCOUNT 3 FORCE";
    sends(r.xclaim_with::<String, String>("k", "g", "c", MS, id, options), words).await;
    sends(r.xclaim_justid("k", "g", "c", MS, id, ClaimOptions::new()), "XCLAIM k g c 1 5-1 JUSTID").await;
    sends(r.xgroup_create("k", "g", "$"), "XGROUP CREATE k g $").await;
    let options = GroupOptions::new().mkstream().entries_read(4);
    sends(r.xgroup_create_with("k", "g", "0", options), "XGROUP CREATE k g 0 MKSTREAM ENTRIESREAD 4").await;
    sends(r.xgroup_createconsumer("k", "g", "c"), "XGROUP CREATECONSUMER k g c").await;
    sends(r.xgroup_delconsumer("k", "g", "c"), "XGROUP DELCONSUMER k g c").await;
    sends(r.xgroup_destroy("k", "g"), "XGROUP DESTROY k g").await;
    sends(r.xgroup_setid("k", "g", id), "XGROUP SETID k g 5-1").await;
    sends(r.xinfo_consumers("k", "g"), "XINFO CONSUMERS k g").await;
    sends(r.xinfo_groups("k"), "XINFO GROUPS k").await;
    sends(r.xinfo_stream::<String, String>("k"), "XINFO STREAM k").await;
    sends(r.xpending("k", "g"), "XPENDING k g").await;
    sends(r.xpending_range("k", "g", "-", "+", 9), "XPENDING k g - + 9").await;
    let options = PendingOptions::new().idle(MS).consumer("c");
    sends(r.xpending_with("k", "g", "-", "+", 9, options), "XPENDING k g IDLE 1 - + 9 c").await;
    let keys = &["a", "b"];
    let words = "XREADGROUP GROUP g c STREAMS a b > 0";
    sends(r.xreadgroup::<String, String, String>("g", "c", keys, &[">", "0"]), words).await;
    let options = ReadGroupOptions::new().count(2).noack();
    let words = "XREADGROUP GROUP g c COUNT 2 NOACK STREAMS a >";
    sends(r.xreadgroup_with::<String, String, String>("g", "c", "a", ">", options), words).await;
}

#[tokio::test]
async fn a_method_on_servers_sends_its_command() {
    let r = Recorder;
    sends(r.bgrewriteaof(), "BGREWRITEAOF").await;
    sends(r.bgsave(), "BGSAVE").await;
    sends(r.bgsave_schedule(), "BGSAVE SCHEDULE").await;
    sends(r.client_kill("127.0.0.1:5"), "CLIENT KILL 127.0.0.1:5").await;
    let filters =
        ClientKillFilters::new().id(3).addr("a:1").laddr("b:2").user("u").client_type("normal").include_me();
    let words = "CLIENT KILL ID 3 ADDR a:1 LADDR b:2 USER u TYPE normal SKIPME no";
    sends(r.client_kill_with(filters), words).await;
    sends(r.client_list(), "CLIENT LIST").await;
    sends(r.command_count(), "COMMAND COUNT").await;
    sends(r.command_docs(&["get", "set"]), "COMMAND DOCS get set").await;
    sends(r.command_getkeys::<String>(&["MGET", "a", "b"]), "COMMAND GETKEYS MGET a b").await;
    sends(r.command_getkeysandflags::<String>(&["GET", "a"]), "COMMAND GETKEYSANDFLAGS GET a").await;
    sends(r.command_list(), "COMMAND LIST").await;
    sends(r.memory_malloc_stats(), "MEMORY MALLOC-STATS").await;
    sends(r.memory_stats(), "MEMORY STATS").await;
    sends(r.role(), "ROLE").await;
    sends(r.config_get("max*"), "CONFIG GET max*").await;
    sends(r.config_resetstat(), "CONFIG RESETSTAT").await;
    sends(r.config_rewrite(), "CONFIG REWRITE").await;
    sends(r.config_set("a", 1), "CONFIG SET a 1").await;
    sends(r.config_set_multiple([("a", 1), ("b", 2)]), "CONFIG SET a 1 b 2").await;
    sends(r.dbsize(), "DBSIZE").await;
    sends(r.debug_object("k"), "DEBUG OBJECT k").await;
    sends(r.echo::<String>("hello"), "ECHO hello").await;
    sends(r.flushall(), "FLUSHALL").await;
    sends(r.flushall_with(FlushMode::Async), "FLUSHALL ASYNC").await;
    sends(r.flushdb(), "FLUSHDB").await;
    sends(r.flushdb_with(FlushMode::Sync), "FLUSHDB SYNC").await;
    sends(r.info(), "INFO").await;
    sends(r.info_with(&["memory", "cpu"]), "INFO memory cpu").await;
    sends(r.lastsave(), "LASTSAVE").await;
    sends(r.latency_doctor(), "LATENCY DOCTOR").await;
    sends(r.latency_graph("fork"), "LATENCY GRAPH fork").await;
    sends(r.latency_histogram(&["get", "set"]), "LATENCY HISTOGRAM get set").await;
    sends(r.latency_histogram(&[""; 0]), "LATENCY HISTOGRAM").await;
    sends(r.latency_history("fork"), "LATENCY HISTORY fork").await;
    sends(r.latency_latest(), "LATENCY LATEST").await;
    sends(r.latency_reset(), "LATENCY RESET").await;
    sends(r.latency_reset_events(&["fork", "command"]), "LATENCY RESET fork command").await;
    sends(r.memory_doctor(), "MEMORY DOCTOR").await;
    sends(r.memory_purge(), "MEMORY PURGE").await;
    sends(r.memory_usage("k"), "MEMORY USAGE k").await;
    sends(r.memory_usage_with("k", 0), "MEMORY USAGE k SAMPLES 0").await;
    sends(r.ping(), "PING").await;
    sends(r.ping_with::<String>("hello"), "PING hello").await;
    sends(r.replicaof("h", 1), "REPLICAOF h 1").await;
    sends(r.replicaof_no_one(), "REPLICAOF NO ONE").await;
    sends(r.save(), "SAVE").await;
    sends(r.shutdown(), "SHUTDOWN").await;
    sends(r.shutdown_with(ShutdownSave::Save), "SHUTDOWN SAVE").await;
    sends(r.shutdown_with(ShutdownSave::NoSave), "SHUTDOWN NOSAVE").await;
    sends(r.slaveof("h", 1), "SLAVEOF h 1").await;
    sends(r.slaveof_no_one(), "SLAVEOF NO ONE").await;
    sends(r.commandlog_get(-1, CommandLog::Slow), "COMMANDLOG GET -1 slow").await;
    sends(r.commandlog_len(CommandLog::LargeRequest), "COMMANDLOG LEN large-request").await;
    sends(r.commandlog_reset(CommandLog::LargeReply), "COMMANDLOG RESET large-reply").await;
    sends(r.slowlog_get(), "SLOWLOG GET").await;
    sends(r.slowlog_get_count(-1), "SLOWLOG GET -1").await;
    sends(r.slowlog_len(), "SLOWLOG LEN").await;
    sends(r.slowlog_reset(), "SLOWLOG RESET").await;
    sends(r.swapdb(0, 1), "SWAPDB 0 1").await;
    sends(r.time(), "TIME").await;
}

#[tokio::test]
async fn a_method_on_users_sends_its_command() {
    let r = Recorder;
    sends(r.acl_cat(), "ACL CAT").await;
    sends(r.acl_cat_commands("read"), "ACL CAT read").await;
    sends(r.acl_deluser(&["ann", "bob"]), "ACL DELUSER ann bob").await;
    sends(r.acl_dryrun("ann", &["GET", "k"]), "ACL DRYRUN ann GET k").await;
    sends(r.acl_genpass(), "ACL GENPASS").await;
    sends(r.acl_genpass_bits(32), "ACL GENPASS 32").await;
    sends(r.acl_getuser("ann"), "ACL GETUSER ann").await;
    sends(r.acl_list(), "ACL LIST").await;
    sends(r.acl_load(), "ACL LOAD").await;
    sends(r.acl_log(), "ACL LOG").await;
    sends(r.acl_log_count(3), "ACL LOG 3").await;
    sends(r.acl_log_reset(), "ACL LOG RESET").await;
    sends(r.acl_save(), "ACL SAVE").await;
    sends(r.acl_setuser("ann", &["on", "+get"]), "ACL SETUSER ann on +get").await;
    sends(r.acl_users(), "ACL USERS").await;
    sends(r.acl_whoami(), "ACL WHOAMI").await;
}

#[tokio::test]
async fn a_method_on_connections_sends_its_command() {
    let r = Recorder;
    sends(r.client_getname(), "CLIENT GETNAME").await;
    sends(r.client_getredir(), "CLIENT GETREDIR").await;
    sends(r.client_id(), "CLIENT ID").await;
    sends(r.client_info(), "CLIENT INFO").await;
    sends(r.client_list_ids(&[3, 4]), "CLIENT LIST ID 3 4").await;
    sends(r.client_list_type("normal"), "CLIENT LIST TYPE normal").await;
    sends(r.client_no_evict(true), "CLIENT NO-EVICT ON").await;
    sends(r.client_no_touch(false), "CLIENT NO-TOUCH OFF").await;
    sends(r.client_pause(MS / 2), "CLIENT PAUSE 1").await;
    sends(r.client_pause_writes(1500 * MS), "CLIENT PAUSE 1500 WRITE").await;
    sends(r.client_setname("me"), "CLIENT SETNAME me").await;
    sends(r.client_unblock(3), "CLIENT UNBLOCK 3").await;
    sends(r.client_unblock_error(3), "CLIENT UNBLOCK 3 ERROR").await;
    sends(r.client_unpause(), "CLIENT UNPAUSE").await;
}

#[tokio::test]
async fn a_method_that_waits_sends_its_command() {
    let (r, wait) = (Recorder, 1500 * MS);
    let (left, right) = (|| Direction::Left, || Direction::Right);
    sends(r.blmove::<String>("a", "b", left(), right(), wait), "BLMOVE a b LEFT RIGHT 1.500").await;
    sends(r.blmpop::<String, String>(&["a", "b"], right(), 3, wait), "BLMPOP 1.500 2 a b RIGHT COUNT 3")
        .await;
    sends(r.blpop::<String, String>(&["a", "b"], wait), "BLPOP a b 1.500").await;
    sends(r.brpop::<String, String>("a", Duration::ZERO), "BRPOP a 0.000").await;
    sends(r.brpoplpush::<String>("a", "b", wait), "BRPOPLPUSH a b 1.500").await;
    sends(r.bzmpop::<String, String>("z", ScoreEnd::Max, 3, wait), "BZMPOP 1.500 1 z MAX COUNT 3").await;
    sends(r.bzpopmax::<String, String>(&["a", "b"], wait), "BZPOPMAX a b 1.500").await;
    sends(r.bzpopmin::<String, String>("a", wait), "BZPOPMIN a 1.500").await;
    sends(r.wait(2, wait), "WAIT 2 1500").await;
    sends(r.waitaof(1, 2, wait), "WAITAOF 1 2 1500").await;
    let call = r.xread_block::<String, String, String>(&["a", "b"], &["$", "5-1"], wait);
    sends(call, "XREAD BLOCK 1500 STREAMS a b $ 5-1").await;
    let options = ReadGroupOptions::new().count(2).noack();
    let call = r.xreadgroup_block::<String, String, String>("g", "c", &["a", "b"], options, wait);
    sends(call, "XREADGROUP GROUP g c COUNT 2 NOACK BLOCK 1500 STREAMS a b > >").await;
}

#[tokio::test]
async fn a_method_on_channels_sends_its_command() {
    let r = Recorder;
    sends(r.publish("c", "m"), "PUBLISH c m").await;
    sends(r.pubsub_channels::<String>("c*"), "PUBSUB CHANNELS c*").await;
    sends(r.pubsub_numpat(), "PUBSUB NUMPAT").await;
    sends(r.pubsub_numsub::<String>(&["c", "d"]), "PUBSUB NUMSUB c d").await;
    sends(r.pubsub_shardchannels::<String>("c*"), "PUBSUB SHARDCHANNELS c*").await;
    sends(r.pubsub_shardnumsub::<String>(&["c", "d"]), "PUBSUB SHARDNUMSUB c d").await;
    sends(r.spublish("c", "m"), "SPUBLISH c m").await;
}

#[tokio::test]
async fn a_method_on_scripts_sends_its_command() {
    let r = Recorder;
    sends(r.eval::<u8>("return 1", &["a", "b"], &[1, 2]), "EVAL return 1 2 a b 1 2").await;
    sends(r.eval_ro::<u8>("return 1", "a", 1), "EVAL_RO return 1 1 a 1").await;
    sends(r.evalsha::<u8>("5a", &[""; 0], 1), "EVALSHA 5a 0 1").await;
    sends(r.evalsha_ro::<u8>("5a", "a", 1), "EVALSHA_RO 5a 1 a 1").await;
    sends(r.fcall::<u8>("f", &["a", "b"], 1), "FCALL f 2 a b 1").await;
    sends(r.fcall_ro::<u8>("f", "a", 1), "FCALL_RO f 1 a 1").await;
    sends(r.function_delete("l"), "FUNCTION DELETE l").await;
    sends(r.function_dump(), "FUNCTION DUMP").await;
    sends(r.function_flush(FlushMode::Async), "FUNCTION FLUSH ASYNC").await;
    sends(r.function_kill(), "FUNCTION KILL").await;
    sends(r.function_list(), "FUNCTION LIST").await;
    sends(r.function_load("code"), "FUNCTION LOAD code").await;
    sends(r.function_load_replace("code"), "FUNCTION LOAD REPLACE code").await;
    sends(r.function_restore(b"dump", FunctionRestore::Append), "FUNCTION RESTORE dump APPEND").await;
    sends(r.function_restore(b"dump", FunctionRestore::Flush), "FUNCTION RESTORE dump FLUSH").await;
    sends(r.function_restore(b"dump", FunctionRestore::Replace), "FUNCTION RESTORE dump REPLACE").await;
    sends(r.function_stats(), "FUNCTION STATS").await;
    sends(r.script_exists(&["5a", "6b"]), "SCRIPT EXISTS 5a 6b").await;
    sends(r.script_flush(FlushMode::Sync), "SCRIPT FLUSH SYNC").await;
    sends(r.script_kill(), "SCRIPT KILL").await;
    sends(r.script_load("return 1"), "SCRIPT LOAD return 1").await;
}

#[tokio::test]
async fn a_method_on_sentinels_sends_its_command() {
    let r = Recorder;
    sends(r.sentinel_ckquorum("shop"), "SENTINEL CKQUORUM shop").await;
    sends(r.sentinel_failover("shop"), "SENTINEL FAILOVER shop").await;
    sends(r.sentinel_flushconfig(), "SENTINEL FLUSHCONFIG").await;
    sends(r.sentinel_get_master_addr_by_name("shop"), "SENTINEL GET-MASTER-ADDR-BY-NAME shop").await;
    sends(r.sentinel_master("shop"), "SENTINEL MASTER shop").await;
    sends(r.sentinel_masters(), "SENTINEL MASTERS").await;
    sends(r.sentinel_monitor("shop", "::1", 6379, 2), "SENTINEL MONITOR shop ::1 6379 2").await;
    sends(r.sentinel_myid(), "SENTINEL MYID").await;
    sends(r.sentinel_remove("shop"), "SENTINEL REMOVE shop").await;
    sends(r.sentinel_replicas("shop"), "SENTINEL REPLICAS shop").await;
    sends(r.sentinel_reset("s*"), "SENTINEL RESET s*").await;
    sends(r.sentinel_sentinels("shop"), "SENTINEL SENTINELS shop").await;
    sends(r.sentinel_set("shop", "quorum", 2), "SENTINEL SET shop quorum 2").await;
    sends(r.sentinel_slaves("shop"), "SENTINEL SLAVES shop").await;
}

/// The methods of all families of commands, whichever files they are in.
fn methods() -> Vec<String> {
    let mut methods = Vec::new();
    for file in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/commands")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for family in text.split("\npub trait ").skip(1) {
            let (family, _) = family.split_once("\n}\n").unwrap();
            let names = family.lines().filter_map(|line| line.strip_prefix("    fn "));
            methods.extend(names.map(|rest| rest.split(['(', '<']).next().unwrap().to_owned()));
        }
    }
    methods
}

#[test]
fn every_method_is_held_against_its_words() {
    let calls = include_str!("tests.rs");
    let is_held =
        |name: &String| calls.contains(&format!("r.{name}(")) || calls.contains(&format!("r.{name}::<"));
    let methods = methods();
    assert!(methods.contains(&"get".to_owned()) && methods.contains(&"sentinel_set".to_owned()));
    let others: Vec<_> = methods.iter().filter(|name| !is_held(name)).collect();
    assert!(others.is_empty(), "methods whose words are not held here: {others:?}");
}

fn text(text: &str) -> Value {
    Value::BulkString(text.into())
}

fn pair(a: Value, b: Value) -> Value {
    Value::Array(vec![a, b])
}

/// Holds if the replies of both protocols are read alike.
fn both<T: FromRedisValue + PartialEq + fmt::Debug>(resp2: Value, resp3: Value, expected: T) {
    assert_eq!(T::from_redis_value(resp2).unwrap(), expected);
    assert_eq!(T::from_redis_value(resp3).unwrap(), expected);
}

#[test]
fn the_replies_of_both_protocols_are_read_alike() {
    let scores = vec![("a".to_owned(), 1.5), ("b".to_owned(), f64::INFINITY)];
    both::<Vec<Scored<String>>>(
        Value::Array(vec![text("a"), text("1.5"), text("b"), text("inf")]),
        Value::Array(vec![
            pair(text("a"), Value::Double(1.5)),
            pair(text("b"), Value::Double(f64::INFINITY)),
        ]),
        scores.clone(),
    );
    // `ZPOPMIN` with a count, and one member only: RESP3 nests, RESP2 does not.
    both::<Vec<Scored<String>>>(
        Value::Array(vec![text("a"), text("1.5")]),
        Value::Array(vec![pair(text("a"), Value::Double(1.5))]),
        scores[..1].to_vec(),
    );
    both::<PoppedScored<String, String>>(
        pair(text("k"), Value::Array(vec![pair(text("a"), text("1.5"))])),
        pair(text("k"), Value::Array(vec![pair(text("a"), Value::Double(1.5))])),
        Some(("k".to_owned(), scores[..1].to_vec())),
    );
    both::<PoppedScored<String, String>>(Value::Nil, Value::Nil, None);
    both::<HashMap<String, u8>>(
        Value::Array(vec![text("f"), text("1")]),
        Value::Map(vec![(text("f"), text("1"))]),
        HashMap::from([("f".to_owned(), 1)]),
    );
    both::<Vec<(String, u8)>>(
        Value::Array(vec![text("f"), text("1")]),
        Value::Array(vec![pair(text("f"), text("1"))]),
        vec![("f".to_owned(), 1)],
    );
    let members = HashSet::from(["a".to_owned(), "b".to_owned()]);
    both(pair(text("a"), text("b")), Value::Set(vec![text("a"), text("b")]), members);
    both(
        pair(Value::Int(1), Value::Int(0)),
        pair(Value::Boolean(true), Value::Boolean(false)),
        vec![true, false],
    );
    both::<Option<(u64, f64)>>(
        pair(Value::Int(2), text("1.5")),
        pair(Value::Int(2), Value::Double(1.5)),
        Some((2, 1.5)),
    );
    let entry = Value::Array(vec![text("5-1"), pair(text("f"), text("1"))]);
    both::<Vec<StreamTail<String, String, u8>>>(
        Value::Array(vec![pair(text("k"), Value::Array(vec![entry.clone()]))]),
        Value::Map(vec![(text("k"), Value::Array(vec![entry]))]),
        vec![(
            "k".to_owned(),
            vec![StreamEntry { id: StreamId::new(5, 1), fields: HashMap::from([("f".to_owned(), 1)]) }],
        )],
    );
    both::<ScanPage<Scored<String>>>(
        pair(text("7"), Value::Array(vec![text("a"), text("1.5")])),
        pair(text("7"), Value::Array(vec![text("a"), text("1.5")])),
        ScanPage { cursor: 7, items: scores[..1].to_vec() },
    );
    let matches = |match_: Value| {
        Value::Array(vec![text("matches"), Value::Array(vec![match_]), text("len"), Value::Int(6)])
    };
    let range = |from, to| pair(Value::Int(from), Value::Int(to));
    let run = Value::Array(vec![range(4, 7), range(5, 8), Value::Int(4)]);
    both(
        matches(run.clone()),
        Value::Map(vec![(text("matches"), Value::Array(vec![run])), (text("len"), Value::Int(6))]),
        LcsMatches { matches: vec![LcsMatch { a: (4, 7), b: (5, 8), len: 4 }], len: 6 },
    );
}

#[test]
fn an_id_is_read_as_it_is_written() {
    for id in [StreamId::MIN, StreamId::new(1_526_919_030_474, 55), StreamId::MAX] {
        assert_eq!(id.to_string().parse::<StreamId>().unwrap(), id);
    }
    assert_eq!("7".parse::<StreamId>().unwrap(), StreamId::new(7, 0));
    assert!("7-x".parse::<StreamId>().is_err());
}

#[test]
fn an_entry_that_is_gone_hides_no_other() {
    let text = |text: &str| Value::BulkString(text.into());
    let entry = Value::Array(vec![text("5-1"), Value::Array(vec![text("f"), text("1")])]);
    let left = [StreamEntry { id: StreamId::new(5, 1), fields: HashMap::from([("f".to_owned(), 1)]) }];
    // As Redis 6.2 has it.
    let claimed = Value::Array(vec![Value::Nil, entry, Value::Nil]);
    assert_eq!(StreamEntries::<String, u8>::from_redis_value_ref(&claimed).unwrap(), left);
    assert_eq!(StreamEntries::<String, u8>::from_redis_value(claimed.clone()).unwrap(), left);
    let claimed = Value::Array(vec![text("0-0"), claimed]);
    let claimed = AutoClaimedEntries::<String, u8>::from_redis_value(claimed).unwrap();
    assert_eq!((claimed.next, &claimed.claimed[..], claimed.deleted), (StreamId::MIN, &left[..], vec![]));
    let pending = Value::Array(vec![Value::Array(vec![text("5-1"), Value::Nil])]);
    let gone = StreamEntry { id: StreamId::new(5, 1), fields: HashMap::new() };
    assert_eq!(StreamEntries::<String, u8>::from_redis_value(pending).unwrap(), [gone]);
}

//! Commands that one node decides: the other nodes are sent the effect, not the command.
//!
//! The effect is what Redis itself sends to its replicas.

use std::ops::Range;

use redis::Cmd;
use redis::Value;
use redisdb_node::command;
use redisdb_node::command::Connection;
use redisdb_node::command::Spec;
use redisdb_node::command::words;

/// The rule by which the effect of a command follows from the deciding node's reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decide {
    /// The others are sent the same command, and must give the same reply: `LPOP`.
    Same,
    /// The members that the reply names are removed: `SPOP`.
    Remove,
    /// The same command under another name, if the reply says that it took because nothing was there: `SETNX` becomes `SET`.
    Unless(&'static str),
    /// The same command under another name, if the reply says that it took because something was there: `LPUSHX` becomes
    /// `LPUSH`.
    IfThere(&'static str),
    /// The same command under another name, whatever the reply: `GETSET` becomes `SET`.
    Always(&'static str),
    /// The key is deleted, if the reply is a value: `GETDEL`.
    Delete,
    /// The key is set to the reply, its time to live kept: `INCRBYFLOAT`.
    Value,
    /// The field is set to the reply: `HINCRBYFLOAT`.
    Field,
    /// The member at this position gets the reply as its score: `ZINCRBY`, `ZADD .. INCR`.
    Score { member: usize },
    /// The entry gets the identifier in the reply, at this position: `XADD`.
    Entry { id: usize },
    /// `SET` without its conditions, if it took.
    Set,
    /// The same command without these options, from this position on, if it took: `EXPIRE .. NX`.
    Without { from: usize, options: &'static [&'static str] },
    /// The same command without its condition, for the fields that took it: `HEXPIRE .. NX`.
    Fields,
    /// The fields that were there are removed: `HGETDEL`.
    RemoveFields,
    /// The members, every `step`-th word from `first` on, get the scores that the deciding node has then: `ZADD .. GT`,
    /// `GEOADD .. NX`.
    Scores { first: usize, step: usize },
}

/// The effect of a command, which the other nodes are sent.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Nothing: the command did nothing.
    Nothing,
    /// The command itself; a node whose reply differs holds something else.
    Same,
    /// This command instead; a node that does not answer with the number, if there is one, holds something else.
    Instead(Cmd, Option<i64>),
}

const APPROXIMATE: &str = "how much `~` trims depends on how each server keeps the stream, so nodes would end up different; use `=`";
const GROUPS: &str = "each server's own consumer group decides who gets an entry; read the stream with `xread`, \
                      or keep the group on one node, by `on_node(name)`";
const BLOCKS: &str = "the deciding node would have to be waited for on a connection of its own; \
                      pop without blocking, or wait on one node, by `on_node(name)`";
const PRODUCERS: &str = "each server's own memory of its producers decides whether an entry is new; \
                         add it without `IDMP`, or keep the stream on one node, by `on_node(name)`";
const NEWER: &str = "its effect cannot be told from its reply; read first and write without a condition";

/// The options that make an expiry depend on the one that is there.
const EXPIRY: &[&str] = &["NX", "XX", "GT", "LT"];

/// Returns how a command is decided; `Ok(None)` if its words leave nothing to decide; `Err` with the reason if it cannot be.
pub(crate) fn how(spec: &Spec, cmd: &Cmd) -> Result<Option<Decide>, &'static str> {
    let words: Vec<&[u8]> = words(cmd).collect();
    let has = |option: &str, first| words.iter().skip(first).any(|word| is_one_of(word, &[option]));
    Ok(Some(match spec.name {
        "LPOP" | "RPOP" | "LMPOP" | "ZPOPMIN" | "ZPOPMAX" | "ZMPOP" | "LMOVE" | "LMOVEM" | "RPOPLPUSH" => {
            Decide::Same
        }
        "SPOP" => Decide::Remove,
        "SETNX" => Decide::Unless("SET"),
        "MSETNX" => Decide::Unless("MSET"),
        "HSETNX" => Decide::Unless("HSET"),
        "RENAMENX" => Decide::Unless("RENAME"),
        "LPUSHX" => Decide::IfThere("LPUSH"),
        "RPUSHX" => Decide::IfThere("RPUSH"),
        "GETSET" => Decide::Always("SET"),
        "GETDEL" => Decide::Delete,
        "INCRBYFLOAT" => Decide::Value,
        "HINCRBYFLOAT" => Decide::Field,
        "ZINCRBY" => Decide::Score { member: 3 },
        "DELIFEQ" | "DELEX" => Decide::Delete,
        // The reply is the old value, and only a server can tell whether it had this digest.
        "SET" if has("GET", 3) && (has("IFDEQ", 3) || has("IFDNE", 3)) => return Err(NEWER),
        "SET" => Decide::Set,
        "EXPIRE" | "PEXPIRE" | "EXPIREAT" | "PEXPIREAT" => Decide::Without { from: 3, options: EXPIRY },
        "HEXPIRE" | "HPEXPIRE" | "HEXPIREAT" | "HPEXPIREAT" => Decide::Fields,
        "HGETDEL" => Decide::RemoveFields,
        "HSETEX" => Decide::Without { from: 2, options: &["FNX", "FXX"] },
        "MSETEX" => {
            // Keys and values are no options, whatever their text.
            let last = spec.keys_of(cmd).ok().and_then(|keys| keys.last()).map_or(0, |(at, _)| at);
            Decide::Without { from: last + 2, options: &["NX", "XX"] }
        }
        "ZADD" => {
            let is_option = |word: &&&[u8]| is_one_of(word, &["NX", "XX", "GT", "LT", "CH", "INCR"]);
            let options = words.iter().skip(2).take_while(is_option);
            let incr = options.clone().any(|word| is_one_of(word, &["INCR"]));
            let member = 2 + options.count() + 1;
            if incr { Decide::Score { member } } else { Decide::Scores { first: member, step: 2 } }
        }
        "GEOADD" => {
            let is_option = |word: &&&[u8]| is_one_of(word, &["NX", "XX", "CH"]);
            Decide::Scores { first: 2 + words.iter().skip(2).take_while(is_option).count() + 2, step: 3 }
        }
        "XADD" => {
            let (at, approximate) = xadd_id(&words);
            if approximate {
                return Err(APPROXIMATE);
            }
            match words.get(at) {
                Some(id) if id.ends_with(b"*") => Decide::Entry { id: at },
                Some(id) if id.eq_ignore_ascii_case(b"IDMP") || id.eq_ignore_ascii_case(b"IDMPAUTO") => {
                    return Err(PRODUCERS);
                }
                // Not an identifier, so an unknown option, and the identifier comes after it.
                Some(id) if !id.first().is_some_and(u8::is_ascii_digit) => return Err(NEWER),
                _ => return Ok(None),
            }
        }
        "XTRIM" if has("~", 2) => return Err(APPROXIMATE),
        "XTRIM" => return Ok(None),
        "XREADGROUP" | "XCLAIM" | "XAUTOCLAIM" | "XACKDEL" => return Err(GROUPS),
        _ if spec.connection != Connection::Shared => return Err(BLOCKS),
        _ => return Err(NEWER),
    }))
}

/// Returns the position of the identifier of an `XADD`, and whether the command trims approximately.
fn xadd_id(words: &[&[u8]]) -> (usize, bool) {
    let mut at = 2;
    let mut approximate = false;
    loop {
        match words.get(at).map(|word| word.to_ascii_uppercase()).as_deref() {
            Some(b"NOMKSTREAM" | b"KEEPREF" | b"DELREF" | b"ACKED") => at += 1,
            Some(b"MAXLEN" | b"MINID") => {
                let exactness = words.get(at + 1).copied().unwrap_or_default();
                approximate |= exactness == b"~";
                at += if matches!(exactness, b"~" | b"=") { 3 } else { 2 };
            }
            Some(b"LIMIT") => at += 2,
            _ => return (at, approximate),
        }
    }
}

impl Decide {
    /// Returns the question to the deciding node in the same transaction, where the reply does not tell the effect.
    pub(crate) fn question(self, cmd: &Cmd) -> Option<Cmd> {
        let Self::Scores { first, step } = self else { return None };
        let key = words(cmd).nth(1)?;
        let mut question = redis::cmd("ZMSCORE");
        question.arg(key);
        for member in words(cmd).skip(first).step_by(step) {
            question.arg(member);
        }
        Some(question)
    }

    /// Returns whether the deciding node's replies say that something was missing there. A node that was emptied a moment ago
    /// says so of everything.
    pub(crate) fn lacks_something(self, cmd: &Cmd, reply: &Value, answer: Option<&Value>) -> bool {
        let is_what_was_added = |at: usize| words(cmd).nth(at).is_some_and(|added| is_number(reply, added));
        match self {
            // Of these, `HSETEX` and `MSETEX` may have taken effect because nothing was there.
            Self::Without { options, .. } => {
                is_nothing(reply)
                    || options != EXPIRY && words(cmd).skip(2).any(|word| is_one_of(word, &["NX", "FNX"]))
            }
            Self::Same | Self::Remove | Self::IfThere(_) | Self::Always(_) | Self::Delete => {
                is_nothing(reply)
            }
            Self::Fields | Self::RemoveFields => {
                is_nothing(reply) || elements(reply).any(|one| matches!(one, Value::Nil | Value::Int(-2)))
            }
            Self::Unless(_) => !is_nothing(reply),
            Self::Value => is_what_was_added(2),
            Self::Field => is_what_was_added(3),
            Self::Score { member } => is_nothing(reply) || is_what_was_added(member - 1),
            // `*` gives an identifier by the clock, whatever is there; `5-*` gives the first one if nothing is there.
            Self::Entry { id } => {
                let is_first = |id: &[u8]| id.ends_with(b"-0") || id == b"0-1";
                let by_clock = words(cmd).nth(id) == Some(b"*");
                is_nothing(reply) || !by_clock && bytes(reply).is_some_and(is_first)
            }
            Self::Set => {
                let has = |option: &[u8]| words(cmd).skip(3).any(|word| word.eq_ignore_ascii_case(option));
                let is_unlike = has(b"IFNE") || has(b"IFDNE");
                is_unlike || (*reply == Value::Nil) != (has(b"NX") && !has(b"GET"))
            }
            // Members were added, or a named one has no score.
            Self::Scores { .. } => {
                !is_nothing(reply) || answer.is_some_and(|answer| elements(answer).any(|s| *s == Value::Nil))
            }
        }
    }

    /// Checks that the reply, or the answer to the [question](Self::question), has one element for each field or member that
    /// the command named. Otherwise nobody knows which element belongs to which.
    ///
    /// # Errors
    /// The two numbers.
    pub(crate) fn fits(self, cmd: &Cmd, reply: &Value, answer: Option<&Value>) -> Result<(), String> {
        let words: Vec<&[u8]> = words(cmd).collect();
        let (list, wanted) = match self {
            // Some versions reply nil if the key is missing.
            Self::Fields | Self::RemoveFields if *reply != Value::Nil => (reply, fields_of(cmd).len()),
            Self::Scores { first, step } => {
                (answer.unwrap_or(&Value::Nil), words.get(first..).unwrap_or_default().len().div_ceil(step))
            }
            _ => return Ok(()),
        };
        match list {
            Value::Array(found) if found.len() == wanted => Ok(()),
            _ => Err(format!("{} elements for {wanted} that were named", elements(list).len())),
        }
    }

    /// Returns the effect of a command, by its reply and the answer to the [question](Self::question).
    pub(crate) fn effect(self, cmd: &Cmd, reply: &Value, answer: Option<&Value>) -> Effect {
        self.derive(cmd, reply, answer).unwrap_or(Effect::Nothing)
    }

    fn derive(self, cmd: &Cmd, reply: &Value, answer: Option<&Value>) -> Option<Effect> {
        let words: Vec<&[u8]> = words(cmd).collect();
        let key = *words.get(1)?;
        let instead = |cmd: &mut Cmd| Some(Effect::Instead(cmd.take(), None));
        let renamed = |name: &str, n| Some(Effect::Instead(redis::cmd(name).arg(words.get(1..)).take(), n));
        let n_after = if let Value::Int(n) = reply { Some(*n) } else { None };
        match self {
            Self::Same | Self::Unless(_) | Self::IfThere(_) | Self::Delete | Self::Without { .. }
                if is_nothing(reply) =>
            {
                None
            }
            Self::Same => Some(Effect::Same),
            Self::Remove => {
                let members: Vec<&[u8]> = elements(reply).filter_map(bytes).collect();
                let n = i64::try_from(members.len()).ok()?;
                (n > 0).then(|| Effect::Instead(redis::cmd("SREM").arg(key).arg(members).take(), Some(n)))
            }
            // The length of the list after it.
            Self::IfThere(name) => renamed(name, n_after),
            // `HSET` says how many fields are new, and one was.
            Self::Unless(name @ "HSET") => renamed(name, Some(1)),
            Self::Unless(name) | Self::Always(name) => renamed(name, None),
            Self::Delete => instead(redis::cmd("DEL").arg(key)),
            Self::Value => instead(redis::cmd("SET").arg(key).arg(bytes(reply)?).arg("KEEPTTL")),
            Self::Field => instead(redis::cmd("HSET").arg(key).arg(words.get(2)?).arg(bytes(reply)?)),
            Self::Score { member } => {
                instead(redis::cmd("ZADD").arg(key).arg(bytes(reply)?).arg(words.get(member)?))
            }
            Self::Entry { id } => {
                let mut entry = Cmd::new();
                instead(entry.arg(words.get(..id)?).arg(bytes(reply)?).arg(words.get(id + 1..)?))
            }
            Self::Set => {
                let (command, options) = words.split_at_checked(3)?;
                let mut set = Cmd::new();
                set.arg(command);
                let (mut answers_old, mut took_if) = (false, None);
                let mut options = options.iter();
                while let Some(option) = options.next() {
                    let upper = option.to_ascii_uppercase();
                    match upper.as_slice() {
                        b"GET" => answers_old = true,
                        b"NX" => took_if = Some(*reply == Value::Nil),
                        b"XX" => took_if = Some(*reply != Value::Nil),
                        b"IFEQ" | b"IFNE" => {
                            let is_equal = bytes(reply) == options.next().copied();
                            took_if = Some(is_equal == (upper == b"IFEQ"));
                        }
                        b"IFDEQ" | b"IFDNE" => _ = options.next(),
                        _ => _ = set.arg(option),
                    }
                }
                // With `GET` the old value tells whether it took, without it the reply does.
                let took = if answers_old { took_if.unwrap_or(true) } else { *reply != Value::Nil };
                if took { instead(&mut set) } else { None }
            }
            Self::Without { from, options } => {
                let fields = fields_of(cmd);
                let is_kept = |(at, word): &(usize, &&[u8])| {
                    *at < from || fields.contains(at) || !is_one_of(word, options)
                };
                let mut without = Cmd::new();
                words.iter().enumerate().filter(is_kept).for_each(|(_, word)| _ = without.arg(word));
                // An expiry is one of a key that is there.
                Some(Effect::Instead(without, (options == EXPIRY).then_some(1)))
            }
            Self::Fields => {
                let (fields, time) = (words.get(fields_of(cmd))?, words.get(..3)?);
                let took = |one: &Value| matches!(one, Value::Int(1 | 2));
                let took = fields.iter().zip(elements(reply)).filter(|(_, one)| took(one));
                let took: Vec<&[u8]> = took.map(|(field, _)| *field).collect();
                let mut expire = Cmd::new();
                expire.arg(time).arg("FIELDS").arg(took.len()).arg(&took);
                if took.is_empty() { None } else { instead(&mut expire) }
            }
            Self::RemoveFields => {
                let fields = words.get(fields_of(cmd))?;
                let there = fields.iter().zip(elements(reply)).filter(|(_, value)| **value != Value::Nil);
                let there: Vec<&[u8]> = there.map(|(field, _)| *field).collect();
                let n = i64::try_from(there.len()).ok()?;
                (n > 0).then(|| Effect::Instead(redis::cmd("HDEL").arg(key).arg(there).take(), Some(n)))
            }
            Self::Scores { first, step } => {
                let members = words.iter().skip(first).step_by(step).zip(elements(answer?));
                let scored = members.filter_map(|(member, score)| Some([bytes(score)?, *member]));
                let scored: Vec<&[u8]> = scored.flatten().collect();
                if scored.is_empty() { None } else { instead(redis::cmd("ZADD").arg(key).arg(scored)) }
            }
        }
    }
}

fn is_one_of(word: &[u8], options: &[&str]) -> bool {
    options.iter().any(|option| word.eq_ignore_ascii_case(option.as_bytes()))
}

/// Returns whether a reply says that nothing was done or found.
fn is_nothing(reply: &Value) -> bool {
    match reply {
        Value::Nil | Value::Int(0) | Value::Boolean(false) => true,
        Value::Array(elements) | Value::Set(elements) => elements.is_empty(),
        _ => false,
    }
}

/// Returns the elements of a list; any other value is its own only element.
fn elements(value: &Value) -> std::slice::Iter<'_, Value> {
    match value {
        Value::Array(elements) | Value::Set(elements) => elements.iter(),
        one => std::slice::from_ref(one).iter(),
    }
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

/// Returns whether a reply is this number, however the two are written.
fn is_number(reply: &Value, number: &[u8]) -> bool {
    let read = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<f64>().ok();
    let numbers = bytes(reply).and_then(read).zip(read(number));
    numbers.is_some_and(|(found, number)| found == number || (found - number).abs() <= number.abs() * 1e-15)
}

/// Returns the positions of the fields that a command of hashes names; of any other command an empty range.
fn fields_of(cmd: &Cmd) -> Range<usize> {
    command::lookup(cmd).and_then(|spec| spec.fields_of(cmd)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use redisdb_node::command::lookup;

    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn list(elements: &[&str]) -> Value {
        Value::Array(elements.iter().map(|element| text(element)).collect())
    }

    /// Checks what the other nodes are sent for a command, by the reply of the node that decided it.
    fn check(words: &str, reply: Value, expected: &str) {
        check_asking(words, reply, None, expected);
    }

    fn check_asking(command: &str, reply: Value, answer: Option<Value>, expected: &str) {
        let mut cmd = Cmd::new();
        cmd.arg(command.split(' ').collect::<Vec<_>>());
        let decide = how(lookup(&cmd).unwrap(), &cmd).unwrap().expect("something to decide");
        assert_eq!(decide.question(&cmd).is_some(), answer.is_some(), "{command}");
        assert_eq!(decide.fits(&cmd, &reply, answer.as_ref()), Ok(()), "{command}");
        let found = match decide.effect(&cmd, &reply, answer.as_ref()) {
            Effect::Nothing => "nothing".to_owned(),
            Effect::Same => "same".to_owned(),
            Effect::Instead(cmd, _) => words(&cmd)
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect::<Vec<_>>()
                .join(" "),
        };
        assert_eq!(found, expected, "{command}");
    }

    #[test]
    fn a_node_that_answers_the_effect_otherwise_holds_something_else() {
        for (command, reply, expected) in [
            ("RPUSHX l a", 6, Some(6)),
            ("HSETNX h f v", 1, Some(1)),
            ("PEXPIREAT k 5 NX", 1, Some(1)),
            ("SETNX k v", 1, None),
            ("HSETEX h FNX FIELDS 1 f v", 1, None),
        ] {
            let mut cmd = Cmd::new();
            cmd.arg(command.split(' ').collect::<Vec<_>>());
            let decide = how(lookup(&cmd).unwrap(), &cmd).unwrap().unwrap();
            match decide.effect(&cmd, &Value::Int(reply), None) {
                Effect::Instead(_, found) => assert_eq!(found, expected, "{command}"),
                other => panic!("{command}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_choice_of_the_server_is_sent() {
        check("SPOP s", text("a"), "SREM s a");
        check("SPOP s 2", list(&["a", "b"]), "SREM s a b");
        check("SPOP s", Value::Nil, "nothing");
        check("SPOP s 2", list(&[]), "nothing");
        check("XADD x * f v", text("5-1"), "XADD x 5-1 f v");
        check("XADD x NOMKSTREAM MAXLEN = 9 5-* f v", text("5-1"), "XADD x NOMKSTREAM MAXLEN = 9 5-1 f v");
        check("XADD x NOMKSTREAM * f v", Value::Nil, "nothing");
    }

    #[test]
    fn a_float_is_sent_as_its_sum() {
        check("INCRBYFLOAT k 0.1", text("0.3"), "SET k 0.3 KEEPTTL");
        check("HINCRBYFLOAT k f 0.1", text("0.3"), "HSET k f 0.3");
        check("ZINCRBY k 0.1 m", text("0.3"), "ZADD k 0.3 m");
        check("ZADD k GT INCR 1 m", text("7"), "ZADD k 7 m");
        check("ZADD k NX INCR 1 m", Value::Nil, "nothing");
    }

    #[test]
    fn a_condition_is_sent_as_its_effect() {
        check("SETNX k v", Value::Int(1), "SET k v");
        check("SETNX k v", Value::Int(0), "nothing");
        check("MSETNX a 1 b 2", Value::Int(1), "MSET a 1 b 2");
        check("RENAMENX a b", Value::Int(1), "RENAME a b");
        check("LPUSHX l a b", Value::Int(0), "nothing");
        check("RPUSHX l a b", Value::Int(4), "RPUSH l a b");
        check("GETSET k v", Value::Nil, "SET k v");
        check("GETDEL k", Value::Nil, "nothing");
        check("GETDEL k", text(""), "DEL k");
        check("PEXPIREAT k 5 nx", Value::Int(1), "PEXPIREAT k 5");
        check("PEXPIREAT k 5 GT", Value::Int(0), "nothing");
        check("PEXPIREAT fields 5 NX", Value::Int(1), "PEXPIREAT fields 5");
        check("HSETEX fields FNX FIELDS 1 FNX v", Value::Int(1), "HSETEX fields FIELDS 1 FNX v");
        check("DELIFEQ k v", Value::Int(1), "DEL k");
        check("DELEX k IFNE v", Value::Int(0), "nothing");
        check("MSETEX 2 {a}1 NX {a}2 v XX EX 5", Value::Int(1), "MSETEX 2 {a}1 NX {a}2 v EX 5");
        check("MSETEX 1 a v NX", Value::Int(0), "nothing");
    }

    #[test]
    fn only_the_fields_of_a_hash_that_took_it_are_sent() {
        let took = |codes: &[i64]| Value::Array(codes.iter().copied().map(Value::Int).collect());
        check("HPEXPIREAT h 9 NX FIELDS 3 a NX c", took(&[1, 0, 2]), "HPEXPIREAT h 9 FIELDS 2 a c");
        check("HPEXPIREAT h 9 nx fields 2 a NX", took(&[-2, 1]), "HPEXPIREAT h 9 FIELDS 1 NX");
        check("HEXPIREAT h 9 GT FIELDS 1 a", took(&[0]), "nothing");
        check("HSETEX h FNX PXAT 9 FIELDS 1 FNX FXX", Value::Int(1), "HSETEX h PXAT 9 FIELDS 1 FNX FXX");
        check("HSETEX h FXX FIELDS 1 f v", Value::Int(0), "nothing");
        check("HGETDEL h FIELDS 3 a b c", Value::Array(vec![text("1"), Value::Nil, text("")]), "HDEL h a c");
        check("HGETDEL h FIELDS 1 a", Value::Array(vec![Value::Nil]), "nothing");
    }

    #[test]
    fn set_takes_as_its_options_say() {
        check("SET k v NX", Value::Okay, "SET k v");
        check("SET k v NX", Value::Nil, "nothing");
        check("SET k v XX PXAT 9", Value::Okay, "SET k v PXAT 9");
        check("SET k v GET", Value::Nil, "SET k v");
        check("SET k v GET KEEPTTL", text("old"), "SET k v KEEPTTL");
        check("SET k v NX GET", Value::Nil, "SET k v");
        check("SET k v NX GET", text("old"), "nothing");
        check("SET k v XX GET", Value::Nil, "nothing");
        check("SET k v XX GET", text("old"), "SET k v");
        check("SET k v IFEQ old", Value::Okay, "SET k v");
        check("SET k v IFEQ GET KEEPTTL", Value::Nil, "nothing");
        check("SET k v IFEQ old GET PXAT 9", text("old"), "SET k v PXAT 9");
        check("SET k v GET IFEQ old", text("other"), "nothing");
        check("SET k v IFEQ old GET", Value::Nil, "nothing");
        check("SET k v IFNE old GET", Value::Nil, "SET k v");
        check("SET k v IFNE old GET", text("old"), "nothing");
        check("SET k v IFDNE d", Value::Okay, "SET k v");
    }

    #[test]
    fn scores_are_sent_as_the_deciding_node_has_them() {
        let scores = || Some(Value::Array(vec![text("5"), Value::Nil, text("7")]));
        check_asking("ZADD z GT CH 1 a 2 b 3 c", Value::Int(2), scores(), "ZADD z 5 a 7 c");
        check_asking("GEOADD g NX 1 2 a 3 4 b 5 6 c", Value::Int(2), scores(), "ZADD g 5 a 7 c");
        let none = || Some(Value::Array(vec![Value::Nil]));
        check_asking("ZADD z XX 1 a", Value::Int(0), none(), "nothing");
    }

    /// Checks which replies to a command say that something was missing.
    fn check_lacks(command: &str, lacking: &[Value], found: &[Value]) {
        let mut cmd = Cmd::new();
        cmd.arg(command.split(' ').collect::<Vec<_>>());
        let decide = how(lookup(&cmd).unwrap(), &cmd).unwrap().expect("something to decide");
        for (replies, expected) in [(lacking, true), (found, false)] {
            for reply in replies {
                assert_eq!(decide.lacks_something(&cmd, reply, None), expected, "{command}: {reply:?}");
            }
        }
    }

    #[test]
    fn a_reply_tells_whether_something_was_missing() {
        let (no, yes, ok) = (|| Value::Int(0), || Value::Int(1), || Value::Okay);
        for pop in ["LPOP l", "SPOP s", "GETDEL k", "GETSET k v", "LMOVE a b LEFT LEFT", "SET k v GET"] {
            check_lacks(pop, &[Value::Nil], &[text(""), text("x")]);
        }
        check_lacks("SPOP s 2", &[list(&[])], &[list(&["a"])]);
        for unless in ["SETNX k v", "MSETNX a 1 b 2", "HSETNX h f v", "RENAMENX a b"] {
            check_lacks(unless, &[yes()], &[no()]);
        }
        for if_there in ["LPUSHX l a", "RPUSHX l a", "EXPIREAT k 5 XX", "PEXPIREAT k 5 GT"] {
            check_lacks(if_there, &[no()], &[yes()]);
        }
        check_lacks("SET k v NX", &[ok()], &[Value::Nil]);
        // What took effect where nothing is, and what is unlike nothing.
        check_lacks("HSETEX h FNX FIELDS 1 f v", &[yes()], &[]);
        check_lacks("HSETEX h FXX FIELDS 1 f v", &[no()], &[yes()]);
        check_lacks("MSETEX 1 k v NX", &[yes()], &[]);
        check_lacks("MSETEX 1 k v XX", &[no()], &[yes()]);
        check_lacks("SET k v IFNE x", &[ok()], &[]);
        check_lacks("SET k v XX", &[Value::Nil], &[ok()]);
        check_lacks("SET k v NX GET", &[Value::Nil], &[text("old")]);
        check_lacks("SET k v XX GET", &[Value::Nil], &[text("old")]);
        check_lacks("INCRBYFLOAT k 1e-1", &[text("0.1"), text("0.10000000000000001")], &[text("0.3")]);
        check_lacks("HINCRBYFLOAT h f 2.50", &[text("2.5")], &[text("2")]);
        check_lacks("ZINCRBY z 3 m", &[text("3")], &[text("4")]);
        check_lacks("ZADD z XX INCR 3 m", &[Value::Nil, text("3")], &[text("4")]);
        check_lacks("XADD x * f v", &[], &[text("1700000000000-0"), text("5-1")]);
        check_lacks("XADD x NOMKSTREAM * f v", &[Value::Nil], &[text("5-0")]);
        check_lacks("XADD x 5-* f v", &[text("5-0")], &[text("5-1")]);
        check_lacks("XADD x 0-* f v", &[text("0-1")], &[text("0-2")]);
        check_lacks("ZADD z GT 3 m", &[yes()], &[no()]);
        let missing = Value::Array(vec![text("1"), Value::Nil]);
        let scores = Decide::Scores { first: 3, step: 2 };
        assert!(scores.lacks_something(&Cmd::new(), &no(), Some(&missing)));
        assert!(!scores.lacks_something(&Cmd::new(), &no(), Some(&list(&["1", "2"]))));
    }

    #[test]
    fn a_reply_of_another_length_than_the_command_is_for_nothing_that_it_named() {
        let check = |command: &str, reply: Value, answer: Option<Value>| {
            let mut cmd = Cmd::new();
            cmd.arg(command.split(' ').collect::<Vec<_>>());
            let decide = how(lookup(&cmd).unwrap(), &cmd).unwrap().expect("something to decide");
            assert!(decide.fits(&cmd, &reply, answer.as_ref()).is_err(), "{command}: {reply:?} {answer:?}");
        };
        for expire in ["HPEXPIREAT h 5 FIELDS 2 f g", "HPEXPIREAT h 5 NX FIELDS 2 f g"] {
            for n in [0, 1, 3] {
                check(expire, Value::Array(vec![Value::Int(1); n]), None);
            }
            check(expire, Value::Int(1), None);
        }
        check("HGETDEL h FIELDS 2 f g", list(&["a"]), None);
        check("HGETDEL h FIELDS 2 f g", list(&["a", "b", "c"]), None);
        check("ZADD z GT 1 a 2 b", Value::Int(0), Some(list(&["1"])));
        check("ZADD z GT 1 a", Value::Int(0), Some(Value::Nil));
        check("GEOADD g NX 1 2 a 3 4 b", Value::Int(0), Some(list(&["1", "2", "3"])));
    }

    #[test]
    fn a_pop_is_sent_as_it_is_unless_it_took_nothing() {
        check("LPOP l 2", list(&["a", "b"]), "same");
        check("LPOP l", Value::Nil, "nothing");
        check("LPOP l 2", Value::Nil, "nothing");
        check("ZPOPMIN z", list(&[]), "nothing");
        check("LMOVE a b LEFT RIGHT", text("x"), "same");
    }

    #[test]
    fn some_commands_leave_nothing_to_decide_and_some_cannot_be_decided() {
        let how = |command: &str| {
            let mut cmd = Cmd::new();
            cmd.arg(command.split(' ').collect::<Vec<_>>());
            how(lookup(&cmd).unwrap(), &cmd)
        };
        assert_eq!(how("XADD x 5-1 f v"), Ok(None));
        assert_eq!(how("XTRIM x MAXLEN 5"), Ok(None));
        assert_eq!(how("XTRIM x MAXLEN ~ 5"), Err(APPROXIMATE));
        assert_eq!(how("XADD x MAXLEN ~ 5 * f v"), Err(APPROXIMATE));
        assert_eq!(how("XADD x NOMKSTREAM idmp producer 1 * f v"), Err(PRODUCERS));
        assert_eq!(how("XADD x IDMPAUTO producer MAXLEN 5 * f v"), Err(PRODUCERS));
        assert_eq!(how("XADD x SOMETHING * f v"), Err(NEWER));
        assert_eq!(how("XREADGROUP GROUP g c STREAMS x >"), Err(GROUPS));
        assert_eq!(how("SET k v IFDEQ d GET"), Err(NEWER));
    }
}

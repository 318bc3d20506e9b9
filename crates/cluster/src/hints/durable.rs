//! Durable hints: what a node of a copy with an identity has missed stands on the other servers too, where it outlives the
//! process that saw it.
//!
//! On each server that holds hints about a node there is one sorted set of them, `__redisdb:{identity}:missed:<node>`. Its
//! scores are numbers that the server itself gives, each higher than the one before. So whoever has read up to a number
//! goes on from there, and a hint that was given once more is not removed with the one before.
//!
//! The holder's marker says about which nodes it holds hints, from the first of a set to the last. So a set that somebody
//! else removed is missed, and all that it may have said counts: one hint that says "all" takes its place.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use redis::Cmd;
use redis::Value;
use redisdb_node as node;
use redisdb_node::command;
use redisdb_node::command::Spec;
use redisdb_node::plumbing::given_up;

use crate::anti_entropy::value::is_denied;
use crate::call::Call;
use crate::engine::copy::CopyEngine;
use crate::engine::copy::topology::CopyTopology;
use crate::engine::deadline::Budget;
use crate::engine::member::Member;
use crate::error::Error;
use crate::hints::book::Hint;
use crate::hints::book::HintsAhead;
use crate::hints::key_log::MOST_KEYS;
use crate::membership::marker::line_about;
use crate::replies::Outcome;
use crate::replies::Replies;

/// So many are given or removed by one script.
const BATCH: usize = 1_000;

/// Gives hints to a server. Its arguments are how many hints the server may hold, the number up to which they are void, the line
/// of the marker, the first hint of a set, and the other hints. If the hints are too many, were lost, or the server is full, one
/// that says "all" takes their place. Without a first hint no set is begun. It returns the number of the first of the other
/// hints; each next one has one more.
///
/// A server that is full refuses only the first write of a script, and none that needs no room. So what is removed first makes
/// room for the one hint that says "all". Where this user may not give hints, those of others are removed, even one that says
/// "all": they do not tell all any more. The line of the marker shows later that they are missing.
const GIVE: &str = "\
local top = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
local now = redis.call('TIME')
local number = math.max(now[1] * 1000000 + now[2], (tonumber(top) or 0) + 1, tonumber(ARGV[2]) + 1)
local n = redis.call('ZCARD', KEYS[1])
local tried = redis.pcall('ZADD', KEYS[1], 'XX', number, '')
local refused = type(tried) == 'table' and tried.err
local is_full = refused and string.find(refused, 'OOM', 1, true)
if is_full then
  redis.call('ZREM', KEYS[1], '')
elseif refused and #ARGV > 4 then
  redis.call('UNLINK', KEYS[1])
  n = 0
end
if n + #ARGV > tonumber(ARGV[1]) or is_full and #ARGV > 4 then
  redis.call('UNLINK', KEYS[1])
  redis.call('ZADD', KEYS[1], number + 1, 'a')
  n = 0
end
if n == 0 then
  local marker = redis.call('GET', KEYS[2])
  if marker and string.find(marker .. '\\n', ARGV[3] .. '\\n', 1, true) then
    redis.call('ZADD', KEYS[1], number + 1, 'a')
  elseif marker and ARGV[4] ~= '' then
    redis.call('SET', KEYS[2], marker .. ARGV[3])
  end
  if ARGV[4] ~= '' then redis.call('ZADD', KEYS[1], number, ARGV[4]) end
end
if not is_full then
  for i = 5, #ARGV do redis.call('ZADD', KEYS[1], number + i - 3, ARGV[i]) end
end
return number + 2";

/// Removes all hints up to the number to which they are void, others that were not given once more since, and the first one of a
/// set if it is the last that is left. With the set the line of the marker goes, but not for a set that is not there. Its
/// arguments are that line, the first hint, the number, and the others, each with its own number.
const REMOVE: &str = "\
local n = redis.call('ZCARD', KEYS[1])
for i = 4, #ARGV, 2 do
  local number = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if number and tonumber(number) == tonumber(ARGV[i + 1]) then redis.call('ZREM', KEYS[1], ARGV[i]) end
end
for _, hint in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])) do
  if string.sub(hint, 1, 1) ~= 's' then redis.call('ZREM', KEYS[1], hint) end
end
local left = redis.call('ZRANGE', KEYS[1], 0, 1)
if n > 0 and (#left == 0 or #left == 1 and left[1] == ARGV[2]) then
  redis.call('UNLINK', KEYS[1])
  local marker = redis.call('GET', KEYS[2])
  local first, last = string.find((marker or '') .. '\\n', ARGV[1] .. '\\n', 1, true)
  if first then
    redis.call('SET', KEYS[2], string.sub(marker, 1, first - 1) .. string.sub(marker, last))
  end
end
return #left";

impl CopyTopology {
    /// Returns whether a write that began then may not be acknowledged any more: others may have compared its keys before the last node or
    /// the hints had it, and undone it. Without an identity no other process does.
    pub(crate) fn is_too_late(&self, began: Instant) -> bool {
        self.identity.is_some() && self.quiet() <= began.elapsed()
    }

    /// Returns whether this process alone knows of something that a node has missed.
    pub(crate) fn has_ungiven_hints(&self) -> bool {
        self.nodes.members().any(|member| member.hints().has_ungiven())
    }

    /// The key of the hints about a node.
    pub(crate) fn hints_key(&self, about: &str) -> Option<String> {
        self.identity.as_ref().map(|identity| identity.hints(about))
    }

    fn give(&self, holder: &Member, about: &Member, missed: &[Hint]) -> Option<Cmd> {
        let process = holder.node().process(holder.node().incarnation()).unwrap_or_default();
        let since = Hint::Since(self.lasting.beat.lock().newest(), process);
        let mut give = self.give_behind(&since.text(), holder, about)?;
        missed.iter().for_each(|hint| _ = give.arg(hint.text()));
        Some(give)
    }

    /// The commands that ask any server whether its hints about a node still stand.
    fn ask_whether_they_stand(&self, about: &Member, hints: &[Hint]) -> Vec<Cmd> {
        let Some(key) = self.hints_key(about.name()) else { return Vec::new() };
        let ask = |hint: &Hint| redis::cmd("ZSCORE").arg(&key).arg(hint.text()).take();
        hints.iter().map(ask).collect()
    }

    /// Has a server say "all" of a node if the hints about it were lost.
    pub(super) fn say_what_was_lost(&self, holder: &Member, about: &Member) -> Option<Cmd> {
        self.give_behind(b"", holder, about)
    }

    fn give_behind(&self, first: &[u8], holder: &Member, about: &Member) -> Option<Cmd> {
        let identity = self.identity.as_ref()?;
        let mut give = redis::cmd("EVAL");
        give.arg(GIVE).arg(2).arg(identity.hints(about.name())).arg(identity.marker());
        give.arg(MOST_KEYS).arg(about.void_upto(holder.name())).arg(line_about(about.name())).arg(first);
        Some(give)
    }
}

fn lent<'a>((spec, cmd): &'a (&'static Spec, Cmd)) -> (&'static Spec, &'a Cmd) {
    (spec, cmd)
}

impl CopyEngine {
    /// What a server is given before a write, if a node is away that will miss the write: hints about each of these.
    pub(crate) fn hints_ahead(&self, call: &Call<'_>) -> Option<HintsAhead<'_>> {
        self.topology.identity.as_ref()?;
        let away = self.topology.nodes.members().filter(|member| !member.node().is_connected());
        let away: Vec<&Member> = away.collect();
        if away.is_empty() {
            return None;
        }
        let hints: Vec<Hint> = call.keys().map(|key| Hint::Key(key.to_vec())).collect();
        (!hints.is_empty()).then(|| self.topology.lasting.durable.begin(away, hints))
    }

    /// Sends a write to every node, and to those that are there first the hints about those that are away: so the hints stand
    /// also if this process ends midway. A hint that is refused does not keep the write away. After the write they are asked
    /// whether the hints still stand: between the two, another process may have compared the keys, found them equal, and removed the hints.
    pub(crate) async fn send_with_hints(
        &self,
        ahead: &mut HintsAhead<'_>,
        spec: &'static Spec,
        cmd: &Cmd,
        budget: &Budget,
    ) -> Vec<Result<Value, node::Error>> {
        let topology = &*self.topology;
        let _giving = topology.lasting.durable.giving.begin();
        let asks = ahead.away.iter().flat_map(|about| topology.ask_whether_they_stand(about, &ahead.hints));
        let asks: Vec<_> = asks.filter_map(|ask| Some((command::lookup(&ask)?, ask))).collect();
        let sent = topology.nodes.members().enumerate().map(async |(idx, holder)| {
            if !holder.node().is_connected() {
                return (topology.send(idx, spec, cmd, budget).await, false);
            }
            let gives = ahead.away.iter().filter_map(|about| topology.give(holder, about, &ahead.hints));
            let gives: Vec<_> = gives.filter_map(|give| Some((command::lookup(&give)?, give))).collect();
            let sent = gives.iter().map(lent).chain([(spec, cmd)]).chain(asks.iter().map(lent));
            let mut answers = budget.all(holder.writer()).send_each(sent).await.into_iter();
            let given: Vec<_> = answers.by_ref().take(gives.len()).collect();
            let answer =
                answers.next().unwrap_or_else(|| Err(node::Error::without_node(spec.name, given_up())));
            for (about, given) in ahead.away.iter().zip(&given) {
                if let Ok(number) = given {
                    topology.lasting.durable.gave(holder, about, &ahead.hints, number);
                }
            }
            let is_gone = |answer: &Result<Value, node::Error>| matches!(answer, Ok(Value::Nil));
            (answer, given.iter().all(Result::is_ok) && !answers.any(|answer| is_gone(&answer)))
        });
        let (answers, given): (Vec<_>, Vec<bool>) = join_all(sent).await.into_iter().unzip();
        ahead.is_given = given.contains(&true);
        answers
    }

    /// Gives the other servers the hints that stand in the memory of this process alone. What cannot be given now, is given
    /// later by whoever watches over the nodes: no write fails for it.
    pub(crate) async fn give_hints(&self, budget: &Budget) {
        if self.topology.has_ungiven_hints() {
            let copy = Self { topology: Arc::clone(&self.topology), supervisor: None, deadline: None };
            // It goes on though the call is dropped: of what was given the number must be heard.
            let given = tokio::spawn(async move { copy.give_all_hints().await });
            let _in_time_or_not = budget.limit(given).await;
        }
    }

    /// The same, for a write that began then. Returns the error of a write that took too long.
    pub(crate) async fn give_hints_of(
        &self,
        spec: &'static Spec,
        began: Instant,
        budget: &Budget,
    ) -> Option<Error> {
        if self.topology.has_ungiven_hints() {
            self.give_hints(budget).await;
        }
        let longest = self.topology.quiet();
        let too_late = || node::Error::without_node(spec.name, node::ErrorKind::Timeout(longest)).into();
        self.topology.is_too_late(began).then(too_late)
    }

    /// Makes sure that what a node has missed of a write is known, or soon will be, to a server: without that nobody goes by those
    /// that took it. That this user may give no hints does not count.
    ///
    /// # Errors
    /// If all servers that could be told were lost meanwhile. The write may be undone then.
    pub(crate) fn check_told(&self, call: &Call<'_>, replies: &Replies<Value>) -> Result<(), Error> {
        if !self.topology.has_ungiven_hints() {
            return Ok(());
        }
        let is_untold = |(about, (_, outcome)): (&Member, (&str, &Outcome<Value>))| {
            !matches!(outcome, Outcome::Ok(_) | Outcome::Skipped)
                && about.hints().has_ungiven_of(call.keys())
                && self.holders(about).next().is_none()
        };
        if !self.topology.nodes.members().zip(replies.iter()).any(is_untold) {
            return Ok(());
        }
        let reason = "the nodes that took it were lost before they could be told what another one missed";
        let reason = io::Error::new(io::ErrorKind::ConnectionReset, reason);
        let lost = node::ErrorKind::Disconnected(Arc::new(reason));
        Err(node::Error::without_node(call.spec.name, lost).into())
    }

    async fn give_all_hints(&self) {
        join_all(self.topology.nodes.members().map(|about| self.give_hints_about(about))).await;
    }

    async fn give_hints_about(&self, about: &Member) {
        loop {
            // Not taken out before they are given: the future of this may be dropped.
            let (ungiven, flood) = about.hints().ungiven(BATCH);
            let keys = ungiven.iter().map(|(key, _)| Hint::Key(key.clone()));
            let missed: Vec<Hint> = flood.map(|_| Hint::All).into_iter().chain(keys).collect();
            if missed.is_empty() {
                return;
            }
            let missed = &missed;
            let giving = self.topology.lasting.durable.giving.begin();
            let given = self.holders(about).map(async |holder| {
                let give = self.topology.give(holder, about, missed)?;
                Some((holder, holder.writer().send(&give).await))
            });
            let mut is_any_given = false;
            for (holder, given) in join_all(given).await.into_iter().flatten() {
                match given {
                    Ok(number) => {
                        is_any_given = true;
                        self.topology.lasting.durable.gave(holder, about, missed, &number);
                    }
                    Err(error) => {
                        self.tell_ungiven(about, &error);
                        if is_denied(&error) {
                            self.untell(holder, about).await;
                        }
                    }
                }
            }
            drop(giving);
            if !is_any_given {
                return;
            }
            about.hints().given(&ungiven, flood);
        }
    }

    /// Removes the hints of others on a server to which this user may give none: they do not tell all any more, and are missed.
    async fn untell(&self, holder: &Member, about: &Member) {
        let Some(key) = self.topology.hints_key(about.name()) else { return };
        if let Err(error) = holder.writer().send(redis::cmd("UNLINK").arg(key)).await {
            self.tell_ungiven(about, &error);
        }
    }

    /// Has the other servers tell from now on what a node that is away misses, if they do not yet.
    pub(crate) async fn begin_hints_about(&self, idx: usize) {
        let about = self.topology.nodes.member(idx);
        let tells = |holder: &Member| self.topology.lasting.durable.first(holder, about).is_some();
        let begun = self.holders(about).filter(|holder| !tells(holder)).map(async |holder| {
            let begin = self.topology.give(holder, about, &[])?;
            holder.writer().send(&begin).await.err()
        });
        for error in join_all(begun).await.into_iter().flatten() {
            self.tell_ungiven(about, &error);
        }
    }

    /// Whether the other servers tell all that a node has missed since this epoch, or the one after it: those that are whole
    /// and can be reached do, and there is one.
    pub(crate) fn hints_are_complete(&self, idx: usize, epoch: u64) -> bool {
        let about = self.topology.nodes.member(idx);
        let tells = |holder: &Member| match self.topology.lasting.durable.first(holder, about) {
            // What comes back with a dump may lack the latest.
            Some(Hint::Since(since, process)) => {
                since <= epoch.saturating_add(1)
                    && holder.node().process(holder.node().incarnation()) == Some(process)
            }
            _ => false,
        };
        let mut holders = self.holders(about).filter(|holder| holder.has_memory()).peekable();
        holders.peek().is_some() && holders.all(tells)
    }

    /// The other nodes that can be reached now.
    pub(super) fn holders(&self, about: &Member) -> impl Iterator<Item = &Member> {
        let members = self.topology.nodes.members();
        members.filter(move |holder| !holder.is_the_same(about) && holder.node().is_connected())
    }

    /// Tells once why hints about a node cannot be given to a server, or be read or removed there, if a user may not do so.
    pub(super) fn tell_ungiven(&self, about: &Member, error: &node::Error) {
        let key = self.topology.hints_key(about.name()).unwrap_or_default();
        self.topology.tell_refused(error, Some(key.as_bytes()));
    }

    /// Removes the hints about a node from the other servers that have served their purpose.
    pub(crate) async fn remove_hints(&self, idx: usize) {
        let about = self.topology.nodes.member(idx);
        if !about.node().is_connected() || self.topology.identity.is_none() {
            return;
        }
        self.topology.tell_shadow_all();
        // Also those of a server that is away, and will come back with them.
        let void = self.topology.nodes.members().filter_map(|holder| {
            let upto = self.topology.lasting.durable.served_upto(holder, about)?;
            (about.void_upto(holder.name()) < upto).then(|| (holder.name().to_string(), upto))
        });
        let void: BTreeMap<String, u64> = void.collect();
        // First the hints are noted as void, for they may come back with an older dump. Only then they are removed.
        if void.is_empty() || self.void_hints(idx, &void).await {
            join_all(self.holders(about).map(|holder| self.remove_hints_on(holder, about))).await;
        }
    }

    async fn remove_hints_on(&self, holder: &Member, about: &Member) {
        let Some(identity) = &self.topology.identity else { return };
        let served = self.topology.lasting.durable.served(holder, about);
        let first = self.topology.lasting.durable.first(holder, about).filter(|_| about.is_in_sync());
        let first = first.map(|first| first.text());
        // Also where no other is known: the first hint may be the last, and void ones, as those of a dump, are not known at all.
        let is_left = first.is_some() || about.is_in_sync() && holder.says_that_it_holds(about);
        let alone = served.is_empty() && is_left;
        for served in served.chunks(BATCH).chain(alone.then_some([].as_slice())) {
            let mut remove = redis::cmd("EVAL");
            remove.arg(REMOVE).arg(2).arg(identity.hints(about.name())).arg(identity.marker());
            remove.arg(line_about(about.name())).arg(first.as_deref().unwrap_or_default());
            remove.arg(about.void_upto(holder.name()));
            served.iter().for_each(|(hint, number)| _ = remove.arg(hint.text()).arg(number));
            match holder.writer().send(&remove).await {
                Ok(left) => {
                    let is_gone = first.is_some() && matches!(left, Value::Int(0 | 1));
                    self.topology.lasting.durable.forget(holder, about, served, is_gone);
                }
                Err(error) => return self.tell_ungiven(about, &error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RedisCopy;

    #[test]
    fn a_node_that_stays_is_not_behind_by_the_word_of_one_that_is_forgotten() {
        let copy = ["a", "b", "c"]
            .into_iter()
            .fold(RedisCopy::builder(), |copy, name| copy.node(name, &format!("redis://{name}")));
        let copy = copy.identity("shop").build().unwrap();
        let before = copy.engine();
        let durable = &before.topology.lasting.durable;
        let [a, b, c] = [0, 1, 2].map(|idx| before.topology.nodes.member(idx));
        let keys = [b"by both".as_slice(), b"by b alone"];
        for holder in [a, b] {
            assert_eq!(durable.upto(holder, c, 0), 0);
        }
        c.hints().learn_hint(keys.into_iter());
        durable.add(a, c, &[(Hint::Key(keys[0].to_vec()), 1)], 1);
        durable.add(b, c, &keys.map(|key| (Hint::Key(key.to_vec()), 2)), 2);
        // Those who have heard of it already bring over what `a` says, and note nothing about the hints of `b`.
        c.learn_void(&BTreeMap::from([("a".to_owned(), 1)]));
        before.topology.drop_void(c);
        assert_eq!(c.hints().n_missed(), 2);
        let present = before.topology.lasting.present.upgrade().unwrap();
        assert_eq!(present.leave_out(&["b".to_owned()].into()).unwrap()[0].n_lost, 0);
        let after = copy.engine();
        assert_eq!(c.hints().n_missed(), 2, "its server was not looked at yet");
        after.topology.drop_void(after.topology.nodes.member(1));
        assert_eq!(c.hints().n_missed(), 0);
    }
}

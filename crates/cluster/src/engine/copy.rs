//! The engine of a copy: what its handle calls.

pub(crate) mod topology;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Weak;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use redis::Cmd;
use redis::Value;
use redisdb_node::Node;
use redisdb_node::command::Spec;
use redisdb_node::command::rows;

use crate::call::Call;
use crate::engine::background_task::BackgroundTask;
use crate::engine::copy::topology::CopyBlueprint;
use crate::engine::copy::topology::CopyTopology;
use crate::engine::deadline::Budget;
use crate::engine::member::Member;
use crate::engine::replace::Replaced;
use crate::error::Error;
use crate::event::Event;
use crate::hints::trust::Trust;
use crate::membership::forget::Forgotten;
use crate::membership::marker::Stage;
use crate::membership::state_machine::Observation;

/// The present copy, which the handle of a copy holds: `replace` puts another one in its place. A cheap clone.
#[derive(Debug, Clone)]
pub(crate) struct CopyHandle {
    present: Arc<Present>,
    deadline: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Present {
    /// Swapped whole: a call sees the nodes of one topology, from its plan to its last reply.
    engine: ArcSwap<CopyEngine>,
    /// Held while other nodes take the place of the present ones.
    replacing: Mutex<()>,
}

/// A copy as one call sees it. A cheap clone.
#[derive(Debug, Clone)]
pub(crate) struct CopyEngine {
    pub(crate) topology: Arc<CopyTopology>,
    /// The task that watches over the nodes while there is a handle. The engine of the task itself has `None`.
    pub(crate) supervisor: Option<Arc<BackgroundTask>>,
    pub(crate) deadline: Option<Duration>,
}

impl CopyHandle {
    pub(crate) fn new(plan: CopyBlueprint) -> Self {
        let present = Arc::new_cyclic(|present| {
            let topology = CopyTopology::new(plan, Weak::clone(present));
            Present { engine: ArcSwap::from_pointee(CopyEngine::of(topology)), replacing: Mutex::default() }
        });
        Self { present, deadline: None }
    }

    /// The same copy, whose calls take no longer than this in all.
    pub(crate) fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// Returns whether a key is none of the user's.
    pub(crate) fn is_ours(&self, key: &[u8]) -> bool {
        self.present.engine.load().topology.is_ours(key)
    }

    /// The copy of this moment.
    pub(crate) fn engine(&self) -> CopyEngine {
        CopyEngine { deadline: self.deadline, ..self.present.engine() }
    }

    /// Puts other nodes in place of the present ones; see [`RedisCopy::replace`](crate::RedisCopy::replace).
    pub(crate) fn replace(&self, plan: CopyBlueprint) -> Result<Replaced, Error> {
        let _one_at_a_time = self.present.replacing.lock();
        let present = self.present.engine();
        let (next, replaced) = present.topology.replaced_by(plan)?;
        self.present.put(&present, next, &replaced);
        Ok(replaced)
    }
}

impl Present {
    /// The copy of this moment.
    pub(crate) fn engine(&self) -> CopyEngine {
        CopyEngine::clone(&self.engine.load())
    }

    /// Takes these nodes out that are forgotten, and has those that stay answer what these alone had right. Returns what is lost
    /// with each of them that was there still.
    ///
    /// # Errors
    /// If none would be left.
    pub(crate) fn leave_out(&self, names: &BTreeSet<String>) -> Result<Vec<Forgotten>, Error> {
        let _one_at_a_time = self.replacing.lock();
        let present = self.engine();
        let (next, replaced) = present.topology.without(names)?;
        let gone = present.topology.nodes.members().filter(|member| names.contains(&**member.name()));
        let gone: Vec<&Member> = gone.collect();
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        // A write is judged before this or after it, not meanwhile.
        let _judging = present.topology.lasting.judging.lock();
        let forgotten = next.take_over_from(&gone);
        self.put(&present, next, &replaced);
        let events = present.topology.nodes.events();
        for forgotten in &forgotten {
            tracing::warn!("{forgotten}");
            events.tell(Event::Forgotten(forgotten.clone()));
        }
        Ok(forgotten)
    }

    /// Puts a topology in place of the present one.
    fn put(&self, present: &CopyEngine, next: CopyTopology, replaced: &Replaced) {
        next.lasting.forgotten.are_replaced(replaced);
        replaced.removed.iter().for_each(|name| next.lasting.durable.leave_out(name));
        let next = Arc::new(CopyEngine::of(next));
        // Before anything is brought to the nodes that join: what a call under way writes later, it notes as missed by them.
        present.topology.followed_by(&next.topology);
        self.engine.store(Arc::clone(&next));
        present.supervisor.iter().for_each(|supervisor| supervisor.end());
        next.watch();
        replaced.log();
        next.topology.nodes.events().tell(Event::Replaced(replaced.clone()));
    }
}

impl CopyEngine {
    fn of(topology: CopyTopology) -> Self {
        Self { topology: Arc::new(topology), supervisor: Some(Arc::default()), deadline: None }
    }

    /// The same copy, whose calls take no longer than this in all.
    pub(crate) fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// The nodes as they are written to, for a command that is not planned and names these keys. The servers have been looked at:
    /// whoever asks for them may be the first.
    pub(crate) async fn writers_of<'a>(
        &self,
        command: &str,
        keys: impl Iterator<Item = &'a [u8]>,
    ) -> Result<impl Iterator<Item = &Node>, Error> {
        self.topology.refuse_ours(command, keys)?;
        self.check_identity().await?;
        Ok(self.topology.nodes.members().map(Member::writer))
    }

    /// Returns whether a node holds all that it was sent, except for what it is known to have missed.
    pub(crate) fn has_memory(&self, idx: usize) -> bool {
        self.topology.nodes.member(idx).has_memory()
    }

    /// Runs a command by its row, and makes one value of what the nodes said.
    pub(crate) async fn run(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Value, Error> {
        self.run_by_itself(&Call::new(spec, cmd)).await?.into_one(spec)
    }

    /// Lets a node answer reads again; see [`RedisCopy::readmit`](crate::RedisCopy::readmit).
    pub(crate) async fn readmit(&self, name: &str) -> Result<(), Error> {
        let idx = self.topology.nodes.position(name)?;
        self.check_identity().await?;
        let node = self.topology.nodes.at(idx);
        // Connected first: a restart that nobody has noticed yet would make it fall behind again at once.
        node.ready().await?;
        let hints = self.topology.nodes.member(idx).hints();
        hints.on(Observation::Connected);
        for (key, number) in hints.missed_keys() {
            if self.topology.source_of(idx, &key).is_none() {
                hints.forget(&key, number);
            }
        }
        // Marked first: if that fails, nothing has changed.
        self.mark(idx..=idx, Stage::Ready).await?;
        hints.readmit(node);
        Ok(())
    }

    /// The node whose keys, or whose elements of a key, are gone through: it is in sync about them, and its server has not been
    /// emptied.
    pub(crate) async fn to_go_through(&self, key: Option<&[u8]>) -> Result<Node, Error> {
        self.topology.refuse_ours(rows::SCAN.spec().name, key.into_iter())?;
        self.connect().await?;
        // One that hangs leaves enough time for the others.
        let n_nodes = u32::try_from(self.topology.nodes.len()).unwrap_or(u32::MAX).max(1);
        let share = self.deadline.map(|deadline| deadline / n_nodes);
        // A node that was looked at anew counts again, but the others are asked before it is asked once more.
        for _ in 0..2 {
            let mut asked = Vec::new();
            while let Some(idx) = self.in_sync_about(key, &asked) {
                let process = self.topology.process(idx, self.topology.nodes.at(idx).incarnation());
                if self.has_its_marker(idx, &Budget::new(share, 1)).await {
                    return Ok(process);
                }
                asked.push(idx);
            }
        }
        let stale = self.topology.nodes.iter().map(|node| node.name().to_owned()).collect();
        Err(Error::unavailable(rows::SCAN.spec().name, key, Vec::new(), stale))
    }

    /// Connects, if nobody has yet, and makes sure of the servers: what chooses a node by what is known of it may be the first
    /// call.
    pub(crate) async fn connect(&self) -> Result<(), Error> {
        if !self.topology.nodes.iter().any(Node::is_connected) {
            self.topology.nodes.connect().await?;
        }
        self.check_identity().await
    }

    /// The first node, in the order in which this key is read, that is up and has missed nothing of it, but for those that were
    /// asked; without a key, nothing at all.
    fn in_sync_about(&self, key: Option<&[u8]>, asked: &[usize]) -> Option<usize> {
        let nodes = &self.topology.nodes;
        let order = |wanted: Trust| {
            let others = nodes.places(key.unwrap_or_default()).filter(|idx| !asked.contains(idx));
            others.filter(move |idx| nodes.member(*idx).trust(key.into_iter()) == wanted)
        };
        // A node that is down now may be up again in a moment, so it is the choice where no other is left.
        let up = order(Trust::Full).find(|idx| nodes.at(*idx).is_connected());
        up.or_else(|| order(Trust::Provisional).next()).or_else(|| order(Trust::Full).next())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::OnceCell;

    use redisdb_node::command::lookup;

    use super::*;
    use crate::RedisCopy;
    use crate::dispatch::write_guard::WriteGuard;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Step {
        /// A write begins, on the nodes of that moment.
        Begin,
        /// Its first node takes it, then its second one, ..
        First,
        Second,
        /// .. and it ends.
        End,
        /// Node `d` takes the place of `b`.
        Replace,
        /// The key is copied to it.
        Copy,
        /// All keys have been copied.
        Synced,
    }

    /// All orders in which the steps of two sequences may come.
    fn orders(left: &[Step], right: &[Step]) -> Vec<Vec<Step>> {
        match (left.split_first(), right.split_first()) {
            (None, _) => vec![right.to_vec()],
            (_, None) => vec![left.to_vec()],
            (Some((l, left_on)), Some((r, right_on))) => {
                let after = |first: Step, orders: Vec<Vec<Step>>| {
                    orders.into_iter().map(move |order| [vec![first], order].concat())
                };
                after(*l, orders(left_on, right)).chain(after(*r, orders(left, right_on))).collect()
            }
        }
    }

    /// Plays one order. Returns whether the node that joined and the one that stayed hold the same, or one is known not to.
    fn play(key: &[u8], order: &[Step], is_dropped: bool) -> bool {
        let builder = |second: &str| {
            RedisCopy::builder().node("a", "redis://h1").node(second, &format!("redis://{second}"))
        };
        let handle = builder("b").build().unwrap().handle;
        let cmd = redis::cmd("SET").arg(key).arg(1).take();
        let call = Call::new(lookup(&cmd).unwrap(), &cmd);
        let (engine, joined) = (OnceCell::<CopyEngine>::new(), OnceCell::<CopyEngine>::new());
        let (mut a, mut d, mut n_floods, mut guard) = (0, 0, 0, None);
        for step in order {
            match step {
                Step::Begin => {
                    let topology = &engine.get_or_init(|| handle.engine()).topology;
                    guard.insert(WriteGuard::new(topology, &call)).sending();
                }
                Step::First => a = 1,
                Step::Second => {
                    let has_d = engine.get().is_some_and(|engine| &**engine.topology.nodes.name(1) == "d");
                    d = if has_d { 1 } else { d };
                }
                Step::End if is_dropped => guard = None,
                Step::End => {
                    let took =
                        guard.take().map(|mut guard| guard.conclude(vec![Ok(Value::Okay), Ok(Value::Okay)]));
                    assert!(took.is_some_and(|took| took.is_ok()));
                }
                Step::Replace => {
                    if handle.replace(builder("d").plan().unwrap()).is_err() {
                        // Before it, the write was given up, and counts on `b` alone.
                        assert!(is_dropped && engine.get().is_some() && guard.is_none());
                        return true;
                    }
                    n_floods =
                        joined.get_or_init(|| handle.engine()).topology.nodes.member(1).hints().n_floods();
                }
                Step::Copy | Step::Synced => {
                    let member = joined.get().unwrap().topology.nodes.member(1);
                    assert!(!member.is_readable() && !member.is_in_sync(), "it answers before it is whole");
                    match step {
                        Step::Copy => {
                            let batch = member.hints().start_batch(&[key.to_vec()]);
                            assert_eq!(batch.writes(std::iter::once(key)), [true]);
                            d = a;
                        }
                        _ => member.hints().synced(member.node().incarnation(), n_floods),
                    }
                }
            }
        }
        let topology = &joined.get().unwrap().topology;
        let has_missed = |idx| topology.nodes.member(idx).hints().has_missed_of(key);
        assert!(
            !(has_missed(0) && has_missed(1)),
            "one has it right, and the other can be brought to it: {order:?}"
        );
        a == d || has_missed(0) || has_missed(1)
    }

    #[test]
    fn a_write_that_meets_a_replacement_anywhere_reaches_the_node_that_joins_or_is_noted() {
        use Step::*;
        let orders = orders(&[Begin, First, Second, End], &[Replace, Copy, Synced]);
        assert_eq!(orders.len(), 35);
        let copy = RedisCopy::builder().node("a", "redis://h1").node("b", "redis://h2").build().unwrap();
        let read_from = |name| (0_u8..).map(|i| [i]).find(|key| copy.node_for(key).name() == name).unwrap();
        let keys = [read_from("a"), read_from("b")];
        for order in orders {
            for (key, is_dropped) in keys.iter().flat_map(|key| [(key, false), (key, true)]) {
                assert!(play(key, &order, is_dropped), "{key:?}, {order:?}, dropped: {is_dropped}");
            }
        }
    }

    #[test]
    fn what_would_lose_data_is_not_replaced() {
        let builder = || RedisCopy::builder().node("a", "redis://h1").node("b", "redis://h2");
        let copy = builder().build().unwrap();
        let nobody_stays = RedisCopy::builder().node("a", "redis://h3").node("b", "redis://h4");
        let error = copy.replace(nobody_stays).unwrap_err();
        assert!(error.to_string().contains("no node stays as it is"), "{error}");
        let error = copy.replace(builder().identity("shop")).unwrap_err();
        assert!(error.to_string().contains("`identity`"), "{error}");
        copy.engine().topology.nodes.member(0).hints().record_hint(std::iter::once(b"k".as_slice()));
        let only_a = || RedisCopy::builder().node("a", "redis://h1").node("c", "redis://h3");
        assert!(matches!(copy.replace(only_a()), Err(Error::NotReplaced { .. })));
        assert_eq!(copy.nodes().map(|node| node.name().to_owned()).collect::<Vec<_>>(), ["a", "b"]);
        let without_a = RedisCopy::builder().node("b", "redis://h2").node("c", "redis://h3");
        assert_eq!(copy.replace(without_a).unwrap().kept, ["b"]);
    }
}

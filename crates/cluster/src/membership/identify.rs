//! Identification: a client that has seen nothing yet tells a whole server of the copy from one that came back empty or
//! old, by the marker, one key on each server.

use std::collections::BTreeMap;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::join_all;
use redis::Cmd;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::command::Spec;
use redisdb_node::command::rows;
use redisdb_node::plumbing::Fence;
use redisdb_replication::Standing;

use crate::anti_entropy::value;
use crate::dispatch::run_with::run_with;
use crate::engine::copy::CopyEngine;
use crate::engine::copy::topology::CopyTopology;
use crate::engine::deadline::Budget;
use crate::engine::member::Member;
use crate::error::Error;
use crate::hints::log::HintLog;
use crate::membership::identity::Identity;
use crate::membership::look::Found;
use crate::membership::look::Look;
use crate::membership::marker::Marker;
use crate::membership::marker::Stage;
use crate::membership::state_machine::Observation;

impl CopyEngine {
    /// Makes sure that the servers are those of this copy, once, and that they are watched; a copy without an identity
    /// takes them as they are.
    pub(crate) async fn check_identity(&self) -> Result<(), Error> {
        if !self.is_identified() {
            // Boxed, as all that is rare: the futures of every call would have room for it, and be nested as deeply.
            let identify = async || {
                self.identify().await?;
                let nodes = 0..self.topology.nodes.len();
                join_all(nodes.map(|idx| self.try_permissions(idx))).await;
                Ok::<_, Error>(())
            };
            self.topology.identified.get_or_try_init(|| identify().boxed()).await?;
        }
        self.watch();
        Ok(())
    }

    /// Returns whether the servers can be used without another look at them.
    pub(crate) fn is_identified(&self) -> bool {
        self.topology.identity.is_none() || self.topology.identified.initialized()
    }

    async fn identify(&self) -> Result<(), Error> {
        let nodes = &self.topology.nodes;
        let mut looks = join_all((0..nodes.len()).map(|idx| self.look(idx))).await;
        join_all((0..nodes.len()).map(|idx| self.read_hints_on(idx))).await;
        // That a node is forgotten may have been read after its own marker.
        for (node, look) in nodes.iter().zip(&mut looks) {
            look.bar_forgotten(node.name(), &self.topology.lasting.forgotten);
        }
        let is_any_left = nodes.iter().any(|node| !self.topology.lasting.forgotten.contains(node.name()));
        for (node, look) in nodes.iter().zip(&looks) {
            let is_left_out = is_any_left && self.topology.lasting.forgotten.contains(node.name());
            if let Found::Barred(why) = &look.found
                && !is_left_out
            {
                return Err(Error::Identity {
                    reason: format!("the server of node `{}` {why}", node.name()),
                });
            }
        }
        if looks.iter().all(|look| matches!(look.found, Found::Unmarked { keys: 0 })) {
            // The first start. Another process may do the same at this moment: it writes the same.
            return self.mark(0..nodes.len(), Stage::Ready).await;
        }
        if !looks.iter().any(|look| matches!(look.found, Found::Marked(..))) {
            // One that cannot be asked may well be marked.
            let errors = looks.iter().filter_map(|look| match &look.found {
                Found::Unreachable(error) => error.clone(),
                _ => None,
            });
            let errors: Vec<_> = errors.collect();
            if !errors.is_empty() {
                return Err(Error::unavailable("CONNECT", None, errors, Vec::new()));
            }
            let silent =
                nodes.iter().zip(&looks).find(|(_, look)| matches!(look.found, Found::Unmarked { keys: -1 }));
            let reason = match silent {
                Some((node, _)) => format!(
                    "no server is marked as belonging to this copy, and that of node `{}` does not say whether it is \
                     empty; permit it by `ACL SETUSER {} +dbsize`",
                    node.name(),
                    node.config().user(),
                ),
                None => "no server is marked as belonging to this copy, and they are not all empty; if they hold the \
                         same, say so by `adopt()`"
                    .to_owned(),
            };
            return Err(Error::Identity { reason });
        }
        for look in &looks {
            if let Found::Marked(marker, _) = &look.found {
                self.topology.lasting.beat.lock().seen(marker.epoch, Instant::now());
            }
        }
        let unproved =
            looks.iter().position(|look| matches!(look.found, Found::Marked(..)) && look.is_marked.is_none());
        for (idx, look) in looks.into_iter().enumerate() {
            if let Found::Unreachable(_) = &look.found {
                // Whatever answers there later is looked at before it is believed.
                nodes.member(idx).hints().on(Observation::Unreachable);
            }
            let standing = self.settle(idx, look).await;
            self.topology.tell_shadow_of_look(idx, standing);
        }
        self.leave_forgotten().await;
        let is_any_whole = nodes.members().any(Member::is_readable);
        match unproved {
            Some(idx) if !is_any_whole => {
                let user = nodes.at(idx).config().user();
                let reason = format!(
                    "nothing proves that the servers, as that of node `{}`, are the processes that were marked as whole, and \
                     not restarted since with old data; let the user call INFO, by `ACL SETUSER {user} +info`, or, if they \
                     hold the same, say so by `adopt()`",
                    nodes.name(idx)
                );
                Err(Error::Identity { reason })
            }
            _ => Ok(()),
        }
    }

    /// Looks at a server's marker, and draws the conclusions.
    pub(crate) async fn look_at(&self, idx: usize) {
        if !self.topology.nodes.member(idx).is_readable() {
            // Before it is looked at: what it has missed while this process could not reach it, others have told.
            self.read_hints_about(idx).boxed().await;
        }
        let flushes = self.topology.nodes.member(idx).flushes();
        let told = flushes.told();
        let look = self.look(idx).await;
        // Another process than the one that said this is looked at by itself.
        if self.topology.nodes.at(idx).incarnation() == look.incarnation {
            let standing = self.settle(idx, look).await;
            if standing.is_some() {
                flushes.saw(told);
            }
            self.topology.tell_shadow_of_look(idx, standing);
        }
    }

    /// Makes sure that a node which says that something is not there had not been emptied: that its marker is the one that it
    /// was found whole with. Without an identity nobody can tell; without time left to look it is not sure.
    pub(crate) async fn has_its_marker(&self, idx: usize, budget: &Budget) -> bool {
        let Some(key) = self.topology.marker_key() else { return true };
        // Boxed, for it is rare.
        budget.limit(self.sees_its_marker(idx, key).boxed()).await.unwrap_or(false)
    }

    async fn sees_its_marker(&self, idx: usize, key: String) -> bool {
        let member = self.topology.nodes.member(idx);
        let (node, told) = (member.node(), member.flushes().told());
        let reply = node.send(rows::GET.cmd().arg(&key)).await;
        if let Err(error) = reply {
            self.topology.observe(idx, &error);
            self.topology.tell_refused(&error, Some(key.as_bytes()));
            return false;
        }
        let found = match &reply {
            Ok(Value::BulkString(text)) => Marker::read(text, node.name()).ok(),
            _ => None,
        };
        let known = member.marker();
        let is_as_known = found.zip(known).is_some_and(|(found, known)| found.is_the_same_but_later(&known));
        // The answer may have come over a new connection, from a server that has been restarted.
        if is_as_known && member.is_trusted() {
            member.flushes().saw(told);
            return true;
        }
        // Gone, or made whole meanwhile by another process: whatever was read before counts for nothing.
        self.look_at(idx).await;
        false
    }

    /// Draws the conclusions from a look at a server. Returns what the explored rules are to be told of it.
    async fn settle(&self, idx: usize, look: Look) -> Option<Standing> {
        let topology = &*self.topology;
        let member = topology.nodes.member(idx);
        let (node, hints) = member.with_hints();
        let incarnation = look.incarnation;
        match look.found {
            Found::Unreachable(error) => {
                let key = topology.marker_key().unwrap_or_default();
                error.iter().for_each(|error| topology.tell_refused(error, Some(key.as_bytes())));
                None
            }
            Found::Barred(why) => {
                topology.tell_barred(node, &why);
                hints.fence().close();
                hints.on(Observation::Misconfigured);
                None
            }
            Found::Unmarked { keys } => {
                member.marked().lock().is_without_marker(incarnation, keys == 0);
                hints.disagree();
                // A process that nobody knows and that holds something may be somebody else's: it is given nothing before
                // a repair has found that it is ours, and marked it. The one that was known has been emptied.
                if keys == 0 {
                    hints.fence().admit(incarnation);
                }
                hints.on(Observation::Lost);
                Some(Standing::Empty)
            }
            Found::Marked(marker, text) => {
                hints.fence().admit(incarnation);
                topology.lasting.beat.lock().seen(marker.epoch, Instant::now());
                let newest = topology.lasting.beat.lock().newest();
                member.marked().lock().has_marker(incarnation, marker.is_recent(newest), marker.data());
                let known = member.generation();
                // Of another process than the one that this client has written to, a marker from before proves nothing. It must
                // have been made whole since.
                let is_since = known.is_none_or(|known| known < marker.generation);
                let is_known = hints.is_trusted(node) || is_since;
                // Nor does a marker prove anything that may have come from a dump. It is this process's own if it was written, or
                // was known to be its own, since this process was met.
                let is_its_own = match look.is_marked {
                    Some(is_its_own) => is_its_own,
                    None => {
                        member.first_generation(incarnation, marker.generation) < marker.generation
                            || hints.is_trusted(node) && known == Some(marker.generation)
                    }
                };
                let is_old = marker.is_old(newest);
                // Processes that knew what it missed may have ended. All of that stands on the other servers, or any key counts.
                let is_told = !is_old || self.hints_are_complete(idx, marker.epoch);
                if !is_known || !is_its_own || !marker.is_ready() || !is_told {
                    hints.on(Observation::Lost);
                    // A marker that is ready and counts for nothing is that of another process, or is old.
                    return Some(if marker.is_ready() { Standing::Restarted } else { marker.standing() });
                }
                member.remember(&marker);
                if !hints.has_memory(node) {
                    // Whoever made it whole cannot have known what this process alone knows the others to have missed.
                    topology.missed_with_the_others(idx, HintLog::untold);
                }
                hints.vouch(incarnation);
                hints.on(Observation::Intact);
                let due = topology.lasting.beat.lock().due(Instant::now());
                if hints.has_memory(node) && (marker.epoch < due || marker.is_of_the_first_format()) {
                    let process = marker.process.clone().or(look.process);
                    let next = Marker::new(node.name(), Stage::Ready, due, process);
                    let next = next.of_generation(marker.generation).voiding(&marker.void);
                    let next = next
                        .forgetting(&topology.lasting.forgotten.names())
                        .with_posts(marker.leader, marker.standby);
                    self.advance(member, &text, next.holding(marker.holds)).await;
                }
                Some(Standing::Current)
            }
        }
    }

    /// Gives a server the epoch that is due, unless somebody else has changed its marker meanwhile.
    async fn advance(&self, member: &Member, was: &[u8], marker: Marker) {
        if self.swap(member, was, &marker).await {
            self.topology.lasting.beat.lock().seen(marker.epoch, Instant::now());
        }
    }

    /// Puts a marker in place of another one. Returns whether it was there still.
    async fn swap(&self, member: &Member, was: &[u8], marker: &Marker) -> bool {
        let is_there = self.exchange(member, was, marker).await;
        if is_there {
            member.remember(marker);
        }
        is_there
    }

    /// The same, without taking note of it.
    pub(crate) async fn exchange(&self, member: &Member, was: &[u8], marker: &Marker) -> bool {
        const SWAP: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) return 1 end return 0";
        let Some(key) = self.topology.marker_key() else { return false };
        let mut swap = redis::cmd("EVAL");
        swap.arg(SWAP).arg(1).arg(&key).arg(was).arg(marker.text());
        match member.node().send(&swap).await {
            Ok(reply) => reply == Value::Int(1),
            // Without it a server that was away for long is not noticed by its marker.
            Err(error) => {
                self.topology.tell_refused(&error, Some(key.as_bytes()));
                false
            }
        }
    }

    /// Notes on a node that the hints about it are void up to these numbers. Returns whether it is noted.
    pub(crate) async fn void_hints(&self, idx: usize, void: &BTreeMap<String, u64>) -> bool {
        let look = self.look(idx).await;
        let member = self.topology.nodes.member(idx);
        match look.found {
            Found::Marked(marker, text) if marker.is_ready() && look.is_marked != Some(false) => {
                let noted = self.swap(member, &text, &marker.voiding(void)).await;
                if noted {
                    member.learn_void(void);
                }
                noted
            }
            _ => false,
        }
    }

    /// Removes all keys of a server but its marker, in one step: without it, it would be taken for one that lost all.
    pub(crate) async fn flush(
        &self,
        idx: usize,
        spec: &'static Spec,
        cmd: &Cmd,
        budget: &Budget,
    ) -> Result<Value, node::Error> {
        let member = self.topology.nodes.member(idx);
        let node = budget.all(member.writer());
        let (Some(key), Some(marker)) = (self.topology.marker_key(), member.marker()) else {
            return node.run(spec, cmd).await;
        };
        let mark = rows::SET.cmd().arg(key).arg(marker.text()).take();
        run_with(&node, spec, cmd, mark).await.map(|(reply, _)| reply)
    }
}

impl Member {
    /// What the server was marked with last, if it is whole.
    fn marker(&self) -> Option<Marker> {
        self.marked().lock().whole.clone()
    }

    /// How often the node had been made whole when it was looked at last.
    pub(super) fn generation(&self) -> Option<u64> {
        self.marked().lock().generation
    }

    /// The generation that was found first in this process of the node's server, this one if none was before.
    fn first_generation(&self, incarnation: u64, generation: u64) -> u64 {
        let mut marked = self.marked().lock();
        let first = marked.first_found.get_or_insert((incarnation, generation));
        if first.0 != incarnation {
            *first = (incarnation, generation);
        }
        first.1
    }

    /// Keeps what the server was marked with last.
    pub(super) fn remember(&self, marker: &Marker) {
        let mut marked = self.marked().lock();
        marked.generation = Some(marker.generation);
        marked.whole = (marker.state == Stage::Ready).then(|| marker.clone());
        marked.data = marker.data();
    }
}

impl CopyTopology {
    /// One process of a node's server, and no other that answers there later.
    pub(crate) fn process(&self, idx: usize, incarnation: u64) -> Node {
        self.nodes.at(idx).fenced(&Fence::open_to(incarnation))
    }

    /// The key of the marker.
    pub(crate) fn marker_key(&self) -> Option<String> {
        self.identity.as_ref().map(Identity::marker)
    }

    /// Returns whether a key is none of the user's: an own key of the copy, or a value that a repair is
    /// building. Such keys are not the same on any two servers.
    pub(crate) fn is_ours(&self, key: &[u8]) -> bool {
        value::is_unfinished(key) || self.identity.as_ref().is_some_and(|identity| identity.owns(key))
    }

    /// Makes sure that no key of a user's command is one of the identity's own.
    ///
    /// # Errors
    /// Which one is, so that nothing is to be sent.
    pub(crate) fn refuse_ours<'a>(
        &self,
        command: &str,
        mut keys: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), Error> {
        let Some(identity) = &self.identity else { return Ok(()) };
        keys.find(|key| identity.owns(key)).map_or(Ok(()), |key| Err(Error::own_key(command, key)))
    }
}

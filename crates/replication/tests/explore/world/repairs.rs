//! What a repair does on the servers, and how it learns that a key is quiet.

use redisdb_replication::Claimed;
use redisdb_replication::Effect;
use redisdb_replication::Event;
use redisdb_replication::Node;
use redisdb_replication::NodeSet;
use redisdb_replication::Rule;
use redisdb_replication::Token;

use super::At;
use super::Next;
use super::Nexts;
use super::Physics;
use super::Told;
use super::Violation;
use super::World;
use super::client::Who;
use super::key::Key;
use super::key::PerKey;
use super::names::Act;
use super::server::Marker;
use super::value::Value;
use super::value::WriteId;

/// What came of a piece of work.
struct Done {
    event: Event<Key>,
    violation: Option<String>,
}

impl From<Event<Key>> for Done {
    fn from(event: Event<Key>) -> Self {
        Self { event, violation: None }
    }
}

impl Physics {
    pub(crate) fn repairs(&self, world: &World, who: Who, nexts: &mut Nexts) {
        if !world.client(who).state.has_lease() {
            return;
        }
        self.begins_round(world, who, nexts);
        for key in self.keys() {
            let client = world.client(who);
            let is_due = !client.compared[key];
            let wants_pass = client.state.wants_pass(&self.setup, &key, is_due);
            if wants_pass && (self.is_quiet(world, who, key) || !self.has(Rule::Quiet)) {
                let mut next = world.clone();
                self.feed(&mut next, who, Event::Quiet { key, is_due });
                nexts.push(next, Act::SeesQuiet(who, key));
            }
        }
        if let Some(effect) = world.client(who).work {
            self.works(world, who, effect, nexts);
        }
    }

    /// Returns whether nothing of the key has been under way for `D`: requests have run or are dead, calls are over, or they
    /// are so old that they end as unknown.
    ///
    /// Where no node tells what changes, that is known only of what was under way at the look before.
    fn is_quiet(&self, world: &World, who: Who, key: Key) -> bool {
        let before = world.client(who).under_way[key];
        let mut under_way = self.under_way(world, who, key);
        !under_way.any(|id| !self.bounds.is_deaf || before.contains(id))
    }

    /// Returns the writes of the key that are under way to the nodes in sight.
    pub(crate) fn under_way(&self, world: &World, who: Who, key: Key) -> impl Iterator<Item = WriteId> {
        let calls = world.clients.iter().flat_map(move |client| client.busy_with(key));
        let in_sight = world.client(who).state.connected();
        let zombies = in_sight.iter().flat_map(move |node| world.servers.at(node).zombies[key].iter());
        calls.chain(zombies)
    }

    fn works(&self, world: &World, who: Who, effect: Effect<Key>, nexts: &mut Nexts) {
        let Some(node) = place_of(effect) else { return };
        if !world.servers.at(node).is_running || !world.client(who).is_linked(node) {
            return;
        }
        let mut next = world.clone();
        next.client_mut(who).work = None;
        let act = Act::Works(who, node, effect);
        let is_refused = token_of(effect)
            .is_some_and(|token| token < world.servers.at(node).data.token && self.has(Rule::FencingToken));
        let done = match is_refused {
            true => Event::Superseded.into(),
            false => self.run_work(&mut next, who, effect),
        };
        if let Some(what) = done.violation {
            nexts.violation = Some(Violation { what, act });
            return;
        }
        let told = self.feed(&mut next, who, done.event);
        if let (Some(Effect::Fetch(key, source)), None) = (next.client(who).work, told)
            && let Some(what) = self.wrong_source(&next, who, key, source)
        {
            nexts.violation = Some(Violation { what, act });
            return;
        }
        let what = match told {
            Some(Told::Needless) if self.bounds.needless_is_bad => {
                "N: a conflict is told although one node holds all that was acknowledged"
            }
            Some(Told::Real) if self.bounds.real_is_bad => "C: no node holds all that was acknowledged",
            _ => "",
        };
        if !what.is_empty() {
            nexts.violation = Some(Violation { what: what.to_owned(), act });
            return;
        }
        nexts.list.push(Next { world: next, act, is_from_outside: false, told });
    }

    fn run_work(&self, world: &mut World, who: Who, effect: Effect<Key>) -> Done {
        match effect {
            Effect::Claim(key, node, token) => {
                world.client_mut(who).looked_at.insert(node);
                if world.truth[key].removed.contains(node) {
                    world.client_mut(who).seen_removed.insert(node);
                }
                if self.bounds.no_returns || self.bounds.is_deaf {
                    let value = world.servers.at(node).data.values[key];
                    let seen = &mut world.client_mut(who).seen;
                    seen.iter_mut().skip(node.idx()).take(1).for_each(|seen| *seen = value);
                    let before = world.client(who).seen_before[key];
                    if before.is_some_and(|before| before.get(node.idx()) != Some(&value)) {
                        self.feed(world, who, Event::Changed(key, NodeSet::EMPTY));
                    }
                }
                self.claim(world, key, node, token).into()
            }
            Effect::Fetch(key, node) => {
                let server = world.servers.at(node);
                let (value, standing) = (server.data.values[key], server.marker.standing());
                let watched: Vec<Value> =
                    world.servers.iter().map(|server| server.data.values[key]).collect();
                let client = world.client_mut(who);
                client.fetched = value;
                if self.has(Rule::Watched) {
                    client.watched.iter_mut().zip(watched).for_each(|(place, value)| *place = value);
                }
                Event::Fetched(key, world.truth[key].digest(value), standing).into()
            }
            Effect::Put { node, key, replaces, is_missed, .. } => {
                let digest = world.digest(node, key);
                let missed = if is_missed { NodeSet::EMPTY.with(node) } else { NodeSet::EMPTY };
                let seen = world.client(who).seen.get(node.idx()).copied();
                let holds = world.servers.at(node).data.values[key];
                let is_back = self.bounds.no_returns && seen != Some(holds);
                let is_touched = self.has(Rule::Watched) && self.is_touched(world, who, (node, key));
                let violation = match replaces.is_none_or(|seen| seen == digest && !is_back && !is_touched) {
                    true => self.put(world, who, key, (node, missed)),
                    false => None,
                };
                Done { event: Event::Put(key, node), violation }
            }
            Effect::Release { node, key, about, .. } => self.release(world, key, node, about).into(),
            Effect::Mark(node, token) => self.mark(world, node, token).into(),
            _ => Event::Superseded.into(),
        }
    }

    /// Returns whether a node was written since the source has shown its state, be it with an equal value.
    fn is_touched(&self, world: &World, who: Who, (node, key): (Node, Key)) -> bool {
        let truth = &world.truth[key];
        let holds = world.servers.at(node).data.values[key];
        let held = world.client(who).watched.get(node.idx()).copied().unwrap_or_default();
        // To delete what is not there leaves no trace.
        held != holds && !(truth.is_missing(held) && truth.is_missing(holds))
    }

    fn claim(&self, world: &mut World, key: Key, node: Node, token: Token) -> Event<Key> {
        let server = world.servers.at_mut(node);
        server.data.token = token.max(server.data.token);
        let is_new = !server.data.all.is_empty() && self.has(Rule::AllAnew);
        if self.has(Rule::Claim) {
            server.data.claimed[key] = server.data.missed(key);
            server.data.hints[key] = NodeSet::EMPTY;
            server.begin_count();
            server.data.claimed_all = server.data.all_missed();
            server.data.all = NodeSet::EMPTY;
            server.data.claimed_all_doubted |= server.data.all_doubted;
            server.data.all_doubted = false;
            server.data.claimed_doubts[key] |= server.data.doubts[key];
            server.data.doubts[key] = false;
        }
        let filling = Marker::Filling { token, was_missing: server.marker.is_missing() };
        let begins = is_new || server.marker != Marker::Current && server.marker != filling;
        if server.marker != Marker::Current {
            server.marker = filling;
        }
        let digest = world.truth[key].digest(server.data.values[key]);
        let data = &server.data;
        let is_all_doubted = data.all_doubted || data.claimed_all_doubted;
        let is_doubted =
            data.doubts[key] || data.claimed_doubts[key] || is_all_doubted && self.has(Rule::AllDoubted);
        let (report, evicts) = (self.report(world, node), self.evicts(node));
        Event::Claimed(Claimed { node, key, digest, report, is_doubted, evicts, begins })
    }

    /// Copies what was fetched. Returns what must not happen.
    fn put(&self, world: &mut World, who: Who, key: Key, (node, missed): (Node, NodeSet)) -> Option<String> {
        let source = world.client(who).state.source_of_pass()?;
        let value = world.client(who).fetched;
        let truth = &world.truth[key];
        let before = world.servers.at(node).data.values[key];
        // Of what is not there nothing can be taken away.
        let has =
            |id| !truth.is_missing(before) && truth.keepers[id].contains(node) && truth.covers(before, id);
        let is_undone = |id| has(id) && !truth.covers(value, id);
        if let Some(id) = truth.acknowledged.iter().find(|id| is_undone(*id)) {
            let (n, s) = (node.idx(), source.idx());
            return Some(format!(
                "S3: n{s} lacks the acknowledged write {}, and is copied to n{n} that has it",
                id.0
            ));
        }
        if let Some(what) = self.takes_away(world, who, key, (source, node)) {
            return Some(what);
        }
        let server = world.servers.at_mut(node);
        server.data.values[key] = value;
        server.note(key, missed, true);
        world.truth[key].copied(source, node, value);
        self.changed(world, node, key);
        let truth = &world.truth[key];
        let members = self.members(world);
        let is_nowhere =
            |id| members.iter().all(|other| !truth.covers(world.servers.at(other).data.values[key], id));
        let gone = truth.acknowledged.iter().find(|id| is_nowhere(*id))?;
        Some(format!("S1: the acknowledged write {} of k{} is on no node any more", gone.0, key.idx()))
    }

    fn release(&self, world: &mut World, key: Key, node: Node, about: NodeSet) -> Event<Key> {
        let data = &mut world.servers.at_mut(node).data;
        if self.has(Rule::Claim) {
            data.hints[key] = data.hints[key].or(data.claimed[key].minus(about));
            data.claimed[key] = NodeSet::EMPTY;
        } else {
            data.hints[key] = data.missed(key).minus(about);
        }
        Event::Released(key, node, self.report(world, node))
    }

    /// The marker of a node says up to which count the hints about it are void: those that this lease began when it claimed.
    fn end_epoch(&self, world: &mut World, node: Node, token: Token) {
        for server in world.servers.iter_mut().filter(|server| server.data.token == token) {
            server.data.claimed_all.remove(node);
            server.behind_count.remove(node);
            if self.has(Rule::Epoch) {
                if !self.has(Rule::NewCount) {
                    server.begin_count();
                }
                server.end_epoch(node);
            }
            if server.dump.is_some() && !self.has(Rule::OwnCount) {
                server.renewed.insert(node);
            }
        }
    }

    fn mark(&self, world: &mut World, node: Node, token: Token) -> Event<Key> {
        let server = world.servers.at_mut(node);
        let is_own = matches!(server.marker, Marker::Filling { token: marked, .. } if marked == token);
        if is_own || server.marker == Marker::Current || !self.has(Rule::OwnMark) {
            server.marker = Marker::Current;
            server.data.claimed_doubts = PerKey::default();
            server.data.claimed_all_doubted = false;
            self.end_epoch(world, node, token);
        }
        Event::Marked(node, self.report(world, node))
    }
}

fn place_of(effect: Effect<Key>) -> Option<Node> {
    match effect {
        Effect::Claim(_, node, _)
        | Effect::Fetch(_, node)
        | Effect::Put { node, .. }
        | Effect::Release { node, .. }
        | Effect::Mark(node, _) => Some(node),
        _ => None,
    }
}

fn token_of(effect: Effect<Key>) -> Option<Token> {
    match effect {
        Effect::Claim(_, _, token)
        | Effect::Put { token, .. }
        | Effect::Release { token, .. }
        | Effect::Mark(_, token) => Some(token),
        _ => None,
    }
}

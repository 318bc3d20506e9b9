//! The world that is explored: servers, clients that run the core, and what lies between them.

pub(crate) mod bounds;
pub(crate) mod client;
pub(crate) mod faults;
pub(crate) mod key;
pub(crate) mod names;
pub(crate) mod outside;
pub(crate) mod repairs;
pub(crate) mod server;
pub(crate) mod traffic;
pub(crate) mod truth;
pub(crate) mod value;

use std::hash::Hash;
use std::hash::Hasher;
use std::rc::Rc;

use redisdb_replication::CallId;
use redisdb_replication::Digest;
use redisdb_replication::Effect;
use redisdb_replication::Event;
use redisdb_replication::Node;
use redisdb_replication::NodeSet;
use redisdb_replication::Outcome;
use redisdb_replication::Report;
use redisdb_replication::Rule;
use redisdb_replication::Setup;
use redisdb_replication::State;
use redisdb_replication::Token;
use redisdb_replication::step;

use bounds::Bounds;
use bounds::Budget;
use client::Call;
use client::Client;
use client::LateHint;
use client::Who;
use key::Key;
use key::PerKey;
use names::Act;
use server::Server;
use truth::Sort;
use truth::Truth;
use value::Value;
use value::WriteSet;

/// All that there is at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct World {
    servers: [Server; 3],
    /// Most of what happens concerns one client: the other one is shared with the world before.
    clients: [Rc<Client>; 2],
    truth: PerKey<Truth>,
    /// The nodes that are members no more.
    forgotten: NodeSet,
    /// The number of the newest lease.
    token: Token,
    /// Who holds the newest lease.
    holder: Who,
    budget: Budget,
}

impl Hash for World {
    /// Of a server that is as it was at first only that is hashed.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { servers, clients, truth, forgotten, token, holder, budget } = self;
        for server in servers {
            let is_new = *server == Server::new();
            is_new.hash(state);
            if !is_new {
                server.hash(state);
            }
        }
        clients.iter().for_each(|client| client.hash(state));
        (truth, forgotten, token, holder, budget).hash(state);
    }
}

/// What can happen next.
#[derive(Clone, Debug)]
pub(crate) struct Next {
    pub(crate) world: World,
    pub(crate) act: Act,
    /// Whether it comes from outside: a fault, a call. Whatever else can happen will happen at some time.
    pub(crate) is_from_outside: bool,
    /// Whether a conflict was told, and whether it was needless: one node holds all that was acknowledged.
    pub(crate) told: Option<Told>,
}

/// A conflict that was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    Real,
    Needless,
}

/// What must not happen, and what led to it.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) what: String,
    pub(crate) act: Act,
}

/// All that can happen next, or what must not happen.
#[derive(Debug, Default)]
pub(crate) struct Nexts {
    pub(crate) list: Vec<Next>,
    pub(crate) violation: Option<Violation>,
}

/// What a world does with an event: the rules of the servers and the bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Physics {
    pub(crate) bounds: Bounds,
    pub(crate) setup: Setup,
}

impl Physics {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, setup: bounds.setup() }
    }

    /// Returns the world at rest: all hold the same, and the second client repairs.
    pub(crate) fn at_rest(&self) -> World {
        let first = Client::new(&self.setup);
        let state = State::at_rest_with_lease(&self.setup, Token(0));
        let clients = [first.clone(), Client { state, ..first }].map(Rc::new);
        let mut servers = [Server::new(); 3];
        servers.at_mut(Node::FIRST).is_full = self.bounds.is_first_full;
        let mut truth: PerKey<Truth> = PerKey::default();
        for key in self.keys() {
            (truth[key].may_cross, truth[key].may_split) = (self.bounds.may_cross(), self.bounds.may_split());
        }
        let mut world = World {
            servers,
            clients,
            truth,
            forgotten: NodeSet::EMPTY,
            token: Token(0),
            holder: Who::Second,
            budget: self.bounds.budget,
        };
        if self.bounds.is_held {
            self.keys().for_each(|key| self.hold(&mut world, key));
        }
        world
    }

    /// A key is there on all nodes, and everybody knows it.
    fn hold(&self, world: &mut World, key: Key) {
        let truth = &mut world.truth[key];
        let id = truth.begin(Sort::Set, false, WriteSet::default());
        truth.acknowledged.insert(id);
        truth.held.insert(id);
        truth.keepers[id] = self.setup.members;
        for node in self.setup.members.iter() {
            world.servers.at_mut(node).data.values[key] = Value::replaced_by(id);
        }
        for who in Who::BOTH {
            world.client_mut(who).known[key].insert(id);
        }
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> {
        Key::first_n(self.bounds.n_keys)
    }

    /// Returns the nodes that are not forgotten.
    pub(crate) fn members(&self, world: &World) -> NodeSet {
        self.setup.members.minus(world.forgotten)
    }

    /// Fills in all that can happen next.
    pub(crate) fn nexts(&self, world: &World, nexts: &mut Nexts) {
        nexts.list.clear();
        nexts.violation = None;
        self.faults_of_servers(world, nexts);
        self.outsiders(world, nexts);
        for who in Who::BOTH {
            if world.client(who).is_alive {
                self.faults_of_client(world, who, nexts);
                self.contacts(world, who, nexts);
                self.hears(world, who, nexts);
                self.calls(world, who, nexts);
                self.repairs(world, who, nexts);
            }
        }
        self.leases(world, nexts);
    }

    /// Gives a client an event, and carries out what it wants done.
    pub(crate) fn feed(&self, world: &mut World, who: Who, event: Event<Key>) -> Option<Told> {
        let mut told = None;
        let mut next = Some(event);
        while let Some(event) = next.take() {
            for effect in step(&self.setup, &mut world.client_mut(who).state, event) {
                match effect {
                    Effect::Compared(key) => next = Some(self.count(world, who, key)),
                    Effect::Hear(key) if self.bounds.is_deaf => {
                        let under_way = self.under_way(world, who, key).collect();
                        let client = world.client_mut(who);
                        client.under_way[key] = under_way;
                        client.seen_before[key] = self.bounds.no_returns.then_some(client.seen);
                        next = Some(Event::Deaf(key));
                    }
                    Effect::Hear(key) => {
                        self.hear_all(world, who);
                        next = Some(Event::Heard(key));
                    }
                    effect => told = told.or(self.carry_out(world, who, effect)),
                }
            }
        }
        // What a repair had sent counts for nothing once the repair has given up.
        let client = world.client_mut(who);
        for key in self.keys().filter(|key| !client.state.looks_twice(key)) {
            client.under_way[key] = WriteSet::default();
            client.seen_before[key] = client.seen_before[key].filter(|_| client.state.is_repairing());
        }
        if !client.state.is_repairing() {
            client.work = None;
            client.fetched = Value::MISSING;
            (client.looked_at, client.seen_removed) = (NodeSet::EMPTY, NodeSet::EMPTY);
            (client.seen, client.watched) = Default::default();
        }
        if !client.state.has_lease() {
            client.unheard = PerKey::default();
            client.has_gap = false;
        }
        if !client.state.wants_round() {
            client.compared = PerKey::default();
        }
        client.drop_ended();
        self.drop_forgotten(world, who);
        told
    }

    /// What was under way to a node dies with the connection when the node is forgotten.
    fn drop_forgotten(&self, world: &mut World, who: Who) {
        let client = world.client(who);
        if client.state.forgotten().is_empty() {
            return;
        }
        let connected = client.state.connected();
        for call in client.clone().calls.values().filter(|call| !call.sent.is_subset(connected)) {
            world.truth[call.key].hinted_late.insert(call.id);
            let call = Call { sent: call.sent.and(connected), ..*call };
            world.client_mut(who).calls.insert(call.number(), call);
        }
    }

    /// A key was seen equal: the client that walks the round counts it.
    fn count(&self, world: &mut World, who: Who, key: Key) -> Event<Key> {
        let compared = &mut world.client_mut(who).compared;
        compared[key] = true;
        world.truth[key].removed = NodeSet::EMPTY;
        let compared = &world.client(who).compared;
        Event::Counted { key, is_last: self.keys().all(|key| compared[key]) }
    }

    pub(crate) fn carry_out(&self, world: &mut World, who: Who, effect: Effect<Key>) -> Option<Told> {
        let client = world.client_mut(who);
        match effect {
            Effect::EndOldConnection(node) => world.end_zombies(who, node),
            Effect::Ask(node) => client.asked.insert(node),
            Effect::Forget(node, _) => client.to_note.insert(node),
            Effect::TellLost(key) => world.truth[key].untold = WriteSet::default(),
            Effect::Decide { call, node, key, missed_by, is_doubted } => {
                if let Some(call) = client.calls.get_mut(&call) {
                    call.decider = Some(node);
                    let id = call.id;
                    world.truth[key].results[id] = Value::MISSING;
                }
                world.send(who, call, key, (node, missed_by, is_doubted));
            }
            Effect::Write { call, node, key, missed_by, is_doubted } => {
                world.send(who, call, key, (node, missed_by, is_doubted));
            }
            Effect::Hint { call, node, missed_by, is_doubted, .. } => {
                if let Some(call) = client.calls.get_mut(&call) {
                    call.hint = Some(LateHint { node, missed_by, is_doubted });
                    let (key, id) = (call.key, call.id);
                    // Of another write that is noted when a node is lost.
                    if !missed_by.is_empty() && world.truth[key].decided.contains(id) {
                        world.truth[key].hinted_late.insert(id);
                    }
                }
            }
            Effect::AnswerWrite(call, outcome) => world.written(who, call, outcome),
            Effect::Read(..) | Effect::AnswerRead(..) | Effect::Unavailable(_) => {}
            Effect::Claim(..)
            | Effect::Fetch(..)
            | Effect::Put { .. }
            | Effect::Release { .. }
            | Effect::Mark(..) => client.work = Some(effect),
            Effect::SeenEqual(key, source, equal) => {
                // What is still to run on one node does not count as what is there already.
                if !self.bounds.is_deaf || !world.is_amid(self.setup.members, key) {
                    world.seen_equal(key, source, equal);
                }
            }
            Effect::BeginRound => client.compared = PerKey::default(),
            Effect::Compared(_) | Effect::Hear(_) => {}
            Effect::TellConflict(key, _) => return Some(self.tell(world, key)),
        }
        None
    }

    /// A conflict is told: whoever is told of it decides what counts. Whatever was known of the key before is excused.
    fn tell(&self, world: &mut World, key: Key) -> Told {
        let truth = &world.truth[key];
        let acknowledged = truth.acknowledged;
        let holds_all = |node| truth.lacks(world.servers.at(node).data.values[key], acknowledged).is_none();
        let told = if self.members(world).iter().any(holds_all) { Told::Needless } else { Told::Real };
        let truth = &mut world.truth[key];
        truth.acknowledged = Default::default();
        truth.is_split = false;
        truth.untold = Default::default();
        for who in Who::BOTH {
            world.client_mut(who).known[key] = Default::default();
        }
        told
    }

    /// Returns what a server says of itself.
    pub(crate) fn report(&self, world: &World, node: Node) -> Report<Key> {
        let mut report = world.servers.at(node).report(self.keys());
        if !self.has(Rule::AllHinted) {
            report.all = NodeSet::EMPTY;
        }
        report
    }

    pub(crate) fn has(&self, rule: Rule) -> bool {
        self.setup.rules.has(rule)
    }

    /// Returns what is wrong with a world in which nothing more happens by itself.
    pub(crate) fn fault_at_rest(&self, world: &World) -> Option<String> {
        let members = self.members(world);
        for node in members.iter() {
            let server = world.servers.at(node);
            let idx = node.idx();
            if !server.is_running {
                return Some(format!("L: n{idx} does not run"));
            }
            for key in self.keys() {
                if !server.data.missed(key).is_empty() {
                    return Some(format!("L: hints of k{} stay on n{idx} for good", key.idx()));
                }
            }
            if !server.data.all_missed().is_empty() && self.has(Rule::AllHinted) {
                return Some(format!("L: the hints of n{idx} are not complete for good"));
            }
            if server.data.forgotten != world.forgotten {
                return Some(format!("L: n{idx} never notes who is forgotten"));
            }
            if server.marker != server::Marker::Current {
                return Some(format!("L: n{idx} is never current again"));
            }
        }
        self.keys().find_map(|key| self.fault_of_key(world, key))
    }

    /// Returns the nodes but for those that have thrown the key away: they are not given it again.
    pub(crate) fn holders(&self, world: &World, key: Key) -> NodeSet {
        let is_missing = |node| world.digest(node, key) == Digest::MISSING;
        let members = self.members(world).iter();
        members.filter(|node| !(self.evicts(*node) && is_missing(*node))).collect()
    }

    /// Returns whether the nodes hold something else of a key, for good if nothing is done.
    fn differs(&self, world: &World, key: Key) -> bool {
        let holders = self.holders(world, key);
        let first = holders.first().map(|first| world.digest(first, key));
        !holders.iter().all(|node| Some(world.digest(node, key)) == first)
    }

    fn fault_of_key(&self, world: &World, key: Key) -> Option<String> {
        let truth = &world.truth[key];
        let value = |node| world.servers.at(node).data.values[key];
        let (members, holders) = (self.members(world), self.holders(world, key));
        let first = value(holders.or(members).first().unwrap_or(Node::FIRST));
        let first = holders.first().map_or(first, value);
        let idx = key.idx();
        if truth.is_split {
            return Some(format!(
                "S6: two decisions of k{idx} are acknowledged, neither of which knew of the other"
            ));
        }
        if self.differs(world, key) {
            return Some(format!("L: k{idx} differs for good, and nobody knows"));
        }
        for who in Who::BOTH {
            let client = world.client(who);
            if client.is_alive && !self.bounds.may_lose_data() && truth.is_untold(first, who == Who::Second) {
                return Some(format!("F: nobody is told that a write of {who} to k{idx} is lost"));
            }
            if client.is_alive && client.state.readable(&self.setup, &key).is_empty() {
                return Some(format!("L: {who} can never read k{idx} again"));
            }
        }
        truth.fault_of(first)
    }
}

/// One server by its node.
pub(crate) trait At {
    fn at(&self, node: Node) -> &Server;
    fn at_mut(&mut self, node: Node) -> &mut Server;
}

impl At for [Server; 3] {
    #[expect(clippy::indexing_slicing, reason = "a copy that is explored has at most three nodes")]
    fn at(&self, node: Node) -> &Server {
        &self[node.idx()]
    }

    #[expect(clippy::indexing_slicing, reason = "a copy that is explored has at most three nodes")]
    fn at_mut(&mut self, node: Node) -> &mut Server {
        &mut self[node.idx()]
    }
}

impl World {
    /// Returns the same with one less of a budget, if there is one left.
    pub(crate) fn spent(&self, count: impl Fn(&mut Budget) -> &mut u8) -> Option<Self> {
        let mut budget = self.budget;
        let count = count(&mut budget);
        *count = count.checked_sub(1)?;
        Some(Self { budget, ..self.clone() })
    }

    /// Returns what can be seen of a key on a node.
    pub(crate) fn digest(&self, node: Node, key: Key) -> Digest {
        self.truth[key].digest(self.servers.at(node).data.values[key])
    }

    pub(crate) fn client(&self, who: Who) -> &Client {
        let [first, second] = &self.clients;
        match who {
            Who::First => first,
            Who::Second => second,
        }
    }

    pub(crate) fn client_mut(&mut self, who: Who) -> &mut Client {
        let [first, second] = &mut self.clients;
        match who {
            Who::First => Rc::make_mut(first),
            Who::Second => Rc::make_mut(second),
        }
    }

    /// A client connects anew, and has the node end its old connection.
    /// These nodes were seen to hold the same. Increments cannot be told apart, so the acknowledged ones count on all of them.
    fn take_for_the_same(&mut self, nodes: NodeSet, key: Key) {
        let truth = &mut self.truth[key];
        let value = |node| self.servers.at(node).data.values[key];
        let is_whole = |node: &Node| truth.lacks(value(*node), truth.acknowledged).is_none();
        let Some(from) = nodes.iter().find(is_whole) else { return };
        let value = value(from);
        for node in nodes.iter().filter(|node| *node != from) {
            if self.servers.at(node).data.values[key] != value {
                self.servers.at_mut(node).data.values[key] = value;
                truth.copied(from, node, value);
            }
        }
    }

    fn end_zombies(&mut self, who: Who, node: Node) {
        for key in Key::first_n(2) {
            let truth = &self.truth[key];
            let own = match who {
                Who::First => truth.writes().filter(|id| !truth.of_second.contains(*id)).collect(),
                Who::Second => truth.of_second,
            };
            let zombies = &mut self.servers.at_mut(node).zombies[key];
            *zombies = zombies.minus(own);
        }
    }

    /// A write is sent to a node, and says what the node is to note in its block.
    fn send(
        &mut self,
        who: Who,
        call: CallId,
        key: Key,
        (node, missed_by, is_doubted): (Node, NodeSet, bool),
    ) {
        let Some(call) = self.client_mut(who).calls.get_mut(&call) else { return };
        call.sent.insert(node);
        let (id, truth) = (call.id, &mut self.truth[key]);
        truth.in_block[id] = truth.in_block[id].or(missed_by);
        if is_doubted {
            truth.doubted[id].insert(node);
        }
    }

    /// A write has ended, and its caller is told.
    fn written(&mut self, who: Who, call: CallId, outcome: Outcome) {
        let call = self.client(who).calls.get(&call);
        let Some(&Call { key, id, .. }) = call.filter(|_| outcome == Outcome::Ok) else { return };
        let has_write = |node| self.servers.at(node).data.values[key].has(id);
        let is_lost = self.truth[key].acknowledge(id);
        self.truth[key].is_split |= self.truth[key].decided_beside(id).is_some();
        if self.truth[key].acknowledged.contains(id) {
            self.client_mut(who).known[key].insert(id);
        } else if is_lost && self.forgotten.iter().any(has_write) {
            self.truth[key].untold.insert(id);
        }
    }

    /// Returns whether a write may have run on some of the nodes and may still run on others.
    fn is_amid(&self, members: NodeSet, key: Key) -> bool {
        let mut calls = self.clients.iter().flat_map(|client| client.calls_of(key));
        calls.any(|call| call.sent != members && !call.sent.is_empty())
            || self.servers.iter().any(|server| !server.zombies[key].is_empty())
    }

    /// What cannot be told apart is the same from now on: which increments made it is forgotten, in favor of those that were
    /// acknowledged.
    fn seen_equal(&mut self, key: Key, source: Node, equal: NodeSet) {
        let truth = &self.truth[key];
        let of_source = self.servers.at(source).data.values[key];
        let values = equal.iter().map(|node| self.servers.at(node).data.values[key]);
        let values = std::iter::once(of_source).chain(values);
        let same: Vec<Value> =
            values.filter(|value| truth.digest(*value) == truth.digest(of_source)).collect();
        // Where nothing is there, the last delete counts.
        let last_delete = same.iter().copied().filter(|value| truth.is_missing(*value)).max();
        let best = last_delete
            .or_else(|| same.into_iter().find(|value| truth.lacks(*value, truth.acknowledged).is_none()))
            .unwrap_or(of_source);
        let (whole, deletes) = (truth.whole, truth.deletes);
        let digest = |value: Value| value.digest(whole, deletes);
        for node in equal.iter() {
            let value = &mut self.servers.at_mut(node).data.values[key];
            if digest(*value) == digest(best) {
                *value = best;
            }
        }
    }
}

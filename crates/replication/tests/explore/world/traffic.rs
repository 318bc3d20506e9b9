//! What goes to and fro: connections, reports, writes, late hints, reads.

use redisdb_replication::CallId;
use redisdb_replication::Effect;
use redisdb_replication::Event;
use redisdb_replication::Kind;
use redisdb_replication::Node;
use redisdb_replication::Outcome;
use redisdb_replication::Report;
use redisdb_replication::Rule;
use redisdb_replication::Rules;
use redisdb_replication::Setup;
use redisdb_replication::step;

use super::At;
use super::Nexts;
use super::Physics;
use super::Violation;
use super::World;
use super::client::Call;
use super::client::Client;
use super::client::Who;
use super::key::Key;
use super::names::Act;
use super::server::Marker;
use super::truth::Sort;
use super::value::Value;
use super::value::WriteId;

impl Physics {
    pub(crate) fn contacts(&self, world: &World, who: Who, nexts: &mut Nexts) {
        let client = world.client(who);
        let is_unsettled = world.clients.iter().any(|client| client.is_unsettled())
            || world.servers.iter().any(|server| server.has_zombies(self.keys()));
        if client.state.wants_to_settle(&self.setup) && !is_unsettled {
            let mut next = world.clone();
            self.feed(&mut next, who, Event::Settled);
            nexts.push(next, Act::Settles(who));
        }
        for node in client.state.members(&self.setup).iter() {
            let is_running = world.servers.at(node).is_running;
            let is_connected = client.state.connected().contains(node);
            if is_connected && !is_running {
                let mut next = world.clone();
                self.lose(&mut next, who, node, true);
                nexts.push(next, Act::GivesUp(who, node));
            }
            if !is_connected && is_running && !client.cut.contains(node) {
                let mut next = world.clone();
                self.feed(&mut next, who, Event::Opened(node));
                let report = self.report(&next, node);
                self.feed(&mut next, who, Event::Connected(node, report));
                next.client_mut(who).asked.remove(node);
                nexts.push(next, Act::Connects(who, node));
            }
            if client.is_linked(node) && is_running {
                let report = self.report(world, node);
                if client.to_note.contains(node) {
                    let mut next = world.clone();
                    self.notes_forgotten(&mut next, who, node);
                    nexts.push(next, Act::NotesForgotten(who, node));
                } else if client.state.is_news(&self.setup, node, &report) {
                    let mut next = world.clone();
                    next.client_mut(who).asked.remove(node);
                    self.feed(&mut next, who, Event::Told(node, report));
                    nexts.push(next, Act::IsTold(who, node));
                }
            }
        }
    }

    /// A node notes who is forgotten, and drops the hints about it.
    pub(crate) fn notes_forgotten(&self, world: &mut World, who: Who, node: Node) {
        let client = world.client_mut(who);
        client.to_note.remove(node);
        let forgotten = client.state.forgotten();
        let data = &mut world.servers.at_mut(node).data;
        data.forgotten = data.forgotten.or(forgotten);
        data.all = data.all.minus(forgotten);
        data.claimed_all = data.claimed_all.minus(forgotten);
        for key in self.keys() {
            data.hints[key] = data.hints[key].minus(forgotten);
            data.claimed[key] = data.claimed[key].minus(forgotten);
        }
        let report = self.report(world, node);
        self.feed(world, who, Event::Told(node, report));
    }

    pub(crate) fn calls(&self, world: &World, who: Who, nexts: &mut Nexts) {
        for key in self.keys() {
            if world.client(who).calls_of(key).count() < self.bounds.n_at_once {
                self.read(world, who, key, nexts);
                if nexts.violation.is_some() {
                    return;
                }
                self.begins(world, who, key, nexts);
            }
        }
        for call in world.client(who).calls.values() {
            self.goes_on(world, who, call, nexts);
        }
    }

    fn begins(&self, world: &World, who: Who, key: Key, nexts: &mut Nexts) {
        let may_write = who == Who::First || self.bounds.n_writers == 2;
        // Keys differ by their names only: the first one is written first.
        let is_in_order = Key::first_n(key.idx()).all(|before| 0 < world.truth[before].n_writes);
        let has_room = world.truth[key].n_writes < WriteId::MAX;
        if world.budget.write == 0 || !may_write || !is_in_order || !has_room {
            return;
        }
        if world.client(who).state.connected().is_empty() {
            return;
        }
        for sort in self.bounds.sorts() {
            let mut next = world.clone();
            next.budget.write -= 1;
            let known = world.client(who).known[key];
            let id = next.truth[key].begin(sort, who == Who::Second, known);
            let kind = match sort {
                Sort::Set | Sort::Delete => Kind::Whole,
                Sort::Increment => Kind::Relative,
                Sort::Decision => Kind::Decided,
            };
            let call = Call::new(key, id);
            let number = call.number();
            next.client_mut(who).calls.insert(number, call);
            self.feed(&mut next, who, Event::Write(number, key, kind));
            if kind != Kind::Whole && self.could_be_held(world, who, key, (number, kind)) {
                let what = format!("R: {who} is refused {sort} of k{} though all hold the same", key.idx());
                nexts.violation = Some(Violation { what, act: Act::Begins(who, sort, key, id) });
                return;
            }
            // A write that was refused was never sent: it is as if nobody had tried.
            if next.client(who).calls.contains_key(&number) {
                nexts.push_from_outside(next, Act::Begins(who, sort, key, id));
            }
        }
    }

    fn goes_on(&self, world: &World, who: Who, call: &Call, nexts: &mut Nexts) {
        let client = world.client(who);
        let (key, id, number) = (call.key, call.id, call.number());
        let answered = |next: &mut World, call: Call| next.client_mut(who).calls.insert(number, call);
        for node in call.sent.iter() {
            if world.servers.at(node).is_running && client.is_linked(node) {
                if let Some(mut next) = world.spent(|budget| &mut budget.refuse) {
                    answered(&mut next, Call { sent: call.sent.without(node), ..*call });
                    next.truth[key].hinted_late.insert(id);
                    let report = self.pushed(&next, node);
                    self.feed(&mut next, who, Event::Refused(number, node, report));
                    nexts.push_from_outside(next, Act::Refuses(node, key, id));
                }
                let mut next = world.clone();
                answered(&mut next, Call { sent: call.sent.without(node), ..*call });
                self.run(&mut next, node, key, id);
                if call.decider == Some(node) && self.has(Rule::DecidedAware) {
                    self.hears_of_others(&mut next, who, node);
                }
                let report = self.pushed(&next, node);
                self.feed(&mut next, who, Event::Wrote(number, node, report));
                nexts.push(next, Act::Runs(node, key, id));
            }
        }
        if let Some(node) = call.unheard {
            let mut next = world.clone();
            answered(&mut next, Call { unheard: None, ..*call });
            self.feed(&mut next, who, Event::Wrote(number, node, None));
            nexts.push(next, Act::HearsDecision(who, node, key));
        }
        let Some(hint) = call.hint else { return };
        let node = hint.node;
        if world.servers.at(node).is_running && client.is_linked(node) {
            let mut next = world.clone();
            answered(&mut next, Call { hint: None, ..*call });
            next.servers.at_mut(node).note(key, hint.missed_by, hint.is_doubted);
            let report = self.pushed(&next, node);
            self.feed(&mut next, who, Event::Hinted(number, node, report));
            nexts.push(next, Act::KeepsLateHint(node, key));
        }
    }

    /// A client hears what all nodes but one have said until now.
    fn hears_of_others(&self, world: &mut World, who: Who, but: Node) {
        for node in world.client(who).state.connected().without(but).iter() {
            let report = self.report(world, node);
            let client = world.client(who);
            if world.servers.at(node).is_running
                && client.is_linked(node)
                && client.state.is_news(&self.setup, node, &report)
            {
                world.client_mut(who).asked.remove(node);
                self.feed(world, who, Event::Told(node, report));
            }
        }
    }

    /// What comes with a reply.
    pub(crate) fn pushed(&self, world: &World, node: Node) -> Option<Report<Key>> {
        self.has(Rule::Push).then(|| self.report(world, node))
    }

    /// A server runs a write, and keeps the hints that came in its block.
    pub(crate) fn run(&self, world: &mut World, node: Node, key: Key, id: WriteId) {
        let is_rightful = self.is_rightful(world, node, key, id);
        let truth = &mut world.truth[key];
        let server = world.servers.at_mut(node);
        let before = server.data.values[key];
        server.data.values[key] = truth.after(before, id);
        let has_changed = !truth.deletes.contains(id) || !truth.is_missing(before);
        server.note(key, truth.in_block[id].without(node), truth.doubted[id].contains(node));
        let is_member = !world.forgotten.contains(node);
        if truth.is_decided(id) {
            truth.took_over(id, node, is_member);
            self.changed(world, node, key);
        } else if has_changed {
            // To delete what is not there leaves nothing to keep, and is no change.
            truth.taken(id, node, is_rightful, is_member);
            self.changed(world, node, key);
        }
        let truth = &mut world.truth[key];
        if truth.decided.contains(id) && !truth.is_decided(id) {
            truth.results[id] = world.servers.at(node).data.values[key];
        }
    }

    /// Returns whether the node holds all that was acknowledged, and nobody says otherwise.
    fn is_rightful(&self, world: &World, node: Node, key: Key, id: WriteId) -> bool {
        let server = world.servers.at(node);
        let is_behind =
            self.members(world).iter().any(|other| world.servers.at(other).data.says_missed(key, node));
        let truth = &world.truth[key];
        let mut acknowledged = truth.acknowledged;
        acknowledged.remove(id);
        let lacks = truth.lacks(server.data.values[key], acknowledged).is_some();
        server.marker != Marker::Missing && !is_behind && !lacks
    }

    /// A client reads at once. What it is told must be right, and it must be told something where it can be.
    fn read(&self, world: &World, who: Who, key: Key, nexts: &mut Nexts) {
        let mut client = world.client(who).clone();
        let mut effects = Vec::new();
        let Some(answer) = self.ask(world, &mut client, key, &mut effects) else { return };
        let act = Act::Reads(who, key, answer.map(|(node, _)| node));
        let wrong = match answer {
            Some((_, value)) => self.wrong_answer(world, who, key, value),
            None => self.could_be_answered(world, who, key).then(|| {
                format!("R: {who} is told that k{} is unavailable though all hold the same", key.idx())
            }),
        };
        if let Some(what) = wrong {
            nexts.violation = Some(Violation { what, act });
            return;
        }
        if let Some((_, value)) = answer {
            let truth = &world.truth[key];
            let counts = |id: &WriteId| self.bounds.strict_reads || truth.acknowledged.contains(*id);
            let read = value.writes().filter(counts).collect();
            client.known[key] = client.known[key].or(read);
        }
        if client != *world.client(who) {
            let mut next = world.clone();
            if client.state.agreed(&key) != world.client(who).state.agreed(&key) {
                next.take_for_the_same(client.state.agreed(&key), key);
            }
            *next.client_mut(who) = client;
            for effect in effects {
                self.carry_out(&mut next, who, effect);
            }
            nexts.push_from_outside(next, act);
        }
    }

    /// Asks one node after the other, until there is an answer or none can be given. Returns nothing if a node does not
    /// answer: then it has to be given up first, which is another step.
    fn ask(
        &self,
        world: &World,
        client: &mut Client,
        key: Key,
        others: &mut Vec<Effect<Key>>,
    ) -> Option<Option<(Node, Value)>> {
        let mut event = Event::Read(CallId::default(), key);
        let mut answer: Option<(Node, Value)> = None;
        loop {
            let mut effects = step(&self.setup, &mut client.state, event);
            let last = effects.pop();
            others.append(&mut effects);
            let node = match last {
                Some(Effect::Read(_, _, node)) => node,
                Some(Effect::AnswerRead(..)) => return Some(answer),
                _ => return Some(None),
            };
            let server = world.servers.at(node);
            if !server.is_running || !client.is_linked(node) {
                return None;
            }
            let (value, truth) = (server.data.values[key], &world.truth[key]);
            let digest = truth.digest(value);
            // Of values that cannot be told apart, the one that was acknowledged counts.
            let known = client.known[key];
            let is_as_good =
                |before: &Value| truth.digest(*before) == digest && truth.lacks(*before, known).is_none();
            let before = answer.map(|(_, before)| before).filter(is_as_good);
            answer = Some((node, before.unwrap_or(value)));
            event = Event::Answered(CallId::default(), node, digest, self.pushed(world, node));
        }
    }

    /// Returns whether a relative write is refused after a look at all nodes, though they have held the same for a while.
    fn could_be_held(&self, world: &World, who: Who, key: Key, (number, kind): (CallId, Kind)) -> bool {
        let mut client = world.client(who).clone();
        let is_settled = !client.state.wants_to_settle(&Setup { rules: Rules::ALL, ..self.setup });
        if !is_settled || !self.could_be_answered(world, who, key) {
            return false;
        }
        let has_looked = self.ask(world, &mut client, key, &mut Vec::new()).flatten().is_some();
        let refused = Effect::AnswerWrite(number, Outcome::Refused);
        let write = Event::Write(number, key, kind);
        has_looked && step(&self.setup, &mut client.state, write).contains(&refused)
    }

    /// Returns whether all nodes hold the same, none is known to be behind or to have lost its data, and the client has heard so.
    fn could_be_answered(&self, world: &World, who: Who, key: Key) -> bool {
        let client = world.client(who);
        let digest = |node| world.digest(node, key);
        let is_plain = |node| {
            let server = world.servers.at(node);
            let report = self.report(world, node);
            server.is_running
                && client.is_linked(node)
                && !client.state.is_news(&self.setup, node, &report)
                && !report.standing.is_emptied()
                && !report.missed.contains_key(&key)
                && report.all.is_empty()
                && Some(digest(node)) == client.state.members(&self.setup).first().map(digest)
        };
        client.state.behind(&key).is_empty() && client.state.members(&self.setup).iter().all(is_plain)
    }

    fn wrong_answer(&self, world: &World, who: Who, key: Key, value: Value) -> Option<String> {
        let known = world.client(who).known[key];
        if let Some(id) = value.writes().find(|id| world.truth[key].is_twice(value, *id)) {
            return Some(format!("S2: {who} reads {value}, where write {} was applied twice", id.0));
        }
        let id = world.truth[key].lacks(value, known)?;
        Some(match value {
            Value::MISSING => format!("S2: {who} is told 'missing' though it knew of write {}", id.0),
            _ => format!("S2: {who} reads {value} though it knew of write {}", id.0),
        })
    }
}

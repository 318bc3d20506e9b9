//! What goes wrong: servers stop, restart, are emptied; clients are cut off, stand still, die; leases run out.

use redisdb_replication::CallId;
use redisdb_replication::Event;
use redisdb_replication::Node;
use redisdb_replication::NodeSet;

use super::At;
use super::Next;
use super::Nexts;
use super::Physics;
use super::World;
use super::client::Call;
use super::client::Client;
use super::client::Who;
use super::key::Key;
use super::names::Act;
use super::server::Data;
use super::server::Marker;
use super::value::WriteSet;

impl Nexts {
    /// Something that happens by itself.
    pub(crate) fn push(&mut self, world: World, act: Act) {
        self.list.push(Next { world, act, is_from_outside: false, told: None });
    }

    /// Something that comes from outside.
    pub(crate) fn push_from_outside(&mut self, world: World, act: Act) {
        self.list.push(Next { world, act, is_from_outside: true, told: None });
    }
}

impl Physics {
    pub(crate) fn faults_of_servers(&self, world: &World, nexts: &mut Nexts) {
        // Assumption A1: what is under way has run or is dead before a node loses its data.
        let has_zombies = world.servers.iter().any(|server| server.has_zombies(self.keys()));
        let may_lose = self.bounds.late_any || !has_zombies;
        for node in self.members(world).iter() {
            let is_running = world.servers.at(node).is_running;
            if is_running && let Some(mut next) = world.spent(|budget| &mut budget.stop) {
                next.servers.at_mut(node).is_running = false;
                nexts.push_from_outside(next, Act::Stops(node));
            }
            if !is_running {
                let mut next = world.clone();
                next.servers.at_mut(node).is_running = true;
                nexts.push(next, Act::Continues(node));
            }
            self.restarts(world, node, may_lose, nexts);
            if is_running
                && may_lose
                && let Some(mut next) = world.spent(|budget| &mut budget.flush)
            {
                let server = next.servers.at_mut(node);
                server.marker = Marker::Missing;
                server.data = Data::default();
                self.loses_all(&mut next, node);
                self.may_have_changed(&mut next, node);
                nexts.push_from_outside(next, Act::IsFlushed(node));
            }
            self.losses_of_notes(world, node, nexts);
            self.zombies(world, node, nexts);
        }
    }

    /// A node has no room for hints and doubts, or loses those it has: they were too many, or somebody else removed them.
    fn losses_of_notes(&self, world: &World, node: Node, nexts: &mut Nexts) {
        let server = world.servers.at(node);
        if !server.is_running {
            return;
        }
        if let Some(mut next) = world.spent(|budget| &mut budget.full) {
            next.servers.at_mut(node).is_full = true;
            nexts.push_from_outside(next, Act::IsFull(node));
        }
        if server.is_full && !self.bounds.is_first_full {
            let mut next = world.clone();
            next.servers.at_mut(node).is_full = false;
            nexts.push(next, Act::HasRoom(node));
        }
        for other in self.members(world).without(node).iter() {
            if let Some(mut next) = world.spent(|budget| &mut budget.vanish) {
                next.servers.at_mut(node).lose_hints(NodeSet::EMPTY.with(other));
                nexts.push_from_outside(next, Act::LosesHints(node, other));
            }
        }
        if let Some(mut next) = world.spent(|budget| &mut budget.vanish) {
            next.servers.at_mut(node).lose_doubts();
            nexts.push_from_outside(next, Act::LosesDoubts(node));
        }
        if let Some(mut next) = world.spent(|budget| &mut budget.vanish) {
            next.servers.at_mut(node).marker = Marker::Missing;
            nexts.push_from_outside(next, Act::LosesMarker(node));
        }
    }

    fn restarts(&self, world: &World, node: Node, may_lose: bool, nexts: &mut Nexts) {
        let is_current = world.servers.at(node).marker == Marker::Current;
        if let Some(mut next) = world.spent(|budget| &mut budget.same) {
            self.restart(&mut next, node);
            nexts.push_from_outside(next, Act::RestartsSame(node));
        }
        if is_current && let Some(mut next) = world.spent(|budget| &mut budget.kept) {
            self.restart(&mut next, node);
            next.servers.at_mut(node).marker = Marker::Current;
            nexts.push_from_outside(next, Act::RestartsKept(node));
        }
        if may_lose && let Some(mut next) = world.spent(|budget| &mut budget.empty) {
            self.restart(&mut next, node);
            let server = next.servers.at_mut(node);
            server.marker = Marker::Missing;
            server.data = Data::default();
            server.dump = None;
            server.void = Default::default();
            server.renewed = Default::default();
            server.behind_count = Default::default();
            server.kept = Default::default();
            self.loses_all(&mut next, node);
            nexts.push_from_outside(next, Act::RestartsEmpty(node));
        }
        let server = world.servers.at(node);
        if is_current
            && server.is_running
            && let Some(mut next) = world.spent(|budget| &mut budget.dump)
        {
            let server = next.servers.at_mut(node);
            server.dump = Some(server.data);
            server.void = Default::default();
            server.renewed = Default::default();
            for key in self.keys() {
                server.kept[key] = world.truth[key].kept_by(node);
            }
            nexts.push_from_outside(next, Act::Saves(node));
        }
        if let Some(dump) = server.dump.filter(|_| may_lose)
            && let Some(mut next) = world.spent(|budget| &mut budget.older)
        {
            self.restart_older(&mut next, node, dump);
            nexts.push_from_outside(next, Act::RestartsOlder(node));
        }
    }

    /// A server is restarted with what it has: its connections end, and what was under way to it is dead.
    fn restart(&self, world: &mut World, node: Node) {
        let server = world.servers.at_mut(node);
        server.is_running = true;
        server.marker = server.marker.restarted();
        for key in self.keys() {
            server.zombies[key] = Default::default();
        }
        for who in Who::BOTH {
            self.lose(world, who, node, false);
            world.client_mut(who).calls.values_mut().for_each(|call| call.is_from_before = true);
        }
    }

    fn restart_older(&self, world: &mut World, node: Node, dump: Data) {
        self.restart(world, node);
        let server = world.servers.at_mut(node);
        let before = server.data;
        server.data = dump;
        server.behind_count = server.renewed;
        for key in self.keys() {
            // A void hint says nothing to whoever sees the node that it names.
            server.data.hints[key] = dump.hints[key].minus(server.void[key]);
            server.data.claimed[key] = dump.claimed[key].minus(server.void[key]);
        }
        server.marker = Marker::OfEarlierRun;
        for key in self.keys() {
            let server = world.servers.at(node);
            let told = |data: &Data| data.missed(key).or(data.all_missed());
            let has_lost_hint = !told(&before).is_subset(told(&server.data))
                || !before.forgotten.is_subset(server.data.forgotten);
            // Assumption A2: a node whose dump lacks a late hint that it held, or what it had noted instead, has not kept
            // its data.
            let lost = match has_lost_hint && !self.bounds.strict_older {
                true => world.truth[key].hinted_late,
                false => WriteSet::default(),
            };
            self.keeps(world, node, key, server.kept[key].minus(lost));
        }
    }

    /// A server has lost all.
    fn loses_all(&self, world: &mut World, node: Node) {
        for key in self.keys() {
            world.truth[key].removed.remove(node);
            self.keeps(world, node, key, WriteSet::default());
        }
    }

    /// A server has kept these writes, and no others.
    pub(crate) fn keeps(&self, world: &mut World, node: Node, key: Key, kept: WriteSet) {
        let gone = world.truth[key].lost(node, kept);
        for who in Who::BOTH.into_iter().filter(|_| !gone.is_empty()) {
            let client = world.client_mut(who);
            client.known[key] = client.known[key].minus(gone);
        }
    }

    /// A client loses its connection to a node, which may or may not still run what was sent.
    pub(crate) fn lose(&self, world: &mut World, who: Who, node: Node, may_run_late: bool) {
        let client = world.client(who);
        if !client.is_alive || !client.state.connected().contains(node) {
            return;
        }
        for call in client.clone().calls.values() {
            // The node that decides was sent a hint about those only that were away then.
            let is_being_decided = call.decider.is_some_and(|decider| call.sent.contains(decider));
            if is_being_decided || call.sent.contains(node) {
                world.truth[call.key].hinted_late.insert(call.id);
            }
            if call.sent.contains(node) && may_run_late && self.bounds.with_zombies {
                world.servers.at_mut(node).zombies[call.key].insert(call.id);
            }
            let hint = call.hint.filter(|hint| hint.node != node);
            let call = Call { sent: call.sent.without(node), hint, ..*call };
            world.client_mut(who).calls.insert(call.number(), call);
        }
        self.loses_feed(world, who, node);
        world.client_mut(who).asked.remove(node);
        world.client_mut(who).to_note.remove(node);
        self.feed(world, who, Event::Lost(node));
    }

    /// What was sent over a connection that is gone runs late, or never.
    fn zombies(&self, world: &World, node: Node, nexts: &mut Nexts) {
        let server = world.servers.at(node);
        for key in self.keys().filter(|_| server.is_running) {
            for id in server.zombies[key].iter() {
                let mut next = world.clone();
                next.servers.at_mut(node).zombies[key].remove(id);
                nexts.push(next.clone(), Act::NeverRuns(node, key, id));
                self.run(&mut next, node, key, id);
                nexts.push(next, Act::RunsLate(node, key, id));
            }
        }
    }

    pub(crate) fn faults_of_client(&self, world: &World, who: Who, nexts: &mut Nexts) {
        let client = world.client(who);
        for node in self.setup.members.iter() {
            if !client.cut.contains(node)
                && let Some(mut next) = world.spent(|budget| &mut budget.cut)
            {
                next.client_mut(who).cut.insert(node);
                self.lose(&mut next, who, node, true);
                nexts.push_from_outside(next, Act::Cut(who, node));
            }
            if client.cut.contains(node) {
                let mut next = world.clone();
                next.client_mut(who).cut.remove(node);
                nexts.push(next, Act::Restored(who, node));
            }
        }
        self.forgets(world, who, nexts);
        if let Some(mut next) = world.spent(|budget| &mut budget.die) {
            for node in self.setup.members.iter() {
                self.lose(&mut next, who, node, true);
            }
            *next.client_mut(who) = Client::default();
            nexts.push_from_outside(next, Act::Dies(who));
        }
        for call in client.calls.values().filter(|call| !call.is_overdue) {
            let (key, number) = (call.key, call.number());
            if !call.is_dropped
                && let Some(mut next) = world.spent(|budget| &mut budget.drop)
            {
                next.client_mut(who).calls.insert(number, Call { is_dropped: true, ..*call });
                self.feed(&mut next, who, Event::Dropped(number));
                nexts.push_from_outside(next, Act::Drops(who, key));
            }
            if world.holder != who
                && let Some(mut next) = world.spent(|budget| &mut budget.pause)
            {
                if !call.sent.is_empty() {
                    next.truth[key].hinted_late.insert(call.id);
                }
                let call = Call { is_overdue: true, sent: NodeSet::EMPTY, ..*call };
                next.client_mut(who).calls.insert(number, call);
                self.feed(&mut next, who, Event::Overdue(number));
                nexts.push_from_outside(next, Act::StandsStill(who, key));
                self.stands_still_unheard(world, who, number, nexts);
            }
        }
    }

    /// A client stands still while a node decides its write, and hears of the decision much later.
    fn stands_still_unheard(&self, world: &World, who: Who, number: CallId, nexts: &mut Nexts) {
        let client = world.client(who);
        let call = client.calls.get(&number).and_then(|call| Some((call, call.decider?)));
        let Some((&call, node)) = call.filter(|(call, node)| call.sent.contains(*node)) else { return };
        let Some(mut next) = world.spent(|budget| &mut budget.pause) else { return };
        if world.servers.at(node).is_running && client.is_linked(node) {
            self.run(&mut next, node, call.key, call.id);
            let sent = NodeSet::EMPTY;
            let call = Call { is_overdue: true, sent, unheard: Some(node), ..call };
            next.client_mut(who).calls.insert(number, call);
            self.feed(&mut next, who, Event::Overdue(number));
            nexts.push_from_outside(next, Act::StandsStillUnheard(who, node, call.key));
        }
    }

    /// A node is forgotten for good by the word of a client that can reach another one, which notes it at once.
    fn forgets(&self, world: &World, who: Who, nexts: &mut Nexts) {
        let client = world.client(who);
        let can_note = |node: &Node| world.servers.at(*node).is_running && client.is_linked(*node);
        for node in client.state.members(&self.setup).iter() {
            let others = client.state.members(&self.setup).without(node);
            if let Some(witness) = others.iter().find(can_note)
                && let Some(mut next) = world.spent(|budget| &mut budget.forget)
            {
                next.forgotten.insert(node);
                self.loses_forgotten(&mut next, node);
                self.feed(&mut next, who, Event::Forget(node));
                self.notes_forgotten(&mut next, who, witness);
                nexts.push_from_outside(next, Act::Forgets(who, node));
            }
        }
    }

    /// What only the forgotten node held is lost, and somebody has to be told.
    fn loses_forgotten(&self, world: &mut World, node: Node) {
        for key in self.keys() {
            let before = world.truth[key].acknowledged;
            self.keeps(world, node, key, WriteSet::default());
            let truth = &mut world.truth[key];
            truth.untold = truth.untold.or(before.minus(truth.acknowledged));
        }
    }

    /// The lease passes on when its holder is dead, or runs out under it.
    pub(crate) fn leases(&self, world: &World, nexts: &mut Nexts) {
        let next_holder = world.holder.other();
        let is_dead = !world.client(world.holder).is_alive;
        let next = if is_dead { Some(world.clone()) } else { world.spent(|budget| &mut budget.expire) };
        if let Some(mut next) = next.filter(|_| world.client(next_holder).is_alive) {
            next.holder = next_holder;
            next.token.0 += 1;
            let token = next.token;
            self.keys().for_each(|key| next.truth[key].removed = NodeSet::EMPTY);
            self.feed(&mut next, next_holder, Event::LeaseGot(token));
            let act = Act::GetsLease(next_holder);
            if is_dead { nexts.push(next, act) } else { nexts.push_from_outside(next, act) }
        }
        let former = world.holder.other();
        if world.client(former).is_alive && world.client(former).state.has_lease() {
            let mut next = world.clone();
            self.feed(&mut next, former, Event::LeaseLost);
            nexts.push(next, Act::LosesLease(former));
        }
    }
}

//! What comes from no client: others who write to one node alone, nodes that throw keys away, and how changes are heard.

use redisdb_replication::Event;
use redisdb_replication::Node;
use redisdb_replication::NodeSet;

use super::At;
use super::Nexts;
use super::Physics;
use super::World;
use super::client::Who;
use super::key::Key;
use super::names::Act;
use super::server::Marker;
use super::truth::Sort;
use super::value::WriteId;
use super::value::WriteSet;

impl Physics {
    /// Somebody writes to one node alone or removes a key there; a node has no room for a key.
    pub(crate) fn outsiders(&self, world: &World, nexts: &mut Nexts) {
        for node in self.members(world).iter().filter(|node| world.servers.at(*node).is_running) {
            for key in self.keys() {
                let is_there = !self.lacks(world, node, key);
                self.writes_alone(world, node, key, Sort::Set, nexts);
                if is_there {
                    self.writes_alone(world, node, key, Sort::Delete, nexts);
                }
                if is_there && self.evicts(node) {
                    let mut next = world.clone();
                    self.evict(&mut next, node, key);
                    nexts.push(next, Act::Evicts(node, key));
                }
            }
        }
    }

    fn writes_alone(&self, world: &World, node: Node, key: Key, sort: Sort, nexts: &mut Nexts) {
        if world.truth[key].n_writes == WriteId::MAX {
            return;
        }
        if let Some(mut next) = world.spent(|budget| &mut budget.outside) {
            let id = next.truth[key].write_alone(sort, node);
            let value = &mut next.servers.at_mut(node).data.values[key];
            *value = next.truth[key].after(*value, id);
            self.changed(&mut next, node, key);
            nexts.push_from_outside(next, Act::Outside(node, sort, key, id));
        }
    }

    /// Returns whether the node throws keys away.
    pub(crate) fn evicts(&self, node: Node) -> bool {
        self.bounds.evicting.contains(node)
    }

    /// A node throws a key away. Where that may happen, nothing is promised of what was acknowledged before.
    fn evict(&self, world: &mut World, node: Node, key: Key) {
        world.servers.at_mut(node).data.values[key] = Default::default();
        self.keeps(world, node, key, WriteSet::default());
        let truth = &mut world.truth[key];
        truth.acknowledged = WriteSet::default();
        truth.excused = truth.writes().collect();
        for who in Who::BOTH {
            world.client_mut(who).known[key] = WriteSet::default();
        }
        self.changed(world, node, key);
    }

    /// A key has changed on a node: whoever repairs hears it over its connection, at once or later.
    pub(crate) fn changed(&self, world: &mut World, node: Node, key: Key) {
        let is_removed = world.truth[key].is_removed(world.servers.at(node).data.values[key]);
        let hears = |who| world.client(who).state.has_lease() && world.client(who).is_linked(node);
        let repairing: Vec<Who> = Who::BOTH.into_iter().filter(|who| hears(*who)).collect();
        let are_all = Who::BOTH.into_iter().all(|who| hears(who) || !world.client(who).state.has_lease());
        match is_removed && are_all && !repairing.is_empty() {
            true => world.truth[key].removed.insert(node),
            false => world.truth[key].removed.remove(node),
        }
        if self.bounds.is_deaf {
            return world.truth[key].removed.remove(node);
        }
        for who in repairing {
            if self.bounds.late_feed {
                world.client_mut(who).unheard[key].insert(node);
            } else {
                self.feed(world, who, Event::Changed(key, NodeSet::EMPTY.with(node)));
            }
        }
    }

    /// Any key may have changed on a node: whoever repairs hears that, at once or later.
    pub(crate) fn may_have_changed(&self, world: &mut World, node: Node) {
        for who in Who::BOTH {
            if self.bounds.is_deaf
                || !world.client(who).state.has_lease()
                || !world.client(who).is_linked(node)
            {
                continue;
            }
            if self.bounds.late_feed {
                world.client_mut(who).has_gap = true;
            } else {
                self.feed(world, who, Event::Unheard);
            }
        }
    }

    /// What a node tells has a gap.
    fn gaps(&self, world: &World, who: Who, nexts: &mut Nexts) {
        for node in world.client(who).state.connected().iter() {
            if let Some(mut next) = world.spent(|budget| &mut budget.gap) {
                self.loses_feed(&mut next, who, node);
                next.client_mut(who).has_gap = true;
                nexts.push_from_outside(next, Act::HasGap(who, node));
            }
        }
    }

    /// What a client has not heard of a node it never will.
    pub(crate) fn loses_feed(&self, world: &mut World, who: Who, node: Node) {
        for key in self.keys() {
            world.client_mut(who).unheard[key].remove(node);
            if world.client(who).state.has_lease() {
                world.truth[key].removed.remove(node);
            }
        }
    }

    /// A client hears of a change.
    pub(crate) fn hears(&self, world: &World, who: Who, nexts: &mut Nexts) {
        if !world.client(who).state.has_lease() {
            return;
        }
        self.gaps(world, who, nexts);
        if world.client(who).has_gap {
            let mut next = world.clone();
            next.client_mut(who).has_gap = false;
            self.feed(&mut next, who, Event::Unheard);
            nexts.push(next, Act::HearsOfGap(who));
        }
        for key in self.keys() {
            for node in world.client(who).unheard[key].iter() {
                let mut next = world.clone();
                next.client_mut(who).unheard[key].remove(node);
                self.feed(&mut next, who, Event::Changed(key, NodeSet::EMPTY.with(node)));
                nexts.push(next, Act::Hears(who, node, key));
            }
        }
    }

    /// A client hears of all changes that were made until now.
    pub(crate) fn hear_all(&self, world: &mut World, who: Who) {
        if std::mem::take(&mut world.client_mut(who).has_gap) {
            self.feed(world, who, Event::Unheard);
        }
        for key in self.keys() {
            let nodes = std::mem::take(&mut world.client_mut(who).unheard[key]);
            if !nodes.is_empty() {
                self.feed(world, who, Event::Changed(key, nodes));
            }
        }
    }

    /// Where nothing is told, whoever repairs compares all keys again and again.
    pub(crate) fn begins_round(&self, world: &World, who: Who, nexts: &mut Nexts) {
        let client = world.client(who);
        if !self.bounds.is_deaf || client.state.wants_round() || client.state.is_repairing() {
            return;
        }
        let mut next = world.clone();
        self.feed(&mut next, who, Event::Unheard);
        // Where all are equal nothing comes of it, unless something happens meanwhile.
        let value = |node, key| world.servers.at(node).data.values[key];
        let differs = |key| {
            let holders = self.holders(world, key);
            let first = holders.first().map(|first| value(first, key));
            holders.iter().any(|node| Some(value(node, key)) != first)
        };
        match self.keys().any(differs) {
            true => nexts.push(next, Act::BeginsRound(who)),
            false => nexts.push_from_outside(next, Act::BeginsRound(who)),
        }
    }

    /// Returns what is wrong with the choice of a source.
    pub(crate) fn wrong_source(&self, world: &World, who: Who, key: Key, source: Node) -> Option<String> {
        let was_removed = |node| world.client(who).seen_removed.contains(node) && !self.evicts(node);
        let counts = |node: &Node| !self.lacks(world, *node, key) || was_removed(*node);
        let looked_at = world.client(who).looked_at.iter();
        // A node that has changed since is given nothing. Where it is not told, nobody knows.
        let is_same = |node: Node| {
            let seen = world.client(who).seen.get(node.idx());
            !self.bounds.is_deaf || seen == Some(&world.servers.at(node).data.values[key])
        };
        let mut right = looked_at.filter(|node| is_same(*node) && self.is_right(world, *node, key));
        let first = right.find(counts).filter(|first| *first < source)?;
        let (n, s) = (first.idx(), source.idx());
        Some(format!("S4: n{s} is the source, although n{n} comes before it and has missed nothing"))
    }

    /// Returns whether a copy takes a key away that nobody removed.
    pub(crate) fn takes_away(
        &self,
        world: &World,
        who: Who,
        key: Key,
        (from, to): (Node, Node),
    ) -> Option<String> {
        let (truth, copied) = (&world.truth[key], world.client(who).fetched);
        // A decision of which nobody was told is undone, and so is what was there with it alone.
        let value = world.servers.at(to).data.values[key];
        let is_told = |id: WriteId| truth.acknowledged.contains(id) || !truth.decided.contains(id);
        let takes_away =
            truth.is_missing(copied) && !self.lacks(world, to, key) && value.writes().any(is_told);
        let are_right = self.is_right(world, from, key) && self.is_right(world, to, key);
        let (n, s) = (to.idx(), from.idx());
        (takes_away && are_right && !truth.is_removed(copied))
            .then(|| format!("S5: n{s} lacks the key, which nobody removed, and takes it away from n{n}"))
    }

    fn lacks(&self, world: &World, node: Node, key: Key) -> bool {
        world.truth[key].is_missing(world.servers.at(node).data.values[key])
    }

    /// Returns whether the node is current, and nobody says that it has missed the key.
    fn is_right(&self, world: &World, node: Node, key: Key) -> bool {
        let says_missed = |other| world.servers.at(other).data.says_missed(key, node);
        world.servers.at(node).marker == Marker::Current && !self.setup.members.iter().any(says_missed)
    }
}

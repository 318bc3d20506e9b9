//! The bounds of an exploration: how many nodes, keys, writes and faults, and what is assumed.

use redisdb_replication::Node;
use redisdb_replication::NodeSet;
use redisdb_replication::Rule;
use redisdb_replication::Rules;
use redisdb_replication::Setup;

use super::truth::Sort;

/// How often each thing may still happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Budget {
    /// A client begins a write.
    pub(crate) write: u8,
    /// One client is cut off from one node.
    pub(crate) cut: u8,
    /// A server stops answering.
    pub(crate) stop: u8,
    /// A server is restarted, and its data is the same.
    pub(crate) same: u8,
    /// A server is restarted and proves that it lost nothing.
    pub(crate) kept: u8,
    /// A server is restarted empty.
    pub(crate) empty: u8,
    /// A server saves its data.
    pub(crate) dump: u8,
    /// A server is restarted with what it saved.
    pub(crate) older: u8,
    /// Somebody else empties a server.
    pub(crate) flush: u8,
    /// A node has no room for hints and doubts.
    pub(crate) full: u8,
    /// A node refuses a write.
    pub(crate) refuse: u8,
    /// A node loses its marker, its doubts, or its hints about another one.
    pub(crate) vanish: u8,
    /// A node is forgotten.
    pub(crate) forget: u8,
    /// Somebody else writes to one node alone, or removes a key there, or a key expires there.
    pub(crate) outside: u8,
    /// What a node has told and was not heard yet never is.
    pub(crate) gap: u8,
    /// A client dies.
    pub(crate) die: u8,
    /// A caller drops its future.
    pub(crate) drop: u8,
    /// A client stands still for longer than `D` with a write under way.
    pub(crate) pause: u8,
    /// The lease runs out under its holder.
    pub(crate) expire: u8,
}

/// Which kinds of writes there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kinds {
    Both,
    Whole,
    Relative,
}

/// How relative writes are executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RelativeWrites {
    /// All nodes execute each.
    ByAll,
    /// One node decides each.
    Decided,
    /// All nodes execute some, and one node decides others.
    Mixed,
}

/// What is explored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) n_nodes: usize,
    pub(crate) n_keys: usize,
    pub(crate) n_takers: usize,
    pub(crate) rules: Rules,
    pub(crate) kinds: Kinds,
    /// How relative writes are executed.
    pub(crate) relative: RelativeWrites,
    /// Whether clients delete keys.
    pub(crate) with_deletes: bool,
    /// The nodes that throw keys away whenever they have any.
    pub(crate) evicting: NodeSet,
    /// Whether the keys are there from the start on.
    pub(crate) is_held: bool,
    /// Whether no value comes back to what a pass has seen while it copies (assumption A3).
    pub(crate) no_returns: bool,
    /// Whether a change is heard at any later time. If not, it is heard at once.
    pub(crate) late_feed: bool,
    /// Whether no node tells what changes there.
    pub(crate) is_deaf: bool,
    /// The clients that write: the first, or both.
    pub(crate) n_writers: usize,
    /// How many writes of a key a client may have under way at once.
    pub(crate) n_at_once: usize,
    pub(crate) budget: Budget,
    /// Whether requests over lost connections may still run.
    pub(crate) with_zombies: bool,
    /// Whether the first node has no room for hints and doubts from the start on.
    pub(crate) is_first_full: bool,
    /// Whether a server may lose data while a request to any server may still run (assumption A1 given up).
    pub(crate) late_any: bool,
    /// Whether a server whose dump lacks a late hint counts as having kept its data (assumption A2 given up).
    pub(crate) strict_older: bool,
    /// Whether what was read before it was acknowledged counts as known (K3).
    pub(crate) strict_reads: bool,
    /// Whether a decision that is undone by another one which crossed it is a violation also where their node was lost (K10).
    pub(crate) strict_decisions: bool,
    /// Whether two decisions of which neither was built upon the other are a violation also where a node lost its marker (K11).
    pub(crate) strict_splits: bool,
    /// Whether a conflict is a violation where one node holds all that was acknowledged.
    pub(crate) needless_is_bad: bool,
    /// Whether a conflict is a violation where no node holds all that was acknowledged.
    pub(crate) real_is_bad: bool,
    /// How many walks are drawn by lot; with none all worlds are gone through.
    pub(crate) n_walks: u32,
    /// The number of states after which the search is cut off.
    pub(crate) limit: usize,
}

impl Bounds {
    /// Two nodes, one key, two writes by either client, no fault.
    fn smallest() -> Self {
        Self {
            n_nodes: 2,
            n_keys: 1,
            n_takers: 1,
            rules: Rules::ALL,
            kinds: Kinds::Both,
            relative: RelativeWrites::ByAll,
            with_deletes: false,
            evicting: NodeSet::EMPTY,
            is_held: false,
            no_returns: false,
            late_feed: false,
            is_deaf: false,
            n_writers: 2,
            n_at_once: 1,
            budget: Budget { write: 2, ..Budget::default() },
            with_zombies: true,
            is_first_full: false,
            late_any: false,
            strict_older: false,
            strict_reads: false,
            strict_decisions: false,
            strict_splits: false,
            needless_is_bad: false,
            real_is_bad: false,
            n_walks: 0,
            limit: 40_000_000,
        }
    }

    /// Reads bounds as they are written in the table: `--nodes 3 --cut 1`.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let mut bounds = Self::smallest();
        let mut words = line.split_whitespace().peekable();
        while let Some(word) = words.next() {
            let value = words.next_if(|next| !next.starts_with("--"));
            let known = match value {
                None => bounds.assume(word),
                Some(name) if word == "--without" => bounds.leave_out(name),
                Some(value) if word == "--walks" => value.parse().map(|n| bounds.n_walks = n).is_ok(),
                Some(value) => value.parse().is_ok_and(|count| bounds.count(word, count)),
            };
            if !known {
                return Err(format!("what is {word} {}?", value.unwrap_or_default()));
            }
        }
        Ok(bounds)
    }

    fn assume(&mut self, what: &str) -> bool {
        match what {
            "--whole" => self.kinds = Kinds::Whole,
            "--relative" => self.kinds = Kinds::Relative,
            "--decided" => self.relative = RelativeWrites::Decided,
            "--some-decided" => self.relative = RelativeWrites::Mixed,
            "--deletes" => self.with_deletes = true,
            "--late-feed" => self.late_feed = true,
            "--deaf" => self.is_deaf = true,
            "--held" => self.is_held = true,
            "--no-returns" => self.no_returns = true,
            "--no-zombies" => self.with_zombies = false,
            "--first-full" => self.is_first_full = true,
            "--late-any" => self.late_any = true,
            "--strict-older" => self.strict_older = true,
            "--strict-reads" => self.strict_reads = true,
            "--strict-splits" => self.strict_splits = true,
            "--strict-decisions" => self.strict_decisions = true,
            "--needless-is-bad" => self.needless_is_bad = true,
            "--real-is-bad" => self.real_is_bad = true,
            _ => return false,
        }
        true
    }

    fn leave_out(&mut self, name: &str) -> bool {
        let rule = Rule::ALL.into_iter().find(|rule| format!("{rule:?}").eq_ignore_ascii_case(name));
        self.rules = rule.map_or(self.rules, |rule| self.rules.without(rule));
        rule.is_some()
    }

    fn count(&mut self, what: &str, count: u8) -> bool {
        let budget = &mut self.budget;
        match what {
            "--nodes" => self.n_nodes = count.into(),
            "--keys" => self.n_keys = count.into(),
            "--evicts" => {
                let Some(node) = Node::new(count.into()) else { return false };
                self.evicting.insert(node);
            }
            "--takers" => self.n_takers = count.into(),
            "--writers" => self.n_writers = count.into(),
            "--at-once" => self.n_at_once = count.into(),
            "--limit" => self.limit = usize::from(count) * 1_000_000,
            "--write" => budget.write = count,
            "--cut" => budget.cut = count,
            "--stop" => budget.stop = count,
            "--same" => budget.same = count,
            "--kept" => budget.kept = count,
            "--empty" => budget.empty = count,
            "--older" => (budget.dump, budget.older) = (count, count),
            "--flush" => budget.flush = count,
            "--full" => budget.full = count,
            "--refuse" => budget.refuse = count,
            "--vanish" => budget.vanish = count,
            "--outside" => budget.outside = count,
            "--gap" => budget.gap = count,
            "--forget" => budget.forget = count,
            "--die" => budget.die = count,
            "--drop" => budget.drop = count,
            "--pause" => budget.pause = count,
            "--expire" => budget.expire = count,
            _ => return false,
        }
        true
    }

    /// Returns what clients write.
    pub(crate) fn sorts(&self) -> impl Iterator<Item = Sort> {
        let sorts = [
            (Sort::Increment, self.kinds != Kinds::Whole && self.relative != RelativeWrites::Decided),
            (Sort::Decision, self.kinds != Kinds::Whole && self.relative != RelativeWrites::ByAll),
            (Sort::Set, self.kinds != Kinds::Relative),
            (Sort::Delete, self.with_deletes),
        ];
        sorts.into_iter().filter(|(_, may)| *may).map(|(sort, _)| sort)
    }

    /// Returns whether a decision may be undone by another one that crosses it: a client may lose the node that decides.
    pub(crate) fn may_cross(&self) -> bool {
        let Budget { cut, stop, same, kept, empty, older, flush, refuse, forget, .. } = self.budget;
        let may_lose_node = 0 < cut + stop + same + kept + empty + older + flush + refuse + forget;
        may_lose_node && self.relative != RelativeWrites::ByAll && !self.strict_decisions
    }

    /// Returns whether two decisions may be acknowledged of which neither was built upon the other: a node may be flushed when it has
    /// decided, which its process hears later; and not all hear at once that a node is current again.
    pub(crate) fn may_split(&self) -> bool {
        let Budget { same, empty, older, flush, forget, .. } = self.budget;
        0 < same + empty + older + flush + forget && !self.strict_splits
    }

    /// Returns whether a node may lose data that it keeps on its disk.
    pub(crate) fn may_lose_data(&self) -> bool {
        0 < self.budget.older + self.budget.empty + self.budget.flush
    }

    pub(crate) fn setup(&self) -> Setup {
        Setup { members: NodeSet::first_n(self.n_nodes), n_takers: self.n_takers, rules: self.rules }
    }
}

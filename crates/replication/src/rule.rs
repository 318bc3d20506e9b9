//! The rules of a copy: each with what it says, and what goes wrong without it.

/// One rule of a copy.
///
/// `D` is a time that is longer than the longest life of a request: one and a half response timeouts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Rule {
    /// A node that was restarted is neither read nor a source until all its keys were compared.
    ///
    /// Without it, a node that came back with an older dump answers "missing" for an acknowledged write.
    Restarted,
    /// A node without its marker (it is empty, or was flushed) is neither read nor a source.
    ///
    /// Without it, a node that somebody flushed answers "missing".
    Emptied,
    /// A relative write is acknowledged only if a node took it that is current and not known to be behind. It is refused
    /// before it is sent where there is no such node.
    ///
    /// Without it, the counter that is acknowledged was increased only where the others' increments are missing.
    Held,
    /// A call that is older than `D` is never acknowledged, by the clock of its own process.
    ///
    /// Without it, a process that stood still acknowledges what a repair has overwritten meanwhile.
    Deadline,
    /// What one node decided is sent to the others only by a call that is younger than `D`.
    ///
    /// Without it, a process that stood still sends what a repair has undone meanwhile, over what others have written since.
    DecidedInTime,
    /// Before a decision is sent on, the process hears what the other nodes have said of the deciding one until then.
    ///
    /// Without it, a node that missed an acknowledged write decides without it, and what it decides undoes the write everywhere.
    DecidedAware,
    /// A decision that does not count is asked of another node only where the first one was emptied and no repair is filling it.
    ///
    /// Without it, a repair under way makes the first node current with the decision, and it is executed once more on another one.
    DecidedOnce,
    /// A node that lost the data it decided upon, or turns out to have been behind, acknowledges its decision no more, whoever took it.
    ///
    /// Without it, an increment of what was not current is acknowledged, and undoes those that were.
    DecidedRightly,
    /// A node that is known to be away gets its hint in the block of the write, so that no dump has one without the other.
    ///
    /// Without it, a node comes back from a dump with a write whose hint is lost: nobody knows who is behind.
    Block,
    /// A node that fails midway is hinted on every node that took the write, before the call returns.
    ///
    /// Without it, the same process connects again and reads the node that missed its own write.
    LateHint,
    /// A node that took a write and was restarted before the call returns counts as one that failed.
    ///
    /// Without it, a node that lost the write keeps the hint that the other one, which has it, is behind.
    SameTaker,
    /// Whoever connects to a node again first ends the old connection there.
    ///
    /// Without it, a `SET` that hung in the old connection runs after a later write, and undoes it on that node.
    Fence,
    /// After each loss and each return of a node nothing is read before the hints and markers of all connected nodes were
    /// read again.
    ///
    /// Without it, a process fails over to a node that others know to be behind.
    Gate,
    /// A reply is used only with the marker and the hints that its node had when it answered.
    ///
    /// Without it, a node that was flushed over a living connection is still read.
    Push,
    /// What a process has learned of a miss is replaced only by what a current node says later.
    ///
    /// Without it, an emptied holder that "knows of no hint" makes a stale node readable.
    Memory,
    /// Where no current node can answer, all nodes are asked, and their answer counts if all agree.
    ///
    /// Without it nothing is wrong, but nothing can be read after a restart of all nodes either.
    Agreement,
    /// A key that all nodes were seen to hold alike counts as current on each of them, until it is lost or emptied.
    ///
    /// Without it nothing is wrong, but no relative write is acknowledged after a restart of all nodes before all keys were
    /// compared.
    Agreed,
    /// It does so only if `D` has passed since the last loss or return of a node when all were seen to hold it alike.
    ///
    /// Without it, a write that is under way comes to one node only, because another one took it before it was restarted with an
    /// older dump; and that one counts as current.
    Settled,
    /// A node becomes current again only while all nodes are in sight.
    ///
    /// Without it, the node that alone holds the hint against the source is not asked.
    AllInSight,
    /// A node becomes current only when all keys have been compared since its filling began.
    ///
    /// Without it, the first key that is equal makes the whole node readable.
    AllKeys,
    /// A node becomes current, and an epoch of it ends, only when no hint about it is left for any other key.
    ///
    /// Without it, a key that was written after it was compared is missing there, and its hint is void.
    NoOtherHint,
    /// A repair takes the hints of a key into its own hands before it looks, and drops only those.
    ///
    /// Without it, the hint of a write that came after the look is dropped too.
    Claim,
    /// A repair begins only when nothing has changed the key for `D`.
    ///
    /// Without it, it begins before the late hint of a write is written, and takes the wrong source.
    Quiet,
    /// A pass that saw the key change since the quiet moment begins anew.
    ///
    /// Without it, the pass takes a node as source whose hint is not written yet.
    Still,
    /// What is copied is the state that was looked at, not what the source holds a moment later.
    ///
    /// Without it, a write that is still on its way to the target is copied there, and then applied once more.
    LookedAt,
    /// What is copied comes from a source that still carries the marker that it had when it was looked at.
    ///
    /// Without it, a counter of 1 that was flushed and increased to 1 again passes for the one that was looked at.
    SameSource,
    /// A copy replaces only what was seen at the target.
    ///
    /// Without it, a write that reached all nodes after the look is overwritten on one of them.
    CompareAndSet,
    /// Nor does it replace what was written since the source has shown its state, be it with an equal value.
    ///
    /// Without it, a decision that brings a node to what a decision in vain had left there is undone.
    Watched,
    /// Equal values are no agreement where each node is hinted.
    ///
    /// Without it, a counter with one increment here and another one there is taken for equal.
    Mutual,
    /// Where no current node is right, a node that was restarted is the source if the others have nothing that it may have
    /// lost: each holds the same, or is empty, or has taken nothing since that node noted that it is behind.
    ///
    /// Without it nothing is wrong, but a restart of one node after the other tells conflicts that are none.
    Heir,
    /// A node that takes a write while it is behind, or not current, notes a doubt about the key in the block of the write. No
    /// node is the heir of one with a doubt.
    ///
    /// Without it, a node that came back with an old dump overwrites a write that the other node took meanwhile.
    Doubt,
    /// A node that turns out by its answer, or by another one's, to be behind or not current notes the doubt before the call
    /// returns.
    ///
    /// Without it, a writer that had not heard of the hint leaves no doubt, and its write is overwritten.
    LateDoubt,
    /// A hint carries the epoch of the node it names. The epoch ends when the node has got all it missed, and the hint is void.
    ///
    /// Without it, a hint that comes back with an old dump makes the old dump the heir.
    Epoch,
    /// A repair begins a new count of hints on a node in the block in which it claims there. An epoch ends with the older
    /// counts.
    ///
    /// Without it, a hint that comes between the claim and the end of the epoch is void.
    NewCount,
    /// A server process begins a count of its own, later than all that were begun before.
    ///
    /// Without it, a node that came back with an old dump goes on with a count whose hints are void.
    OwnCount,
    /// Hints are dropped, and a node becomes current, only after a pass that has copied nothing.
    ///
    /// Without it, a copy that met a change on the way counts as done.
    SeenEqual,
    /// A node becomes current only where the repair's own mark still stands.
    ///
    /// Without it, a node that was flushed during the repair is empty and current.
    OwnMark,
    /// A node refuses the work of a repair whose lease is older than the newest one it has seen (fencing token).
    ///
    /// Without it, a process that does not know yet that its lease has run out drops the hints of its successor.
    FencingToken,
    /// A node whose hints about another one are not complete says that this one may have missed any key. They are not
    /// complete when they were too many, could not be written, or are gone. A write does not fail for it.
    ///
    /// Without it, a node whose hints were evicted makes a stale node readable.
    AllHinted,
    /// A node whose doubts are not complete has a doubt about each key.
    ///
    /// Without it, the heir of such a node overwrites what it took.
    AllDoubted,
    /// Where any key may have been missed, a round over all keys begins anew when that is claimed.
    ///
    /// Without it, a key that was compared before is missing.
    AllAnew,
    /// What a node has said counts for nothing once it is forgotten.
    ///
    /// Without it, a node stays behind for good by the word of one that never returns.
    Forget,
    /// Whoever sees that a node has not noted who is forgotten, or keeps a hint about it, has it noted and the hint dropped.
    ///
    /// Without it, the hints of a process that had not heard stay for good.
    PassOn,
    /// A node that is not known to have noted who is forgotten is still hinted about it.
    ///
    /// Without it, a process that has not heard takes the forgotten node as the source of a key that it has missed.
    HintForgotten,
    /// Each process tells the keys of which, by the word of the forgotten node, no other one holds all.
    ///
    /// Without it, a write is lost with the node, and whoever wrote it is not told.
    TellLost,
    /// The mark that a key has changed is cleared before a pass looks at the key, not after.
    ///
    /// Without it, a change during the pass is forgotten, and the nodes differ for good.
    ClearFirst,
    /// A pass decides only when all changes that were made before its looks are heard.
    ///
    /// Without it, it does not know that a write is on its way to a node, and takes the wrong source.
    Barrier,
    /// Where changes were not heard, each key counts as changed, also the one that is being compared.
    ///
    /// Without it, a gap hides that a write is on its way to a node, as without the barrier.
    Gap,
    /// Where a node does not tell what changes there, and the nodes differ, a pass decides only if all show what they showed to
    /// the pass before, `D` earlier.
    ///
    /// Without it, a write that is on its way to the source is undone where it has been.
    Twice,
    /// Who has missed the key is read after the nodes have shown it.
    ///
    /// Without it, a node is the source that missed a write of a process which it alone could not reach.
    HintsLast,
    /// All processes take the nodes in one order.
    ///
    /// Without it, the node that all read from is given what another one holds.
    SameOrder,
    /// A node that lacks a key counts only if it has told that the key changed there; else a node that has the key does.
    ///
    /// Without it, a key that a node never had is taken away from the others.
    Absence,
    /// What a node has told of a key counts until the key is seen equal, also if a pass over it has to begin anew.
    ///
    /// Without it, a key that was removed comes back because it changed elsewhere during the pass.
    Word,
    /// A node that is given a key that it lacked notes in the same block that it has missed it.
    ///
    /// Without it, a key that was deleted during the copy comes back: a delete that finds nothing leaves nothing to be seen.
    Given,
    /// A node that may throw keys away takes none away from the others by lacking it.
    ///
    /// Without it, a key is gone everywhere because one node had no room for it.
    Eviction,
    /// A node that may throw keys away is not given what it lacks, unless it is behind or not current.
    ///
    /// Without it, a key is copied there and thrown away again for ever.
    NoRefill,
    /// Each change of a key on any node, by whomever, has the key compared.
    ///
    /// Without it, two writes that cross, or a writer that dies midway, leave the nodes different for good.
    Feed,
}

impl Rule {
    /// All rules, in the order in which a call meets them.
    pub const ALL: [Self; 57] = [
        Self::Restarted,
        Self::Emptied,
        Self::Held,
        Self::Deadline,
        Self::DecidedInTime,
        Self::DecidedAware,
        Self::DecidedOnce,
        Self::DecidedRightly,
        Self::Block,
        Self::LateHint,
        Self::SameTaker,
        Self::Fence,
        Self::Gate,
        Self::Push,
        Self::Memory,
        Self::Agreement,
        Self::Agreed,
        Self::Settled,
        Self::AllInSight,
        Self::AllKeys,
        Self::NoOtherHint,
        Self::Claim,
        Self::Quiet,
        Self::Still,
        Self::LookedAt,
        Self::SameSource,
        Self::CompareAndSet,
        Self::Watched,
        Self::Mutual,
        Self::Heir,
        Self::Doubt,
        Self::LateDoubt,
        Self::Epoch,
        Self::NewCount,
        Self::OwnCount,
        Self::SeenEqual,
        Self::OwnMark,
        Self::FencingToken,
        Self::AllHinted,
        Self::AllDoubted,
        Self::AllAnew,
        Self::Forget,
        Self::PassOn,
        Self::HintForgotten,
        Self::TellLost,
        Self::ClearFirst,
        Self::Barrier,
        Self::Gap,
        Self::Twice,
        Self::HintsLast,
        Self::SameOrder,
        Self::Absence,
        Self::Word,
        Self::Given,
        Self::Eviction,
        Self::NoRefill,
        Self::Feed,
    ];
}

/// The rules that are in force: all of them, but in the tests that show what a rule is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Rules(u64);

impl Rules {
    /// All rules.
    pub const ALL: Self = Self(u64::MAX);

    /// Returns these rules but for one. Only tests take a rule away.
    #[must_use]
    pub fn without(self, rule: Rule) -> Self {
        Self(self.0 & !(1 << rule as u32))
    }

    /// Returns whether the rule is in force.
    #[must_use]
    #[inline]
    pub fn has(self, rule: Rule) -> bool {
        self.0 >> (rule as u32) & 1 == 1
    }
}

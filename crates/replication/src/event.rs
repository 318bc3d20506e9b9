//! What a process is told: by a node, by a clock, by its caller, by the holder of the lease.

use std::collections::BTreeMap;

use crate::node::Node;
use crate::node::NodeSet;

/// What a node's marker says, read beside the identifier of the server process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Standing {
    /// There is no marker: the node is empty, or was flushed.
    #[default]
    Empty,
    /// The marker names another server process: the node was restarted, with its data or with an older dump.
    Restarted,
    /// A repair is filling a node that was empty.
    FillingEmpty,
    /// A repair is filling a node that was restarted.
    Filling,
    /// All keys have been compared under this server process.
    Current,
}

impl Standing {
    /// Returns whether the node lost its marker, and so perhaps all it had.
    #[must_use]
    #[inline]
    pub fn is_emptied(self) -> bool {
        matches!(self, Self::Empty | Self::FillingEmpty)
    }
}

/// What a node says of itself and of the others, read in one block.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Report<K> {
    /// What its marker says.
    pub standing: Standing,
    /// The nodes that have missed a write of a key, by the hints that this node keeps. A key that nobody missed is
    /// not in it.
    pub missed: BTreeMap<K, NodeSet>,
    /// The nodes that may have missed a write of any key: the hints about them were too many, could not be
    /// written, or are gone.
    pub all: NodeSet,
    /// The nodes that are members no more, as this node has noted.
    pub forgotten: NodeSet,
}

impl<K: Ord> Report<K> {
    /// Returns what a node says that knows of nobody who missed anything.
    #[must_use]
    pub fn of(standing: Standing) -> Self {
        Self { standing, missed: BTreeMap::new(), all: NodeSet::EMPTY, forgotten: NodeSet::EMPTY }
    }

    /// Returns the same report, by which these nodes have missed a write of this key too.
    #[must_use]
    pub fn missing(mut self, key: K, nodes: NodeSet) -> Self {
        if !nodes.is_empty() {
            self.missed.insert(key, nodes);
        }
        self
    }
}

/// The state of a key on a node, as short as it can be told from another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Digest(pub u64);

impl Digest {
    /// The key is not there.
    pub const MISSING: Self = Self(0);
}

/// The number of a lease. A later lease has a larger one (fencing token).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Token(pub u8);

/// A call that is under way. Whoever runs the core numbers the calls: no two that are under way have the same number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct CallId(pub u64);

/// What kind of write a call is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// The write leaves the same whatever was there, as `SET` and `DEL` do.
    Whole,
    /// The write builds on what was there, as `INCR` and `RPUSH` do.
    Relative,
    /// The write builds on what was there, and one node decides what comes of it, as of `INCRBYFLOAT` and `SPOP`. The others are sent
    /// that, which leaves the same whatever was there.
    Decided,
}

/// What happens to a process.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Event<K> {
    /// The connection to a node ended, or the process ended it because an answer took too long.
    Lost(Node),
    /// A new connection to a node is open. Nothing was sent over it yet.
    Opened(Node),
    /// The old connection is ended, and the node has said what it is and holds.
    Connected(Node, Report<K>),
    /// A node says what it is and holds: it was asked, or it pushes that something changed.
    Told(Node, Report<K>),

    /// `D` has passed since a node was last lost or came back.
    Settled,

    /// Somebody with the right to say so wants a node to be a member no more: it never returns.
    Forget(Node),

    /// A caller wants to write a key.
    Write(CallId, K, Kind),
    /// A node took the write. The report is what it held when it answered.
    Wrote(CallId, Node, Option<Report<K>>),
    /// A node did not take the write, or may not have, and the connection to it goes on: it has no room, or gave no answer
    /// in time. What is sent to it later runs after the write. The report is what it held then.
    Refused(CallId, Node, Option<Report<K>>),
    /// A node keeps the late hint that it was asked to keep.
    Hinted(CallId, Node, Option<Report<K>>),
    /// The caller dropped its future.
    Dropped(CallId),
    /// The call is older than `D`.
    Overdue(CallId),

    /// A caller wants to read a key.
    Read(CallId, K),
    /// A node answered a read.
    Answered(CallId, Node, Digest, Option<Report<K>>),

    /// This process is the one that repairs, under this lease.
    LeaseGot(Token),
    /// This process learns that its lease has run out.
    LeaseLost,
    /// These nodes say that a key has changed there. Without a node, it may have changed, as was found in another way.
    Changed(K, NodeSet),
    /// Changes were not heard: any key may have changed, as after a gap in what a node tells, or a flush.
    Unheard,
    /// It is time to look whether a key is to be repaired: nothing has changed it for `D`.
    Quiet {
        /// The key.
        key: K,
        /// Whether the round over all keys has not compared it yet.
        is_due: bool,
    },
    /// A node has handed over its hints and has shown the key.
    Claimed(Claimed<K>),
    /// The answer to [`Effect::Hear`](crate::Effect::Hear): whatever the nodes in sight had told was taken in before.
    Heard(K),
    /// The answer to [`Effect::Hear`](crate::Effect::Hear) where a node in sight does not tell what changes there: what changed
    /// on the way is not known.
    Deaf(K),
    /// The answer to [`Effect::Compared`](crate::Effect::Compared), given at once.
    Counted {
        /// The key.
        key: K,
        /// Whether all keys have been compared since the round began.
        is_last: bool,
    },
    /// The source shows the key once more, with its whole state, and what its marker says.
    Fetched(K, Digest, Standing),
    /// A node was to take over the state that was fetched. It has, or something else was there.
    Put(K, Node),
    /// A node has dropped the claimed hints of the key, and says what it holds now.
    Released(K, Node, Report<K>),
    /// Outside of any pass, whoever runs the core has seen that these nodes hold what they should of a key, or has given it to them:
    /// they have missed nothing of it any more, whoever said so. No explored world tells this.
    Mended(K, NodeSet),
    /// A node has set its marker, or has not because the repair's own mark was gone. It says what it holds now.
    Marked(Node, Report<K>),
    /// A node has seen a newer lease, and refuses.
    Superseded,
}

/// What a node says when a repair begins with a key there.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Claimed<K> {
    /// The node.
    pub node: Node,
    /// The key.
    pub key: K,
    /// What the key holds there.
    pub digest: Digest,
    /// The marker and the hints, the claimed ones among them.
    pub report: Report<K>,
    /// Whether the key was written here while this node was behind, or was not current.
    pub is_doubted: bool,
    /// Whether the node may throw keys away to make room.
    pub evicts: bool,
    /// Whether what was compared before proves nothing: the node is not current and did not carry this lease's mark, or
    /// another node may have missed any key and this lease did not know it.
    pub begins: bool,
}

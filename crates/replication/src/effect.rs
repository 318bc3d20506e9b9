//! What a process is to do: send something to a node, or answer its caller.

use crate::event::CallId;
use crate::event::Digest;
use crate::event::Token;
use crate::node::Node;
use crate::node::NodeSet;

/// What is to be done after a step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Effect<K> {
    /// End the connection to the node that came before this one, there: nothing of it may run late.
    EndOldConnection(Node),
    /// Ask the node for its marker and its hints.
    Ask(Node),

    /// Have the node note in one block that these nodes are members no more, and drop the hints about them. It
    /// says what it holds then.
    Forget(Node, NodeSet),
    /// Writes of the key that were acknowledged may be lost: only a node held them that is a member no more.
    TellLost(K),

    /// Send the write to the node, or what came of it where another one has decided. In the same block the node notes that the others
    /// miss it.
    Write {
        /// The call.
        call: CallId,
        /// Where the write goes.
        node: Node,
        /// The key that is written.
        key: K,
        /// The nodes that are known to be away.
        missed_by: NodeSet,
        /// Whether the node notes a doubt: it is behind for the key, or is not current.
        is_doubted: bool,
    },
    /// Have the node decide what the write does, and say what came of it. The others are sent nothing before. It notes the same in its
    /// block as with a write.
    Decide {
        /// The call.
        call: CallId,
        /// The node that decides.
        node: Node,
        /// The key that is written.
        key: K,
        /// The nodes that are known to be away.
        missed_by: NodeSet,
        /// Whether the node notes a doubt.
        is_doubted: bool,
    },
    /// Have the node note late that the others have missed the write.
    Hint {
        /// The call.
        call: CallId,
        /// The node that took the write.
        node: Node,
        /// The key that was written.
        key: K,
        /// The nodes that did not take it, or may not have.
        missed_by: NodeSet,
        /// Whether the node notes a doubt, for it turned out to be behind, or not current.
        is_doubted: bool,
    },
    /// Tell the caller what became of the write, if the caller is still there.
    AnswerWrite(CallId, Outcome),

    /// Read the key from the node.
    Read(CallId, K, Node),
    /// Give the caller what was read.
    AnswerRead(CallId, Node),
    /// Tell the caller that no node can answer.
    Unavailable(CallId),

    /// Move the hints of the key into the hands of this lease, begin a new count of hints, mark the node as being filled
    /// if it is not current, and show the key: in one block.
    Claim(K, Node, Token),
    /// Take in all changes that were made on the nodes in sight before they showed the key: each may still be on its way to
    /// this process.
    Hear(K),
    /// Show the whole state of the key on the source.
    Fetch(K, Node),
    /// Replace what was seen on the node by the state that was fetched.
    Put {
        /// The node that is behind.
        node: Node,
        /// The key.
        key: K,
        /// What must still be there; `None` replaces anything.
        replaces: Option<Digest>,
        /// Whether the node notes in the same block that it has missed the key: it lacked it.
        is_missed: bool,
        /// The lease under which it is done.
        token: Token,
    },
    /// Drop the claimed hints about the nodes that were seen equal. Claimed hints about others are hints again.
    Release {
        /// The node that keeps the hints.
        node: Node,
        /// The key.
        key: K,
        /// The nodes that were seen equal.
        about: NodeSet,
        /// The lease under which they were claimed.
        token: Token,
    },
    /// Make the node current under its next epoch, if the mark of this lease still stands there or it is current. Hints
    /// about it of a count from before the claim are void, wherever they come back, and its claimed doubts are over.
    Mark(Node, Token),
    /// These nodes hold what the source holds, as far as it can be told. For who counts what a repair has done.
    SeenEqual(K, Node, NodeSet),
    /// The key was seen equal on all nodes in sight. Whoever walks the round counts it, and answers with
    /// [`Event::Counted`](crate::Event::Counted) at once.
    Compared(K),
    /// A round over all keys begins, or begins anew: no key counts as compared.
    BeginRound,
    /// Nobody is known to be right about the key. The first of those that may be is taken.
    TellConflict(K, Node),
}

/// What became of a write.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// Enough nodes took it.
    Ok,
    /// Nothing was sent: no node that could be reached holds what the write builds on.
    Refused,
    /// The write may have been executed on some nodes.
    Unknown,
}

//! The evidence on a node: what is known of it about the keys of a call, and what the explored rules make of that.

use redisdb_replication::CallId;
use redisdb_replication::Digest;
use redisdb_replication::Effect;
use redisdb_replication::Event;
use redisdb_replication::Node;
use redisdb_replication::NodeSet;
use redisdb_replication::Report;
use redisdb_replication::Rules;
use redisdb_replication::Setup;
use redisdb_replication::Standing;
use redisdb_replication::State;
use redisdb_replication::step_through;

/// What this process knows of a node, about the keys of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// What the node's marker says. Without an identity, what follows from which process answers.
    pub(crate) standing: Standing,
    /// True if the node can be reached, and was looked at since it was connected.
    pub(crate) is_there: bool,
    /// True if the node has missed a write of one of the keys, or may have.
    pub(crate) is_behind: bool,
    /// True if the node was seen to hold the keys as all others do, since it was restarted.
    pub(crate) has_agreed: bool,
}

impl Evidence {
    /// Returns whether the node's answer about the keys counts alone.
    pub(crate) fn is_readable(self) -> bool {
        let (setup, state) = self.as_told();
        !state.readable(&setup, &()).is_empty()
    }

    /// Returns whether the node holds what it should of the keys, though it may be away.
    pub(crate) fn is_entitled(self) -> bool {
        let (setup, state) = self.as_told();
        !state.entitled(&(), setup.members).is_empty()
    }

    /// Returns whether the node's answer counts together with equal answers of all others of which the same is true.
    pub(crate) fn may_agree(self) -> bool {
        let (setup, state) = self.as_told();
        state.may_agree(&setup, &())
    }

    /// The rules, which were told of this node. Of each they say the same, whatever the others are.
    fn as_told(self) -> (Setup, State<()>) {
        const CALL: CallId = CallId(0);
        let node = NodeSet::EMPTY.with(Node::FIRST);
        let setup = Setup { members: node, n_takers: 1, rules: Rules::ALL };
        let mut state = State::default();
        let report =
            Report::of(self.standing).missing((), if self.is_behind { node } else { NodeSet::EMPTY });
        let heard = match self.is_there {
            true => Event::Connected(Node::FIRST, report),
            false => Event::Told(Node::FIRST, report),
        };
        let seen_equal = self.has_agreed.then_some([Event::Settled, Event::Read(CALL, ())]);
        for event in std::iter::once(heard).chain(seen_equal.into_iter().flatten()) {
            step_through(&setup, &mut state, event, |effect| match effect {
                Effect::Read(call, (), node) => vec![Event::Answered(call, node, Digest::MISSING, None)],
                _ => Vec::new(),
            });
        }
        (setup, state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: Evidence =
        Evidence { standing: Standing::Current, is_there: true, is_behind: false, has_agreed: false };
    const RESTARTED: Evidence = Evidence { standing: Standing::Restarted, ..RIGHT };

    /// Checks whether the node is readable, is entitled, and may agree.
    fn check(evidence: Evidence, expected: [bool; 3]) {
        assert_eq!(
            [evidence.is_readable(), evidence.is_entitled(), evidence.may_agree()],
            expected,
            "{evidence:?}"
        );
    }

    #[test]
    fn a_node_that_is_current_and_not_behind_counts_alone_while_it_is_there() {
        check(RIGHT, [true, true, true]);
        check(Evidence { is_there: false, ..RIGHT }, [false, true, false]);
        check(Evidence { is_behind: true, ..RIGHT }, [false, false, false]);
    }

    #[test]
    fn a_node_that_was_restarted_counts_together_with_the_others_and_alone_once_they_agreed() {
        for standing in [Standing::Restarted, Standing::Filling] {
            check(Evidence { standing, ..RIGHT }, [false, false, true]);
            check(Evidence { standing, has_agreed: true, ..RIGHT }, [true, true, true]);
            check(Evidence { standing, has_agreed: true, is_behind: true, ..RIGHT }, [false, false, false]);
        }
        check(Evidence { is_there: false, ..RESTARTED }, [false, false, false]);
        check(Evidence { is_behind: true, ..RESTARTED }, [false, false, false]);
    }

    #[test]
    fn a_node_that_was_emptied_counts_for_nothing() {
        for standing in [Standing::Empty, Standing::FillingEmpty] {
            for has_agreed in [false, true] {
                check(Evidence { standing, has_agreed, ..RIGHT }, [false, false, false]);
            }
        }
    }
}

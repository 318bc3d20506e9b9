//! The state machine of a node: how its health changes with what is observed of it.

use crate::health::Health;

/// What is known of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeState {
    pub(crate) health: Health,
    pub(crate) memory: Memory,
}

/// What can be expected of what a node holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Memory {
    /// It holds everything but the keys that are remembered one by one.
    Whole,
    /// It may hold anything. Another client may make it whole.
    Lost,
    /// It has missed more writes of this client than are remembered one by one, so only this client can make it whole.
    Flooded,
}

/// What happens with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Observation {
    /// It may not have taken a write, or gave another reply than the others.
    Missed,
    /// It refused a write because of the state it is in.
    Refused,
    /// It cannot be reached.
    Unreachable,
    /// It does not let this client in, or is another server than it should be.
    Misconfigured,
    /// A connection to it is being made.
    Probing,
    /// It is connected, and what came over the connection before has been ended.
    Connected,
    /// It is the server that it was.
    Intact,
    /// It is another process than it was, or has been emptied, or is old, or somebody is making it whole.
    Lost,
    /// It has missed more than is remembered.
    Flooded,
    /// Somebody has made it whole.
    Vouched,
    /// This client has compared all keys and made them the same.
    Synced,
    /// What it was known to have missed has been brought over.
    CaughtUp,
    /// The caller vouches that it is whole and has missed nothing.
    Readmitted,
    /// The others are forgotten, so whatever it has missed counts no more.
    LeftAlone,
}

impl NodeState {
    /// A node of which nothing has been seen yet is taken as it is.
    pub(crate) const NEW: Self = Self { health: Health::Up, memory: Memory::Whole };

    /// Returns whether the node may answer reads of what it has not missed.
    pub(crate) fn is_readable(self) -> bool {
        matches!(self.health, Health::Up | Health::Suspect | Health::WriteDegraded)
    }

    /// What it is after something was seen.
    pub(crate) fn after(self, seen: Observation) -> Self {
        use Health::*;
        let Self { health, memory } = self;
        let is_away = matches!(health, Down | Probing | Misconfigured);
        let (health, memory) = match seen {
            Observation::Missed if health == Up => (Suspect, memory),
            Observation::Refused if self.is_readable() => (WriteDegraded, memory),
            Observation::Unreachable => (Down, memory),
            Observation::Misconfigured => (Misconfigured, memory),
            Observation::Probing if is_away => (Probing, memory),
            Observation::Connected if is_away => (Fencing, memory),
            Observation::Intact if health == Fencing && memory == Memory::Whole => (Replaying, memory),
            Observation::Intact if health == Fencing => (Syncing, memory),
            Observation::Lost | Observation::Flooded => {
                let memory = match seen {
                    Observation::Lost if memory != Memory::Flooded => Memory::Lost,
                    _ => Memory::Flooded,
                };
                (if is_away { health } else { Syncing }, memory)
            }
            Observation::Vouched if memory == Memory::Lost => {
                (if health == Syncing { Replaying } else { health }, Memory::Whole)
            }
            Observation::Synced if health == Syncing => (Replaying, Memory::Whole),
            Observation::CaughtUp if health == Replaying || self.is_readable() => (Up, memory),
            Observation::Readmitted => (if is_away { health } else { Up }, Memory::Whole),
            Observation::LeftAlone if memory == Memory::Flooded => (health, Memory::Lost),
            _ => (health, memory),
        };
        Self { health, memory }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Observation; 14] = [
        Observation::Missed,
        Observation::Refused,
        Observation::Unreachable,
        Observation::Misconfigured,
        Observation::Probing,
        Observation::Connected,
        Observation::Intact,
        Observation::Lost,
        Observation::Flooded,
        Observation::Vouched,
        Observation::Synced,
        Observation::CaughtUp,
        Observation::Readmitted,
        Observation::LeftAlone,
    ];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_node_that_was_away_or_empty_answers_only_after_replaying_and_syncing(
            path in proptest::collection::vec(proptest::sample::select(&ALL[..]), 1..60),
        ) {
            let mut state = NodeState::NEW;
            // What the events alone say of its data.
            let (mut lost, mut flooded) = (false, false);
            for seen in path {
                let before = state;
                state = before.after(seen);
                match seen {
                    Observation::Lost => lost = true,
                    Observation::Flooded => flooded = true,
                    Observation::Vouched => lost = false,
                    Observation::Synced if before.health == Health::Syncing => (lost, flooded) = (false, false),
                    Observation::Readmitted => (lost, flooded) = (false, false),
                    Observation::LeftAlone if flooded => (lost, flooded) = (true, false),
                    _ => {}
                }
                if state.is_readable() {
                    prop_assert!(!lost && !flooded, "{before:?} {seen:?} {state:?}");
                    let came_back = !before.is_readable() && seen != Observation::Readmitted;
                    prop_assert!(!came_back || before.health == Health::Replaying, "{before:?} {seen:?}");
                }
                if before.health == Health::Down && state != before {
                    prop_assert!(!matches!(state.health, Health::Up | Health::Replaying | Health::Syncing));
                }
            }
        }
    }

    fn check(path: &[Observation], expected: Health) {
        let state = path.iter().fold(NodeState::NEW, |state, seen| state.after(*seen));
        assert_eq!(state.health, expected, "{path:?}");
    }

    #[test]
    fn every_way_back_is_open() {
        use Observation::*;
        check(&[Missed], Health::Suspect);
        check(&[Missed, CaughtUp], Health::Up);
        check(&[Refused, Missed], Health::WriteDegraded);
        check(&[Refused, CaughtUp], Health::Up);
        check(&[Unreachable, Probing, Connected, Intact], Health::Replaying);
        check(&[Unreachable, Probing, Connected, Intact, CaughtUp], Health::Up);
        check(&[Unreachable, Probing, Connected, Lost], Health::Syncing);
        check(&[Unreachable, Lost, Probing, Connected, Intact], Health::Syncing);
        check(&[Lost, Synced], Health::Replaying);
        check(&[Lost, Synced, CaughtUp], Health::Up);
        check(&[Lost, Vouched, CaughtUp], Health::Up);
        check(&[Flooded, Vouched, CaughtUp], Health::Syncing);
        check(&[Flooded, LeftAlone, Vouched, CaughtUp], Health::Up);
        // A sync that the node did not live to see the end of counts for nothing.
        check(&[Lost, Unreachable, Synced, Probing, Connected, Intact], Health::Syncing);
        check(&[Misconfigured, Probing, Connected, Intact, CaughtUp], Health::Up);
        check(&[Unreachable, Readmitted], Health::Down);
    }
}

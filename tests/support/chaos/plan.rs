//! The plan of faults of a seed: a function of the seed and of the shape of the run, and of nothing else.

use std::time::Duration;

use fastrand::Rng;

use crate::fault::Cut;
use crate::fault::Fault;
use crate::fault::FaultKind;
use crate::fault::Target;

/// Later faults of an outage begin within this time.
const SPREAD_MS: u64 = 3000;

/// The time between the restarts of a rolling restart.
const ROLLING: Duration = Duration::from_secs(5);

/// The time for which a server is away that is away for long.
const AWAY: Duration = Duration::from_secs(90);

/// The parameters of a plan beside its seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) n_nodes: usize,
    pub(crate) n_processes: usize,
    pub(crate) kinds: Vec<FaultKind>,
    /// The most faults in one outage.
    pub(crate) together: usize,
}

/// Faults that may overlap, until the copy is left alone to heal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outage {
    pub(crate) faults: Vec<Fault>,
    /// The time for which nothing happens after the copy has healed.
    pub(crate) quiet: Duration,
}

impl Outage {
    /// The time from the begin of the first fault to the end of the last.
    pub(crate) fn lasts(&self) -> Duration {
        self.faults.iter().map(|fault| fault.at + fault.lasts).max().unwrap_or_default()
    }

    /// Returns how many faults it counts as.
    pub(crate) fn n_counted(&self) -> usize {
        match self.faults.iter().any(|fault| fault.kind.is_whole_outage()) {
            true => 1,
            false => self.faults.len(),
        }
    }
}

/// The outage with this number of a seed.
///
/// One node is spared in each outage: it keeps its data, and is neither ended nor stopped; single clients may be cut from
/// it. No other node has more than one fault in an outage, nor has a client.
pub(crate) fn outage(seed: u64, number: u64, shape: &Shape) -> Outage {
    // Far apart for seeds and numbers that are near.
    let mixed =
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number.wrapping_mul(0xd1b5_4a32_d192_ed03));
    let mut dice = Rng::with_seed(mixed);
    let quiet = Duration::from_millis(dice.u64(200..2000));
    let spared = dice.usize(..shape.n_nodes);
    let wanted = dice.usize(1..=shape.together);
    let mut faults: Vec<Fault> = Vec::new();
    while faults.len() < wanted {
        let kind = shape.kinds[dice.usize(..shape.kinds.len())];
        if kind.is_whole_outage() {
            if faults.is_empty() {
                let faults = match kind {
                    kind if kind.is_long() => away(kind, shape, &mut dice),
                    _ => rolling(shape.n_nodes),
                };
                return Outage { faults, quiet };
            }
            // Others are under way.
            if shape.kinds.iter().all(|kind| kind.is_whole_outage()) {
                break;
            }
            continue;
        }
        let Some(target) = target(kind, spared, shape, &faults, &mut dice) else {
            if has_no_target_left(spared, shape, &faults) {
                break;
            }
            continue;
        };
        let at = if faults.is_empty() { 0 } else { dice.u64(..SPREAD_MS) };
        faults.push(Fault {
            kind,
            target,
            at: Duration::from_millis(at),
            lasts: Duration::from_millis(lasts(kind, &mut dice)),
            age: Duration::from_millis(dice.u64(1000..20_000)),
            cut: [Cut::Refuse, Cut::Hold, Cut::Lose][dice.usize(..3)],
        });
    }
    Outage { faults, quiet }
}

/// Returns how long a fault lasts, in milliseconds.
fn lasts(kind: FaultKind, dice: &mut Rng) -> u64 {
    match kind {
        FaultKind::Restart | FaultKind::Flush | FaultKind::Rolling | FaultKind::Away | FaultKind::Gone => 0,
        FaultKind::Empty | FaultKind::Dump => dice.u64(..4000),
        FaultKind::ClientKill => dice.u64(..2000),
        FaultKind::Kill | FaultKind::Stop | FaultKind::Cut | FaultKind::ClientStop => dice.u64(300..6000),
    }
}

/// All targets that a kind may still have in an outage.
fn targets(kind: FaultKind, spared: usize, shape: &Shape, faults: &[Fault]) -> Vec<Target> {
    let all: Vec<Target> = match kind {
        kind if kind.is_of_node() => {
            (0..shape.n_nodes).filter(|node| *node != spared).map(Target::Node).collect()
        }
        FaultKind::Cut => (0..shape.n_processes)
            .flat_map(|slot| (0..shape.n_nodes).map(move |node| Target::Link(slot, node)))
            .collect(),
        kind if kind.is_whole_outage() => Vec::new(),
        _ => (0..shape.n_processes).map(Target::Client).collect(),
    };
    all.into_iter().filter(|target| faults.iter().all(|fault| fault.target != *target)).collect()
}

fn target(kind: FaultKind, spared: usize, shape: &Shape, faults: &[Fault], dice: &mut Rng) -> Option<Target> {
    let targets = targets(kind, spared, shape, faults);
    if targets.is_empty() { None } else { Some(targets[dice.usize(..targets.len())]) }
}

fn has_no_target_left(spared: usize, shape: &Shape, faults: &[Fault]) -> bool {
    shape.kinds.iter().all(|kind| targets(*kind, spared, shape, faults).is_empty())
}

fn rolling(n_nodes: usize) -> Vec<Fault> {
    let restart = |(node, at)| Fault { at, ..plain(FaultKind::Rolling, Target::Node(node), Duration::ZERO) };
    (0..n_nodes).zip((0..).map(|i| ROLLING * i)).map(restart).collect()
}

fn away(kind: FaultKind, shape: &Shape, dice: &mut Rng) -> Vec<Fault> {
    let node = plain(kind, Target::Node(dice.usize(..shape.n_nodes)), AWAY);
    // Evenly spread: most of the time somebody is there who knows nothing of before.
    let n_parts = u32::try_from(shape.n_processes + 1).unwrap_or(u32::MAX);
    let mut at = Duration::ZERO;
    let clients = (0..shape.n_processes).map(|slot| {
        at += AWAY / n_parts;
        let lasts = Duration::from_millis(dice.u64(..2000));
        Fault { at, ..plain(FaultKind::ClientKill, Target::Client(slot), lasts) }
    });
    std::iter::once(node).chain(clients).collect()
}

/// A fault at the begin of its outage.
fn plain(kind: FaultKind, target: Target, lasts: Duration) -> Fault {
    Fault { kind, target, at: Duration::ZERO, lasts, age: Duration::ZERO, cut: Cut::Refuse }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::FAULT_KINDS;

    fn shape(n_nodes: usize, together: usize) -> Shape {
        let kinds = FAULT_KINDS.iter().map(|(_, kind)| *kind).collect();
        Shape { n_nodes, n_processes: 3, kinds, together }
    }

    #[test]
    fn while_a_server_is_away_for_long_all_clients_are_replaced() {
        for kind in [FaultKind::Away, FaultKind::Gone] {
            let shape = Shape { kinds: vec![kind], ..shape(3, 2) };
            let outage = outage(1, 0, &shape);
            assert_eq!((outage.faults[0].kind, outage.n_counted(), outage.lasts()), (kind, 1, AWAY));
            let replaced = outage.faults.iter().filter(|fault| fault.kind == FaultKind::ClientKill);
            assert!(replaced.map(|fault| fault.target).eq((0..3).map(Target::Client)));
        }
    }

    fn all(shape: &Shape) -> impl Iterator<Item = Outage> {
        (0..200).flat_map(move |seed| (0..20).map(move |number| outage(seed, number, shape)))
    }

    #[test]
    fn a_plan_is_a_function_of_its_seed() {
        let shape = shape(3, 2);
        assert!(all(&shape).eq(all(&shape)));
        assert_ne!(outage(1, 0, &shape), outage(2, 0, &shape));
        assert_ne!(outage(1, 0, &shape), outage(1, 1, &shape));
    }

    #[test]
    fn every_kind_comes_up_and_no_outage_has_more_faults_than_it_may() {
        for together in [1, 2, 4] {
            let shape = shape(3, together);
            let mut seen = std::collections::BTreeSet::new();
            for outage in all(&shape) {
                assert!((1..=together).contains(&outage.n_counted()), "{outage:?}");
                seen.extend(outage.faults.iter().map(|fault| fault.kind));
            }
            assert_eq!(seen.len(), FAULT_KINDS.len());
        }
    }

    #[test]
    fn one_node_is_spared_in_each_outage() {
        let shape = shape(3, 6);
        for outage in all(&shape).filter(|outage| !outage.faults[0].kind.is_whole_outage()) {
            let is_spared =
                |node: &usize| outage.faults.iter().all(|fault| fault.target != Target::Node(*node));
            assert!((0..3).any(|node| is_spared(&node)), "{outage:?}");
        }
    }

    #[test]
    fn no_target_has_two_faults_in_one_outage() {
        let shape = shape(5, 6);
        for outage in all(&shape) {
            for (i, fault) in outage.faults.iter().enumerate() {
                assert!(outage.faults[..i].iter().all(|before| before.target != fault.target), "{outage:?}");
            }
        }
    }

    #[test]
    fn an_outage_ends_also_where_there_are_fewer_targets_than_faults() {
        let shape = Shape { kinds: vec![FaultKind::Flush], ..shape(3, 6) };
        assert!(all(&shape).all(|outage| outage.faults.len() <= 2));
    }
}

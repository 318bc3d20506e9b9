//! The judgement of a look at an element: a function of its history and of the time of the look.

use crate::history::Step;
use crate::history::Timeline;

/// The judgement of a look at an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The element may be so.
    Fine,
    /// Nobody wrote that, or not yet, or it certainly was not executed.
    Wrong,
    /// The element is from before a write that was acknowledged before the look began.
    Older {
        /// The time when that write was acknowledged: until then it might have been so.
        since: u64,
        /// The time of the first such write of the looking process itself.
        own: Option<u64>,
    },
}

/// Judges what a process saw of an element between `start` and `end`. All writes of a key come one after the other, but those of a tally.
pub(crate) fn judge(
    timeline: &Timeline,
    seen: Option<u64>,
    start: u64,
    end: u64,
    by: Option<usize>,
) -> Judgement {
    match timeline {
        Timeline::Register(steps) => register(steps, seen, start, end, by),
        Timeline::Counter(steps) => counter(steps, seen.unwrap_or(0), start, end, by),
        Timeline::Tally(steps) => tally(steps, seen.unwrap_or(0), start, end, by),
    }
}

fn register(steps: &[Step], seen: Option<u64>, start: u64, end: u64, by: Option<usize>) -> Judgement {
    let gives = |step: &Step| step.value == seen && step.start <= end && !step.is_not;
    let later = match (steps.iter().rposition(gives), seen) {
        (Some(position), _) => &steps[position + 1..],
        // Nothing was there before the first write.
        (None, None) => steps,
        (None, Some(_)) => return Judgement::Wrong,
    };
    let acked = |step: &Step| step.acked.filter(|acked| *acked <= start).map(|acked| (acked, step.by));
    older(later.iter().filter_map(acked), by)
}

fn counter(steps: &[Step], seen: u64, start: u64, end: u64, by: Option<usize>) -> Judgement {
    let begun = steps.iter().filter(|step| step.start <= end && !step.is_not);
    if begun.filter_map(|step| step.value).sum::<u64>() < seen {
        return Judgement::Wrong;
    }
    let mut sum = 0;
    let beyond = steps.iter().filter_map(|step| {
        let acked = step.acked.filter(|acked| *acked <= start)?;
        sum += step.value.unwrap_or(0);
        (seen < sum).then_some((acked, step.by))
    });
    older(beyond, by)
}

/// Nobody knows whose write is missing, but that a process sees less than it has added itself.
fn tally(steps: &[Step], seen: u64, start: u64, end: u64, by: Option<usize>) -> Judgement {
    let mut by_time = steps.to_vec();
    by_time.sort_by_key(|step| step.acked);
    let own: Vec<Step> = by_time.iter().filter(|step| Some(step.by) == by).cloned().collect();
    match (counter(&by_time, seen, start, end, None), counter(&own, seen, start, u64::MAX, by)) {
        (Judgement::Older { since, .. }, Judgement::Older { own, .. }) => Judgement::Older { since, own },
        (all, _) => all,
    }
}

/// Judges by the acknowledged writes that should have been seen, the first one first.
fn older(missed: impl Iterator<Item = (u64, usize)>, by: Option<usize>) -> Judgement {
    let missed: Vec<(u64, usize)> = missed.collect();
    match missed.iter().map(|(acked, _)| *acked).min() {
        None => Judgement::Fine,
        Some(since) => {
            let own = missed.iter().filter(|(_, writer)| Some(*writer) == by).map(|(acked, _)| *acked).min();
            Judgement::Older { since, own }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: usize = 0;
    const OTHER: usize = 1;

    fn acked(value: Option<u64>, start: u64, acked: u64) -> Step {
        Step { value, by: ME, start, acked: Some(acked), is_not: false }
    }

    fn unknown(value: Option<u64>, start: u64) -> Step {
        Step { acked: None, ..acked(value, start, 0) }
    }

    fn seen_in(steps: &[Step], seen: Option<u64>, start: u64) -> Judgement {
        judge(&Timeline::Register(steps.to_vec()), seen, start, start + 1, Some(ME))
    }

    fn counted_in(steps: &[Step], seen: u64, start: u64) -> Judgement {
        judge(&Timeline::Counter(steps.to_vec()), Some(seen), start, start + 1, Some(ME))
    }

    fn older(since: u64) -> Judgement {
        Judgement::Older { since, own: Some(since) }
    }

    #[test]
    fn the_last_acknowledged_value_is_right_and_the_one_before_is_older() {
        let steps = [acked(Some(1), 10, 20), acked(Some(2), 30, 40)];
        assert_eq!(seen_in(&steps, Some(2), 50), Judgement::Fine);
        assert_eq!(seen_in(&steps, Some(1), 50), older(40));
        assert_eq!(seen_in(&steps, None, 50), older(20));
    }

    #[test]
    fn a_look_that_began_before_the_acknowledgement_may_see_either() {
        let steps = [acked(Some(1), 10, 20), acked(Some(2), 30, 40)];
        assert_eq!(seen_in(&steps, Some(1), 39), Judgement::Fine);
        assert_eq!(seen_in(&steps, Some(2), 39), Judgement::Fine);
        assert_eq!(seen_in(&steps, Some(2), 20), Judgement::Wrong);
    }

    #[test]
    fn what_may_have_been_executed_may_be_seen_or_not_until_the_next_acknowledgement() {
        let steps = [acked(Some(1), 10, 20), unknown(Some(2), 30), acked(Some(3), 50, 60)];
        assert_eq!(seen_in(&steps, Some(1), 45), Judgement::Fine);
        assert_eq!(seen_in(&steps, Some(2), 45), Judgement::Fine);
        assert_eq!(seen_in(&steps, Some(2), 70), older(60));
    }

    #[test]
    fn what_was_not_executed_must_not_be_seen() {
        let steps = [Step { is_not: true, ..unknown(Some(1), 10) }];
        assert_eq!(seen_in(&steps, Some(1), 20), Judgement::Wrong);
        assert_eq!(seen_in(&steps, None, 20), Judgement::Fine);
        assert_eq!(seen_in(&[], Some(7), 20), Judgement::Wrong);
    }

    #[test]
    fn what_was_deleted_must_not_come_back() {
        let steps = [acked(Some(1), 10, 20), acked(None, 30, 40)];
        assert_eq!(seen_in(&steps, None, 50), Judgement::Fine);
        assert_eq!(seen_in(&steps, Some(1), 50), older(40));
    }

    #[test]
    fn a_counter_is_between_what_was_acknowledged_and_what_was_begun() {
        let steps = [acked(Some(1), 10, 20), unknown(Some(3), 30), acked(Some(1), 50, 60)];
        assert_eq!(counted_in(&steps, 2, 70), Judgement::Fine);
        assert_eq!(counted_in(&steps, 5, 70), Judgement::Fine);
        assert_eq!(counted_in(&steps, 6, 70), Judgement::Wrong);
        assert_eq!(counted_in(&steps, 1, 70), older(60));
        assert_eq!(counted_in(&steps, 0, 70), older(20));
        assert_eq!(counted_in(&steps, 1, 55), Judgement::Fine);
    }

    #[test]
    fn whose_write_was_missed_is_told() {
        let steps = [acked(Some(1), 10, 20), Step { by: OTHER, ..acked(Some(2), 30, 40) }];
        assert_eq!(seen_in(&steps, Some(1), 50), Judgement::Older { since: 40, own: None });
        assert_eq!(seen_in(&steps, None, 50), Judgement::Older { since: 20, own: Some(20) });
        let steps = [Step { by: OTHER, ..acked(Some(1), 10, 20) }, acked(Some(2), 30, 40)];
        assert_eq!(seen_in(&steps, None, 50), Judgement::Older { since: 20, own: Some(40) });
    }

    #[test]
    fn of_what_several_add_to_a_process_must_see_what_it_has_added_itself() {
        let other = |acked_at| Step { by: OTHER, ..acked(Some(1), 10, acked_at) };
        let steps = [acked(Some(2), 10, 40), other(20), other(30)];
        let tallied = |seen| judge(&Timeline::Tally(steps.to_vec()), Some(seen), 50, 51, Some(ME));
        assert_eq!(tallied(4), Judgement::Fine);
        assert_eq!(tallied(5), Judgement::Wrong);
        assert_eq!(tallied(2), Judgement::Older { since: 40, own: None });
        assert_eq!(tallied(1), Judgement::Older { since: 30, own: Some(40) });
    }
}

//! The progress of a repair or a verification, as its caller is told.

/// How far a [`Repair`](crate::Repair) or a [`Verify`](crate::Verify) has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The number of keys that are done, about. A key is looked at more than once, or on more than one node,
    /// and each look counts as a part of it. The number never goes back, and is the total only in the last
    /// call.
    pub compared: u64,
    /// The number of keys that there are to compare, about: the largest `DBSIZE` of the nodes.
    pub total: u64,
    /// The number of keys that differed.
    pub different: u64,
}

/// Turns the steps of a run into a [`Progress`] that never goes back and is complete only at the end.
pub(crate) struct Meter<'a> {
    on_progress: Box<dyn FnMut(Progress) + Send + 'a>,
    total: u64,
    n_steps: u64,
    done: u64,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(on_progress: impl FnMut(Progress) + Send + 'a) -> Self {
        Self { on_progress: Box::new(on_progress), total: 0, n_steps: 0, done: 0 }
    }

    /// Begins a run over so many keys, which take about so many steps.
    pub(crate) fn begin(&mut self, total: u64, n_steps: u64) {
        (self.total, self.n_steps, self.done) = (total, n_steps, 0);
    }

    /// Tells the caller that so many more steps were taken.
    pub(crate) fn step(&mut self, n: u64, different: u64) {
        self.done = self.done.saturating_add(n);
        let share = u128::from(self.total) * u128::from(self.done) / u128::from(self.n_steps.max(1));
        // There may be more steps than was foreseen.
        let most = self.total.saturating_sub(1);
        let compared = u64::try_from(share).unwrap_or(most).min(most);
        (self.on_progress)(Progress { compared, total: self.total, different });
    }

    /// Tells the caller that nothing is left to do.
    pub(crate) fn end(&mut self, different: u64) {
        (self.on_progress)(Progress { compared: self.total, total: self.total, different });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_goes_back_and_is_complete_only_at_the_end() {
        for (total, n_steps, steps) in
            [(100, 300, [128, 128, 44]), (100, 100, [90, 90, 90]), (1, 1, [1, 1, 1]), (0, 0, [0, 5, 0])]
        {
            let mut seen = Vec::new();
            let mut meter = Meter::new(|progress| seen.push(progress.compared));
            meter.begin(total, n_steps);
            steps.into_iter().for_each(|n| meter.step(n, 0));
            meter.end(0);
            drop(meter);
            assert!(seen.is_sorted(), "{seen:?}");
            assert!(seen[..3].iter().all(|compared| *compared < total || total == 0), "{seen:?}");
            assert_eq!(seen[3], total);
        }
    }
}

//! The metrics of a node's calls, for the crate `metrics` under the feature of that name.

#[cfg(feature = "metrics")]
pub(crate) use enabled::NodeMetrics;

#[cfg(not(feature = "metrics"))]
pub(crate) use disabled::NodeMetrics;

#[cfg(feature = "metrics")]
mod enabled {
    use std::sync::Arc;
    use std::sync::OnceLock;

    use ::metrics::Counter;
    use ::metrics::Gauge;
    use ::metrics::Histogram;
    use ::metrics::counter;
    use ::metrics::gauge;
    use ::metrics::histogram;
    use tokio::time::Instant;

    use crate::command::Group;
    use crate::error::Error;
    use crate::error::Outcome;

    /// The places for the groups of commands, and one for pipelines.
    const GROUPS: usize = Group::VectorSet as usize + 2;

    /// The numbers counted of one node.
    pub(crate) struct NodeMetrics {
        node: Arc<str>,
        groups: [OnceLock<OfGroup>; GROUPS],
        repeated: OnceLock<Counter>,
        in_flight: OnceLock<Gauge>,
    }

    struct OfGroup {
        answered: Counter,
        rejected: Counter,
        not_sent: Counter,
        unknown: Counter,
        seconds: Histogram,
    }

    impl OfGroup {
        fn new(node: &Arc<str>, group: &str) -> Self {
            let calls = |outcome: &'static str| {
                let (node, group) = (Arc::clone(node), group.to_owned());
                counter!("redisdb_calls_total", "node" => node, "group" => group, "outcome" => outcome)
            };
            Self {
                answered: calls("answered"),
                rejected: calls("rejected"),
                not_sent: calls("not_sent"),
                unknown: calls("unknown"),
                seconds: histogram!("redisdb_call_seconds", "node" => Arc::clone(node), "group" => group.to_owned()),
            }
        }
    }

    impl NodeMetrics {
        pub(crate) fn new(node: Arc<str>) -> Self {
            let groups = std::array::from_fn(|_| OnceLock::new());
            Self { node, groups, repeated: OnceLock::new(), in_flight: OnceLock::new() }
        }

        /// Counts a call that began at `start`; without a group, a pipeline.
        pub(crate) fn called<T>(
            &self,
            group: Option<Group>,
            start: Instant,
            in_flight: u64,
            result: &Result<T, Error>,
        ) {
            let place = group.map_or(GROUPS - 1, |group| group as usize);
            let Some(of_group) = self.groups.get(place) else { return };
            let of_group = of_group.get_or_init(|| {
                let name = group.map_or("pipeline".to_owned(), |group| format!("{group:?}").to_lowercase());
                OfGroup::new(&self.node, &name)
            });
            match result.as_ref().err().map(Error::outcome) {
                None | Some(Outcome::Answered) => &of_group.answered,
                Some(Outcome::Rejected) => &of_group.rejected,
                Some(Outcome::NotSent) => &of_group.not_sent,
                Some(Outcome::Unknown) => &of_group.unknown,
            }
            .increment(1);
            of_group.seconds.record(start.elapsed().as_secs_f64());
            let gauge = || gauge!("redisdb_calls_in_flight", "node" => Arc::clone(&self.node));
            self.in_flight.get_or_init(gauge).set(in_flight as f64);
        }

        /// Counts an attempt that is made again.
        pub(crate) fn repeated(&self) {
            let counter = || counter!("redisdb_calls_repeated_total", "node" => Arc::clone(&self.node));
            self.repeated.get_or_init(counter).increment(1);
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod disabled {
    use std::sync::Arc;

    use tokio::time::Instant;

    use crate::command::Group;
    use crate::error::Error;

    pub(crate) struct NodeMetrics;

    impl NodeMetrics {
        pub(crate) fn new(_node: Arc<str>) -> Self {
            Self
        }

        pub(crate) fn called<T>(
            &self,
            _group: Option<Group>,
            _start: Instant,
            _in_flight: u64,
            _result: &Result<T, Error>,
        ) {
        }

        pub(crate) fn repeated(&self) {}
    }
}

impl std::fmt::Debug for NodeMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeMetrics").finish_non_exhaustive()
    }
}

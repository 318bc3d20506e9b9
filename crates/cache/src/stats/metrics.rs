//! The numbers of a cache as metrics of the `metrics` crate, if its feature is on.

#[cfg(feature = "metrics")]
pub(crate) use on::Export;

#[cfg(not(feature = "metrics"))]
pub(crate) use off::Export;

#[cfg(feature = "metrics")]
mod on {
    use std::time::Duration;

    use metrics::Key;
    use metrics::Label;
    use metrics::Level;
    use metrics::Metadata;

    static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

    /// A metric, named and labeled. The recorder is asked for each time: one that is installed after the
    /// cache was built gets all that comes from then on.
    #[derive(Debug)]
    pub(crate) struct Export {
        key: Key,
    }

    impl Export {
        pub(crate) fn new(name: &'static str, prefix: &str) -> Self {
            Self { key: Key::from_parts(name, vec![Label::new("cache", prefix.to_owned())]) }
        }

        pub(crate) fn count(&self) {
            metrics::with_recorder(|recorder| recorder.register_counter(&self.key, &METADATA).increment(1));
        }

        pub(crate) fn record(&self, time: Duration) {
            metrics::with_recorder(|recorder| recorder.register_histogram(&self.key, &METADATA).record(time));
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod off {
    use std::time::Duration;

    /// A metric that nobody is told of.
    #[derive(Debug)]
    pub(crate) struct Export;

    impl Export {
        pub(crate) fn new(_: &'static str, _: &str) -> Self {
            Self
        }

        pub(crate) fn count(&self) {}

        pub(crate) fn record(&self, _: Duration) {}
    }
}

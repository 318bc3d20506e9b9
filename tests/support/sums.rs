//! The sums of what the crate `metrics` is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use metrics::Counter;
use metrics::Gauge;
use metrics::GaugeFn;
use metrics::Histogram;
use metrics::HistogramFn;
use metrics::Key;
use metrics::KeyName;
use metrics::Metadata;
use metrics::Recorder;
use metrics::SharedString;
use metrics::Unit;

/// A recorder that keeps the sums of what begins with a prefix, how many values each histogram was given, and what each gauge was set
/// to last, without its fraction.
#[derive(Debug, Clone)]
pub struct Sums {
    prefix: &'static str,
    sums: Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>,
}

impl Sums {
    /// A recorder of what begins so.
    pub fn of(prefix: &'static str) -> Self {
        Self { prefix, sums: Arc::default() }
    }

    /// Each name, with its labels, and its sum.
    pub fn all(&self) -> BTreeMap<String, u64> {
        let sums = self.sums.lock().unwrap();
        sums.iter().map(|(name, sum)| (name.clone(), sum.load(Ordering::SeqCst))).collect()
    }

    fn sum(&self, key: &Key) -> Option<Arc<AtomicU64>> {
        let labels: String =
            key.labels().map(|label| format!(" {}={}", label.key(), label.value())).collect();
        let name = format!("{}{labels}", key.name());
        name.starts_with(self.prefix).then(|| Arc::clone(self.sums.lock().unwrap().entry(name).or_default()))
    }
}

#[derive(Debug)]
struct Count(Arc<AtomicU64>);

impl HistogramFn for Count {
    fn record(&self, seconds: f64) {
        assert!((0.0..60.0).contains(&seconds));
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct Last(Arc<AtomicU64>);

impl GaugeFn for Last {
    fn increment(&self, by: f64) {
        self.0.fetch_add(by as u64, Ordering::SeqCst);
    }

    fn decrement(&self, by: f64) {
        self.0.fetch_sub(by as u64, Ordering::SeqCst);
    }

    fn set(&self, value: f64) {
        self.0.store(value as u64, Ordering::SeqCst);
    }
}

impl Recorder for Sums {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.sum(key).map_or_else(Counter::noop, Counter::from_arc)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.sum(key).map_or_else(Gauge::noop, |sum| Gauge::from_arc(Arc::new(Last(sum))))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.sum(key).map_or_else(Histogram::noop, |sum| Histogram::from_arc(Arc::new(Count(sum))))
    }
}

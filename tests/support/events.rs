//! The events that the libraries tell by `tracing` while a test runs.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::Mutex;

use tracing::Dispatch;
use tracing::Level;
use tracing::field::Field;
use tracing::field::Visit;
use tracing::span;
use tracing::subscriber::DefaultGuard;

/// The events of a crate, or of one module of it, that were told on the thread that [listens](Self::listen): one line
/// each, which begins with its level.
#[derive(Debug, Clone)]
pub struct Events {
    lines: Arc<Mutex<Vec<String>>>,
}

/// A subscriber that hands each event over as a line: of the modules whose path begins like this, and as grave as this level or
/// graver.
#[derive(Clone)]
pub struct Teller {
    target: &'static str,
    level: Level,
    tell: Arc<dyn Fn(String) + Send + Sync>,
}

/// While it lives, its thread listens.
pub struct Listening {
    _told: DefaultGuard,
    _second: Dispatch,
}

impl Events {
    /// Listens to the modules whose path begins like this, and to what is as grave as this level or graver.
    pub fn listen(target: &'static str, level: Level) -> (Self, Listening) {
        let events = Self { lines: Arc::default() };
        let lines = Arc::clone(&events.lines);
        let teller = Teller::new(target, level, move |line| lines.lock().unwrap().push(line));
        // With one subscriber alone, tracing asks the thread that comes first to an event whether anybody wants it, which
        // may be another test's, without a subscriber; of two it asks each.
        let second = Dispatch::new(teller.clone());
        let told = tracing::subscriber::set_default(teller);
        (events, Listening { _told: told, _second: second })
    }

    /// All so far.
    ///
    /// # Panics
    /// If a thread panicked while it told one.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

impl Teller {
    /// Hands lines over to this function.
    pub fn new(target: &'static str, level: Level, tell: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self { target, level, tell: Arc::new(tell) }
    }
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teller")
            .field("target", &self.target)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening").finish_non_exhaustive()
    }
}

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl tracing::Subscriber for Teller {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= self.level && metadata.target().starts_with(self.target)
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = event.metadata().level().to_string();
        event.record(&mut Line(&mut line));
        (self.tell)(line);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

//! What the libraries say by `tracing` while a test runs.

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
    target: &'static str,
    level: Level,
    lines: Arc<Mutex<Vec<String>>>,
}

/// While it lives, its thread listens.
pub struct Listening {
    _told: DefaultGuard,
    _second: Dispatch,
}

impl Events {
    /// Listens to the modules whose path begins like this, and to what is as grave as this level or graver.
    pub fn listen(target: &'static str, level: Level) -> (Self, Listening) {
        let events = Self { target, level, lines: Arc::default() };
        // With one subscriber alone, tracing asks the thread that comes first to an event whether anybody wants it, which
        // may be another test's, without a subscriber; of two it asks each.
        let second = Dispatch::new(events.clone());
        let told = tracing::subscriber::set_default(events.clone());
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

impl tracing::Subscriber for Events {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= self.level && metadata.target().starts_with(self.target)
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = event.metadata().level().to_string();
        event.record(&mut Line(&mut line));
        self.lines.lock().unwrap().push(line);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

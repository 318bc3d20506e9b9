//! What the libraries tell by `tracing` in a client process, for its journal.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use tracing::Level;
use tracing::field::Field;
use tracing::field::Visit;
use tracing::span;

use crate::journal::Journal;

/// Has all that is told from now on, at info level or graver, written into a journal.
pub(crate) fn listen(journal: &Arc<Journal>) {
    let _one_for_the_process = tracing::subscriber::set_global_default(Teller(Arc::clone(journal)));
}

#[derive(Debug)]
struct Teller(Arc<Journal>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl tracing::Subscriber for Teller {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.tell(&line.0);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

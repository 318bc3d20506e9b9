//! The events that the libraries tell by `tracing` in a client process, for its journal.

use std::sync::Arc;

use redisdb_tests::Teller;
use tracing::Level;

use crate::journal::Journal;

/// Has all that is told from now on, at info level or graver, written into a journal.
pub(crate) fn listen(journal: &Arc<Journal>) {
    let journal = Arc::clone(journal);
    let teller = Teller::new("", Level::INFO, move |line| journal.tell(&line));
    let _one_for_the_process = tracing::subscriber::set_global_default(teller);
}

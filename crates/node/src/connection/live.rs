//! The connection that is in use, with the tasks that end with it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use tokio_util::task::AbortOnDropHandle;

use crate::connection::fence::Fence;
use crate::connection::response_timeout::Deadlines;
use crate::error::ErrorKind;
use crate::wire::Wire;

/// A connection in use. Its driver ends with it, and so does the task that counts its ticks.
pub(crate) struct Live {
    pub(crate) wire: Wire,
    /// The process of the server that the connection leads to.
    pub(crate) incarnation: u64,
    /// True if the server can be asked what no caller asked: some proxies end the connection at that.
    pub(crate) may_be_asked: bool,
    pub(crate) deadlines: Arc<Deadlines>,
    pub(crate) _driver: AbortOnDropHandle<()>,
    pub(crate) _ticks: AbortOnDropHandle<()>,
    pub(crate) ended: Arc<AtomicBool>,
}

impl Live {
    pub(crate) fn is_open(&self) -> bool {
        !self.ended.load(Ordering::Acquire)
    }
}

/// The connection, if it leads to a process that is admitted.
pub(crate) fn admitted(live: Arc<Live>, fence: Option<&Fence>) -> Result<Arc<Live>, ErrorKind> {
    let is_admitted = fence.is_none_or(|fence| fence.admits(live.incarnation));
    is_admitted.then_some(live).ok_or(ErrorKind::Fenced)
}

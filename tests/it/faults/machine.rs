//! How late the machine itself is: a call cannot be better than the machine that makes it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;
use std::time::Instant;

const BEAT: Duration = Duration::from_millis(10);
/// A thread may be so late on a machine that is well.
const USUAL: Duration = Duration::from_millis(20);

/// A thread that wants to run every 10 ms and adds up how much later it was let; it ends with this.
pub struct Machine {
    late: Arc<AtomicU64>,
    _end: Sender<()>,
}

impl Machine {
    pub fn watch() -> Machine {
        let (end, ended) = mpsc::channel::<()>();
        let late = Arc::new(AtomicU64::new(0));
        let sum = Arc::clone(&late);
        thread::spawn(move || {
            loop {
                let start = Instant::now();
                if ended.recv_timeout(BEAT) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                let late = start.elapsed().saturating_sub(BEAT);
                if USUAL < late {
                    sum.fetch_add(late.as_millis().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
                }
            }
        });
        Machine { late, _end: end }
    }

    /// How late it was so far, all in all.
    pub fn late(&self) -> Duration {
        Duration::from_millis(self.late.load(Ordering::Relaxed))
    }
}

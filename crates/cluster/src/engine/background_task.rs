//! A background task that lives as long as its owner.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

/// At most one task: started by whoever needs it first inside a runtime, started again when the runtime it was in has
/// ended, and ended when this is dropped.
///
/// The task must not own what owns this, or neither would ever go.
#[derive(Debug, Default)]
pub(crate) struct BackgroundTask {
    running: Arc<AtomicBool>,
    is_over: AtomicBool,
    task: Mutex<Option<AbortOnDropHandle<()>>>,
}

impl BackgroundTask {
    /// Makes sure that the task runs. Outside a runtime nothing happens. While the task runs, this costs one load, so it may be
    /// called before every call of a user.
    pub(crate) fn ensure<F>(&self, make: impl FnOnce() -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if self.running.load(Ordering::Acquire) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        if self.is_over.load(Ordering::Acquire) {
            return;
        }
        if self.running.swap(true, Ordering::AcqRel) {
            return;
        }
        // Clears `running` also when the runtime drops the task, or is ending and never runs it.
        let stopped = Stopped(Arc::clone(&self.running));
        let future = make();
        let task = runtime.spawn(async move {
            let _stopped = stopped;
            future.await;
        });
        let mut held = self.task.lock();
        // It may have been ended meanwhile.
        *held = Some(AbortOnDropHandle::new(task)).filter(|_| !self.is_over.load(Ordering::Acquire));
    }

    /// Ends the task for good.
    pub(crate) fn end(&self) {
        let mut held = self.task.lock();
        self.is_over.store(true, Ordering::Release);
        *held = None;
    }
}

struct Stopped(Arc<AtomicBool>);

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::*;

    fn count(task: &BackgroundTask, running: &Arc<()>) {
        let running = Arc::clone(running);
        task.ensure(|| async move {
            let _running = running;
            std::future::pending().await
        });
    }

    #[test]
    fn it_runs_once_and_ends_with_its_owner() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let (task, running) = (BackgroundTask::default(), Arc::new(()));
        count(&task, &running);
        assert_eq!(Arc::strong_count(&running), 1, "there is no runtime to run it in");
        runtime.block_on(async {
            count(&task, &running);
            count(&task, &running);
            tokio::task::yield_now().await;
            assert_eq!(Arc::strong_count(&running), 2);
            drop(task);
            tokio::task::yield_now().await;
            assert_eq!(Arc::strong_count(&running), 1);
        });
    }

    #[test]
    fn it_starts_again_in_another_runtime_when_the_first_has_ended() {
        let (task, running) = (BackgroundTask::default(), Arc::new(()));
        for _ in 0..3 {
            let runtime = Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                count(&task, &running);
                tokio::task::yield_now().await;
            });
            assert_eq!(Arc::strong_count(&running), 2);
            drop(runtime);
            assert_eq!(Arc::strong_count(&running), 1);
        }
    }
}

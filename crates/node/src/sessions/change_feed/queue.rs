//! The changes that wait for the reader of a feed: names of keys, each once, within bounds.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

use parking_lot::Mutex;

use super::Changes;
use super::UnknownChanges;
use crate::error::Error;

/// The most names that are kept for a slow reader, and the most bytes of names.
const MOST: usize = 1_000_000;
const MOST_BYTES: usize = 64 << 20;

/// Changes with the process that they are of. That any key may have changed takes the place of all names
/// before it.
pub(super) struct Queue {
    most: usize,
    most_bytes: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    process: Option<Arc<str>>,
    /// The reasons why any key may have changed, each once; all names are of later changes.
    unknown: Vec<UnknownChanges>,
    names: HashSet<Vec<u8>>,
    bytes: usize,
    /// The reason why the server lets no change be heard now.
    refused: Option<Error>,
    reader: Option<Waker>,
}

impl Default for Queue {
    fn default() -> Self {
        Self::bounded(MOST, MOST_BYTES)
    }
}

impl Queue {
    /// Returns a queue of at most so many names, and so many bytes of names.
    fn bounded(most: usize, most_bytes: usize) -> Self {
        Self { most, most_bytes, waiting: Mutex::default() }
    }

    /// A connection to this process is there, or is there again.
    pub(super) fn begin(&self, process: Option<Arc<str>>, missed: bool) {
        let mut waiting = self.waiting.lock();
        waiting.process = process;
        waiting.refused = None;
        if missed {
            waiting.forget_names(UnknownChanges::Gap);
        }
    }

    /// These keys have changed.
    pub(super) fn changed(&self, names: Vec<Vec<u8>>) {
        let mut waiting = self.waiting.lock();
        for name in names {
            let n_bytes = name.len();
            if !waiting.names.insert(name) {
                continue;
            }
            waiting.bytes += n_bytes;
            if waiting.names.len() > self.most || waiting.bytes > self.most_bytes {
                // The names that are left have changed before this is read, too.
                waiting.forget_names(UnknownChanges::Overflow);
                return;
            }
        }
        waiting.wake();
    }

    /// All keys may have been removed.
    pub(super) fn flushed(&self) {
        self.waiting.lock().forget_names(UnknownChanges::Flushed);
    }

    /// The server lets no change be heard any more.
    pub(super) fn refused(&self, error: Error) {
        let mut waiting = self.waiting.lock();
        waiting.refused = Some(error);
        waiting.wake();
    }

    /// Takes what waits, and the process that it is of.
    pub(super) fn take(&self) -> Option<(Changes, Option<Arc<str>>)> {
        self.waiting.lock().take()
    }

    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<(Changes, Option<Arc<str>>)> {
        let mut waiting = self.waiting.lock();
        match waiting.take() {
            Some(changes) => Poll::Ready(changes),
            None => {
                waiting.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Waiting {
    fn take(&mut self) -> Option<(Changes, Option<Arc<str>>)> {
        let changes = if !self.unknown.is_empty() {
            Changes::Unknown(self.unknown.remove(0))
        } else if !self.names.is_empty() {
            self.bytes = 0;
            Changes::Keys(std::mem::take(&mut self.names).into_iter().collect())
        } else {
            Changes::Refused(self.refused.take()?)
        };
        Some((changes, self.process.clone()))
    }

    fn forget_names(&mut self, why: UnknownChanges) {
        // Not only emptied: a set keeps the room that it had.
        self.names = HashSet::new();
        self.bytes = 0;
        if !self.unknown.contains(&why) {
            self.unknown.push(why);
        }
        self.wake();
    }

    fn wake(&mut self) {
        self.reader.take().into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.waiting.lock();
        f.debug_struct("Queue")
            .field("unknown", &waiting.unknown)
            .field("names", &waiting.names.len())
            .field("bytes", &waiting.bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::error::ErrorKind;

    fn names(names: &[&str]) -> Vec<Vec<u8>> {
        names.iter().map(|name| name.as_bytes().to_vec()).collect()
    }

    fn keys(queue: &Queue) -> BTreeSet<String> {
        match queue.take() {
            Some((Changes::Keys(keys), _)) => {
                let n_keys = keys.len();
                let keys: BTreeSet<String> =
                    keys.into_iter().map(|key| String::from_utf8(key).unwrap()).collect();
                assert_eq!(keys.len(), n_keys, "each comes once");
                keys
            }
            other => panic!("{other:?}"),
        }
    }

    fn unknown(queue: &Queue) -> UnknownChanges {
        match queue.take() {
            Some((Changes::Unknown(why), _)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_name_that_has_not_been_read_is_kept_and_counted_once() {
        let queue = Queue::bounded(2, 2);
        for _ in 0..3 {
            queue.changed(names(&["a", "b"]));
        }
        assert_eq!(keys(&queue), ["a", "b"].map(str::to_owned).into());
        assert!(queue.take().is_none());
        queue.changed(names(&["a"]));
        assert_eq!(keys(&queue), ["a".to_owned()].into());
        assert!(queue.take().is_none());
    }

    #[test]
    fn too_many_names_become_one_word_that_any_key_may_have_changed_and_later_names_are_kept() {
        for queue in [Queue::bounded(2, 1000), Queue::bounded(1000, 2)] {
            for _ in 0..3 {
                queue.changed(names(&["a", "b", "c", "d", "e"]));
                let waiting = queue.waiting.lock();
                assert_eq!((waiting.names.capacity(), waiting.bytes), (0, 0));
            }
            queue.changed(names(&["f"]));
            assert_eq!(unknown(&queue), UnknownChanges::Overflow);
            assert_eq!(keys(&queue), ["f".to_owned()].into());
            assert!(queue.take().is_none());
            // What was read makes room.
            queue.changed(names(&["a", "b"]));
            assert_eq!(keys(&queue).len(), 2);
        }
    }

    #[test]
    fn whatever_came_before_each_reason_is_told_once_and_before_the_names_that_follow() {
        let queue = Queue::default();
        queue.changed(names(&["before"]));
        queue.flushed();
        queue.changed(names(&["between"]));
        queue.begin(None, true);
        queue.flushed();
        queue.changed(names(&["after"]));
        assert_eq!([unknown(&queue), unknown(&queue)], [UnknownChanges::Flushed, UnknownChanges::Gap]);
        assert_eq!(keys(&queue), ["after".to_owned()].into());
        assert!(queue.take().is_none());
    }

    #[test]
    fn a_change_is_told_with_the_process_that_it_is_of() {
        let queue = Queue::default();
        queue.begin(Some("first".into()), false);
        assert!(queue.take().is_none());
        queue.changed(names(&["a"]));
        queue.begin(Some("second".into()), true);
        queue.changed(names(&["b"]));
        for _ in 0..2 {
            assert_eq!(queue.take().unwrap().1.as_deref(), Some("second"));
        }
        queue.begin(None, true);
        assert_eq!(queue.take().unwrap().1, None);
    }

    #[test]
    fn a_refusal_comes_last_and_is_old_when_there_is_a_connection() {
        let queue = Queue::default();
        let refusal = || Error::new("a".into(), "CLIENT TRACKING", ErrorKind::Unsupported("no".into()));
        queue.changed(names(&["a"]));
        queue.refused(refusal());
        assert_eq!(keys(&queue).len(), 1);
        assert!(matches!(queue.take(), Some((Changes::Refused(_), _))));
        queue.refused(refusal());
        queue.begin(None, true);
        assert_eq!(unknown(&queue), UnknownChanges::Gap);
        assert!(queue.take().is_none());
    }

    #[test]
    fn whoever_waits_is_woken_by_whatever_comes() {
        let queue = Queue::bounded(1, 1000);
        let refusal = Error::new("a".into(), "CLIENT TRACKING", ErrorKind::Unsupported("no".into()));
        let comes: [&dyn Fn(); 5] = [
            &|| queue.changed(names(&["a"])),
            &|| queue.changed(names(&["a", "b"])),
            &|| queue.flushed(),
            &|| queue.begin(None, true),
            &|| queue.refused(refusal.clone()),
        ];
        for (i, comes) in comes.into_iter().enumerate() {
            let mut waiting = reader(&queue);
            assert!(!waiting.is_woken(), "{i}");
            comes();
            assert!(waiting.is_woken(), "{i}");
            while queue.take().is_some() {}
        }
    }

    /// Somebody who waits, and whether they were woken.
    struct Reader(Arc<std::sync::atomic::AtomicBool>);

    impl std::task::Wake for Reader {
        fn wake(self: Arc<Self>) {
            self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }

    impl Reader {
        fn is_woken(&mut self) -> bool {
            self.0.load(std::sync::atomic::Ordering::Relaxed)
        }
    }

    fn reader(queue: &Queue) -> Reader {
        let woken = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let waker = Arc::new(Reader(Arc::clone(&woken))).into();
        assert!(queue.poll(&mut Context::from_waker(&waker)).is_pending());
        Reader(woken)
    }
}

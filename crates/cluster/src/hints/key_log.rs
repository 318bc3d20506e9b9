//! A key log: the keys of which a node has missed a write, with a bound on what is remembered one by one.

use std::collections::HashMap;

/// How many keys are remembered one by one, and how many bytes of them; above, it is as if all keys were missed.
pub(crate) const MOST_KEYS: usize = 100_000;
pub(crate) const MOST_BYTES: usize = 16 << 20;

/// Each key with the number of the last write of it.
#[derive(Debug, Default)]
pub(crate) struct KeyLog {
    keys: HashMap<Vec<u8>, u64>,
    bytes: usize,
    last: u64,
}

/// A log had more keys than are remembered one by one, and remembers none now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "all keys count as missed then"]
pub(crate) struct Flooded(pub(crate) bool);

impl KeyLog {
    /// Records a write of these keys.
    pub(crate) fn record<'a>(&mut self, keys: impl Iterator<Item = &'a [u8]>) -> Flooded {
        for key in keys {
            self.last += 1;
            if let Some(number) = self.keys.get_mut(key) {
                *number = self.last;
            } else {
                self.bytes += key.len();
                self.keys.insert(key.to_vec(), self.last);
            }
        }
        let is_flooded = self.keys.len() > MOST_KEYS || self.bytes > MOST_BYTES;
        if is_flooded {
            self.clear();
        }
        Flooded(is_flooded)
    }

    /// Forgets a key, unless it was recorded again after this write.
    pub(crate) fn forget(&mut self, key: &[u8], upto: u64) {
        if self.keys.get(key).is_some_and(|number| *number <= upto) {
            self.keys.remove(key);
            self.bytes -= key.len();
        }
    }

    /// Forgets the keys that were recorded no more after this write.
    pub(crate) fn forget_all(&mut self, upto: u64) {
        self.keys.retain(|_, number| upto < *number);
        self.bytes = self.keys.keys().map(Vec::len).sum();
    }

    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.bytes = 0;
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.keys.contains_key(key)
    }

    /// Returns whether any of these keys is there. Without keys, it returns whether there is any key at all.
    pub(crate) fn contains_any<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> bool {
        let mut keys = keys.peekable();
        match keys.peek() {
            Some(_) => keys.any(|key| self.contains(key)),
            None => !self.is_empty(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Each key with the number of its last write.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.keys.iter().map(|(key, number)| (key.as_slice(), *number))
    }

    /// The number of the last write.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn once(key: &[u8]) -> impl Iterator<Item = &[u8]> {
        std::iter::once(key)
    }

    #[test]
    fn too_many_keys_and_too_many_bytes_count_as_all() {
        let mut log = KeyLog::default();
        for i in 0..MOST_KEYS {
            assert_eq!(log.record(once(i.to_string().as_bytes())), Flooded(false));
        }
        assert_eq!(log.record(once(b"0")), Flooded(false), "it is there already");
        assert_eq!(log.record(once(b"one more")), Flooded(true));
        assert!(log.is_empty());
        let long = vec![b'x'; MOST_BYTES];
        assert_eq!(log.record(once(&long)), Flooded(false));
        assert_eq!(log.record(once(b"y")), Flooded(true));
        // What was forgotten takes no room.
        assert_eq!(log.record(once(&long)), Flooded(false));
        log.forget(&long, log.last());
        assert_eq!(log.record(once(b"y")), Flooded(false));
    }

    #[test]
    fn what_was_recorded_again_is_not_forgotten() {
        let mut log = KeyLog::default();
        _ = log.record([b"a".as_slice(), b"b", b"c"].into_iter());
        let upto = log.last();
        _ = log.record(once(b"b"));
        log.forget(b"a", upto);
        log.forget(b"b", upto);
        assert_eq!(["a", "b", "c"].map(|key| log.contains(key.as_bytes())), [false, true, true]);
        assert!(
            log.contains_any([b"a".as_slice(), b"c"].into_iter()) && log.contains_any(std::iter::empty())
        );
        log.forget_all(upto);
        assert_eq!(log.iter().map(|(key, _)| key.to_vec()).collect::<Vec<_>>(), [b"b"]);
    }
}

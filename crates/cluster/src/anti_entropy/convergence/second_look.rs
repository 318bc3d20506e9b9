//! The second look at a key: where a node does not tell what changes there, only what all nodes show twice is decided about. A value
//! without I/O.

use std::collections::HashMap;

use crate::anti_entropy::value::Snapshot;
use crate::anti_entropy::value::is_still;

/// What a node showed, by its index.
pub(crate) type Shown = (usize, Snapshot);

/// What the nodes showed of keys that are compared once more.
#[derive(Debug, Default)]
pub(crate) struct FirstLooks(HashMap<Vec<u8>, Vec<Shown>>);

impl FirstLooks {
    /// Takes out what was shown of a key when it was compared before.
    pub(crate) fn take(&mut self, key: &[u8]) -> Option<Vec<Shown>> {
        self.0.remove(key)
    }

    /// Keeps what was shown of a key until it is compared once more.
    pub(crate) fn keep(&mut self, key: &[u8], shown: &[Shown]) {
        let digests = shown.iter().map(|(node, shown)| (*node, shown.without_dump()));
        self.0.insert(key.to_vec(), digests.collect());
    }

    /// Forgets all: whoever kept the keys has lost them.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Returns whether the same nodes show the same as before.
pub(crate) fn is_same(before: &[Shown], now: &[Shown]) -> bool {
    let is_same =
        |(before, now): (&Shown, &Shown)| before.0 == now.0 && is_still(&before.1, &now.1.without_dump());
    before.len() == now.len() && before.iter().zip(now).all(is_same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anti_entropy::value::Content;

    fn holds(dump: &str, ends: Option<i64>) -> Snapshot {
        Snapshot::Present { content: Content::Dump(dump.as_bytes().to_vec()), ends }
    }

    #[test]
    fn what_the_same_nodes_show_alike_twice_is_the_same() {
        let first = [(0, holds("a", None)), (2, Snapshot::Missing), (3, holds("b", Some(1_000_000)))];
        let mut looks = FirstLooks::default();
        looks.keep(b"k", &first);
        let before = looks.take(b"k").unwrap();
        assert!(is_same(&before, &first));
        assert!(looks.take(b"k").is_none(), "it counts once");
        for (at, other) in [
            (0, (0, holds("c", None))),
            (0, (0, holds("a", Some(1_000_000)))),
            (0, (1, holds("a", None))),
            (1, (2, holds("a", None))),
            (2, (3, Snapshot::Missing)),
            (2, (3, holds("b", Some(1_009_000)))),
        ] {
            let mut now = first.clone();
            now[at] = other;
            assert!(!is_same(&before, &now), "{now:?}");
        }
        assert!(!is_same(&before, &first[..2]), "a node is away");
        // The end of a key is known to some milliseconds only.
        assert!(is_same(&before[2..], &[(3, holds("b", Some(1_000_003)))]));
    }
}

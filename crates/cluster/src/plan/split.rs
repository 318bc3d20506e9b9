//! A split: one command over many keys becomes a part for each node that owns some of them.

use redis::Cmd;
use redis::RedisWrite;
use redisdb_node::command::Keys;
use redisdb_node::command::Spec;
use redisdb_node::command::words;

use crate::error::Error;

/// The part of a command that goes to one node.
#[derive(Debug)]
pub(crate) struct Part {
    /// The node, as its index in the ring.
    pub(crate) node: usize,
    /// The same command with this node's keys only, and the words that belong to them.
    pub(crate) cmd: Cmd,
    /// The number of the caller's keys in it.
    pub(crate) n_keys: usize,
}

/// A command in parts.
#[derive(Debug)]
pub(crate) struct Split {
    /// In the order of the nodes.
    pub(crate) parts: Vec<Part>,
    /// The part that each of the caller's keys is in; empty if each part is the whole command.
    pub(crate) of_keys: Vec<usize>,
}

impl Split {
    /// Returns parts for these nodes that stand for the whole command, and do not repeat it.
    pub(crate) fn whole(nodes: impl Iterator<Item = usize>) -> Self {
        let parts = nodes.map(|node| Part { node, cmd: Cmd::new(), n_keys: 0 });
        Self { parts: parts.collect(), of_keys: Vec::new() }
    }
}

/// The shares of the nodes in a command whose keys are [`Keys::Each`], by the nodes that serve the keys.
pub(crate) struct Shares<'a> {
    cmd: &'a Cmd,
    /// The number of words before the keys.
    first: usize,
    /// The number of words of a key and what belongs to it.
    step: usize,
    /// The node that serves each key.
    of_keys: Vec<usize>,
    /// The share of each node.
    shares: Vec<Share>,
}

/// The size of a node's part, so that the part need not grow word by word.
#[derive(Clone, Copy, Default)]
struct Share {
    n_keys: usize,
    n_bytes: usize,
}

impl<'a> Shares<'a> {
    pub(crate) fn of(
        n_nodes: usize,
        serving: impl Fn(&[u8]) -> usize,
        spec: &'static Spec,
        cmd: &'a Cmd,
    ) -> Result<Self, Error> {
        let _known = spec.keys_of(cmd).map_err(Error::keys(spec))?;
        let Keys::Each { first, step } = spec.keys else {
            return Err(Error::refused(spec.name, "ring", "its keys cannot be told apart"));
        };
        let (first, step) = (usize::from(first), usize::from(step).max(1));
        let mut words = words_from(cmd, first);
        let mut of_keys = vec![0; words.size_hint().0 / step];
        let mut shares = vec![Share::default(); n_nodes];
        for of_key in &mut of_keys {
            let key = words.next().unwrap_or_default();
            *of_key = serving(key);
            let belongs: usize = words.by_ref().take(step - 1).map(<[u8]>::len).sum();
            if let Some(share) = shares.get_mut(*of_key) {
                share.n_keys += 1;
                share.n_bytes += key.len() + belongs;
            }
        }
        Ok(Self { cmd, first, step, of_keys, shares })
    }

    /// Returns the node that serves all of the keys, if one does.
    pub(crate) fn only(&self) -> Option<usize> {
        let node = self.of_keys.first().copied().unwrap_or(0);
        self.shares.get(node).is_some_and(|share| share.n_keys == self.of_keys.len()).then_some(node)
    }

    pub(crate) fn split(self) -> Split {
        let Self { cmd, first, step, mut of_keys, shares } = self;
        let name = || words(cmd).take(first);
        let n_name: usize = name().map(<[u8]>::len).sum();
        let mut parts = Vec::with_capacity(shares.len().min(of_keys.len()));
        let mut part_of_node = vec![0; shares.len()];
        let sent =
            shares.iter().zip(&mut part_of_node).enumerate().filter(|(_, (share, _))| share.n_keys > 0);
        for (node, (Share { n_keys, n_bytes }, part)) in sent {
            *part = parts.len();
            let mut cmd = Cmd::with_capacity(first + n_keys * step, n_name + n_bytes);
            name().for_each(|word| cmd.write_arg(word));
            parts.push(Part { node, cmd, n_keys: *n_keys });
        }
        let mut words = words_from(cmd, first);
        for of_key in &mut of_keys {
            *of_key = part_of_node.get(*of_key).copied().unwrap_or(0);
            if let Some(part) = parts.get_mut(*of_key) {
                for _ in 0..step {
                    part.cmd.write_arg(words.next().unwrap_or_default());
                }
            }
        }
        Split { parts, of_keys }
    }
}

/// Returns the words from `first` on.
// Not `skip`, which asks at each word whether it has skipped.
fn words_from(cmd: &Cmd, first: usize) -> impl Iterator<Item = &[u8]> {
    let mut words = words(cmd);
    for _ in 0..first {
        words.next();
    }
    words
}

#[cfg(test)]
mod tests {
    use redisdb_hashring::HashRing;
    use redisdb_node::command::rows;

    use super::*;

    fn texts(cmd: &Cmd) -> Vec<String> {
        super::words(cmd).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    fn split(n_nodes: usize, serving: impl Fn(&[u8]) -> usize, spec: &'static Spec, cmd: &Cmd) -> Split {
        Shares::of(n_nodes, serving, spec, cmd).unwrap().split()
    }

    #[test]
    fn every_key_keeps_its_place_and_what_belongs_to_it() {
        let ring = HashRing::builder().node("a").node("b").node("c").build().unwrap();
        let mut mset = rows::MSET.cmd();
        for i in 0..50 {
            mset.arg(format!("key:{i}")).arg(i);
        }
        let Split { parts, of_keys } = split(3, |key| ring.lookup(key), rows::MSET.spec(), &mset);
        assert_eq!(parts.iter().map(|part| part.node).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(of_keys.len(), 50);
        let mut seen = 0;
        for (idx, part) in parts.iter().enumerate() {
            let words = texts(&part.cmd);
            assert_eq!((words[0].as_str(), words.len()), ("MSET", 1 + 2 * part.n_keys));
            let keys = (0..50).filter(|key| of_keys[*key] == idx);
            for (pair, key) in words[1..].chunks(2).zip(keys) {
                assert_eq!(pair, [format!("key:{key}"), key.to_string()]);
                assert_eq!(ring.lookup(&pair[0]), part.node);
                seen += 1;
            }
        }
        assert_eq!(seen, 50);
    }

    #[test]
    fn a_key_that_stands_twice_is_asked_for_twice() {
        let ring = HashRing::builder().node("a").node("b").build().unwrap();
        let mget = rows::MGET.cmd().arg(&["x", "y", "x"]).take();
        let split = split(2, |key| ring.lookup(key), rows::MGET.spec(), &mget);
        assert_eq!(split.parts.iter().map(|part| part.n_keys).sum::<usize>(), 3);
    }
}

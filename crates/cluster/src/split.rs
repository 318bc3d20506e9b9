//! One command over many keys becomes one part for each node that owns some of them.

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
    /// The same command with this node's keys only, and what belongs to them.
    pub(crate) cmd: Cmd,
    /// Which of the caller's keys these are, counted from 0.
    pub(crate) keys: Vec<usize>,
}

/// Splits a command whose keys are [`Keys::Each`] by the nodes that serve them; the parts stand in the order of their
/// first keys.
pub(crate) fn split(
    n_nodes: usize,
    serving: impl Fn(&[u8]) -> usize,
    spec: &'static Spec,
    cmd: &Cmd,
) -> Result<Vec<Part>, Error> {
    let n_words = spec.keys_of(cmd).map_err(Error::keys(spec))?.size_hint().1.unwrap_or(0);
    let step = match spec.keys {
        Keys::Each { step, .. } => usize::from(step).max(1),
        _ => 1,
    };
    let n_name = spec.words().count();
    // First the owners, and what each part will hold, so that it need not grow word by word.
    let mut owners = Vec::with_capacity(n_words);
    let mut sizes = vec![(0usize, 0usize); n_nodes];
    let mut rest = words(cmd).skip(n_name);
    while let Some(key) = rest.next() {
        let owner = serving(key);
        owners.push(owner);
        let bytes = key.len() + rest.by_ref().take(step - 1).map(<[u8]>::len).sum::<usize>();
        if let Some((n_keys, n_bytes)) = sizes.get_mut(owner) {
            *n_keys += 1;
            *n_bytes += bytes;
        }
    }
    let mut parts: Vec<Part> = Vec::with_capacity(n_nodes.min(owners.len()));
    let mut part_of_node: Vec<Option<usize>> = vec![None; n_nodes];
    let mut rest = words(cmd).skip(n_name);
    for (key, owner) in owners.into_iter().enumerate() {
        let idx = match part_of_node.get(owner).copied().flatten() {
            Some(idx) => idx,
            None => {
                let (n_keys, n_bytes) = sizes.get(owner).copied().unwrap_or_default();
                let mut cmd = Cmd::with_capacity(n_name + n_keys * step, spec.name.len() + n_bytes);
                for word in spec.words() {
                    cmd.arg(word);
                }
                parts.push(Part { node: owner, cmd, keys: Vec::with_capacity(n_keys) });
                if let Some(slot) = part_of_node.get_mut(owner) {
                    *slot = Some(parts.len() - 1);
                }
                parts.len() - 1
            }
        };
        if let Some(part) = parts.get_mut(idx) {
            part.keys.push(key);
            for word in rest.by_ref().take(step) {
                part.cmd.write_arg(word);
            }
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use redisdb_hashring::HashRing;
    use redisdb_node::command::rows;

    use super::*;

    fn texts(cmd: &Cmd) -> Vec<String> {
        super::words(cmd).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    #[test]
    fn every_key_keeps_its_place_and_what_belongs_to_it() {
        let ring = HashRing::builder().node("a").node("b").node("c").build().unwrap();
        let mut mset = rows::MSET.cmd();
        for i in 0..50 {
            mset.arg(format!("key:{i}")).arg(i);
        }
        let parts = split(3, |key| ring.lookup(key), rows::MSET.spec(), &mset).unwrap();
        assert_eq!(parts.len(), 3);
        let mut seen = 0;
        for part in &parts {
            let words = texts(&part.cmd);
            assert_eq!((words[0].as_str(), words.len()), ("MSET", 1 + 2 * part.keys.len()));
            for (pair, &key) in words[1..].chunks(2).zip(&part.keys) {
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
        let parts = split(2, |key| ring.lookup(key), rows::MGET.spec(), &mget).unwrap();
        assert_eq!(parts.iter().map(|part| part.keys.len()).sum::<usize>(), 3);
    }
}

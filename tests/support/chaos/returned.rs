//! A server that is back after it was away for long: how many keys it had missed by then, and how many were compared on it.

use std::collections::BTreeSet;
use std::fmt;

use redis::Cmd;
use redis::RedisResult;
use redisdb_tests::connect;

use crate::fault::node_name;

type Key = Vec<u8>;

/// Keys that a repair in a client has compared on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Compared {
    pub(crate) at: u64,
    pub(crate) node: usize,
    pub(crate) keys: Vec<Key>,
}

/// The keys that a server has missed, as the other servers say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Missed {
    pub(crate) keys: BTreeSet<Key>,
    /// True if another server says that this one may have missed any key.
    pub(crate) is_any: bool,
}

impl Missed {
    /// Takes in the durable hints about a node that the server on this port holds.
    pub(crate) fn hear(&mut self, port: u16, about: usize) -> RedisResult<()> {
        let key = format!("__redisdb:{{chaos}}:missed:{}", node_name(about));
        let hints: Vec<Key> = Cmd::new().arg("ZRANGE").arg(key).arg(0).arg(-1).query(&mut connect(port)?)?;
        for hint in hints {
            match hint.split_first() {
                Some((b'k', key)) => _ = self.keys.insert(key.to_vec()),
                Some((b's', _)) => {}
                _ => self.is_any = true,
            }
        }
        Ok(())
    }
}

/// The moment when a server is back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Back {
    pub(crate) node: usize,
    pub(crate) at: u64,
    /// True if the server is the same process as before.
    pub(crate) is_same_process: bool,
    pub(crate) missed: Missed,
}

/// What it took to bring a server up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Returned {
    back: Back,
    n_compared: usize,
    /// How often a key was compared, all clients together.
    n_looks: usize,
}

impl Back {
    /// Counts what was compared on the server from now until the next fault begins.
    pub(crate) fn judge(self, compared: &[Compared], until: u64) -> Returned {
        let of_it = compared.iter().filter(|it| it.node == self.node && (self.at..until).contains(&it.at));
        let keys: Vec<&Key> = of_it.flat_map(|it| &it.keys).collect();
        let n_compared = keys.iter().collect::<BTreeSet<_>>().len();
        Returned { back: self, n_compared, n_looks: keys.len() }
    }
}

impl Returned {
    /// Returns whether more keys were compared than there was a reason for. What another process may have lost is not known, so all its
    /// keys are compared, and so are those of a server that may have missed any key.
    pub(crate) fn is_too_much(&self) -> bool {
        let Back { is_same_process, missed, .. } = &self.back;
        *is_same_process && !missed.is_any && missed.keys.len() * 2 < self.n_compared
    }
}

impl fmt::Display for Returned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Back { node, is_same_process, missed, .. } = &self.back;
        let (node, n_hinted) = (node_name(*node), missed.keys.len());
        write!(f, "{node}: {n_hinted} keys hinted, {} compared, in {} looks", self.n_compared, self.n_looks)?;
        match (is_same_process, missed.is_any) {
            (false, _) => f.write_str(" (all, for it is another process)"),
            (true, true) => f.write_str(" (all, for it may have missed any key)"),
            (true, false) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> Vec<Key> {
        names.iter().map(|name| name.as_bytes().to_vec()).collect()
    }

    fn back(is_same_process: bool, is_any: bool) -> Back {
        let missed = Missed { keys: keys(&["a", "b"]).into_iter().collect(), is_any };
        Back { node: 1, at: 10, is_same_process, missed }
    }

    fn compared(at: u64, node: usize, names: &[&str]) -> Compared {
        Compared { at, node, keys: keys(names) }
    }

    #[test]
    fn only_what_was_compared_on_the_server_between_its_return_and_the_next_fault_counts() {
        let all = [
            compared(9, 1, &["x"]),
            compared(10, 1, &["a", "b"]),
            compared(11, 0, &["y"]),
            compared(12, 1, &["a", "c"]),
            compared(20, 1, &["z"]),
        ];
        let returned = back(true, false).judge(&all, 20);
        assert_eq!(returned.to_string(), "b: 2 keys hinted, 3 compared, in 4 looks");
        assert!(!returned.is_too_much());
    }

    #[test]
    fn more_than_twice_what_was_hinted_is_too_much_where_nothing_else_may_be_missing() {
        let all = [compared(10, 1, &["a", "b", "c", "d", "e"])];
        for (is_same_process, is_any) in [(true, false), (true, true), (false, false)] {
            let returned = back(is_same_process, is_any).judge(&all, 20);
            assert_eq!(returned.is_too_much(), is_same_process && !is_any, "{returned}");
        }
        assert!(!back(true, false).judge(&[compared(10, 1, &["a", "b", "c", "d"])], 20).is_too_much());
    }
}

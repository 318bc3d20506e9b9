//! A call: a command with its row in the table and its keys, which are found once.

use redis::Cmd;
use redisdb_node::command::Access;
use redisdb_node::command::KeyError;
use redisdb_node::command::Keys;
use redisdb_node::command::Spec;

use crate::error::Error;

/// A command, its row, and its keys.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    pub(crate) spec: &'static Spec,
    pub(crate) cmd: &'a Cmd,
    keys: Found<'a>,
}

#[derive(Debug, Clone)]
enum Found<'a> {
    /// As most commands have it, so that it takes no allocation.
    One(&'a [u8]),
    Many(Box<[&'a [u8]]>),
    /// The command is cut short, or its number of keys does not fit.
    Unknown(KeyError),
}

impl<'a> Call<'a> {
    pub(crate) fn new(spec: &'static Spec, cmd: &'a Cmd) -> Self {
        let found = match spec.keys {
            Keys::One(_) | Keys::Channel(_) | Keys::None => {
                spec.first_key(cmd).map(|key| key.map_or_else(|| Found::Many(Box::default()), Found::One))
            }
            _ => spec.keys_of(cmd).map(|keys| Found::Many(keys.map(|(_, key)| key).collect())),
        };
        Self { spec, cmd, keys: found.unwrap_or_else(Found::Unknown) }
    }

    /// The keys in the order in which they stand; none if they are not known.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a, '_> {
        let keys = match &self.keys {
            Found::One(key) => std::slice::from_ref(key),
            Found::Many(keys) => keys,
            Found::Unknown(_) => &[],
        };
        keys.iter().copied()
    }

    pub(crate) fn first_key(&self) -> Option<&'a [u8]> {
        self.keys().next()
    }

    /// Makes sure that the keys are known, and of a write also that it has as many words as it may have.
    ///
    /// # Errors
    /// What is wrong with the command, so that it must not be sent.
    pub(crate) fn check_keys(&self) -> Result<(), Error> {
        let unknown = match self.keys {
            Found::Unknown(error) => Some(error),
            _ if self.spec.access == Access::Write && !self.spec.accepts(self.cmd.args_iter().len()) => {
                Some(KeyError::TooShort)
            }
            _ => None,
        };
        unknown.map_or(Ok(()), |error| Err(Error::keys(self.spec)(error)))
    }
}

#[cfg(test)]
mod tests {
    use redisdb_node::command::lookup;

    use super::*;

    fn keys(words: &str) -> Result<Vec<String>, Error> {
        let mut cmd = Cmd::new();
        cmd.arg(words.split(' ').collect::<Vec<_>>());
        let call = Call::new(lookup(&cmd).unwrap(), &cmd);
        call.check_keys()?;
        Ok(call.keys().map(|key| String::from_utf8_lossy(key).into_owned()).collect())
    }

    #[test]
    fn the_keys_are_those_of_the_table() {
        assert_eq!(keys("SET a 1").unwrap(), ["a"]);
        assert_eq!(keys("MSET a 1 b 2").unwrap(), ["a", "b"]);
        assert_eq!(keys("ZUNIONSTORE to 2 a b").unwrap(), ["to", "a", "b"]);
        assert!(keys("DBSIZE").unwrap().is_empty());
    }

    #[test]
    fn a_command_whose_keys_are_not_known_is_an_error() {
        assert!(keys("GET").is_err());
        assert!(keys("SET a").is_err(), "of a write, also one that is too short for its row");
        assert!(keys("MSET a 1 b").is_err());
        assert!(keys("ZUNIONSTORE to 3 a b").is_err());
    }
}

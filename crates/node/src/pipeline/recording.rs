//! The recorded commands of a pipeline, until they are sent.

use std::borrow::Cow;
use std::ops::Range;

use redis::Cmd;

use super::words::Packed;
use super::words::Words;
use super::words::n_bytes;
use crate::command::KeyError;
use crate::command::Keys;
use crate::command::Spec;
use crate::command::spare;
use crate::wire::encode_noting;

/// A command that takes more bytes is not packed: it is not to be copied once more.
const MOST_PACKED: usize = 1024;

/// A command in a [`Pipeline`](super::Pipeline), with its row.
#[derive(Debug)]
#[non_exhaustive]
pub struct Recorded<'a> {
    /// Its row in the command table.
    pub spec: &'static Spec,
    /// Its words.
    pub words: Words<'a>,
}

impl<'a> Recorded<'a> {
    /// A command with its row.
    pub fn new(spec: &'static Spec, cmd: Cmd) -> Self {
        Self { spec, words: cmd.into() }
    }

    /// A command that somebody else keeps, with its row.
    pub fn lent(spec: &'static Spec, cmd: &'a Cmd) -> Self {
        Self { spec, words: cmd.into() }
    }

    /// The command; made anew where it is packed.
    pub fn cmd(&self) -> Cow<'_, Cmd> {
        self.words.cmd()
    }

    /// Its first key, if it has one.
    ///
    /// # Errors
    /// As [`Spec::keys_of`].
    #[inline]
    pub fn first_key(&self) -> Result<Option<&[u8]>, KeyError> {
        match &self.words {
            Words::Lent(cmd) => self.spec.first_key(cmd),
            Words::Shared(cmd) => self.spec.first_key(cmd),
            Words::Packed(packed) => Ok(Some(packed.key)),
        }
    }

    /// Says why the command must not run on a connection that others use, if it must not.
    #[inline]
    pub fn needs_dedicated(&self) -> Option<&'static str> {
        match &self.words {
            Words::Lent(cmd) => self.spec.needs_dedicated(cmd),
            Words::Shared(cmd) => self.spec.needs_dedicated(cmd),
            Words::Packed(_) => None,
        }
    }
}

/// Commands in the order of their recording.
#[derive(Debug, Default)]
pub(super) struct Recording {
    commands: Vec<Kept>,
    /// The bytes of the packed commands, one behind the other.
    packed: Vec<u8>,
}

#[derive(Debug)]
struct Kept {
    spec: &'static Spec,
    words: KeptWords,
}

#[derive(Debug)]
enum KeptWords {
    Own(Cmd),
    /// The places of the command and of its key among the bytes.
    Packed {
        all: Range<usize>,
        key: Range<usize>,
    },
}

impl Recording {
    pub(super) fn with_capacity(n_commands: usize) -> Self {
        Self { commands: Vec::with_capacity(n_commands), packed: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.commands.len()
    }

    /// Records a command as it is.
    pub(super) fn keep(&mut self, spec: &'static Spec, cmd: Cmd) {
        self.commands.push(Kept { spec, words: KeptWords::Own(cmd) });
    }

    /// Records a command packed, if it is short and has one key, as most are. A hundred commands that are kept are
    /// two hundred pieces of memory, which cost as much as all that is done with the commands.
    pub(super) fn pack(&mut self, spec: &'static Spec, cmd: Cmd) {
        match self.place_of(spec, &cmd) {
            Some((all, key)) => {
                self.commands.push(Kept { spec, words: KeptWords::Packed { all, key } });
                spare(cmd);
            }
            None => self.keep(spec, cmd),
        }
    }

    fn place_of(&mut self, spec: &'static Spec, cmd: &Cmd) -> Option<(Range<usize>, Range<usize>)> {
        let Keys::One(at) = spec.keys else { return None };
        if spec.needs_dedicated(cmd).is_some() || MOST_PACKED < n_bytes(cmd) {
            return None;
        }
        let begins = self.packed.len();
        match encode_noting(cmd, at.into(), &mut self.packed) {
            Some(key) => Some((begins..self.packed.len(), key)),
            None => {
                self.packed.truncate(begins);
                None
            }
        }
    }

    /// The commands as they are sent.
    pub(super) fn lend(&self) -> Vec<Recorded<'_>> {
        let bytes = |range: &Range<usize>| self.packed.get(range.clone()).unwrap_or_default();
        let lent = self.commands.iter().map(|Kept { spec, words }| match words {
            KeptWords::Own(cmd) => Recorded::lent(spec, cmd),
            KeptWords::Packed { all, key } => {
                Recorded { spec, words: Words::Packed(Packed { bytes: bytes(all), key: bytes(key) }) }
            }
        });
        lent.collect()
    }

    /// The names of the commands from a number on.
    pub(super) fn names_from(&self, number: usize) -> Vec<&'static str> {
        self.commands.iter().skip(number).map(|kept| kept.spec.name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::lookup;

    fn check(words: &[&str], is_packed: bool) {
        let mut cmd = Cmd::new();
        cmd.arg(words);
        let spec = lookup(&cmd).unwrap();
        let mut recording = Recording::default();
        recording.pack(spec, redis::cmd("GET").arg("before").take());
        recording.pack(spec, cmd.clone());
        let [_, recorded] = &recording.lend()[..] else { panic!("two were recorded") };
        assert_eq!(matches!(recorded.words, Words::Packed(_)), is_packed, "{words:?}");
        assert!(recorded.cmd().args_iter().eq(cmd.args_iter()), "{words:?}");
        assert_eq!(recorded.first_key().ok(), spec.first_key(&cmd).ok());
        assert_eq!(recorded.needs_dedicated(), spec.needs_dedicated(&cmd));
        let (mut out, mut expected) = (Vec::new(), Vec::new());
        recorded.words.encode(&mut out);
        cmd.write_packed_command(&mut expected);
        assert_eq!(out, expected);
    }

    #[test]
    fn a_short_command_with_one_key_is_packed_and_comes_out_as_it_was() {
        check(&["GET", "k"], true);
        check(&["SET", "k", ""], true);
        check(&["HSET", "k\r\n", "a", "$1\r\nb"], true);
        check(&["OBJECT", "ENCODING", "k"], true);
        check(&["MGET", "a", "b"], false);
        check(&["PING"], false);
        check(&["BLPOP", "k", "0"], false);
        check(&["SET", "k", &"x".repeat(MOST_PACKED)], false);
        check(&["GET"], false);
    }
}

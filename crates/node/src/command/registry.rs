//! Commands that the table does not have: those of modules, and those of servers newer than it.

use parking_lot::RwLock;
use redis::Cmd;

use super::spec::Access;
use super::spec::Connection;
use super::spec::Group;
use super::spec::Keys;
use super::spec::OnCopy;
use super::spec::OnRing;
use super::spec::Retry;
use super::spec::Since;
use super::spec::Spec;
use super::table;

/// The rows of this process. Each is made once and stays.
static REGISTERED: RwLock<Vec<&'static Spec>> = RwLock::new(Vec::new());

const NO_KEY: &str = "it has no key and nothing else says which node should get it; register it with a rule, or \
    call it on one node, by `on_node(name)`";
const NOT_KNOWN: &str = "whether it does the same on every node is not known; register it as `deterministic()` if \
    it does, or call it on each node, by `on_each`";

/// Returns the row of a command that was registered.
pub(super) fn registered(cmd: &Cmd) -> Option<&'static Spec> {
    let mut words = super::words::words(cmd);
    let (first, second) = (words.next()?, words.next());
    let is = |name: Option<&str>, word: Option<&[u8]>| match (name, word) {
        (Some(name), Some(word)) => word.eq_ignore_ascii_case(name.as_bytes()),
        (name, word) => name.is_none() && word.is_none(),
    };
    let rows = REGISTERED.read();
    let named = |second: Option<&[u8]>| {
        rows.iter().copied().find(|row| {
            let mut name = row.words();
            is(name.next(), Some(first)) && is(name.next(), second)
        })
    };
    // A subcommand that was registered comes before its command.
    second.and_then(|second| named(Some(second))).or_else(|| named(None))
}

/// A row for a command that the table does not have: a module's, for example.
///
/// Once it is registered, the command runs on nodes, rings and copies of this process as those of the table
/// do, through `redis::cmd(..).query_async(..)` and pipelines. [`Node::learn`](crate::Node::learn) makes one
/// from what a server says of the command.
///
/// ```
/// use redisdb_node::command::{Keys, Registration, RegistrationError};
///
/// Registration::read("JSON.GET", Keys::One(1)).register()?;
/// Registration::write("JSON.SET", Keys::One(1)).deterministic().register()?;
/// # Ok::<(), RegistrationError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "nothing happens until it is registered"]
pub struct Registration {
    name: String,
    arity: Option<i8>,
    access: Access,
    keys: Keys,
    ring: Option<OnRing>,
    deterministic: bool,
    connection: Connection,
}

impl Registration {
    /// A command that reads data and changes none.
    ///
    /// `name` is the wire name in any case, a subcommand after one space: `"FT.CONFIG GET"`. With keys, a
    /// ring sends it to their owner; without, a ring refuses it until [`ring`](Self::ring) gives it a rule. A
    /// copy asks one node.
    pub fn read(name: impl Into<String>, keys: Keys) -> Self {
        Self::new(name.into(), Access::Read, keys)
    }

    /// A command that may change something.
    ///
    /// As [`read`](Self::read), but a copy refuses it until it is said to be
    /// [`deterministic`](Self::deterministic).
    pub fn write(name: impl Into<String>, keys: Keys) -> Self {
        Self::new(name.into(), Access::Write, keys)
    }

    fn new(name: String, access: Access, keys: Keys) -> Self {
        let (name, connection) = (name.to_ascii_uppercase(), Connection::Shared);
        Self { name, arity: None, access, keys, ring: None, deterministic: false, connection }
    }

    /// The number of words, the name's own included; `-n` means at least `n`. By default any.
    pub fn arity(mut self, arity: i8) -> Self {
        self.arity = Some(arity);
        self
    }

    /// Sets the way in which a ring routes the command.
    pub fn ring(mut self, ring: OnRing) -> Self {
        self.ring = Some(ring);
        self
    }

    /// Vouches that the command does the same on every server that holds the same data, so that a copy can
    /// send it to all. Such a command leaves nothing to chance, to a clock (no `EX 10`) or to a change by
    /// others meanwhile.
    ///
    /// Of a read it says nothing.
    pub fn deterministic(mut self) -> Self {
        self.deterministic = true;
        self
    }

    /// Declares that the command may block, so that it runs on a dedicated connection.
    pub fn blocking(mut self) -> Self {
        self.connection = Connection::Blocking;
        self
    }

    /// The name in capitals.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the command known to this process, and returns its row. To register the same again changes
    /// nothing.
    ///
    /// # Errors
    /// [`RegistrationError`]: the table has it, it was registered otherwise before, or the row contradicts
    /// itself.
    pub fn register(self) -> Result<&'static Spec, RegistrationError> {
        let refused = |reason| RegistrationError { name: self.name.clone(), reason };
        let n_words = self.name.split(' ').count();
        if self.name.split(' ').any(str::is_empty) || n_words > 2 {
            return Err(refused("its name is not one word, or two with one space between them"));
        }
        let mut cmd = Cmd::new();
        cmd.arg(self.name.split(' ').collect::<Vec<_>>());
        if table::in_table(&cmd).is_some_and(|row| row.name == self.name) {
            return Err(refused("it is in the command table already"));
        }
        let row = self.row(n_words).map_err(refused)?;
        let mut rows = REGISTERED.write();
        match rows.iter().copied().find(|known| known.name == self.name) {
            Some(known) if *known == (Spec { name: known.name, ..row }) => Ok(known),
            Some(_) => Err(refused("it was registered otherwise before")),
            None => {
                let row: &'static Spec = Box::leak(Box::new(Spec { name: self.name.leak(), ..row }));
                rows.push(row);
                Ok(row)
            }
        }
    }

    /// The row but for its name, which is not to be leaked for nothing.
    fn row(&self, n_words: usize) -> Result<Spec, &'static str> {
        let least = i8::try_from(n_words).unwrap_or(i8::MAX);
        let arity = self.arity.unwrap_or(-least);
        if arity.unsigned_abs() < least.unsigned_abs() {
            return Err("its arity is less than the words of its name");
        }
        let ring = match (self.ring, self.keys) {
            (None, Keys::None) => OnRing::Refuse(NO_KEY),
            (None, _) => OnRing::ByKey,
            (Some(OnRing::ByKey | OnRing::Split(_)), Keys::None) => {
                return Err("a ring cannot place it by its keys, for it has none");
            }
            // A part has the name and then its keys, and nothing between them.
            (Some(OnRing::Split(_)), keys) if !matches!(keys, Keys::Each { first, .. } if usize::from(first) == n_words) =>
            {
                return Err("only a command that consists of its name and its keys can be split");
            }
            (Some(ring), _) => ring,
        };
        let (copy, retry) = match (self.access, self.deterministic) {
            (Access::Write, true) => (OnCopy::EveryNode, Retry::Never),
            (Access::Write, false) => (OnCopy::Refuse(NOT_KNOWN), Retry::Never),
            _ => (OnCopy::AnyNode, Retry::Read),
        };
        let Self { access, keys, connection, .. } = *self;
        let (group, since) = (Group::Module, Since::redis((0, 0, 0)));
        Ok(Spec { name: "", group, since, arity, access, keys, ring, copy, retry, connection })
    }
}

/// The error of a command that was not registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` cannot be registered: {reason}")]
pub struct RegistrationError {
    name: String,
    reason: &'static str,
}

impl RegistrationError {
    /// The command's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Merge;
    use crate::command::lookup;

    fn found(words: &[&str]) -> Option<&'static str> {
        let mut cmd = Cmd::new();
        cmd.arg(words);
        lookup(&cmd).map(|row| row.name)
    }

    #[test]
    fn what_is_registered_is_found_by_its_own_words_in_any_case() {
        assert_eq!(found(&["T1.GET", "k"]), None);
        Registration::read("t1.get", Keys::One(1)).register().unwrap();
        Registration::read("T1.CONFIG", Keys::None).register().unwrap();
        Registration::read("T1.CONFIG GET", Keys::None).register().unwrap();
        Registration::write("CLIENT T1", Keys::None).register().unwrap();
        assert_eq!(found(&["T1.get", "k"]), Some("T1.GET"));
        assert_eq!(found(&["t1.config"]), Some("T1.CONFIG"));
        assert_eq!(found(&["t1.config", "set"]), Some("T1.CONFIG"));
        assert_eq!(found(&["t1.config", "get", "x"]), Some("T1.CONFIG GET"));
        assert_eq!(found(&["client", "t1"]), Some("CLIENT T1"));
        assert_eq!(found(&["t1.config get"]), None, "one word with a space is no name of the protocol");
        assert_eq!(found(&["T1.GE"]), None);
        assert_eq!(found(&["T1.GETT"]), None);
    }

    #[test]
    fn the_rules_follow_from_keys_and_access() {
        let row = Registration::read("T2.READ", Keys::One(1)).arity(2).register().unwrap();
        assert_eq!((row.ring, row.copy, row.retry), (OnRing::ByKey, OnCopy::AnyNode, Retry::Read));
        assert_eq!((row.arity, row.connection), (2, Connection::Shared));
        let row = Registration::write("T2.WRITE", Keys::One(1)).blocking().register().unwrap();
        assert_eq!((row.ring, row.retry), (OnRing::ByKey, Retry::Never));
        assert!(matches!(row.copy, OnCopy::Refuse(reason) if reason.contains("deterministic")));
        assert_eq!((row.arity, row.connection), (-1, Connection::Blocking));
        let row = Registration::write("T2.SAME", Keys::None).deterministic().register().unwrap();
        assert_eq!(row.copy, OnCopy::EveryNode);
        assert!(matches!(row.ring, OnRing::Refuse(reason) if reason.contains("on_node")));
    }

    #[test]
    fn the_same_is_registered_once_and_another_not_at_all() {
        let make = || Registration::read("T3", Keys::One(1));
        let row = make().register().unwrap();
        assert!(std::ptr::eq(make().register().unwrap(), row));
        let error = make().arity(3).register().unwrap_err();
        assert_eq!(error.to_string(), "`T3` cannot be registered: it was registered otherwise before");
        assert_eq!(error.name(), "T3");
    }

    #[test]
    fn a_row_that_contradicts_itself_is_refused() {
        let reason = |registration: Registration| registration.register().unwrap_err().reason;
        for name in ["", " ", "A B C", "A  B", " A", "A "] {
            assert!(reason(Registration::read(name, Keys::None)).starts_with("its name"), "{name:?}");
        }
        assert!(reason(Registration::read("get", Keys::One(1))).starts_with("it is in the command table"));
        assert!(
            reason(Registration::read("Config Get", Keys::None)).starts_with("it is in the command table")
        );
        assert!(reason(Registration::read("T4 X", Keys::One(2)).arity(1)).starts_with("its arity"));
        let by_key = Registration::read("T4", Keys::None).ring(OnRing::ByKey);
        assert!(reason(by_key).starts_with("a ring cannot place it"));
        let between =
            Registration::read("T4", Keys::Each { first: 2, step: 1 }).ring(OnRing::Split(Merge::Sum));
        assert!(reason(between).starts_with("only a command that consists"));
    }
}

//! The servers that the nodes of one ring or copy are connected to, so that no server is there twice.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use parking_lot::MutexGuard;

/// By the names of the nodes: the `run_id` of the process that each is connected to, and the database.
#[derive(Debug, Default)]
pub(crate) struct Roll(Mutex<BTreeMap<String, Database>>);

type Database = (String, u32);

impl Roll {
    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Database>> {
        self.0.lock()
    }

    /// Enters where a node is.
    ///
    /// # Errors
    /// The name of another node that is there.
    pub(super) fn enter(&self, name: &str, database: Database) -> Result<(), String> {
        let mut held = self.held();
        match held.iter().find(|(other, there)| *other != name && **there == database) {
            Some((other, _)) => Err(other.clone()),
            None => {
                held.insert(name.to_owned(), database);
                Ok(())
            }
        }
    }

    /// Leaves the database of a node to others.
    pub(super) fn leave(&self, name: &str) {
        self.held().remove(name);
    }
}

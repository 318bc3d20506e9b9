//! Which servers the nodes of one ring or copy are connected to, so that none is there twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use parking_lot::MutexGuard;

use crate::config::ConfigError;
use crate::connection::Core;
use crate::error::ErrorKind;
use crate::node::Node;
use crate::process::Process;

/// By the names of the nodes: the `run_id` of the process that each is connected to, and the database.
#[derive(Debug, Default)]
pub(crate) struct Roll(Mutex<BTreeMap<String, Place>>);

type Place = (String, u32);

impl Roll {
    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Place>> {
        self.0.lock()
    }

    /// Enters where a node is.
    ///
    /// # Errors
    /// The name of another node that is there.
    fn enter(&self, name: &str, place: Place) -> Result<(), String> {
        let mut held = self.held();
        match held.iter().find(|(other, there)| *other != name && **there == place) {
            Some((other, _)) => Err(other.clone()),
            None => {
                held.insert(name.to_owned(), place);
                Ok(())
            }
        }
    }
}

impl Node {
    /// Has no two of these nodes be connected to one database of one server process from now on: the second that comes
    /// to is not connected, which is an error of its [configuration](crate::ConfigError::SameServer). A server that does
    /// not tell its `run_id` to this user (`INFO`) is taken for one of its own.
    ///
    /// Of a node that was among others before, those others count no more.
    pub fn keep_apart<'a>(nodes: impl IntoIterator<Item = &'a Self>) {
        let roll = Arc::new(Roll::default());
        for node in nodes {
            node.connection().core().move_to(&roll);
        }
    }
}

impl Core {
    fn move_to(&self, roll: &Arc<Roll>) {
        let is_connected = self.open_live().is_some();
        let mut standing = self.standing();
        standing.roll = Some(Arc::clone(roll));
        if let Some(Process::RunId(run_id)) = standing.known.process().filter(|_| is_connected) {
            // Those that are connected were apart before.
            let _of_which_one_stays = roll.enter(self.config.name(), (run_id.clone(), self.config.db()));
        }
    }

    /// Leaves the place to others: a connection is about to be made, which may lead elsewhere.
    pub(crate) fn leave_roll(&self) {
        if let Some(roll) = &self.standing().roll {
            roll.held().remove(self.config.name());
        }
    }

    /// Makes sure that no other node is connected to the same database of this process.
    pub(crate) fn enter_roll(&self, process: &Process) -> Result<(), ErrorKind> {
        let (Some(roll), Process::RunId(run_id)) = (self.standing().roll.clone(), process) else {
            return Ok(());
        };
        roll.enter(self.config.name(), (run_id.clone(), self.config.db()))
            .map_err(|other| ErrorKind::Config(ConfigError::SameServer { other }))
    }
}

//! A client process as the runner holds it: started, asked, stopped, killed.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::ops::Deref;
use std::ops::DerefMut;
use std::sync::Arc;
use std::sync::Mutex;

use redisdb_tests::ClientProcess;
use redisdb_tests::clock::now;

use crate::client::Place;

/// The lines that a client has said so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    /// The time when it was ready.
    pub(crate) ready: Option<u64>,
    pub(crate) stopped: bool,
    pub(crate) health: String,
    /// The keys that are in conflict.
    pub(crate) conflicts: BTreeSet<String>,
    /// The sweeps that it has ended, with the number of keys that it could not read.
    pub(crate) swept: BTreeMap<u64, usize>,
}

impl Said {
    /// Returns whether the client is ready and no node is otherwise than up. Where keys are in conflict, each node is behind for them.
    pub(crate) fn is_well(&self) -> bool {
        let well = if self.conflicts.is_empty() { "=Up" } else { "=Suspect" };
        self.ready.is_some() && self.health.split(' ').all(|node| node.ends_with(well))
    }

    fn hear(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "ready" => self.ready = Some(now()),
            "stopped" => self.stopped = true,
            "health" => rest.clone_into(&mut self.health),
            "conflicts" => self.conflicts = rest.split_whitespace().map(str::to_owned).collect(),
            "swept" => {
                let numbers: Vec<u64> = rest.split(' ').filter_map(|number| number.parse().ok()).collect();
                if let [sweep, n] = numbers[..] {
                    self.swept.insert(sweep, n as usize);
                }
            }
            _ => {}
        }
    }
}

/// A client process; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) place: Place,
    client: ClientProcess,
    said: Arc<Mutex<Said>>,
}

impl Process {
    /// Starts one.
    pub(crate) fn start(place: Place) -> io::Result<Self> {
        let errors = place.journal(place.incarnation).with_extension("stderr");
        let said = Arc::new(Mutex::new(Said::default()));
        let heard = Arc::clone(&said);
        let client =
            ClientProcess::start(place.words(), &errors, move |line| heard.lock().unwrap().hear(line))?;
        Ok(Self { place, client, said })
    }

    /// Returns what it has said so far.
    pub(crate) fn said(&self) -> Said {
        self.said.lock().unwrap().clone()
    }
}

impl Deref for Process {
    type Target = ClientProcess;

    fn deref(&self) -> &ClientProcess {
        &self.client
    }
}

impl DerefMut for Process {
    fn deref_mut(&mut self) -> &mut ClientProcess {
        &mut self.client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_well_when_it_is_ready_and_all_its_nodes_are_up() {
        let after = |lines: &[&str]| {
            let mut said = Said::default();
            lines.iter().for_each(|line| said.hear(line));
            said.is_well()
        };
        assert!(after(&["health a=Down b=Up", "ready", "health a=Up b=Up"]));
        assert!(!after(&["ready"]));
        assert!(!after(&["health a=Up b=Up"]));
        assert!(!after(&["ready", "health a=Up b=Suspect"]));
        assert!(!after(&["ready", "health a=Suspect b=Suspect"]));
        assert!(after(&["ready", "health a=Suspect b=Suspect", "conflicts list:0:0 value:1:2"]));
        assert!(!after(&["ready", "health a=Up b=Suspect", "conflicts list:0:0"]));
        assert!(!after(&["ready", "health a=Suspect b=Suspect", "conflicts list:0:0", "conflicts"]));
    }

    #[test]
    fn the_sweeps_are_told_apart() {
        let mut said = Said::default();
        said.hear("swept 1 7");
        said.hear("swept 2 0");
        assert_eq!(said.swept, BTreeMap::from([(1, 7), (2, 0)]));
    }
}

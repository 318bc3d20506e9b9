//! The command line of the runner.

use std::time::Duration;

use redisdb_tests::Seeds;
use redisdb_tests::number;

use crate::fault::FAULT_KINDS;
use crate::fault::FaultKind;
use crate::plan::Shape;

/// The options of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) seeds: Seeds,
    pub(crate) shape: Shape,
    /// The time during which faults begin, for each seed.
    pub(crate) time: Duration,
    pub(crate) identity: bool,
    /// The number of keys that the servers hold and nobody uses, so that comparing all takes its time.
    pub(crate) ballast: usize,
    /// Show the plans, and run nothing.
    pub(crate) plan: bool,
}

impl Options {
    /// Reads the words after the program's name.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn read(words: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
            match word.as_str() {
                option if options.seeds.read(option, &mut value)? => {}
                "--nodes" => options.shape.n_nodes = number(word, value()?)?,
                "--processes" => options.shape.n_processes = number(word, value()?)?,
                "--together" => options.shape.together = number(word, value()?)?,
                "--seconds" => options.time = Duration::from_secs(number(word, value()?)?),
                "--faults" => options.shape.kinds = kinds(value()?)?,
                "--ballast" => options.ballast = number(word, value()?)?,
                "--no-identity" => options.identity = false,
                "--plan" => options.plan = true,
                _ => return Err(format!("an unknown option: `{word}`")),
            }
        }
        match options.shape {
            Shape { n_nodes: 2..=26, n_processes: 1.., together: 1.., .. } => Ok(options),
            _ => Err("there have to be 2 to 26 nodes, and at least one process and one fault".to_owned()),
        }
    }

    /// Returns how long the copy may take to heal after the last fault: 30 s, and with ballast what a supervisor needs that compares each
    /// key of each node twice, at the rate that it has.
    pub(crate) fn heal(&self) -> Duration {
        /// A supervisor compares 10,000 keys per second, and a busy machine half of that.
        const RATE: f64 = 5_000.0;
        Duration::from_secs(30)
            + Duration::from_secs_f64(2.0 * (self.ballast * self.shape.n_nodes) as f64 / RATE)
    }

    /// All that a verdict depends on beside the seed, in words.
    pub(crate) fn conditions(&self, server: &str) -> String {
        let Shape { n_nodes, n_processes, together, kinds } = &self.shape;
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        let identity = if self.identity { "" } else { ", no identity" };
        let ballast = if self.ballast == 0 { String::new() } else { format!(", ballast {}", self.ballast) };
        format!(
            "{n_nodes} nodes of {server}, {n_processes} processes, {} s, up to {together} of {}{identity}{ballast}",
            self.time.as_secs(),
            kinds.join(",")
        )
    }
}

impl Default for Options {
    fn default() -> Self {
        // A server that is away for long takes longer than all the other faults of a seed.
        let kinds = FAULT_KINDS.iter().map(|(_, kind)| *kind).filter(|kind| !kind.is_long());
        let kinds = kinds.collect();
        Self {
            seeds: Seeds::default(),
            shape: Shape { n_nodes: 3, n_processes: 3, kinds, together: 2 },
            time: Duration::from_secs(60),
            identity: true,
            ballast: 0,
            plan: false,
        }
    }
}

fn kinds(text: &str) -> Result<Vec<FaultKind>, String> {
    let names = || FAULT_KINDS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ");
    let kind = |name: &str| {
        let found = FAULT_KINDS.iter().find(|(other, _)| *other == name).map(|(_, kind)| *kind);
        found.ok_or_else(|| format!("there is no fault `{name}`; there are: {}", names()))
    };
    text.split(',').map(kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Result<Options, String> {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        Options::read(&words)
    }

    #[test]
    fn options_are_read_over_their_defaults() {
        assert_eq!(read(""), Ok(Options::default()));
        let options =
            read("--seeds 3..5 --nodes 5 --faults kill,cut --together 4 --no-identity --resume").unwrap();
        assert_eq!(
            (options.seeds.seeds.clone(), options.shape.n_nodes, options.shape.together),
            (3..5, 5, 4)
        );
        assert_eq!(options.shape.kinds, [FaultKind::Kill, FaultKind::Cut]);
        assert!(!options.identity && options.seeds.resume && !options.plan);
        assert_eq!(read("--seeds 7").unwrap().seeds.seeds, 7..8);
    }

    #[test]
    fn a_wrong_option_says_what_would_be_right() {
        for (words, reason) in [
            ("--seeds 5..5", "no seed"),
            ("--seeds x", "A..B"),
            ("--faults fire", "kill stop"),
            ("--nodes", "needs a value"),
            ("--nodes 1", "2 to 26"),
            ("--together 0", "one fault"),
            ("--nonsense", "unknown"),
        ] {
            assert!(read(words).unwrap_err().contains(reason), "{words}");
        }
    }

    #[test]
    fn the_conditions_tell_each_option_that_matters() {
        let base = Options::default().conditions("7.0.15");
        for words in [
            "--nodes 5",
            "--processes 2",
            "--seconds 5",
            "--together 1",
            "--faults kill",
            "--no-identity",
            "--ballast 9",
        ] {
            assert_ne!(read(words).unwrap().conditions("7.0.15"), base, "{words}");
        }
        assert_eq!(read("--resume --keep --seeds 1..9").unwrap().conditions("7.0.15"), base);
    }
}

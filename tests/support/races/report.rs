//! The report about a seed.

use std::time::Duration;
use std::time::Instant;

use crate::crowd::Convergence;
use crate::options::Options;
use crate::options::Scene;

/// The most memory that a process may take, whatever changes, in MiB.
const MOST_MIB: u64 = 200;

/// A seed that was run.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    pub(crate) seed: u64,
    /// The time during which keys were written.
    pub(crate) lasted: Duration,
    pub(crate) acknowledged: usize,
    pub(crate) unknown: usize,
    pub(crate) refused: usize,
    pub(crate) n_killed: usize,
    /// The number of changes that pipelines have made.
    pub(crate) changed: u64,
    /// The time when the last key was written.
    pub(crate) last: Option<Instant>,
    /// The number of keys that differed right after the last write.
    pub(crate) differed_at_once: usize,
    /// The time after the last write at which the servers were compared.
    pub(crate) looked_after: Duration,
    /// The keys that differed then, with what each server held.
    pub(crate) differing: Vec<(String, Vec<String>)>,
    /// The time when they differed no more, if they did then and became equal later.
    pub(crate) equal_after: Option<Duration>,
    pub(crate) n_sums: usize,
    pub(crate) wrong_sums: Vec<String>,
    /// The keys of the wrong sums, as those that differ.
    pub(crate) traced: Vec<(String, Vec<String>)>,
    /// Keys that ended somewhere before their time by the clock that counts.
    pub(crate) early: Vec<String>,
    /// The number of keys that were copied when copying should have come to rest.
    pub(crate) copied_on: u64,
    /// The number of keys that were there when all should have ended.
    pub(crate) left_over: usize,
    /// The looks from time to time.
    pub(crate) over_time: Vec<String>,
    pub(crate) convergence: Convergence,
    pub(crate) longest_lag_ms: u64,
    /// The most memory of the process that leads, in MiB.
    pub(crate) most_mib: u64,
    /// The time for which the machine was late altogether.
    pub(crate) late_ms: u64,
    /// The troubles that make the run worthless.
    pub(crate) troubles: Vec<String>,
}

impl Ran {
    /// Returns what broke a promise, each kind with how often; empty if nothing did.
    pub(crate) fn broken(&self, options: &Options) -> Vec<String> {
        // Where the race leaves so few keys different, it proves nothing.
        let is_proof = options.n_keys() < self.differing.len() * 100;
        let differing = if options.leave { 0 } else { self.differing.len() };
        let counts = [
            ("differing", differing),
            ("no race", usize::from(options.leave && !is_proof)),
            ("wrong sums", self.wrong_sums.len()),
            ("refused", self.refused),
            ("ended early", self.early.len()),
            ("copied without end", self.copied_on as usize),
            ("not ended", self.left_over),
            ("MiB", if MOST_MIB < self.most_mib { self.most_mib as usize } else { 0 }),
            ("worthless", self.troubles.len()),
        ];
        counts.iter().filter(|(_, n)| 0 < *n).map(|(name, n)| format!("{name} {n}")).collect()
    }

    /// The line of the seed.
    pub(crate) fn line(&self, options: &Options) -> String {
        let broken = self.broken(options);
        let judged =
            if broken.is_empty() { "kept".to_owned() } else { format!("BROKEN: {}", broken.join(", ")) };
        let Self { lasted, differing, .. } = self;
        let mut parts = vec![format!("seed {}: {judged}", self.seed)];
        let later = self.equal_after.map(|after| format!(", 0 after {:.1} s", after.as_secs_f64()));
        let looked = format!(
            "{} differ {:.1} s after the last write{}",
            differing.len(),
            self.looked_after.as_secs_f64(),
            later.unwrap_or_default()
        );
        match options.scene {
            Scene::Clock => parts.push(format!(
                "{looked}, {} copied on at rest, {} ended early; {}",
                self.copied_on,
                self.early.len(),
                self.over_time.join("; ")
            )),
            Scene::Storm => parts.push(format!(
                "{looked}, {} at once; {} changes in {:.1} s; {}",
                self.differed_at_once,
                self.changed,
                lasted.as_secs_f64(),
                self.over_time.join("; ")
            )),
            Scene::Race | Scene::Kill => {
                let killed =
                    if self.n_killed == 0 { String::new() } else { format!(", {} killed", self.n_killed) };
                parts.push(format!("{looked}, {} at once", self.differed_at_once));
                parts.push(format!(
                    "writes {} ok, {} unknown, {} refused in {:.1} s{killed}",
                    self.acknowledged,
                    self.unknown,
                    self.refused,
                    lasted.as_secs_f64()
                ));
                if !options.leave {
                    parts.push(format!("sums {} wrong of {}", self.wrong_sums.len(), self.n_sums));
                }
            }
        }
        let Convergence { converged, gaps, rounds, .. } = self.convergence;
        let lag = self.longest_lag_ms as f64 / 1e3;
        parts.push(format!("converged {converged}, lag up to {lag:.1} s, gaps {gaps}, rounds {rounds}"));
        parts.push(format!("machine late {} ms", self.late_ms));
        parts.join(" | ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &str) -> Options {
        Options::read(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).unwrap()
    }

    fn differing(n: usize) -> Ran {
        Ran { differing: vec![("SET:0".to_owned(), Vec::new()); n], ..Ran::default() }
    }

    #[test]
    fn each_promise_breaks_a_seed() {
        let race = options("");
        assert!(Ran::default().broken(&race).is_empty());
        assert_eq!(differing(3).broken(&race), ["differing 3"]);
        for ran in [
            Ran { wrong_sums: vec![String::new()], ..Ran::default() },
            Ran { refused: 1, ..Ran::default() },
            Ran { early: vec![String::new()], ..Ran::default() },
            Ran { copied_on: 1, ..Ran::default() },
            Ran { left_over: 1, ..Ran::default() },
            Ran { troubles: vec![String::new()], ..Ran::default() },
        ] {
            assert_eq!(ran.broken(&race).len(), 1, "{ran:?}");
        }
    }

    #[test]
    fn a_race_that_leaves_hardly_a_key_different_proves_nothing() {
        let leave = options("--leave --keys 1000");
        assert_eq!(differing(10).broken(&leave), ["no race 1"]);
        assert!(differing(11).broken(&leave).is_empty());
    }
}

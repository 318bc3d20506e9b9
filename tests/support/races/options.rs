//! The command line of the runner.

use redisdb_tests::Seeds;
use redisdb_tests::number;

/// The scene that is played on the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    /// All processes write the same keys at the same moment.
    Race,
    /// So they do, and one of them is killed each time.
    Kill,
    /// Keys are changed by pipelines, as fast as can be up to a rate.
    Storm,
    /// Keys end, and the clock of one server is ahead.
    Clock,
}

/// The options of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) seeds: Seeds,
    pub(crate) scene: Scene,
    pub(crate) n_processes: usize,
    keys: Option<usize>,
    /// The nodes are left different.
    pub(crate) leave: bool,
    /// Have each server tell all commands, for the traces.
    pub(crate) monitor: bool,
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
                "--processes" => options.n_processes = number(word, value()?)?,
                "--keys" => options.keys = Some(number(word, value()?)?),
                "--kill" => options.scene = Scene::Kill,
                "--storm" => options.scene = Scene::Storm,
                "--clock" => options.scene = Scene::Clock,
                "--leave" => options.leave = true,
                "--monitor" => options.monitor = true,
                _ => return Err(format!("an unknown option: `{word}`")),
            }
        }
        if options.n_processes < 2 || options.n_keys() == 0 {
            return Err("a race needs two processes at least, and a key".to_owned());
        }
        if options.leave && options.scene != Scene::Race {
            return Err("`--leave` shows what a race leaves, and is for no other scene".to_owned());
        }
        Ok(options)
    }

    /// Returns how many keys there are, over all operations together.
    pub(crate) fn n_keys(&self) -> usize {
        self.keys.unwrap_or(match self.scene {
            Scene::Race | Scene::Kill => 10_000,
            Scene::Storm => 100_000,
            Scene::Clock => 1000,
        })
    }

    /// All that a verdict depends on beside the seed, in words.
    pub(crate) fn conditions(&self, server: &str) -> String {
        let scene = match self.scene {
            Scene::Race if self.leave => "race, left different",
            Scene::Race => "race",
            Scene::Kill => "race with kills",
            Scene::Storm => "storm",
            Scene::Clock => "one clock ahead",
        };
        format!("{scene}: {server}, {} processes, {} keys", self.n_processes, self.n_keys())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seeds: Seeds::default(),
            scene: Scene::Race,
            n_processes: 2,
            keys: None,
            leave: false,
            monitor: false,
        }
    }
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
        let options = read("--seeds 3..5 --processes 4 --kill --resume").unwrap();
        assert_eq!((options.seeds.seeds.clone(), options.n_processes, options.scene), (3..5, 4, Scene::Kill));
        assert!(options.seeds.resume && !options.leave);
        assert_eq!((options.n_keys(), read("--keys 7").unwrap().n_keys()), (10_000, 7));
    }

    #[test]
    fn a_wrong_option_says_what_would_be_right() {
        for (words, reason) in [
            ("--processes 1", "two processes"),
            ("--keys 0", "a key"),
            ("--keys x", "a number"),
            ("--seeds", "needs a value"),
            ("--storm --leave", "no other scene"),
            ("--nonsense", "unknown"),
        ] {
            assert!(read(words).unwrap_err().contains(reason), "{words}");
        }
    }

    #[test]
    fn the_conditions_tell_each_option_that_matters() {
        let base = Options::default().conditions("7.0.15");
        for words in ["--processes 4", "--keys 9", "--kill", "--storm", "--clock", "--leave"] {
            assert_ne!(read(words).unwrap().conditions("7.0.15"), base, "{words}");
        }
        assert_eq!(read("--resume --keep --monitor --seeds 1..9").unwrap().conditions("7.0.15"), base);
    }
}

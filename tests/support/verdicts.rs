//! The file of the verdicts that there are, for a run that is resumed.

use std::fs;
use std::io;
use std::path::PathBuf;

/// The verdicts of earlier runs: a line each, of the conditions, the seed, whether it was kept, and what was said of it.
#[derive(Debug)]
pub struct Verdicts {
    path: PathBuf,
    lines: Vec<(String, u64, bool, String)>,
}

impl Verdicts {
    /// Reads the file, if there is one.
    pub fn open(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap_or_default();
        Self { path, lines: text.lines().filter_map(parse).collect() }
    }

    /// The verdict on a seed under these conditions: whether it was kept, and the line.
    pub fn get(&self, conditions: &str, seed: u64) -> Option<(bool, &str)> {
        let line = self.lines.iter().find(|(other, its_seed, ..)| other == conditions && *its_seed == seed);
        line.map(|(_, _, is_kept, line)| (*is_kept, line.as_str()))
    }

    /// Writes a verdict down, in the place of an earlier one.
    pub fn put(&mut self, conditions: &str, seed: u64, is_kept: bool, line: &str) -> io::Result<()> {
        self.lines.retain(|(other, its_seed, ..)| other != conditions || *its_seed != seed);
        self.lines.push((conditions.to_owned(), seed, is_kept, line.replace(['\t', '\n'], " ")));
        let line = |(conditions, seed, is_kept, line): &(String, u64, bool, String)| {
            format!("{conditions}\t{seed}\t{}\t{line}\n", if *is_kept { "kept" } else { "broken" })
        };
        // Never half a file: a run may be ended at any moment.
        let unfinished = self.path.with_extension("new");
        fs::write(&unfinished, self.lines.iter().map(line).collect::<String>())?;
        fs::rename(unfinished, &self.path)
    }
}

fn parse(line: &str) -> Option<(String, u64, bool, String)> {
    let mut words = line.splitn(4, '\t');
    let (conditions, seed, verdict, line) = (words.next()?, words.next()?, words.next()?, words.next()?);
    Some((conditions.to_owned(), seed.parse().ok()?, verdict == "kept", line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_found_by_its_conditions_and_its_seed_also_after_a_restart() {
        let path = std::env::temp_dir().join(format!("redisdb-verdicts-{}", std::process::id()));
        let mut verdicts = Verdicts::open(path.clone());
        verdicts.put("3 nodes", 1, true, "seed 1: kept").unwrap();
        verdicts.put("3 nodes", 2, false, "seed 2: BROKEN").unwrap();
        verdicts.put("3 nodes", 1, false, "seed 1: BROKEN").unwrap();
        let verdicts = Verdicts::open(path.clone());
        fs::remove_file(path).unwrap();
        assert_eq!(verdicts.get("3 nodes", 1), Some((false, "seed 1: BROKEN")));
        assert_eq!(verdicts.get("3 nodes", 2), Some((false, "seed 2: BROKEN")));
        assert_eq!(verdicts.get("5 nodes", 1), None);
        assert_eq!(verdicts.get("3 nodes", 3), None);
    }
}

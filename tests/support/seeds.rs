//! Runs of many seeds: one after the other, a line for each, and a table in the end.

use std::fs;
use std::io::IsTerminal;
use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;

use crate::Verdicts;

/// The result of a run, or why it could not be run.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The findings about a seed.
#[derive(Debug, Clone)]
pub struct Judged {
    /// True if every promise was kept.
    pub is_kept: bool,
    /// All that is said of it in a line. It begins with `seed N: ` and the verdict, and `|` ends the verdict.
    pub line: String,
    /// The traces that help to find out why a promise was broken.
    pub traces: String,
    /// True if the verdict stands, so that a run that is resumed leaves this seed out.
    pub is_final: bool,
}

/// The seeds to judge, and what is done with what was found out before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeds {
    /// The seeds, in their order.
    pub seeds: Range<u64>,
    /// Leave out the seeds that have a verdict.
    pub resume: bool,
    /// Keep the files of a seed that has broken a promise.
    pub keep: bool,
}

impl Default for Seeds {
    fn default() -> Self {
        Self { seeds: 1..2, resume: false, keep: false }
    }
}

impl Seeds {
    /// Reads an option of the command line, with its value if it has one. Returns whether it is one of these.
    ///
    /// # Errors
    /// What is wrong with the value.
    pub fn read<'a>(
        &mut self,
        option: &str,
        value: impl FnOnce() -> Result<&'a String, String>,
    ) -> Result<bool, String> {
        match option {
            "--seeds" => self.seeds = seeds(value()?)?,
            "--resume" => self.resume = true,
            "--keep" => self.keep = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Judges one seed after the other, each in an empty folder of its own, and returns whether every promise was kept. The
    /// verdicts and the traces stand in `folder`; the conditions are all that a verdict depends on beside the seed, in words.
    ///
    /// # Errors
    /// A verdict could not be written down. A seed that could not be run is no error: its line says so, and it has no verdict.
    pub fn judge(
        &self,
        folder: &Path,
        conditions: &str,
        mut judge: impl FnMut(u64, &Path) -> Outcome<Judged>,
    ) -> Outcome<bool> {
        fs::create_dir_all(folder)?;
        let mut verdicts = Verdicts::open(folder.join("verdicts"));
        println!("{conditions}");
        let mut rows: Vec<(u64, bool, String)> = Vec::new();
        for seed in self.seeds.clone() {
            if let Some((is_kept, line)) = verdicts.get(conditions, seed).filter(|_| self.resume) {
                println!("{line} (run before)");
                rows.push((seed, is_kept, line.to_owned()));
                continue;
            }
            let of_seed = folder.join(format!("seed-{seed}"));
            let judged = match new_folder(&of_seed).and_then(|()| judge(seed, &of_seed)) {
                Ok(judged) => judged,
                Err(error) => {
                    let line = format!("seed {seed}: NOT JUDGED: {error}");
                    println!("{line}");
                    rows.push((seed, false, line));
                    continue;
                }
            };
            let Judged { is_kept, line, traces, is_final } = judged;
            if is_kept || !self.keep {
                fs::remove_dir_all(&of_seed)?;
            }
            println!("{line}");
            let path = folder.join(format!("seed-{seed}.txt"));
            if is_kept {
                let _there_may_be_none = fs::remove_file(path);
            } else {
                fs::write(&path, traces)?;
                println!("  its traces: {}", path.display());
            }
            if is_final {
                verdicts.put(conditions, seed, is_kept, &line)?;
            }
            rows.push((seed, is_kept, line));
        }
        println!("\n{:>6}  verdict", "seed");
        for (seed, is_kept, line) in &rows {
            let judged = line.split(" | ").next().and_then(|judged| judged.split_once(": "));
            println!("{seed:>6}  {}", if *is_kept { "kept" } else { judged.map_or("", |(_, rest)| rest) });
        }
        let n_kept = rows.iter().filter(|(_, is_kept, _)| *is_kept).count();
        println!("{n_kept} of {} seeds kept every promise", rows.len());
        Ok(n_kept == rows.len())
    }
}

/// Tells the shell whether every promise was kept.
pub fn exit(is_kept: Outcome<bool>) -> ExitCode {
    match is_kept {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads `A..B`, where B is not run any more, or one seed.
fn seeds(text: &str) -> Result<Range<u64>, String> {
    let wrong = |_| format!("`{text}` are no seeds: write `A..B`, or one number");
    let (first, end) = match text.split_once("..") {
        Some((first, end)) => (first.parse().map_err(wrong)?, end.parse().map_err(wrong)?),
        None => text.parse().map(|seed: u64| (seed, seed.saturating_add(1))).map_err(wrong)?,
    };
    if first < end { Ok(first..end) } else { Err(format!("there is no seed in `{text}`")) }
}

/// Reads the number that an option wants.
///
/// # Errors
/// It is none.
pub fn number<N: std::str::FromStr>(option: &str, text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("`{option}` wants a number, not `{text}`"))
}

/// Says on a terminal how far a seed is; a file has no use for it.
pub fn progress(seed: u64, what: &str) {
    if std::io::stderr().is_terminal() {
        let shown: String = format!("seed {seed}: {what}").chars().take(100).collect();
        eprint!("\r{shown:<100}\r");
    }
}

/// Makes an empty folder for a seed.
fn new_folder(folder: &Path) -> Outcome<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(fs::create_dir_all(folder)?)
}

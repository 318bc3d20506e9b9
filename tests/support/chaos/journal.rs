//! The journal of a client process: each operation before it is sent and after it has returned, a line each.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::Path;

use redisdb_tests::clock::now;

/// The change of a write to one element of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The element has this value afterwards, which no other write gives it.
    Put(String, u64),
    /// The element is not there afterwards.
    Del(String),
    /// No element is there afterwards.
    Clear,
    /// So much is added to the element.
    Add(String, u64),
    /// One element goes, which the reply names.
    Pop,
}

/// The outcome of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The write was acknowledged.
    Ok,
    /// The write certainly has not been executed.
    Not,
    /// The write may have been executed, or may be later.
    Unknown,
}

/// The elements of a key that a read saw, with their values.
pub(crate) type Seen = BTreeMap<String, u64>;

/// A line of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// A write is about to be sent: its number in this journal, its key, its number among the writes of the key.
    Sent { id: u64, at: u64, key: String, seq: u64, effects: Vec<Effect> },
    /// The write has returned; one that took an element, with the element.
    Done { id: u64, at: u64, outcome: Outcome, detail: String },
    /// A read is about to be sent; it will see this element, or all (`*`).
    Asked { id: u64, at: u64, key: String, scope: String },
    /// The read has returned.
    Saw { id: u64, at: u64, seen: Seen },
    /// The read has failed.
    Failed { id: u64, at: u64, why: String },
    /// The copy has told something.
    Told { at: u64, what: String },
}

/// A journal that is being written.
#[derive(Debug)]
pub(crate) struct Journal(File);

impl Journal {
    /// Begins one.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        File::options().create_new(true).append(true).open(path).map(Self)
    }

    /// Writes a line. It is there also if the process is killed afterwards.
    pub(crate) fn note(&self, record: &Record) {
        let line = format!("{record}\n");
        (&self.0).write_all(line.as_bytes()).expect("the journal cannot be written");
    }

    /// Notes what the copy has told.
    pub(crate) fn tell(&self, what: &str) {
        self.note(&Record::Told { at: now(), what: what.replace('\n', " | ") });
    }
}

/// Reads a journal. Its last line may have been cut by the end of its process.
///
/// # Panics
/// If another line is none.
pub(crate) fn read(path: &Path) -> io::Result<Vec<Record>> {
    let text = fs::read_to_string(path)?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let parse = |line: &str| Record::parse(line).unwrap_or_else(|| panic!("{}: `{line}`", path.display()));
    Ok(whole.lines().map(parse).collect())
}

impl Record {
    fn parse(line: &str) -> Option<Self> {
        let (tag, rest) = line.split_once(' ')?;
        let (first, rest) = rest.split_once(' ')?;
        let first = first.parse().ok()?;
        if tag == "E" {
            return Some(Self::Told { at: first, what: rest.to_owned() });
        }
        let (at, rest) = rest.split_once(' ')?;
        let (id, at) = (first, at.parse().ok()?);
        let mut words = rest.split(' ');
        let mut word = || words.next().map(str::to_owned);
        Some(match tag {
            "W" => {
                let (key, seq, effects) = (word()?, word()?.parse().ok()?, word()?);
                let effects =
                    if effects == "-" { Some(Vec::new()) } else { effects.split(',').map(effect).collect() };
                Self::Sent { id, at, key, seq, effects: effects? }
            }
            "D" => Self::Done { id, at, outcome: outcome(&word()?)?, detail: word()? },
            "R" => Self::Asked { id, at, key: word()?, scope: word()? },
            "V" if rest == "-" => Self::Saw { id, at, seen: Seen::new() },
            "V" => {
                let element = |pair: &str| {
                    let (element, value) = pair.split_once('=')?;
                    Some((element.to_owned(), value.parse().ok()?))
                };
                Self::Saw { id, at, seen: rest.split(',').map(element).collect::<Option<_>>()? }
            }
            "X" => Self::Failed { id, at, why: rest.to_owned() },
            _ => return None,
        })
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent { id, at, key, seq, effects } => {
                write!(f, "W {id} {at} {key} {seq} {}", shown(effects))
            }
            Self::Done { id, at, outcome, detail } => {
                write!(f, "D {id} {at} {} {}", outcome.name(), if detail.is_empty() { "-" } else { detail })
            }
            Self::Asked { id, at, key, scope } => write!(f, "R {id} {at} {key} {scope}"),
            Self::Saw { id, at, seen } => write!(f, "V {id} {at} {}", shown_elements(seen)),
            Self::Failed { id, at, why } => write!(f, "X {id} {at} {}", why.replace('\n', " | ")),
            Self::Told { at, what } => write!(f, "E {at} {what}"),
        }
    }
}

/// The effects as a journal has them.
pub(crate) fn shown(effects: &[Effect]) -> String {
    let shown = |effect: &Effect| match effect {
        Effect::Put(element, value) => format!("+{element}={value}"),
        Effect::Del(element) => format!("-{element}"),
        Effect::Clear => "!".to_owned(),
        Effect::Add(element, n) => format!("#{element}={n}"),
        Effect::Pop => "?".to_owned(),
    };
    let shown: Vec<String> = effects.iter().map(shown).collect();
    if shown.is_empty() { "-".to_owned() } else { shown.join(",") }
}

/// Returns what was seen as a journal has it.
pub(crate) fn shown_elements(seen: &Seen) -> String {
    let elements: Vec<String> = seen.iter().map(|(element, value)| format!("{element}={value}")).collect();
    if elements.is_empty() { "-".to_owned() } else { elements.join(",") }
}

fn effect(text: &str) -> Option<Effect> {
    let pair = |text: &str| {
        let (element, n) = text.split_once('=')?;
        Some((element.to_owned(), n.parse().ok()?))
    };
    let (sign, rest) = text.split_at_checked(1)?;
    Some(match sign {
        "+" => pair(rest).map(|(element, value)| Effect::Put(element, value))?,
        "#" => pair(rest).map(|(element, n)| Effect::Add(element, n))?,
        "-" => Effect::Del(rest.to_owned()),
        "!" => Effect::Clear,
        "?" => Effect::Pop,
        _ => return None,
    })
}

impl Outcome {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Not => "not",
            Self::Unknown => "unknown",
        }
    }
}

fn outcome(name: &str) -> Option<Outcome> {
    [Outcome::Ok, Outcome::Not, Outcome::Unknown].into_iter().find(|outcome| outcome.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let effects = vec![
            Effect::Put("v".into(), 3),
            Effect::Del("w".into()),
            Effect::Clear,
            Effect::Add("n".into(), 2),
            Effect::Pop,
        ];
        let seen = Seen::from([("a".into(), 1), ("b".into(), 2)]);
        let key = || "set:1:2".to_owned();
        for record in [
            Record::Sent { id: 1, at: 2, key: key(), seq: 3, effects },
            Record::Sent { id: 1, at: 2, key: key(), seq: 3, effects: Vec::new() },
            Record::Done { id: 1, at: 2, outcome: Outcome::Unknown, detail: "-".into() },
            Record::Asked { id: 1, at: 2, key: key(), scope: "*".into() },
            Record::Saw { id: 1, at: 2, seen },
            Record::Saw { id: 1, at: 2, seen: Seen::new() },
            Record::Failed { id: 1, at: 2, why: "no node can answer".into() },
            Record::Told { at: 2, what: "node `a` is Down".into() },
        ] {
            assert_eq!(Record::parse(&record.to_string()), Some(record));
        }
    }

    #[test]
    fn the_line_of_a_process_that_was_killed_is_left_out() {
        let path = std::env::temp_dir().join(format!("redisdb-journal-{}", std::process::id()));
        fs::write(&path, "R 1 2 set:1:2 *\nV 1 3 a=").unwrap();
        let records = read(&path);
        fs::remove_file(&path).unwrap();
        assert_eq!(records.unwrap().len(), 1);
    }
}

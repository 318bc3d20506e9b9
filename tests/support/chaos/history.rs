//! The history of each element of each key, put together from the journals of all processes.

use std::collections::BTreeMap;
use std::collections::HashMap;

use crate::journal::Effect;
use crate::journal::Outcome;
use crate::journal::Record;
use crate::journal::Seen;
use crate::keys;

/// A write of one key.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    /// The process, by its position among all that there were.
    pub(crate) by: usize,
    pub(crate) seq: u64,
    pub(crate) effects: Vec<Effect>,
    pub(crate) start: u64,
    /// The time when it returned; `None` if its process ended before, or it has not yet.
    pub(crate) end: Option<u64>,
    pub(crate) outcome: Outcome,
    pub(crate) detail: String,
}

/// A read of one key.
#[derive(Debug, Clone)]
pub(crate) struct Looked {
    pub(crate) by: usize,
    pub(crate) key: String,
    pub(crate) scope: String,
    pub(crate) start: u64,
    /// The time when it returned, and what it saw or why not; `None` if it never did.
    pub(crate) end: Option<(u64, Result<Seen, String>)>,
}

/// All that was written and read.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The writes of each key, in their order; of a key that all write, in the order in which they began.
    pub(crate) writes: BTreeMap<String, Vec<Written>>,
    pub(crate) reads: Vec<Looked>,
    /// The news that each process was told by its copy, with the time.
    pub(crate) told: Vec<(u64, usize, String)>,
}

/// A state that a write gives an element, or what it adds to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) value: Option<u64>,
    pub(crate) by: usize,
    pub(crate) start: u64,
    /// The time when it was acknowledged, if it was.
    pub(crate) acked: Option<u64>,
    /// The write was certainly not executed.
    pub(crate) is_not: bool,
}

/// The steps of an element, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Timeline {
    /// Each step says what the element is afterwards.
    Register(Vec<Step>),
    /// Each step adds to it.
    Counter(Vec<Step>),
    /// Each step adds to it, and several processes do so at once.
    Tally(Vec<Step>),
}

impl Timeline {
    fn push(&mut self, step: Step) {
        let (Self::Register(steps) | Self::Counter(steps) | Self::Tally(steps)) = self;
        steps.push(step);
    }

    /// Returns the same where nobody knows any more what was acknowledged by a time.
    pub(crate) fn forgetting(&self, by: u64) -> Self {
        let mut timeline = self.clone();
        let (Self::Register(steps) | Self::Counter(steps) | Self::Tally(steps)) = &mut timeline;
        steps.iter_mut().for_each(|step| step.acked = step.acked.filter(|acked| by < *acked));
        timeline
    }
}

/// The elements of a key.
pub(crate) type Elements = BTreeMap<String, Timeline>;

impl History {
    /// Puts the journals together, one for each process that there was.
    pub(crate) fn of(journals: Vec<Vec<Record>>) -> Self {
        let mut history = Self::default();
        for (by, records) in journals.into_iter().enumerate() {
            history.add(by, records);
        }
        for (key, writes) in &mut history.writes {
            let is_shared = is_shared(key);
            writes.sort_by_key(|write| (if is_shared { 0 } else { write.seq }, write.start));
        }
        history
    }

    fn add(&mut self, by: usize, records: Vec<Record>) {
        let mut done: HashMap<u64, (u64, Outcome, String)> = HashMap::new();
        let mut looked: HashMap<u64, (u64, Result<Seen, String>)> = HashMap::new();
        let mut begun = Vec::new();
        for record in records {
            match record {
                Record::Done { id, at, outcome, detail } => _ = done.insert(id, (at, outcome, detail)),
                Record::Saw { id, at, seen } => _ = looked.insert(id, (at, Ok(seen))),
                Record::Failed { id, at, why } => _ = looked.insert(id, (at, Err(why))),
                Record::Told { at, what } => self.told.push((at, by, what)),
                begin => begun.push(begin),
            }
        }
        for record in begun {
            match record {
                Record::Sent { id, at, key, seq, effects } => {
                    let (end, outcome, detail) = match done.get(&id) {
                        Some((end, outcome, detail)) => (Some(*end), *outcome, detail.clone()),
                        None => (None, Outcome::Unknown, "never returned".to_owned()),
                    };
                    let written = Written { by, seq, effects, start: at, end, outcome, detail };
                    self.writes.entry(key).or_default().push(written);
                }
                Record::Asked { id, at, key, scope } => {
                    let end = looked.remove(&id);
                    self.reads.push(Looked { by, key, scope, start: at, end });
                }
                _ => {}
            }
        }
    }

    /// Returns the elements of every key.
    pub(crate) fn elements(&self) -> BTreeMap<&str, Elements> {
        self.writes.iter().map(|(key, writes)| (key.as_str(), elements(key, writes))).collect()
    }
}

/// Returns whether all processes write a key.
fn is_shared(key: &str) -> bool {
    keys::kind_of(key).is_some_and(keys::KeyKind::is_shared)
}

/// The elements that these writes of one key have made.
fn elements(key: &str, writes: &[Written]) -> Elements {
    let counted = match is_shared(key) {
        true => Timeline::Tally,
        false => Timeline::Counter,
    };
    let mut elements = Elements::new();
    for write in writes {
        for effect in &write.effects {
            let step = |value| Step {
                value,
                by: write.by,
                start: write.start,
                acked: write.end.filter(|_| write.outcome == Outcome::Ok),
                is_not: write.outcome == Outcome::Not,
            };
            match effect {
                Effect::Put(element, value) => push(&mut elements, element, step(Some(*value))),
                Effect::Del(element) => push(&mut elements, element, step(None)),
                Effect::Clear => all(&mut elements, &step(None)),
                Effect::Add(element, n) => add(&mut elements, element, step(Some(*n)), counted),
                Effect::Pop => match write.outcome {
                    // There was nothing to take.
                    Outcome::Ok if write.detail == "-" => {}
                    Outcome::Ok => push(&mut elements, &write.detail, step(None)),
                    // Any of them may be gone.
                    Outcome::Unknown => all(&mut elements, &step(None)),
                    Outcome::Not => {}
                },
            }
        }
    }
    elements
}

fn push(elements: &mut Elements, element: &str, step: Step) {
    let timeline = elements.entry(element.to_owned()).or_insert_with(|| Timeline::Register(Vec::new()));
    timeline.push(step);
}

fn add(elements: &mut Elements, element: &str, step: Step, counted: fn(Vec<Step>) -> Timeline) {
    elements.entry(element.to_owned()).or_insert_with(|| counted(Vec::new())).push(step);
}

fn all(elements: &mut Elements, step: &Step) {
    for timeline in elements.values_mut() {
        if let Timeline::Register(steps) = timeline {
            steps.push(step.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "set:0:0";

    /// The values of steps, each with whether it was acknowledged.
    type Values = Vec<(Option<u64>, bool)>;

    /// The values of the steps of each element after these writes.
    fn steps(writes: &[(Effect, Outcome, &str)]) -> Vec<(String, Values)> {
        let mut records = Vec::new();
        for (id, (effect, outcome, detail)) in (1..).zip(writes) {
            let (key, effects) = (KEY.to_owned(), vec![effect.clone()]);
            records.push(Record::Sent { id, at: id * 10, key, seq: id, effects });
            records.push(Record::Done {
                id,
                at: id * 10 + 5,
                outcome: *outcome,
                detail: (*detail).to_owned(),
            });
        }
        let history = History::of(vec![records]);
        let elements = history.elements().remove(KEY).unwrap_or_default();
        let steps = |timeline: &Timeline| match timeline {
            Timeline::Register(steps) | Timeline::Counter(steps) | Timeline::Tally(steps) => {
                steps.iter().map(|step| (step.value, step.acked.is_some())).collect()
            }
        };
        elements.iter().map(|(element, timeline)| (element.clone(), steps(timeline))).collect()
    }

    fn put(element: &str) -> (Effect, Outcome, &'static str) {
        (Effect::Put(element.to_owned(), 1), Outcome::Ok, "")
    }

    fn of(element: &str, steps: &[(Option<u64>, bool)]) -> (String, Values) {
        (element.to_owned(), steps.to_vec())
    }

    const PUT: (Option<u64>, bool) = (Some(1), true);

    #[test]
    fn what_takes_an_element_takes_the_one_that_its_reply_names() {
        let taken = steps(&[put("a"), put("b"), (Effect::Pop, Outcome::Ok, "b")]);
        assert_eq!(taken, [of("a", &[PUT]), of("b", &[PUT, (None, true)])]);
        assert_eq!(steps(&[put("a"), (Effect::Pop, Outcome::Ok, "-")]), [of("a", &[PUT])]);
        assert_eq!(steps(&[put("a"), (Effect::Pop, Outcome::Not, "")]), [of("a", &[PUT])]);
    }

    #[test]
    fn what_may_have_taken_an_element_may_have_taken_any() {
        let taken = steps(&[put("a"), put("b"), (Effect::Pop, Outcome::Unknown, "")]);
        assert_eq!(taken, [of("a", &[PUT, (None, false)]), of("b", &[PUT, (None, false)])]);
    }

    #[test]
    fn deleting_the_key_takes_every_element() {
        let taken = steps(&[put("a"), put("b"), (Effect::Clear, Outcome::Ok, ""), put("b")]);
        assert_eq!(taken, [of("a", &[PUT, (None, true)]), of("b", &[PUT, (None, true), PUT])]);
    }

    #[test]
    fn the_journals_of_several_processes_make_one_history_in_the_order_of_the_writes() {
        let journal = |id, seq| {
            let (key, effects) = (KEY.to_owned(), vec![Effect::Clear]);
            vec![
                Record::Sent { id, at: 10 * seq, key, seq, effects },
                Record::Asked { id: 9, at: 1, key: KEY.into(), scope: "*".into() },
            ]
        };
        let history = History::of(vec![journal(1, 3), journal(1, 2)]);
        let order: Vec<(usize, u64)> =
            history.writes[KEY].iter().map(|write| (write.by, write.seq)).collect();
        assert_eq!(order, [(1, 2), (0, 3)]);
        assert!(
            history.writes[KEY].iter().all(|write| write.end.is_none() && write.outcome == Outcome::Unknown)
        );
        assert!(history.reads.iter().all(|read| read.end.is_none()));
    }
}

//! The record of the explored rules in a client process: each event that they were told, a line each, and where the copy did
//! something else than they would. A record is replayed through `step`, and must lead to the same states.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::fs;
use std::fs::File;
use std::io;
use std::io::BufWriter;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

use redisdb_cluster::shadow::Because;
use redisdb_cluster::shadow::Difference;
use redisdb_cluster::shadow::Listener;
use redisdb_cluster::shadow::Told;
use redisdb_cluster::shadow::digest;
use redisdb_cluster::shadow::replication::CallId;
use redisdb_cluster::shadow::replication::Digest;
use redisdb_cluster::shadow::replication::Event;
use redisdb_cluster::shadow::replication::Kind;
use redisdb_cluster::shadow::replication::Node;
use redisdb_cluster::shadow::replication::NodeSet;
use redisdb_cluster::shadow::replication::Report;
use redisdb_cluster::shadow::replication::Rule;
use redisdb_cluster::shadow::replication::Rules;
use redisdb_cluster::shadow::replication::Setup;
use redisdb_cluster::shadow::replication::Standing;
use redisdb_cluster::shadow::replication::State;
use redisdb_cluster::shadow::replication::step;

use redisdb_tests::clock::now;

use crate::returned::Compared;

type Key = Vec<u8>;

const STANDINGS: [(Standing, &str); 5] = [
    (Standing::Empty, "empty"),
    (Standing::Restarted, "restarted"),
    (Standing::FillingEmpty, "filling-empty"),
    (Standing::Filling, "filling"),
    (Standing::Current, "current"),
];

/// Has everything written into a file that the shadow of a copy tells.
pub(crate) fn record(path: &Path) -> io::Result<Listener> {
    let file = Mutex::new(BufWriter::new(File::create_new(path)?));
    Ok(Listener::new(move |told| {
        let line = match told {
            Told::Begins(setup) => format!("begins {} {}", setup.members.len(), setup.n_takers),
            Told::Took(event, digest) => match shown(event) {
                Some(event) => format!("{digest:016x} {event}"),
                None => format!("unknown {event:?}"),
            },
            Told::Differs(difference) => format!("differs {} {} {difference}", kind(&difference), now()),
            Told::Compared(node, keys) => format!("compared {} {node}{}", now(), shown_keys(keys)),
        };
        writeln!(file.lock().unwrap(), "{line}").expect("the record cannot be written");
    }))
}

fn kind(difference: &Difference) -> &'static str {
    match difference {
        Difference::Read(_, _, Because::TheGateIsShut) => "read-gate",
        Difference::Read(_, _, Because::ItIsLost) => "read-lost",
        Difference::Read(_, _, Because::ItIsNotCurrent) => "read-not-current",
        Difference::Read(_, _, Because::ItIsBehind) => "read-behind",
        Difference::Unanimous(_) => "unanimous",
        Difference::Unavailable(..) => "unavailable",
        Difference::Acknowledged(..) => "acknowledged",
        Difference::NotHinted(..) => "not-hinted",
        Difference::NotAcknowledged(_) => "not-acknowledged",
    }
}

/// The result of replaying records.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Replayed {
    pub(crate) n_events: usize,
    /// The number of times that the copy did something else than the rules would, by kind.
    pub(crate) differences: BTreeMap<String, usize>,
    /// The place where the rules came to another state than in the client.
    pub(crate) broken: Vec<String>,
    /// The keys that were compared in repairs.
    pub(crate) compared: Vec<Compared>,
}

impl Replayed {
    /// Replays a record. Its last line may have been cut by the end of its process.
    pub(crate) fn add(&mut self, path: &Path) -> io::Result<()> {
        let text = fs::read_to_string(path)?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        if let Err(why) = self.replay(whole) {
            self.broken.push(format!("{}: {why}", path.display()));
        }
        Ok(())
    }

    fn replay(&mut self, text: &str) -> Result<(), String> {
        let mut lines = text.lines().enumerate();
        let Some((_, first)) = lines.next() else { return Ok(()) };
        let setup = begins(first).ok_or_else(|| format!("it does not begin: `{first}`"))?;
        let mut state = State::default();
        for (number, line) in lines {
            let at = |why: &str| format!("line {}: {why}: `{line}`", number + 1);
            let (tag, rest) = line.split_once(' ').ok_or_else(|| at("no words"))?;
            if tag == "differs" {
                let kind = rest.split(' ').next().unwrap_or_default();
                *self.differences.entry(kind.to_owned()).or_default() += 1;
                continue;
            }
            if tag == "compared" {
                self.compared.push(parse_compared(rest).ok_or_else(|| at("no keys"))?);
                continue;
            }
            let recorded = u64::from_str_radix(tag, 16).map_err(|_| at("no digest"))?;
            let event = parse(rest).ok_or_else(|| at("no event"))?;
            let _done_by_then = step(&setup, &mut state, event);
            self.n_events += 1;
            if digest(&state) != recorded {
                return Err(at("another state"));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rules {} events, differ", self.n_events)?;
        let mut kinds = self.differences.iter();
        match kinds.next() {
            None => f.write_str(" 0")?,
            Some((kind, n)) => write!(f, " {kind} {n}")?,
        }
        kinds.try_for_each(|(kind, n)| write!(f, ", {kind} {n}"))
    }
}

fn begins(line: &str) -> Option<Setup> {
    let mut words = line.strip_prefix("begins ")?.split(' ');
    let mut number = || words.next()?.parse::<usize>().ok();
    let members = NodeSet::first_n(number()?);
    Some(Setup { members, n_takers: number()?, rules: Rules::ALL.without(Rule::Gate) })
}

/// The words of an event; `None` for one that no shadow tells.
fn shown(event: &Event<Key>) -> Option<String> {
    let of_node = |word: &str, call: &CallId, node: &Node| Some(format!("{word} {} {}", call.0, node.idx()));
    match event {
        Event::Lost(node) => Some(format!("lost {}", node.idx())),
        Event::Connected(node, report) => Some(format!("connected {} {}", node.idx(), shown_report(report))),
        Event::Told(node, report) => Some(format!("told {} {}", node.idx(), shown_report(report))),
        Event::Write(call, key, kind) => {
            let kind = if *kind == Kind::Whole { "whole" } else { "relative" };
            Some(format!("write {} {} {kind}", call.0, hex(key)))
        }
        Event::Wrote(call, node, None) => of_node("wrote", call, node),
        Event::Refused(call, node, None) => of_node("refused", call, node),
        Event::Hinted(call, node, None) => of_node("hinted", call, node),
        Event::Dropped(call) => Some(format!("dropped {}", call.0)),
        Event::Settled => Some("settled 0".to_owned()),
        Event::Mended(key, nodes) => Some(format!("mended 0 {} {}", hex(key), shown_nodes(*nodes))),
        Event::Read(call, key) => Some(format!("read {} {}", call.0, hex(key))),
        Event::Answered(call, node, digest, None) => {
            Some(format!("answered {} {} {}", call.0, node.idx(), digest.0))
        }
        _ => None,
    }
}

fn parse(line: &str) -> Option<Event<Key>> {
    let mut words = line.split(' ');
    let word = words.next()?;
    let mut number = || words.next()?.parse::<u64>().ok();
    let first = number()?;
    let node = |number: u64| Node::new(usize::try_from(number).ok()?);
    Some(match word {
        "lost" => Event::Lost(node(first)?),
        "connected" => Event::Connected(node(first)?, parse_report(words)?),
        "told" => Event::Told(node(first)?, parse_report(words)?),
        "write" => {
            let (key, kind) = (unhex(words.next()?)?, words.next()?);
            let kind = if kind == "whole" { Kind::Whole } else { Kind::Relative };
            Event::Write(CallId(first), key, kind)
        }
        "wrote" => Event::Wrote(CallId(first), node(number()?)?, None),
        "refused" => Event::Refused(CallId(first), node(number()?)?, None),
        "hinted" => Event::Hinted(CallId(first), node(number()?)?, None),
        "dropped" => Event::Dropped(CallId(first)),
        "settled" => Event::Settled,
        "mended" => Event::Mended(unhex(words.next()?)?, parse_nodes(words.next()?)?),
        "read" => Event::Read(CallId(first), unhex(words.next()?)?),
        "answered" => Event::Answered(CallId(first), node(number()?)?, Digest(number()?), None),
        _ => return None,
    })
}

fn shown_report(report: &Report<Key>) -> String {
    let standing = STANDINGS.iter().find(|(standing, _)| *standing == report.standing);
    let mut shown = format!("{} {}", standing.map_or("?", |(_, word)| word), shown_nodes(report.all));
    for (key, nodes) in &report.missed {
        write!(shown, " {}={}", hex(key), shown_nodes(*nodes)).unwrap();
    }
    shown
}

fn parse_report<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Report<Key>> {
    let word = words.next()?;
    let (standing, _) = STANDINGS.iter().find(|(_, known)| *known == word)?;
    let all = parse_nodes(words.next()?)?;
    let missed = words.map(|word| {
        let (key, nodes) = word.split_once('=')?;
        Some((unhex(key)?, parse_nodes(nodes)?))
    });
    let missed = missed.collect::<Option<_>>()?;
    Some(Report { standing: *standing, missed, all, forgotten: NodeSet::EMPTY })
}

/// Nodes as digits, `-` before them.
fn shown_nodes(nodes: NodeSet) -> String {
    std::iter::once("-".to_owned()).chain(nodes.iter().map(|node| node.idx().to_string())).collect()
}

fn parse_nodes(word: &str) -> Option<NodeSet> {
    let digits = word.strip_prefix('-')?.chars();
    digits.map(|digit| Node::new(digit.to_digit(10)? as usize)).collect()
}

fn shown_keys(keys: &[Key]) -> String {
    keys.iter().map(|key| format!(" {}", hex(key))).collect()
}

fn parse_compared(rest: &str) -> Option<Compared> {
    let mut words = rest.split(' ');
    let (at, node) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(Compared { at, node, keys: words.map(unhex).collect::<Option<_>>()? })
}

fn hex(key: &[u8]) -> String {
    key.iter().fold(String::from("x"), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn unhex(word: &str) -> Option<Key> {
    let digits = word.strip_prefix('x')?.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(missed: &[(&str, usize)]) -> Report<Key> {
        let nodes = |idx: usize| NodeSet::EMPTY.with(Node::new(idx).unwrap());
        let missed = missed.iter().map(|(key, idx)| (key.as_bytes().to_vec(), nodes(*idx))).collect();
        Report { standing: Standing::Current, missed, all: nodes(2), forgotten: NodeSet::EMPTY }
    }

    #[test]
    fn an_event_is_read_as_it_was_written() {
        let (node, call) = (Node::new(1).unwrap(), CallId(7));
        for event in [
            Event::Lost(node),
            Event::Connected(node, report(&[])),
            Event::Told(node, report(&[("a b", 0), ("", 2)])),
            Event::Write(call, b"k\n".to_vec(), Kind::Relative),
            Event::Write(call, b"k".to_vec(), Kind::Whole),
            Event::Wrote(call, node, None),
            Event::Refused(call, node, None),
            Event::Hinted(call, node, None),
            Event::Dropped(call),
            Event::Settled,
            Event::Mended(b"a b".to_vec(), NodeSet::first_n(2)),
            Event::Read(call, b"k".to_vec()),
            Event::Answered(call, node, Digest(3), None),
        ] {
            assert_eq!(parse(&shown(&event).unwrap()), Some(event));
        }
        assert_eq!(shown(&Event::LeaseLost), None);
    }

    #[test]
    fn keys_that_were_compared_are_read_as_they_were_written() {
        for keys in [Vec::new(), vec![b"a b".to_vec(), Vec::new()]] {
            let mut replayed = Replayed::default();
            replayed.replay(&format!("begins 2 1\ncompared 7 1{}\n", shown_keys(&keys))).unwrap();
            assert_eq!(replayed.compared, [Compared { at: 7, node: 1, keys }]);
        }
    }

    #[test]
    fn a_record_is_replayed_to_the_states_that_it_names_and_no_others() {
        let setup = begins("begins 2 1").unwrap();
        let node = Node::FIRST;
        let events = [Event::Connected(node, report(&[("k", 1)])), Event::Lost(node)];
        let mut state = State::default();
        let mut record = "begins 2 1\n".to_owned();
        for event in events {
            let shown = shown(&event).unwrap();
            let _effects = step(&setup, &mut state, event);
            writeln!(record, "{:016x} {shown}", digest(&state)).unwrap();
        }
        record.push_str("differs read-gate 5 `k` is read\n");
        let mut replayed = Replayed::default();
        replayed.replay(&record).unwrap();
        assert_eq!(replayed.to_string(), "rules 2 events, differ read-gate 1");
        let other = record.replace("=-1", "=-0");
        assert!(replayed.replay(&other).unwrap_err().contains("another state"));
    }
}

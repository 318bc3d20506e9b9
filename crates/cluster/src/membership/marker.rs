//! The marker of a server of a copy with an identity, and what follows from it: plain values.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;
use std::time::Instant;

use redisdb_node::plumbing::foreign;
use serde::Deserialize;
use serde::Serialize;

use crate::membership::leadership::Holder;
use crate::membership::leadership::Posts;

/// The version of the format in which markers are written.
const FORMAT: u32 = 2;
/// The time after which the epoch of the servers that are whole advances. A server that has missed two
/// advances was away for so long that the processes which knew what it missed may have ended.
const BEAT: Duration = Duration::from_secs(30);
/// A server that had its marker so lately is ours, whatever it holds now. By default Redis writes a dump once an hour if anything changes.
pub(crate) const LATELY: Duration = Duration::from_secs(3600);
/// So many times the epoch advances meanwhile.
const BEATS_LATELY: u64 = LATELY.as_secs() / BEAT.as_secs();

/// The marker of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    format: u32,
    node: String,
    pub(crate) state: Stage,
    pub(crate) epoch: u64,
    /// The number of times that the node has been made whole.
    #[serde(default)]
    pub(crate) generation: u64,
    /// The [process](redisdb_node::Node::process) whose memory was whole when this was written; `None` if nothing proves which
    /// one it was.
    #[serde(rename = "run_id")]
    pub(crate) process: Option<String>,
    /// True while the server is filled that had lost its data: what it holds until then is no reason for anything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) was_empty: bool,
    /// For each server that holds hints about the node, the number of the last hint that has served its
    /// purpose. Hints up to that number are void when they come back with an older dump of that server.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) void: BTreeMap<String, u64>,
    /// The nodes that the server holds hints about. If the marker names a node and the hints about it are not
    /// there, the hints were lost. The nodes stand behind the rest, a [line](line_about) for each, so that
    /// the scripts that give and remove hints can write them.
    #[serde(skip)]
    pub(crate) holds: BTreeSet<String>,
    /// The nodes that are forgotten: they are no part of the copy any more, whatever a configuration says.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) forgotten: BTreeSet<String>,
    /// The process that leads, if it says so here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) leader: Option<Holder>,
    /// The process that stands by, if it says so here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) standby: Option<Holder>,
}

/// Returns the line of a marker which says that the server holds hints about a node. It begins with the end
/// of the line before.
pub(crate) fn line_about(node: &str) -> String {
    // A JSON string contains no line end.
    format!("\n{}", serde_json::Value::from(node))
}

/// The stage of a server: it is whole, or it is being made whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    Ready,
    Syncing,
}

impl Marker {
    pub(crate) fn new(node: &str, state: Stage, epoch: u64, process: Option<String>) -> Self {
        Self {
            format: FORMAT,
            node: node.to_owned(),
            state,
            epoch,
            generation: 0,
            process,
            was_empty: false,
            void: BTreeMap::new(),
            holds: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            leader: None,
            standby: None,
        }
    }

    pub(crate) fn of_generation(self, generation: u64) -> Self {
        Self { generation, ..self }
    }

    /// Returns the same marker for a server that had lost its data, or had not.
    pub(crate) fn after_loss(self, was_empty: bool) -> Self {
        Self { was_empty, ..self }
    }

    /// Returns the same marker for a server that holds hints about these nodes.
    pub(crate) fn holding(self, holds: BTreeSet<String>) -> Self {
        Self { holds, ..self }
    }

    /// Returns the same marker, with these hints void too.
    pub(crate) fn voiding(mut self, void: &BTreeMap<String, u64>) -> Self {
        void_too(&mut self.void, void);
        self
    }

    /// Returns the same marker, with these nodes forgotten too.
    pub(crate) fn forgetting(mut self, names: &BTreeSet<String>) -> Self {
        self.forgotten.extend(names.iter().cloned());
        self
    }

    /// Returns the same marker, naming the process that leads and the one that stands by.
    pub(crate) fn with_posts(self, leader: Option<Holder>, standby: Option<Holder>) -> Self {
        Self { leader, standby, ..self }
    }

    /// Reads the marker of a server that should be this node.
    ///
    /// # Errors
    /// The name of the node that the server says it is, or the later format of its marker.
    pub(crate) fn read(text: &[u8], node: &str) -> Result<Self, String> {
        let mut lines = text.split(|byte| *byte == b'\n');
        let marker = Self::read_first_line(lines.next().unwrap_or_default(), node)?;
        Ok(marker.holding(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()))
    }

    fn read_first_line(text: &[u8], node: &str) -> Result<Self, String> {
        // In the first format, which had no epochs, the marker was the name alone.
        if text == node.as_bytes() {
            return Ok(Self { format: 1, ..Self::new(node, Stage::Ready, 0, None) });
        }
        match serde_json::from_slice::<Self>(text) {
            Ok(marker) if marker.format > FORMAT => {
                Err(format!("marked in format {} by a later version of this client", marker.format))
            }
            Ok(marker) if marker.node != node => Err(format!("node `{}`", foreign::word(&marker.node))),
            Ok(marker) => Ok(marker),
            Err(_) => Err(format!("node `{}`", foreign::bytes(text))),
        }
    }

    /// Returns whether the marker has the first format, which names no process. Such a marker is replaced as
    /// soon as it is seen.
    pub(crate) fn is_of_the_first_format(&self) -> bool {
        self.format == 1
    }

    /// Returns whether the server that has this marker now has been whole all the time since it had that one.
    pub(crate) fn is_the_same_but_later(&self, known: &Self) -> bool {
        self.state == Stage::Ready && self.generation == known.generation && self.process == known.process
    }

    pub(crate) fn first_line(&self) -> String {
        // A marker has only strings and numbers, so writing it cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        std::iter::once(self.first_line()).chain(self.holds.iter().map(|node| line_about(node))).collect()
    }

    /// Returns whether the server was whole when its marker was written.
    pub(crate) fn is_ready(&self) -> bool {
        self.state == Stage::Ready
    }

    /// What the marker says of the server's data.
    pub(crate) fn data(&self) -> Data {
        if self.was_empty && !self.is_ready() { Data::Filling } else { Data::Kept }
    }

    /// Returns whether the server missed more than one advance of the epoch while others went on.
    pub(crate) fn is_old(&self, newest: u64) -> bool {
        self.epoch.saturating_add(1) < newest
    }

    /// Returns whether the marker was written lately, so that the server which has it is ours: not one that was filled
    /// long ago from what ours held then.
    pub(crate) fn is_recent(&self, newest: u64) -> bool {
        newest <= self.epoch.saturating_add(BEATS_LATELY)
    }
}

/// Adds to the hints that are known to be void those that are void too, by the servers that hold them.
pub(crate) fn void_too(known: &mut BTreeMap<String, u64>, void: &BTreeMap<String, u64>) {
    for (holder, upto) in void {
        let known = known.entry(holder.clone()).or_default();
        *known = (*known).max(*upto);
    }
}

/// The newest epoch that this process knows of, and since when.
#[derive(Debug)]
pub(crate) struct Beat {
    epoch: u64,
    since: Instant,
}

impl Beat {
    pub(crate) fn new(now: Instant) -> Self {
        Self { epoch: 1, since: now }
    }

    /// Takes note of the epoch of a server. A process that sees that another one has advanced it need not do
    /// so soon.
    pub(crate) fn seen(&mut self, epoch: u64, now: Instant) {
        if self.epoch < epoch {
            *self = Self { epoch, since: now };
        }
    }

    pub(crate) fn newest(&self) -> u64 {
        self.epoch
    }

    /// The epoch that servers that are whole should have now. It becomes the newest when one of them
    /// [has it](Self::seen), so no server is old while none can be given it.
    pub(crate) fn due(&self, now: Instant) -> u64 {
        self.epoch.saturating_add(u64::from(BEAT <= now.saturating_duration_since(self.since)))
    }
}

/// What became of the data of a server, by its marker. A later one of these is worth less.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Data {
    /// The server is not known to have lost it.
    #[default]
    Kept,
    /// The server had lost it, and is being filled.
    Filling,
    /// The server has no marker: somebody has emptied it, or it came back empty.
    Gone,
}

/// What is known of the marker of one server.
#[derive(Debug, Default)]
pub(crate) struct Marked {
    /// The marker that it was found whole with.
    pub(crate) whole: Option<Marker>,
    /// The number of times that it had been made whole, at the last look at it.
    pub(crate) generation: Option<u64>,
    /// The hints about the node that are void, as far as any marker of it said.
    pub(crate) void: BTreeMap<String, u64>,
    /// The nodes that the server held hints about, as it said at the last look at it.
    pub(crate) holds: BTreeSet<String>,
    /// The process that leads and the one that stands by, as it said at the last look at it.
    pub(crate) posts: Posts,
    /// The nodes that it noted as forgotten, at the last look at it.
    pub(crate) forgotten: BTreeSet<String>,
    /// What became of the server's data, as of the last look at it.
    pub(crate) data: Data,
    /// The incarnation whose process had a [recent](Marker::is_recent) marker at the last look that found one.
    pub(crate) ours: Option<u64>,
    /// When that process was seen without its marker last, or the next one was seen empty: a dump of that time has no marker either.
    pub(crate) emptied: Option<Instant>,
    /// The incarnation in whose process the user's [permissions](super::permissions) were tried.
    pub(crate) tried: Option<u64>,
    /// An incarnation, and the generation that was found first in its process.
    pub(crate) first_found: Option<(u64, u64)>,
}

impl Marked {
    /// This process of the server was found with a marker.
    pub(crate) fn has_marker(&mut self, incarnation: u64, is_recent: bool, data: Data) {
        self.data = data;
        self.ours = is_recent.then_some(incarnation);
    }

    /// This process of the server was found without a marker: somebody has emptied one that was ours, or ours has come back empty.
    pub(crate) fn is_without_marker(&mut self, incarnation: u64, is_empty: bool) {
        self.data = Data::Gone;
        if self.ours == Some(incarnation) || is_empty && self.ours.is_some() {
            self.emptied = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use redisdb_replication::Standing;

    use super::*;

    #[test]
    fn a_marker_is_read_as_it_was_written_and_so_is_one_of_the_first_format() {
        let marker = Marker::new("a", Stage::Syncing, 7, Some("x".to_owned()));
        assert_eq!(Marker::read(marker.text().as_bytes(), "a"), Ok(marker.clone()));
        assert_eq!(Marker::read(marker.text().as_bytes(), "b"), Err("node `a`".to_owned()));
        assert!(!marker.text().contains("forgotten"));
        let marker = marker.forgetting(&BTreeSet::from(["b".to_owned()]));
        assert!(marker.text().ends_with(r#","forgotten":["b"]}"#), "{}", marker.text());
        assert_eq!(Marker::read(marker.text().as_bytes(), "a"), Ok(marker.clone()));
        let first = Marker::read(b"a", "a").unwrap();
        assert!(first.is_ready() && !first.is_old(1) && first.is_old(2));
        assert_eq!(Marker::read(b"c", "a"), Err("node `c`".to_owned()));
        let nodes = ["b", "c\n\"d\"", "ü"].map(str::to_owned);
        let holding = marker.clone().holding(nodes.clone().into());
        assert_eq!(Marker::read(holding.text().as_bytes(), "a"), Ok(holding.clone()));
        let lines: String = nodes.iter().map(|node| line_about(node)).collect();
        assert_eq!(holding.text(), marker.text() + &lines);
        let later = marker.text().replace("\"format\":2", "\"format\":3");
        assert!(Marker::read(later.as_bytes(), "a").unwrap_err().contains("later version"));
    }

    #[test]
    fn a_server_that_had_lost_its_data_says_so_until_it_is_ready() {
        let of = |state| Marker::new("a", state, 7, None).after_loss(true);
        let filling = Marker::read(of(Stage::Syncing).text().as_bytes(), "a").unwrap();
        assert_eq!((filling.data(), filling.standing()), (Data::Filling, Standing::FillingEmpty));
        assert_eq!((of(Stage::Ready).data(), of(Stage::Ready).standing()), (Data::Kept, Standing::Current));
        let kept = filling.after_loss(false);
        assert_eq!((kept.data(), kept.standing()), (Data::Kept, Standing::Filling));
        assert!(!kept.text().contains("was_empty"), "{}", kept.text());
    }

    #[test]
    fn a_server_is_old_that_has_missed_two_beats() {
        let ready = Marker::new("a", Stage::Ready, 7, Some("x".to_owned()));
        assert!(ready.is_ready() && !ready.is_old(7) && !ready.is_old(8));
        assert!(ready.is_old(9), "it has missed two beats");
        assert!(!Marker { state: Stage::Syncing, ..ready }.is_ready());
    }

    #[test]
    fn a_marker_older_than_an_hour_does_not_prove_whose_the_server_is() {
        let marker = Marker::new("a", Stage::Ready, 7, None);
        let an_hour_later = marker.epoch + LATELY.as_secs() / BEAT.as_secs();
        assert!(marker.is_recent(7) && marker.is_recent(an_hour_later));
        assert!(!marker.is_recent(an_hour_later + 1));
        let mut marked = Marked::default();
        marked.has_marker(1, true, Data::Kept);
        assert_eq!(marked.ours, Some(1));
        marked.has_marker(1, false, Data::Kept);
        assert_eq!(marked.ours, None, "it was looked at again with an old marker");
        marked.is_without_marker(1, true);
        assert!(marked.emptied.is_none(), "nobody knows that it was ours");
        marked.has_marker(1, true, Data::Kept);
        marked.is_without_marker(2, false);
        assert!(marked.emptied.is_none(), "another process that holds something may be anybody's");
        marked.is_without_marker(2, true);
        assert!(marked.emptied.is_some(), "it has come back empty");
    }

    #[test]
    fn one_of_several_processes_advances_the_epoch() {
        let start = Instant::now();
        let (mut one, mut other) = (Beat::new(start), Beat::new(start + BEAT / 2));
        assert_eq!(one.due(start + BEAT / 2), 1);
        assert_eq!((one.due(start + BEAT), one.newest()), (2, 1));
        one.seen(2, start + BEAT);
        other.seen(2, start + BEAT);
        assert_eq!(other.due(start + BEAT * 3 / 2), 2, "it was advanced half a beat ago");
        assert_eq!((other.due(start + BEAT * 2), other.newest()), (3, 2));
        other.seen(1, start + BEAT * 2);
        assert_eq!(other.newest(), 2);
    }

    #[test]
    fn what_cannot_be_advanced_does_not_grow_old() {
        let start = Instant::now();
        let beat = Beat::new(start);
        assert_eq!((beat.due(start + BEAT * 9), beat.newest()), (2, 1));
    }
}

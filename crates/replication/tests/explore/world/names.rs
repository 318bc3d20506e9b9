//! What happens, in words.

use std::fmt;

use redisdb_replication::Effect;
use redisdb_replication::Node;

use super::World;
use super::client::Who;
use super::key::Key;
use super::server::Marker;
use super::truth::Sort;
use super::value::WriteId;

/// Something that happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    Stops(Node),
    Continues(Node),
    RestartsSame(Node),
    RestartsKept(Node),
    RestartsEmpty(Node),
    RestartsOlder(Node),
    Saves(Node),
    IsFlushed(Node),
    RunsLate(Node, Key, WriteId),
    NeverRuns(Node, Key, WriteId),
    Cut(Who, Node),
    Restored(Who, Node),
    GivesUp(Who, Node),
    Connects(Who, Node),
    IsTold(Who, Node),
    Settles(Who),
    IsFull(Node),
    HasRoom(Node),
    LosesHints(Node, Node),
    LosesDoubts(Node),
    LosesMarker(Node),
    Forgets(Who, Node),
    NotesForgotten(Who, Node),
    Dies(Who),
    StandsStill(Who, Key),
    Drops(Who, Key),
    StandsStillUnheard(Who, Node, Key),
    HearsDecision(Who, Node, Key),
    Reads(Who, Key, Option<Node>),
    Begins(Who, Sort, Key, WriteId),
    Outside(Node, Sort, Key, WriteId),
    Evicts(Node, Key),
    Hears(Who, Node, Key),
    HasGap(Who, Node),
    HearsOfGap(Who),
    Runs(Node, Key, WriteId),
    Refuses(Node, Key, WriteId),
    KeepsLateHint(Node, Key),
    SeesQuiet(Who, Key),
    BeginsRound(Who),
    Works(Who, Node, Effect<Key>),
    GetsLease(Who),
    LosesLease(Who),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "A",
            Self::Second => "B",
        })
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Set => "SET",
            Self::Delete => "DEL",
            Self::Increment => "INCR",
            Self::Decision => "INCRBYFLOAT",
        })
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = Node::idx;
        let k = Key::idx;
        match *self {
            Self::Stops(node) => write!(f, "n{} stops", n(node)),
            Self::Continues(node) => write!(f, "n{} continues", n(node)),
            Self::RestartsSame(node) => write!(f, "n{} is restarted with its data", n(node)),
            Self::RestartsKept(node) => {
                write!(f, "n{} is restarted and proves that it lost nothing", n(node))
            }
            Self::RestartsEmpty(node) => write!(f, "n{} is restarted empty", n(node)),
            Self::RestartsOlder(node) => write!(f, "n{} is restarted with its dump", n(node)),
            Self::Saves(node) => write!(f, "n{} saves a dump", n(node)),
            Self::IsFlushed(node) => write!(f, "n{} is flushed by somebody else", n(node)),
            Self::RunsLate(node, key, id) => {
                write!(f, "n{} runs write {} of k{} late", n(node), id.0, k(key))
            }
            Self::NeverRuns(node, key, id) => {
                write!(f, "write {} of k{} dies on its way to n{}", id.0, k(key), n(node))
            }
            Self::Cut(who, node) => write!(f, "{who} is cut off from n{}", n(node)),
            Self::Restored(who, node) => write!(f, "{who} can reach n{} again", n(node)),
            Self::GivesUp(who, node) => write!(f, "{who} gives n{} up", n(node)),
            Self::Connects(who, node) => write!(f, "{who} connects to n{}", n(node)),
            Self::IsTold(who, node) => write!(f, "{who} is told what n{} holds", n(node)),
            Self::Settles(who) => write!(f, "{who} sees that all have been there for a while"),
            Self::Forgets(who, node) => write!(f, "{who} has n{} forgotten", n(node)),
            Self::NotesForgotten(who, node) => write!(f, "n{} is told by {who} who is forgotten", n(node)),
            Self::IsFull(node) => write!(f, "n{} has no room for hints", n(node)),
            Self::HasRoom(node) => write!(f, "n{} has room again", n(node)),
            Self::LosesHints(node, other) => write!(f, "n{} loses its hints about n{}", n(node), n(other)),
            Self::LosesDoubts(node) => write!(f, "n{} loses its doubts", n(node)),
            Self::LosesMarker(node) => write!(f, "n{} loses its marker", n(node)),
            Self::Dies(who) => write!(f, "{who} dies"),
            Self::StandsStill(who, key) => write!(f, "{who} stands still in its write of k{}", k(key)),
            Self::StandsStillUnheard(who, node, key) => {
                write!(f, "n{} decides a write of k{} of {who}, which stands still", n(node), k(key))
            }
            Self::HearsDecision(who, node, key) => {
                write!(f, "{who} hears what n{} decided of k{} long ago", n(node), k(key))
            }
            Self::Drops(who, key) => write!(f, "{who} drops the future of its write of k{}", k(key)),
            Self::Reads(who, key, Some(node)) => write!(f, "{who} reads k{} on n{}", k(key), n(node)),
            Self::Reads(who, key, None) => write!(f, "{who} tries to read k{}", k(key)),
            Self::Begins(who, sort, key, id) => write!(f, "{who} begins {sort} {} of k{}", id.0, k(key)),
            Self::Outside(node, sort, key, id) => {
                write!(f, "{sort} {} of k{} by somebody else on n{} alone", id.0, k(key), n(node))
            }
            Self::Evicts(node, key) => write!(f, "n{} throws k{} away", n(node), k(key)),
            Self::HasGap(who, node) => write!(f, "what n{} tells {who} has a gap", n(node)),
            Self::HearsOfGap(who) => write!(f, "{who} hears that changes were not heard"),
            Self::Hears(who, node, key) => write!(f, "{who} hears that k{} changed on n{}", k(key), n(node)),
            Self::Runs(node, key, id) => write!(f, "n{} runs write {} of k{}", n(node), id.0, k(key)),
            Self::Refuses(node, key, id) => {
                write!(f, "n{} refuses write {} of k{}", n(node), id.0, k(key))
            }
            Self::KeepsLateHint(node, key) => write!(f, "n{} keeps a late hint of k{}", n(node), k(key)),
            Self::SeesQuiet(who, key) => write!(f, "{who} sees that k{} is quiet", k(key)),
            Self::BeginsRound(who) => write!(f, "{who} begins to compare all keys"),
            Self::Works(who, node, effect) => {
                let what = match effect {
                    Effect::Claim(..) => "claims and looks at",
                    Effect::Fetch(..) => "fetches the state from",
                    Effect::Put { .. } => "copies to",
                    Effect::Release { .. } => "drops the claimed hints on",
                    _ => "makes current",
                };
                write!(f, "the repair of {who} {what} n{}", n(node))
            }
            Self::GetsLease(who) => write!(f, "{who} gets the lease"),
            Self::LosesLease(who) => write!(f, "{who} learns that its lease is lost"),
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, server) in self.servers.iter().enumerate() {
            let marker = match server.marker {
                Marker::Missing => "no marker",
                Marker::OfEarlierRun => "restarted",
                Marker::Filling { .. } => "filling",
                Marker::Current => "current",
            };
            write!(f, "n{idx} {marker}")?;
            for key in Key::first_n(2) {
                let missed: Vec<String> =
                    server.data.missed(key).iter().map(|node| format!("n{}", node.idx())).collect();
                write!(f, " k{}={}", key.idx(), server.data.values[key])?;
                if !missed.is_empty() {
                    write!(f, " missed by {}", missed.join(","))?;
                }
            }
            f.write_str("; ")?;
        }
        Ok(())
    }
}

//! A look at a server of a copy with an identity: its marker, and which process it is.

use std::time::Instant;

use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;

use crate::engine::copy::CopyEngine;
use crate::membership::forget::Forgetting;
use crate::membership::forget::WAS_FORGOTTEN;
use crate::membership::marker::Data;
use crate::membership::marker::Marker;

/// What a server says of itself.
#[derive(Debug)]
pub(crate) struct Look {
    /// Of the process that was looked at.
    pub(crate) incarnation: u64,
    pub(crate) found: Found,
    /// What that process is called; `None` if nothing proves which one it is.
    pub(crate) process: Option<String>,
    /// True if the process is the one that the marker names; `None` if nothing proves either.
    pub(crate) is_marked: Option<bool>,
}

#[derive(Debug)]
pub(crate) enum Found {
    /// It is the node that we take it for; and what stands in its marker, word for word.
    Marked(Box<Marker>, Vec<u8>),
    /// It says nothing, and holds so many keys; -1 if it does not tell this user.
    Unmarked { keys: i64 },
    /// It is not to be used, for this reason: it is another node, or of another copy, or does not let this user look.
    Barred(String),
    /// It cannot be asked, and why.
    Unreachable(Option<node::Error>),
}

impl Look {
    /// A server of a node that is forgotten is not used, whatever it says.
    pub(crate) fn bar_forgotten(&mut self, node: &str, forgotten: &Forgetting) {
        if !matches!(self.found, Found::Unreachable(_)) && forgotten.contains(node) {
            self.found = Found::Barred(WAS_FORGOTTEN.to_owned());
        }
    }

    /// What became of its data. A server that cannot be asked counts as one that has lost it.
    pub(crate) fn data(&self) -> Data {
        if let Found::Marked(marker, _) = &self.found { marker.data() } else { Data::Gone }
    }

    /// What the process is to be called in the marker: what it is called there, if it is the one.
    pub(crate) fn process_to_mark(&self) -> Option<String> {
        match (&self.found, self.is_marked) {
            (Found::Marked(marker, _), Some(true)) => marker.process.clone().or_else(|| self.process.clone()),
            _ => self.process.clone(),
        }
    }
}

impl CopyEngine {
    pub(crate) async fn look(&self, idx: usize) -> Look {
        let incarnation = self.topology.nodes.at(idx).incarnation();
        let node = self.topology.process(idx, incarnation);
        let found = match self.topology.marker_key() {
            Some(key) => find(&node, &key).await,
            None => Found::Unreachable(None),
        };
        let is_marked = match &found {
            Found::Marked(marker, _) => match &marker.process {
                Some(name) => node.is_process(incarnation, name).await,
                None => Ok(marker.is_of_the_first_format().then_some(true)),
            },
            _ => Ok(None),
        };
        let (found, is_marked) = match is_marked {
            Ok(is_marked) => (found, is_marked),
            Err(error) => (Found::Unreachable(Some(error)), None),
        };
        if let Found::Marked(marker, _) = &found {
            let member = self.topology.nodes.member(idx);
            member.learn_void(&marker.void);
            member.learn_held(&marker.holds);
            member.marked().lock().posts.hear(marker, Instant::now());
            self.topology.lasting.forgotten.hear(&marker.forgotten);
            member.marked().lock().forgotten.clone_from(&marker.forgotten);
            self.topology.drop_void(member);
        }
        let mut look = Look { incarnation, found, process: node.process(incarnation), is_marked };
        look.bar_forgotten(node.name(), &self.topology.lasting.forgotten);
        look
    }
}

async fn find(node: &Node, key: &str) -> Found {
    let mut questions = redis::pipe();
    questions.cmd("GET").arg(key).cmd("DBSIZE");
    let mut replies = match node.send_pipeline(&questions, 0, questions.len()).await {
        Ok(replies) => replies.into_iter(),
        Err(error) => return Found::Unreachable(Some(error)),
    };
    let (marker, size) = (replies.next(), replies.next());
    match marker {
        Some(Value::BulkString(text)) => match Marker::read(&text, node.name()) {
            Ok(marker) => Found::Marked(Box::new(marker), text),
            Err(_) if node.has_secret(&text) => {
                Found::Barred("says that it is another node; check its URL".to_owned())
            }
            Err(says) => Found::Barred(format!("says that it is {says}; check its URL")),
        },
        Some(Value::Nil) => {
            let keys = match size {
                Some(Value::Int(keys)) => keys,
                _ => any_key(node).await.unwrap_or(-1),
            };
            Found::Unmarked { keys }
        }
        Some(Value::ServerError(error)) if error.code() == "WRONGTYPE" => {
            Found::Barred("says that it is something else: its marker is no string; check its URL".to_owned())
        }
        // What may change in a moment, as `LOADING`, is told by other codes.
        other => match node.accept("GET", other.unwrap_or(Value::Nil)) {
            Err(error) if matches!(error.code(), Some("NOPERM" | "ERR")) => {
                let user = node.config().user();
                Found::Barred(format!(
                    "does not let its marker be read: {}; permit it by `ACL SETUSER {user} ~{} +get`",
                    error.reason(),
                    key.trim_end_matches("node").to_owned() + "*",
                ))
            }
            answer => Found::Unreachable(answer.err()),
        },
    }
}

/// Returns 1 if the node holds any key, 0 if it holds none, and `None` if the question is refused or has no
/// answer.
async fn any_key(node: &Node) -> Option<i64> {
    match node.send(&redis::cmd("RANDOMKEY")).await {
        Ok(Value::Nil) => Some(0),
        Ok(_) => Some(1),
        Err(_) => None,
    }
}

//! The connection of a change feed: the server is told to name the keys that change.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use redis::PushKind;
use redis::Value;

use super::queue::Queue;
use crate::connection::identify;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::error::ServerError;
use crate::node::Node;
use crate::sessions::listener::Source;
use crate::sessions::pubsub::Topics;
use crate::wire::Patience;
use crate::wire::Wire;

/// The command that has the server name the keys.
pub(super) const TRACKING: &str = "CLIENT TRACKING";
/// Nobody publishes here. The server ends the connection of a subscriber who reads too slowly; for another
/// one it would keep everything, without a limit.
pub(super) const CHANNEL: &str = "__redisdb:changes";
const NO_TRACKING: &str = "the server does not know `CLIENT TRACKING ON BCAST`, by which it names the keys that change; use \
                           Redis 6.0 or later, and do not rename the command";

/// The keys that change on one node, whose names go to a queue.
pub(super) struct Tracking {
    topics: Topics,
    /// The beginnings of the names that are told; all names if there are none.
    prefixes: Vec<Vec<u8>>,
    /// True if whoever starts the feed tells of the error of the first attempt.
    is_quiet: bool,
    pub(super) queue: Queue,
    /// The process that the last connection leads to.
    process: Mutex<Option<Arc<str>>>,
    /// False while a connection is set up: what is told then is of before the gap.
    has_begun: AtomicBool,
    /// The connection, or why there is none.
    connection: Mutex<Result<Wire, Arc<ErrorKind>>>,
}

impl Tracking {
    pub(super) fn new(prefixes: Vec<Vec<u8>>, is_quiet: bool) -> Self {
        Self {
            topics: Topics::Channels(vec![CHANNEL.into()]),
            prefixes,
            is_quiet,
            queue: Queue::default(),
            process: Mutex::new(None),
            has_begun: AtomicBool::new(false),
            connection: Mutex::new(Err(Arc::new(ErrorKind::hung_up()))),
        }
    }

    /// Waits until the queue has every change that the server executed before. One reply is not enough: a
    /// reply may be written before the names of changes that were executed in the same turn of the server's
    /// loop. What is sent after that reply is read in a later turn.
    pub(super) async fn barrier(&self, response_timeout: Duration) -> Result<(), ErrorKind> {
        let connection = self.connection.lock().clone();
        let wire = connection.map_err(|cause| ErrorKind::Down { cause })?;
        let ping = redis::cmd("PING");
        for _ in 0..2 {
            // An error is a reply as well.
            match tokio::time::timeout(response_timeout, wire.ask(&ping, Patience::Own)).await {
                Ok(Ok(_pong_or_refusal)) => {}
                Ok(Err(failure)) => return Err(failure.of_own()),
                Err(_) => return Err(ErrorKind::Timeout(response_timeout)),
            }
        }
        Ok(())
    }

    async fn track(&self, wire: &Wire) -> Result<(), ErrorKind> {
        let mut track = redis::cmd("CLIENT");
        track.arg("TRACKING").arg("ON").arg("BCAST");
        for prefix in &self.prefixes {
            track.arg("PREFIX").arg(prefix);
        }
        identify::ask(wire, &track).await?.map(drop).map_err(|refused| match does_not_know(&refused) {
            true => ErrorKind::Unsupported(NO_TRACKING.into()),
            false => ErrorKind::Server(refused),
        })
    }
}

impl Source for Tracking {
    const NAME: &'static str = "change feed";

    fn topics(&self) -> &Topics {
        &self.topics
    }

    async fn prepare(&self, node: &Node, wire: &Wire) -> Result<(), Error> {
        let process = node.process_behind(wire).await.map_err(|kind| node.failed("INFO", kind))?;
        *self.process.lock() = process.map(Arc::from);
        self.has_begun.store(false, Ordering::Release);
        self.track(wire).await.map_err(|kind| node.failed(TRACKING, kind))
    }

    fn begin(&self, missed: bool) {
        self.queue.begin(self.process.lock().take(), missed);
        self.has_begun.store(true, Ordering::Release);
    }

    fn receive(&self, kind: PushKind, data: Vec<Value>) {
        if kind != PushKind::Invalidate || !self.has_begun.load(Ordering::Acquire) {
            return;
        }
        let names = match data.into_iter().next() {
            Some(Value::Array(names)) => names.into_iter().map(name).collect::<Option<Vec<_>>>(),
            _ => None,
        };
        match names {
            Some(names) => self.queue.changed(names),
            // Null stands for all keys, and so does what cannot be read.
            None => self.queue.flushed(),
        }
    }

    fn connected(&self, wire: &Wire) {
        *self.connection.lock() = Ok(wire.clone());
    }

    fn disconnected(&self, error: &Error) {
        *self.connection.lock() = Err(Arc::new(error.kind().clone()));
    }

    fn refused(&self, error: &Error) {
        self.queue.refused(error.clone());
    }

    fn logs_first_error(&self) -> bool {
        !self.is_quiet
    }

    fn advice(&self, node: &Node, error: &Error) -> Option<String> {
        let user = node.config().user();
        let ErrorKind::Server(refused) = error.kind() else { return None };
        let rule = match error.command() {
            _ if refused.code != "NOPERM" => return None,
            TRACKING => "+client|tracking".to_owned(),
            _ if refused.message.contains("channel") => format!("&{CHANNEL}"),
            _ => "+subscribe".to_owned(),
        };
        Some(format!("`ACL SETUSER {user} {rule}` permits it"))
    }
}

fn name(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(name) => Some(name),
        _ => None,
    }
}

/// Returns whether a server refused tracking because it is older, or has no such command.
fn does_not_know(refused: &ServerError) -> bool {
    let text = refused.message.to_ascii_lowercase();
    ["unknown command", "unknown subcommand", "syntax error"].iter().any(|words| text.contains(words))
}

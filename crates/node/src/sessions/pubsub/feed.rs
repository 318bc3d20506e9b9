//! The part of a subscription on one node: a connection that is made again whenever it is lost.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::AsyncConnectionConfig;
use redis::Pipeline;
use redis::ProtocolVersion;
use redis::PushInfo;
use redis::PushKind;
use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::Message;
use super::Topics;
use super::queue::Queue;
use crate::connection::breaker::Breaker;
use crate::connection::dial;
use crate::connection::handshake;
use crate::error::ErrorKind;
use crate::error::ServerError;
use crate::node::Node;
use crate::redis_rs::Fault;

/// The interval at which an idle connection is tested.
const TEST_EVERY: Duration = Duration::from_secs(1);

/// The task that keeps a node's messages coming; it ends with this.
#[derive(Debug)]
pub(super) struct Feed {
    _task: AbortOnDropHandle<()>,
}

impl Feed {
    /// Starts it, and has it tell how the first attempt went.
    pub(super) fn start(
        node: Node,
        topics: Topics,
        queue: Arc<Queue>,
        begins: oneshot::Sender<Result<(), ErrorKind>>,
    ) -> Self {
        let task = tokio::spawn(async move {
            let mut begins = Some(begins);
            let mut breaker = Breaker::default();
            let mut missed = false;
            loop {
                let outcome = listen(&node, &topics, &queue, missed).await;
                let outcome = outcome.map_err(|kind| kind.without_secrets(node.config()));
                missed = true;
                let told = match &outcome {
                    Ok(_) => Ok(()),
                    Err(kind) => Err(kind.clone()),
                };
                if let Some(begins) = begins.take() {
                    // Whoever asked may have gone; then this task is about to end.
                    let _gone = begins.send(told);
                }
                match outcome {
                    Ok(listening) => {
                        breaker.connected(Instant::now());
                        listening.until_lost(node.config().response_timeout()).await;
                        tracing::warn!(node = node.name(), "subscription lost");
                        breaker.refused(Instant::now(), Arc::new(ErrorKind::hung_up()), fastrand::f64());
                    }
                    Err(error) => {
                        let (error, now) = (Arc::new(error), Instant::now());
                        match breaker.refused(now, Arc::clone(&error), fastrand::f64()) {
                            true => tracing::warn!(node = node.name(), %error, "cannot subscribe"),
                            false => tracing::debug!(node = node.name(), %error, "cannot subscribe"),
                        }
                    }
                }
                if let Some(at) = breaker.try_at() {
                    tokio::time::sleep_until(at).await;
                }
            }
        });
        Self { _task: AbortOnDropHandle::new(task) }
    }
}

/// A connection that is subscribed. Its driver ends with it.
struct Listening {
    connection: MultiplexedConnection,
    _driver: AbortOnDropHandle<()>,
    ended: oneshot::Receiver<()>,
}

impl Listening {
    /// Returns when the connection has ended, or a test of it was not answered in time.
    async fn until_lost(mut self, response_timeout: Duration) {
        loop {
            if tokio::time::timeout(TEST_EVERY, &mut self.ended).await.is_ok() {
                return;
            }
            let ping = redis::cmd("PING");
            let answer = self.connection.send_packed_command(&ping);
            if !matches!(tokio::time::timeout(response_timeout, answer).await, Ok(Ok(_))) {
                return;
            }
        }
    }
}

async fn listen(
    node: &Node,
    topics: &Topics,
    queue: &Arc<Queue>,
    missed: bool,
) -> Result<Listening, ErrorKind> {
    // The shared connection tells a server that is down, is none, or is another node's.
    node.ready().await.map_err(|error| error.kind().clone())?;
    let timeout = node.config().connect_timeout();
    match tokio::time::timeout(timeout, subscribe(node, topics, queue, missed)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(ErrorKind::ConnectTimeout(timeout)),
    }
}

async fn subscribe(
    node: &Node,
    topics: &Topics,
    queue: &Arc<Queue>,
    missed: bool,
) -> Result<Listening, ErrorKind> {
    let (command, names) = topics.command();
    let name: Arc<str> = node.name().into();
    let to_come = AtomicUsize::new(names.len());
    let sink = Arc::clone(queue);
    let receive = move |push: PushInfo| -> Result<(), ()> {
        match push.kind {
            PushKind::Subscribe | PushKind::PSubscribe | PushKind::SSubscribe => {
                // Messages published from here on arrive; the gap ends before them.
                if to_come.fetch_sub(1, Ordering::AcqRel) == 1 && missed {
                    sink.gap(&name);
                }
            }
            kind => message(&name, &kind, push.data).into_iter().for_each(|message| sink.push(message)),
        }
        Ok(())
    };
    let settings = handshake::settings(node.config()).set_protocol(ProtocolVersion::RESP3);
    let options = AsyncConnectionConfig::new().set_response_timeout(None).set_push_sender(receive);
    let (end, ended) = oneshot::channel();
    let dialed = dial::dial_with(node.config(), &settings, options, move || {
        let _nobody_asks = end.send(());
    })
    .await?;
    let mut listening = Listening { connection: dialed.connection, _driver: dialed.driver, ended };
    let mut commands = Pipeline::with_capacity(names.len());
    for name in names {
        // Each command has one name, because each has one confirmation.
        commands.cmd(command).arg(name);
    }
    let replies = listening.connection.send_packed_commands(&commands, 0, commands.len()).await;
    for reply in replies.map_err(Fault::of_handshake)? {
        if let Value::ServerError(error) = reply {
            return Err(ErrorKind::Server(ServerError::from(&error)));
        }
    }
    Ok(listening)
}

fn message(node: &Arc<str>, kind: &PushKind, data: Vec<Value>) -> Option<Message> {
    let mut data = data.into_iter().map(|value| match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    });
    let pattern = match kind {
        PushKind::Message | PushKind::SMessage => None,
        PushKind::PMessage => Some(data.next()??),
        _ => return None,
    };
    Some(Message { node: Arc::clone(node), pattern, channel: data.next()??, payload: data.next()?? })
}

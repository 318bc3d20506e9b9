//! A connection of its own to a node, on which the server speaks unasked, and which is made again whenever it
//! is lost.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::select;
use redis::Cmd;
use redis::Pipeline;
use redis::PushKind;
use redis::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::pubsub::Topics;
use crate::connection::breaker::Breaker;
use crate::connection::dial::Purpose;
use crate::connection::dial::dial;
use crate::connection::handshake::Dialed;
use crate::connection::identify;
use crate::connection::login::Grant;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::error::ServerError;
use crate::node::Node;
use crate::retry;
use crate::wire::Many;
use crate::wire::Patience;
use crate::wire::Wire;

/// The interval at which an idle connection is tested.
const TEST_EVERY: Duration = Duration::from_secs(1);

/// The topics that a listener listens to, and the receivers of their messages.
pub(super) trait Source: Send + Sync + 'static {
    /// The name of that in logs.
    const NAME: &'static str;

    /// The topics that each connection subscribes to.
    fn topics(&self) -> &Topics;

    /// Sets a new connection up before it is subscribed.
    fn prepare(&self, _node: &Node, _wire: &Wire) -> impl Future<Output = Result<(), Error>> + Send {
        std::future::ready(Ok(()))
    }

    /// All topics of a new connection are subscribed to. `missed` is true unless it is the first connection.
    fn begin(&self, missed: bool);

    /// Takes what the server said.
    fn receive(&self, kind: PushKind, data: Vec<Value>);

    /// The connection may be asked too, from now on.
    fn connected(&self, _wire: &Wire) {}

    /// There is no connection any more.
    fn disconnected(&self, _error: &Error) {}

    /// The server does not let this be heard. Told once for each time that there is no connection.
    fn refused(&self, _error: &Error) {}

    /// Returns whether the error of the first attempt is logged. If not, whoever starts it tells of the error.
    fn logs_first_error(&self) -> bool {
        true
    }

    /// Says how the node's operator mends an error, if that is known.
    fn advice(&self, _node: &Node, _error: &Error) -> Option<String> {
        None
    }
}

/// The task that keeps a node's words coming; it ends with this.
#[derive(Debug)]
pub(super) struct Listener {
    _task: AbortOnDropHandle<()>,
}

impl Listener {
    /// Starts it, and has it tell how the first attempt went.
    pub(super) fn start<S: Source>(
        node: Node,
        source: Arc<S>,
        begins: oneshot::Sender<Result<(), Error>>,
    ) -> Self {
        let task = tokio::spawn(async move {
            let (command, _) = source.topics().command();
            let mut begins = Some(begins);
            let mut breaker = Breaker::default();
            let mut missed = false;
            let mut is_refused = false;
            loop {
                let outcome = listen(&node, &source, missed).await;
                missed = true;
                match &outcome {
                    Ok(listening) => source.connected(&listening.dialed.wire),
                    Err(error) => source.disconnected(error),
                }
                let is_returned = !source.logs_first_error() && begins.is_some();
                if let Some(begins) = begins.take() {
                    // Whoever asked may have gone; then this task is about to end.
                    let _gone = begins.send(outcome.as_ref().map(drop).map_err(Error::clone));
                }
                match outcome {
                    Ok(listening) => {
                        breaker.connected(Instant::now());
                        is_refused = false;
                        listening.until_lost(&node).await;
                        let lost = node.failed(command, ErrorKind::hung_up());
                        source.disconnected(&lost);
                        tracing::warn!(node = node.name(), "{} lost", S::NAME);
                        breaker.refused(Instant::now(), Arc::new(lost.kind().clone()), fastrand::f64());
                    }
                    Err(error) => {
                        let (cause, now) = (Arc::new(error.kind().clone()), Instant::now());
                        let is_news = breaker.refused(now, cause, fastrand::f64());
                        let is_refusal = refuses(error.kind()) && !std::mem::replace(&mut is_refused, true);
                        if is_refusal {
                            source.refused(&error);
                        }
                        let advice = source.advice(&node, &error);
                        match (is_news || is_refusal) && !is_returned {
                            true => tracing::warn!(node = node.name(), %error, advice, "no {}", S::NAME),
                            false => tracing::debug!(node = node.name(), %error, "no {}", S::NAME),
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

/// Returns whether a server answered, and does not let this be heard; time alone does not mend that.
fn refuses(kind: &ErrorKind) -> bool {
    match kind {
        ErrorKind::Down { cause } => refuses(cause),
        ErrorKind::Server(error) => !retry::is_passing(&error.code),
        ErrorKind::Auth(_) | ErrorKind::Unsupported(_) => true,
        _ => false,
    }
}

/// A connection that is subscribed. Its driver ends with it.
struct Listening {
    dialed: Dialed,
    ended: oneshot::Receiver<()>,
    grant: Arc<Grant>,
}

impl Listening {
    /// Returns when the connection has ended, or a test of it was not answered in time.
    async fn until_lost(mut self, node: &Node) {
        let response_timeout = node.config().response_timeout();
        let wire = self.dialed.wire.clone();
        let authenticate = move |auth: Cmd| {
            let wire = wire.clone();
            async move { identify::send(&wire, &auth).await }
        };
        let kept_in = pin!(node.login().keep_in(Arc::clone(&self.grant), authenticate));
        select(pin!(self.is_lost(response_timeout)), kept_in).await;
    }

    async fn is_lost(&mut self, response_timeout: Duration) {
        loop {
            if tokio::time::timeout(TEST_EVERY, &mut self.ended).await.is_ok() {
                return;
            }
            let ping = redis::cmd("PING");
            let answer = self.dialed.wire.ask(&ping, Patience::Own);
            if !matches!(tokio::time::timeout(response_timeout, answer).await, Ok(Ok(_))) {
                return;
            }
        }
    }
}

async fn listen<S: Source>(node: &Node, source: &Arc<S>, missed: bool) -> Result<Listening, Error> {
    let (command, _) = source.topics().command();
    // The shared connection tells a server that is down, is none, or is another node's.
    node.ready().await.map_err(|error| node.failed(command, error.kind().clone()))?;
    let timeout = node.config().connect_timeout();
    match tokio::time::timeout(timeout, subscribe(node, source, missed)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(node.failed(command, ErrorKind::ConnectTimeout(timeout))),
    }
}

async fn subscribe<S: Source>(node: &Node, source: &Arc<S>, missed: bool) -> Result<Listening, Error> {
    let (command, names) = source.topics().command();
    let failed = |kind: ErrorKind| node.failed(command, kind);
    let to_come = AtomicUsize::new(names.len());
    let sink = Arc::clone(source);
    let receive = move |kind, data| {
        match kind {
            PushKind::Subscribe | PushKind::PSubscribe | PushKind::SSubscribe => {
                // What is said from here on arrives; the gap ends before it.
                if to_come.fetch_sub(1, Ordering::AcqRel) == 1 {
                    sink.begin(missed);
                }
            }
            kind => sink.receive(kind, data),
        }
    };
    let grant = node.login().grant().await.map_err(failed)?;
    let (end, ended) = oneshot::channel();
    let purpose = Purpose::Listening(Box::new(receive));
    let dialed = dial(node.config(), &grant.credentials, purpose, move || {
        let _nobody_asks = end.send(());
    })
    .await
    .map_err(failed)?;
    source.prepare(node, &dialed.wire).await?;
    let mut commands = Pipeline::with_capacity(names.len());
    for name in names {
        // Each command has one name, because each has one confirmation.
        commands.cmd(command).arg(name);
    }
    let many = Many::Pipeline(&commands);
    let replies = dialed.wire.send_many(many, 0, commands.len(), Patience::Own).await;
    let replies = replies.map_err(|failure| failed(failure.in_handshake()))?;
    if let Value::Array(replies) = replies {
        for reply in replies {
            if let Value::ServerError(error) = reply {
                return Err(failed(ErrorKind::Server(ServerError::from(&error))));
            }
        }
    }
    Ok(Listening { dialed, ended, grant })
}

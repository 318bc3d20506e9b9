//! A TCP proxy that does to connections what bad networks do.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;
use tokio::net::tcp::WriteHalf;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// One of the two directions of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Requests,
    /// From the server to the client.
    Replies,
}

/// The ways in which a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By RST, both sides at once, with whatever was on its way.
    Reset,
    /// By FIN to the client. What it still sends reaches the server.
    Close,
}

/// A proxy to a port of 127.0.0.1, on a port of its own that stays the same. It ends, with its connections, when dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    plan: watch::Sender<Plan>,
    n_accepted: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

/// The present treatment of connections.
#[derive(Debug, Clone, Default)]
struct Plan {
    server: u16,
    requests: Passage,
    replies: Passage,
    cut: Option<(Range<usize>, End)>,
    refuses: bool,
    /// Connections older than the last of these are ended.
    resets: u64,
    /// What so many connections, the first there were, send is held.
    stuck: u64,
}

/// The treatment of bytes that go one way.
#[derive(Debug, Clone, Default)]
struct Passage {
    delay: Duration,
    jitter: Duration,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Fate {
    #[default]
    Passed,
    Held,
    Lost,
    Garbled,
}

impl Proxy {
    /// A proxy before each of these servers.
    pub async fn to_each(servers: impl IntoIterator<Item = &xtask::Server>) -> Vec<Proxy> {
        let mut proxies = Vec::new();
        for server in servers {
            proxies.push(Proxy::to(server.port()).await);
        }
        proxies
    }

    /// A proxy that passes everything on, so far.
    pub async fn to(server: u16) -> Proxy {
        let (port, listener) = loop {
            let port = xtask::free_port().unwrap();
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
                break (port, listener);
            }
        };
        let (plan, watched) = watch::channel(Plan { server, ..Plan::default() });
        let n_accepted = Arc::new(AtomicU64::new(0));
        let accepting = tokio::spawn(accept(port, listener, watched, Arc::clone(&n_accepted)));
        Proxy { port, plan, n_accepted, accepting }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of the server behind it, for a client.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends all faults. What was held is delivered; a connection that has lost something is reset.
    pub fn heal(&self) {
        self.plan.send_modify(|plan| {
            *plan = Plan { server: plan.server, resets: plan.resets, ..Plan::default() };
        });
    }

    /// Delivers everything later by `delay` and a random part of `jitter`, in its order.
    pub fn slow(&self, way: Way, delay: Duration, jitter: Duration) {
        self.change(way, |passage| (passage.delay, passage.jitter) = (delay, jitter));
    }

    /// Delivers nothing until it is healed, and then all of it, as a network that was partitioned for a moment.
    pub fn hold(&self, way: Way) {
        self.change(way, |passage| passage.fate = Fate::Held);
    }

    /// Holds what is sent over the connections that there are; new ones are well, as after a change of routes.
    pub fn stick(&self) {
        self.plan.send_modify(|plan| plan.stuck = self.n_accepted.load(Ordering::SeqCst));
    }

    /// Delivers nothing, ever, and says nothing about it.
    pub fn lose(&self, way: Way) {
        self.change(way, |passage| passage.fate = Fate::Lost);
    }

    /// Delivers noise instead.
    pub fn garble(&self, way: Way) {
        self.change(way, |passage| passage.fate = Fate::Garbled);
    }

    /// Cuts each connection, new ones too, after a random number of bytes of its replies.
    pub fn cut(&self, after: Range<usize>, end: End) {
        self.plan.send_modify(|plan| plan.cut = Some((after, end)));
    }

    /// Resets all connections and refuses new ones.
    pub fn refuse(&self) {
        self.plan.send_modify(|plan| (plan.refuses, plan.resets) = (true, plan.resets + 1));
    }

    /// Resets all connections there are.
    pub fn reset(&self) {
        self.plan.send_modify(|plan| plan.resets += 1);
    }

    /// Resets all connections and makes new ones to another server, as when a name comes to mean another address.
    pub fn lead_to(&self, server: u16) {
        self.plan.send_modify(|plan| (plan.server, plan.resets) = (server, plan.resets + 1));
    }

    /// Makes new connections to another server. Those that there are stay.
    pub fn lead_new_ones_to(&self, server: u16) {
        self.plan.send_modify(|plan| plan.server = server);
    }

    fn change(&self, way: Way, change: impl FnOnce(&mut Passage)) {
        self.plan.send_modify(|plan| change(plan.passage_mut(way)));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Plan {
    fn passage(&self, way: Way) -> &Passage {
        match way {
            Way::Requests => &self.requests,
            Way::Replies => &self.replies,
        }
    }

    fn passage_mut(&mut self, way: Way) -> &mut Passage {
        match way {
            Way::Requests => &mut self.requests,
            Way::Replies => &mut self.replies,
        }
    }
}

async fn accept(
    port: u16,
    listener: TcpListener,
    mut plan: watch::Receiver<Plan>,
    n_accepted: Arc<AtomicU64>,
) {
    let mut listener = Some(listener);
    // The connections end with this task.
    let mut connections = JoinSet::new();
    loop {
        let refuses = plan.borrow_and_update().refuses;
        if refuses {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.ok();
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await.ok(),
                None if refuses => std::future::pending().await,
                // The port is still in the hands of connections that have just ended: try again.
                None => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    None
                }
            }
        };
        tokio::select! {
            accepted = accepted => {
                if let Some((client, _)) = accepted {
                    let number = n_accepted.fetch_add(1, Ordering::SeqCst);
                    connections.spawn(carry(number, client, plan.clone()));
                }
            }
            changed = plan.changed() => if changed.is_err() { return },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries one connection to its end.
async fn carry(number: u64, mut client: TcpStream, plan: watch::Receiver<Plan>) {
    let (port, resets) = (plan.borrow().server, plan.borrow().resets);
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
    let _best_effort = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let requests = Pump::new(Way::Requests, number, plan.clone(), resets).run(from_client, to_server);
    let replies = Pump::new(Way::Replies, number, plan, resets).run(from_server, to_client);
    if tokio::try_join!(requests, replies).is_err() {
        let _best_effort = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// What carries the bytes that go one way.
struct Pump {
    way: Way,
    /// The number of connections before this one.
    number: u64,
    plan: watch::Receiver<Plan>,
    /// The number of resets before the connection was made.
    resets: u64,
    waiting: VecDeque<(Instant, Vec<u8>)>,
    has_lost: bool,
    /// The number of bytes that may still pass until the connection is cut.
    left: Option<usize>,
}

impl Pump {
    fn new(way: Way, number: u64, plan: watch::Receiver<Plan>, resets: u64) -> Pump {
        Pump { way, number, plan, resets, waiting: VecDeque::new(), has_lost: false, left: None }
    }

    /// Ends well when the sender has ended and all is delivered, with an error when the connection is to be reset.
    async fn run(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
        let mut buffer = vec![0; 16 << 10];
        let mut has_ended = false;
        loop {
            let plan = self.plan.borrow_and_update().clone();
            let passage = plan.passage(self.way);
            self.follow(&plan)?;
            let is_stuck = self.way == Way::Requests && self.number < plan.stuck;
            let is_held = is_stuck || passage.fate == Fate::Held;
            if has_ended && self.waiting.is_empty() && !is_held {
                return to.shutdown().await;
            }
            let due = self.waiting.front().map(|(due, _)| *due).filter(|_| !is_held);
            tokio::select! {
                read = from.read(&mut buffer), if !has_ended => match read? {
                    0 => has_ended = true,
                    n => self.take(passage, &buffer[..n]),
                },
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    let (_, bytes) = self.waiting.pop_front().unwrap_or_else(|| (Instant::now(), Vec::new()));
                    let end = plan.cut.as_ref().map(|(_, end)| *end);
                    self.deliver(&mut to, &bytes, end).await?;
                }
                changed = self.plan.changed() => changed.map_err(io::Error::other)?,
            }
        }
    }

    fn follow(&mut self, plan: &Plan) -> io::Result<()> {
        let is_lossy = plan.passage(self.way).fate == Fate::Lost;
        if self.resets != plan.resets || self.has_lost && !is_lossy {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        match &plan.cut {
            Some((after, _)) if self.way == Way::Replies => {
                self.left.get_or_insert_with(|| after.start + random(after.len()));
            }
            _ => self.left = None,
        }
        Ok(())
    }

    fn take(&mut self, passage: &Passage, bytes: &[u8]) {
        let jitter = passage.jitter.mul_f64(random(1000) as f64 / 1000.0);
        let due = Instant::now() + passage.delay + jitter;
        // Nothing overtakes what was sent before.
        let due = self.waiting.back().map_or(due, |(before, _)| due.max(*before));
        match passage.fate {
            Fate::Passed | Fate::Held => self.waiting.push_back((due, bytes.to_vec())),
            Fate::Garbled => {
                self.waiting.push_back((due, bytes.iter().map(|_| random(256) as u8).collect()));
            }
            Fate::Lost => self.has_lost = true,
        }
    }

    async fn deliver(&mut self, to: &mut WriteHalf<'_>, bytes: &[u8], end: Option<End>) -> io::Result<()> {
        let (Some(left), Some(end)) = (&mut self.left, end) else { return to.write_all(bytes).await };
        let passed = bytes.len().min(*left);
        to.write_all(&bytes[..passed]).await?;
        *left -= passed;
        match end {
            _ if *left > 0 => Ok(()),
            End::Reset => Err(io::ErrorKind::ConnectionReset.into()),
            // Once more and again: all that follows goes nowhere.
            End::Close => to.shutdown().await.or(Ok(())),
        }
    }
}

/// A random number below `n`.
fn random(n: usize) -> usize {
    if n == 0 { 0 } else { fastrand::usize(..n) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eventually;

    const SOON: Duration = Duration::from_secs(10);

    /// A server that sends everything back in capitals, and the proxy to it.
    async fn echo() -> (JoinHandle<()>, Proxy) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut buffer = [0; 1024];
                    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                        stream.write_all(&buffer[..n].to_ascii_uppercase()).await.unwrap();
                    }
                });
            }
        });
        (serving, Proxy::to(port).await)
    }

    async fn client(proxy: &Proxy) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).await.unwrap()
    }

    async fn ask(stream: &mut TcpStream, text: &str) -> io::Result<String> {
        stream.write_all(text.as_bytes()).await?;
        let mut reply = vec![0; text.len()];
        tokio::time::timeout(SOON, stream.read_exact(&mut reply)).await??;
        Ok(String::from_utf8(reply).unwrap())
    }

    /// Returns what comes until the connection ends, and how it ends.
    async fn rest(stream: &mut TcpStream) -> (usize, io::Result<()>) {
        let mut rest = Vec::new();
        let end = tokio::time::timeout(SOON, stream.read_to_end(&mut rest)).await.unwrap();
        (rest.len(), end.map(drop))
    }

    fn is_reset(end: &io::Result<()>) -> bool {
        end.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
    }

    #[tokio::test]
    async fn a_proxy_passes_everything_on_in_order_also_when_it_is_slow() {
        let (_serving, proxy) = echo().await;
        let mut stream = client(&proxy).await;
        assert_eq!(ask(&mut stream, "one").await.unwrap(), "ONE");
        let delay = Duration::from_millis(30);
        proxy.slow(Way::Requests, delay, delay);
        proxy.slow(Way::Replies, delay, Duration::ZERO);
        let start = Instant::now();
        for word in ["two", "three", "four", "five"] {
            stream.write_all(word.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut replies = [0; 15];
        stream.read_exact(&mut replies).await.unwrap();
        assert_eq!(&replies, b"TWOTHREEFOURFIVE".get(..15).unwrap());
        assert!(delay * 2 <= start.elapsed());
    }

    #[tokio::test]
    async fn what_is_held_comes_later_and_what_is_lost_never() {
        let (_serving, proxy) = echo().await;
        let (mut held, mut lost) = (client(&proxy).await, client(&proxy).await);
        assert_eq!(ask(&mut lost, "a").await.unwrap(), "A");
        proxy.hold(Way::Requests);
        held.write_all(b"late").await.unwrap();
        let mut reply = [0; 4];
        let none = tokio::time::timeout(Duration::from_millis(50), held.read_exact(&mut reply)).await;
        assert!(none.is_err());
        proxy.heal();
        held.read_exact(&mut reply).await.unwrap();
        assert_eq!(&reply, b"LATE");
        for way in [Way::Requests, Way::Replies] {
            let mut lost = client(&proxy).await;
            assert_eq!(ask(&mut lost, "a").await.unwrap(), "A");
            proxy.lose(way);
            lost.write_all(b"never").await.unwrap();
            let none = tokio::time::timeout(Duration::from_millis(50), lost.read_exact(&mut reply)).await;
            assert!(none.is_err());
            // A new connection is accepted all the same.
            let mut new = client(&proxy).await;
            new.write_all(b"never").await.unwrap();
            proxy.heal();
            // It would be out of step with its server.
            assert!(is_reset(&rest(&mut lost).await.1));
            assert_eq!(ask(&mut client(&proxy).await, "new").await.unwrap(), "NEW");
        }
        // The other one lost nothing, and goes on.
        assert_eq!(ask(&mut lost, "b").await.unwrap(), "B");
    }

    #[tokio::test]
    async fn a_stuck_connection_does_not_stop_a_new_one() {
        let (_serving, proxy) = echo().await;
        let mut stuck = client(&proxy).await;
        assert_eq!(ask(&mut stuck, "a").await.unwrap(), "A");
        proxy.stick();
        stuck.write_all(b"late").await.unwrap();
        assert_eq!(ask(&mut client(&proxy).await, "new").await.unwrap(), "NEW");
        let mut reply = [0; 4];
        let none = tokio::time::timeout(Duration::from_millis(50), stuck.read_exact(&mut reply)).await;
        assert!(none.is_err());
        proxy.heal();
        stuck.read_exact(&mut reply).await.unwrap();
        assert_eq!(&reply, b"LATE");
    }

    #[tokio::test]
    async fn a_connection_is_cut_after_a_number_of_bytes() {
        let (_serving, proxy) = echo().await;
        proxy.cut(5..6, End::Reset);
        let mut stream = client(&proxy).await;
        assert_eq!(ask(&mut stream, "abc").await.unwrap(), "ABC");
        stream.write_all(b"defg").await.unwrap();
        let (n, end) = rest(&mut stream).await;
        assert!(n <= 2 && is_reset(&end), "{n} {end:?}");

        proxy.cut(5..6, End::Close);
        let mut stream = client(&proxy).await;
        assert_eq!(ask(&mut stream, "abc").await.unwrap(), "ABC");
        stream.write_all(b"defg").await.unwrap();
        let (n, end) = rest(&mut stream).await;
        assert!(n == 2 && end.is_ok(), "{n} {end:?}");
    }

    #[tokio::test]
    async fn a_proxy_refuses_resets_garbles_and_leads_elsewhere() {
        let (_serving, proxy) = echo().await;
        let mut stream = client(&proxy).await;
        assert_eq!(ask(&mut stream, "abc").await.unwrap(), "ABC");
        proxy.refuse();
        assert!(is_reset(&rest(&mut stream).await.1));
        let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port()));
        eventually("it is refused", async || connect().await.is_err()).await;
        proxy.heal();
        eventually("it is let in", async || connect().await.is_ok()).await;

        let mut stream = client(&proxy).await;
        let long = "x".repeat(64);
        proxy.garble(Way::Replies);
        stream.write_all(long.as_bytes()).await.unwrap();
        let mut noise = [0; 64];
        stream.read_exact(&mut noise).await.unwrap();
        assert_ne!(noise, [b'X'; 64]);
        proxy.heal();
        assert_eq!(ask(&mut stream, "abc").await.unwrap(), "ABC");

        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        proxy.lead_to(other.local_addr().unwrap().port());
        assert!(is_reset(&rest(&mut stream).await.1));
        let _client = client(&proxy).await;
        tokio::time::timeout(SOON, other.accept()).await.unwrap().unwrap();
    }
}

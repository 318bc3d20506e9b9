//! The servers, the ways to them and the clients of one seed, and what is done to them.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use redis::Cmd;
use tokio::runtime::Runtime;
use xtask::Binary;
use xtask::Data;
use xtask::Dump;
use xtask::Server;

use crate::client::Place;
use crate::dumps;
use crate::dumps::Contents;
use crate::fault::Fault;
use crate::fault::FaultKind;
use crate::fault::Target;
use crate::link::Link;
use crate::options::Options;
use crate::process::Process;
use crate::process::Said;
use crate::returned::Back;
use crate::returned::Missed;
use crate::verdict::Happened;
use crate::verdict::Lived;
use redisdb_tests::Outcome;
use redisdb_tests::clock::micros;
use redisdb_tests::clock::now;
use redisdb_tests::clock::wait;

/// The interval at which each server is dumped, for the restarts with an old dump.
const DUMPED: Duration = Duration::from_secs(1);

/// The number of dumps of a server are kept.
const DUMPS_KEPT: usize = 25;

/// The time that a client may take to be ready.
const START: Duration = Duration::from_secs(30);

/// The time that all nodes must have been up for a client until the copy has healed: a flush by somebody else is noticed within
/// about a second.
const WELL: Duration = Duration::from_millis(1500);

/// Everything that runs for a seed. All of it ends with this value.
pub(crate) struct Stage {
    servers: Vec<Mutex<Server>>,
    /// The ways from each client to each server; none where nobody is to be cut from one.
    links: Vec<Vec<Link>>,
    clients: Vec<Mutex<Process>>,
    /// The processes that there were, and which of them has which place.
    lived: Mutex<Vec<(Place, Lived)>>,
    faults: Mutex<Vec<Happened>>,
    /// The servers that were away for long and are back.
    backs: Mutex<Vec<Back>>,
    dumps: Vec<Mutex<VecDeque<(u64, Dump)>>>,
    is_over: AtomicBool,
}

impl Stage {
    /// Starts servers and clients, and waits until all clients are ready.
    pub(crate) fn start(
        runtime: &Runtime,
        options: &Options,
        binary: &Binary,
        folder: &Path,
        seed: u64,
    ) -> Outcome<Self> {
        let n_nodes = options.shape.n_nodes;
        // A write to the file is there after a `kill -9` also if it has not reached the disk.
        let builder = Server::builder().binary(binary).persistent().arg("--appendfsync", "no");
        let servers: Vec<Server> = (0..n_nodes).map(|_| builder.clone().start()).collect::<Result<_, _>>()?;
        let is_cut = options.shape.kinds.contains(&FaultKind::Cut);
        let mut links = Vec::new();
        for _ in (0..options.shape.n_processes).filter(|_| is_cut) {
            let to_each = servers.iter().map(|server| runtime.block_on(Link::to(server.port())));
            links.push(to_each.collect::<Vec<Link>>());
        }
        let mut stage = Self {
            dumps: servers.iter().map(|_| Mutex::default()).collect(),
            servers: servers.into_iter().map(Mutex::new).collect(),
            links,
            clients: Vec::new(),
            lived: Mutex::default(),
            faults: Mutex::default(),
            backs: Mutex::default(),
            is_over: AtomicBool::new(false),
        };
        for slot in 0..options.shape.n_processes {
            let urls = match stage.links.get(slot) {
                Some(links) => links.iter().map(Link::url).collect(),
                None => stage.servers.iter().map(|server| server.lock().unwrap().url()).collect(),
            };
            let place = Place {
                folder: folder.to_owned(),
                slot,
                incarnation: 0,
                n_processes: options.shape.n_processes,
                seed,
                identity: options.identity.then(|| "chaos".to_owned()),
                urls,
            };
            // One after the other: the first one marks the servers.
            let client = stage.enter(place)?;
            stage.clients.push(Mutex::new(client));
            if !wait(START, || stage.said(slot).ready.is_some()) {
                return Err(format!("client {slot} was not ready within {START:?}").into());
            }
        }
        for server in &stage.servers {
            dumps::fill(server.lock().unwrap().port(), options.ballast)?;
        }
        Ok(stage)
    }

    fn enter(&self, place: Place) -> Outcome<Process> {
        let process = Process::start(place.clone())?;
        let name = format!("client {} ({})", place.slot, place.incarnation);
        self.lived.lock().unwrap().push((place, Lived { name, ..Lived::default() }));
        Ok(process)
    }

    /// Takes dumps of the servers until the seed is over.
    pub(crate) fn take_dumps(&self) {
        while !self.is_over.load(Ordering::Relaxed) {
            for (server, dumps) in self.servers.iter().zip(&self.dumps) {
                // One that has a fault has none of its dumps taken.
                let Ok(server) = server.try_lock() else { continue };
                let at = now();
                if let Ok(dump) = server.dump() {
                    let mut dumps = dumps.lock().unwrap();
                    dumps.push_back((at, dump));
                    if DUMPS_KEPT < dumps.len() {
                        dumps.pop_front();
                    }
                }
            }
            wait(DUMPED, || self.is_over.load(Ordering::Relaxed));
        }
    }

    /// Has a fault happen, from its begin to its end.
    pub(crate) fn suffer(&self, fault: &Fault, outage: u64) -> Outcome<()> {
        thread::sleep(fault.at);
        let begin = now();
        let position = {
            let mut faults = self.faults.lock().unwrap();
            let is_return = !matches!(fault.kind, FaultKind::ClientKill | FaultKind::ClientStop);
            faults.push(Happened { what: fault.to_string(), begin, end: u64::MAX, is_return, outage });
            faults.len() - 1
        };
        match fault.target {
            Target::Node(node) => self.strike(&mut self.servers[node].lock().unwrap(), node, fault)?,
            Target::Client(slot) => self.strike_client(slot, fault)?,
            Target::Link(slot, node) => {
                let link = &self.links[slot][node];
                link.cut(Some(fault.cut));
                thread::sleep(fault.lasts);
                link.cut(None);
            }
        }
        self.faults.lock().unwrap()[position].end = now();
        Ok(())
    }

    fn strike(&self, server: &mut Server, node: usize, fault: &Fault) -> Outcome<()> {
        let begin = now();
        match fault.kind {
            FaultKind::Stop | FaultKind::Away => {
                server.pause();
                thread::sleep(fault.lasts);
                let noted = self.note_back(node, fault);
                server.resume();
                noted?;
            }
            FaultKind::Flush => {
                let mut connection = redisdb_tests::connect(server.port())?;
                Cmd::new().arg("FLUSHALL").query::<()>(&mut connection)?;
            }
            kind => {
                server.kill();
                self.tell_links(node, true);
                thread::sleep(fault.lasts);
                let noted = self.note_back(node, fault);
                match kind {
                    FaultKind::Empty => server.restart(Data::Lose)?,
                    FaultKind::Dump => {
                        match self.dump_before(node, begin.saturating_sub(micros(fault.age))) {
                            Some(dump) => server.restart_from(&dump)?,
                            // No server ran for that long yet.
                            None => server.restart(Data::Lose)?,
                        }
                    }
                    _ => server.restart(Data::Keep)?,
                }
                self.tell_links(node, false);
                noted?;
            }
        }
        Ok(())
    }

    /// Notes what a server has missed that was away for long and is about to be back.
    fn note_back(&self, node: usize, fault: &Fault) -> Outcome<()> {
        if !fault.kind.is_long() {
            return Ok(());
        }
        let mut missed = Missed::default();
        for (_, holder) in self.servers.iter().enumerate().filter(|(holder, _)| *holder != node) {
            missed.hear(holder.lock().unwrap().port(), node)?;
        }
        let is_same_process = fault.kind == FaultKind::Away;
        self.backs.lock().unwrap().push(Back { node, at: now(), is_same_process, missed });
        Ok(())
    }

    /// Returns the servers that were away for long and are back.
    pub(crate) fn backs(&self) -> Vec<Back> {
        self.backs.lock().unwrap().clone()
    }

    fn tell_links(&self, node: usize, is_away: bool) {
        self.links.iter().for_each(|links| links[node].server_is_away(is_away));
    }

    /// The last dump of before a moment, or the first one.
    fn dump_before(&self, node: usize, moment: u64) -> Option<Dump> {
        let dumps = self.dumps[node].lock().unwrap();
        let before = dumps.iter().rev().find(|(at, _)| *at <= moment);
        before.or_else(|| dumps.front()).map(|(_, dump)| dump.clone())
    }

    fn strike_client(&self, slot: usize, fault: &Fault) -> Outcome<()> {
        let mut client = self.clients[slot].lock().unwrap();
        match fault.kind {
            FaultKind::ClientKill => {
                client.kill();
                let place = client.place.clone();
                self.live(&place, |lived| lived.was_killed = true);
                let said = client.said();
                self.live(&place, |lived| lived.ready = said.ready.unwrap_or(u64::MAX));
                thread::sleep(fault.lasts);
                *client = self.enter(Place { incarnation: place.incarnation + 1, ..place })?;
            }
            _ => {
                let begin = now();
                client.pause();
                thread::sleep(fault.lasts);
                client.resume();
                self.live(&client.place, |lived| lived.stops.push((begin, now())));
            }
        }
        Ok(())
    }

    fn live(&self, place: &Place, change: impl FnOnce(&mut Lived)) {
        let mut lived = self.lived.lock().unwrap();
        let is_this = |other: &Place| other.slot == place.slot && other.incarnation == place.incarnation;
        if let Some((_, lived)) = lived.iter_mut().find(|(other, _)| is_this(other)) {
            change(lived);
        }
    }

    fn said(&self, slot: usize) -> Said {
        self.clients[slot].lock().unwrap().said()
    }

    /// Waits until all nodes are up for all clients, and returns since when they are; `None` if they are not in time.
    pub(crate) fn healed(&self, limit: Duration) -> Option<u64> {
        let mut since = None;
        let is_healed = wait(limit + WELL, || {
            let is_well = (0..self.clients.len()).all(|slot| self.said(slot).is_well());
            since = if is_well { since.or_else(|| Some(now())) } else { None };
            since.is_some_and(|since| since + micros(WELL) <= now())
        });
        since.filter(|_| is_healed)
    }

    /// The keys that are in conflict, as any client says.
    pub(crate) fn conflicts(&self) -> BTreeSet<String> {
        (0..self.clients.len()).flat_map(|slot| self.said(slot).conflicts).collect()
    }

    /// Returns how each client says that the nodes are, where one is not well.
    pub(crate) fn ailing(&self) -> String {
        let said = (0..self.clients.len()).map(|slot| (slot, self.said(slot)));
        let ailing = said.filter(|(_, said)| !said.is_well());
        let shown: Vec<String> =
            ailing.map(|(slot, said)| format!("client {slot}: {}", said.health)).collect();
        shown.join("; ")
    }

    /// Has all clients end their load, and waits for it. Returns which of them have not.
    pub(crate) fn stop(&self, limit: Duration) -> Vec<usize> {
        self.is_over.store(true, Ordering::Relaxed);
        self.clients.iter().for_each(|client| client.lock().unwrap().ask("stop"));
        let going_on =
            || (0..self.clients.len()).filter(|slot| !self.said(*slot).stopped).collect::<Vec<_>>();
        wait(limit, || going_on().is_empty());
        going_on()
    }

    /// Has all clients read all keys, and returns how many they could not read, those of one that does not answer included.
    pub(crate) fn sweep(&self, number: u64, limit: Duration) -> usize {
        self.clients.iter().for_each(|client| client.lock().unwrap().ask(&format!("sweep {number}")));
        let unread = || (0..self.clients.len()).map(|slot| self.said(slot).swept.get(&number).copied());
        wait(limit, || unread().all(|n| n.is_some()));
        unread().map(|n| n.unwrap_or(1)).sum()
    }

    /// Reads from each server what it holds.
    pub(crate) fn contents(&self) -> Outcome<Vec<Contents>> {
        let ports = self.servers.iter().map(|server| server.lock().unwrap().port());
        Ok(ports.map(dumps::contents).collect::<Result<_, _>>()?)
    }

    /// The clients that have ended by themselves, which none does.
    pub(crate) fn ended(&self) -> Vec<String> {
        let ended = self.clients.iter().enumerate().filter(|(_, client)| client.lock().unwrap().has_ended());
        ended.map(|(slot, _)| format!("client {slot}")).collect()
    }

    /// Ends all clients, and returns those that there were and the faults that there were.
    pub(crate) fn end(&self) -> (Vec<(Place, Lived)>, Vec<Happened>) {
        for client in &self.clients {
            let mut client = client.lock().unwrap();
            let said = client.said();
            self.live(&client.place, |lived| lived.ready = said.ready.unwrap_or(u64::MAX));
            client.kill();
        }
        (self.lived.lock().unwrap().clone(), self.faults.lock().unwrap().clone())
    }

    /// Returns what the servers have logged.
    pub(crate) fn logs(&self) -> Vec<String> {
        self.servers.iter().map(|server| server.lock().unwrap().log()).collect()
    }
}

//! A client process: it writes what it is told to write when it is told, and says what became of it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use fastrand::Rng;
use futures_util::future::join_all;
use redisdb::OnDifference;
use redisdb::RedisCopy;
use redisdb::commands::*;
use redisdb_tests::LIVES;
use redisdb_tests::NAMES;
use redisdb_tests::RACED;
use redisdb_tests::ROUND;
use redisdb_tests::Raced;
use redisdb_tests::Teller;
use redisdb_tests::orders;
use redisdb_tests::resident_mib;
use tracing::Level;

use crate::crowd::Convergence;
use crate::options::Scene;

/// The interval at which a client looks how far the nodes are equal.
const LOOK: Duration = Duration::from_millis(50);

/// The time that it is until it is tried again to connect.
const AGAIN: Duration = Duration::from_millis(500);

/// The number of keys a pipeline changes, and how many pipelines are under way at once.
const PIPELINE: usize = 100;
const AT_ONCE: u32 = 4;

/// The words that a client process is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) slot: usize,
    pub(crate) n_processes: usize,
    pub(crate) seed: u64,
    pub(crate) n_keys: usize,
    pub(crate) scene: Scene,
    /// The nodes are left different.
    pub(crate) leave: bool,
    /// The client tells more, for the traces.
    pub(crate) is_told_more: bool,
    pub(crate) urls: Vec<String>,
}

impl Place {
    /// The words that [`read`](Self::read) reads.
    pub(crate) fn words(&self) -> Vec<String> {
        let scene = match self.scene {
            Scene::Race => 0,
            Scene::Kill => 1,
            Scene::Storm => 2,
            Scene::Clock => 3,
        };
        let numbers = [
            self.slot as u64,
            self.n_processes as u64,
            self.seed,
            self.n_keys as u64,
            scene,
            u64::from(self.leave),
            u64::from(self.is_told_more),
        ];
        numbers.iter().map(u64::to_string).chain(self.urls.iter().cloned()).collect()
    }

    /// Reads the words of a command line.
    ///
    /// # Panics
    /// If they are not such words.
    pub(crate) fn read(words: &[String]) -> Self {
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        Self {
            slot: number(0) as usize,
            n_processes: number(1) as usize,
            seed: number(2),
            n_keys: number(3) as usize,
            scene: [Scene::Race, Scene::Kill, Scene::Storm, Scene::Clock][number(4) as usize],
            leave: number(5) == 1,
            is_told_more: number(6) == 1,
            urls: words[7..].to_vec(),
        }
    }

    /// The keys that are raced on, each at the place that it is named by.
    pub(crate) fn keys(&self) -> Vec<Raced> {
        let ops: &[&str] = if self.scene == Scene::Clock { &LIVES } else { &RACED };
        Raced::all(ops, self.n_keys, self.seed)
    }
}

/// Runs until standard input ends. Each order is answered by `did` and the order, after what there is to say of it.
pub(crate) async fn run(place: Place) {
    let level = if place.is_told_more { Level::DEBUG } else { Level::INFO };
    let teller = Teller::new("redisdb", level, |line| eprintln!("{} {line}", redisdb_tests::clock::now()));
    let _one_for_the_process = tracing::subscriber::set_global_default(teller);
    let mut orders = orders();
    let copy = connect(&place).await;
    tokio::spawn(tell_convergence(copy.clone()));
    let keys = place.keys();
    println!("ready");
    while let Some(order) = orders.recv().await {
        let words: Vec<&str> = order.split(' ').collect();
        match words[..] {
            ["before"] => before(&copy, &keys).await,
            ["firsts"] => {
                for (at, raced) in keys.iter().enumerate() {
                    println!("first {at} {}", copy.node_for(raced.name()).name());
                }
            }
            ["round", round] => run_round(&copy, &place, &keys, round.parse().unwrap()).await,
            ["storm", rate, seconds] => {
                let lasts = Duration::from_secs(seconds.parse().unwrap());
                storm(&copy, &place, rate.parse().unwrap(), lasts).await;
            }
            _ => panic!("an unknown order: {order}"),
        }
        println!("did {order}");
    }
}

/// A copy that is ready. Where it is refused it is tried again, as a service that is started again does.
async fn connect(place: &Place) -> RedisCopy {
    loop {
        let nodes = NAMES.iter().zip(&place.urls);
        let builder = nodes.fold(RedisCopy::builder(), |builder, (name, url)| builder.node(*name, url));
        let builder = builder.identity("races");
        let builder = if place.leave { builder.on_difference(OnDifference::Leave) } else { builder };
        match builder.connect().await {
            Ok(copy) => return copy,
            Err(error) => eprintln!("not connected: {error}"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Says how far the nodes are equal, whenever that changes.
async fn tell_convergence(copy: RedisCopy) {
    let mut before = Convergence::default();
    loop {
        let convergence = Convergence::of(copy.convergence(), resident_mib().unwrap_or(0));
        if convergence != before {
            println!("convergence {convergence}");
            before = convergence;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Writes what is there before a race.
async fn before(copy: &RedisCopy, keys: &[Raced]) {
    let names: Vec<String> = keys.iter().filter(|raced| raced.is_there_before()).map(Raced::name).collect();
    for names in names.chunks(1000) {
        _ = copy.mset(names.iter().map(|name| (name, "before"))).await.unwrap();
    }
}

/// Writes the keys of a round together. In half of all rounds each writer has an order of its own.
async fn run_round(copy: &RedisCopy, place: &Place, keys: &[Raced], round: usize) {
    let mut ats: Vec<usize> = (round * ROUND..keys.len().min((round + 1) * ROUND)).collect();
    if round % 2 == 1 {
        Rng::with_seed(place.seed + (round * place.n_processes + place.slot) as u64).shuffle(&mut ats);
    }
    let writes = ats.into_iter().map(async |at| match keys[at].write(copy, place.slot).await {
        Ok(()) => println!("acknowledged {at}"),
        Err(error) => {
            eprintln!("{}: {error}", keys[at].name());
            println!("{} {at}", if error.may_have_executed() { "unknown" } else { "refused" });
        }
    });
    join_all(writes).await;
}

/// Changes keys by pipelines, at this rate or as fast as can be, for so long. Says how many it has changed.
async fn storm(copy: &RedisCopy, place: &Place, rate: f64, lasts: Duration) {
    let changed = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + lasts;
    let every = Duration::from_secs_f64(PIPELINE as f64 / rate) * AT_ONCE;
    let tasks = (0..AT_ONCE).map(|task| {
        let (copy, changed, n_keys) = (copy.clone(), Arc::clone(&changed), place.n_keys);
        let writer = place.slot;
        let mut dice =
            Rng::with_seed(place.seed.wrapping_mul(0x9e37_79b9) + (writer as u64 * 64 + u64::from(task)));
        tokio::spawn(async move {
            let mut next = Instant::now();
            while next < end {
                tokio::time::sleep_until(next.into()).await;
                let pipeline = copy.pipeline();
                for _ in 0..PIPELINE {
                    let _said_by_all =
                        pipeline.set(format!("storm:{}", dice.usize(..n_keys)), dice.u32(..) ^ writer as u32);
                }
                match pipeline.execute().await.check() {
                    Ok(()) => _ = changed.fetch_add(PIPELINE as u64, Ordering::Relaxed),
                    Err(error) => eprintln!("a pipeline: {error}"),
                }
                // What was too slow is not made up for.
                next = (next + every).max(Instant::now());
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    println!("changed {}", changed.load(Ordering::Relaxed));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        for scene in [Scene::Race, Scene::Kill, Scene::Storm, Scene::Clock] {
            let place = Place {
                slot: 1,
                n_processes: 2,
                seed: 3,
                n_keys: 4,
                scene,
                leave: true,
                is_told_more: false,
                urls: vec!["redis://127.0.0.1:1".to_owned()],
            };
            assert_eq!(Place::read(&place.words()), place);
        }
    }
}

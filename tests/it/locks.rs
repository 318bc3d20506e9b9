//! Locks: one owner at a time.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use redisdb::Node;
use redisdb::node::FlushMode;
use redisdb::node::KeyCommands;
use redisdb::node::Lock;
use redisdb::node::LockError;
use redisdb::node::LockOptions;
use redisdb::node::ScriptingCommands;
use redisdb::node::StringCommands;
use redisdb::node::plumbing::HoldLocks;
use redisdb_tests::copy;
use redisdb_tests::eventually;
use redisdb_tests::ring;
use xtask::Server;

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(30);

fn once(timeout: Duration) -> LockOptions {
    LockOptions::new(timeout).wait_at_most(Duration::ZERO)
}

/// Taken, refused to others, extended, given up, and lost when it expires.
async fn check<S: HoldLocks<Error: 'static> + Sync>(store: &S) {
    let lock = Lock::new(store, "l", once(LONG));
    let mut guard = lock.acquire().await.unwrap();
    assert!(guard.is_held().await.unwrap() && guard.remaining() > LONG / 2);
    assert!(matches!(lock.acquire().await, Err(LockError::NotAcquired)));
    guard.extend(2 * LONG).await.unwrap();
    assert!(guard.remaining() > LONG);
    guard.release().await.unwrap();

    // Released: it can be taken at once. Not released: when it has expired, and the first owner is told.
    let lost = Lock::new(store, "l", once(SHORT)).acquire().await.unwrap();
    let start = Instant::now();
    let waiting = LockOptions::new(LONG).retry_every(Duration::from_millis(2));
    let second = Lock::new(store, "l", waiting).acquire().await.unwrap();
    assert!(start.elapsed() < LONG / 2);
    assert_ne!(lost.token(), second.token());
    assert!(!lost.is_held().await.unwrap() && lost.remaining() == Duration::ZERO);
    assert_eq!(lost.release().await.unwrap_err().to_string(), LockError::<redisdb::Error>::Lost.to_string());
    let mut second = second;
    assert!(second.is_held().await.unwrap(), "the loser's release has not ended it");
    second.extend(SHORT).await.unwrap();
    eventually("it expires", async || !second.is_held().await.unwrap()).await;
    assert!(matches!(second.extend(LONG).await, Err(LockError::Lost)));
}

#[tokio::test]
async fn a_lock_has_one_owner_on_a_node_on_a_ring_and_on_a_copy() {
    let server = Server::start().unwrap();
    check(&Node::connect(server.url()).await.unwrap()).await;
    let (_servers, ring) = ring().await;
    check(&ring).await;
    let (_servers, copy) = copy().await;
    check(&copy).await;
}

/// Checks what is certain of a lock after an answer that says that it is lost, an error, and a call that nobody waited for.
async fn check_certainty<S>(store: &S, end_all: impl FnOnce())
where
    S: HoldLocks<Error: 'static> + KeyCommands + Sync,
{
    let mut guard = Lock::new(store, "certain", once(LONG)).acquire().await.unwrap();
    assert!(LONG / 2 < guard.remaining());
    // A future that was polled once may have sent it.
    drop(futures_util::future::select(Box::pin(guard.extend(SHORT)), std::future::ready(())).await);
    assert_eq!(guard.remaining(), Duration::ZERO, "it may last for the shorter time");
    guard.extend(LONG).await.unwrap();
    assert!(LONG / 2 < guard.remaining(), "certain again");

    store.del("certain").await.unwrap();
    assert!(matches!(guard.extend(LONG).await, Err(LockError::Lost)));
    assert_eq!(guard.remaining(), Duration::ZERO, "the store has said that it is lost");

    let told = Lock::new(store, "certain", once(LONG)).acquire().await.unwrap();
    store.del("certain").await.unwrap();
    assert!(!told.is_held().await.unwrap());
    assert_eq!(told.remaining(), Duration::ZERO, "the store has said so to this question too");

    let mut guard = Lock::new(store, "certain", once(LONG)).acquire().await.unwrap();
    end_all();
    assert!(matches!(guard.extend(LONG).await, Err(LockError::Store(_))));
    assert_eq!(guard.remaining(), Duration::ZERO, "nobody knows");
}

#[tokio::test]
async fn nothing_is_certain_after_an_extend_that_did_not_succeed() {
    let mut server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    check_certainty(&node, || server.kill()).await;
    let (mut servers, ring) = ring().await;
    check_certainty(&ring, || servers.iter_mut().for_each(Server::kill)).await;
    let (mut servers, copy) = copy().await;
    check_certainty(&copy, || servers.iter_mut().for_each(Server::kill)).await;
}

#[tokio::test]
async fn a_guard_can_be_released_by_another_task() {
    let (_servers, ring) = ring().await;
    let guard = ring.lock("l", once(LONG)).acquire().await.unwrap();
    assert_eq!(ring.node_for("l").get::<String>("l").await.unwrap().as_deref(), Some(guard.token()));
    tokio::spawn(guard.release()).await.unwrap().unwrap();
    assert_eq!(ring.exists("l").await.unwrap(), 0);
}

/// Says so when two are inside at the same time.
struct Inside<'a>(&'a AtomicBool);

impl<'a> Inside<'a> {
    fn enter(inside: &'a AtomicBool) -> Self {
        assert!(!inside.swap(true, Ordering::SeqCst), "two owners");
        Self(inside)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

async fn exclusion<S: HoldLocks<Error: 'static> + Sync + 'static>(store: S, rounds: u32) {
    let inside = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU32::new(0));
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let (store, inside, done) = (store.clone(), inside.clone(), done.clone());
            tokio::spawn(async move {
                let options = LockOptions::new(Duration::from_secs(2)).retry_every(Duration::from_millis(4));
                let lock = Lock::new(&store, "l", options);
                for round in 0..rounds {
                    let (held, holds) = tokio::sync::oneshot::channel();
                    let holder = tokio::spawn({
                        let (lock, inside) = (lock.clone(), inside.clone());
                        async move {
                            let guard = lock.acquire().await.unwrap();
                            {
                                let _inside = Inside::enter(&inside);
                                let _ = held.send(());
                                for _ in 0..5 {
                                    tokio::task::yield_now().await;
                                }
                            }
                            guard.release().await.unwrap();
                        }
                    });
                    if round == rounds / 2 && task % 4 == 0 {
                        // Killed while it holds the lock, which then has to expire.
                        holds.await.unwrap();
                        holder.abort();
                        if let Err(error) = holder.await {
                            assert!(error.is_cancelled(), "{error}");
                        }
                    } else {
                        holder.await.unwrap();
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(done.load(Ordering::Relaxed), 8 * rounds);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_tasks_are_never_inside_together_even_if_holders_are_killed() {
    let (_servers, ring) = ring().await;
    exclusion(ring, 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_are_they_on_a_copy() {
    let (_servers, copy) = copy().await;
    exclusion(copy, 25).await;
}

#[tokio::test]
async fn on_a_copy_a_majority_is_enough_and_needed() {
    let (mut servers, copy) = copy().await;
    let guard = copy.lock("l", once(LONG)).acquire().await.unwrap();
    servers[0].kill();
    assert!(guard.is_held().await.unwrap());
    assert!(matches!(copy.lock("l", once(LONG)).acquire().await, Err(LockError::NotAcquired)));
    guard.release().await.unwrap();
    let guard = copy.lock("l", once(LONG)).acquire().await.unwrap();
    guard.release().await.unwrap();

    // Half of the others has it: nobody can get it, and what a failed attempt took is given back.
    copy.on_node("b").unwrap().set("l", "another").await.unwrap();
    assert!(copy.lock("l", once(LONG)).acquire().await.is_err());
    assert_eq!(copy.on_node("c").unwrap().exists("l").await.unwrap(), 0);
    copy.on_node("b").unwrap().del("l").await.unwrap();

    servers[1].kill();
    let Err(LockError::Store(error)) = copy.lock("l", once(LONG)).acquire().await else { panic!() };
    assert!(error.is_connect(), "{error}");
    assert_eq!(copy.on_node("c").unwrap().exists("l").await.unwrap(), 0);
}

/// A majority is enough to go on, but a lock that only a majority has bears no loss.
#[tokio::test]
async fn on_a_copy_a_lock_is_taken_on_every_node_that_is_up() {
    let (_servers, copy) = copy().await;
    for i in 0..30 {
        // No server knows any script.
        _ = copy.script_flush(FlushMode::Sync).await.unwrap();
        let name = format!("l:{i}");
        let guard = copy.lock(&name, once(LONG)).acquire().await.unwrap();
        for node in copy.nodes() {
            eventually("it has it too", async || {
                node.get::<String>(&name).await.unwrap().as_deref() == Some(guard.token())
            })
            .await;
        }
        guard.release().await.unwrap();
    }
}

#[tokio::test]
async fn on_a_copy_a_node_that_hangs_delays_nobody() {
    let (servers, copy) = copy().await;
    copy.lock("warm", once(LONG)).acquire().await.unwrap().release().await.unwrap();
    servers[0].pause();
    let start = Instant::now();
    let guard = copy.lock("l", once(LONG)).acquire().await.unwrap();
    let timeout = copy.on_node("a").unwrap().config().response_timeout();
    assert!(start.elapsed() < timeout, "{:?}", start.elapsed());
    assert!(guard.remaining() < LONG - LONG / 100);
    servers[0].resume();
}

#[tokio::test]
async fn on_a_copy_a_lease_that_is_never_certain_is_an_error() {
    let (_servers, copy) = copy().await;
    for lease in [Duration::from_millis(1), Duration::from_millis(2)] {
        let Err(LockError::Store(error)) = copy.lock("l", LockOptions::new(lease)).acquire().await else {
            panic!("{lease:?}")
        };
        assert!(error.to_string().contains("at least 10 ms"), "{error}");
    }
    assert_eq!(copy.exists("l").await.unwrap(), 0);
    copy.lock("l", once(Duration::from_millis(500))).acquire().await.unwrap().release().await.unwrap();
}

//! Limits of a client: file descriptors, room for calls, time. And the resources that it must not leave behind.

use std::fs::File;
use std::future::poll_fn;
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;
use std::time::Instant;

use redisdb::Error;
use redisdb::Node;
use redisdb::NodeConfig;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::node::ErrorKind;
use redisdb::node::Observer;
use redisdb::node::ServerCommands;
use redisdb::node::StringCommands;
use redisdb_tests::NAMES;
use redisdb_tests::eventually;
use redisdb_tests::measured;
use redisdb_tests::passes;
use tokio::runtime::Handle;
use tokio::runtime::Runtime;
use xtask::Servers;
use xtask::once_more;
use xtask::told;

use super::scene::B;
use super::scene::in_sync;
use super::subject::Kind;
use super::subject::Subject;
use super::tally::Class;
use super::tally::DEADLINE;

rows!(ten_thousand_calls_at_once);

/// Runs the calling test in a process of its own, with at most so many file descriptors: what is counted there is of the
/// whole process.
pub(super) fn in_child(servers: &Servers, n_files: usize) {
    let test = once_more(&servers.urls().join(",")).unwrap();
    let mut child = Command::new("sh");
    child.args(["-c", r#"ulimit -n "$1" && shift && exec "$@""#, "sh", &n_files.to_string()]);
    child.arg(test.get_program()).args(test.get_args());
    child.envs(test.get_envs().filter_map(|(name, value)| Some((name, value?))));
    println!("{}", passes(&mut child));
}

/// In a child, the URLs of the servers.
pub(super) fn urls() -> Option<Vec<String>> {
    Some(told()?.split(',').map(str::to_owned).collect())
}

async fn ten_thousand_calls_at_once<S: Subject>() {
    const TASKS: usize = 10_000;
    /// So patient that only the bound on what is under way fails a call, and no machine is too slow.
    const PATIENCE: Duration = Duration::from_secs(60);
    let servers = Servers::start(NAMES.len()).unwrap();
    let store = S::over(&servers.urls(), None, PATIENCE);
    for i in 0..10 * NAMES.len() {
        let key = format!("first:{i}");
        eventually("all are connected", async || store.set(&key, "1").await.is_ok()).await;
    }
    let tasks: Vec<_> = (0..TASKS)
        .map(|i| {
            let store = store.clone();
            tokio::spawn(async move {
                let key = format!("key:{i}");
                let written = store.set(&key, &key).await;
                let read = store.get::<String>(&key).await;
                if let (Ok(_), Ok(found)) = (&written, &read) {
                    assert_eq!(found.as_deref(), Some(&*key));
                }
                [written.err(), read.err()]
            })
        })
        .collect();
    let mut shed = [0, 0];
    for task in tasks {
        let errors = tokio::time::timeout(2 * PATIENCE, task).await.expect("it hangs").unwrap();
        for (shed, error) in shed.iter_mut().zip(errors) {
            let Some(error) = error else { continue };
            assert!(error.node_errors().into_iter().all(|error| error.is_overloaded()), "{error}");
            *shed += 1;
        }
    }
    println!("of {TASKS} writes and as many reads, {shed:?} were not answered");
    match S::KIND {
        // Each node is called by a third of them, which is within its bound.
        Kind::Ring => assert_eq!(shed, [0, 0]),
        // Each write is for every node; those within its bound are answered, and what comes after them.
        Kind::Copy => assert!(shed.iter().all(|shed| *shed <= TASKS - NodeConfig::MAX_IN_FLIGHT), "{shed:?}"),
    }
    // It is as good as new.
    eventually("it answers", async || store.get::<String>("key:1").await.is_ok()).await;
}

/// Calls to one server that does not answer: as many as it takes, and more.
const CALLS: usize = NodeConfig::MAX_IN_FLIGHT + 2000;
/// The memory that they may take, in MiB: their tasks, what they send, and what they wait for. On a copy each is three.
const SATURATED: u64 = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_to_a_stopped_server_of_a_ring_are_shed_above_the_bound_and_take_little_memory() {
    let Some(urls) = urls() else { return in_child(&Servers::start(3).unwrap(), 256) };
    let nodes = NAMES.iter().zip(&urls);
    let ring = nodes.fold(RedisRing::builder(), |ring, (name, url)| ring.node(*name, url));
    let ring = ring.response_timeout(HOLD).connect().await.unwrap();
    let stopped = ring.on_node(NAMES[B]).unwrap().clone();
    let keys = (0..).map(|i| format!("key:{i}")).filter(|key| ring.node_for(key).name() == NAMES[B]);
    let outcomes = saturate("ring", &stopped, keys.take(CALLS).collect(), move |key| {
        let ring = ring.clone();
        async move { ring.set(&key, &key).await }
    })
    .await;
    assert_eq!(
        outcomes.iter().filter(|outcome| **outcome == Some(Class::NotSent)).count(),
        CALLS - NodeConfig::MAX_IN_FLIGHT
    );
    eventually("it answers", async || stopped.dbsize().await.is_ok()).await;
    // What was given up may be executed late, and no more than that.
    assert!(stopped.dbsize().await.unwrap() <= NodeConfig::MAX_IN_FLIGHT as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_to_a_stopped_server_of_a_copy_are_shed_above_the_bound_and_take_little_memory() {
    let Some(urls) = urls() else { return in_child(&Servers::start(3).unwrap(), 256) };
    let nodes = NAMES.iter().zip(&urls);
    let copy = nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, url));
    let copy = copy.response_timeout(HOLD).connect().await.unwrap();
    let stopped = copy.on_node(NAMES[B]).unwrap().clone();
    let keys: Vec<String> = (0..CALLS).map(|i| format!("key:{i}")).collect();
    let outcomes = saturate("copy", &stopped, keys.clone(), {
        let copy = copy.clone();
        move |key| {
            let copy = copy.clone();
            async move { copy.set(&key, &key).await.map(drop) }
        }
    })
    .await;
    in_sync(&copy, None).await.unwrap();
    assert_eq!(copy.verify().run().await.unwrap(), []);
    // What any node has taken, all have in the end.
    for (key, outcome) in keys.iter().zip(outcomes) {
        if outcome.is_none() {
            assert_eq!(stopped.get::<String>(key).await.unwrap().as_ref(), Some(key));
        }
    }
}

/// The time that a call waits for the stopped server: for all of them to be under way at once.
const HOLD: Duration = Duration::from_secs(6);

/// Stops the server of a node, writes all keys at once, and lets it go on. Returns what became of each call: `None` if
/// it was answered.
async fn saturate<F>(
    kind: &str,
    stopped: &Node,
    keys: Vec<String>,
    write: impl Fn(String) -> F + Clone + Send + 'static,
) -> Vec<Option<Class>>
where
    F: Future<Output = Result<(), Error>> + Send,
{
    let info = stopped.send(redis::cmd("INFO").arg("server")).await.unwrap();
    let info: String = redis::from_redis_value(info).unwrap();
    let pid = info.lines().find_map(|line| line.strip_prefix("process_id:")).unwrap();
    let signal = |signal: &str| assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
    signal("-STOP");
    let what = format!("{} calls at once, one server stopped ({kind})", keys.len());
    let outcomes = measured(&what, SATURATED, async || {
        let spawn = |key: String| {
            let write = write.clone();
            tokio::spawn(async move {
                let start = Instant::now();
                let outcome = write(key).await.err().as_ref().map(Class::of);
                (outcome, start.elapsed())
            })
        };
        // All are there before the first is waited for.
        let tasks: Vec<_> = keys.into_iter().map(spawn).collect();
        let mut outcomes = Vec::new();
        for task in tasks {
            let (outcome, took) =
                tokio::time::timeout(Duration::from_secs(60), task).await.expect("it hangs").unwrap();
            assert!(took < HOLD + Duration::from_secs(3), "{took:?}");
            outcomes.push(outcome);
        }
        outcomes
    })
    .await;
    signal("-CONT");
    let n = |outcome| outcomes.iter().filter(|o| **o == outcome).count();
    println!(
        "answered {}, not sent {}, unknown {}",
        n(None),
        n(Some(Class::NotSent)),
        n(Some(Class::Unknown))
    );
    outcomes
}

#[tokio::test]
async fn a_process_without_file_descriptors_recovers_when_it_has_some() {
    let Some(urls) = urls() else { return in_child(&Servers::start(3).unwrap(), 64) };
    // Both live until the end: what one gave back meanwhile, the other would have.
    let (ring, copy) = (RedisRing::over(&urls, None, DEADLINE), RedisCopy::over(&urls, None, DEADLINE));
    recovers_with_files(&ring).await;
    recovers_with_files(&copy).await;
}

async fn recovers_with_files(store: &impl Subject) {
    let fill = || -> Vec<File> { std::iter::from_fn(|| File::open("/dev/null").ok()).collect() };
    let files = fill();
    let error = store.get::<String>("key").await.unwrap_err();
    assert_eq!(Class::of(&error), Class::NotSent, "{error}");
    let is_local = |kind: &ErrorKind| format!("{kind:?}").contains("Too many open files");
    assert!(error.node_errors().iter().all(|error| is_local(error.kind())), "{error:?}");
    drop(files);
    eventually("it is answered", async || store.set("key", "1").await.is_ok()).await;
    // The connections that there are stay.
    let _files = fill();
    for _ in 0..100 {
        assert_eq!(store.get::<String>("key").await.unwrap().as_deref(), Some("1"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_stood_still_blames_no_server() {
    let Some(urls) = urls() else { return in_child(&Servers::start(1).unwrap(), 256) };
    const TIMEOUT: Duration = Duration::from_millis(300);
    let told = Arc::new(Mutex::new(Vec::new()));
    let observer = {
        let told = Arc::clone(&told);
        Observer::new(move |_, event| told.lock().unwrap().push(event.to_string()))
    };
    let config = NodeConfig::new(&urls[0]).unwrap().with_response_timeout(TIMEOUT);
    let node = Node::observed(config, observer);
    node.ready().await.unwrap();
    let has_ended = Arc::new(AtomicBool::new(false));
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let (node, has_ended) = (node.with_deadline(TIMEOUT), Arc::clone(&has_ended));
            tokio::spawn(async move {
                while !has_ended.load(Ordering::Relaxed) {
                    // What was under way when time stood still may be too late.
                    let counted = node.incr("n").await;
                    assert!(counted.as_ref().err().is_none_or(|error| error.is_timeout()), "{counted:?}");
                    // What fails at once must not keep the others from their turn.
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for _ in 0..6 {
        let pid = std::process::id().to_string();
        let stop = "kill -STOP $1; sleep 0.6; kill -CONT $1";
        let stopped = move || Command::new("sh").args(["-c", stop, "sh", &pid]).status().unwrap();
        assert!(tokio::task::spawn_blocking(stopped).await.unwrap().success());
        eventually("it goes on", async || node.incr("n").await.is_ok()).await;
    }
    has_ended.store(true, Ordering::Relaxed);
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(*told.lock().unwrap(), ["connected"]);
}

/// Returns what a client holds: tasks, file descriptors, and its connections in the servers' eyes.
async fn held(outsiders: &[Node]) -> (usize, usize, usize) {
    let mut n_connections = 0;
    for outsider in outsiders {
        let list = outsider.send(redis::cmd("CLIENT").arg("LIST")).await.unwrap();
        let list: String = redis::from_redis_value(list).unwrap();
        n_connections += list.lines().count();
    }
    let n_files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    (Handle::current().metrics().num_alive_tasks(), n_files, n_connections)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_cancelled_calls_leave_nothing_behind() {
    let Some(urls) = urls() else { return in_child(&Servers::start(3).unwrap(), 1024) };
    let mut outsiders = Vec::new();
    for url in &urls {
        outsiders.push(Node::connect(url.clone()).await.unwrap());
    }
    cancelled_calls_leave_nothing::<RedisRing>(&urls, &outsiders).await;
    cancelled_calls_leave_nothing::<RedisCopy>(&urls, &outsiders).await;
}

async fn cancelled_calls_leave_nothing<S: Subject>(urls: &[String], outsiders: &[Node]) {
    const TASKS: usize = 50;
    const CANCELLED_BY_TASK: usize = 200;
    let store = S::over(urls, None, DEADLINE);
    for i in 0..TASKS {
        store.set(&format!("key:{i}"), "0").await.unwrap();
    }
    // A node keeps the dedicated connection that it has once needed, as to copy keys to it.
    for node in store.copy().iter().flat_map(|copy| copy.nodes()) {
        drop(node.dedicated().await.unwrap());
    }
    let before = held(outsiders).await;
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (store, outsiders) = (store.clone(), outsiders.to_vec());
            tokio::spawn(async move {
                let key = format!("key:{task}");
                let (mut n_cancelled, mut n_killed, mut i) = (0, 0, 0);
                while n_cancelled < CANCELLED_BY_TASK {
                    // Each node of a ring loses its connection once, so that waiting for a new one is cancelled
                    // too. On a copy nobody would know who is right about a counter whose INCRs were dropped on
                    // all nodes but one and lost on that.
                    if S::KIND == Kind::Ring
                        && task == 0
                        && n_cancelled > 40 * (n_killed + 1)
                        && n_killed < outsiders.len()
                    {
                        let mut kill = redis::cmd("CLIENT");
                        kill.arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]);
                        outsiders[n_killed].send(&kill).await.unwrap();
                        n_killed += 1;
                    }
                    let call = async {
                        match i % 3 {
                            0 => drop(store.get::<String>(&key).await),
                            1 => drop(store.set(&key, &i.to_string()).await),
                            _ => drop(store.incr(&format!("counter:{task}")).await),
                        }
                    };
                    n_cancelled += usize::from(!polled(call, (task * 7 + i * 13) % 5).await);
                    i += 1;
                    // What fails at once must not keep the others from their turn.
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for i in 0..TASKS {
        eventually("it answers", async || store.set(&format!("key:{i}"), "1").await.is_ok()).await;
    }
    if let Some(copy) = store.copy() {
        in_sync(copy, None).await.unwrap();
        assert_eq!(copy.verify().run().await.unwrap(), []);
    }
    let mut after = before;
    let same = eventually("nothing more is held than before", async || {
        after = held(outsiders).await;
        after == before
    });
    if tokio::time::timeout(Duration::from_secs(15), same).await.is_err() {
        panic!("tasks, files and connections before: {before:?}, after: {after:?}");
    }
}

/// Polls a call so many times at most, and then drops it; returns whether it has ended before that.
async fn polled(call: impl Future<Output = ()>, most: usize) -> bool {
    let mut call = pin!(call);
    let mut n_polls = 0;
    poll_fn(|context| match call.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(true),
        Poll::Pending if n_polls >= most => Poll::Ready(false),
        Poll::Pending => {
            n_polls += 1;
            Poll::Pending
        }
    })
    .await
}

#[test]
fn a_ring_and_a_copy_outlive_the_runtime_that_used_them() {
    let servers = Servers::start(NAMES.len()).unwrap();
    outlives_its_runtime::<RedisRing>(&servers.urls());
    outlives_its_runtime::<RedisCopy>(&servers.urls());
}

fn outlives_its_runtime<S: Subject>(urls: &[String]) {
    let store = S::over(urls, None, DEADLINE);
    for round in 0..3 {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let key = format!("key:{round}");
            eventually("it answers", async || store.set(&key, "1").await.is_ok()).await;
            // These are in the middle of something when the runtime ends.
            for _ in 0..64 {
                let (store, key) = (store.clone(), key.clone());
                tokio::spawn(async move { while store.get::<String>(&key).await.is_ok() {} });
            }
            eventually("it answers", async || {
                store.get::<String>(&key).await.is_ok_and(|found| found.is_some())
            })
            .await;
        });
        runtime.shutdown_timeout(Duration::from_secs(20));
    }
}

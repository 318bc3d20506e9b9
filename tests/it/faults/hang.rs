//! Servers that are there and do not answer.

use std::time::Duration;

use redisdb::Node;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::node::ServerCommands;
use redisdb_tests::eventually;

use super::load::TASKS;
use super::scene::B;
use super::scene::DURING;
use super::scene::stage;
use super::subject::Kind;
use super::subject::Subject;
use super::tally::Class;
use super::verdict::conclude;

rows!(stopped_for_a_moment, stopped_for_long, clients_paused, runs_an_endless_script);

/// The errors of calls to a server that accepts connections and does not answer.
const OF_SILENCE: [&str; 3] = ["Timeout", "ConnectTimeout", "Disconnected"];

async fn stopped_for_a_moment<S: Subject>() {
    let mut scene = stage::<S>("SIGSTOP 0.2 s").start().await;
    scene.servers[B].pause();
    scene.go_on(Duration::from_millis(200)).await;
    scene.servers[B].resume();
    scene.healed().await;
    let tally = scene.end().await;
    tally.none_failed();
}

async fn stopped_for_long<S: Subject>() {
    let mut scene = stage::<S>("SIGSTOP 2.5 s").start().await;
    scene.blame(&[B]);
    scene.servers[B].pause();
    scene.go_on(Duration::from_millis(2500)).await;
    scene.servers[B].resume();
    scene.healed().await;
    let tally = scene.end().await;
    tally.only_errors(&["b"], &OF_SILENCE);
    tally.has_errors("b", &["Timeout"]);
    if S::KIND == Kind::Copy {
        tally.none_failed();
    }
}

/// On both at once, for the suite is to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_for_half_a_minute() {
    tokio::join!(conclude(stopped_for_very_long::<RedisRing>), conclude(stopped_for_very_long::<RedisCopy>));
}

async fn stopped_for_very_long<S: Subject>() {
    let mut scene = stage::<S>("SIGSTOP 30 s").start().await;
    scene.blame(&[B]);
    scene.servers[B].pause();
    scene.go_on(Duration::from_secs(30)).await;
    scene.servers[B].resume();
    scene.healed().await;
    let tally = scene.end().await;
    tally.only_errors(&["b"], &OF_SILENCE);
    tally.has_errors("b", &["Timeout"]);
    // What may be executed late was sent before the server was left alone: by each task not more than it had time for.
    let unknown = tally.failed.get(&Class::Unknown).copied().unwrap_or(0);
    assert!(unknown <= 3 * TASKS, "{unknown}");
    match S::KIND {
        Kind::Copy => tally.none_failed(),
        // All but those are told at once.
        Kind::Ring => tally.half_failed_within(Duration::from_millis(20)),
    }
}

async fn clients_paused<S: Subject>() {
    let mut scene = stage::<S>("CLIENT PAUSE 1.5 s").start().await;
    scene.blame(&[B]);
    let outsider = Node::connect(scene.servers[B].url()).await.unwrap();
    outsider.send(redis::cmd("CLIENT").arg("PAUSE").arg(1500)).await.unwrap();
    scene.go_on(DURING).await;
    scene.healed().await;
    let tally = scene.end().await;
    tally.only_errors(&["b"], &OF_SILENCE);
    if S::KIND == Kind::Copy {
        tally.none_failed();
    }
}

async fn runs_an_endless_script<S: Subject>() {
    let mut scene = stage::<S>("BUSY script").start().await;
    scene.blame(&[B]);
    let (outsider, other) = (
        Node::connect(scene.servers[B].url()).await.unwrap(),
        Node::connect(scene.servers[B].url()).await.unwrap(),
    );
    // The name that every version knows.
    outsider.config_set("lua-time-limit", 50).await.unwrap();
    let script =
        tokio::spawn(async move { other.send(redis::cmd("EVAL").arg("while true do end").arg(0)).await });
    eventually("the script is noticed", async || {
        outsider.ping().await.is_err_and(|error| error.code() == Some("BUSY"))
    })
    .await;
    scene.go_on(DURING).await;
    // Nobody else has ended it.
    outsider.send(redis::cmd("SCRIPT").arg("KILL")).await.unwrap();
    assert!(script.await.unwrap().unwrap_err().may_have_executed());
    scene.healed().await;
    let tally = scene.end().await;
    tally.only_errors(&["b"], &["BUSY", "Timeout"]);
    tally.has_errors("b", &["BUSY"]);
    if S::KIND == Kind::Copy {
        tally.none_failed();
    }
}

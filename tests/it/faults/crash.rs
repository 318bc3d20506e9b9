//! Servers that end, and come back with what they had, with something older, or with nothing.

use std::time::Duration;

use redisdb::node::ServerCommands;
use redisdb_tests::NAMES;
use xtask::Data;

use super::scene::B;
use super::scene::DURING;
use super::scene::stage;
use super::subject::Kind;
use super::subject::Subject;

rows!(
    killed_each_in_turn,
    restarted_with_its_data,
    restarted_empty,
    restarted_from_an_older_dump,
    flushed_by_an_outsider,
    flapping,
    all_down_and_back,
);

/// The errors of calls to a server that ends or starts.
const OF_CRASHES: [&str; 4] = ["Connect", "ConnectTimeout", "Disconnected", "LOADING"];

async fn killed_each_in_turn<S: Subject>() {
    let mut scene = stage::<S>("kill -9 each in turn").persistent().start().await;
    for node in 0..3 {
        scene.blame(&[node]);
        scene.servers[node].kill();
        scene.go_on(DURING / 3).await;
        scene.servers[node].restart(Data::Keep).unwrap();
        scene.healed().await;
    }
    let tally = scene.end().await;
    tally.only_errors(&["a", "b", "c"], &OF_CRASHES);
    match S::KIND {
        Kind::Ring => tally.some_failed(),
        Kind::Copy => tally.none_failed(),
    }
}

async fn restarted_with_its_data<S: Subject>() {
    let mut scene = stage::<S>("restart with its data").persistent().start().await;
    scene.blame(&[B]);
    scene.servers[B].restart(Data::Keep).unwrap();
    scene.healed().await;
    let tally = scene.end().await;
    tally.only_errors(&["b"], &OF_CRASHES);
    if S::KIND == Kind::Copy {
        tally.none_failed();
    }
}

async fn restarted_empty<S: Subject>() {
    let mut scene = stage::<S>("restart empty").start().await;
    scene.blame(&[B]);
    scene.may_lose(&[B]);
    scene.servers[B].kill();
    scene.go_on(DURING / 2).await;
    scene.servers[B].restart(Data::Lose).unwrap();
    // Not repaired yet: on a copy it is up, takes writes, and must not be read from.
    scene.go_on(DURING / 2).await;
    scene.healed().await;
    let tally = scene.end().await;
    tally.only_errors(&["b"], &OF_CRASHES);
    match S::KIND {
        // A ring keeps no second copy, which shows that the load would notice it on a copy too.
        Kind::Ring => assert!(tally.missing[B] > 0),
        Kind::Copy => tally.none_failed(),
    }
}

async fn restarted_from_an_older_dump<S: Subject>() {
    let mut scene = stage::<S>("restart from an older dump").start().await;
    let dump = scene.servers[B].dump().unwrap();
    scene.go_on(DURING / 2).await;
    scene.blame(&[B]);
    scene.may_lose(&[B]);
    scene.servers[B].restart_from(&dump).unwrap();
    scene.go_on(DURING / 2).await;
    scene.healed().await;
    let tally = scene.end().await;
    tally.only_errors(&["b"], &OF_CRASHES);
    match S::KIND {
        Kind::Ring => assert!(tally.stale[B] > 0),
        Kind::Copy => tally.none_failed(),
    }
}

async fn flushed_by_an_outsider<S: Subject>() {
    let mut scene = stage::<S>("FLUSHALL by an outsider").identity("shop").start().await;
    scene.may_lose(&[B]);
    let outsider = redisdb::Node::connect(scene.servers[B].url()).await.unwrap();
    outsider.flushall().await.unwrap();
    scene.go_on(DURING).await;
    scene.healed().await;
    let tally = scene.end().await;
    tally.none_failed();
    if S::KIND == Kind::Ring {
        assert!(tally.missing[B] > 0);
    }
}

async fn flapping<S: Subject>() {
    let mut scene = stage::<S>("flapping").persistent().start().await;
    scene.blame(&[B]);
    for _ in 0..4 {
        scene.servers[B].kill();
        scene.go_on(Duration::from_millis(200)).await;
        scene.servers[B].restart(Data::Keep).unwrap();
        scene.go_on(Duration::from_millis(200)).await;
    }
    scene.healed().await;
    let tally = scene.end().await;
    tally.only_errors(&["b"], &OF_CRASHES);
    if S::KIND == Kind::Copy {
        tally.none_failed();
    }
}

async fn all_down_and_back<S: Subject>() {
    let mut scene = stage::<S>("all down and back").persistent().start().await;
    scene.blame(&[0, 1, 2]);
    // The last one to go has everything that was acknowledged, and is the first to come back.
    for node in 0..3 {
        scene.servers[node].kill();
        scene.go_on(Duration::from_millis(100)).await;
    }
    scene.go_on(DURING / 2).await;
    for node in (0..3).rev() {
        scene.servers[node].restart(Data::Keep).unwrap();
        scene.connected(NAMES[node]).await;
    }
    scene.trust("c");
    scene.healed().await;
    let tally = scene.end().await;
    tally.only_errors(&["a", "b", "c"], &OF_CRASHES);
    tally.some_failed();
}

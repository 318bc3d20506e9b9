//! Networks that are slow, broken, cut, or lie.

use std::time::Duration;

use redisdb_tests::End;
use redisdb_tests::Proxy;
use redisdb_tests::Way;

use super::scene::B;
use super::scene::DURING;
use super::scene::stage;
use super::subject::Kind;
use super::subject::Subject;
use super::tally::Tally;

rows!(
    slow_by_50_ms,
    slow_by_500_ms,
    jitter_of_200_ms,
    reset_mid_reply,
    closed_mid_reply,
    black_hole,
    replies_lost,
    replies_late,
    requests_late,
    old_connection_stuck,
    refused,
    noise_for_replies,
);

/// The errors of calls over a broken network. Only a call that ended in `Timeout` or `Disconnected` may have
/// been executed.
const OF_NETWORKS: [&str; 4] = ["Timeout", "ConnectTimeout", "Connect", "Disconnected"];

/// A response and then a connection take less than this.
const LONG: Duration = Duration::from_millis(2500);

/// Does something to the network of one node for a while.
async fn during<S: Subject>(fault: &'static str, time: Duration, harm: impl FnOnce(&Proxy)) -> Tally {
    let mut scene = stage::<S>(fault).proxied().start().await;
    scene.blame(&[B]);
    harm(&scene.proxies[B]);
    scene.go_on(time).await;
    scene.proxies[B].heal();
    scene.healed().await;
    let tally = scene.end().await;
    if S::KIND == Kind::Copy {
        tally.none_failed();
    }
    tally
}

/// Does the same; calls fail as over a broken network, some of them with this error.
async fn breaks<S: Subject>(fault: &'static str, time: Duration, error: &str, harm: impl FnOnce(&Proxy)) {
    let tally = during::<S>(fault, time, harm).await;
    tally.only_errors(&["b"], &OF_NETWORKS);
    tally.has_errors("b", &[error]);
}

/// Makes requests and replies late by this, and by up to so much more.
fn slow(proxy: &Proxy, delay: Duration, jitter: Duration) {
    proxy.slow(Way::Requests, delay, jitter);
    proxy.slow(Way::Replies, delay, jitter);
}

async fn slow_by_50_ms<S: Subject>() {
    let delay = Duration::from_millis(25);
    during::<S>("slow by 50 ms", DURING, |proxy| slow(proxy, delay, Duration::ZERO)).await.none_failed();
}

async fn slow_by_500_ms<S: Subject>() {
    let delay = Duration::from_millis(250);
    during::<S>("slow by 500 ms", DURING, |proxy| slow(proxy, delay, Duration::ZERO)).await.none_failed();
}

async fn jitter_of_200_ms<S: Subject>() {
    let jitter = Duration::from_millis(100);
    during::<S>("jitter of 200 ms", DURING, |proxy| slow(proxy, Duration::ZERO, jitter)).await.none_failed();
}

async fn reset_mid_reply<S: Subject>() {
    breaks::<S>("RST mid-reply", DURING, "Disconnected", |proxy| proxy.cut(2000..20000, End::Reset)).await;
}

async fn closed_mid_reply<S: Subject>() {
    breaks::<S>("FIN mid-reply", DURING, "Disconnected", |proxy| proxy.cut(2000..20000, End::Close)).await;
}

async fn black_hole<S: Subject>() {
    let lose = |proxy: &Proxy| {
        proxy.lose(Way::Requests);
        proxy.lose(Way::Replies);
    };
    breaks::<S>("black hole", LONG, "Timeout", lose).await;
}

async fn replies_lost<S: Subject>() {
    breaks::<S>("replies lost", LONG, "Timeout", |proxy| proxy.lose(Way::Replies)).await;
}

async fn replies_late<S: Subject>() {
    breaks::<S>("replies late", LONG, "Timeout", |proxy| proxy.hold(Way::Replies)).await;
}

async fn requests_late<S: Subject>() {
    // The requests that were given up arrive when the network is whole again.
    breaks::<S>("requests late", LONG, "Timeout", |proxy| proxy.hold(Way::Requests)).await;
}

async fn old_connection_stuck<S: Subject>() {
    // The requests that were given up arrive late: by then other writes have been acknowledged over a new
    // connection.
    breaks::<S>("old connection stuck", LONG, "Timeout", Proxy::stick).await;
}

async fn refused<S: Subject>() {
    breaks::<S>("port closed", DURING, "Connect", Proxy::refuse).await;
}

async fn noise_for_replies<S: Subject>() {
    let tally = during::<S>("noise for replies", DURING, |proxy| proxy.garble(Way::Replies)).await;
    tally.only_errors(&["b"], &[&OF_NETWORKS[..], &["NotRedis"]].concat());
}

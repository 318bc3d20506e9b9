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

async fn slow_by_50_ms<S: Subject>() {
    let delay = Duration::from_millis(25);
    let slow = |proxy: &Proxy| {
        proxy.slow(Way::Requests, delay, Duration::ZERO);
        proxy.slow(Way::Replies, delay, Duration::ZERO);
    };
    during::<S>("slow by 50 ms", DURING, slow).await.none_failed();
}

async fn slow_by_500_ms<S: Subject>() {
    let delay = Duration::from_millis(250);
    let slow = |proxy: &Proxy| {
        proxy.slow(Way::Requests, delay, Duration::ZERO);
        proxy.slow(Way::Replies, delay, Duration::ZERO);
    };
    during::<S>("slow by 500 ms", DURING, slow).await.none_failed();
}

async fn jitter_of_200_ms<S: Subject>() {
    let jitter = Duration::from_millis(100);
    let slow = |proxy: &Proxy| {
        proxy.slow(Way::Requests, Duration::ZERO, jitter);
        proxy.slow(Way::Replies, Duration::ZERO, jitter);
    };
    during::<S>("jitter of 200 ms", DURING, slow).await.none_failed();
}

async fn reset_mid_reply<S: Subject>() {
    let tally = during::<S>("RST mid-reply", DURING, |proxy| proxy.cut(2000..20000, End::Reset)).await;
    tally.only_errors(&["b"], &OF_NETWORKS);
    tally.has_errors("b", &["Disconnected"]);
}

async fn closed_mid_reply<S: Subject>() {
    let tally = during::<S>("FIN mid-reply", DURING, |proxy| proxy.cut(2000..20000, End::Close)).await;
    tally.only_errors(&["b"], &OF_NETWORKS);
    tally.has_errors("b", &["Disconnected"]);
}

async fn black_hole<S: Subject>() {
    let lose = |proxy: &Proxy| {
        proxy.lose(Way::Requests);
        proxy.lose(Way::Replies);
    };
    let tally = during::<S>("black hole", LONG, lose).await;
    tally.only_errors(&["b"], &OF_NETWORKS);
    tally.has_errors("b", &["Timeout"]);
}

async fn replies_lost<S: Subject>() {
    let tally = during::<S>("replies lost", LONG, |proxy| proxy.lose(Way::Replies)).await;
    tally.only_errors(&["b"], &OF_NETWORKS);
    tally.has_errors("b", &["Timeout"]);
}

async fn replies_late<S: Subject>() {
    let tally = during::<S>("replies late", LONG, |proxy| proxy.hold(Way::Replies)).await;
    tally.only_errors(&["b"], &OF_NETWORKS);
    tally.has_errors("b", &["Timeout"]);
}

async fn requests_late<S: Subject>() {
    // The requests that were given up arrive when the network is whole again.
    let tally = during::<S>("requests late", LONG, |proxy| proxy.hold(Way::Requests)).await;
    tally.only_errors(&["b"], &OF_NETWORKS);
    tally.has_errors("b", &["Timeout"]);
}

async fn old_connection_stuck<S: Subject>() {
    // The requests that were given up arrive late: by then other writes have been acknowledged over a new
    // connection.
    let tally = during::<S>("old connection stuck", LONG, Proxy::stick).await;
    tally.only_errors(&["b"], &OF_NETWORKS);
    tally.has_errors("b", &["Timeout"]);
}

async fn refused<S: Subject>() {
    let tally = during::<S>("port closed", DURING, Proxy::refuse).await;
    tally.only_errors(&["b"], &OF_NETWORKS);
    tally.has_errors("b", &["Connect"]);
}

async fn noise_for_replies<S: Subject>() {
    let tally = during::<S>("noise for replies", DURING, |proxy| proxy.garble(Way::Replies)).await;
    tally.only_errors(&["b"], &[&OF_NETWORKS[..], &["NotRedis"]].concat());
}

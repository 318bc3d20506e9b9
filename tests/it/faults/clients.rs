//! Several clients of one copy, each of which knows what it saw itself.

use std::time::Duration;

use redisdb::RedisCopy;
use redisdb_tests::Way;
use xtask::Data;

use super::scene::B;
use super::scene::DURING;
use super::scene::stage;
use super::verdict::conclude;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clients_bring_back_a_server_that_lost_everything() {
    conclude(async || restarted_empty(2, "restart empty, 2 clients").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_clients_bring_back_a_server_that_lost_everything() {
    conclude(async || restarted_empty(4, "restart empty, 4 clients").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clients_bring_back_a_server_that_was_stopped() {
    conclude(async || stopped(2, "SIGSTOP 2.5 s, 2 clients").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_clients_bring_back_a_server_that_was_stopped() {
    conclude(async || stopped(4, "SIGSTOP 2.5 s, 4 clients").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_clients_bring_back_a_server_whose_replies_were_lost() {
    conclude(replies_lost).await;
}

async fn replies_lost() {
    let mut scene = stage::<RedisCopy>("replies lost, 4 clients").clients(4).proxied().start().await;
    scene.blame(&[B]);
    scene.proxies[B].lose(Way::Replies);
    scene.go_on(DURING).await;
    scene.proxies[B].heal();
    scene.healed().await;
    scene.end().await.none_failed();
}

async fn restarted_empty(n: usize, fault: &'static str) {
    let mut scene = stage::<RedisCopy>(fault).clients(n).start().await;
    scene.blame(&[B]);
    scene.servers[B].kill();
    scene.go_on(DURING / 2).await;
    scene.servers[B].restart(Data::Lose).unwrap();
    scene.go_on(DURING / 2).await;
    scene.healed().await;
    scene.end().await.none_failed();
}

async fn stopped(n: usize, fault: &'static str) {
    let mut scene = stage::<RedisCopy>(fault).clients(n).start().await;
    scene.blame(&[B]);
    scene.servers[B].pause();
    scene.go_on(Duration::from_millis(2500)).await;
    scene.servers[B].resume();
    scene.healed().await;
    scene.end().await.none_failed();
}

//! Servers that answer with an error: full, read-only, loading, unable to save, forbidden.

use redisdb::Node;
use redisdb::node::ServerCommands;
use redisdb::node::StringCommands;
use redisdb_tests::eventually;
use xtask::Server;

use super::scene::B;
use super::scene::DURING;
use super::scene::Scene;
use super::scene::stage;
use super::subject::Kind;
use super::subject::Subject;
use super::tally::Class;
use super::tally::Tally;

rows!(
    full,
    read_only,
    without_its_master,
    with_too_few_replicas,
    cannot_save,
    loading,
    of_a_cluster_without_slots,
    permission_withdrawn,
    password_changed,
    too_many_clients,
);

async fn start<S: Subject>(fault: &'static str) -> (Scene<S>, Node) {
    let scene = stage::<S>(fault).start().await;
    scene.blame(&[B]);
    let outsider = Node::connect(scene.servers[B].url()).await.unwrap();
    (scene, outsider)
}

/// The fault is over; calls were rejected, all of them with one of these codes.
async fn end<S: Subject>(mut scene: Scene<S>, codes: &[&str]) -> Tally {
    scene.healed().await;
    let tally = scene.end().await;
    tally.only_errors(&["b"], codes);
    tally.has_errors("b", &codes[..1]);
    match S::KIND {
        Kind::Ring => tally.all_failed_as(Class::Rejected),
        Kind::Copy => tally.none_failed(),
    }
    tally
}

async fn send(node: &Node, words: &[&str]) {
    node.send(redis::Cmd::new().arg(words)).await.unwrap();
}

async fn full<S: Subject>() {
    let (scene, outsider) = start::<S>("OOM").await;
    outsider.config_set("maxmemory", 1).await.unwrap();
    scene.go_on(DURING).await;
    outsider.config_set("maxmemory", 0).await.unwrap();
    end(scene, &["OOM"]).await;
}

async fn read_only<S: Subject>() {
    let (scene, outsider) = start::<S>("READONLY").await;
    send(&outsider, &["REPLICAOF", "127.0.0.1", "1"]).await;
    scene.go_on(DURING).await;
    send(&outsider, &["REPLICAOF", "NO", "ONE"]).await;
    end(scene, &["READONLY"]).await;
}

async fn without_its_master<S: Subject>() {
    let (scene, outsider) = start::<S>("MASTERDOWN").await;
    outsider.config_set("replica-serve-stale-data", "no").await.unwrap();
    send(&outsider, &["REPLICAOF", "127.0.0.1", "1"]).await;
    scene.go_on(DURING).await;
    send(&outsider, &["REPLICAOF", "NO", "ONE"]).await;
    let tally = end(scene, &["READONLY", "MASTERDOWN"]).await;
    if S::KIND == Kind::Ring {
        tally.has_errors("b", &["MASTERDOWN"]);
    }
}

async fn with_too_few_replicas<S: Subject>() {
    let (scene, outsider) = start::<S>("NOREPLICAS").await;
    outsider.config_set("min-replicas-to-write", 1).await.unwrap();
    scene.go_on(DURING).await;
    outsider.config_set("min-replicas-to-write", 0).await.unwrap();
    end(scene, &["NOREPLICAS"]).await;
}

async fn cannot_save<S: Subject>() {
    let (scene, outsider) = start::<S>("MISCONF").await;
    let dir = outsider.config_get("dir").await.unwrap();
    std::fs::create_dir(std::path::Path::new(&dir["dir"]).join("dump.rdb")).unwrap();
    // Writes are refused only while saving is configured at all.
    outsider.config_set("save", "3600 1").await.unwrap();
    outsider.bgsave().await.unwrap();
    eventually("saving has failed", async || outsider.set("outsider", 1).await.is_err()).await;
    scene.go_on(DURING).await;
    outsider.config_set("save", "").await.unwrap();
    outsider.send(redis::cmd("DEL").arg("outsider")).await.unwrap();
    end(scene, &["MISCONF"]).await;
}

async fn loading<S: Subject>() {
    // Each key takes 3 ms to load, and clients are answered after every 2 MiB: each time such a value was read.
    let stage = stage::<S>("LOADING").server("--key-load-delay", "3000");
    let mut scene = stage.server("--rdbcompression", "no").start().await;
    for url in scene.servers.urls() {
        let outsider = Node::connect(url).await.unwrap();
        for n in 0..24 {
            outsider.setrange(format!("filler:{n}"), 2 << 20, "x").await.unwrap();
        }
    }
    let dump = scene.servers[B].dump().unwrap();
    scene.blame(&[B]);
    scene.may_lose(&[B]);
    // It returns when all is loaded.
    scene.servers[B].restart_from(&dump).unwrap();
    scene.healed().await;
    let tally = scene.end().await;
    tally.only_errors(&["b"], &["LOADING", "Connect", "ConnectTimeout", "Disconnected", "Timeout"]);
    tally.has_errors("b", &["LOADING"]);
    if S::KIND == Kind::Copy {
        tally.none_failed();
    }
}

async fn of_a_cluster_without_slots<S: Subject>() {
    let other = Server::builder().arg("--cluster-enabled", "yes").start().unwrap();
    let scene = stage::<S>("CLUSTERDOWN").start_with(&other.url()).await;
    scene.go_on(DURING).await;
    let tally = scene.end().await;
    // Valkey 9 looks at the slots of several keys before it looks at itself.
    tally.only_errors(&["b"], &["CLUSTERDOWN", "CROSSSLOT"]);
    tally.has_errors("b", &["CLUSTERDOWN"]);
    if S::KIND == Kind::Copy {
        tally.none_failed();
    }
}

async fn permission_withdrawn<S: Subject>() {
    let (scene, outsider) = start::<S>("NOPERM").await;
    send(&outsider, &["ACL", "SETUSER", "default", "-@write"]).await;
    scene.go_on(DURING).await;
    send(&outsider, &["ACL", "SETUSER", "default", "+@all"]).await;
    end(scene, &["NOPERM"]).await;
}

/// Returns how many connections a server has ever accepted.
async fn n_connections(node: &Node) -> u64 {
    node.info_with(&["stats"])
        .await
        .unwrap()
        .get("stats", "total_connections_received")
        .unwrap()
        .parse()
        .unwrap()
}

async fn password_changed<S: Subject>() {
    let (mut scene, outsider) = start::<S>("password changed").await;
    outsider.config_set("requirepass", "another-one").await.unwrap();
    // Those who were let in before stay in.
    send(&outsider, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    let before = n_connections(&outsider).await;
    scene.go_on(DURING).await;
    let attempts = n_connections(&outsider).await - before;
    outsider.config_set("requirepass", "").await.unwrap();
    scene.healed().await;
    let tally = scene.end().await;
    tally.only_errors(&["b"], &["Auth", "Disconnected"]);
    tally.has_errors("b", &["Auth"]);
    assert!(attempts < 20, "{attempts} attempts in {DURING:?}");
    assert!(!format!("{:?}", tally.errors).contains("another-one"));
    if S::KIND == Kind::Copy {
        tally.none_failed();
    }
}

async fn too_many_clients<S: Subject>() {
    let (mut scene, outsider) = start::<S>("maxclients 1").await;
    outsider.config_set("maxclients", 1).await.unwrap();
    send(&outsider, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    scene.go_on(DURING).await;
    outsider.config_set("maxclients", 1000).await.unwrap();
    scene.healed().await;
    let tally = scene.end().await;
    // The server says why and hangs up before it is asked anything: the reason may be lost.
    tally.only_errors(&["b"], &["ERR", "Connect", "Disconnected"]);
    if S::KIND == Kind::Copy {
        tally.none_failed();
    }
}

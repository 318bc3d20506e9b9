//! A server of somebody else that answers at the address of a copy's node: with an identity it is given no write.

use redisdb::Health;
use redisdb::Node;
use redisdb::RedisCopy;
use redisdb::commands::*;
use redisdb::node::ErrorKind;
use redisdb_tests::Load;
use redisdb_tests::NAMES;
use redisdb_tests::Proxy;
use redisdb_tests::contents;
use redisdb_tests::eventually;
use redisdb_tests::fill;
use redisdb_tests::leads;
use redisdb_tests::process;
use xtask::Server;
use xtask::Servers;

/// Three servers of a copy behind proxies.
struct Scene {
    servers: Servers,
    proxies: Vec<Proxy>,
    urls: Vec<String>,
}

impl Scene {
    async fn new() -> Self {
        let servers = Servers::start(NAMES.len()).unwrap();
        let proxies = Proxy::to_each(servers.iter()).await;
        let urls = proxies.iter().map(Proxy::url).collect();
        Self { servers, proxies, urls }
    }

    async fn copy(&self) -> RedisCopy {
        process(&self.urls, Some("shop")).connect().await.unwrap()
    }
}

async fn is_well(copy: &RedisCopy) -> bool {
    copy.health().iter().all(|(_, health)| *health == Health::Up)
}

/// Returns how many commands a server has executed.
async fn n_commands(server: &Node) -> u64 {
    let info = server.info_with(&["stats"]).await.unwrap();
    info.get("stats", "total_commands_processed").unwrap().parse().unwrap()
}

/// While a copy is written to, its second node's address comes to lead to another server, which holds what `put` puts
/// there, and is given nothing; when the address is right again, nothing has come of it.
async fn is_given_nothing(put: impl AsyncFnOnce(&Node)) {
    let scene = Scene::new().await;
    let copy = scene.copy().await;
    fill(&copy).await;
    let foreign = Server::start().unwrap();
    let outsider = Node::connect(foreign.url()).await.unwrap();
    put(&outsider).await;
    let before = contents(&outsider).await;
    let load = Load::start(&copy, "own", 24);
    let (incarnation, b) = (copy.on_node("b").unwrap().incarnation(), copy.on_node("b").unwrap().clone());
    scene.proxies[1].lead_to(foreign.port());
    eventually("it is another process", async || b.incarnation() > incarnation).await;
    let seen = n_commands(&outsider).await;
    eventually("it was looked at now and then", async || seen + 30 < n_commands(&outsider).await).await;
    assert_eq!(contents(&outsider).await, before);
    assert!(!is_well(&copy).await);
    scene.proxies[1].lead_to(scene.servers[1].port());
    eventually("all nodes are up again", async || is_well(&copy).await).await;
    let tally = load.stop().await;
    assert_eq!((tally.failed, tally.missing, tally.wrong, tally.stale.len()), (0, 0, 0, 0));
    eventually("all nodes have what they missed", async || is_well(&copy).await).await;
    assert_eq!(copy.verify().run().await.unwrap(), []);
    tally.check(&b).await;
    assert_eq!(contents(&outsider).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_nobody_has_marked_is_given_nothing() {
    is_given_nothing(async |server| {
        server.mset((0..300).map(|i| (format!("theirs:{i}"), i))).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_marked_as_another_node_is_given_nothing() {
    is_given_nothing(async |server| server.set("__redisdb:{shop}:node", "c").await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_marked_by_another_copy_is_given_nothing() {
    is_given_nothing(async |server| {
        server.set("__redisdb:{blog}:node", "b").await.unwrap();
        server.set("theirs", 1).await.unwrap();
    })
    .await;
}

/// A server that is not ours is found out by a look at its keys, once; it is brought back when it has changed.
async fn is_looked_through_once(identity: Option<&str>) {
    let mut scene = Scene::new().await;
    let copy = process(&scene.urls, identity).connect().await.unwrap();
    fill(&copy).await;
    let foreign = Server::start().unwrap();
    let outsider = Node::connect(foreign.url()).await.unwrap();
    outsider.mset((0..300).map(|i| (format!("theirs:{i}"), i))).await.unwrap();
    let calls = async |command: &str| {
        let stats = outsider.info_with(&["commandstats"]).await.unwrap();
        let calls = stats.get("commandstats", &format!("cmdstat_{command}"));
        let calls = calls.and_then(|calls| calls.strip_prefix("calls=")?.split(',').next()?.parse().ok());
        calls.unwrap_or(0_u64)
    };
    scene.servers[1].kill();
    scene.proxies[1].lead_to(foreign.port());
    eventually("its keys are looked at", async || calls("scan").await > 0).await;
    let asked = calls("dbsize").await;
    eventually("it is left alone", async || asked + 3 < calls("dbsize").await).await;
    let (scans, asked) = (calls("scan").await, calls("dbsize").await);
    eventually("it is asked now and then", async || asked + 5 < calls("dbsize").await).await;
    assert_eq!(calls("scan").await, scans);
    assert!(!is_well(&copy).await);
    outsider.flushall().await.unwrap();
    eventually("it is made one of ours", async || is_well(&copy).await).await;
}

#[tokio::test]
async fn a_foreign_server_is_looked_through_once_with_an_identity() {
    is_looked_through_once(Some("shop")).await;
}

#[tokio::test]
async fn a_foreign_server_is_looked_through_once_without_an_identity() {
    is_looked_through_once(None).await;
}

#[tokio::test]
async fn a_foreign_server_that_answers_first_is_given_nothing_when_the_right_one_was_down_at_the_start() {
    let scene = Scene::new().await;
    drop(scene.copy().await);
    scene.proxies[1].refuse();
    let copy = scene.copy().await;
    let foreign = Server::start().unwrap();
    let outsider = Node::connect(foreign.url()).await.unwrap();
    outsider.set("theirs", 1).await.unwrap();
    scene.proxies[1].heal();
    scene.proxies[1].lead_to(foreign.port());
    let node = copy.on_node("b").unwrap();
    let lock = copy.lock("lock", redisdb::node::LockOptions::new(std::time::Duration::from_secs(60)));
    let mut n = 0;
    eventually("it is connected, and so for a while", async || {
        n += u32::from(node.is_connected());
        assert!(!copy.set("k", n).await.unwrap().is_complete());
        assert!(!copy.append("k", n).await.unwrap().is_complete());
        assert_eq!(copy.getset::<u32>("k", n).await.unwrap().successes().count(), 2);
        let pipeline = copy.pipeline();
        let set = pipeline.set("in a pipeline", n);
        drop(pipeline.execute().await);
        assert!(!set.await.unwrap().is_complete());
        lock.acquire().await.unwrap().release().await.unwrap();
        n > 50
    })
    .await;
    assert_eq!(outsider.dbsize().await.unwrap(), 1);
}

/// A server that merely lost its connections is asked nothing first.
#[tokio::test]
async fn the_same_server_over_a_new_connection_is_written_to_at_once() {
    let scene = Scene::new().await;
    let copy = scene.copy().await;
    for i in 0..20 {
        scene.proxies[1].reset();
        eventually("all nodes take a write", async || {
            let replies = copy.set("k", i).await.unwrap();
            for (_, error) in replies.failures() {
                assert!(!matches!(error.kind(), ErrorKind::Fenced), "{error}");
            }
            replies.is_complete()
        })
        .await;
    }
}

#[tokio::test]
async fn the_others_become_equal_while_a_server_of_somebody_else_answers_for_a_node() {
    let scene = Scene::new().await;
    let copy = scene.copy().await;
    leads(&copy).await;
    let foreign = Server::start().unwrap();
    let outsider = Node::connect(foreign.url()).await.unwrap();
    outsider.mset((0..300).map(|i| (format!("theirs:{i}"), i))).await.unwrap();
    let before = contents(&outsider).await;
    let (incarnation, b) = (copy.on_node("b").unwrap().incarnation(), copy.on_node("b").unwrap().clone());
    scene.proxies[1].lead_to(foreign.port());
    eventually("it is another process", async || b.incarnation() > incarnation).await;
    eventually("it is not taken for ours", async || copy.health()[1].1 == Health::Syncing).await;
    let last = Node::connect(scene.servers[2].url()).await.unwrap();
    outsider.set("theirs:7", "changed").await.unwrap();
    last.set("k", 1).await.unwrap();
    assert_eq!(copy.converged("k").await.unwrap(), ["a", "c"]);
    for server in [&scene.servers[0], &scene.servers[2]] {
        let node = Node::connect(server.url()).await.unwrap();
        assert_eq!(node.get::<u64>("k").await.unwrap(), Some(1));
        assert_eq!(node.exists("theirs:7").await.unwrap(), 0);
    }
    outsider.set("theirs:7", 7).await.unwrap();
    assert_eq!(contents(&outsider).await, before);
    scene.proxies[1].lead_to(scene.servers[1].port());
    eventually("all nodes are up again", async || is_well(&copy).await).await;
    assert_eq!(copy.converged("k").await.unwrap(), ["a", "b", "c"]);
    assert_eq!(Node::connect(scene.servers[1].url()).await.unwrap().get::<u64>("k").await.unwrap(), Some(1));
}

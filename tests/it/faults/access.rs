//! Addresses that are wrong: another protocol, a name that nobody knows, another server than before.

use redisdb::Node;
use redisdb::node::ServerCommands;
use redisdb::node::StringCommands;
use xtask::Server;
use xtask::needs;

use super::scene::B;
use super::scene::DURING;
use super::scene::stage;
use super::subject::Kind;
use super::subject::Subject;
use super::tally::Class;

rows!(tls_to_a_plain_port, plain_to_a_tls_port, a_name_that_nobody_knows, another_server_behind_the_name);

/// One of the nodes has this URL, and its calls fail with one of these errors; none of them was sent.
async fn with_url<S: Subject>(fault: &'static str, url: &str, errors: &[&str]) {
    let scene = stage::<S>(fault).start_with(url).await;
    scene.go_on(DURING).await;
    let tally = scene.end().await;
    tally.only_errors(&["b"], errors);
    assert!(!tally.errors.is_empty());
    match S::KIND {
        Kind::Ring => tally.all_failed_as(Class::NotSent),
        Kind::Copy => tally.none_failed(),
    }
}

async fn tls_to_a_plain_port<S: Subject>() {
    let server = Server::builder().password("the-right-one").start().unwrap();
    let url = format!("rediss://:the-right-one@localhost:{}", server.port());
    // A server may wait for the end of what it takes for a command.
    with_url::<S>("TLS to a plain port", &url, &["Tls", "ConnectTimeout"]).await;
    assert!(!server.log().contains("the-right-one"));
}

async fn plain_to_a_tls_port<S: Subject>() {
    let dir = Server::start().unwrap();
    let (_server, port) = needs!(crate::tls::server(dir.dir()));
    let url = format!("redis://:the-right-one@127.0.0.1:{port}");
    with_url::<S>("plain to a TLS port", &url, &["Connect", "ConnectTimeout"]).await;
}

async fn a_name_that_nobody_knows<S: Subject>() {
    with_url::<S>("name not found", "redis://no-such-host.invalid", &["Connect", "ConnectTimeout"]).await;
}

async fn another_server_behind_the_name<S: Subject>() {
    let foreign = Server::start().unwrap();
    let outsider = Node::connect(foreign.url()).await.unwrap();
    if S::KIND == Kind::Copy {
        // A ring cannot tell: it would read this.
        for i in 0..64 {
            outsider.set(format!("key:{i}"), "foreign").await.unwrap();
        }
    }
    let mut scene = stage::<S>("another server behind the name").identity("shop").proxied().start().await;
    scene.blame(&[B]);
    scene.may_lose(&[B]);
    scene.proxies[B].lead_to(foreign.port());
    scene.go_on(DURING).await;
    let n_keys = outsider.dbsize().await.unwrap();
    scene.proxies[B].lead_to(scene.servers[B].port());
    scene.healed().await;
    let tally = scene.end().await;
    tally.only_errors(&["b"], &["Connect", "Disconnected", "Fenced"]);
    match S::KIND {
        // A ring writes to whatever answers: it has no way to know.
        Kind::Ring => assert!(tally.missing[B] > 0 && n_keys > 0),
        Kind::Copy => {
            tally.none_failed();
            assert_eq!(n_keys, 64, "the foreign server was written to");
        }
    }
}

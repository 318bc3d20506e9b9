//! A node of a copy that never comes back is forgotten: by all processes, and what it alone had is told.

use std::io::BufRead;
use std::io::BufReader;
use std::process::Child;
use std::process::Stdio;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::thread;

use futures_util::StreamExt;
use redis::Cmd;
use redisdb::CopyBuilder;
use redisdb::Error;
use redisdb::Event;
use redisdb::Health;
use redisdb::Node;
use redisdb::OnReturn;
use redisdb::RedisCopy;
use redisdb::commands::*;
use redisdb_tests::DEADLINE;
use redisdb_tests::Events;
use redisdb_tests::NAMES;
use redisdb_tests::Proxy;
use redisdb_tests::eventually;
use redisdb_tests::process;
use tracing::Level;
use xtask::Data;
use xtask::Server;
use xtask::Servers;
use xtask::once_more;
use xtask::told;

const SHOP: Option<&str> = Some("shop");
const KEYS: usize = 60;

fn key(i: usize) -> String {
    format!("key:{i}")
}

fn keys() -> Vec<String> {
    (0..KEYS).map(key).collect()
}

fn names(copy: &RedisCopy) -> Vec<String> {
    copy.nodes().map(|node| node.name().to_owned()).collect()
}

async fn all_up(copy: &RedisCopy) {
    eventually("all nodes are up", async || copy.health().iter().all(|(_, health)| *health == Health::Up))
        .await;
}

async fn is_away(copy: &RedisCopy, name: &str) {
    eventually("it is away", async || !copy.on_node(name).unwrap().is_connected()).await;
}

async fn is_there(copy: &RedisCopy, name: &str) {
    eventually("it is there", async || copy.on_node(name).unwrap().is_connected()).await;
}

async fn holds(copy: &RedisCopy, value: &str) {
    for key in keys() {
        assert_eq!(copy.get::<String>(&key).await.unwrap().as_deref(), Some(value), "{key}");
    }
}

async fn write(copy: &RedisCopy, value: &str) {
    for key in keys() {
        _ = copy.set(key, value).await.unwrap();
    }
}

async fn our_keys(node: &Node) -> Vec<String> {
    node.keys("__redisdb:{shop}:missed:*").await.unwrap()
}

async fn marker(node: &Node) -> String {
    node.get::<String>("__redisdb:{shop}:node").await.unwrap().unwrap_or_default()
}

/// A copy whose node `b` alone has the value `new` of all keys: `a` has the one before, and `c` the one before that. The
/// servers of `a` and `c` are there, and that of `b` hangs, or was killed.
async fn only_b_has_it(servers: &mut Servers, copies: &[&RedisCopy], is_killed: bool) {
    let copy = copies[0];
    write(copy, "old").await;
    // Once it is known that they are away: what a server was sent that hangs, it may do later.
    servers[2].pause();
    is_away(copy, "c").await;
    write(copy, "middle").await;
    servers[0].pause();
    is_away(copy, "a").await;
    write(copy, "new").await;
    match is_killed {
        true => servers[1].kill(),
        false => servers[1].pause(),
    }
    is_away(copy, "b").await;
    servers[0].resume();
    servers[2].resume();
    for copy in copies {
        is_there(copy, "a").await;
        is_there(copy, "c").await;
    }
}

#[tokio::test]
async fn what_only_the_node_had_is_told_and_the_rest_answers_with_what_it_has() {
    let mut servers = Servers::start(3).unwrap();
    let copy = process(&servers.urls(), SHOP).connect().await.unwrap();
    // It brings nothing over, for it may not have heard what `a` has missed.
    let other = process(&servers.urls(), SHOP).on_return(OnReturn::Wait).connect().await.unwrap();
    only_b_has_it(&mut servers, &[&copy, &other], true).await;
    // It is right to say that nobody has it.
    assert!(matches!(copy.get::<String>(key(0)).await, Err(Error::Unavailable(_))));
    let (mut here, mut there) = (copy.events(), other.events());
    let (told, _listening) = Events::listen("redisdb_cluster", Level::WARN);
    let forgotten = copy.forget("b").await.unwrap();
    let mut lost: Vec<Vec<u8>> = keys().into_iter().map(String::into_bytes).collect();
    lost.sort();
    assert_eq!((forgotten.node.as_str(), &forgotten.lost, forgotten.n_lost), ("b", &lost, KEYS));
    assert!(!forgotten.may_be_any);
    assert!(told.lines().iter().any(|line| line.contains("60 keys have lost their last writes: `key:0`")));
    assert_eq!(names(&copy), ["a", "c"]);
    // Also the first answer is the newest that is left, whichever of the two a key is read from.
    holds(&copy, "middle").await;
    for events in [&mut here, &mut there] {
        let is_told = async {
            while !matches!(events.next().await, Some(Event::Forgotten(told)) if told.node == "b") {}
        };
        tokio::time::timeout(DEADLINE, is_told).await.expect("it is not told");
    }
    assert_eq!(names(&other), ["a", "c"]);
    for copy in [&copy, &other] {
        all_up(copy).await;
        holds(copy, "middle").await;
        assert_eq!(copy.conflicts().await.unwrap().n_keys, 0);
        assert_eq!(copy.verify().run().await.unwrap(), []);
        assert!(matches!(copy.forget("b").await, Err(Error::NoSuchNode { .. })));
    }
    for node in copy.nodes() {
        eventually("no hint is left", async || our_keys(&node).await.is_empty()).await;
        assert!(marker(&node).await.contains(r#""forgotten":["b"]"#), "{}", marker(&node).await);
        assert_eq!(node.get::<String>(key(7)).await.unwrap().as_deref(), Some("middle"));
    }
}

#[tokio::test]
async fn what_the_node_said_that_was_brought_over_before_a_process_hears_of_it_keeps_no_node_behind_there() {
    let mut servers = Servers::start(3).unwrap();
    let copy = process(&servers.urls(), SHOP).connect().await.unwrap();
    write(&copy, "old").await;
    servers[2].pause();
    is_away(&copy, "c").await;
    write(&copy, "new").await;
    let proxies = [Proxy::to(servers[0].port()).await, Proxy::to(servers[2].port()).await];
    let urls = [proxies[0].url(), servers[1].url().to_owned(), proxies[1].url()];
    // It has read what `a` and `b` say of `c` when it is connected.
    let other = process(&urls, SHOP).on_return(OnReturn::Wait).connect().await.unwrap();
    proxies.iter().for_each(Proxy::refuse);
    is_away(&other, "a").await;
    servers[1].kill();
    is_away(&copy, "b").await;
    servers[2].resume();
    is_there(&copy, "c").await;
    copy.forget("b").await.unwrap();
    all_up(&copy).await;
    for node in copy.nodes() {
        eventually("no hint is left", async || our_keys(&node).await.is_empty()).await;
    }
    assert_eq!(names(&other), NAMES);
    // It hears at once that `b` is forgotten, and that what `a` said of `c` is void.
    proxies[1].heal();
    eventually("it hears of it", async || names(&other) == ["a", "c"]).await;
    proxies[0].heal();
    all_up(&other).await;
    holds(&other, "new").await;
}

/// The work of the other process, which is told the URLs of the nodes: it says which nodes it has, and what it reads.
async fn look(urls: &str) {
    let urls: Vec<String> = urls.split(',').map(ToOwned::to_owned).collect();
    let copy = process(&urls, SHOP).build().unwrap();
    let mut said = String::new();
    println!();
    loop {
        // As the first call also.
        let read = copy.get::<String>(key(0)).await;
        let says = format!("{} {}", names(&copy).join(","), read.ok().flatten().unwrap_or_default());
        if says != said {
            println!("has {says}");
            said = says;
        }
        tokio::task::yield_now().await;
    }
}

/// Another process, which ends with this.
struct Other {
    process: Child,
    lines: Receiver<String>,
}

impl Other {
    fn start(servers: &Servers) -> Self {
        let mut process =
            once_more(&servers.urls().join(",")).unwrap().stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(process.stdout.take().unwrap()).lines();
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in said.map_while(Result::ok) {
                let says = line.strip_prefix("has ").map(ToOwned::to_owned);
                let _nobody_listens = says.map(|says| sender.send(says));
            }
        });
        Self { process, lines }
    }

    /// Waits until it says this, and returns what it said before.
    fn says(&mut self, wanted: &str) -> Vec<String> {
        let mut before = Vec::new();
        while let Ok(says) = self.lines.recv_timeout(DEADLINE) {
            if says == wanted {
                return before;
            }
            before.push(says);
        }
        panic!("it says no more than {before:?}")
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _status = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_is_believed_by_no_process() {
    if let Some(urls) = told() {
        return look(&urls).await;
    }
    let mut servers = Servers::start(3).unwrap();
    let copy = process(&servers.urls(), SHOP).connect().await.unwrap();
    write(&copy, "old").await;
    let mut running = Other::start(&servers);
    assert_eq!(running.says("a,b,c old"), Vec::<String>::new());
    only_b_has_it(&mut servers, &[&copy], false).await;
    copy.forget("b").await.unwrap();
    running.says("a,c middle");
    // With all that it had, and with its marker: it has never been another process.
    servers[1].resume();
    let b = Node::connect(servers[1].url()).await.unwrap();
    eventually("it answers", async || b.get::<String>(key(0)).await.is_ok()).await;
    assert_eq!(b.get::<String>(key(0)).await.unwrap().as_deref(), Some("new"));
    assert!(marker(&b).await.contains(r#""state":"ready""#));
    // Whoever starts now with the old configuration.
    for _ in 0..3 {
        let mut later = Other::start(&servers);
        let before = later.says("a,c middle");
        assert!(before.iter().all(|says| says == "a,b,c middle"), "{before:?}");
    }
    let (told, _listening) = Events::listen("redisdb_cluster", Level::WARN);
    let later = process(&servers.urls(), SHOP).build().unwrap();
    for key in keys() {
        assert_eq!(later.get::<String>(&key).await.unwrap().as_deref(), Some("middle"), "{key}");
    }
    assert_eq!(names(&later), ["a", "c"]);
    assert!(told.lines().iter().any(|line| line.contains("was forgotten, so nothing counts that it holds")));
    // Nor is it written to, as the first call or a later one.
    let writer = process(&servers.urls(), SHOP).build().unwrap();
    _ = writer.set("first", 1).await.unwrap();
    _ = writer.set("second", 1).await.unwrap();
    assert_eq!(b.exists(&["first", "second"][..]).await.unwrap(), 0);
    for node in writer.nodes() {
        eventually("no hint is left", async || our_keys(&node).await.is_empty()).await;
    }
    // The name is not used again, and the server is under another one.
    let urls = servers.urls();
    let again = |name: &str| process(&[], SHOP).node("a", &urls[0]).node("c", &urls[2]).node(name, &urls[1]);
    let error = copy.replace(again("b")).unwrap_err();
    assert!(error.to_string().contains("was forgotten"), "{error}");
    b.flushall().await.unwrap();
    // One that stays must have missed nothing.
    all_up(&copy).await;
    copy.replace(again("d")).unwrap();
    all_up(&copy).await;
    assert_eq!(b.get::<String>(key(0)).await.unwrap().as_deref(), Some("middle"));
    assert_eq!(copy.verify().run().await.unwrap(), []);
}

#[tokio::test]
async fn a_server_that_was_away_meanwhile_hears_of_it_and_drops_its_hints() {
    let mut servers = Servers::start(3).unwrap();
    let urls = servers.urls();
    let copy = process(&urls, SHOP).connect().await.unwrap();
    write(&copy, "old").await;
    servers[1].kill();
    is_away(&copy, "b").await;
    write(&copy, "new").await;
    let nodes = [Node::connect(&*urls[0]).await.unwrap(), Node::connect(&*urls[2]).await.unwrap()];
    for node in &nodes {
        assert_eq!(our_keys(node).await, ["__redisdb:{shop}:missed:b"]);
    }
    servers[2].pause();
    is_away(&copy, "c").await;
    let forgotten = copy.forget("b").await.unwrap();
    assert_eq!((forgotten.n_lost, forgotten.lost), (0, Vec::new()), "{:?}", copy.health());
    servers[2].resume();
    all_up(&copy).await;
    for node in &nodes {
        eventually("it has noted it", async || marker(node).await.contains(r#""forgotten":["b"]"#)).await;
        eventually("no hint is left", async || our_keys(node).await.is_empty()).await;
        // Of a process that has not heard.
        let mut hint = Cmd::new();
        hint.arg(&["ZADD", "__redisdb:{shop}:missed:b", "7", "kx"]);
        node.send(&hint).await.unwrap();
        eventually("nor a new one", async || our_keys(node).await.is_empty()).await;
        // Of one that emptied the server by its own marker.
        let forgets_nobody = marker(node).await.replace(r#","forgotten":["b"]"#, "");
        node.set("__redisdb:{shop}:node", forgets_nobody).await.unwrap();
        eventually("it notes it once more", async || marker(node).await.contains(r#""forgotten""#)).await;
    }
    holds(&copy, "new").await;
}

#[tokio::test]
async fn a_node_that_is_there_and_needed_is_not_forgotten() {
    let servers = Servers::start(3).unwrap();
    let copy = process(&servers.urls(), SHOP).connect().await.unwrap();
    write(&copy, "old").await;
    assert!(matches!(copy.forget("x").await, Err(Error::NoSuchNode { .. })));
    servers[0].pause();
    servers[2].pause();
    is_away(&copy, "a").await;
    is_away(&copy, "c").await;
    write(&copy, "new").await;
    let error = copy.forget("b").await.unwrap_err();
    assert!(matches!(error, Error::NotReplaced { .. }), "{error}");
    servers[1].pause();
    is_away(&copy, "b").await;
    assert!(copy.forget("b").await.is_err(), "nobody can note it");
    assert_eq!(names(&copy), NAMES);
    servers.iter().for_each(Server::resume);
    all_up(&copy).await;
    holds(&copy, "new").await;
    // One that is there, and not needed.
    let forgotten = copy.forget("b").await.unwrap();
    assert_eq!((forgotten.n_lost, names(&copy)), (0, vec!["a".to_owned(), "c".to_owned()]));
    copy.forget("a").await.unwrap();
    let error = copy.forget("c").await.unwrap_err();
    assert!(error.to_string().contains("it is the last node"), "{error}");
    holds(&copy, "new").await;
    // Its own server says so too, and may be all that another process reaches.
    servers[0].pause();
    servers[2].pause();
    let alone = process(&servers.urls(), SHOP).build().unwrap();
    assert!(alone.get::<String>(key(0)).await.is_err(), "{:?}", alone.health());
}

#[tokio::test]
async fn without_an_identity_this_process_forgets_it_and_what_the_rest_holds_alike_counts() {
    let mut servers = Servers::start(3).unwrap();
    let copy = process(&servers.urls(), None).connect().await.unwrap();
    only_b_has_it(&mut servers, &[&copy], true).await;
    // Those that stay agree on some.
    for idx in [0, 2] {
        let node = Node::connect(&*servers.urls()[idx]).await.unwrap();
        node.mset((0..KEYS / 2).map(|i| (key(i), "agreed"))).await.unwrap();
    }
    let forgotten = copy.forget("b").await.unwrap();
    assert_eq!(forgotten.n_lost, KEYS);
    eventually("those are read that both hold alike", async || {
        copy.conflicts().await.unwrap().len() == KEYS - KEYS / 2
    })
    .await;
    assert_eq!(copy.get::<String>(key(7)).await.unwrap().as_deref(), Some("agreed"));
    assert!(matches!(copy.get::<String>(key(KEYS - 1)).await, Err(Error::Unavailable(_))));
}

#[tokio::test]
async fn the_only_node_that_is_left_counts_however_much_it_has_missed() {
    for identity in [None, SHOP] {
        let mut servers = Servers::start(2).unwrap();
        let copy = process(&servers.urls(), identity).connect().await.unwrap();
        write(&copy, "old").await;
        servers[0].pause();
        is_away(&copy, "a").await;
        // All keys.
        _ = copy.flushall().await.unwrap();
        write(&copy, "new").await;
        servers[1].kill();
        is_away(&copy, "b").await;
        servers[0].resume();
        is_there(&copy, "a").await;
        assert!(copy.get::<String>(key(0)).await.is_err());
        let forgotten = copy.forget("b").await.unwrap();
        assert!(forgotten.may_be_any, "{forgotten:?}");
        all_up(&copy).await;
        holds(&copy, "old").await;
    }
}

#[tokio::test]
async fn the_others_are_compared_without_a_forgotten_node_after_they_all_restarted() {
    let mut servers = Server::builder().persistent().start_many(3).unwrap();
    let copy = process(&servers.urls(), SHOP).connect().await.unwrap();
    write(&copy, "old").await;
    servers[1].kill();
    is_away(&copy, "b").await;
    for idx in [0, 2] {
        servers[idx].kill();
        is_away(&copy, NAMES[idx]).await;
    }
    for idx in [0, 2] {
        servers[idx].restart(Data::Keep).unwrap();
        is_there(&copy, NAMES[idx]).await;
    }
    // They wait for the one that was whole when it went.
    eventually("they are looked at", async || {
        copy.health().iter().filter(|(_, health)| *health == Health::Syncing).count() == 2
    })
    .await;
    let forgotten = copy.forget("b").await.unwrap();
    assert!(forgotten.may_be_any, "{forgotten:?}");
    all_up(&copy).await;
    holds(&copy, "old").await;
    assert_eq!(copy.verify().run().await.unwrap(), []);
}

/// A copy over the servers of these numbers.
fn over(servers: &Servers, numbers: &[usize]) -> CopyBuilder {
    let urls = servers.urls();
    numbers.iter().fold(process(&[], SHOP), |copy, &i| copy.node(NAMES[i], &urls[i]))
}

#[tokio::test]
async fn the_hints_about_a_node_that_is_replaced_go_and_the_node_may_come_back() {
    let mut servers = Servers::start(3).unwrap();
    let copy = over(&servers, &[0, 1, 2]).connect().await.unwrap();
    write(&copy, "old").await;
    servers[1].pause();
    is_away(&copy, "b").await;
    write(&copy, "new").await;
    let nodes: Vec<Node> = copy.nodes().collect();
    for node in [&nodes[0], &nodes[2]] {
        assert_eq!(our_keys(node).await, ["__redisdb:{shop}:missed:b"]);
    }
    copy.replace(over(&servers, &[0, 2])).unwrap();
    for node in [&nodes[0], &nodes[2]] {
        eventually("no hint is left", async || our_keys(node).await.is_empty()).await;
    }
    servers[1].resume();
    copy.replace(over(&servers, &[0, 1, 2])).unwrap();
    all_up(&copy).await;
    holds(&copy, "new").await;
    assert_eq!(copy.verify().run().await.unwrap(), []);
    // It is hinted about as before.
    servers[1].kill();
    is_away(&copy, "b").await;
    write(&copy, "newest").await;
    for node in [&nodes[0], &nodes[2]] {
        assert_eq!(our_keys(node).await, ["__redisdb:{shop}:missed:b"]);
    }
}

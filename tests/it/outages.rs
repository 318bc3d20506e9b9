//! A ring that does without a node more than once: nothing that one outage left anywhere is read in the next one.

use std::time::Duration;

use redisdb::Health;
use redisdb::Node;
use redisdb::OnDown;
use redisdb::RedisRing;
use redisdb::Rejoin;
use redisdb::RingBuilder;
use redisdb::node::KeyCommands;
use redisdb::node::StringCommands;
use redisdb_tests::DEADLINE;
use redisdb_tests::NAMES;
use redisdb_tests::eventually;
use xtask::Data;
use xtask::Server;

const CAP: Duration = Duration::from_secs(60);

pub fn failover() -> OnDown {
    OnDown::Failover { ttl_cap: CAP }
}

pub fn flush() -> OnDown {
    OnDown::Remap { on_return: Rejoin::FlushPrefix("key:".to_owned()) }
}

/// Three servers that keep their data when they are restarted.
pub fn servers() -> Vec<Server> {
    (0..3).map(|_| Server::builder().persistent().start().unwrap()).collect()
}

pub fn builder(servers: &[Server], on_down: &OnDown) -> RingBuilder {
    let nodes = NAMES.iter().zip(servers);
    let ring = nodes.fold(RedisRing::builder(), |ring, (name, server)| ring.node(*name, &server.url()));
    ring.on_down(on_down.clone())
}

pub async fn connected(servers: &[Server], on_down: &OnDown) -> RedisRing {
    builder(servers, on_down).connect().await.unwrap()
}

/// Keys of the node `b`, so many.
pub fn keys_of_b(ring: &RedisRing, n: usize) -> Vec<String> {
    (0..).map(|i| format!("key:{i}")).filter(|key| ring.node_for(key).name() == "b").take(n).collect()
}

/// The nodes that answer for a key, in their order, as places in the list of the servers.
fn successors(ring: &RedisRing, key: &str) -> [usize; 3] {
    let successors: Vec<usize> = ring.placement().successors(key).collect();
    successors.try_into().unwrap()
}

pub async fn kill(ring: &RedisRing, servers: &mut [Server], at: usize) {
    servers[at].kill();
    let node = ring.on_node(NAMES[at]).unwrap();
    // It is called, or it would be known only when the next sign of life is due.
    eventually("it is left alone", async || {
        let _called = ring.get::<String>(keys_of(ring, NAMES[at])).await;
        node.is_down()
    })
    .await;
}

async fn restart(ring: &RedisRing, servers: &mut [Server], at: usize) {
    servers[at].restart(Data::Keep).unwrap();
    serves(ring, at).await;
}

pub async fn serves(ring: &RedisRing, at: usize) {
    eventually("it serves again", async || {
        let _called = ring.get::<String>(keys_of(ring, NAMES[at])).await;
        ring.health().contains(&(NAMES[at].to_owned(), Health::Up))
    })
    .await;
}

/// A key of a node that no test writes.
fn keys_of(ring: &RedisRing, name: &str) -> String {
    (0..).map(|i| format!("unused:{i}")).find(|key| ring.node_for(key).name() == name).unwrap()
}

/// Returns what is read, once anything is: nobody may answer for a key for as long as old values of it may be there.
pub async fn read(ring: &RedisRing, key: &str) -> Option<String> {
    let mut answer = None;
    eventually("somebody answers", async || match ring.get::<String>(key).await {
        Ok(found) => {
            answer = found;
            true
        }
        Err(error) => {
            assert!(matches!(error, redisdb::Error::Unavailable { .. }), "{error}");
            false
        }
    })
    .await;
    answer
}

/// The two settings under which a value may be kept in one place only.
pub fn both() -> [OnDown; 2] {
    [failover(), flush()]
}

#[tokio::test]
async fn what_an_outage_left_on_another_node_is_not_read_in_the_next_one() {
    for on_down in both() {
        let mut servers = servers();
        let nodes = NAMES.iter().zip(&servers).zip([2, 3, 1]);
        let ring = nodes.fold(RedisRing::builder(), |ring, ((name, server), weight)| {
            ring.weighted_node(*name, &server.url(), weight)
        });
        let ring = ring.on_down(on_down.clone()).connect().await.unwrap();
        let keys = keys_of_b(&ring, 12);
        for outage in 0..3 {
            ring.mset(keys.iter().map(|key| (key, "1"))).await.unwrap();
            kill(&ring, &mut servers, 1).await;
            for key in &keys {
                assert_eq!(read(&ring, key).await, None, "{on_down:?}, {outage}: {key}");
            }
            assert_eq!(ring.mget::<u8>(&keys).await.unwrap(), [None; 12]);
            let pipeline = ring.pipeline();
            let replies: Vec<_> = keys.iter().map(|key| pipeline.get::<u8>(key)).collect();
            pipeline.execute().await.check().unwrap();
            for reply in replies {
                assert_eq!(reply.await.unwrap(), None, "{on_down:?}, {outage}");
            }
            ring.mset(keys[..8].iter().map(|key| (key, "2"))).await.unwrap();
            for key in &keys[8..] {
                assert_eq!(ring.incr(key).await.unwrap(), 1, "a counter starts from nothing");
            }
            assert_eq!(read(&ring, &keys[0]).await.as_deref(), Some("2"));
            ring.psetex(&keys[7], Duration::from_secs(10), "4").await.unwrap();
            assert_eq!(read(&ring, &keys[7]).await.as_deref(), Some("4"), "what lives for a short time, too");
            restart(&ring, &mut servers, 1).await;
            for key in &keys {
                assert_eq!(read(&ring, key).await, None, "{on_down:?}, {outage}: {key}");
            }
            ring.mset(keys[..4].iter().map(|key| (key, "3"))).await.unwrap();
            assert_eq!(ring.del(&keys[2..6]).await.unwrap(), 2);
        }
    }
}

#[tokio::test]
async fn the_other_nodes_keep_what_is_their_own() {
    for on_down in both() {
        let mut servers = servers();
        let ring = connected(&servers, &on_down).await;
        let keys: Vec<String> = (0..60).map(|i| format!("key:{i}")).collect();
        let other: Vec<String> = (0..60).map(|i| format!("other:{i}")).collect();
        let is_of_b = |key: &String| ring.node_for(key).name() == "b";
        ring.mset(keys.iter().chain(&other).map(|key| (key, "1"))).await.unwrap();
        kill(&ring, &mut servers, 1).await;
        ring.mset(keys.iter().chain(&other).map(|key| (key, "2"))).await.unwrap();
        restart(&ring, &mut servers, 1).await;
        kill(&ring, &mut servers, 1).await;
        for key in &keys {
            assert_eq!(
                read(&ring, key).await.as_deref(),
                (!is_of_b(key)).then_some("2"),
                "{on_down:?}: {key}"
            );
        }
        // What does not begin with the prefix is left as it is.
        let kept = |key| on_down == flush() || !is_of_b(key);
        for key in &other {
            assert_eq!(read(&ring, key).await.as_deref(), kept(key).then_some("2"), "{on_down:?}: {key}");
        }
    }
}

#[tokio::test]
async fn each_of_several_nodes_that_stand_in_one_after_the_other_is_read_for_what_it_was_given_last() {
    for on_down in both() {
        let mut servers = servers();
        let ring = connected(&servers, &on_down).await;
        let key = &keys_of_b(&ring, 1)[0];
        let [x, s, t] = successors(&ring, key);
        let set = async |value: &str| ring.set(key, value).await.unwrap();
        let get = async || read(&ring, key).await;
        set("1").await;
        kill(&ring, &mut servers, x).await;
        set("2").await;
        kill(&ring, &mut servers, s).await;
        assert_eq!(get().await, None, "{on_down:?}: the third has nothing");
        set("3").await;
        restart(&ring, &mut servers, s).await;
        assert_eq!(get().await, None, "{on_down:?}: the second does not have 2 any more");
        set("4").await;
        kill(&ring, &mut servers, s).await;
        assert_eq!(get().await, None, "{on_down:?}: the third does not have 3 any more");
        set("5").await;
        restart(&ring, &mut servers, x).await;
        assert_eq!(get().await, None, "{on_down:?}: the owner does not have 1 any more");
        set("6").await;
        restart(&ring, &mut servers, s).await;
        kill(&ring, &mut servers, x).await;
        assert_eq!(get().await, None, "{on_down:?}: the second does not have 4 any more");
        kill(&ring, &mut servers, s).await;
        assert_eq!(get().await, None, "{on_down:?}: the third does not have 5 any more");
        assert_eq!(ring.incr(key).await.unwrap(), 1);
        restart(&ring, &mut servers, s).await;
        restart(&ring, &mut servers, x).await;
        assert_eq!(ring.node_for(key).get::<String>(key).await.unwrap(), None);
        assert_eq!(t, servers.len() - x - s, "there are three");
    }
}

#[tokio::test]
async fn a_node_that_was_down_itself_when_the_owner_returned_is_not_read_for_what_it_held() {
    for on_down in both() {
        let mut servers = servers();
        let ring = connected(&servers, &on_down).await;
        let key = &keys_of_b(&ring, 1)[0];
        let [x, s, _] = successors(&ring, key);
        kill(&ring, &mut servers, x).await;
        ring.set(key, "2").await.unwrap();
        kill(&ring, &mut servers, s).await;
        restart(&ring, &mut servers, x).await;
        ring.set(key, "3").await.unwrap();
        restart(&ring, &mut servers, s).await;
        kill(&ring, &mut servers, x).await;
        assert_eq!(read(&ring, key).await, None, "{on_down:?}");
    }
}

#[tokio::test]
async fn what_another_client_wrote_meanwhile_is_not_read_in_the_next_outage() {
    for on_down in both() {
        let mut servers = servers();
        let (writer, ring) = (connected(&servers, &on_down).await, connected(&servers, &on_down).await);
        let keys = &keys_of_b(&ring, 3);
        kill(&writer, &mut servers, 1).await;
        eventually("the other one sees it too", async || {
            let _called = ring.get::<String>(&keys[2]).await;
            ring.on_node("b").unwrap().is_down()
        })
        .await;
        writer.set(&keys[0], "2").await.unwrap();
        writer.set(&keys[1], "2").await.unwrap();
        assert_eq!(read(&ring, &keys[0]).await.as_deref(), Some("2"), "{on_down:?}");
        drop(writer);
        restart(&ring, &mut servers, 1).await;
        // One that began after that, and knows nothing of it.
        let late = (on_down == failover()).then_some(connected(&servers, &on_down).await);
        ring.set(&keys[0], "3").await.unwrap();
        kill(&ring, &mut servers, 1).await;
        assert_eq!(read(&ring, &keys[0]).await, None, "{on_down:?}");
        if let Some(late) = late {
            assert_eq!(read(&late, &keys[1]).await, None, "{on_down:?}");
        }
    }
}

#[tokio::test]
async fn a_node_that_is_given_another_address_while_it_is_away_is_not_read_for_what_it_missed() {
    for on_down in both() {
        let mut servers = servers();
        let ring = connected(&servers, &on_down).await;
        let keys = keys_of_b(&ring, 4);
        ring.mset(keys.iter().map(|key| (key, "1"))).await.unwrap();
        // As the server of `b` is, from a backup.
        let dump = servers[1].dump().unwrap();
        kill(&ring, &mut servers, 1).await;
        ring.mset(keys.iter().map(|key| (key, "2"))).await.unwrap();
        let mut moved = Server::start().unwrap();
        moved.restart_from(&dump).unwrap();
        let old = std::mem::replace(&mut servers[1], moved);
        ring.replace(builder(&servers, &on_down)).unwrap();
        drop(old);
        serves(&ring, 1).await;
        for key in &keys {
            assert_eq!(read(&ring, key).await, None, "{on_down:?}: {key}");
        }
        ring.set(&keys[0], "3").await.unwrap();
        kill(&ring, &mut servers, 1).await;
        for key in &keys {
            assert_eq!(read(&ring, key).await, None, "{on_down:?}: {key}");
        }
    }
}

#[tokio::test]
async fn nobody_answers_again_for_a_node_before_what_was_written_meanwhile_has_gone_by_itself() {
    const LONGEST: Duration = Duration::from_secs(2);
    let on_down = OnDown::Remap { on_return: Rejoin::WaitMaxTtl(LONGEST) };
    let mut servers = servers();
    let ring = connected(&servers, &on_down).await;
    let key = &keys_of_b(&ring, 1)[0];
    kill(&ring, &mut servers, 1).await;
    servers[1].restart(Data::Keep).unwrap();
    // As late as may be.
    eventually("it serves again", async || {
        if !ring.health().contains(&("b".to_owned(), Health::Up)) {
            ring.psetex(key, LONGEST, "2").await.unwrap();
        }
        ring.health().contains(&("b".to_owned(), Health::Up))
    })
    .await;
    let back = std::time::Instant::now();
    ring.psetex(key, LONGEST, "3").await.unwrap();
    kill(&ring, &mut servers, 1).await;
    assert_eq!(read(&ring, key).await, None);
    assert!(LONGEST.saturating_sub(Duration::from_millis(100)) < back.elapsed(), "it was not read before");
}

#[tokio::test]
async fn a_node_is_back_soon_also_while_its_keys_are_written_all_the_time() {
    for on_down in both() {
        let mut servers = servers();
        let ring = connected(&servers, &on_down).await;
        let keys = keys_of_b(&ring, 2000);
        ring.mset(keys.iter().map(|key| (key, "1"))).await.unwrap();
        kill(&ring, &mut servers, 1).await;
        servers[1].restart(Data::Keep).unwrap();
        let writers = keys.chunks(keys.len() / 64).map(async |keys| {
            for key in keys.iter().cycle() {
                // Every now and then the node comes and goes while a call is on its way.
                ring.set(key, "2").await.unwrap();
                let found = ring.get::<String>(key).await.unwrap();
                assert!(found.is_none_or(|found| found == "2"), "{on_down:?}");
                if ring.health().contains(&("b".to_owned(), Health::Up)) {
                    return;
                }
            }
        });
        let writers = futures_util::future::join_all(writers);
        tokio::time::timeout(DEADLINE, writers).await.expect("it serves again");
    }
}

/// What node `b` holds under a key, asked of its server itself.
async fn held_by_b(servers: &[Server], key: &str) -> Option<String> {
    Node::connect(servers[1].url()).await.unwrap().get(key).await.unwrap()
}

#[tokio::test]
async fn what_others_took_is_removed_though_the_ring_does_something_else_when_the_node_is_back() {
    for then in [
        OnDown::Fail,
        OnDown::Remap { on_return: Rejoin::Trust },
        OnDown::Remap { on_return: Rejoin::FlushPrefix("other:".to_owned()) },
        OnDown::Remap { on_return: Rejoin::WaitMaxTtl(Duration::from_millis(300)) },
    ] {
        let mut servers = servers();
        let ring = connected(&servers, &failover()).await;
        let keys = keys_of_b(&ring, 2);
        for key in &keys {
            ring.set(key, "before").await.unwrap();
        }
        kill(&ring, &mut servers, 1).await;
        ring.set(&keys[0], "meanwhile").await.unwrap();
        ring.replace(builder(&servers, &then)).unwrap();
        servers[1].restart(Data::Keep).unwrap();
        eventually("what others took is gone", async || {
            let _called = ring.get::<String>(&keys[1]).await;
            held_by_b(&servers, &keys[0]).await.is_none()
        })
        .await;
        eventually("the node serves again", async || {
            ring.set(&keys[0], "after").await.is_ok()
                && held_by_b(&servers, &keys[0]).await.as_deref() == Some("after")
        })
        .await;
        assert_eq!(ring.get::<String>(&keys[1]).await.unwrap().as_deref(), Some("before"), "{then:?}");
    }
}

#[tokio::test]
async fn an_outage_in_which_nobody_stood_in_is_over_when_the_node_is_back() {
    let mut servers = servers();
    let ring = connected(&servers, &OnDown::Fail).await;
    let key = &keys_of_b(&ring, 1)[0];
    ring.set(key, "before").await.unwrap();
    kill(&ring, &mut servers, 1).await;
    servers[1].restart(Data::Keep).unwrap();
    eventually("it is back", async || ring.get::<String>(key).await.is_ok()).await;
    ring.replace(builder(&servers, &flush())).unwrap();
    assert_eq!(ring.get::<String>(key).await.unwrap().as_deref(), Some("before"));
    assert!(ring.health().iter().all(|(_, health)| *health == Health::Up));
}

#[tokio::test]
async fn what_becomes_of_the_server_that_a_node_had_before_is_no_outage_of_the_node() {
    let mut servers = servers();
    let ring = connected(&servers, &flush()).await;
    let old = ring.on_node("b").unwrap();
    let key = &keys_of_b(&ring, 1)[0];
    let moved = Server::builder().persistent().start().unwrap();
    let mut left = std::mem::replace(&mut servers[1], moved);
    ring.replace(builder(&servers, &flush())).unwrap();
    ring.set(key, "after").await.unwrap();
    left.kill();
    eventually("the old server is left alone", async || {
        let _called = old.get::<String>(key).await;
        old.is_down()
    })
    .await;
    assert_eq!(ring.get::<String>(key).await.unwrap().as_deref(), Some("after"));
    assert!(ring.health().iter().all(|(_, health)| *health == Health::Up));
}

//! `WATCH`, `MULTI`, `EXEC`.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use redisdb::Error;
use redisdb::Node;
use redisdb::node::ErrorKind;
use redisdb::node::KeyCommands;
use redisdb::node::ListCommands;
use redisdb::node::ServerCommands;
use redisdb::node::StringCommands;
use redisdb_tests::eventually;
use redisdb_tests::ring;
use xtask::Server;

async fn node() -> (Server, Node) {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    (server, node)
}

async fn connections(node: &Node) -> u64 {
    node.info().await.unwrap().parse("clients", "connected_clients").unwrap()
}

#[tokio::test]
async fn eight_tasks_add_to_one_key_and_nothing_is_lost() {
    let (_server, node) = node().await;
    let attempts = std::sync::Arc::new(AtomicU32::new(0));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (node, attempts) = (node.clone(), attempts.clone());
            tokio::spawn(async move {
                for _ in 0..125 {
                    let added = node.transaction("sum", |tx| {
                        attempts.fetch_add(1, Ordering::Relaxed);
                        async move {
                            let sum = tx.get::<i64>("sum").await?.unwrap_or(0);
                            let queue = tx.queue();
                            let set = queue.set("sum", sum + 1);
                            let log = queue.rpush("log", sum + 1);
                            queue.execute().await.check()?;
                            set.await?;
                            Ok((sum + 1, log.await?))
                        }
                    });
                    let (sum, len) = added.await.unwrap();
                    assert_eq!(u64::try_from(sum).unwrap(), len);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(node.get::<i64>("sum").await.unwrap(), Some(1000));
    assert_eq!(node.lrange::<i64>("log", 0, -1).await.unwrap(), (1..=1000).collect::<Vec<_>>());
    println!("1000 increments by 8 tasks took {} attempts", attempts.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_change_by_another_runs_the_function_again() {
    let (_server, node) = node().await;
    node.set("k", 1).await.unwrap();
    let runs = AtomicU32::new(0);
    let doubled = node.transaction("k", |tx| {
        let (node, first) = (&node, runs.fetch_add(1, Ordering::Relaxed) == 0);
        async move {
            let k = tx.get::<i64>("k").await?.unwrap_or(0);
            if first {
                node.set("k", 10).await?;
            }
            let queue = tx.queue();
            drop(queue.set("k", 2 * k));
            let executed = queue.execute().await;
            if first {
                let (_, error) = executed.failures().next().unwrap();
                assert!(matches!(error.kind(), ErrorKind::Conflict { attempts: 1 }), "{error}");
                assert!(!error.may_have_executed());
            }
            // Whether it passes the error on makes no difference.
            Ok(2 * k)
        }
    });
    assert_eq!(doubled.await.unwrap(), 20);
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    assert_eq!(node.get::<i64>("k").await.unwrap(), Some(20));
}

#[tokio::test]
async fn a_transaction_without_a_block_runs_once_and_writes_what_it_writes_itself() {
    let (_server, node) = node().await;
    let runs = AtomicU32::new(0);
    let written = node.transaction("k", |tx| {
        runs.fetch_add(1, Ordering::Relaxed);
        async move {
            tx.set("k", 1).await?;
            // Never executed.
            drop(tx.queue().set("k", 2));
            Ok(())
        }
    });
    written.await.unwrap();
    assert_eq!((runs.load(Ordering::Relaxed), node.get::<u8>("k").await.unwrap()), (1, Some(1)));
}

#[tokio::test]
async fn a_transaction_gives_up_after_a_hundred_conflicts() {
    let (_server, node) = node().await;
    let runs = AtomicU32::new(0);
    let error = node.transaction("k", |tx| {
        runs.fetch_add(1, Ordering::Relaxed);
        let node = &node;
        async move {
            node.incr("k").await?;
            let queue = tx.queue();
            drop(queue.set("written", 1));
            queue.execute().await.check()
        }
    });
    let error = error.await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Conflict { attempts: 100 }), "{error}");
    assert!(!error.may_have_executed());
    assert_eq!(runs.load(Ordering::Relaxed), 100);
    assert_eq!(node.exists("written").await.unwrap(), 0);
}

#[tokio::test]
async fn a_block_that_the_server_does_not_take_is_not_executed() {
    let (_server, node) = node().await;
    node.set("text", "x").await.unwrap();
    let outcome = node.transaction("k", |tx| async move {
        let queue = tx.queue();
        let set = queue.set("k", 1);
        let wrong = queue.command::<()>(redis::cmd("GETRANGE").arg("k").take());
        let executed = queue.execute().await;
        assert_eq!(executed.failures().count(), 2);
        Ok((set.await, wrong.await))
    });
    let (set, wrong) = outcome.await.unwrap();
    assert_eq!(set.unwrap_err().code(), Some("EXECABORT"));
    let wrong = wrong.unwrap_err();
    assert_eq!((wrong.code(), wrong.command()), (Some("ERR"), "GETRANGE"));
    assert_eq!(node.exists("k").await.unwrap(), 0);

    // One that fails while it runs takes no other one with it.
    let outcome = node.transaction("k", |tx| async move {
        let queue = tx.queue();
        let (one, two, three) = (queue.set("k", 1), queue.incr("text"), queue.get::<u8>("k"));
        assert_eq!(queue.execute().await.failures().count(), 1);
        Ok((one.await.is_ok(), two.await.is_err(), three.await.unwrap()))
    });
    assert_eq!(outcome.await.unwrap(), (true, true, Some(1)));

    let twice = node.transaction("k", |tx| async move {
        tx.queue().execute().await.check()?;
        let again = tx.queue();
        drop(again.set("k", 2));
        again.execute().await.check()
    });
    assert!(twice.await.unwrap_err().is_unsupported());
}

#[tokio::test]
async fn a_dropped_transaction_leaves_a_clean_connection() {
    let (_server, node) = node().await;
    for _ in 0..20 {
        let stuck = tokio::spawn({
            let node = node.clone();
            async move {
                node.transaction("k", |tx| async move {
                    tx.get::<i64>("k").await?;
                    std::future::pending::<Result<(), _>>().await
                })
                .await
            }
        });
        eventually("it watches", async || {
            let clients = node.send(redis::cmd("CLIENT").arg("LIST")).await.unwrap();
            format!("{clients:?}").contains("watch") || connections(&node).await == 2
        })
        .await;
        stuck.abort();
        let _ = stuck.await;
        // The next one gets that connection, which no longer watches: the change below is nobody's concern.
        let set = node.transaction("other", |tx| {
            let node = &node;
            async move {
                node.incr("k").await?;
                let queue = tx.queue();
                let runs = queue.incr("runs");
                queue.execute().await.check()?;
                runs.await
            }
        });
        set.await.unwrap();
    }
    assert_eq!(node.get::<u32>("runs").await.unwrap(), Some(20));
    assert_eq!(connections(&node).await, 2, "the shared one and the one that was used again and again");
}

#[tokio::test]
async fn a_transaction_on_a_ring_runs_at_the_owner_and_takes_one_tag_only() {
    let (_servers, ring) = ring().await;
    for user in 0..10 {
        let (a, b) = (format!("{{{user}}}:a"), format!("{{{user}}}:b"));
        ring.set(&a, 5).await.unwrap();
        let (a, b) = (a.as_str(), b.as_str());
        let keys = [a, b];
        let moved = ring.transaction(&keys, |tx| async move {
            let value = tx.get::<i64>(a).await?.unwrap_or(0);
            let queue = tx.queue();
            drop(queue.del(a));
            let to = queue.incrby(b, value);
            queue.execute().await.check()?;
            to.await
        });
        assert_eq!(moved.await.unwrap(), 5);
        assert_eq!(ring.node_for(b).get::<i64>(b).await.unwrap(), Some(5));
    }
    let error = ring.transaction(&["a", "b"], |_| async { Ok(()) }).await.unwrap_err();
    assert!(matches!(error, Error::CrossNode(_)), "{error}");

    // Another tag inside is refused, whether it is read or queued, and nothing is sent.
    let error = ring.transaction("a", |tx| async move { tx.get::<u8>("b").await }).await.unwrap_err();
    assert!(matches!(error, Error::CrossNode(_)), "{error}");
    let error = ring.transaction("a", |tx| async move {
        let queue = tx.queue();
        drop((queue.set("a", 1), queue.set("b", 1)));
        queue.execute().await.check()
    });
    let error = error.await.unwrap_err();
    assert!(matches!(error, Error::CrossNode(_)), "{error}");
    assert_eq!(ring.exists(&["a", "b"]).await.unwrap(), 0);
}

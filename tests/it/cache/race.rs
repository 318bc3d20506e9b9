//! A deletion in the very moment in which a load writes.

use std::convert::Infallible;
use std::sync::Arc;

use redis::Cmd;
use redis::FromRedisValue;
use redisdb_cache::Cache;
use redisdb_cache::Ttl;
use redisdb_node::Error;
use redisdb_node::Execute;
use redisdb_node::Node;
use redisdb_node::command::Command;
use redisdb_node::command::Each;
use redisdb_node::command::Read;
use redisdb_node::command::Write;
use redisdb_node::command::words;
use redisdb_tests::eventually;
use tokio::sync::Semaphore;
use xtask::Server;

/// A server, on whose way a write under a condition is held up until it is let through.
#[derive(Clone)]
struct HeldUp {
    node: Node,
    arrived: Arc<Semaphore>,
    go: Arc<Semaphore>,
}

impl Execute for HeldUp {
    type Error = Error;
    type Write<T: Send> = T;
    type Each<T: Send> = T;

    async fn read<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Read>,
        cmd: Cmd,
    ) -> Result<T, Error> {
        self.node.read(command, cmd).await
    }

    async fn write<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Write>,
        cmd: Cmd,
    ) -> Result<T, Error> {
        if words(&cmd).any(|word| word == b"NX") {
            self.arrived.add_permits(1);
            self.go.acquire().await.unwrap().forget();
        }
        self.node.write(command, cmd).await
    }

    async fn each<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Each>,
        cmd: Cmd,
    ) -> Result<T, Error> {
        self.node.each(command, cmd).await
    }

    fn one_reply<T: Send>(written: T) -> Result<T, Error> {
        Ok(written)
    }
}

#[tokio::test]
async fn a_load_that_writes_behind_a_deletion_takes_it_back() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let store = HeldUp { node, arrived: Arc::new(Semaphore::new(0)), go: Arc::new(Semaphore::new(0)) };
    let cache = Cache::new(store.clone());
    let caller = {
        let cache = cache.clone();
        tokio::spawn(async move {
            cache.get_or_set_with("k", Ttl::Default, || async { Ok::<_, Infallible>(1) }).await
        })
    };
    store.arrived.acquire().await.unwrap().forget();
    // Nobody knows which of the two the server gets first; here it is the deletion.
    assert!(!cache.delete("k").await.unwrap());
    store.go.add_permits(1);
    assert_eq!(caller.await.unwrap().unwrap(), 1);
    eventually("it is gone", async || !cache.has_key("k").await.unwrap()).await;
    assert_eq!(cache.stats().overtaken_loads, 1);
}

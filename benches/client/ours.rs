//! Our own clients.

use std::time::Duration;

use futures_util::future::join_all;
use redisdb::cache::Cache;
use redisdb::prelude::*;
use redisdb::{CopyBuilder, Node, OnDifference, RedisCopy, RedisRing};

use crate::client::{Bytes, Client};
use crate::contenders::shard;
use crate::measure::{KEYS, found, key};

#[derive(Clone)]
pub(crate) struct Ring(RedisRing);

impl Ring {
    pub(crate) async fn connect(urls: &[String]) -> Self {
        Self(ring(urls).await)
    }
}

async fn ring(urls: &[String]) -> RedisRing {
    let builder = urls
        .iter()
        .enumerate()
        .fold(RedisRing::builder(), |ring, (i, url)| ring.node(format!("node-{i}"), url));
    builder.connect().await.expect("a ring")
}

impl Client for Ring {
    async fn get(&self, key: &str) -> Bytes {
        self.0.get(key).await.expect("a reply")
    }

    async fn set(&self, key: &str, value: &[u8]) {
        self.0.set(key, value).await.expect("a reply");
    }

    async fn mget(&self, keys: &[&str]) -> Vec<Bytes> {
        self.0.mget(keys).await.expect("a reply")
    }

    async fn pipeline(&self, keys: &[&str]) -> Vec<Bytes> {
        let pipeline = self.0.pipeline();
        let promises: Vec<_> = keys.iter().map(|key| pipeline.get::<Vec<u8>>(key)).collect();
        pipeline.execute().await.check().expect("replies");
        let mut values = Vec::with_capacity(promises.len());
        for promise in promises {
            values.push(promise.await.expect("a reply"));
        }
        values
    }
}

/// A ring as a connection of redis-rs, by its own commands and pipelines.
#[derive(Clone)]
pub(crate) struct AsConnection(RedisRing);

impl AsConnection {
    pub(crate) async fn connect(urls: &[String]) -> Self {
        Self(ring(urls).await)
    }
}

impl Client for AsConnection {
    async fn get(&self, key: &str) -> Bytes {
        redis::AsyncCommands::get(&mut self.0.clone(), key).await.expect("a reply")
    }

    async fn set(&self, key: &str, value: &[u8]) {
        redis::AsyncCommands::set(&mut self.0.clone(), key, value).await.expect("a reply")
    }

    async fn mget(&self, keys: &[&str]) -> Vec<Bytes> {
        redis::AsyncCommands::mget(&mut self.0.clone(), keys).await.expect("a reply")
    }

    async fn pipeline(&self, keys: &[&str]) -> Vec<Bytes> {
        let mut pipeline = redis::Pipeline::with_capacity(keys.len());
        for key in keys {
            pipeline.get(*key);
        }
        pipeline.query_async(&mut self.0.clone()).await.expect("replies")
    }
}

#[derive(Clone)]
pub(crate) struct OneNode(Node);

impl OneNode {
    pub(crate) async fn connect(urls: &[String]) -> Self {
        Self(Node::connect(urls[0].as_str()).await.expect("a node"))
    }
}

impl Client for OneNode {
    async fn get(&self, key: &str) -> Bytes {
        self.0.get(key).await.expect("a reply")
    }

    async fn set(&self, key: &str, value: &[u8]) {
        self.0.set(key, value).await.expect("a reply");
    }

    async fn mget(&self, keys: &[&str]) -> Vec<Bytes> {
        self.0.mget(keys).await.expect("a reply")
    }

    async fn pipeline(&self, keys: &[&str]) -> Vec<Bytes> {
        let mut pipeline = redis::Pipeline::with_capacity(keys.len());
        for key in keys {
            pipeline.get(*key);
        }
        let values = self.0.send_pipeline(&pipeline, 0, keys.len()).await.expect("replies");
        values.into_iter().map(|value| redis::from_redis_value(value).expect("a value")).collect()
    }
}

/// A node whose replies are left as they come: as values, as frames, or as frames that are decoded by the caller.
#[derive(Clone)]
pub(crate) struct Replies(Node, Form);

#[derive(Clone, Copy)]
pub(crate) enum Form {
    Value,
    Frame,
    Decoded,
}

impl Replies {
    pub(crate) async fn connect(urls: &[String], form: Form) -> Self {
        Self(Node::connect(urls[0].as_str()).await.expect("a node"), form)
    }

    /// Has the reply to a command, of which nothing is read.
    async fn reply(&self, cmd: &redis::Cmd) {
        let frame = match self.1 {
            Form::Value => return found_value(self.0.send(cmd).await.expect("a reply")),
            Form::Frame | Form::Decoded => self.0.send_raw(cmd).await.expect("a reply"),
        };
        match self.1 {
            Form::Decoded => found_value(frame.decode().expect("a value")),
            _ => found(!std::hint::black_box(frame).as_bytes().starts_with(b"$-1")),
        }
    }
}

fn found_value(value: redis::Value) {
    found(!matches!(std::hint::black_box(value), redis::Value::Nil));
}

impl Client for Replies {
    async fn get(&self, key: &str) -> Bytes {
        self.reply(redis::cmd("GET").arg(key)).await;
        Some(Vec::new())
    }

    async fn set(&self, key: &str, value: &[u8]) {
        self.reply(redis::cmd("SET").arg(key).arg(value)).await;
    }

    async fn mget(&self, keys: &[&str]) -> Vec<Bytes> {
        self.reply(redis::cmd("MGET").arg(keys)).await;
        vec![Some(Vec::new()); keys.len()]
    }

    async fn pipeline(&self, _: &[&str]) -> Vec<Bytes> {
        panic!("one reply has a form: no work asks for a pipeline")
    }
}

/// Nodes without a ring: the difference is what a ring costs.
#[derive(Clone)]
pub(crate) struct ByHand(Vec<Node>);

impl ByHand {
    pub(crate) async fn connect(urls: &[String]) -> Self {
        let nodes = urls.iter().map(|url| async { Node::connect(url.as_str()).await.expect("a node") });
        Self(join_all(nodes).await)
    }
}

impl Client for ByHand {
    async fn get(&self, key: &str) -> Bytes {
        self.0[shard(key, self.0.len())].get(key).await.expect("a reply")
    }

    async fn set(&self, key: &str, value: &[u8]) {
        self.0[shard(key, self.0.len())].set(key, value).await.expect("a reply");
    }

    async fn mget(&self, _: &[&str]) -> Vec<Bytes> {
        panic!("the nodes have no common command: no work asks for one")
    }

    async fn pipeline(&self, _: &[&str]) -> Vec<Bytes> {
        panic!("the nodes have no common pipeline: no work asks for one")
    }
}

#[derive(Clone)]
pub(crate) struct OnCopy(RedisCopy);

impl OnCopy {
    pub(crate) async fn connect(urls: &[String]) -> Self {
        Self(copy(urls).connect().await.expect("a copy"))
    }

    /// The same with an identity. The processes with [`OnDifference::Converge`] make the nodes equal.
    pub(crate) async fn marked(urls: &[String], on_difference: OnDifference) -> Self {
        let copy = copy(urls).identity("bench").on_difference(on_difference);
        Self(copy.connect().await.expect("a copy"))
    }

    /// Leads, or stands by, until the process is ended. Says so once.
    pub(crate) async fn hold(urls: &[String]) {
        let copy = Self::marked(urls, OnDifference::Converge).await.0;
        while !(copy.convergence().leads && !copy.convergence().round_due || copy.convergence().stands_by) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        println!("held");
        std::future::pending().await
    }
}

fn copy(urls: &[String]) -> CopyBuilder {
    let nodes = urls.iter().enumerate();
    nodes.fold(RedisCopy::builder(), |copy, (i, url)| copy.node(format!("node-{i}"), url))
}

impl Client for OnCopy {
    async fn get(&self, key: &str) -> Bytes {
        self.0.get(key).await.expect("a reply")
    }

    async fn set(&self, key: &str, value: &[u8]) {
        let replies = self.0.set(key, value).await.expect("replies");
        assert!(replies.is_complete());
    }

    async fn mget(&self, keys: &[&str]) -> Vec<Bytes> {
        self.0.mget(keys).await.expect("a reply")
    }

    async fn pipeline(&self, _: &[&str]) -> Vec<Bytes> {
        panic!("a copy has no pipeline of reads: no work asks for one")
    }
}

#[derive(Clone)]
pub(crate) struct OnCache(Cache<RedisRing>);

impl OnCache {
    pub(crate) async fn connect(urls: &[String]) -> Self {
        let cache = Cache::builder(ring(urls).await).prefix("bench").codec(redisdb::cache::Codec::Raw);
        let cache = Self(cache.build().expect("a cache"));
        // An entry has an envelope and a time to live, so what `fill` wrote is none.
        let keys: Vec<String> = (0..KEYS).map(key).collect();
        if cache.0.get::<String>(&keys[KEYS - 1]).await.expect("a reply").is_none() {
            for keys in keys.chunks(1000) {
                let entries = keys.iter().map(|key| (key, "x".repeat(64)));
                cache.0.set_many_for(entries, Duration::from_secs(86_400)).await.expect("a reply");
            }
        }
        cache
    }
}

impl Client for OnCache {
    async fn get(&self, key: &str) -> Bytes {
        self.0.get::<String>(key).await.expect("a reply").map(String::into_bytes)
    }

    async fn set(&self, key: &str, value: &[u8]) {
        let value = std::str::from_utf8(value).expect("text");
        self.0.set(key, value).await.expect("a reply");
    }

    async fn mget(&self, keys: &[&str]) -> Vec<Bytes> {
        let found = self.0.get_many::<String, &str>(keys.to_vec()).await.expect("replies");
        found.values.into_iter().map(|(_, value)| Some(value.into_bytes())).collect()
    }

    async fn pipeline(&self, _: &[&str]) -> Vec<Bytes> {
        panic!("a cache has no pipeline: no work asks for one")
    }
}

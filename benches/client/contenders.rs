//! What people would use instead, each sharded by hand as its users would do it.

use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Cmd, Pipeline, Value};
use twox_hash::XxHash3_64;

use crate::client::{Bytes, Client};
use crate::measure::{KEYS, key};

/// The server of a key, where no ring decides.
pub(crate) fn shard(key: &str, n: usize) -> usize {
    (XxHash3_64::oneshot(key.as_bytes()) % n as u64) as usize
}

/// The keys of each server, with their places.
fn split<'a>(keys: &[&'a str], n: usize) -> Vec<(usize, Vec<usize>, Vec<&'a str>)> {
    let mut parts: Vec<_> =
        (0..n).map(|idx| (idx, Vec::with_capacity(keys.len()), Vec::with_capacity(keys.len()))).collect();
    for (place, key) in keys.iter().enumerate() {
        let (_, places, keys) = &mut parts[shard(key, n)];
        places.push(place);
        keys.push(*key);
    }
    parts.retain(|(_, places, _)| !places.is_empty());
    parts
}

/// Puts the values of each server where their keys stood.
fn scatter(n: usize, parts: Vec<(Vec<usize>, Vec<Bytes>)>) -> Vec<Bytes> {
    let mut merged = vec![None; n];
    for (places, values) in parts {
        for (place, value) in places.into_iter().zip(values) {
            merged[place] = value;
        }
    }
    merged
}

/// Gives every server every key.
pub(crate) async fn fill(urls: &[String], size: usize) {
    let value = vec![b'x'; size];
    for url in urls {
        let mut connection = connect(url).await;
        for chunk in (0..KEYS).collect::<Vec<_>>().chunks(1000) {
            let mut pipeline = Pipeline::with_capacity(chunk.len());
            for &i in chunk {
                pipeline.set(key(i), &value).ignore();
            }
            pipeline.query_async::<()>(&mut connection).await.expect("room for all keys");
        }
    }
}

async fn connect(url: &str) -> MultiplexedConnection {
    use redis::IntoConnectionInfo;
    let info = url.into_connection_info().expect("a URL");
    // Off by default, which is no choice that anybody makes.
    let tcp = redis::io::tcp::TcpSettings::default().set_nodelay(true);
    // twemproxy closes the connection on the `CLIENT SETINFO` that is sent otherwise.
    let settings = info.redis_settings().clone().set_skip_set_lib_name();
    let info = info.set_tcp_settings(tcp).set_redis_settings(settings);
    let client = redis::Client::open(info).expect("a client");
    client.get_multiplexed_async_connection().await.expect("a connection")
}

/// redis-rs, one multiplexed connection for each server, through `AsyncCommands`.
#[derive(Clone)]
pub(crate) struct Multiplexed(Vec<MultiplexedConnection>);

impl Multiplexed {
    pub(crate) async fn connect(urls: &[String]) -> Self {
        Self(join_all(urls.iter().map(|url| connect(url))).await)
    }

    fn of(&self, key: &str) -> MultiplexedConnection {
        self.0[shard(key, self.0.len())].clone()
    }
}

impl Client for Multiplexed {
    async fn get(&self, key: &str) -> Bytes {
        self.of(key).get(key).await.expect("a reply")
    }

    async fn set(&self, key: &str, value: &[u8]) {
        self.of(key).set::<_, _, ()>(key, value).await.expect("a reply");
    }

    async fn mget(&self, keys: &[&str]) -> Vec<Bytes> {
        if let [connection] = self.0.as_slice() {
            return connection.clone().mget(keys).await.expect("a reply");
        }
        let parts = split(keys, self.0.len()).into_iter().map(async |(idx, places, keys)| {
            (places, self.0[idx].clone().mget(&keys).await.expect("a reply"))
        });
        scatter(keys.len(), join_all(parts).await)
    }

    async fn pipeline(&self, keys: &[&str]) -> Vec<Bytes> {
        if let [connection] = self.0.as_slice() {
            return gets(keys).query_async(&mut connection.clone()).await.expect("replies");
        }
        let parts = split(keys, self.0.len()).into_iter().map(async |(idx, places, keys)| {
            (places, gets(&keys).query_async(&mut self.0[idx].clone()).await.expect("replies"))
        });
        scatter(keys.len(), join_all(parts).await)
    }
}

fn gets(keys: &[&str]) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(keys.len());
    for key in keys {
        pipeline.get(*key);
    }
    pipeline
}

/// redis-rs as lean as it gets: commands of a known size, sent without a box.
#[derive(Clone)]
pub(crate) struct Packed(Multiplexed);

impl Packed {
    pub(crate) async fn connect(urls: &[String]) -> Self {
        Self(Multiplexed::connect(urls).await)
    }
}

impl Client for Packed {
    async fn get(&self, key: &str) -> Bytes {
        let mut cmd = Cmd::with_capacity(2, 64);
        cmd.arg("GET").arg(key);
        let reply = self.0.of(key).send_packed_command(&cmd).await.and_then(Value::extract_error);
        redis::from_redis_value(reply.expect("a reply")).expect("bytes")
    }

    async fn set(&self, key: &str, value: &[u8]) {
        let mut cmd = Cmd::with_capacity(3, 64 + value.len());
        cmd.arg("SET").arg(key).arg(value);
        let reply = self.0.of(key).send_packed_command(&cmd).await.and_then(Value::extract_error);
        reply.expect("a reply");
    }

    async fn mget(&self, keys: &[&str]) -> Vec<Bytes> {
        self.0.mget(keys).await
    }

    async fn pipeline(&self, keys: &[&str]) -> Vec<Bytes> {
        self.0.pipeline(keys).await
    }
}

/// Every write to every server, by redis-rs and `join_all`; reads from the first.
#[derive(Clone)]
pub(crate) struct HandCopy(Multiplexed);

impl HandCopy {
    pub(crate) async fn connect(urls: &[String]) -> Self {
        Self(Multiplexed::connect(urls).await)
    }
}

impl Client for HandCopy {
    async fn get(&self, key: &str) -> Bytes {
        self.0.get(key).await
    }

    async fn set(&self, key: &str, value: &[u8]) {
        let writes = self.0.0.iter().map(async |connection| {
            connection.clone().set::<_, _, ()>(key, value).await.expect("a reply");
        });
        join_all(writes).await;
    }

    async fn mget(&self, keys: &[&str]) -> Vec<Bytes> {
        self.0.mget(keys).await
    }

    async fn pipeline(&self, keys: &[&str]) -> Vec<Bytes> {
        self.0.pipeline(keys).await
    }
}

/// deadpool-redis: a connection for each call.
#[cfg(feature = "peers")]
#[derive(Clone)]
pub(crate) struct Pooled(Vec<deadpool_redis::Pool>);

#[cfg(feature = "peers")]
impl Pooled {
    pub(crate) async fn connect(urls: &[String]) -> Self {
        let pool = |url: &String| {
            let config = deadpool_redis::Config::from_url(url.as_str());
            let builder = config.builder().expect("a URL").max_size(16);
            builder.runtime(deadpool_redis::Runtime::Tokio1).build().expect("a pool")
        };
        Self(urls.iter().map(pool).collect())
    }

    async fn of(&self, key: &str) -> deadpool_redis::Connection {
        self.0[shard(key, self.0.len())].get().await.expect("a connection")
    }
}

#[cfg(feature = "peers")]
impl Client for Pooled {
    async fn get(&self, key: &str) -> Bytes {
        self.of(key).await.get(key).await.expect("a reply")
    }

    async fn set(&self, key: &str, value: &[u8]) {
        self.of(key).await.set::<_, _, ()>(key, value).await.expect("a reply");
    }

    async fn mget(&self, keys: &[&str]) -> Vec<Bytes> {
        let parts = split(keys, self.0.len()).into_iter().map(async |(idx, places, keys)| {
            let mut connection = self.0[idx].get().await.expect("a connection");
            (places, connection.mget(&keys).await.expect("a reply"))
        });
        scatter(keys.len(), join_all(parts).await)
    }

    async fn pipeline(&self, keys: &[&str]) -> Vec<Bytes> {
        let parts = split(keys, self.0.len()).into_iter().map(async |(idx, places, keys)| {
            let mut connection = self.0[idx].get().await.expect("a connection");
            (places, gets(&keys).query_async(&mut connection).await.expect("replies"))
        });
        scatter(keys.len(), join_all(parts).await)
    }
}

/// fred, one client for each server.
#[cfg(feature = "peers")]
#[derive(Clone)]
pub(crate) struct Fred(Vec<fred::prelude::Client>);

#[cfg(feature = "peers")]
impl Fred {
    pub(crate) async fn connect(urls: &[String]) -> Self {
        use fred::prelude::{Builder, ClientLike, Config};
        let client = async |url: &String| {
            let config = Config::from_url(url).expect("a URL");
            let client = Builder::from_config(config).build().expect("a client");
            client.init().await.expect("a connection");
            client
        };
        Self(join_all(urls.iter().map(client)).await)
    }

    fn of(&self, key: &str) -> &fred::prelude::Client {
        &self.0[shard(key, self.0.len())]
    }
}

#[cfg(feature = "peers")]
impl Client for Fred {
    async fn get(&self, key: &str) -> Bytes {
        use fred::prelude::KeysInterface;
        self.of(key).get(key).await.expect("a reply")
    }

    async fn set(&self, key: &str, value: &[u8]) {
        use fred::prelude::KeysInterface;
        self.of(key).set::<(), _, _>(key, value, None, None, false).await.expect("a reply");
    }

    async fn mget(&self, keys: &[&str]) -> Vec<Bytes> {
        use fred::prelude::KeysInterface;
        let parts = split(keys, self.0.len())
            .into_iter()
            .map(async |(idx, places, keys)| (places, self.0[idx].mget(keys).await.expect("a reply")));
        scatter(keys.len(), join_all(parts).await)
    }

    async fn pipeline(&self, keys: &[&str]) -> Vec<Bytes> {
        use fred::prelude::KeysInterface;
        let parts = split(keys, self.0.len()).into_iter().map(async |(idx, places, keys)| {
            let pipeline = self.0[idx].pipeline();
            for key in keys {
                pipeline.get::<(), _>(key).await.expect("a place in the queue");
            }
            (places, pipeline.all().await.expect("replies"))
        });
        scatter(keys.len(), join_all(parts).await)
    }
}

/// rustis, one client for each server.
#[cfg(feature = "peers")]
#[derive(Clone)]
pub(crate) struct Rustis(Vec<rustis::client::Client>);

#[cfg(feature = "peers")]
impl Rustis {
    pub(crate) async fn connect(urls: &[String]) -> Self {
        let client =
            async |url: &String| rustis::client::Client::connect(url.as_str()).await.expect("a connection");
        Self(join_all(urls.iter().map(client)).await)
    }

    fn of(&self, key: &str) -> &rustis::client::Client {
        &self.0[shard(key, self.0.len())]
    }
}

/// As rustis wants bytes to be asked for: a list of numbers is another thing to it.
#[cfg(feature = "peers")]
fn bytes(value: Option<String>) -> Bytes {
    value.map(String::into_bytes)
}

#[cfg(feature = "peers")]
impl Client for Rustis {
    async fn get(&self, key: &str) -> Bytes {
        use rustis::commands::StringCommands;
        bytes(self.of(key).get(key).await.expect("a reply"))
    }

    async fn set(&self, key: &str, value: &[u8]) {
        use rustis::commands::StringCommands;
        let value = std::str::from_utf8(value).expect("text");
        self.of(key).set(key, value).await.expect("a reply");
    }

    async fn mget(&self, keys: &[&str]) -> Vec<Bytes> {
        use rustis::commands::StringCommands;
        let parts = split(keys, self.0.len()).into_iter().map(async |(idx, places, keys)| {
            let values: Vec<Option<String>> = self.0[idx].mget(keys).await.expect("a reply");
            (places, values.into_iter().map(bytes).collect())
        });
        scatter(keys.len(), join_all(parts).await)
    }

    async fn pipeline(&self, keys: &[&str]) -> Vec<Bytes> {
        use rustis::client::BatchPreparedCommand;
        use rustis::commands::StringCommands;
        let parts = split(keys, self.0.len()).into_iter().map(async |(idx, places, keys)| {
            let mut pipeline = self.0[idx].create_pipeline();
            for key in keys {
                pipeline.get::<()>(key).queue();
            }
            let values: Vec<Option<String>> = pipeline.execute().await.expect("replies");
            (places, values.into_iter().map(bytes).collect())
        });
        scatter(keys.len(), join_all(parts).await)
    }
}

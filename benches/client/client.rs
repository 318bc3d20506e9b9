//! What is measured, and what a client has to do for it.

use std::future::Future;

/// One value, as it comes from the server.
pub(crate) type Bytes = Option<Vec<u8>>;

/// A piece of work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Work {
    /// GET of one key.
    Get,
    /// SET of one key.
    Set,
    /// Seven GETs to three SETs.
    Mix,
    /// One MGET of 100 keys.
    Mget,
    /// One pipeline of 100 GETs.
    Pipeline,
}

const WORKS: [(&str, Work); 5] = [
    ("get", Work::Get),
    ("set", Work::Set),
    ("mix", Work::Mix),
    ("mget", Work::Mget),
    ("pipeline", Work::Pipeline),
];

impl Work {
    pub(crate) fn named(name: &str) -> Option<Work> {
        WORKS.iter().find(|(known, _)| *known == name).map(|(_, work)| *work)
    }

    pub(crate) fn names() -> String {
        WORKS.map(|(name, _)| name).join(" ")
    }
}

/// A client: every handle of it may be used by many tasks. Whatever goes wrong ends the benchmark.
pub(crate) trait Client: Clone + Send + Sync + 'static {
    /// The value of a key.
    fn get(&self, key: &str) -> impl Future<Output = Bytes> + Send;

    /// Sets a key.
    fn set(&self, key: &str, value: &[u8]) -> impl Future<Output = ()> + Send;

    /// The values of many keys by one command, as far as the client has one.
    fn mget(&self, keys: &[&str]) -> impl Future<Output = Vec<Bytes>> + Send;

    /// The values of many keys by one command for each, sent together.
    fn pipeline(&self, keys: &[&str]) -> impl Future<Output = Vec<Bytes>> + Send;
}

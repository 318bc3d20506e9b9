//! The stream of the keys that are stored.

pub(crate) mod glob;

use std::future::ready;

use futures_util::Stream;
use futures_util::StreamExt;
use futures_util::stream;
use redisdb_node::Scan;
use redisdb_node::ScanOptions;

use crate::engine::Engine;
use crate::error::Error;
use crate::key::FoundKey;
use crate::sweep::STEP;

impl<E: Scan> Engine<E> {
    pub(crate) fn keys(
        &self,
        pattern: &str,
    ) -> impl Stream<Item = Result<FoundKey, Error<E::Error>>> + Send + Unpin {
        let (names, prefix, version) = (self.names(), &self.shared.settings.prefix, self.version);
        let options = ScanOptions::new().pattern(names.pattern(prefix, version, pattern)).count(STEP.into());
        let pattern = pattern.to_owned();
        let found = self.shared.store.scan_iter::<Vec<u8>>(options);
        let keys = found.filter_map(move |name| {
            ready(match name {
                Ok(name) => names.found(prefix, version, &pattern, &name).map(Ok),
                Err(error) => Some(Err(Error::Store(error))),
            })
        });
        let closed = self.shared.flights.is_closed();
        let keys = stream::iter((!closed).then_some(keys)).flatten();
        stream::iter(closed.then_some(Err(Error::Closed))).chain(keys)
    }
}

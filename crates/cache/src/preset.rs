//! Presets of settings to begin with.

use std::time::Duration;

use crate::builder::CacheBuilder;
use crate::cache::Cache;
use crate::key::KeyStyle;
use crate::settings::OnError;
use crate::settings::OnUndecodable;

impl<E> Cache<E> {
    /// Starts a cache that shares its entries with a Django application: [`KeyStyle::Django`], no envelope, 5
    /// minutes.
    ///
    /// Integers are shared as they are. Everything else is what the codec writes, so the application needs a
    /// serializer that does the same, in its `OPTIONS` for example one that calls `json.dumps` and
    /// `json.loads`; Django's default one pickles, which only Python reads.
    pub fn django(store: E) -> CacheBuilder<E> {
        Self::builder(store).key_style(KeyStyle::Django).without_envelope()
    }

    /// Starts a cache that would rather be a miss than an error.
    ///
    /// | | |
    /// |---|---|
    /// | the store gives an error | [`OnError::Miss`] |
    /// | a value cannot be decoded | [`OnUndecodable::Miss`] |
    /// | lives are shortened by up to | 5 % |
    /// | loaded values stay as stale ones for | 1 hour |
    /// | a loader that failed is left alone for | 30 seconds |
    /// | a loader may take | 5 seconds |
    /// | that something does not exist is noted for | 5 seconds |
    ///
    /// Deletions and conditional writes still give their errors.
    pub fn resilient(store: E) -> CacheBuilder<E> {
        Self::builder(store)
            .on_error(OnError::Miss)
            .on_undecodable(OnUndecodable::Miss)
            .jitter_percent(5)
            .stale_for(Duration::from_secs(60 * 60))
            .refresh_pause(Duration::from_secs(30))
            .load_timeout(Duration::from_secs(5))
            .negative_ttl(Duration::from_secs(5))
    }
}

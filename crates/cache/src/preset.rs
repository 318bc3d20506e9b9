//! Presets of settings to begin with.

use std::time::Duration;

use crate::builder::CacheBuilder;
use crate::key::KeyStyle;
use crate::settings::OnError;
use crate::settings::OnUndecodable;

pub(crate) fn django<E>(store: E) -> CacheBuilder<E> {
    CacheBuilder::new(store).key_style(KeyStyle::Django).without_envelope()
}

pub(crate) fn resilient<E>(store: E) -> CacheBuilder<E> {
    CacheBuilder::new(store)
        .on_error(OnError::Miss)
        .on_undecodable(OnUndecodable::Miss)
        .jitter_percent(5)
        .stale_for(Duration::from_secs(60 * 60))
        .refresh_pause(Duration::from_secs(30))
        .load_timeout(Duration::from_secs(5))
        .negative_ttl(Duration::from_secs(5))
}

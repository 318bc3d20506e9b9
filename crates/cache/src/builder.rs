//! The builder of a cache.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::Cache;
use crate::codec::Codec;
use crate::engine::Shared;
use crate::entry::Format;
#[cfg(feature = "zstd")]
use crate::entry::compress::Zstd;
use crate::event::Events;
use crate::key::KeyStyle;
use crate::load::single_flight::Flights;
use crate::settings::OnError;
use crate::settings::OnUndecodable;
use crate::settings::Settings;
use crate::stats::Counters;
use crate::ttl::Ttl;

/// Gathers what a [`Cache`] should be.
#[derive(Clone)]
#[must_use]
pub struct CacheBuilder<E> {
    store: E,
    settings: Settings,
    codec: Option<Codec>,
    also_reads: [Option<Codec>; Codec::N_KINDS],
    envelope: bool,
    max_decoded_len: usize,
    #[cfg(feature = "zstd")]
    zstd: Option<Zstd>,
    version: u32,
}

impl<E> CacheBuilder<E> {
    pub(crate) fn new(store: E) -> Self {
        #[cfg(feature = "json")]
        let codec = Some(Codec::Json);
        #[cfg(not(feature = "json"))]
        let codec = None;
        Self {
            store,
            settings: Settings::default(),
            codec,
            also_reads: [None; Codec::N_KINDS],
            envelope: true,
            max_decoded_len: 32 << 20,
            #[cfg(feature = "zstd")]
            zstd: None,
            version: 1,
        }
    }

    /// Sets what every key starts with, so that caches share servers without sharing keys. Default: nothing.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.prefix = prefix.into();
        self
    }

    /// Sets the version of the entries: those of other versions are not seen. Default: 1.
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Sets how the names of Redis keys are made. Default: [`KeyStyle::Escaped`].
    pub fn key_style(mut self, key_style: KeyStyle) -> Self {
        self.settings.key_style = key_style;
        self
    }

    /// Sets how long an entry is kept when the call does not say. Default: 5 minutes.
    pub fn default_ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.settings.default_ttl = ttl.into();
        self
    }

    /// Sets how values are written. Default: JSON, if the feature `json` is on; otherwise one must be chosen.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = Some(codec);
        self
    }

    /// Reads entries of this codec too, beside those of the cache's own one, as while a cache changes its
    /// codec. Of each kind of codec one is read, the last that was named. Default: none.
    ///
    /// Name those that wrote entries, and no others: who can write to the servers chooses among them.
    pub fn also_reads(mut self, codec: Codec) -> Self {
        if let Some(also) = self.also_reads.get_mut(usize::from(codec.id() - 1)) {
            *also = Some(codec);
        }
        self
    }

    /// Stores what the codec writes and nothing else, so that other programs can read it and write it.
    ///
    /// A damaged or foreign value is then noticed only if the codec notices it, and an entry does not say
    /// which codec wrote it.
    pub fn without_envelope(mut self) -> Self {
        self.envelope = false;
        self
    }

    /// Compresses what the codec writes by Zstandard if it is longer than `over` bytes and at least a tenth
    /// is saved. Level 1 and 1024 bytes are a good start. Default: nothing is compressed, and what is
    /// compressed is not read; with `usize::MAX` it is read only. By feature `zstd`.
    #[cfg(feature = "zstd")]
    pub fn zstd(mut self, level: i32, over: usize) -> Self {
        self.zstd = Some(Zstd { level, over });
        self
    }

    /// Sets what happens when the store gives an error. Default: [`OnError::Raise`].
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.settings.on_error = on_error;
        self
    }

    /// Sets what happens with a value that cannot be returned. Default: [`OnUndecodable::Raise`].
    pub fn on_undecodable(mut self, on_undecodable: OnUndecodable) -> Self {
        self.settings.on_undecodable = on_undecodable;
        self
    }

    /// Sets how long the name of a Redis key may be, in bytes, prefix and escapes included. Default: 64 KiB.
    pub fn max_key_len(mut self, bytes: usize) -> Self {
        self.settings.max_key_len = bytes;
        self
    }

    /// Sets how long a stored value may be, in bytes, envelope included. Default: 8 MiB.
    pub fn max_stored_len(mut self, bytes: usize) -> Self {
        self.settings.max_stored_len = bytes;
        self
    }

    /// Sets how long what is given to the codec to read may be, in bytes. Default: 32 MiB.
    pub fn max_decoded_len(mut self, bytes: usize) -> Self {
        self.max_decoded_len = bytes;
        self
    }

    /// Sets how many bytes the compressed entries of one call may take together when they are decompressed,
    /// beside [`max_decoded_len`](Self::max_decoded_len) for each. An entry beyond the limit stands among the
    /// failed, as [`DecodeReason::TooMuch`](crate::DecodeReason::TooMuch);
    /// [`get_or_set_many`](Cache::get_or_set_many) loads it. Default: 128 MiB. By feature `zstd`.
    #[cfg(feature = "zstd")]
    pub fn max_unpacked_len(mut self, bytes: usize) -> Self {
        self.settings.max_unpacked_len = bytes;
        self
    }

    /// Sets how many keys are sent at once by the calls that take many; 0 counts as 1. Default: 1000.
    pub fn batch_len(mut self, keys: usize) -> Self {
        self.settings.batch_len = keys.max(1);
        self
    }

    /// Makes lives shorter at random, by up to so many percent and at most 10 seconds, so that what was
    /// stored together does not go together. Default: 0, not at all. A life without end, or until an instant,
    /// stays as it is.
    pub fn jitter_percent(mut self, percent: u8) -> Self {
        self.settings.jitter_percent = percent;
        self
    }

    /// Keeps a loaded value for so long after its time is over: it is returned while it is loaded anew, and
    /// when that fails. [`get`](Cache::get) does not return it. Default: zero, it goes when its time is over.
    ///
    /// An integer that is loaded like this is stored in an envelope, so [`incr`](Cache::incr) does not count
    /// with it.
    pub fn stale_for(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }

    /// Sets how long the loader of a stale value is left alone after it failed. Default: 30 seconds.
    pub fn refresh_pause(mut self, pause: Duration) -> Self {
        self.settings.refresh_pause = pause;
        self
    }

    /// Sets for how long [`get_or_set_maybe`](Cache::get_or_set_maybe) notes that there is no value. Default:
    /// zero, it asks its loader each time.
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.settings.negative_ttl = ttl;
        self
    }

    /// Sets how long a loader may take before it is stopped. Default: 30 seconds.
    pub fn load_timeout(mut self, timeout: Duration) -> Self {
        self.settings.load_timeout = timeout;
        self
    }

    /// Sets how many loads may be under way at once, those that a `set` or a `delete` overtook included; 0
    /// counts as 1. For more, [`LoadError::is_overloaded`](crate::LoadError::is_overloaded) is true; a stale
    /// value is returned all the same. Default: 10,000. Loads of [`get_or_set_many`](Cache::get_or_set_many)
    /// run in their callers' own futures, and are not counted.
    pub fn max_loads(mut self, loads: usize) -> Self {
        self.settings.max_loads = loads.max(1);
        self
    }

    /// Returns the cache. Nothing is sent.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(self) -> Result<Cache<E>, BuildError> {
        let codec = self.codec.ok_or(BuildError::NoCodec)?;
        let needs_envelope = !self.settings.grace.is_zero() || !self.settings.negative_ttl.is_zero();
        #[cfg(feature = "zstd")]
        let needs_envelope = needs_envelope || self.zstd.is_some();
        let reads_others = self.also_reads.iter().any(Option::is_some);
        let needs_envelope = needs_envelope || codec.needs_envelope() || reads_others;
        if needs_envelope && !self.envelope {
            return Err(BuildError::NeedsEnvelope);
        }
        Ok(self.build_with(codec))
    }

    pub(crate) fn build_with(self, codec: Codec) -> Cache<E> {
        let format = Format {
            codec,
            also_reads: self.also_reads,
            envelope: self.envelope,
            max_decoded_len: self.max_decoded_len,
            #[cfg(feature = "zstd")]
            zstd: self.zstd,
        };
        let counters = Counters::new(&self.settings.prefix);
        let flights = Arc::new(Flights::new(self.settings.max_loads));
        let shared = Shared {
            store: self.store,
            settings: self.settings,
            format,
            counters,
            events: Events::default(),
            flights,
        };
        Cache::of(Arc::new(shared), self.version)
    }
}

impl<E> fmt::Debug for CacheBuilder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder")
            .field("settings", &self.settings)
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}

/// The reason why there is no such cache.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No codec was chosen, and the feature `json` is off.
    #[error("no codec was chosen; choose one, or turn the feature `json` on")]
    NoCodec,
    /// [`stale_for`](CacheBuilder::stale_for), [`negative_ttl`](CacheBuilder::negative_ttl), compression, the
    /// codec Postcard or [others to read](CacheBuilder::also_reads) are asked for together with
    /// [`without_envelope`](CacheBuilder::without_envelope), which leaves no place to note it in.
    #[error(
        "stale values, negative ones, compression, Postcard and `also_reads` need the envelope; leave `without_envelope` out"
    )]
    NeedsEnvelope,
}

#[cfg(all(test, feature = "postcard"))]
mod tests {
    use super::*;

    #[test]
    fn postcard_needs_the_envelope() {
        let postcard = || Cache::builder(()).codec(Codec::Postcard { schema: 1 });
        assert_eq!(postcard().without_envelope().build().err(), Some(BuildError::NeedsEnvelope));
        assert!(postcard().build().is_ok());
    }
}

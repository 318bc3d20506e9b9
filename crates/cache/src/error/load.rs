//! The error of a load that several callers may have waited for.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::key::Key;

/// The reason why a value could not be loaded. All who waited for the load have the same one.
#[derive(Debug, Clone, thiserror::Error)]
#[error("key `{key}`: {cause}")]
pub struct LoadError {
    key: String,
    cause: Cause,
}

#[derive(Debug, Clone, thiserror::Error)]
enum Cause {
    /// Callers with loaders of different kinds may wait for one load.
    #[error("the loader gave an error, so nothing was stored: {0}")]
    Loader(Arc<dyn Error + Send + Sync>),
    #[error("the loader gave nothing within {0:?}")]
    Timeout(Duration),
    #[error("the loader panicked, or the cache was closed")]
    Lost,
    #[error(
        "{0} loads are under way, which is the most that this cache runs at once (`max_loads`); the loader was not called"
    )]
    Overloaded(usize),
}

impl LoadError {
    pub(crate) fn of(key: &str, error: impl Error + Send + Sync + 'static) -> Self {
        Self { key: key.to_owned(), cause: Cause::Loader(Arc::new(error)) }
    }

    pub(crate) fn timeout(key: &str, after: Duration) -> Self {
        Self { key: key.to_owned(), cause: Cause::Timeout(after) }
    }

    pub(crate) fn lost(key: Key<'_>) -> Self {
        Self { key: key.to_string(), cause: Cause::Lost }
    }

    pub(crate) fn overloaded(key: Key<'_>, limit: usize) -> Self {
        Self { key: key.to_string(), cause: Cause::Overloaded(limit) }
    }

    /// The key, as in messages.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The loader's own error, if it gave one and it is an `X`.
    pub fn downcast_ref<X: Error + 'static>(&self) -> Option<&X> {
        match &self.cause {
            Cause::Loader(error) => error.downcast_ref(),
            Cause::Timeout(_) | Cause::Lost | Cause::Overloaded(_) => None,
        }
    }

    /// Returns whether the loader took longer than [`load_timeout`](crate::CacheBuilder::load_timeout), and
    /// was stopped.
    pub fn is_timeout(&self) -> bool {
        matches!(self.cause, Cause::Timeout(_))
    }

    /// Returns whether the load ended without an outcome: the loader panicked, or the cache was closed.
    pub fn is_lost(&self) -> bool {
        matches!(self.cause, Cause::Lost)
    }

    /// Returns whether as many loads were under way as [`max_loads`](crate::CacheBuilder::max_loads) allows.
    /// The loader was not called.
    pub fn is_overloaded(&self) -> bool {
        matches!(self.cause, Cause::Overloaded(_))
    }
}

//! Locks: one owner at a time, by a token that only the owner knows.

use std::future::Future;
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crate::execute::Execute;
use crate::sessions::script::Script;
use crate::token::token;

/// The lease of a [`Lock`], and the waiting for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct LockOptions {
    lease: Duration,
    retry_every: Duration,
    wait_at_most: Option<Duration>,
}

impl LockOptions {
    /// Returns the options of a lock that expires after this lease, whatever its owner does. At least 1
    /// millisecond; on a copy a lease of up to 2 milliseconds is an error.
    pub fn new(lease: Duration) -> Self {
        Self { lease, retry_every: Duration::from_millis(100), wait_at_most: None }
    }

    /// Sets the pause between two attempts to take the lock. Each pause is a random time between half of it
    /// and all of it. Default 100 milliseconds.
    pub fn retry_every(mut self, pause: Duration) -> Self {
        self.retry_every = pause;
        self
    }

    /// Sets how long [`acquire`](Lock::acquire) waits for the lock; [`Duration::ZERO`] tries once. Default:
    /// for ever.
    pub fn wait_at_most(mut self, time: Duration) -> Self {
        self.wait_at_most = Some(time);
        self
    }
}

/// A lock with a name, on a node, a ring or a copy.
///
/// The lock is a key of that name. Its value is the token of the owner, and it expires after the lease.
/// Scripts that compare the token take, extend and release the lock, so no client ends the lock of another.
///
/// # Trade-offs
/// * An owner that pauses for longer than the lease has lost the lock and does not notice.
///   [`release`](LockGuard::release) reports that, too late for what the owner did meanwhile. Work that must
///   never be done twice needs a check of its own where it is done.
/// * A server that loses its memory loses its locks.
/// * A guard that is dropped without [`release`](LockGuard::release) leaves the lock to expire: a drop cannot
///   wait for a reply.
///
/// # On a ring
/// The lock is on the owner of its name. While that node is down, the lock can be neither taken nor released.
///
/// # On a copy
/// The algorithm is
/// [Redlock](https://redis.io/docs/latest/develop/use/patterns/distributed-locks/#the-redlock-algorithm). The
/// lock is taken on a majority of the nodes. The lock is certain for the lease less the time that taking it
/// needed, less 1 % and 2 milliseconds for clocks that run differently. The lock survives the loss of fewer
/// than half of the nodes. A node that was restarted and has lost its memory can let a second owner in; keep
/// such a node away for the length of a lease.
///
/// See <https://redis.io/docs/latest/develop/use/patterns/distributed-locks/>.
///
/// # Example
/// ```no_run
/// use redisdb_node::{LockOptions, Node};
/// use std::time::Duration;
///
/// # async fn f(node: Node) -> Result<(), Box<dyn std::error::Error>> {
/// let guard = node.lock("report", LockOptions::new(Duration::from_secs(30))).acquire().await?;
/// // .. what only one may do ..
/// guard.release().await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a lock is not held before it is acquired"]
pub struct Lock<S> {
    store: S,
    name: Vec<u8>,
    options: LockOptions,
}

/// Something that locks are held on.
pub trait HoldLocks: Execute + Clone + Send {
    /// Takes a lock with a token for a time, unless another token has it. Returns until when it is certainly
    /// held, `None` if it is not.
    fn take_lock(
        &self,
        name: &[u8],
        token: &str,
        time: Duration,
    ) -> impl Future<Output = Result<Option<Instant>, Self::Error>> + Send;

    /// Makes a lock last for a time from now on, if the token has it. Returns until when it is certainly
    /// held.
    fn extend_lock(
        &self,
        name: &[u8],
        token: &str,
        time: Duration,
    ) -> impl Future<Output = Result<Option<Instant>, Self::Error>> + Send;

    /// Returns whether the token has the lock.
    fn owns_lock(&self, name: &[u8], token: &str) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Gives a lock up, and returns whether the token had it.
    fn release_lock(
        &self,
        name: &[u8],
        token: &str,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;
}

/// The error of a lock.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockError<E> {
    /// Another owner held the lock for all the time that was waited.
    #[error("the lock was held by another for as long as was waited")]
    NotAcquired,
    /// The lock was not held any more: it had expired, and another owner may have held it since.
    #[error("the lock was not held any more: it had expired before")]
    Lost,
    /// The system gave no random number, so there is no token that nobody else has. Nothing was sent.
    #[error("the system gave no random number, which a lock's token must be")]
    NoToken,
    /// The store could not be asked. After [`acquire`](Lock::acquire) nothing is held for longer than the
    /// lease.
    #[error(transparent)]
    Store(E),
}

impl<S: HoldLocks> Lock<S> {
    /// A lock of this name. Nothing is sent.
    pub fn new(store: &S, name: impl AsRef<[u8]>, options: LockOptions) -> Self {
        Self { store: store.clone(), name: name.as_ref().to_vec(), options }
    }

    /// Waits until the lock is free, and takes it.
    ///
    /// # Errors
    /// [`LockError::NotAcquired`] after the [`wait_at_most`](LockOptions::wait_at_most);
    /// [`LockError::NoToken`].
    ///
    /// # Cancel safety
    /// When the future is dropped the lock may be held until it expires.
    pub async fn acquire(&self) -> Result<LockGuard<S>, LockError<S::Error>> {
        let deadline = self.options.wait_at_most.and_then(|wait| Instant::now().checked_add(wait));
        let token = token().ok_or(LockError::NoToken)?;
        loop {
            match self.store.take_lock(&self.name, &token, self.options.lease).await {
                Ok(Some(until)) => {
                    return Ok(LockGuard {
                        lock: self.clone(),
                        token,
                        until: Some(until),
                        is_lost: AtomicBool::new(false),
                    });
                }
                Ok(None) => {}
                Err(error) => {
                    // The lock may have been taken all the same.
                    let _best_effort = self.store.release_lock(&self.name, &token).await;
                    return Err(LockError::Store(error));
                }
            }
            let half = self.options.retry_every / 2;
            let pause = half + half.mul_f64(fastrand::f64());
            if deadline.is_some_and(|deadline| deadline.saturating_duration_since(Instant::now()) < pause) {
                return Err(LockError::NotAcquired);
            }
            tokio::time::sleep(pause).await;
        }
    }
}

/// A lock that is held. Made by [`acquire`](Lock::acquire). A guard
/// can be sent to another task or thread, and released there.
#[derive(Debug)]
#[must_use = "the lock is held until it is released or expires"]
pub struct LockGuard<S> {
    lock: Lock<S>,
    token: String,
    /// Until when it is certainly held; `None` if nothing is certain.
    until: Option<Instant>,
    /// True if the store has said that the lock is not held.
    is_lost: AtomicBool,
}

impl<S: HoldLocks> LockGuard<S> {
    /// The name of the lock.
    pub fn name(&self) -> &[u8] {
        &self.lock.name
    }

    /// The node, ring or copy that the lock is held on.
    pub fn store(&self) -> &S {
        &self.lock.store
    }

    /// The token, which is the value of the lock's key.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The time for which the lock is certainly held from now on, by this machine's clock, as long as the
    /// store loses nothing.
    ///
    /// Zero if the lock may have expired, if [`is_held`](Self::is_held) was answered with `false`, and after
    /// an [`extend`](Self::extend) that did not succeed or whose future was dropped. In the last case the
    /// store may have set a shorter time, or may not have the lock. Only an `extend` that succeeds makes it
    /// certain again.
    pub fn remaining(&self) -> Duration {
        let until = self.until.filter(|_| !self.is_lost.load(Ordering::Relaxed));
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Asks whether the lock is held still.
    ///
    /// # Errors
    /// [`LockError::Store`].
    pub async fn is_held(&self) -> Result<bool, LockError<S::Error>> {
        let is_held =
            self.lock.store.owns_lock(&self.lock.name, &self.token).await.map_err(LockError::Store)?;
        if !is_held {
            self.is_lost.store(true, Ordering::Relaxed);
        }
        Ok(is_held)
    }

    /// Makes the lock last for this lease from now on.
    ///
    /// # Errors
    /// [`LockError::Lost`] if it had expired; it is not taken again. After any error the lock may be held or
    /// not, and [`remaining`](Self::remaining) is zero.
    ///
    /// # Cancel safety
    /// When the future is dropped the lock lasts for the old time or the new one, or is lost; `remaining` is
    /// zero.
    pub async fn extend(&mut self, lease: Duration) -> Result<(), LockError<S::Error>> {
        self.until = None;
        let extended = self.lock.store.extend_lock(&self.lock.name, &self.token, lease).await;
        self.until = Some(extended.map_err(LockError::Store)?.ok_or(LockError::Lost)?);
        self.is_lost = AtomicBool::new(false);
        Ok(())
    }

    /// Gives the lock up.
    ///
    /// # Errors
    /// [`LockError::Lost`] if it had expired before: another one may have had it meanwhile.
    ///
    /// # Cancel safety
    /// When the future is dropped the lock is released, or held until it expires.
    pub async fn release(self) -> Result<(), LockError<S::Error>> {
        match self.lock.store.release_lock(&self.lock.name, &self.token).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(LockError::Lost),
            Err(error) => Err(LockError::Store(error)),
        }
    }
}

/// The longest time that is sent to a server: Lua counts its milliseconds exactly, and no server refuses it.
pub const LONGEST: Duration = Duration::from_millis(1 << 53);

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.min(LONGEST).as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Takes the lock for a token, or holds it longer if the token has it already: an attempt whose reply was
/// lost can be made again.
pub(crate) const TAKE: &str = "local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1";
pub(crate) static EXTEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])",
    )
});
pub(crate) static OWNS: LazyLock<Script> =
    LazyLock::new(|| Script::new("if redis.call('GET', KEYS[1]) == ARGV[1] then return 1 end return 0"));
pub(crate) static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])",
    )
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_never_zero_and_never_negative() {
        assert_eq!(millis(Duration::ZERO), 1);
        assert_eq!(millis(Duration::MAX), 1 << 53);
    }
}

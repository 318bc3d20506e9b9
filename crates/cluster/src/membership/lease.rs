//! The lease: one process at a time makes a server whole, and says so on the server itself.

use std::future::Future;
use std::time::Duration;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::Either;
use futures_util::future::select;
use redisdb_node::LockError;
use redisdb_node::LockGuard;
use redisdb_node::LockOptions;
use redisdb_node::Node;
use tokio::sync::Mutex;

use crate::engine::copy::CopyEngine;
use crate::error::Error;
use crate::error::RepairReason;
use crate::membership::marker::Stage;

/// The time for which a process may make a server whole without renewing its lease, before another one may
/// take over.
const LEASE: Duration = Duration::from_secs(10);

/// The leases of one repair: that this process, and no other, makes these servers whole. A lease is given back by
/// [`release`](Self::release), or runs out.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<Vec<Lease>>);

#[derive(Debug)]
struct Lease {
    guard: LockGuard<Node>,
    renewed: Instant,
}

impl Leases {
    /// Takes it upon this process to make a server whole, and says so to all others; without an identity nobody can.
    ///
    /// # Errors
    /// If another process is at it, or has just done it.
    pub(crate) async fn begin_sync(&self, copy: &CopyEngine, idx: usize, node: &Node) -> Result<(), Error> {
        let Some(identity) = &copy.topology.identity else { return Ok(()) };
        // On the server itself: whatever it loses, it loses this with it. And of its present process: what comes back with its
        // data after a restart holds nobody up.
        let name = identity.lease(node.process(node.incarnation()).as_deref());
        let options = LockOptions::new(LEASE).wait_at_most(Duration::ZERO);
        let guard = match node.lock(name, options).acquire().await {
            Ok(guard) => guard,
            Err(LockError::Store(error)) => return Err(error.into()),
            // Not taken, or there is no token to take it with, and it can be tried again either way.
            Err(_) => return Err(Error::unrepaired(node.name(), RepairReason::Busy)),
        };
        self.0.lock().await.push(Lease { guard, renewed: Instant::now() });
        // Whoever had the lease before may have ended well, and all would be compared for nothing once more.
        copy.look_at(idx).await;
        if copy.has_memory(idx) {
            return Err(Error::unrepaired(node.name(), RepairReason::Busy));
        }
        copy.mark(idx..=idx, Stage::Syncing).await
    }

    /// Does something while the leases are kept, however long one step of it takes.
    ///
    /// # Errors
    /// Those of what is done; or if a lease is lost.
    pub(crate) async fn while_kept<T>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        let lost = async {
            loop {
                tokio::time::sleep(LEASE / 5).await;
                if let Err(lost) = self.renew().await {
                    return lost;
                }
            }
        };
        match select(work.boxed(), lost.boxed()).await {
            Either::Left((done, _)) => done,
            Either::Right((lost, _)) => Err(lost),
        }
    }

    /// Keeps those that it is time to keep. Whoever stood still finds out here that another process has taken over.
    ///
    /// # Errors
    /// If one is lost.
    pub(crate) async fn renew(&self) -> Result<(), Error> {
        self.keep_older(LEASE / 5).await
    }

    /// Keeps all.
    ///
    /// # Errors
    /// If one is lost: the server was flushed, or another process has taken over.
    pub(crate) async fn keep(&self) -> Result<(), Error> {
        self.keep_older(Duration::ZERO).await
    }

    async fn keep_older(&self, age: Duration) -> Result<(), Error> {
        for lease in self.0.lock().await.iter_mut().filter(|lease| age <= lease.renewed.elapsed()) {
            match lease.guard.extend(LEASE).await {
                Ok(()) => lease.renewed = Instant::now(),
                Err(LockError::Store(error)) => return Err(error.into()),
                Err(_) => return Err(Error::unrepaired(lease.guard.store().name(), RepairReason::LeaseLost)),
            }
        }
        Ok(())
    }

    /// Gives the leases back. One that cannot be given back runs out by itself, and whoever comes next waits for that.
    pub(crate) async fn release(self, copy: &CopyEngine) {
        for lease in self.0.into_inner() {
            let name = lease.guard.name().to_vec();
            if let Err(LockError::Store(error)) = lease.guard.release().await {
                copy.topology.tell_refused(&error, Some(&name));
            }
        }
    }
}

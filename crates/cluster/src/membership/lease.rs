//! The lease: one process at a time makes a server whole, and says so on the server itself.

use crate::engine::copy::CopyEngine;
use crate::error::Error;
use crate::error::RepairReason;
use crate::membership::marker::Stage;
use redisdb_node::LockError;
use redisdb_node::LockGuard;
use redisdb_node::LockOptions;
use redisdb_node::Node;
use std::time::Duration;
use std::time::Instant;

/// How long a process may make a server whole without a word before another one may take over.
const LEASE: Duration = Duration::from_secs(30);

/// That this process, and no other, makes a server whole; taken back when it is [released](Self::release), or runs out.
#[derive(Debug)]
pub(crate) struct Lease {
    guard: LockGuard<Node>,
    renewed: Instant,
}

impl CopyEngine {
    /// Takes it upon this process to make a server whole, and says so to all others; `None` without an identity.
    ///
    /// # Errors
    /// If another process is at it.
    pub(crate) async fn begin_sync(&self, idx: usize, node: &Node) -> Result<Option<Lease>, Error> {
        let Some(identity) = &self.topology.identity else { return Ok(None) };
        // On the server itself: whatever it loses, it loses this with it. And of its present process: what comes back with its
        // data after a restart holds nobody up.
        let process = node.process(node.incarnation());
        let name = match process {
            Some(process) => format!("__redisdb:{{{identity}}}:sync:{process}").into_bytes(),
            None => format!("__redisdb:{{{identity}}}:sync").into_bytes(),
        };
        let options = LockOptions::new(LEASE).wait_at_most(Duration::ZERO);
        let guard = match node.lock(name, options).acquire().await {
            Ok(guard) => guard,
            Err(LockError::Store(error)) => return Err(error.into()),
            // Not taken, or there is no token to take it with, and it can be tried again either way.
            Err(_) => return Err(Error::unrepaired(node.name(), RepairReason::Busy)),
        };
        let lease = Lease { guard, renewed: Instant::now() };
        match self.mark(idx..=idx, Stage::Syncing).await {
            Ok(()) => Ok(Some(lease)),
            Err(error) => {
                self.release(lease).await;
                Err(error)
            }
        }
    }

    /// Gives a lease back. If that fails it runs out by itself, and whoever comes next waits for that.
    pub(crate) async fn release(&self, lease: Lease) {
        let name = lease.guard.name().to_vec();
        if let Err(LockError::Store(error)) = lease.guard.release().await {
            self.topology.tell_refused(&error, Some(&name));
        }
    }
}

impl Lease {
    /// Keeps it, if it is time to.
    ///
    /// # Errors
    /// If it is lost.
    pub(crate) async fn renew(&mut self) -> Result<(), Error> {
        if LEASE / 3 <= self.renewed.elapsed() {
            self.keep().await?;
        }
        Ok(())
    }

    /// Keeps it.
    ///
    /// # Errors
    /// If it is lost: the server was flushed, or another process has taken over.
    pub(crate) async fn keep(&mut self) -> Result<(), Error> {
        match self.guard.extend(LEASE).await {
            Ok(()) => {}
            Err(LockError::Store(error)) => return Err(error.into()),
            Err(_) => return Err(Error::unrepaired(self.guard.store().name(), RepairReason::LeaseLost)),
        }
        self.renewed = Instant::now();
        Ok(())
    }
}

//! The care of a copy: its nodes are compared, brought back, replaced and forgotten.

use crate::anti_entropy::conflict::Conflicts;
use crate::anti_entropy::convergence::Convergence;
use crate::anti_entropy::repair::Repair;
use crate::anti_entropy::verify::Verify;
use crate::builder::CopyBuilder;
use crate::copy::RedisCopy;
use crate::engine::replace::Replaced;
use crate::error::Error;
use crate::membership::forget::Forgotten;

/// # Care
impl RedisCopy {
    /// Returns how far the nodes are equal, as this process knows.
    ///
    /// On a copy with an identity one process makes the nodes equal for all: the servers tell it which keys change, and a key that
    /// has been quiet for a while is compared on all nodes. Other processes know nothing of that. See
    /// [`OnDifference`](crate::OnDifference).
    ///
    /// ```no_run
    /// # fn f(copy: redisdb_cluster::RedisCopy) {
    /// let convergence = copy.convergence();
    /// if convergence.leads {
    ///     println!("{} keys are to be compared, {} were made equal", convergence.dirty, convergence.converged);
    /// }
    /// # }
    /// ```
    pub fn convergence(&self) -> Convergence {
        *self.engine().topology.lasting.convergence.lock()
    }

    /// Waits until all nodes that can be reached hold the same of a key, and returns their names.
    ///
    /// Each of these nodes held it at a moment after the call, and none of them is known to have missed a write of the key. Every
    /// write that returned before the call, in whichever process, is in what they hold: it ran there, or came to nothing where
    /// it raced with another one. A node that is down is not waited for, and is not named. A write that is under way meanwhile may make
    /// the nodes different again, also one of a process that has just ended, which may be on its way for as long as the response timeout.
    ///
    /// It works in every process, whichever makes the nodes equal. It waits as long as [`with_deadline`](Self::with_deadline) says,
    /// or for 60 s. Without an identity, and with [`OnDifference::Leave`](crate::OnDifference::Leave), nobody makes nodes equal that
    /// two writers have left different: then it waits for a write of the whole value, or a repair. Looks at the nodes are 25 ms
    /// apart at first, later one second; each reads a large value element by element.
    ///
    /// ```no_run
    /// # use redisdb_node::StringCommands;
    /// # use std::time::Duration;
    /// # async fn f(copy: redisdb_cluster::RedisCopy) -> Result<(), redisdb_cluster::Error> {
    /// _ = copy.incr("visits").await?;
    /// let nodes = copy.with_deadline(Duration::from_secs(10)).converged("visits").await?;
    /// println!("{} hold the same", nodes.join(", "));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::NotConverged`], with the nodes that differ or are behind, if the time is over; that this user may not read the key;
    /// as a first call, also that of [`ready`](Self::ready).
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn converged(&self, key: impl AsRef<[u8]>) -> Result<Vec<String>, Error> {
        self.engine().converged(key.as_ref()).await
    }

    /// Compares every key on all nodes that answer, and returns those that are not the same everywhere, with what was
    /// compared.
    ///
    /// Values and types are compared, times to live to the second, and those of single fields to the millisecond.
    ///
    /// ```no_run
    /// # async fn f(copy: redisdb_cluster::RedisCopy) -> Result<(), redisdb_cluster::Error> {
    /// let verified = copy.verify().run().await?;
    /// println!("{} keys compared on {}", verified.compared, verified.nodes.join(", "));
    /// for difference in verified {
    ///     println!("{difference}");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn verify(&self) -> Verify<'_> {
        Verify::new(self.engine())
    }

    /// Brings a node to what another one holds, and readmits it.
    ///
    /// All keys are compared, those that differ brought over, and those removed that the other node does not have. A
    /// node that came back needs none: it is [brought back by itself](crate::OnReturn), unless that was turned off
    /// or no node is in sync. Writes may go on: keys that this client writes meanwhile are brought over again.
    ///
    /// ```no_run
    /// # async fn f(copy: redisdb_cluster::RedisCopy) -> Result<(), redisdb_cluster::Error> {
    /// let repaired = copy.repair("a").keys_per_second(5000).run().await?;
    /// println!("{} keys brought over", repaired.copied);
    /// # Ok(()) }
    /// ```
    pub fn repair(&self, node: impl Into<String>) -> Repair<'_> {
        Repair::new(self.engine(), node.into())
    }

    /// Lets a node answer reads again that has missed writes or lost its data. The caller vouches that it holds what the
    /// others hold: that it was repaired, or that all was written to it anew.
    ///
    /// Keys that it is known to have missed, and that another node which answers has right, are read from that one until they
    /// have been brought over, or written anew.
    ///
    /// # Errors
    /// [`Error::NoSuchNode`], or that the node cannot be reached; as a first call, also that of [`ready`](Self::ready).
    pub async fn readmit(&self, name: &str) -> Result<(), Error> {
        self.engine().readmit(name).await
    }

    /// The keys that no node is known to have right, with what each node holds: the first 1,000, and how many there
    /// are. [`Event::Conflict`](crate::Event::Conflict) tells of each when it begins, of up to 1,000 at a time.
    ///
    /// [`OnConflict`](crate::OnConflict) may end them by a rule.
    ///
    /// Such a key has missed a write on each node that another one took: several nodes were away one after the other, or all
    /// servers were restarted and do not hold the same. Reads of it are [`Unavailable`](crate::Unavailable).
    ///
    /// ```no_run
    /// # async fn f(copy: redisdb_cluster::RedisCopy) -> Result<(), redisdb_cluster::Error> {
    /// for conflict in copy.conflicts().await? {
    ///     println!("{conflict}");
    ///     copy.resolve(&conflict.key, "a").await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If no node can be reached; as a first call, also that of [`ready`](Self::ready).
    pub async fn conflicts(&self) -> Result<Conflicts, Error> {
        self.engine().conflicts().await
    }

    /// Takes what one node holds of a key in conflict for right. Reads of the key are answered by that node from then on, and the
    /// others are brought to it. Returns whether the key was in conflict; if not, nothing is changed.
    ///
    /// A write of the whole value (`SET`, `DEL`) ends a conflict too.
    ///
    /// # Errors
    /// [`Error::NoSuchNode`], that the node cannot be reached, or [`Error::Unavailable`] while all its keys are still to be
    /// compared; as a first call, also that of [`ready`](Self::ready).
    pub async fn resolve(&self, key: impl AsRef<[u8]>, node: &str) -> Result<bool, Error> {
        self.engine().resolve(key.as_ref(), node).await
    }

    /// Marks the servers as belonging to this copy, if they all hold the same; for servers that held data before they
    /// were given an [identity](crate::CopyBuilder::identity).
    ///
    /// # Errors
    /// [`Error::Identity`] if they do not hold the same, with the first keys that differ, if the copy has no identity, or if
    /// a server was restarted meanwhile; and if a node cannot be reached.
    pub async fn adopt(&self) -> Result<(), Error> {
        self.engine().adopt().await
    }

    /// Puts other nodes in place of the present ones, for all clones of this handle: nodes are added, removed, reweighted, or
    /// given another address. The settings of the builder take the place of the present ones too.
    ///
    /// A call that is under way ends on the nodes on which it began; each later one sees the new nodes only. A node that is
    /// configured as before keeps its connection, and what is known of it. A node that is added, or has another address or
    /// other settings, takes writes from now on and is [`Syncing`](crate::Health::Syncing): it answers no read and is no source
    /// until all its keys were compared with those of a node in sync, which happens [by itself](crate::OnReturn), within the
    /// rate that is set there. Keys that the others do not have are then removed from it; a server that holds mostly such
    /// keys is left alone instead, as it may be somebody else's.
    ///
    /// Every process replaces the nodes for itself. What one process writes before it does so is brought over by its own
    /// comparison afterwards, so a node that joins may give other processes older values until the last one has replaced.
    /// A [lock](Self::lock) that is held stays where it was taken: replace fewer nodes than half, and the next ones after
    /// the longest lock has run out. A subscription stays on the nodes on which it was made: subscribe anew.
    ///
    /// ```
    /// # use redisdb_cluster::RedisCopy;
    /// let copy = RedisCopy::builder().node("a", "redis://h1").node("b", "redis://h2").build()?;
    /// let replaced = copy.replace(RedisCopy::builder().node("a", "redis://h1").node("c", "redis://h3"))?;
    /// assert_eq!((replaced.kept, replaced.removed), (vec!["a".to_owned()], vec!["b".to_owned()]));
    /// # Ok::<(), redisdb_cluster::Error>(())
    /// ```
    ///
    /// # Errors
    /// What is wrong with the new nodes, or that the [identity](crate::CopyBuilder::identity) is another one;
    /// [`Error::NotReplaced`] if no node that stays is in sync, for what only the others hold would be lost. The present
    /// nodes stay then.
    pub fn replace(
        &self,
        topology: impl TryInto<CopyBuilder, Error: Into<Error>>,
    ) -> Result<Replaced, Error> {
        let plan = topology.try_into().map_err(Into::into)?.plan()?;
        self.handle.replace(plan)
    }

    /// Takes a node out of the copy that never comes back, for all processes that use it.
    ///
    /// It is a [`replace`](Self::replace) with the present nodes but this one, for all clones of this handle; the settings stay.
    /// It is done also where the nodes that stay lack the last writes of some keys, which only this one took. These writes are
    /// lost: [`Forgotten`] names their keys, as do [`Event::Forgotten`](crate::Event::Forgotten) and a warning. Such a key is
    /// read with the older value from then on that the nodes that stay hold: from the first of them, in the order in which the
    /// key is read, of which no server that stays says that it has missed a write of the key; the others are made equal to it. If
    /// they say so of each other, or the copy has no identity and they do not hold the same, the key is in
    /// [conflict](Self::conflicts).
    ///
    /// With an [identity](CopyBuilder::identity) the servers that stay note that the node is forgotten, and drop the hints about it.
    /// Other processes that have the node in their configuration read that within about a second, or at their start, and leave
    /// it out too. Whatever server comes back under its name is believed by none of them. The name is not used again: to use
    /// the server again, empty it and [add](Self::replace) it under another name. Without an identity this process alone forgets
    /// the node.
    ///
    /// Where [`WriteTo`](crate::WriteTo) wants more nodes than stay, writes fail until others were added.
    ///
    /// ```no_run
    /// # async fn f(copy: redisdb_cluster::RedisCopy) -> Result<(), redisdb_cluster::Error> {
    /// let forgotten = copy.forget("b").await?;
    /// println!("the last writes of {} keys are lost", forgotten.n_lost);
    /// for key in &forgotten.lost {
    ///     println!("{}", String::from_utf8_lossy(key));
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSuchNode`]; [`Error::Unsupported`] if it is the last one; [`Error::NotReplaced`] if it is connected
    /// and no node that stays is in sync, for what only it has is brought over while it is there; with an identity
    /// [`Error::Identity`] if no server that stays could note it; as a first call, also that of [`ready`](Self::ready). The
    /// present nodes stay then.
    ///
    /// # Cancel safety
    /// When the future is dropped, the node is forgotten or it is not. If a server that stays has noted it, it is forgotten
    /// within about a second.
    pub async fn forget(&self, node: &str) -> Result<Forgotten, Error> {
        self.engine().forget(node).await
    }
}

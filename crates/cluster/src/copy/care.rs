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
    /// On a copy with an identity one process leads: it makes the nodes equal for all processes. The servers tell it which keys
    /// change, and a key that has been quiet for a while is compared on all nodes. Only the counts of that process are current;
    /// [`leads`](Convergence::leads) says whether it is this one. See [`OnDifference`](crate::OnDifference).
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
    /// Each of these nodes held it at a moment after the call, and none of them is known to have missed a write of the key.
    /// What they hold includes every write that returned before the call, in any process, unless a write that raced with it
    /// won. A node that is down is not waited for, and is not named; neither is one at whose address a server
    /// answers that may be somebody else's.
    ///
    /// A write that is still under way may make the nodes different again. It may be one of a process that has just ended: such a
    /// write may arrive until the response timeout is over.
    ///
    /// Every process may wait, also one that does not make the nodes equal. The wait ends after the time that
    /// [`with_deadline`](Self::with_deadline) sets, by default after 60 s. The nodes are looked at again after 25 ms, then ever
    /// more rarely, down to once a second. Each look reads a large value element by element.
    ///
    /// Where two writers have left the nodes different, nobody makes them equal without an identity, with
    /// [`OnDifference::Leave`](crate::OnDifference::Leave), or if [`OnReturn`](crate::OnReturn) does not repair. The wait is
    /// then for a write of the whole value, or a repair.
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
    /// [`Error::NotConverged`], with the nodes that differ or are behind, if the time is over; [`Error::Unsupported`] for a key
    /// that the copy keeps for itself; [`Error::Node`] if this user may not read the key; as a first call, also that of
    /// [`ready`](Self::ready).
    ///
    /// # Cancel safety
    /// The call only reads, so it may be dropped at any time.
    pub async fn converged(&self, key: impl AsRef<[u8]>) -> Result<Vec<String>, Error> {
        self.engine().converged(key.as_ref()).await
    }

    /// Compares every key on all nodes that answer, and returns the keys that are not the same everywhere, with what was
    /// compared.
    ///
    /// Types and values are compared, and times to live: of keys to the second, of hash fields to the millisecond.
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
    /// All keys are compared. Those that differ are brought over, and those that the other node does not have are removed. A
    /// node that came back needs no such call: it is [brought back by itself](crate::OnReturn), unless that was turned off
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

    /// Lets a node that has missed writes or lost its data answer reads again. The caller vouches that it holds what the
    /// others hold: that it was repaired, or that everything was written to it anew.
    ///
    /// A key that the node is known to have missed a write of is still read from another node, if one that answers has it right,
    /// until it has been brought over or written anew.
    ///
    /// # Errors
    /// [`Error::NoSuchNode`]; [`Error::Node`] if the node cannot be reached; as a first call, also that of
    /// [`ready`](Self::ready).
    pub async fn readmit(&self, name: &str) -> Result<(), Error> {
        self.engine().readmit(name).await
    }

    /// Returns the keys in conflict, which no node is known to have right: how many there are, and what each node holds of the
    /// first 1,000.
    ///
    /// Each node has missed a write of such a key that another one took: several nodes were away one after the other, or all
    /// servers were restarted and do not hold the same. Reads of the key fail with [`Error::Unavailable`].
    ///
    /// [`Event::Conflict`](crate::Event::Conflict) tells of each conflict when it begins, of up to 1,000 at a time.
    /// [`OnConflict`](crate::OnConflict) may end conflicts by a rule.
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

    /// Ends the conflict of a key: what this node holds of it is right. The node answers reads of the key from then on, and the
    /// others are brought to it. Returns whether the key was in conflict; if not, nothing is changed.
    ///
    /// A write of the whole value (`SET`, `DEL`) ends a conflict too.
    ///
    /// # Errors
    /// [`Error::NoSuchNode`]; [`Error::Node`] if the node cannot be reached; [`Error::Unavailable`] while all keys of the node
    /// are still to be compared; as a first call, also that of [`ready`](Self::ready).
    pub async fn resolve(&self, key: impl AsRef<[u8]>, node: &str) -> Result<bool, Error> {
        self.engine().resolve(key.as_ref(), node).await
    }

    /// Marks the servers as belonging to this copy, if they all hold the same. Servers need this if they held data before the
    /// copy was given an [identity](crate::CopyBuilder::identity).
    ///
    /// # Errors
    /// [`Error::Identity`] if the servers do not hold the same, with the first key that differs; if the copy has no identity;
    /// or if a server was restarted meanwhile. [`Error::Node`] if a node cannot be reached.
    pub async fn adopt(&self) -> Result<(), Error> {
        self.engine().adopt().await
    }

    /// Puts other nodes in place of the present ones, for all clones of this handle: nodes are added, removed, reweighted, or
    /// given another address. The settings of the builder take the place of the present ones too.
    ///
    /// A call that is under way ends on the nodes on which it began; each later one sees the new nodes only. A node that is
    /// configured as before keeps its connection, and what is known of it.
    ///
    /// A node joins if it is added, or has another address or other settings. It takes writes from now on and is
    /// [`Syncing`](crate::Health::Syncing): it answers no read and is no source until all its keys were compared with those of a
    /// node in sync. That happens [by itself](crate::OnReturn), within the rate that is set there. Keys that the others do not
    /// have are removed from it then. A server that holds mostly such keys is left alone instead, as it may be somebody else's.
    ///
    /// Every process replaces the nodes for itself. What a process writes before it does so is brought over by its own
    /// comparison afterwards. Until the last process has replaced, a node that joins may give other processes older values.
    ///
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
    /// An error that says what is wrong with the new nodes, as when none of the present nodes stays as it is, or when one was
    /// [forgotten](Self::forget). [`Error::Config`] if the [identity](crate::CopyBuilder::identity) is another one.
    /// [`Error::NotReplaced`] if no node that stays is in sync, because what only the others hold would be lost. After an error
    /// the present nodes stay.
    pub fn replace(
        &self,
        topology: impl TryInto<CopyBuilder, Error: Into<Error>>,
    ) -> Result<Replaced, Error> {
        let plan = topology.try_into().map_err(Into::into)?.plan()?;
        self.handle.replace(plan)
    }

    /// Takes a node that never comes back out of the copy; with an [identity](CopyBuilder::identity), for all processes.
    ///
    /// All clones of this handle go on with the other nodes, as after a [`replace`](Self::replace). The settings stay.
    ///
    /// Some keys may have last writes that only this node took. These writes are lost: [`Forgotten`] names their keys, as do
    /// [`Event::Forgotten`](crate::Event::Forgotten) and a warning. Reads of such a key then give an older value, and the nodes
    /// are made equal to it. The value is that of the first node, in the order in which the key is read, of which no server
    /// that stays says that it has missed a write of the key. Nodes that can be reached go first.
    ///
    /// The key is in [conflict](Self::conflicts) if the servers say so of every node that stays. Without an identity it is in
    /// conflict if the nodes do not hold the same.
    ///
    /// With an identity the servers that stay note that the node is forgotten, and drop the hints about it. Other processes
    /// that have the node in their configuration read that within about a second, or at their start, and leave it out too. None
    /// of them trusts a server that comes back under its name. To use the server again, empty it and [add](Self::replace) it
    /// under another name. Without an identity this process alone forgets the node.
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
    /// [`Error::NoSuchNode`]; [`Error::Unsupported`] if it is the last node; [`Error::NotReplaced`] if it is connected and no
    /// node that stays is in sync, because what only this node has can still be brought over; with an identity
    /// [`Error::Identity`] if no server that stays could note it; as a first call, also that of [`ready`](Self::ready). After
    /// an error the present nodes stay.
    ///
    /// # Cancel safety
    /// If the future is dropped, the node may be forgotten or not. If a server has noted it by then, it is forgotten within
    /// about a second.
    pub async fn forget(&self, node: &str) -> Result<Forgotten, Error> {
        self.engine().forget(node).await
    }
}

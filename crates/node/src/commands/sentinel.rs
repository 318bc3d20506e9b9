//! The answers of a sentinel:
//! <https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/#sentinel-commands>.

use std::collections::HashMap;
use std::future::Future;

use redis::ToSingleRedisArg;

use crate::Execute;
use crate::command::rows::SENTINEL_CKQUORUM;
use crate::command::rows::SENTINEL_FAILOVER;
use crate::command::rows::SENTINEL_FLUSHCONFIG;
use crate::command::rows::SENTINEL_GET_MASTER_ADDR_BY_NAME;
use crate::command::rows::SENTINEL_MASTER;
use crate::command::rows::SENTINEL_MASTERS;
use crate::command::rows::SENTINEL_MONITOR;
use crate::command::rows::SENTINEL_MYID;
use crate::command::rows::SENTINEL_REMOVE;
use crate::command::rows::SENTINEL_REPLICAS;
use crate::command::rows::SENTINEL_RESET;
use crate::command::rows::SENTINEL_SENTINELS;
use crate::command::rows::SENTINEL_SET;
use crate::command::rows::SENTINEL_SLAVES;

/// The fields of a master, a replica or a sentinel, as a sentinel knows them.
pub type SentinelFields = HashMap<String, String>;

/// Host and port of a service's master; `None` if the service is not known.
pub type MasterAddress = Option<(String, u16)>;

/// The commands of a sentinel. Call them on a node that is connected to one; a ring and a copy refuse them.
///
/// To reach the master of a service, whichever server that is, give its URL as `redis+sentinel://`: see
/// [`NodeConfig::new`](crate::NodeConfig::new).
pub trait SentinelCommands: Execute {
    /// Succeeds if enough sentinels can be reached to agree on a failover.
    ///
    /// # Errors
    /// `NOQUORUM`, `NOGOODSLAVE`: it could not be done now.
    fn sentinel_ckquorum(
        &self,
        service: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Each<String>, Self::Error>> + Send {
        self.each(&SENTINEL_CKQUORUM, SENTINEL_CKQUORUM.with(service))
    }

    /// Starts a failover without asking the other sentinels.
    fn sentinel_failover(
        &self,
        service: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&SENTINEL_FAILOVER, SENTINEL_FAILOVER.with(service))
    }

    /// Writes the sentinel's configuration file anew.
    fn sentinel_flushconfig(&self) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&SENTINEL_FLUSHCONFIG, SENTINEL_FLUSHCONFIG.cmd())
    }

    /// Returns host and port of a service's master, `None` if the service is not known.
    fn sentinel_get_master_addr_by_name(
        &self,
        service: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Each<MasterAddress>, Self::Error>> + Send {
        let cmd = SENTINEL_GET_MASTER_ADDR_BY_NAME.with(service);
        self.each(&SENTINEL_GET_MASTER_ADDR_BY_NAME, cmd)
    }

    /// Returns what is known of a service's master.
    fn sentinel_master(
        &self,
        service: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Each<SentinelFields>, Self::Error>> + Send {
        self.each(&SENTINEL_MASTER, SENTINEL_MASTER.with(service))
    }

    /// Returns what is known of every service's master.
    fn sentinel_masters(
        &self,
    ) -> impl Future<Output = Result<Self::Each<Vec<SentinelFields>>, Self::Error>> + Send {
        self.each(&SENTINEL_MASTERS, SENTINEL_MASTERS.cmd())
    }

    /// Starts to watch over a master, under the name of a service; `quorum` sentinels must agree that it is
    /// down.
    fn sentinel_monitor(
        &self,
        service: impl ToSingleRedisArg + Send,
        ip: impl ToSingleRedisArg + Send,
        port: u16,
        quorum: u32,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        let cmd = SENTINEL_MONITOR.cmd().arg(service).arg(ip).arg(port).arg(quorum).take();
        self.write(&SENTINEL_MONITOR, cmd)
    }

    /// Returns the sentinel's id. Since Redis 6.2.
    fn sentinel_myid(&self) -> impl Future<Output = Result<Self::Each<String>, Self::Error>> + Send {
        self.each(&SENTINEL_MYID, SENTINEL_MYID.cmd())
    }

    /// Watches over a service no more.
    fn sentinel_remove(
        &self,
        service: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&SENTINEL_REMOVE, SENTINEL_REMOVE.with(service))
    }

    /// Returns what is known of the replicas of a service's master. Since Redis 5.0.
    fn sentinel_replicas(
        &self,
        service: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Each<Vec<SentinelFields>>, Self::Error>> + Send {
        self.each(&SENTINEL_REPLICAS, SENTINEL_REPLICAS.with(service))
    }

    /// Forgets what is known of the services whose names match a pattern, but for their masters, and returns
    /// how many they are.
    fn sentinel_reset(
        &self,
        pattern: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&SENTINEL_RESET, SENTINEL_RESET.with(pattern))
    }

    /// Returns what is known of the other sentinels of a service.
    fn sentinel_sentinels(
        &self,
        service: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Each<Vec<SentinelFields>>, Self::Error>> + Send {
        self.each(&SENTINEL_SENTINELS, SENTINEL_SENTINELS.with(service))
    }

    /// Changes a setting of a service: `down-after-milliseconds`, for example.
    fn sentinel_set(
        &self,
        service: impl ToSingleRedisArg + Send,
        option: impl ToSingleRedisArg + Send,
        value: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&SENTINEL_SET, SENTINEL_SET.cmd().arg(service).arg(option).arg(value).take())
    }

    /// Returns the same as [`sentinel_replicas`](Self::sentinel_replicas), from servers before Redis 5.0 too.
    fn sentinel_slaves(
        &self,
        service: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Each<Vec<SentinelFields>>, Self::Error>> + Send {
        self.each(&SENTINEL_SLAVES, SENTINEL_SLAVES.with(service))
    }
}

impl<E: Execute + ?Sized> SentinelCommands for E {}

//! Connections: <https://redis.io/docs/latest/commands/?group=connection>.

use std::future::Future;
use std::time::Duration;

use redis::ToRedisArgs;
use redis::ToSingleRedisArg;

use super::clients::ClientInfo;
use super::clients::ClientList;
use super::expiry::millis;
use crate::Execute;
use crate::command::rows::CLIENT_GETNAME;
use crate::command::rows::CLIENT_GETREDIR;
use crate::command::rows::CLIENT_ID;
use crate::command::rows::CLIENT_INFO;
use crate::command::rows::CLIENT_LIST;
use crate::command::rows::CLIENT_NO_EVICT;
use crate::command::rows::CLIENT_NO_TOUCH;
use crate::command::rows::CLIENT_PAUSE;
use crate::command::rows::CLIENT_SETNAME;
use crate::command::rows::CLIENT_UNBLOCK;
use crate::command::rows::CLIENT_UNPAUSE;

/// The commands on connections, those of this client and those of others.
///
/// A question about the connection is put to every node of a ring and of a copy, each of which has a
/// connection of its own; the answers are returned under the nodes' names. A command that would change the
/// connection runs on a [dedicated](crate::Node::dedicated) one only.
/// [`client_list`](crate::ServerCommands::client_list) and
/// [`client_kill`](crate::ServerCommands::client_kill) are among the commands on servers.
///
/// # Errors
/// As [`Execute::read`], [`Execute::write`] and [`Execute::each`].
pub trait ConnectionCommands: Execute {
    /// Returns the name of the connection, if it has one.
    ///
    /// See <https://redis.io/docs/latest/commands/client-getname/>.
    fn client_getname(&self) -> impl Future<Output = Result<Self::Each<Option<String>>, Self::Error>> + Send {
        self.each(&CLIENT_GETNAME, CLIENT_GETNAME.cmd())
    }

    /// Returns the client that is told of changes in this one's stead; 0 if it is told itself, -1 if nobody
    /// is.
    ///
    /// See <https://redis.io/docs/latest/commands/client-getredir/>.
    fn client_getredir(&self) -> impl Future<Output = Result<Self::Each<i64>, Self::Error>> + Send {
        self.each(&CLIENT_GETREDIR, CLIENT_GETREDIR.cmd())
    }

    /// Returns the number of the connection, which no other one to this server has had.
    ///
    /// See <https://redis.io/docs/latest/commands/client-id/>.
    fn client_id(&self) -> impl Future<Output = Result<Self::Each<u64>, Self::Error>> + Send {
        self.each(&CLIENT_ID, CLIENT_ID.cmd())
    }

    /// Returns what the server knows of the connection. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/client-info/>.
    fn client_info(&self) -> impl Future<Output = Result<Self::Each<ClientInfo>, Self::Error>> + Send {
        self.each(&CLIENT_INFO, CLIENT_INFO.cmd())
    }

    /// Returns the clients of these ids, as far as they are connected. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/client-list/>.
    fn client_list_ids(
        &self,
        ids: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Each<ClientList>, Self::Error>> + Send {
        self.each(&CLIENT_LIST, CLIENT_LIST.cmd().arg("ID").arg(ids).take())
    }

    /// Returns the clients of a type: `normal`, `master`, `replica` or `pubsub`.
    ///
    /// See <https://redis.io/docs/latest/commands/client-list/>.
    fn client_list_type(
        &self,
        client_type: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Each<ClientList>, Self::Error>> + Send {
        self.each(&CLIENT_LIST, CLIENT_LIST.cmd().arg("TYPE").arg(client_type).take())
    }

    /// Spares this connection when the server has to close some to save memory. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/client-no-evict/>.
    fn client_no_evict(&self, on: bool) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.read(&CLIENT_NO_EVICT, CLIENT_NO_EVICT.cmd().arg(on_or_off(on)).take())
    }

    /// Makes the commands of this connection leave alone when a key was last used. Since Redis 7.2.
    ///
    /// See <https://redis.io/docs/latest/commands/client-no-touch/>.
    fn client_no_touch(&self, on: bool) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.read(&CLIENT_NO_TOUCH, CLIENT_NO_TOUCH.cmd().arg(on_or_off(on)).take())
    }

    /// Makes the server answer no client for so long. Who asks meanwhile is answered afterwards, this client
    /// too.
    ///
    /// See <https://redis.io/docs/latest/commands/client-pause/>.
    fn client_pause(
        &self,
        time: Duration,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&CLIENT_PAUSE, CLIENT_PAUSE.cmd().arg(millis(time)).take())
    }

    /// Makes the server answer no write for so long; reads are answered. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/client-pause/>.
    fn client_pause_writes(
        &self,
        time: Duration,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&CLIENT_PAUSE, CLIENT_PAUSE.cmd().arg(millis(time)).arg("WRITE").take())
    }

    /// Gives the connection a name, without spaces. Only on a [dedicated](crate::Node::dedicated) connection:
    /// the others are named in the configuration of the node.
    ///
    /// See <https://redis.io/docs/latest/commands/client-setname/>.
    fn client_setname(
        &self,
        name: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.read(&CLIENT_SETNAME, CLIENT_SETNAME.with(name))
    }

    /// Ends the waiting of a client that is blocked, as if its time had run out, and returns whether there
    /// was one.
    ///
    /// See <https://redis.io/docs/latest/commands/client-unblock/>.
    fn client_unblock(&self, id: u64) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&CLIENT_UNBLOCK, CLIENT_UNBLOCK.with(id))
    }

    /// Ends the waiting of a client that is blocked, with the error `UNBLOCKED`, and returns whether there
    /// was one.
    ///
    /// See <https://redis.io/docs/latest/commands/client-unblock/>.
    fn client_unblock_error(
        &self,
        id: u64,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&CLIENT_UNBLOCK, CLIENT_UNBLOCK.cmd().arg(id).arg("ERROR").take())
    }

    /// Makes the server answer again at once. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/client-unpause/>.
    fn client_unpause(&self) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&CLIENT_UNPAUSE, CLIENT_UNPAUSE.cmd())
    }
}

impl<E: Execute + ?Sized> ConnectionCommands for E {}

fn on_or_off(on: bool) -> &'static str {
    if on { "ON" } else { "OFF" }
}

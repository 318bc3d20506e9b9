//! Users and what they may do: <https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/>.

use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

use redis::FromRedisValue;
use redis::ParsingError;
use redis::ToRedisArgs;
use redis::ToSingleRedisArg;
use redis::Value;

use super::clients::ClientInfo;
use super::fields::Fields;
use crate::Execute;
use crate::command::rows::ACL_CAT;
use crate::command::rows::ACL_DELUSER;
use crate::command::rows::ACL_DRYRUN;
use crate::command::rows::ACL_GENPASS;
use crate::command::rows::ACL_GETUSER;
use crate::command::rows::ACL_LIST;
use crate::command::rows::ACL_LOAD;
use crate::command::rows::ACL_LOG;
use crate::command::rows::ACL_SAVE;
use crate::command::rows::ACL_SETUSER;
use crate::command::rows::ACL_USERS;
use crate::command::rows::ACL_WHOAMI;

/// The commands on the users of a server. Since Redis 6.0.
///
/// Each server has users of its own. On a ring and on a copy a user is created, changed and deleted on every
/// node. A question is put to every node, and the answers are kept under the nodes' names.
///
/// # Errors
/// As [`Execute::read`], [`Execute::write`] and [`Execute::each`].
pub trait AclCommands: Execute {
    /// Returns the names of the categories of commands.
    ///
    /// See <https://redis.io/docs/latest/commands/acl-cat/>.
    fn acl_cat(&self) -> impl Future<Output = Result<HashSet<String>, Self::Error>> + Send {
        self.read(&ACL_CAT, ACL_CAT.cmd())
    }

    /// Returns the names of the commands of a category; a subcommand follows its command after a `|`.
    ///
    /// # Errors
    /// The server's, if there is no such category.
    ///
    /// See <https://redis.io/docs/latest/commands/acl-cat/>.
    fn acl_cat_commands(
        &self,
        category: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<HashSet<String>, Self::Error>> + Send {
        self.read(&ACL_CAT, ACL_CAT.with(category))
    }

    /// Deletes users and closes their connections, and returns how many users there were.
    ///
    /// See <https://redis.io/docs/latest/commands/acl-deluser/>.
    fn acl_deluser(
        &self,
        names: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&ACL_DELUSER, ACL_DELUSER.with(names))
    }

    /// Says whether a user may run a command, which is given as its words; it is not run. Since Redis 7.0.
    ///
    /// # Errors
    /// The server's, if there is no such user or no such command.
    ///
    /// See <https://redis.io/docs/latest/commands/acl-dryrun/>.
    fn acl_dryrun(
        &self,
        name: impl ToSingleRedisArg + Send,
        command: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Each<AclDryRun>, Self::Error>> + Send {
        self.each(&ACL_DRYRUN, ACL_DRYRUN.cmd().arg(name).arg(command).take())
    }

    /// Returns a password that nobody can guess: 256 bits as 64 hexadecimal digits.
    ///
    /// See <https://redis.io/docs/latest/commands/acl-genpass/>.
    fn acl_genpass(&self) -> impl Future<Output = Result<String, Self::Error>> + Send {
        self.read(&ACL_GENPASS, ACL_GENPASS.cmd())
    }

    /// Returns a password of this many bits, rounded up to a multiple of 4, as hexadecimal digits.
    ///
    /// See <https://redis.io/docs/latest/commands/acl-genpass/>.
    fn acl_genpass_bits(&self, bits: u16) -> impl Future<Output = Result<String, Self::Error>> + Send {
        self.read(&ACL_GENPASS, ACL_GENPASS.with(bits))
    }

    /// Returns what a user may do; `None` if there is no such user.
    ///
    /// See <https://redis.io/docs/latest/commands/acl-getuser/>.
    fn acl_getuser(
        &self,
        name: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Each<Option<AclUser>>, Self::Error>> + Send {
        self.each(&ACL_GETUSER, ACL_GETUSER.with(name))
    }

    /// Returns all users, each as the line that would create it.
    ///
    /// See <https://redis.io/docs/latest/commands/acl-list/>.
    fn acl_list(&self) -> impl Future<Output = Result<Self::Each<Vec<String>>, Self::Error>> + Send {
        self.each(&ACL_LIST, ACL_LIST.cmd())
    }

    /// Reads the users from the server's file again: all of it or nothing.
    ///
    /// # Errors
    /// The server's, if it has no such file or the file has an error.
    ///
    /// See <https://redis.io/docs/latest/commands/acl-load/>.
    fn acl_load(&self) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&ACL_LOAD, ACL_LOAD.cmd())
    }

    /// Returns the last refusals, the latest first; the server's default is 10 of them.
    ///
    /// See <https://redis.io/docs/latest/commands/acl-log/>.
    fn acl_log(&self) -> impl Future<Output = Result<Self::Each<Vec<AclLogEntry>>, Self::Error>> + Send {
        self.each(&ACL_LOG, ACL_LOG.cmd())
    }

    /// Returns the last `count` refusals, the latest first.
    ///
    /// See <https://redis.io/docs/latest/commands/acl-log/>.
    fn acl_log_count(
        &self,
        count: u64,
    ) -> impl Future<Output = Result<Self::Each<Vec<AclLogEntry>>, Self::Error>> + Send {
        self.each(&ACL_LOG, ACL_LOG.with(count))
    }

    /// Forgets the refusals.
    ///
    /// See <https://redis.io/docs/latest/commands/acl-log/>.
    fn acl_log_reset(&self) -> impl Future<Output = Result<Self::Each<()>, Self::Error>> + Send {
        self.each(&ACL_LOG, ACL_LOG.cmd().arg("RESET").take())
    }

    /// Writes the users to the server's file.
    ///
    /// # Errors
    /// The server's, if it has no such file.
    ///
    /// See <https://redis.io/docs/latest/commands/acl-save/>.
    fn acl_save(&self) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&ACL_SAVE, ACL_SAVE.cmd())
    }

    /// Creates a user, or changes it, by rules such as `"on"`, `">password"`, `"~key:*"` and `"+get"`.
    ///
    /// # Errors
    /// The server's, if it does not know a rule; then nothing is changed.
    ///
    /// See <https://redis.io/docs/latest/commands/acl-setuser/>.
    fn acl_setuser(
        &self,
        name: impl ToSingleRedisArg + Send,
        rules: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&ACL_SETUSER, ACL_SETUSER.cmd().arg(name).arg(rules).take())
    }

    /// Returns the names of all users.
    ///
    /// See <https://redis.io/docs/latest/commands/acl-users/>.
    fn acl_users(&self) -> impl Future<Output = Result<Self::Each<HashSet<String>>, Self::Error>> + Send {
        self.each(&ACL_USERS, ACL_USERS.cmd())
    }

    /// Returns the name of the user that the connection is logged in as.
    ///
    /// See <https://redis.io/docs/latest/commands/acl-whoami/>.
    fn acl_whoami(&self) -> impl Future<Output = Result<Self::Each<String>, Self::Error>> + Send {
        self.each(&ACL_WHOAMI, ACL_WHOAMI.cmd())
    }
}

impl<E: Execute + ?Sized> AclCommands for E {}

/// The answer of [`acl_dryrun`](AclCommands::acl_dryrun): whether a user may run a command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AclDryRun {
    /// The user may.
    Allowed,
    /// The user may not, for this reason, in the server's words.
    Denied(String),
}

impl FromRedisValue for AclDryRun {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        match value {
            Value::Okay => Ok(Self::Allowed),
            reason => String::from_redis_value(reason).map(Self::Denied),
        }
    }
}

/// The rights of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AclUser {
    /// `on` or `off`, `nopass`, ..
    pub flags: HashSet<String>,
    /// The SHA-256 sums of its passwords.
    pub passwords: Vec<String>,
    /// The commands, as rules: `-@all +get`.
    pub commands: String,
    /// The keys, as rules: `~key:*`, or `%R~key:*` for reading only.
    pub keys: Vec<String>,
    /// The channels, as rules: `&news:*`.
    pub channels: Vec<String>,
}

impl FromRedisValue for AclUser {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut fields = Fields::of(value)?;
        Ok(Self {
            flags: fields.take("flags")?,
            passwords: fields.take("passwords")?,
            commands: fields.take("commands")?,
            keys: rules(fields.take("keys")?, '~')?,
            channels: rules(fields.take("channels")?, '&')?,
        })
    }
}

/// Patterns are one text of rules since Redis 7.0, and were a list before.
fn rules(value: Value, sign: char) -> Result<Vec<String>, ParsingError> {
    match value {
        Value::Array(_) | Value::Set(_) => {
            let patterns = Vec::<String>::from_redis_value(value)?;
            Ok(patterns.into_iter().map(|pattern| format!("{sign}{pattern}")).collect())
        }
        Value::Nil => Ok(Vec::new()),
        text => Ok(String::from_redis_value(text)?.split_whitespace().map(str::to_owned).collect()),
    }
}

/// Something that a user was refused.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AclLogEntry {
    /// The number of refusals within a minute.
    pub count: u64,
    /// The reason: `auth`, `command`, `key` or `channel`.
    pub reason: String,
    /// The place where it happened: `toplevel`, `multi`, `lua` or `module`.
    pub context: String,
    /// The command, the key or the channel that was refused.
    pub object: String,
    /// To whom.
    pub username: String,
    /// The time since the refusal.
    pub age: Duration,
    /// By which client.
    pub client: ClientInfo,
}

impl FromRedisValue for AclLogEntry {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut fields = Fields::of(value)?;
        let age: f64 = fields.take("age-seconds")?;
        Ok(Self {
            count: fields.take("count")?,
            reason: fields.take("reason")?,
            context: fields.take("context")?,
            object: fields.take("object")?,
            username: fields.take("username")?,
            age: Duration::try_from_secs_f64(age).unwrap_or_default(),
            client: fields.take("client-info")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_an_old_and_of_a_new_server_are_read_alike() {
        let text = |text: &str| Value::BulkString(text.into());
        let list = Value::Array(vec![text("a:*"), text("b")]);
        assert_eq!(rules(list, '~').unwrap(), ["~a:*", "~b"]);
        assert_eq!(rules(text("~a:* ~b"), '~').unwrap(), ["~a:*", "~b"]);
        assert_eq!(rules(text(""), '&').unwrap(), [""; 0]);
        assert_eq!(rules(Value::Nil, '&').unwrap(), [""; 0]);
    }

    #[test]
    fn a_verdict_is_ok_or_a_reason() {
        assert_eq!(AclDryRun::from_redis_value(Value::Okay).unwrap(), AclDryRun::Allowed);
        let reason = Value::BulkString(b"no".to_vec());
        assert_eq!(AclDryRun::from_redis_value(reason).unwrap(), AclDryRun::Denied("no".to_owned()));
    }
}

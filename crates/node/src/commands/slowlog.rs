//! Entries of the slow log, and of Valkey's other logs of commands.

use std::time::Duration;
use std::time::SystemTime;

use redis::FromRedisValue;
use redis::ParsingError;
use redis::RedisWrite;
use redis::ToRedisArgs;
use redis::Value;

use super::expiry::Timestamp;

/// The kinds of log that Valkey keeps of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandLog {
    /// Of commands that took long.
    Slow,
    /// Of commands that were large.
    LargeRequest,
    /// Of commands whose replies were large.
    LargeReply,
}

impl ToRedisArgs for CommandLog {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let name = match self {
            Self::Slow => "slow",
            Self::LargeRequest => "large-request",
            Self::LargeReply => "large-reply",
        };
        name.write_redis_args(out);
    }
}

/// A command with what it was logged for, in bytes or, in [`CommandLog::Slow`], in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandLogEntry {
    /// A number that grows from entry to entry.
    pub id: u64,
    /// The time at which it ran, in whole seconds.
    pub at: SystemTime,
    /// The bytes, or the microseconds, that the command was logged for.
    pub amount: u64,
    /// The command and its arguments; the server shortens long ones.
    pub args: Vec<Vec<u8>>,
    /// The address of the client that sent it.
    pub client_addr: String,
    /// The name of the client that sent it; empty if it has none.
    pub client_name: String,
}

impl FromRedisValue for CommandLogEntry {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let SlowlogEntry { id, at, took, args, client_addr, client_name } =
            FromRedisValue::from_redis_value(value)?;
        let amount = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        Ok(Self { id, at, amount, args, client_addr, client_name })
    }
}

/// A command that was slow.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlowlogEntry {
    /// A number that grows from entry to entry.
    pub id: u64,
    /// The time at which it ran, in whole seconds.
    pub at: SystemTime,
    /// The duration of the command.
    pub took: Duration,
    /// The command and its arguments; the server shortens long ones.
    pub args: Vec<Vec<u8>>,
    /// The address of the client that sent it; empty before Redis 4.0.
    pub client_addr: String,
    /// The name of the client that sent it; empty if it has none.
    pub client_name: String,
}

impl FromRedisValue for SlowlogEntry {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut items = Vec::<Value>::from_redis_value(value)?.into_iter();
        let mut next = || items.next().unwrap_or(Value::Nil);
        Ok(Self {
            id: FromRedisValue::from_redis_value(next())?,
            at: Timestamp::from_redis_value(next())?.into(),
            took: Duration::from_micros(FromRedisValue::from_redis_value(next())?),
            args: FromRedisValue::from_redis_value(next())?,
            client_addr: Option::from_redis_value(next())?.unwrap_or_default(),
            client_name: Option::from_redis_value(next())?.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn an_entry_is_read_with_and_without_its_client() {
        let text = |text: &str| Value::BulkString(text.into());
        let mut items =
            vec![Value::Int(14), Value::Int(1_309_448_221), Value::Int(15), Value::Array(vec![text("PING")])];
        let old = SlowlogEntry::from_redis_value(Value::Array(items.clone())).unwrap();
        assert_eq!((old.id, old.took), (14, Duration::from_micros(15)));
        assert_eq!(old.at, UNIX_EPOCH + Duration::from_secs(1_309_448_221));
        assert_eq!(old.args, [b"PING"]);
        assert_eq!(old.client_addr, "");
        items.extend([text("127.0.0.1:58217"), text("worker")]);
        let new = SlowlogEntry::from_redis_value(Value::Array(items)).unwrap();
        assert_eq!((new.client_addr.as_str(), new.client_name.as_str()), ("127.0.0.1:58217", "worker"));
    }
}

//! The effect of deleting an entry of a stream on the groups that have yet to read it. Since Redis 8.2.

use redis::FromRedisValue;
use redis::ParsingError;
use redis::RedisWrite;
use redis::ToRedisArgs;
use redis::Value;

/// The treatment by `XDELEX` and `XACKDEL` of the groups for which an entry is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum EntryDeletion {
    /// The entry is deleted; for those groups it stays pending.
    #[default]
    KeepRef,
    /// The entry is deleted, and is pending for no group any more.
    DelRef,
    /// The entry is deleted only if every group has acknowledged it.
    Acked,
}

impl ToRedisArgs for EntryDeletion {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let word = match self {
            Self::KeepRef => "KEEPREF",
            Self::DelRef => "DELREF",
            Self::Acked => "ACKED",
        };
        word.write_redis_args(out);
    }
}

/// The outcome for an entry that `XDELEX` or `XACKDEL` was to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryDeleted {
    /// There was none.
    Missing,
    /// The entry is deleted.
    Deleted,
    /// The entry is still there, because some group has not acknowledged it.
    Kept,
}

impl FromRedisValue for EntryDeleted {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        match i64::from_redis_value(value)? {
            -1 => Ok(Self::Missing),
            1 => Ok(Self::Deleted),
            2 => Ok(Self::Kept),
            other => Err(format!("-1, 1 or 2 was expected, not {other}").into()),
        }
    }
}

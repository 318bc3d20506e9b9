//! The comparison of a value before it is deleted or replaced. Since Redis 8.4.

use redis::RedisWrite;
use redis::ToRedisArgs;
use redis::ToSingleRedisArg;

/// The condition on a value for `DELEX` to delete it, or for `SET` to replace it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ValueIs {
    condition: &'static str,
    value: Vec<Vec<u8>>,
}

impl ValueIs {
    /// Equal to this one.
    pub fn equal_to(value: impl ToSingleRedisArg) -> Self {
        Self { condition: "IFEQ", value: value.to_redis_args() }
    }

    /// Another than this one.
    pub fn other_than(value: impl ToSingleRedisArg) -> Self {
        Self { condition: "IFNE", value: value.to_redis_args() }
    }

    /// A value with this [`digest`](crate::StringCommands::digest).
    pub fn with_digest(digest: impl Into<String>) -> Self {
        Self { condition: "IFDEQ", value: vec![digest.into().into()] }
    }

    /// A value with another digest than this.
    pub fn without_digest(digest: impl Into<String>) -> Self {
        Self { condition: "IFDNE", value: vec![digest.into().into()] }
    }
}

impl ToRedisArgs for ValueIs {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        (self.condition, &self.value).write_redis_args(out);
    }
}

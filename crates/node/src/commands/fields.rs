//! Replies that are maps from the names of fields to values of different types.

use std::collections::HashMap;

use redis::FromRedisValue;
use redis::ParsingError;
use redis::Value;

/// The fields of a reply, each to be taken once.
pub(super) struct Fields(HashMap<String, Value>);

impl Fields {
    pub(super) fn of(reply: Value) -> Result<Self, ParsingError> {
        FromRedisValue::from_redis_value(reply).map(Self)
    }

    /// A field, which counts as nil if an older server does not have it.
    pub(super) fn take<T: FromRedisValue>(&mut self, name: &str) -> Result<T, ParsingError> {
        T::from_redis_value(self.0.remove(name).unwrap_or(Value::Nil))
    }
}

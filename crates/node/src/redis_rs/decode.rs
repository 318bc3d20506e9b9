//! Replies as other types, and errors that name a reply by its kind and size alone: it may hold a secret, or
//! megabytes.

use std::fmt;

use redis::FromRedisValue;
use redis::ParsingError;
use redis::Value;

/// Reads a reply as another type.
///
/// # Errors
/// If it is none: what the reply is, and what it was to be, without any of its bytes.
pub fn decode<T: FromRedisValue>(reply: Value) -> Result<T, ParsingError> {
    let shape = Shape::of(&reply);
    T::from_redis_value(reply).map_err(|_quotes_it| unreadable(shape, std::any::type_name::<T>()))
}

/// The error of bytes that are no reply.
#[cold]
pub(crate) fn ill_formed() -> ParsingError {
    ParsingError::from("the bytes are no reply of the protocol")
}

/// Describes a reply without any of its bytes: `a string of 7 bytes`.
pub fn shape(reply: &Value) -> impl fmt::Display {
    Shape::of(reply)
}

#[cold]
fn unreadable(shape: Shape, wanted: &str) -> ParsingError {
    ParsingError::from(format!("{shape} cannot be read as `{}`", without_paths(wanted)))
}

/// A type's name as it stands in a program: `Option<String>`.
fn without_paths(name: &str) -> String {
    let mut short = String::new();
    for part in name.split_inclusive(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | ':')) {
        short.push_str(part.rsplit("::").next().unwrap_or(part));
    }
    short
}

/// The kind of a reply, in words.
#[derive(Clone, Copy)]
enum Shape {
    Nil,
    Number,
    Text(usize),
    List(usize),
    Map(usize),
    Other,
}

impl Shape {
    fn of(reply: &Value) -> Self {
        match reply {
            Value::Nil => Self::Nil,
            Value::Int(_) | Value::Double(_) | Value::Boolean(_) => Self::Number,
            Value::BulkString(bytes) => Self::Text(bytes.len()),
            Value::SimpleString(text) | Value::VerbatimString { text, .. } => Self::Text(text.len()),
            Value::Okay => Self::Text("OK".len()),
            Value::Array(items) | Value::Set(items) => Self::List(items.len()),
            Value::Map(pairs) => Self::Map(pairs.len()),
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Number => f.write_str("a number"),
            Self::Text(len) => write!(f, "a string of {len} bytes"),
            Self::List(len) => write!(f, "a list of {len}"),
            Self::Map(len) => write!(f, "a map of {len}"),
            Self::Other => f.write_str("this reply"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn an_error_says_what_the_reply_is_and_shows_none_of_it() {
        fn check<T: FromRedisValue + fmt::Debug>(reply: Value, expected: &str) {
            let error = decode::<T>(reply).unwrap_err();
            assert!(error.to_string().ends_with(expected), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        let secret = || Value::BulkString(b"hunter2".to_vec());
        check::<u8>(secret(), "a string of 7 bytes cannot be read as `u8`");
        check::<Option<u8>>(Value::SimpleString("hunter2".to_owned()), "as `Option<u8>`");
        check::<Vec<(String, i64)>>(
            Value::Array(vec![secret(), secret()]),
            "a list of 2 cannot be read as `Vec<(String, i64)>`",
        );
        check::<HashMap<String, u8>>(
            Value::Map(vec![(secret(), secret())]),
            "a map of 1 cannot be read as `HashMap<String, u8>`",
        );
        check::<u8>(Value::Nil, "nil cannot be read as `u8`");
        check::<Vec<u8>>(Value::Double(0.5), "a number cannot be read as `Vec<u8>`");
        assert_eq!(decode::<u8>(Value::Int(7)).unwrap(), 7);
    }

    #[test]
    fn six_megabytes_make_no_long_error() {
        let error = decode::<u8>(Value::BulkString(vec![b'x'; 6 << 20])).unwrap_err();
        assert!(format!("{error:?}").len() < 300);
    }
}

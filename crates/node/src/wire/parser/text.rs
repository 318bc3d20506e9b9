//! The values that are a text: numbers, statuses, errors, and strings that say their format.

use redis::Value;
use redis::VerbatimFormat;

use super::Broken;

/// Reads a number in the form of servers, and in each other form that redis-rs reads.
pub(super) fn number(line: &[u8]) -> Result<i64, Broken> {
    // Eighteen digits are never too many.
    if let 1..=18 = line.len()
        && let Some(number) = line.iter().try_fold(0, |number, byte| match byte {
            b'0'..=b'9' => Some(number * 10 + i64::from(byte - b'0')),
            _ => None,
        })
    {
        return Ok(number);
    }
    text(line)?.trim().parse().map_err(|_| Broken::Syntax("a number is none"))
}

/// Reads a value that is a line.
pub(super) fn scalar(kind: u8, line: &[u8]) -> Result<Value, Broken> {
    Ok(match kind {
        b'+' if line == b"OK" => Value::Okay,
        b'+' => Value::SimpleString(text(line)?.to_owned()),
        b':' => Value::Int(number(line)?),
        b'-' => by_redis_rs(b"-", &readable(line))?,
        b'_' => text(line).map(|_| Value::Nil)?,
        b',' => match text(line)?.trim().parse() {
            Ok(number) => Value::Double(number),
            Err(_) => return Err(Broken::Syntax("a double is none")),
        },
        b'#' => match line {
            b"t" => Value::Boolean(true),
            b"f" => Value::Boolean(false),
            _ => return Err(Broken::Syntax("a boolean is neither true nor false")),
        },
        b'(' => by_redis_rs(b"(", text(line)?)?,
        _ => return Err(Broken::Syntax("no kind of reply begins like this")),
    })
}

/// Reads a string that is an error, or that says its format.
pub(super) fn blob(kind: u8, bytes: &[u8]) -> Result<Value, Broken> {
    let text = String::from_utf8_lossy(bytes);
    if kind == b'!' {
        return by_redis_rs(format!("!{}\r\n", text.len()).as_bytes(), &text);
    }
    let Some((format, text)) = text.split_once(':') else {
        return Err(Broken::Syntax("a string does not say its format"));
    };
    let format = match format {
        "txt" => VerbatimFormat::Text,
        "mkd" => VerbatimFormat::Markdown,
        format => VerbatimFormat::Unknown(format.to_owned()),
    };
    Ok(Value::VerbatimString { format, text: text.to_owned() })
}

/// Reads a rare value that only redis-rs can make, or whose type depends on its features.
#[cold]
fn by_redis_rs(before: &[u8], text: &str) -> Result<Value, Broken> {
    let reply = [before, text.as_bytes(), b"\r\n"].concat();
    redis::parse_redis_value(&reply).map_err(|_| Broken::Syntax("redis-rs does not read this value"))
}

/// Makes an error line a text. Servers quote what they were sent, whatever bytes that had, and redis-rs takes
/// such an error for none.
fn readable(line: &[u8]) -> String {
    match std::str::from_utf8(line) {
        Ok(text) => text.to_owned(),
        Err(_) => line.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' }).collect(),
    }
}

fn text(line: &[u8]) -> Result<&str, Broken> {
    std::str::from_utf8(line).map_err(|_| Broken::Syntax("a line is no text"))
}

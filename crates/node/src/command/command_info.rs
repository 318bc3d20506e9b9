//! `COMMAND INFO`: a row for a command that the table does not have, from what a server says of it.

use redis::Value;

use crate::command::Keys;
use crate::command::Registration;

const NO_POSITIONS: &str = "the server does not say where its keys stand; register it by hand";

/// Reads an entry of `COMMAND INFO`: name, arity, flags, first key, last key, step, and since Redis 7.0 after
/// the categories and tips its key specifications and its subcommands.
pub(crate) fn registration(name: &str, entry: Value) -> Result<Registration, &'static str> {
    let Value::Array(entry) = entry else { return Err("the server does not have it") };
    let [_, Value::Int(arity), flags, Value::Int(first), Value::Int(last), Value::Int(step), rest @ ..] =
        entry.as_slice()
    else {
        return Err("what the server says of it cannot be read");
    };
    if rest.get(3).is_some_and(|subcommands| !items(subcommands).is_empty()) {
        return Err("it has subcommands; name one of them, after a space");
    }
    let has = |flag: &str| items(flags).iter().any(|found| text(found) == Some(flag));
    let keys = match has("movablekeys") {
        true => counted(rest.get(2).map(items).unwrap_or_default()),
        false => keys(*first, *last, *step),
    };
    let keys = keys.ok_or(NO_POSITIONS)?;
    // A command that is not said to be a read may change something.
    let mut learned =
        if has("readonly") { Registration::read(name, keys) } else { Registration::write(name, keys) };
    if let Ok(arity) = i8::try_from(*arity) {
        learned = learned.arity(arity);
    }
    if has("blocking") {
        learned = learned.blocking();
    }
    Ok(learned)
}

/// Keys at equal distances. A last key below zero counts from the end.
fn keys(first: i64, last: i64, step: i64) -> Option<Keys> {
    let at = |position: i64| u8::try_from(position).ok();
    match (first, last) {
        (0, _) => Some(Keys::None),
        (first, last) if first == last => Some(Keys::One(at(first)?)),
        (first, -1) => Some(Keys::Each { first: at(first)?, step: at(step).filter(|step| *step > 0)? }),
        (first, last) if last < 0 && step == 1 => {
            Some(Keys::Until { first: at(first)?, trailing: at(-1 - last)? })
        }
        (first, last) if step > 0 && first + step == last => Some(Keys::Pair(at(first)?, at(last)?)),
        _ => None,
    }
}

/// The only shape of movable keys that modules have: their number, then they.
fn counted(specifications: &[Value]) -> Option<Keys> {
    let [specification] = specifications else { return None };
    let number = |value: &Value, field| match get(value, field)? {
        Value::Int(number) => Some(*number),
        _ => None,
    };
    let (search, find) = (get(specification, "begin_search")?, get(specification, "find_keys")?);
    let is_counted = text(get(search, "type")?)? == "index" && text(get(find, "type")?)? == "keynum";
    let find = get(find, "spec").filter(|_| is_counted)?;
    let follow_the_number =
        [("keynumidx", 0), ("firstkey", 1), ("keystep", 1)].iter().all(|(f, n)| number(find, f) == Some(*n));
    let at = number(get(search, "spec")?, "index").filter(|_| follow_the_number)?;
    Some(Keys::Counted(u8::try_from(at).ok()?))
}

/// A field of a map, which the older protocol sends as a list.
fn get<'a>(map: &'a Value, field: &str) -> Option<&'a Value> {
    match map {
        Value::Map(pairs) => pairs.iter().find(|(name, _)| text(name) == Some(field)).map(|(_, value)| value),
        Value::Array(items) => items.chunks_exact(2).find_map(|pair| match pair {
            [name, value] if text(name) == Some(field) => Some(value),
            _ => None,
        }),
        _ => None,
    }
}

fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) | Value::Set(items) => items,
        _ => &[],
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::SimpleString(text) => Some(text),
        Value::BulkString(text) => std::str::from_utf8(text).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads what the server sends: the older protocol, maps as lists.
    fn learned(reply: &str) -> Result<Registration, &'static str> {
        registration("m.x", redis::parse_redis_value(reply.as_bytes()).unwrap())
    }

    #[test]
    fn the_positions_of_the_keys_are_read() {
        for (positions, expected) in [
            ((0, 0, 0), Some(Keys::None)),
            ((1, 1, 1), Some(Keys::One(1))),
            ((2, 2, 1), Some(Keys::One(2))),
            ((1, 2, 1), Some(Keys::Pair(1, 2))),
            ((1, -1, 1), Some(Keys::Each { first: 1, step: 1 })),
            ((1, -1, 3), Some(Keys::Each { first: 1, step: 3 })),
            ((1, -2, 1), Some(Keys::Until { first: 1, trailing: 1 })),
            ((1, -2, 2), None),
            ((1, -1, 0), None),
            ((1, 5, 1), None),
            ((300, 300, 1), None),
            ((-1, -2, 1), None),
        ] {
            assert_eq!(keys(positions.0, positions.1, positions.2), expected, "{positions:?}");
        }
    }

    #[test]
    fn an_entry_of_an_old_and_of_a_new_server_is_read() {
        let old = "*7\r\n+m.x\r\n:-2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*0\r\n";
        assert_eq!(learned(old), Ok(Registration::read("M.X", Keys::One(1)).arity(-2)));
        let counted = "*10\r\n+m.x\r\n:-3\r\n*3\r\n+write\r\n+blocking\r\n+movablekeys\r\n:0\r\n:0\r\n:0\r\n*0\r\n*0\r\n\
            *1\r\n*6\r\n+flags\r\n*0\r\n+begin_search\r\n*4\r\n+type\r\n+index\r\n+spec\r\n*2\r\n+index\r\n:2\r\n\
            +find_keys\r\n*4\r\n+type\r\n+keynum\r\n+spec\r\n*6\r\n+keynumidx\r\n:0\r\n+firstkey\r\n:1\r\n+keystep\r\n:1\r\n\
            *0\r\n";
        let expected = Registration::write("M.X", Keys::Counted(2)).arity(-3).blocking();
        assert_eq!(learned(counted), Ok(expected));
        assert_eq!(learned(&counted.replace("keynumidx\r\n:0", "keynumidx\r\n:1")), Err(NO_POSITIONS));
        assert_eq!(learned("*-1\r\n"), Err("the server does not have it"));
        assert_eq!(learned("*1\r\n+m.x\r\n"), Err("what the server says of it cannot be read"));
    }
}

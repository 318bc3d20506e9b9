//! A merge: the replies of several nodes become one.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use redis::Value;
use redisdb_node::command::Merge;
use redisdb_node::plumbing::shape;

/// One node's reply.
#[derive(Debug)]
pub(crate) struct PartValue {
    pub(crate) node: Arc<str>,
    /// The number of the caller's keys that it is for; 0 if it is for the whole command.
    pub(crate) n_keys: usize,
    pub(crate) value: Value,
}

/// Merges the replies; `Err` says what does not fit.
///
/// `of_keys` gives the part that each of the caller's keys is in; it is empty if each part is the whole command.
pub(crate) fn merge(merge: Merge, of_keys: &[usize], parts: Vec<PartValue>) -> Result<Value, String> {
    match merge {
        Merge::Sum => {
            let mut sum = 0i64;
            for part in parts {
                sum = sum.checked_add(int(&part.value)?).ok_or("the sum does not fit in 64 bits")?;
            }
            Ok(Value::Int(sum))
        }
        Merge::Min => min(parts),
        Merge::Concat if of_keys.is_empty() => Ok(Value::Array(concat(parts)?)),
        Merge::Concat => in_order(of_keys, parts),
        Merge::Union => Ok(Value::Array(union(concat(parts)?))),
        Merge::AllOk => {
            let mut values = parts.into_iter().map(|part| part.value);
            let first = values.next().ok_or("no node answered")?;
            if values.all(|value| value == first) {
                Ok(first)
            } else {
                Err("the nodes gave different answers".to_owned())
            }
        }
        Merge::First => {
            let mut values = parts.into_iter().map(|part| part.value);
            Ok(values.find(|value| *value != Value::Nil).unwrap_or(Value::Nil))
        }
        Merge::All => {
            let name = |name: Arc<str>| Value::BulkString(name.as_bytes().to_vec());
            Ok(Value::Map(parts.into_iter().map(|part| (name(part.node), part.value)).collect()))
        }
        // A rule that this version does not know.
        _ => Err("its replies cannot be merged".to_owned()),
    }
}

/// Returns the elements of all replies.
fn concat(parts: Vec<PartValue>) -> Result<Vec<Value>, String> {
    let lists = parts.into_iter().map(|part| list(part.value)).collect::<Result<Vec<_>, _>>()?;
    Ok(lists.into_iter().flatten().collect())
}

/// Returns each element once, at its first place.
fn union(elements: Vec<Value>) -> Vec<Value> {
    let mut seen = HashSet::new();
    let is_first: Vec<bool> = elements.iter().map(|element| seen.insert(written(element))).collect();
    let mut is_first = is_first.into_iter();
    elements.into_iter().filter(|_| is_first.next() == Some(true)).collect()
}

/// Returns bytes that are the same for equal values only, with `true` for a string, as nearly all are.
fn written(value: &Value) -> (bool, Cow<'_, [u8]>) {
    match value {
        Value::BulkString(bytes) => (true, Cow::Borrowed(bytes)),
        other => (false, Cow::Owned(format!("{other:?}").into_bytes())),
    }
}

/// Returns for each key the next element of its part.
fn in_order(of_keys: &[usize], parts: Vec<PartValue>) -> Result<Value, String> {
    let mut lists = Vec::with_capacity(parts.len());
    for PartValue { node, n_keys, value } in parts {
        let elements = list(value)?;
        if elements.len() != n_keys {
            return Err(format!("node `{node}` gave {} elements for {n_keys} keys", elements.len()));
        }
        lists.push(elements.into_iter());
    }
    let mut merged = Vec::with_capacity(of_keys.len());
    for part in of_keys {
        let element = lists.get_mut(*part).and_then(Iterator::next);
        merged.push(element.ok_or("a key has no element")?);
    }
    Ok(Value::Array(merged))
}

fn min(parts: Vec<PartValue>) -> Result<Value, String> {
    let mut values = parts.into_iter().map(|part| part.value);
    let first = values.next().ok_or("no node answered")?;
    values.try_fold(first, |least, value| match (least, value) {
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.into_iter().zip(b);
            let least = pairs.map(|(a, b)| Ok(Value::Int(int(&a)?.min(int(&b)?))));
            Ok(Value::Array(least.collect::<Result<_, String>>()?))
        }
        (a, b) => Ok(Value::Int(int(&a)?.min(int(&b)?))),
    })
}

fn int(value: &Value) -> Result<i64, String> {
    match value {
        Value::Int(int) => Ok(*int),
        Value::Boolean(bool) => Ok((*bool).into()),
        other => Err(format!("an integer was expected, not {}", shape(other))),
    }
}

fn list(value: Value) -> Result<Vec<Value>, String> {
    match value {
        Value::Array(elements) | Value::Set(elements) => Ok(elements),
        other => Err(format!("a list was expected, not {}", shape(&other))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;
    use std::time::Instant;

    use super::*;

    /// Merges replies to keys of these parts; without keys each is to the whole command.
    fn check(rule: Merge, of_keys: &[usize], values: &[Value], expected: Result<Value, &str>) {
        let parts = values.iter().zip(["a", "b", "c"]).enumerate().map(|(idx, (value, node))| PartValue {
            node: node.into(),
            n_keys: of_keys.iter().filter(|part| **part == idx).count(),
            value: value.clone(),
        });
        assert_eq!(merge(rule, of_keys, parts.collect()), expected.map_err(str::to_owned));
    }

    fn ints(ints: &[i64]) -> Value {
        Value::Array(ints.iter().map(|&int| Value::Int(int)).collect())
    }

    #[test]
    fn each_rule_merges_as_its_name_says() {
        let int = Value::Int;
        check(Merge::Sum, &[0, 1, 1], &[int(1), int(2)], Ok(int(3)));
        check(Merge::Sum, &[0], &[Value::Nil], Err("an integer was expected, not nil"));
        check(Merge::Sum, &[], &[int(i64::MAX), int(1)], Err("the sum does not fit in 64 bits"));
        check(Merge::Concat, &[0, 1, 0], &[ints(&[10, 30]), ints(&[20])], Ok(ints(&[10, 20, 30])));
        check(Merge::Concat, &[1, 0], &[ints(&[1]), ints(&[2])], Ok(ints(&[2, 1])));
        check(Merge::Concat, &[0, 0], &[ints(&[1])], Err("node `a` gave 1 elements for 2 keys"));
        check(Merge::Concat, &[0], &[ints(&[1]), ints(&[2])], Err("node `b` gave 1 elements for 0 keys"));
        check(Merge::Concat, &[], &[ints(&[1]), ints(&[1, 2])], Ok(ints(&[1, 1, 2])));
        check(Merge::Union, &[], &[ints(&[1]), ints(&[1, 2])], Ok(ints(&[1, 2])));
        check(Merge::AllOk, &[], &[Value::Okay, Value::Okay], Ok(Value::Okay));
        check(Merge::AllOk, &[], &[Value::Okay, int(1)], Err("the nodes gave different answers"));
        check(Merge::Min, &[], &[ints(&[1, 0]), ints(&[1, 1])], Ok(ints(&[1, 0])));
        check(Merge::Min, &[], &[int(2), int(1)], Ok(int(1)));
        check(Merge::First, &[], &[Value::Nil, int(7)], Ok(int(7)));
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let mixed = [text("b"), text("int(1)"), int(1), text("b"), text("a"), int(1)];
        let expected = Value::Array(vec![text("b"), text("int(1)"), int(1), text("a")]);
        check(Merge::Union, &[], &[Value::Array(mixed.to_vec())], Ok(expected));
        let of_a = (Value::BulkString(b"a".to_vec()), int(1));
        check(Merge::All, &[], &[int(1)], Ok(Value::Map(vec![of_a])));
    }

    #[test]
    fn lists_of_many_elements_are_united_in_a_moment() {
        // Elements that are all compared with each other would take minutes.
        let (begun, all) = (Instant::now(), ints(&(0..200_000).collect::<Vec<_>>()));
        check(Merge::Union, &[], &[all.clone(), all.clone()], Ok(all));
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}

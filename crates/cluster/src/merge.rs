//! The replies of several nodes become one.

use std::sync::Arc;

use redis::Value;
use redisdb_node::command::Merge;

/// One node's reply, with the places of its keys among the caller's; without keys the reply is for the whole command.
#[derive(Debug)]
pub(crate) struct PartValue {
    pub(crate) node: Arc<str>,
    pub(crate) keys: Vec<usize>,
    pub(crate) value: Value,
}

/// Merges the replies; `Err` says what does not fit.
pub(crate) fn merge(merge: Merge, parts: Vec<PartValue>) -> Result<Value, String> {
    match merge {
        Merge::Sum => {
            let mut sum = 0i64;
            for part in parts {
                sum = sum.checked_add(int(&part.value)?).ok_or("the sum does not fit in 64 bits")?;
            }
            Ok(Value::Int(sum))
        }
        Merge::Min => min(parts),
        Merge::Concat if parts.iter().all(|part| part.keys.is_empty()) => {
            let lists = parts.into_iter().map(|part| list(part.value)).collect::<Result<Vec<_>, _>>()?;
            Ok(Value::Array(lists.concat()))
        }
        Merge::Concat => scatter(parts),
        Merge::Union => {
            let mut union = Vec::new();
            for part in parts {
                for element in list(part.value)? {
                    if !union.contains(&element) {
                        union.push(element);
                    }
                }
            }
            Ok(Value::Array(union))
        }
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

/// Puts each element where its key stood.
fn scatter(parts: Vec<PartValue>) -> Result<Value, String> {
    let len = parts.iter().map(|part| part.keys.len()).sum();
    let mut merged = vec![Value::Nil; len];
    for part in parts {
        let elements = list(part.value)?;
        if elements.len() != part.keys.len() {
            return Err(format!(
                "node `{}` gave {} elements for {} keys",
                part.node,
                elements.len(),
                part.keys.len()
            ));
        }
        for (key, element) in part.keys.into_iter().zip(elements) {
            *merged.get_mut(key).ok_or("a key stands nowhere")? = element;
        }
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
        other => Err(format!("an integer was expected, not {}", kind(other))),
    }
}

fn list(value: Value) -> Result<Vec<Value>, String> {
    match value {
        Value::Array(elements) | Value::Set(elements) => Ok(elements),
        other => Err(format!("a list was expected, not {}", kind(&other))),
    }
}

/// What a value is, without showing it.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Int(_) => "an integer",
        Value::BulkString(_) | Value::SimpleString(_) | Value::VerbatimString { .. } => "a string",
        Value::Array(_) | Value::Set(_) => "a list",
        Value::Map(_) => "a map",
        Value::Okay => "OK",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: Merge, parts: &[(&[usize], Value)], expected: Result<Value, &str>) {
        let parts = parts.iter().zip(["a", "b", "c"]).map(|((keys, value), node)| PartValue {
            node: node.into(),
            keys: keys.to_vec(),
            value: value.clone(),
        });
        assert_eq!(merge(rule, parts.collect()), expected.map_err(str::to_owned));
    }

    fn ints(ints: &[i64]) -> Value {
        Value::Array(ints.iter().map(|&int| Value::Int(int)).collect())
    }

    #[test]
    fn each_rule_merges_as_its_name_says() {
        check(Merge::Sum, &[(&[0], Value::Int(1)), (&[1, 2], Value::Int(2))], Ok(Value::Int(3)));
        check(Merge::Sum, &[(&[0], Value::Nil)], Err("an integer was expected, not nil"));
        check(
            Merge::Sum,
            &[(&[], Value::Int(i64::MAX)), (&[], Value::Int(1))],
            Err("the sum does not fit in 64 bits"),
        );
        check(Merge::Concat, &[(&[2, 0], ints(&[30, 10])), (&[1], ints(&[20]))], Ok(ints(&[10, 20, 30])));
        check(Merge::Concat, &[(&[1, 0], ints(&[1]))], Err("node `a` gave 1 elements for 2 keys"));
        check(Merge::Concat, &[(&[], ints(&[1])), (&[], ints(&[1, 2]))], Ok(ints(&[1, 1, 2])));
        check(Merge::Union, &[(&[], ints(&[1])), (&[], ints(&[1, 2]))], Ok(ints(&[1, 2])));
        check(Merge::AllOk, &[(&[], Value::Okay), (&[], Value::Okay)], Ok(Value::Okay));
        check(
            Merge::AllOk,
            &[(&[], Value::Okay), (&[], Value::Int(1))],
            Err("the nodes gave different answers"),
        );
        check(Merge::Min, &[(&[], ints(&[1, 0])), (&[], ints(&[1, 1]))], Ok(ints(&[1, 0])));
        check(Merge::Min, &[(&[], Value::Int(2)), (&[], Value::Int(1))], Ok(Value::Int(1)));
        check(Merge::First, &[(&[], Value::Nil), (&[], Value::Int(7))], Ok(Value::Int(7)));
        check(
            Merge::All,
            &[(&[], Value::Int(1))],
            Ok(Value::Map(vec![(Value::BulkString(b"a".to_vec()), Value::Int(1))])),
        );
    }
}

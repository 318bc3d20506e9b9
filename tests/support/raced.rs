//! The operations that are raced, and the keys that each of them is raced on.

use std::time::Duration;
use std::time::SystemTime;

use fastrand::Rng;
use redisdb::Error;
use redisdb::RedisCopy;
use redisdb::commands::*;

use crate::Held;

/// The number of keys are written together, between two barriers.
pub const ROUND: usize = 50;

/// The time that a key of [`LIVES`] lives at least.
pub const LIFE: Duration = Duration::from_secs(40);

/// The time when a key ends that is given an end and no life, from when it is written.
pub const END: Duration = Duration::from_secs(45);

/// Operations that leave the nodes different when they race.
pub const RACED: [&str; 13] = [
    "SET",
    "DEL",
    "HSET",
    "ZADD",
    "ZINCRBY",
    "RPUSH",
    "INCR",
    "EXPIRE",
    "SETNX+DEL",
    "APPEND",
    "MSET",
    "INCRBYFLOAT",
    "HINCRBYFLOAT",
];

/// Operations after which keys end soon.
pub const LIVES: [&str; 3] = ["SETEX", "PEXPIRE", "EXPIREAT"];

/// A key that one operation is raced on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raced {
    /// The operation.
    pub op: &'static str,
    number: usize,
}

impl Raced {
    /// So many keys over all operations together, in an order that the seed chooses.
    pub fn all(ops: &[&'static str], n_keys: usize, seed: u64) -> Vec<Self> {
        let mut all: Vec<Self> =
            ops.iter().cycle().take(n_keys).enumerate().map(|(number, op)| Self { op, number }).collect();
        Rng::with_seed(seed).shuffle(&mut all);
        all
    }

    /// So many keys of one operation.
    pub fn of(op: &'static str, n_keys: usize) -> Vec<Self> {
        (0..n_keys).map(|number| Self { op, number }).collect()
    }

    /// The name of the key.
    pub fn name(&self) -> String {
        format!("{}:{}", self.op, self.number)
    }

    /// Returns whether the key is there before it is raced.
    pub fn is_there_before(&self) -> bool {
        matches!(self.op, "DEL" | "EXPIRE" | "PEXPIRE" | "SETNX+DEL")
    }

    /// Returns what each writer adds to the key, if it is one that is added to.
    pub fn adds(&self) -> Option<f64> {
        match self.op {
            "INCR" | "RPUSH" | "APPEND" => Some(1.0),
            "ZINCRBY" | "INCRBYFLOAT" | "HINCRBYFLOAT" => Some(1.5),
            _ => None,
        }
    }

    /// Returns what was added to the key, by what a server holds of it.
    pub fn sum(&self, held: Option<&Held>) -> f64 {
        // The first is its type.
        let elements = held.map_or(&[][..], |held| &held.value[1..]);
        match (self.op, elements.first()) {
            (_, None) => 0.0,
            ("RPUSH", _) => elements.len() as f64,
            ("APPEND", Some(text)) => text.len() as f64,
            (_, Some(element)) => {
                let number = element.split_once('=').map_or(element.as_str(), |(_, number)| number);
                number.parse().unwrap_or(f64::NAN)
            }
        }
    }

    /// Runs the operation for one of several writers.
    ///
    /// # Errors
    /// The error of the copy.
    ///
    /// # Panics
    /// The operation is none of [`RACED`] and [`LIVES`].
    pub async fn write(&self, copy: &RedisCopy, writer: usize) -> Result<(), Error> {
        let key = &self.name();
        let later = Duration::from_secs(2 * writer as u64);
        match self.op {
            "SET" => drop(copy.set(key, writer).await?),
            "DEL" | "SETNX+DEL" if writer == 0 => drop(copy.del(key).await?),
            "DEL" => drop(copy.set(key, writer).await?),
            "SETNX+DEL" => drop(copy.setnx(key, writer).await?),
            "HSET" => drop(copy.hset(key, "field", writer).await?),
            "ZADD" => drop(copy.zadd(key, [(writer as f64, "member")]).await?),
            "ZINCRBY" => drop(copy.zincrby(key, "member", 1.5).await?),
            "RPUSH" => drop(copy.rpush(key, writer).await?),
            "INCR" => drop(copy.incr(key).await?),
            "EXPIRE" => drop(copy.expire(key, Duration::from_secs(1000 + 100 * writer as u64)).await?),
            "APPEND" => drop(copy.append(key, (writer % 10).to_string()).await?),
            "MSET" => drop(copy.mset([(key, writer), (&format!("{key}:too"), writer)]).await?),
            "INCRBYFLOAT" => drop(copy.incrbyfloat(key, 1.5).await?),
            "HINCRBYFLOAT" => drop(copy.hincrbyfloat(key, "field", 1.5).await?),
            "SETEX" => drop(copy.setex(key, LIFE + later, writer).await?),
            "PEXPIRE" => drop(copy.pexpire(key, LIFE + later).await?),
            "EXPIREAT" => {
                let _text = copy.set(key, "ends").await?;
                let _is_there = copy.expireat(key, SystemTime::now() + END + later).await?;
            }
            op => panic!("an unknown operation: {op}"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_chooses_the_order_and_each_operation_has_its_share() {
        let all = Raced::all(&RACED, 1300, 1);
        assert_eq!(all, Raced::all(&RACED, 1300, 1));
        assert_ne!(all, Raced::all(&RACED, 1300, 2));
        for op in RACED {
            assert_eq!(all.iter().filter(|raced| raced.op == op).count(), 100, "{op}");
        }
    }

    #[test]
    fn a_sum_is_read_from_a_value_of_any_type() {
        let sum = |op, value: &[&str]| {
            let value = value.iter().map(|word| (*word).to_owned()).collect();
            Raced { op, number: 0 }.sum(Some(&Held { value, end: None }))
        };
        assert_eq!(sum("INCR", &["string", "4"]), 4.0);
        assert_eq!(sum("APPEND", &["string", "012"]), 3.0);
        assert_eq!(sum("RPUSH", &["list", "7", "7"]), 2.0);
        assert_eq!(sum("ZINCRBY", &["zset", "member=4.5"]), 4.5);
        assert_eq!(sum("HINCRBYFLOAT", &["hash", "field=3"]), 3.0);
        assert_eq!(Raced { op: "INCR", number: 0 }.sum(None), 0.0);
    }
}

//! Bitmaps and bit fields: <https://redis.io/docs/latest/commands/?group=bitmap>.

use std::future::Future;

use redis::RedisWrite;
use redis::ToRedisArgs;
use redis::ToSingleRedisArg;

use crate::Execute;
use crate::command::rows::BITCOUNT;
use crate::command::rows::BITFIELD;
use crate::command::rows::BITFIELD_RO;
use crate::command::rows::BITOP;
use crate::command::rows::BITPOS;
use crate::command::rows::GETBIT;
use crate::command::rows::SETBIT;

/// The commands on the bits of strings.
///
/// Bit 0 is the highest bit of the first byte. Offsets of a range count bytes unless a [`BitUnit`] says
/// otherwise; negative ones count from the end. A key that does not exist is an empty string, and every
/// string goes on with zeros.
///
/// A ring sends each to the owner of its key, and refuses several keys that are not known to be together. A
/// copy reads from one node and writes to every node.
///
/// # Errors
/// `WRONGTYPE` if a key holds something else than a string; otherwise as [`Execute::read`] and
/// [`Execute::write`].
pub trait BitmapCommands: Execute {
    /// Returns how many bits are set.
    ///
    /// See <https://redis.io/docs/latest/commands/bitcount/>.
    fn bitcount(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&BITCOUNT, BITCOUNT.with(key))
    }

    /// Returns how many bits are set in the bytes from `start` to `end`, both included.
    ///
    /// See <https://redis.io/docs/latest/commands/bitcount/>.
    fn bitcount_range(
        &self,
        key: impl ToSingleRedisArg + Send,
        start: i64,
        end: i64,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&BITCOUNT, BITCOUNT.cmd().arg(key).arg(start).arg(end).take())
    }

    /// Returns how many bits are set in the bytes or bits from `start` to `end`, both included. Since Redis
    /// 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/bitcount/>.
    fn bitcount_with(
        &self,
        key: impl ToSingleRedisArg + Send,
        start: i64,
        end: i64,
        unit: BitUnit,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&BITCOUNT, BITCOUNT.cmd().arg(key).arg(start).arg(end).arg(unit).take())
    }

    /// Reads and changes integers of any width inside a string, and returns one result for each operation;
    /// `None` where [`Overflow::Fail`] held it back.
    ///
    /// See <https://redis.io/docs/latest/commands/bitfield/>.
    fn bitfield(
        &self,
        key: impl ToSingleRedisArg + Send,
        operations: BitField,
    ) -> impl Future<Output = Result<Self::Write<Vec<Option<i64>>>, Self::Error>> + Send {
        self.write(&BITFIELD, BITFIELD.cmd().arg(key).arg(operations).take())
    }

    /// Returns integers of any width inside a string. Since Redis 6.0.
    ///
    /// # Errors
    /// The server's, if an operation would change something.
    ///
    /// See <https://redis.io/docs/latest/commands/bitfield_ro/>.
    fn bitfield_ro(
        &self,
        key: impl ToSingleRedisArg + Send,
        operations: BitField,
    ) -> impl Future<Output = Result<Vec<i64>, Self::Error>> + Send {
        self.read(&BITFIELD_RO, BITFIELD_RO.cmd().arg(key).arg(operations).take())
    }

    /// Combines strings bit by bit, stores the result, and returns its length in bytes.
    ///
    /// See <https://redis.io/docs/latest/commands/bitop/>.
    fn bitop(
        &self,
        operation: BitOperation,
        destination: impl ToSingleRedisArg + Send,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&BITOP, BITOP.cmd().arg(operation).arg(destination).arg(keys).take())
    }

    /// Returns the position of the first bit that is set, or of the first that is not; `None` if no bit is
    /// set.
    ///
    /// Of a string whose bits are all set, the first that is not is right behind it.
    ///
    /// See <https://redis.io/docs/latest/commands/bitpos/>.
    fn bitpos(
        &self,
        key: impl ToSingleRedisArg + Send,
        bit: bool,
    ) -> impl Future<Output = Result<Option<u64>, Self::Error>> + Send {
        position(self.read(&BITPOS, BITPOS.cmd().arg(key).arg(bit).take()))
    }

    /// Returns the position of the first such bit from the byte `start` on; see [`bitpos`](Self::bitpos).
    ///
    /// See <https://redis.io/docs/latest/commands/bitpos/>.
    fn bitpos_from(
        &self,
        key: impl ToSingleRedisArg + Send,
        bit: bool,
        start: i64,
    ) -> impl Future<Output = Result<Option<u64>, Self::Error>> + Send {
        position(self.read(&BITPOS, BITPOS.cmd().arg(key).arg(bit).arg(start).take()))
    }

    /// Returns the position of the first such bit in the bytes from `start` to `end`, both included; `None`
    /// if there is none.
    ///
    /// See <https://redis.io/docs/latest/commands/bitpos/>.
    fn bitpos_range(
        &self,
        key: impl ToSingleRedisArg + Send,
        bit: bool,
        start: i64,
        end: i64,
    ) -> impl Future<Output = Result<Option<u64>, Self::Error>> + Send {
        position(self.read(&BITPOS, BITPOS.cmd().arg(key).arg(bit).arg(start).arg(end).take()))
    }

    /// Returns the position of the first such bit in the bytes or bits from `start` to `end`, both included;
    /// `None` if there is none. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/bitpos/>.
    fn bitpos_with(
        &self,
        key: impl ToSingleRedisArg + Send,
        bit: bool,
        start: i64,
        end: i64,
        unit: BitUnit,
    ) -> impl Future<Output = Result<Option<u64>, Self::Error>> + Send {
        position(self.read(&BITPOS, BITPOS.cmd().arg(key).arg(bit).arg(start).arg(end).arg(unit).take()))
    }

    /// Returns whether a bit is set.
    ///
    /// See <https://redis.io/docs/latest/commands/getbit/>.
    fn getbit(
        &self,
        key: impl ToSingleRedisArg + Send,
        offset: u64,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        self.read(&GETBIT, GETBIT.cmd().arg(key).arg(offset).take())
    }

    /// Sets or clears a bit, and returns whether it was set. The string grows as far as it needs to.
    ///
    /// # Errors
    /// The server's, if `offset` is not below 2^32.
    ///
    /// See <https://redis.io/docs/latest/commands/setbit/>.
    fn setbit(
        &self,
        key: impl ToSingleRedisArg + Send,
        offset: u64,
        bit: bool,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&SETBIT, SETBIT.cmd().arg(key).arg(offset).arg(bit).take())
    }
}

impl<E: Execute + ?Sized> BitmapCommands for E {}

/// `BITPOS` answers -1 for none.
async fn position<E>(reply: impl Future<Output = Result<i64, E>>) -> Result<Option<u64>, E> {
    Ok(u64::try_from(reply.await?).ok())
}

/// The unit of the two ends of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BitUnit {
    /// Bytes.
    Byte,
    /// Bits.
    Bit,
}

impl ToRedisArgs for BitUnit {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let word = match self {
            Self::Byte => "BYTE",
            Self::Bit => "BIT",
        };
        word.write_redis_args(out);
    }
}

/// The way in which `BITOP` combines bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BitOperation {
    /// Set in all strings.
    And,
    /// Set in any string.
    Or,
    /// Set in an odd number of strings.
    Xor,
    /// Not set in the string, of which there is one.
    Not,
    /// Set in the first string and in none of the others. Since Redis 8.2.
    Diff,
    /// Set in any of the others and not in the first string. Since Redis 8.2.
    Diff1,
    /// Set in the first string and in any of the others. Since Redis 8.2.
    AndOr,
    /// Set in exactly one string. Since Redis 8.2.
    One,
}

impl ToRedisArgs for BitOperation {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let word = match self {
            Self::And => "AND",
            Self::Or => "OR",
            Self::Xor => "XOR",
            Self::Not => "NOT",
            Self::Diff => "DIFF",
            Self::Diff1 => "DIFF1",
            Self::AndOr => "ANDOR",
            Self::One => "ONE",
        };
        word.write_redis_args(out);
    }
}

/// Operations of `BITFIELD`, carried out in order.
///
/// ```
/// use redisdb_node::{BitField, BitOffset, BitWidth};
///
/// let operations = BitField::new()
///     .set(BitWidth::Unsigned(8), BitOffset::Nth(2), 255)
///     .incrby(BitWidth::Signed(5), BitOffset::Bit(100), 1);
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct BitField {
    words: Vec<String>,
}

impl BitField {
    /// No operation yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns an integer.
    pub fn get(self, width: BitWidth, offset: BitOffset) -> Self {
        self.operation(["GET".into(), width.word(), offset.word()])
    }

    /// Sets an integer and returns the former one.
    pub fn set(self, width: BitWidth, offset: BitOffset, value: i64) -> Self {
        self.operation(["SET".into(), width.word(), offset.word(), value.to_string()])
    }

    /// Adds to an integer and returns the sum.
    pub fn incrby(self, width: BitWidth, offset: BitOffset, amount: i64) -> Self {
        self.operation(["INCRBY".into(), width.word(), offset.word(), amount.to_string()])
    }

    /// Sets what the following operations do with a number that does not fit; [`Overflow::Wrap`] until then.
    pub fn overflow(self, overflow: Overflow) -> Self {
        let behavior = match overflow {
            Overflow::Wrap => "WRAP",
            Overflow::Saturate => "SAT",
            Overflow::Fail => "FAIL",
        };
        self.operation(["OVERFLOW".into(), behavior.into()])
    }

    fn operation<const N: usize>(mut self, words: [String; N]) -> Self {
        self.words.extend(words);
        self
    }
}

impl ToRedisArgs for BitField {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        self.words.write_redis_args(out);
    }
}

/// The type of an integer in a bit field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BitWidth {
    /// Signed, of up to 64 bits.
    Signed(u8),
    /// Unsigned, of up to 63 bits.
    Unsigned(u8),
}

impl BitWidth {
    fn word(self) -> String {
        match self {
            Self::Signed(bits) => format!("i{bits}"),
            Self::Unsigned(bits) => format!("u{bits}"),
        }
    }
}

/// The place of an integer in a bit field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BitOffset {
    /// At this bit.
    Bit(u64),
    /// The place of the n-th integer of its width, counting from 0.
    Nth(u64),
}

impl BitOffset {
    fn word(self) -> String {
        match self {
            Self::Bit(bit) => bit.to_string(),
            Self::Nth(n) => format!("#{n}"),
        }
    }
}

/// The treatment of a number that does not fit into a bit field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// Leaves out the bits that do not fit.
    Wrap,
    /// Takes the largest or smallest number that fits.
    Saturate,
    /// Does nothing, and returns nothing.
    Fail,
}

//! The elements of a value, read in chunks. Values that are too large to be read whole take this way, and values between
//! servers that do not read each other's dumps.

use std::hash::Hash;
use std::hash::Hasher;

use redis::Cmd;
use redis::Value;
use redis::from_redis_value;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::plumbing::Way;
use twox_hash::XxHash3_128;

use crate::anti_entropy::value::Limits;
use crate::anti_entropy::value::fields;
use crate::anti_entropy::value::hll;
use crate::anti_entropy::value::is_denied;
use crate::anti_entropy::value::stream::Stream;
use crate::dispatch::failover_read::says_no_such_key;

/// About how many bytes are read at once: writing so many again takes a server a fifth of a millisecond ..
const CHUNK: u64 = 1 << 20;
/// .. and how many elements at most.
const MOST: u64 = 256;

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    String,
    List,
    Set,
    Hash,
    SortedSet,
    Stream,
}

impl Kind {
    /// By the reply to `TYPE`; `None` where there is nothing, or something that only a dump can carry.
    pub(crate) fn of(reply: &Value) -> Option<Self> {
        let name = match reply {
            Value::SimpleString(name) => name.as_bytes(),
            Value::BulkString(name) => name,
            _ => return None,
        };
        Some(match name {
            b"string" => Self::String,
            b"list" => Self::List,
            b"set" => Self::Set,
            b"hash" => Self::Hash,
            b"zset" => Self::SortedSet,
            b"stream" => Self::Stream,
            _ => return None,
        })
    }

    /// The command that gives all of it.
    pub(crate) fn whole(self) -> &'static str {
        match self {
            Self::String => "GET",
            Self::List => "LRANGE",
            Self::Set => "SMEMBERS",
            Self::Hash => "HGETALL",
            Self::SortedSet => "ZRANGE",
            Self::Stream => "XRANGE",
        }
    }

    /// The command that gives a part of it.
    fn part(self) -> &'static str {
        match self {
            Self::String => "GETRANGE",
            Self::List => "LRANGE",
            Self::Set => "SSCAN",
            Self::Hash => "HSCAN",
            Self::SortedSet => "ZRANGE",
            Self::Stream => "XRANGE",
        }
    }

    fn length(self) -> &'static str {
        match self {
            Self::String => "STRLEN",
            Self::List => "LLEN",
            Self::Set => "SCARD",
            Self::Hash => "HLEN",
            Self::SortedSet => "ZCARD",
            Self::Stream => "XLEN",
        }
    }
}

/// One element: a part of a string, an element of a list or a set, a field with its value and, if it goes
/// away by itself, when; a member with its score, an entry's identifier with its fields and values.
pub(crate) type Element = Vec<Vec<u8>>;

/// Reads a value from its beginning to its end.
pub(crate) struct Elements<'a> {
    node: &'a Node,
    key: &'a [u8],
    pub(crate) kind: Kind,
    /// How many elements are read at once; of a string, how many bytes.
    count: u64,
    /// How many elements are still to come, by the length that the value had at the beginning, but of a set and a hash; of a
    /// string, how many bytes. What was added since is noticed as any other change is, and need not be waited for: a server
    /// may always have more.
    left: u64,
    next: Option<Position>,
    /// True if fields may expire one by one.
    may_end: bool,
    limits: Limits,
}

enum Position {
    Index(u64),
    Cursor(u64, Way),
    After(Vec<u8>),
}

impl<'a> Elements<'a> {
    /// `None` if the key is not there, or is of a type that is not known here.
    ///
    /// When the fields of a hash go away is asked only where some `may_end`, as far as the caller and the server know.
    pub(crate) async fn of(
        node: &'a Node,
        key: &'a [u8],
        may_end: bool,
        limits: Limits,
    ) -> Result<Option<Self>, node::Error> {
        let kind = node.send(redis::cmd("TYPE").arg(key)).await?;
        let Some(kind) = Kind::of(&kind) else { return Ok(None) };
        let length = number(node.send(redis::cmd(kind.length()).arg(key)).await?).max(1);
        let count = match kind {
            Kind::String => CHUNK,
            _ => {
                let bytes = match node.send(redis::cmd("MEMORY").arg("USAGE").arg(key)).await {
                    Ok(bytes) => number(bytes),
                    // Then they are taken for large.
                    Err(error) if is_denied(&error) => length.saturating_mul(CHUNK / MOST * 8),
                    Err(error) => return Err(error),
                };
                (CHUNK / (bytes / length).max(1)).clamp(1, MOST)
            }
        };
        let next = Some(match kind {
            Kind::String | Kind::List | Kind::SortedSet => Position::Index(0),
            Kind::Set | Kind::Hash => Position::Cursor(0, Way::default()),
            Kind::Stream => Position::After(Vec::new()),
        });
        let may_end = may_end && kind == Kind::Hash && fields::any_may_end(node).await?;
        Ok(Some(Self { node, key, kind, count, left: length, next, may_end, limits }))
    }

    /// The next elements; none at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Vec<Element>, node::Error> {
        while let Some(position) = self.next.take() {
            let reply = self.node.send(&self.question(&position)).await?;
            let (mut elements, next) = self.take(position, reply)?;
            self.next = next;
            if self.may_end {
                (elements, self.may_end) = fields::with_ends(self.node, self.key, elements).await?;
            }
            self.limits.pace(elements.iter().flatten().map(|part| part.len() as u64).sum()).await;
            if !elements.is_empty() {
                return Ok(elements);
            }
        }
        Ok(Vec::new())
    }

    fn question(&self, position: &Position) -> Cmd {
        let mut cmd = redis::cmd(self.kind.part());
        cmd.arg(self.key);
        match position {
            Position::Index(first) => cmd.arg(*first).arg(first + self.count - 1),
            Position::Cursor(cursor, _) => cmd.arg(*cursor).arg("COUNT").arg(self.count),
            Position::After(id) if id.is_empty() => cmd.arg("-").arg("+").arg("COUNT").arg(self.count),
            Position::After(id) => {
                cmd.arg([b"(", id.as_slice()].concat()).arg("+").arg("COUNT").arg(self.count)
            }
        };
        if self.kind == Kind::SortedSet {
            cmd.arg("WITHSCORES");
        }
        cmd
    }

    fn take(
        &mut self,
        position: Position,
        reply: Value,
    ) -> Result<(Vec<Element>, Option<Position>), node::Error> {
        Ok(match position {
            Position::Index(first) if self.kind == Kind::String => {
                let part: Vec<u8> = from_redis_value(reply).unwrap_or_default();
                let next = self.goes_on(part.len())?.then_some(Position::Index(first + self.count));
                (if part.is_empty() { Vec::new() } else { vec![vec![part]] }, next)
            }
            Position::Index(first) => {
                let words: Vec<Vec<u8>> = from_redis_value(reply).unwrap_or_default();
                let step = if self.kind == Kind::SortedSet { 2 } else { 1 };
                let elements: Vec<Element> = words.chunks(step).map(<[_]>::to_vec).collect();
                let next = self.goes_on(elements.len())?.then_some(Position::Index(first + self.count));
                (elements, next)
            }
            Position::Cursor(_, way) => {
                let (cursor, words): (u64, Vec<Vec<u8>>) = from_redis_value(reply).unwrap_or_default();
                let step = if self.kind == Kind::Hash { 2 } else { 1 };
                let next = match cursor {
                    0 => None,
                    _ => Some(Position::Cursor(cursor, way.on(cursor, self.node, self.kind.part())?)),
                };
                (words.chunks(step).map(<[_]>::to_vec).collect(), next)
            }
            Position::After(before) => {
                let entries: Vec<(Vec<u8>, Vec<Vec<u8>>)> = from_redis_value(reply).unwrap_or_default();
                let goes_on = self.goes_on(entries.len())?;
                let last = entries.last().map(|(id, _)| id.clone());
                if last.as_ref().is_some_and(|last| parsed(last) <= parsed(&before)) {
                    return Err(self.endless("the server gives entries again that it gave before"));
                }
                let next = last.filter(|_| goes_on).map(Position::After);
                let element = |(id, words): (Vec<u8>, Vec<Vec<u8>>)| [vec![id], words].concat();
                (entries.into_iter().map(element).collect(), next)
            }
        })
    }
}

impl Elements<'_> {
    /// Takes note of so many that came. Returns whether there are more.
    fn goes_on(&mut self, n: usize) -> Result<bool, node::Error> {
        let n = n as u64;
        if self.count < n {
            return Err(self.endless("the server gives more elements than it was asked for"));
        }
        self.left = self.left.saturating_sub(n);
        Ok(0 < n && 0 < self.left)
    }

    fn endless(&self, reason: &str) -> node::Error {
        let error = redis::ParsingError::from(format!("{reason}, so they would never end"));
        node::Error::new(self.node.name().into(), self.kind.part(), node::ErrorKind::Reply(error.into()))
    }
}

/// The identifier of an entry as it is ordered; `None`, which is before all others, if it is none.
fn parsed(id: &[u8]) -> Option<(u64, u64)> {
    let (time, number) = std::str::from_utf8(id).ok()?.split_once('-')?;
    Some((time.parse().ok()?, number.parse().ok()?))
}

/// A number for what a key holds, the same on all servers for the same value; `None` if it is not there, of a type that is not
/// known here, or becomes another one meanwhile, and an error of what is denied.
pub(crate) async fn digest(
    node: &Node,
    key: &[u8],
    limits: Limits,
) -> Result<Result<Option<u128>, node::Error>, node::Error> {
    match digest_of_elements(node, key, limits).await {
        Err(error) if is_denied(&error) => Ok(Err(error)),
        Err(error) if says_no_such_key(&error) || error.code() == Some("WRONGTYPE") => Ok(Ok(None)),
        digest => digest.map(Ok),
    }
}

/// A number for parts: the same for the same.
pub(crate) fn digest_of_parts(parts: &[Vec<u8>]) -> u128 {
    let mut digest = Digest(XxHash3_128::new());
    digest.add(&parts);
    digest.sum()
}

async fn digest_of_elements(node: &Node, key: &[u8], limits: Limits) -> Result<Option<u128>, node::Error> {
    let Some(mut elements) = Elements::of(node, key, true, limits).await? else { return Ok(None) };
    // Those of sets and hashes come in any order, so what each of them gives is added up.
    let unordered = matches!(elements.kind, Kind::Set | Kind::Hash);
    let (mut sum, mut running) = (0_u128, Digest::new(elements.kind));
    loop {
        let chunk = elements.chunk().await?;
        if chunk.is_empty() {
            break;
        }
        for element in chunk {
            match (unordered, element.as_slice()) {
                (false, [member, score]) if elements.kind == Kind::SortedSet => {
                    running.add(&(member, score_bits(score)));
                }
                (true, _) => {
                    let mut one = Digest::new(elements.kind);
                    one.add(&element);
                    sum = sum.wrapping_add(one.sum());
                }
                // Where a string was cut does not count; one of these comes in one piece.
                (false, [part]) if elements.kind == Kind::String => match hll::registers(part) {
                    Some(registers) => running.add(&registers),
                    None => running.write(part),
                },
                (false, _) => running.add(&element),
            }
        }
    }
    if elements.kind == Kind::Stream {
        Stream::of(node, key).await?.compared().for_each(|part| running.add(&part));
    }
    Ok(Some(sum.wrapping_add(running.sum())))
}

/// A hash of 128 bits: the same for the same parts, wherever these were cut when they were written.
struct Digest(XxHash3_128);

impl Digest {
    fn new(kind: Kind) -> Self {
        let mut digest = Self(XxHash3_128::new());
        digest.add(&kind);
        digest
    }

    fn add(&mut self, part: &impl Hash) {
        part.hash(self);
    }

    fn sum(&self) -> u128 {
        self.0.finish_128()
    }
}

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// Its lower half.
    fn finish(&self) -> u64 {
        self.sum() as u64
    }
}

/// A score as it is, whichever way a version of Redis writes it. A small sorted set keeps -0 as 0, a large one does not.
pub(crate) fn score_bits(score: &[u8]) -> Option<u64> {
    std::str::from_utf8(score).ok()?.parse::<f64>().ok().map(|score| (score + 0.0).to_bits())
}

fn number(reply: Value) -> u64 {
    from_redis_value(reply).unwrap_or(0)
}

//! Going through all keys, or all elements of one, wherever they are:
//! <https://redis.io/docs/latest/commands/scan/>.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use futures_util::Stream;
use futures_util::stream;
use redis::Cmd;
use redis::FromRedisValue;
use redis::ToSingleRedisArg;
use redis::Value;
use twox_hash::XxHash3_64;

use crate::Error;
use crate::Execute;
use crate::Node;
use crate::command::Command;
use crate::command::Read;
use crate::command::rows::HSCAN;
use crate::command::rows::SCAN;
use crate::command::rows::SSCAN;
use crate::command::rows::ZSCAN;
use crate::commands::ScanOptions;
use crate::commands::ScanPage;
use crate::connection::SCRIPT;
use crate::error::ErrorKind;
use crate::redis_rs::decode;

/// Scans: going through all keys, or all elements of one key, in steps.
///
/// An element that is there from the first step to the last is found at least once, and possibly more than
/// once. An element that comes or goes meanwhile may be found or not.
///
/// # On a ring
/// A scan goes through the nodes one after the other; each key is on one of them.
///
/// # On a copy
/// A scan goes through one node: the first that is in sync, or, for the elements of one key, the node that
/// answers for the key. On a copy with an identity, each step through all keys first looks at the node's
/// marker, which is one more round trip. The keys that the copy keeps there for itself are left out.
///
/// # When a server goes
/// A cursor says something to one server process only: another process keeps its keys in another order, so a scan that went on
/// there would leave keys out. When the server of a cursor cannot answer, was restarted, or has given its place to another, the
/// scan ends with [`StaleCursor`](crate::ErrorKind::StaleCursor), and is to be started anew. A scan of all keys of a ring loses
/// nothing by a server that goes while others are gone through. A scan by a user who may not call `INFO` does not notice it.
///
/// ```no_run
/// use futures_util::TryStreamExt;
/// use redisdb_node::{Node, Scan, commands::ScanOptions};
///
/// # async fn f(node: Node) -> Result<(), redisdb_node::Error> {
/// let mut users = node.scan_iter::<String>(ScanOptions::new().pattern("user:*").count(1000));
/// while let Some(key) = users.try_next().await? {
///     println!("{key}");
/// }
/// # Ok(()) }
/// ```
pub trait Scan: Execute<Error: From<Error>> {
    /// The servers that together hold every key once. A copy looks first whether its server is the one that
    /// it was.
    ///
    /// # Errors
    /// On a copy, when no node is in sync.
    fn shards(&self) -> impl Future<Output = Result<Vec<Node>, Self::Error>> + Send;

    /// The server that answers for a key. A copy looks first whether it is the one that it was.
    ///
    /// # Errors
    /// On a copy, when no node is in sync.
    fn shard_of(&self, key: &[u8]) -> impl Future<Output = Result<Node, Self::Error>> + Send;

    /// Returns whether a key on the servers is none of the user's, so that a scan of all keys leaves it out: on a copy, what it
    /// keeps on them for itself.
    fn is_own_key(&self, key: &[u8]) -> bool {
        let _ = key;
        false
    }

    /// Takes one step through all keys, and says where the next one goes on.
    ///
    /// # Errors
    /// Of the server, when it says a cursor again that it said before, and so never comes to an end;
    /// [`StaleCursor`](crate::ErrorKind::StaleCursor) when the cursor is of other servers than these, or of a process of the
    /// server that does not answer any more.
    fn scan_from<K: FromRedisValue + Send>(
        &self,
        cursor: ScanCursor,
        options: ScanOptions,
    ) -> impl Future<Output = Result<ScanStep<K>, Self::Error>> + Send {
        async move {
            let shards = self.shards().await?;
            let servers = fingerprint(&shards);
            let node = match shards.get(cursor.shard) {
                Some(node) if cursor == ScanCursor::default() || cursor.servers == servers => node,
                _ => return Err(foreign(&shards).into()),
            };
            let scan = SCAN.cmd().arg(cursor.within).arg(options).take();
            // To this server: on a ring or a copy the command itself is refused.
            let (mut page, process) = page_of::<Value>(node, &SCAN, &scan, cursor.process).await?;
            page.items.retain(|item| !matches!(item, Value::BulkString(key) if self.is_own_key(key)));
            let items = decode(Value::Array(page.items));
            let items =
                items.map_err(|error| node.failed(SCAN.spec().name, ErrorKind::Reply(error.into())))?;
            let next = match page.cursor {
                0 => Some(ScanCursor { servers, shard: cursor.shard + 1, ..ScanCursor::default() }),
                within => {
                    let way = cursor.way.on(within, node, SCAN.spec().name)?;
                    Some(ScanCursor { servers, shard: cursor.shard, within, process, way })
                }
            };
            Ok(ScanStep { items, next: next.filter(|next| next.shard < shards.len()) })
        }
    }

    /// Goes through all keys.
    fn scan_iter<K: FromRedisValue + Send>(
        &self,
        options: ScanOptions,
    ) -> impl Stream<Item = Result<K, Self::Error>> + Send + Unpin {
        pages(Some(ScanCursor::default()), move |cursor| {
            let step = self.scan_from(cursor, options.clone());
            async move { step.await.map(|step| (step.items, step.next)) }
        })
    }

    /// Goes through the fields of a hash, with their values.
    ///
    /// See <https://redis.io/docs/latest/commands/hscan/>.
    fn hscan_iter<F: FromRedisValue + Send, V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        options: ScanOptions,
    ) -> impl Stream<Item = Result<(F, V), Self::Error>> + Send + Unpin {
        elements(self, &HSCAN, key, options)
    }

    /// Goes through the members of a set.
    ///
    /// See <https://redis.io/docs/latest/commands/sscan/>.
    fn sscan_iter<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        options: ScanOptions,
    ) -> impl Stream<Item = Result<V, Self::Error>> + Send + Unpin {
        elements(self, &SSCAN, key, options)
    }

    /// Goes through the members of a sorted set, with their scores.
    ///
    /// See <https://redis.io/docs/latest/commands/zscan/>.
    fn zscan_iter<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        options: ScanOptions,
    ) -> impl Stream<Item = Result<(V, f64), Self::Error>> + Send + Unpin {
        elements(self, &ZSCAN, key, options)
    }
}

/// A step of a scan of all keys.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanStep<K> {
    /// The keys that this step found; there may be none although the scan is not over.
    pub items: Vec<K>,
    /// The cursor of the next step; `None` when the scan is over.
    pub next: Option<ScanCursor>,
}

/// A place in a scan of all keys. As text it can be kept, and gone on from by another process.
///
/// ```
/// use redisdb_node::ScanCursor;
///
/// let start = ScanCursor::default();
/// assert_eq!(start.to_string().parse(), Ok(start));
/// ```
#[derive(Debug, Clone, Default)]
pub struct ScanCursor {
    /// The servers of the cursor: a hash of their names.
    servers: u64,
    shard: usize,
    within: u64,
    /// The process that it says something to: a hash of its `run_id`, if that may be seen.
    process: Option<NonZeroU64>,
    /// This is not in its text: a scan that goes on from a text notices a circle one round later.
    way: Way,
}

impl PartialEq for ScanCursor {
    fn eq(&self, other: &Self) -> bool {
        let parts = |cursor: &Self| (cursor.servers, cursor.shard, cursor.within, cursor.process);
        parts(self) == parts(other)
    }
}

impl Eq for ScanCursor {}

/// Notices that cursors go in a circle: Brent's algorithm, <https://en.wikipedia.org/wiki/Cycle_detection>.
///
/// A server's cursors never come back: they count up, by their reversed bits, whatever becomes of its tables.
#[derive(Debug, Clone, Copy, Default)]
pub struct Way {
    /// A cursor of an earlier step.
    mark: u64,
    n_since: u64,
    /// After so many the mark is moved.
    reach: u64,
}

impl Way {
    /// The way with one more cursor, of a node that a command is sent to.
    ///
    /// # Errors
    /// The error that the cursor was there before.
    pub fn on(self, cursor: u64, node: &Node, command: &'static str) -> Result<Self, Error> {
        self.with(cursor).ok_or_else(|| endless(node, command))
    }

    fn with(self, cursor: u64) -> Option<Self> {
        if cursor == self.mark {
            return None;
        }
        Some(match self.n_since == self.reach {
            true => Self { mark: cursor, n_since: 0, reach: self.reach.saturating_mul(2).max(1) },
            false => Self { n_since: self.n_since + 1, ..self },
        })
    }
}

impl fmt::Display for ScanCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let process = self.process.map_or(0, NonZeroU64::get);
        write!(f, "{:016x}-{}-{}-{process:x}", self.servers, self.shard, self.within)
    }
}

impl FromStr for ScanCursor {
    type Err = ScanCursorError;

    fn from_str(text: &str) -> Result<Self, ScanCursorError> {
        let mut parts = text.splitn(4, '-');
        let mut part = || parts.next().ok_or(ScanCursorError);
        let hash = |text| u64::from_str_radix(text, 16).map_err(|_| ScanCursorError);
        let number = |text: &str| text.parse().map_err(|_| ScanCursorError);
        let (servers, shard) = (hash(part()?)?, part()?.parse().map_err(|_| ScanCursorError)?);
        let (within, process) = (number(part()?)?, NonZeroU64::new(hash(part()?)?));
        Ok(Self { servers, shard, within, process, way: Way::default() })
    }
}

/// A text that is no [`ScanCursor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a cursor; a scan starts with `ScanCursor::default()`")]
pub struct ScanCursorError;

/// A hash of the names that is the same in every process and every release.
fn fingerprint(shards: &[Node]) -> u64 {
    shards.iter().fold(0, |seed, node| XxHash3_64::oneshot_with_seed(seed, node.name().as_bytes()))
}

fn foreign(shards: &[Node]) -> Error {
    let name = shards.first().map_or("", Node::name);
    Error::new(name.into(), SCAN.spec().name, ErrorKind::StaleCursor)
}

/// Reads a page, and says which process of the node has it, by a hash of its `run_id`, if that may be seen. A page that is not
/// the first is read from the process of the page before.
///
/// # Errors
/// Another process answers by now.
async fn page_of<T: FromRedisValue + Send>(
    node: &Node,
    command: &'static Command<Read>,
    cmd: &Cmd,
    before: Option<NonZeroU64>,
) -> Result<(ScanPage<T>, Option<NonZeroU64>), Error> {
    for _ in 0..2 {
        let (pinned, name) = match node.pinned().await {
            Err(error) if matches!(error.kind(), ErrorKind::Fenced) && before.is_some() => break,
            pinned => pinned?,
        };
        // A script proves it to this client alone.
        let run_id = name.filter(|name| !name.starts_with(SCRIPT));
        let process = run_id.and_then(|run_id| NonZeroU64::new(XxHash3_64::oneshot(run_id.as_bytes())));
        if before.is_some() && process.is_some() && before != process {
            break;
        }
        match pinned.read(command, cmd.clone()).await {
            Ok(page) => return Ok((page, process)),
            // It was restarted just now; any process may give the first page.
            Err(error) if matches!(error.kind(), ErrorKind::Fenced) => {}
            Err(error) => return Err(error),
        }
    }
    let kind = if before.is_some() { ErrorKind::StaleCursor } else { ErrorKind::Fenced };
    Err(node.failed(command.spec().name, kind))
}

fn endless(node: &Node, command: &'static str) -> Error {
    const REASON: &str = "the server says a cursor again that it said before, so its keys would never end";
    let error = redis::ParsingError::from(REASON);
    Error::new(node.name().into(), command, ErrorKind::Reply(error.into()))
}

fn elements<S: Scan + ?Sized, T: FromRedisValue + Send>(
    store: &S,
    command: &'static Command<Read>,
    key: impl ToSingleRedisArg,
    options: ScanOptions,
) -> impl Stream<Item = Result<T, S::Error>> + Send + Unpin
where
    S::Error: From<Error>,
{
    let start = command.cmd().arg(key).take();
    let key = command.spec().first_key(&with(&start, 0, &options)).ok().flatten().map(<[u8]>::to_vec);
    let key = key.unwrap_or_default();
    type At = (Option<Node>, u64, Option<NonZeroU64>, Way);
    pages(Some((None, 0, None, Way::default())), move |(node, cursor, process, way): At| {
        let (cmd, key) = (with(&start, cursor, &options), key.clone());
        async move {
            let node = match node {
                Some(node) => node,
                None => store.shard_of(&key).await?,
            };
            let (page, process) = page_of::<T>(&node, command, &cmd, process).await?;
            if page.cursor == 0 {
                return Ok((page.items, None));
            }
            let way = way.on(page.cursor, &node, command.spec().name)?;
            Ok((page.items, Some((Some(node), page.cursor, process, way))))
        }
    })
}

fn with(start: &Cmd, cursor: u64, options: &ScanOptions) -> Cmd {
    start.clone().arg(cursor).arg(options).take()
}

/// The items of page after page, each asked for when the one before is used up.
fn pages<C, T, E, F>(
    start: Option<C>,
    mut page: impl FnMut(C) -> F + Send,
) -> impl Stream<Item = Result<T, E>> + Send + Unpin
where
    C: Send,
    T: Send,
    F: Future<Output = Result<(Vec<T>, Option<C>), E>> + Send,
{
    use futures_util::StreamExt;
    use futures_util::TryStreamExt;

    let pages = stream::unfold(start, move |cursor| {
        let next = cursor.map(&mut page);
        async move {
            match next?.await {
                Ok((items, cursor)) => Some((Ok(items), cursor)),
                Err(error) => Some((Err(error), None)),
            }
        }
    });
    // Boxed, so that the caller need not pin it: beside a round trip for each page that is nothing.
    Box::pin(pages.map(|page| page.map(|items| stream::iter(items.into_iter().map(Ok)))).try_flatten())
}

impl Scan for Node {
    async fn shards(&self) -> Result<Vec<Node>, Error> {
        Ok(vec![self.clone()])
    }

    async fn shard_of(&self, _key: &[u8]) -> Result<Node, Error> {
        Ok(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The number of cursors that are taken, up to a limit.
    fn steps(cursors: impl Iterator<Item = u64>) -> usize {
        let mut way = Way::default();
        let goes_on = |cursor| way.with(cursor).map(|on| way = on).is_some();
        cursors.map(goes_on).take_while(|on| *on).count()
    }

    proptest! {
        /// A circle is noticed, however long the way to it and it are, after few times their length; no other
        /// way is one.
        #[test]
        fn cursors_that_go_in_a_circle_are_noticed(before in 0u64..200, circle in 1u64..200) {
            let cursors = (1..=before).chain((0..).map(|n| before + 1 + n % circle));
            let n = steps(cursors.take(10_000)) as u64;
            prop_assert!(before + circle <= n && n <= 4 * (before + circle) + 4, "{n}");
            prop_assert_eq!(steps(1..=before + circle) as u64, before + circle);
        }
    }
}

//! Writes of values to a server, by compare-and-set: what somebody has written meanwhile is not replaced.

use futures_util::FutureExt;
use futures_util::future::join_all;
use redis::Cmd;
use redis::Pipeline;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::command::rows;

use crate::anti_entropy::value;
use crate::anti_entropy::value::AT_ONCE;
use crate::anti_entropy::value::Content;
use crate::anti_entropy::value::LARGE;
use crate::anti_entropy::value::Limits;
use crate::anti_entropy::value::Snapshot;
use crate::anti_entropy::value::copy;
use crate::anti_entropy::value::is_denied;
use crate::anti_entropy::value::is_denied_in_script;
use crate::anti_entropy::value::is_denied_key;
use crate::anti_entropy::value::portions;

/// A key that is to be made what it is on the source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Put<'a> {
    pub(crate) key: &'a [u8],
    /// What the source was seen to hold.
    pub(crate) wanted: &'a Snapshot,
    /// What the target was seen to hold. Where it holds something else by now, nothing is written.
    pub(crate) replaces: &'a Snapshot,
    /// How many bytes of memory the value takes, about, where it takes the most.
    pub(crate) size: u64,
}

/// What became of a [`Put`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Yes,
    /// The target holds something else than it was seen to hold: somebody has written the key meanwhile.
    Changed,
}

/// Puts a dump, or removes the key where the dump is empty, if the key still is what was seen: the length and the checksum of its
/// dump, and its end within a second. Returns whether it was.
const COMPARE_AND_SET: &str = "\
local dump = redis.call('DUMP', KEYS[1])
local seen = dump and #dump .. ':' .. string.sub(dump, -8) or ''
if seen ~= ARGV[1] then return 0 end
local left = redis.call('PTTL', KEYS[1])
local ends = tonumber(ARGV[2])
if dump and (ends >= 0) ~= (left >= 0) then return 0 end
if dump and left >= 0 then
  local now = redis.call('TIME')
  if math.abs(now[1] * 1000 + now[2] / 1000 + left - ends) > 1000 then return 0 end
end
if ARGV[4] == '' then
  redis.call('UNLINK', KEYS[1])
else
  redis.call('RESTORE', KEYS[1], ARGV[3], ARGV[4], 'REPLACE', 'ABSTTL')
end
return 1";

/// What tells one dump from another: how long it is, and the checksum that it ends with.
fn checksum(dump: &[u8]) -> Vec<u8> {
    let crc64 = dump.last_chunk::<8>().map_or(dump, <[u8; 8]>::as_slice);
    [format!("{}:", dump.len()).as_bytes(), crc64].concat()
}

impl Put<'_> {
    /// Returns whether it was read whole, and is too large to be written so.
    fn is_large(&self, limits: Limits) -> bool {
        limits.is_large(self.size)
            && matches!(self.wanted, Snapshot::Present { content: Content::Dump(_), .. })
    }

    /// Returns whether the whole of both values is known.
    fn is_whole(&self) -> bool {
        let is_whole = |snapshot: &Snapshot| match snapshot {
            Snapshot::Missing => true,
            Snapshot::Present { content, .. } => matches!(content, Content::Dump(_)),
            Snapshot::Denied(_) => false,
        };
        is_whole(self.wanted) && is_whole(self.replaces)
    }

    /// The script that does it, if the whole of both values is known.
    fn script(&self) -> Option<Cmd> {
        let (seen, seen_end) = match self.replaces {
            Snapshot::Missing => (Vec::new(), None),
            Snapshot::Present { content: Content::Dump(dump), ends } => (checksum(dump), *ends),
            Snapshot::Present { .. } | Snapshot::Denied(_) => return None,
        };
        let (dump, ends) = match self.wanted {
            Snapshot::Missing => (&[][..], None),
            Snapshot::Present { content: Content::Dump(dump), ends } => (dump.as_slice(), *ends),
            Snapshot::Present { .. } | Snapshot::Denied(_) => return None,
        };
        let mut script = redis::cmd("EVAL");
        script.arg(COMPARE_AND_SET).arg(1).arg(self.key).arg(seen).arg(seen_end.unwrap_or(-1));
        script.arg(ends.unwrap_or(0)).arg(dump);
        Some(script)
    }

    /// The command that does it whatever is there.
    fn command(&self) -> Option<Cmd> {
        match self.wanted {
            Snapshot::Missing => {
                let mut unlink = redis::cmd("UNLINK");
                unlink.arg(self.key);
                Some(unlink)
            }
            Snapshot::Present { content: Content::Dump(dump), ends } => {
                let mut restore = redis::cmd("RESTORE");
                restore.arg(self.key).arg(ends.unwrap_or(0)).arg(dump).arg("REPLACE").arg("ABSTTL");
                Some(restore)
            }
            Snapshot::Present { .. } | Snapshot::Denied(_) => None,
        }
    }
}

/// Makes keys on a server what they are on the source, by compare-and-set; returns for each whether it took.
///
/// A value goes by its dump, or element by element where it is too large, where the server does not read the dump of a
/// newer one, or where this user is not given dumps or may not restore them. Where this user may not use `WATCH`, a script
/// compares what is there with what was seen. Where no script may run either, or a value goes element by element without `WATCH`,
/// the value is replaced whatever it is.
pub(crate) async fn write(
    source: &Node,
    target: &Node,
    puts: &[Put<'_>],
    limits: Limits,
) -> Result<Vec<Result<Written, node::Error>>, node::Error> {
    let are_small: Vec<bool> = puts.iter().map(|put| !put.is_large(limits)).collect();
    let mut outcomes = write_whole(source, target, puts, &are_small).await?;
    let mut by_elements: Vec<_> =
        puts.iter().zip(&mut outcomes).filter(|(_, outcome)| outcome.is_none()).collect();
    for some in by_elements.chunks_mut(AT_ONCE) {
        let each = some.iter_mut().map(|(put, outcome)| {
            copy::copy(source, target, put, limits).map(|copied| **outcome = Some(copied)).boxed()
        });
        join_all(each.collect::<Vec<_>>()).await;
    }
    // Where this user may not use the commands of its type, a large value goes whole too.
    let is_denied = |(outcome, is_small): (&Option<Result<Written, node::Error>>, &bool)| {
        !is_small && matches!(outcome, Some(Err(error)) if is_denied(error) && !is_denied_key(error))
    };
    let are_denied: Vec<bool> = outcomes.iter().zip(&are_small).map(is_denied).collect();
    if are_denied.contains(&true) {
        let whole = write_whole(source, target, puts, &are_denied).await?;
        outcomes
            .iter_mut()
            .zip(whole)
            .filter(|(_, whole)| whole.is_some())
            .for_each(|(one, whole)| *one = whole);
    }
    Ok(outcomes.into_iter().flatten().collect())
}

/// Writes some of the values whole, by their dumps. Returns nothing of those that have none, or that go by their elements.
async fn write_whole(
    source: &Node,
    target: &Node,
    puts: &[Put<'_>],
    are_meant: &[bool],
) -> Result<Vec<Option<Result<Written, node::Error>>>, node::Error> {
    let mut outcomes: Vec<_> = puts.iter().map(|_| None).collect();
    let meant = puts.iter().zip(are_meant).enumerate();
    let whole = meant.filter(|(_, (put, is_meant))| **is_meant && put.is_whole());
    let (ats, whole): (Vec<usize>, Vec<&Put<'_>>) = whole.map(|(at, (put, _))| (at, put)).unzip();
    let sizes: Vec<u64> = whole.iter().map(|put| put.size).collect();
    for portion in portions(&sizes) {
        let some = whole.get(portion.clone()).unwrap_or_default();
        let written = write_by_halves(source, target, some).await?;
        for (at, written) in ats.get(portion).unwrap_or_default().iter().zip(written) {
            if let Some(outcome) = outcomes.get_mut(*at) {
                *outcome = Some(written);
            }
        }
    }
    let decided = outcomes.into_iter().zip(puts).map(|(outcome, put)| match (outcome, put.wanted) {
        (Some(Err(error)), _) if goes_by_elements(&error) => None,
        (None, Snapshot::Denied(error)) => Some(Err(error.clone())),
        (outcome, _) => outcome,
    });
    Ok(decided.collect())
}

/// Writes values by their dumps in one block. Where a block is not executed, each half of it is tried, so that those that can be
/// written do not wait for the others one by one.
async fn write_by_halves(
    source: &Node,
    target: &Node,
    puts: &[&Put<'_>],
) -> Result<Vec<Result<Written, node::Error>>, node::Error> {
    let (mut written, mut waiting) = (Vec::with_capacity(puts.len()), vec![puts]);
    while let Some(some) = waiting.pop() {
        match write_watched(source, target, some).boxed().await? {
            Block::Executed(outcomes) => written.extend(outcomes),
            Block::NotExecuted if some.len() == 1 => written.push(Ok(Written::Changed)),
            Block::NotExecuted => {
                let (first, second) = some.split_at(some.len() / 2);
                waiting.extend([second, first]);
            }
            Block::NotWatched => written.extend(write_unwatched(target, some).await?),
        }
    }
    Ok(written)
}

/// What became of a block of values.
enum Block {
    /// Each value was written, or not.
    Executed(Vec<Result<Written, node::Error>>),
    /// None was written: one of the keys was written meanwhile, or is denied.
    NotExecuted,
    /// The keys cannot be watched.
    NotWatched,
}

/// Writes values by their dumps in one block, while the keys are watched: from before both servers have shown once more what they were
/// seen to hold. What is written on the source since then is written on the target too, and ends the block.
async fn write_watched(source: &Node, target: &Node, puts: &[&Put<'_>]) -> Result<Block, node::Error> {
    let connection = match target.dedicated().await {
        Ok(connection) => connection,
        Err(error) if error.is_overloaded() => return Ok(Block::NotWatched),
        Err(error) => return Err(error),
    };
    let keys: Vec<Vec<u8>> = puts.iter().map(|put| put.key.to_vec()).collect();
    match connection.run(rows::WATCH.spec(), rows::WATCH.cmd().arg(&keys)).await {
        Ok(_) => {}
        Err(error) if is_denied_key(&error) && 1 < puts.len() => return Ok(Block::NotExecuted),
        Err(error) if is_denied(&error) => return Ok(Block::NotWatched),
        Err(error) => return Err(error),
    }
    // A value that has become much larger meanwhile has changed, and is not read whole to see that. Sizes are not exact.
    let sizes = value::sizes(&[source, target], &keys).await?;
    if puts.iter().zip(&sizes).any(|(put, size)| put.size.max(LARGE) * 2 < *size) {
        return Ok(Block::NotExecuted);
    }
    let limits = Limits { dumped: u64::MAX, undivided: u64::MAX, ..Limits::DEFAULT };
    let looks = value::read_all(&[source, target], &keys, &sizes, limits).await?;
    let holds = |node: usize, at: usize, seen: &Snapshot| {
        looks.get(node).and_then(|looks| looks.get(at)).is_some_and(|look| value::is_still(look, seen))
    };
    let are_still = puts.iter().enumerate();
    let are_still = are_still.map(|(at, put)| holds(0, at, put.wanted) && holds(1, at, put.replaces));
    let are_still: Vec<bool> = are_still.collect();
    let still = puts.iter().zip(&are_still).filter(|(_, is_still)| **is_still);
    let commands: Vec<Cmd> = still.filter_map(|(put, _)| put.command()).collect();
    let mut block = Pipeline::with_capacity(commands.len());
    block.atomic();
    let n_commands = commands.len();
    commands.into_iter().for_each(|command| _ = block.add_command(command));
    let outcomes = match n_commands {
        0 => Some(Vec::new()),
        _ => connection.run_block(&block).await?,
    };
    let mut written = match outcomes {
        Some(outcomes) if !outcomes.iter().any(is_aborted) => outcomes.into_iter().map(is_written),
        _ => return Ok(Block::NotExecuted),
    };
    let each = are_still.into_iter().map(|is_still| match is_still {
        true => written.next().unwrap_or(Ok(Written::Changed)),
        false => Ok(Written::Changed),
    });
    Ok(Block::Executed(each.collect()))
}

/// Returns whether a command of a block was not executed because of another one.
fn is_aborted(outcome: &Result<Value, node::Error>) -> bool {
    outcome.as_ref().is_err_and(|error| error.code() == Some("EXECABORT"))
}

fn is_written(outcome: Result<Value, node::Error>) -> Result<Written, node::Error> {
    match outcome {
        // This user may use no `MULTI`: each was executed by itself.
        Err(error) if !matches!(error.kind(), node::ErrorKind::NotAtomic(_)) => Err(error),
        _ => Ok(Written::Yes),
    }
}

/// Writes values by their dumps where their keys cannot be watched: each by a script that compares what is there; or whatever is there, if
/// this user may run no script.
async fn write_unwatched(
    target: &Node,
    puts: &[&Put<'_>],
) -> Result<Vec<Result<Written, node::Error>>, node::Error> {
    let set = send_some(target, puts.iter().map(|put| put.script()).collect()).await?;
    let unset = puts.iter().zip(&set).map(|(put, set)| match set {
        Some(Err(error)) if may_run_no_script(error) => put.command(),
        _ => None,
    });
    let sent = send_some(target, unset.collect()).await?;
    let outcomes = set.into_iter().zip(sent).map(|outcome| match outcome {
        (_, Some(sent)) => sent.map(|_| Written::Yes),
        (Some(Ok(Value::Int(0))) | None, None) => Ok(Written::Changed),
        (Some(set), None) => set.map(|_| Written::Yes),
    });
    Ok(outcomes.collect())
}

/// Sends those commands that there are, and returns what came of each.
async fn send_some(
    node: &Node,
    commands: Vec<Option<Cmd>>,
) -> Result<Vec<Option<Result<Value, node::Error>>>, node::Error> {
    let mut pipeline = Pipeline::with_capacity(commands.len());
    let add = |cmd: Option<Cmd>| cmd.map(|cmd| _ = pipeline.add_command(cmd));
    let is_sent: Vec<Option<()>> = commands.into_iter().map(add).collect();
    let mut replies = node.send_pipeline(&pipeline, 0, pipeline.len()).await?.into_iter();
    let mut reply = |()| node.accept("RESTORE", replies.next().unwrap_or(Value::Nil));
    Ok(is_sent.into_iter().map(|sent| sent.map(&mut reply)).collect())
}

/// Returns whether a script failed for what its user may not do, or for what the command says more clearly: nothing was written.
fn may_run_no_script(error: &node::Error) -> bool {
    goes_by_elements(error) || is_denied(error) || is_denied_in_script(error)
}

/// Returns whether a server refused a dump because it does not know how to read it, or does not let this user restore any.
fn goes_by_elements(error: &node::Error) -> bool {
    match error.kind() {
        node::ErrorKind::Server(reply) => {
            reply.details().contains("DUMP payload version")
                || reply.details().contains("Bad data format")
                || is_denied(error) && !is_denied_key(error)
        }
        _ => false,
    }
}

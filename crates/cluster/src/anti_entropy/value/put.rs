//! Writes of values to a server, by compare-and-set: what somebody has written meanwhile is not replaced.

use futures_util::FutureExt;
use futures_util::future::join_all;
use redis::Cmd;
use redis::Pipeline;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;

use crate::anti_entropy::value::AT_ONCE;
use crate::anti_entropy::value::Content;
use crate::anti_entropy::value::Limits;
use crate::anti_entropy::value::Snapshot;
use crate::anti_entropy::value::copy;
use crate::anti_entropy::value::denied::is_denied_in_script;
use crate::anti_entropy::value::is_denied;
use crate::anti_entropy::value::is_denied_key;

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
/// newer one, or where this user is not given dumps or may not restore them. Where this user may run no scripts, or of what goes element by
/// element may not use `WATCH`, it replaces whatever is there.
pub(crate) async fn write(
    source: &Node,
    target: &Node,
    puts: &[Put<'_>],
    limits: Limits,
) -> Result<Vec<Result<Written, node::Error>>, node::Error> {
    let are_small: Vec<bool> = puts.iter().map(|put| !put.is_large(limits)).collect();
    let mut outcomes = write_whole(target, puts, &are_small).await?;
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
        let whole = write_whole(target, puts, &are_denied).await?;
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
    target: &Node,
    puts: &[Put<'_>],
    are_meant: &[bool],
) -> Result<Vec<Option<Result<Written, node::Error>>>, node::Error> {
    let script = |(put, is_meant): (&Put<'_>, &bool)| if *is_meant { put.script() } else { None };
    let set = send_some(target, puts.iter().zip(are_meant).map(script).collect()).await?;
    let unset = puts.iter().zip(&set).map(|(put, set)| match set {
        Some(Err(error)) if may_run_no_script(error) => put.command(),
        _ => None,
    });
    let sent = send_some(target, unset.collect()).await?;
    let outcomes =
        puts.iter().zip(set.into_iter().zip(sent)).map(|(put, outcome)| match (outcome, put.wanted) {
            ((Some(Ok(Value::Int(0))), _), _) => Some(Ok(Written::Changed)),
            ((Some(Ok(_)), _) | (_, Some(Ok(_))), _) => Some(Ok(Written::Yes)),
            ((_, Some(Err(error))) | (Some(Err(error)), None), _) if !goes_by_elements(&error) => {
                Some(Err(error))
            }
            (_, Snapshot::Denied(error)) => Some(Err(error.clone())),
            _ => None,
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

//! The permissions that a copy with an identity needs for its own keys: they are tried when it connects, not first while a node
//! is away.

use futures_util::future::join;
use redis::Value;
use redisdb_node as node;
use redisdb_node::plumbing::HoldLocks;

use crate::engine::copy::CopyEngine;

/// Calls all that the copy's scripts call, on a key that is not there and stays so. Returns an error for each that this user may
/// not call, or for all of them where the server does not say which.
const TRY: &str = "\
local denied = {}
for _, call in ipairs({
  {'TIME'}, {'GET', KEYS[1]}, {'SET', KEYS[1], '', 'XX'}, {'PEXPIRE', KEYS[1], 1}, {'DEL', KEYS[1]}, {'UNLINK', KEYS[1]},
  {'ZADD', KEYS[1], 'XX', 0, ''}, {'ZCARD', KEYS[1]}, {'ZRANGE', KEYS[1], 0, 0}, {'ZREM', KEYS[1], ''}, {'ZSCORE', KEYS[1], ''},
}) do
  local reply = redis.pcall(unpack(call))
  local says = type(reply) == 'table' and reply.err or ''
  local denial = string.match(says, 'ACL failure in script.*') or string.match(says, 'The user executing the script can.*')
  if denial then denied[#denied + 1] = {err = 'ERR ' .. denial} end
end
return denied";

impl CopyEngine {
    /// Tries on a server what the copy does there with its own keys, once in each of its processes, and tells what its user may
    /// not do. Nothing is changed, and nothing fails for it.
    pub(crate) async fn try_permissions(&self, idx: usize) {
        let Some(identity) = &self.topology.identity else { return };
        let member = self.topology.nodes.member(idx);
        let (node, incarnation) = (member.writer(), member.node().incarnation());
        if !node.is_connected() || member.marked().lock().tried == Some(incarnation) {
            return;
        }
        let key = identity.trial();
        let mut call_all = redis::cmd("EVAL");
        call_all.arg(TRY).arg(1).arg(&key);
        // A lease is kept and given back by other commands.
        let (called, owned) = join(node.send(&call_all), node.owns_lock(key.as_bytes(), "")).await;
        let denied: Vec<node::Error> = match called {
            Ok(Value::Array(denied)) => {
                denied.into_iter().filter_map(|denial| node.accept("EVAL", denial).err()).collect()
            }
            Ok(_) => Vec::new(),
            Err(error) => vec![error],
        };
        let all_keys = identity.pattern();
        let is_told = |error: &node::Error| self.topology.tell_denied(error, Some(all_keys.as_bytes()));
        let others = denied.iter().chain(owned.as_ref().err()).filter(|error| !is_told(error)).count();
        if others == 0 {
            member.marked().lock().tried = Some(incarnation);
        }
    }
}

//! Scripts and functions on a ring and on a copy.

use std::time::SystemTime;

use redis::FromRedisValue;
use redisdb_node::RunScript;
use redisdb_node::ScriptCall;
use redisdb_node::plumbing::SendMany;

use crate::call::Call;
use crate::copy::RedisCopy;
use crate::dispatch::scatter::on_owner;
use crate::engine::deadline::Budget;
use crate::error::Error;
use crate::plan::Plan;
use crate::replies::Replies;
use crate::replies::decode;
use crate::ring::RedisRing;

impl RunScript for RedisRing {
    async fn invoke<T: FromRedisValue + Send>(&self, call: &ScriptCall<'_>) -> Result<T, Error> {
        let (spec, cmd) = call.command();
        let topology = self.engine.topology();
        let Plan::One(owner) = topology.route_to_owner(spec, &cmd)? else {
            let reason = "without keys it has no owner; run it on one node, by `on_node(name)`";
            return Err(Error::refused(spec.name, "ring", reason));
        };
        let node = topology.nodes.at(owner);
        let ready = self.engine.ready(&topology, owner, spec.name).await;
        ready.map_err(|error| on_owner(spec, &cmd, error))?;
        let reply = node.run_script(call).await.map_err(|error| on_owner(spec, &cmd, error))?;
        Ok(decode(node.name(), spec.name, reply)?)
    }

    fn is_unknown_script(error: &Error) -> bool {
        unknown(error)
    }
}

impl RunScript for RedisCopy {
    async fn invoke<T: FromRedisValue + Send>(&self, call: &ScriptCall<'_>) -> Result<Replies<T>, Error> {
        let engine = self.engine();
        let (spec, cmd) = call.command();
        if call.is_read_only() {
            let reply = match (engine.run_read(&Call::new(spec, &cmd)).await, call.command_with_code()) {
                (Err(error), Some((spec, cmd))) if unknown(&error) => {
                    engine.run_read(&Call::new(spec, &cmd)).await?
                }
                (reply, _) => reply?,
            };
            let replies = Self::write_reply(spec, reply)?;
            let unread = replies.failures().next().map(|(_, error)| error.clone());
            return unread.map_or(Ok(replies), |error| Err(Error::Node(error)));
        }
        if !call.is_deterministic() {
            let reason = "each node could end up different; declare it `deterministic()` if it does the same \
                          everywhere, or run it on one node, by `on_node(name)`";
            return Err(Error::refused(spec.name, "copy", reason));
        }
        Ok(engine.run_script(&Call::new(spec, &cmd), call).await?.decode(spec.name))
    }

    fn is_unknown_script(error: &Error) -> bool {
        unknown(error)
    }

    async fn common_clock(&self) -> Option<SystemTime> {
        let engine = self.engine();
        Budget::new(engine.deadline, 1).learn_clock(&engine.topology.nodes).await;
        Some(engine.topology.nodes.clock())
    }
}

fn unknown(error: &Error) -> bool {
    matches!(error, Error::Node(error) if error.is_unknown_script())
}

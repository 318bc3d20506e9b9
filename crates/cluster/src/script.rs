//! Scripts on a ring and on a copy.

use redis::FromRedisValue;
use redisdb_node::RunScript;
use redisdb_node::ScriptCall;
use redisdb_node::command::rows;

use crate::copy::RedisCopy;
use crate::error::Error;
use crate::replies::Replies;
use crate::ring::RedisRing;
use crate::ring::on_owner;
use crate::route::Route;

impl RunScript for RedisRing {
    async fn run_script<T: FromRedisValue + Send>(&self, call: &ScriptCall<'_>) -> Result<T, Error> {
        let (spec, cmd) = (rows::EVALSHA.spec(), call.by_hash());
        let topology = self.topology();
        let Route::Owner(owner) = topology.route(spec, &cmd)? else {
            let reason = "without keys it has no owner; run it on one node, by `on_node(name)`";
            return Err(Error::refused(spec.name, "ring", reason));
        };
        let node = topology.nodes.at(owner);
        let reply = node.invoke(call).await.map_err(|error| on_owner(spec, &cmd, error))?;
        Ok(crate::replies::decode(&node.name().into(), spec.name, reply)?)
    }

    fn is_unknown_script(error: &Error) -> bool {
        unknown(error)
    }
}

impl RunScript for RedisCopy {
    async fn run_script<T: FromRedisValue + Send>(&self, call: &ScriptCall<'_>) -> Result<Replies<T>, Error> {
        let spec = rows::EVALSHA.spec();
        if !call.script().is_deterministic() {
            let reason = "each node could end up different; declare the script `deterministic()` if it does the \
                          same everywhere, or run it on one node, by `on_node(name)`";
            return Err(Error::refused(spec.name, "copy", reason));
        }
        Ok(self.invoke(spec, call).await?.decode(spec.name))
    }

    fn is_unknown_script(error: &Error) -> bool {
        unknown(error)
    }
}

fn unknown(error: &Error) -> bool {
    matches!(error, Error::Node(error) if error.is_unknown_script())
}

//! The run of a script on a node: by its hash, and by its code where the server does not know that.

use redis::Cmd;
use redis::FromRedisValue;
use redis::Value;

use super::Node;
use crate::command::Spec;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::redis_rs::decode;
use crate::sessions::RunScript;
use crate::sessions::ScriptCall;

/// # Scripts
impl Node {
    /// Runs a script and returns its reply as it is: by its hash, and by its code where that is not known.
    ///
    /// # Errors
    /// As [`RunScript::invoke`].
    ///
    /// # Cancel safety
    /// When the future is dropped the script may have been executed.
    #[doc(hidden)]
    pub async fn run_script(&self, call: &ScriptCall<'_>) -> Result<Value, Error> {
        let (node, (spec, cmd)) = (self.for_one_call(), call.command());
        match (node.run_declared(call, spec, &cmd).await, call.command_with_code()) {
            (Err(error), Some((spec, cmd))) if error.is_unknown_script() => {
                node.run_declared(call, spec, &cmd).await
            }
            (reply, _) => reply,
        }
    }

    /// Runs it once more when the connection broke, if the caller has said that twice is as good as once.
    async fn run_declared(
        &self,
        call: &ScriptCall<'_>,
        spec: &'static Spec,
        cmd: &Cmd,
    ) -> Result<Value, Error> {
        match self.run(spec, cmd).await {
            Err(error)
                if call.is_idempotent()
                    && matches!(error.kind(), ErrorKind::Disconnected(_))
                    && self.inner.connection.may_repeat() =>
            {
                self.inner.metrics.repeated();
                self.run(spec, cmd).await
            }
            reply => reply,
        }
    }
}

impl RunScript for Node {
    async fn invoke<T: FromRedisValue + Send>(&self, call: &ScriptCall<'_>) -> Result<T, Error> {
        let reply = self.run_script(call).await?;
        let (spec, _) = call.command();
        decode(reply).map_err(|error| self.failed(spec.name, ErrorKind::Reply(error.into())))
    }

    fn is_unknown_script(error: &Error) -> bool {
        error.is_unknown_script()
    }
}

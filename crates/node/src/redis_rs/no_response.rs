//! Commands that redis-rs was told not to wait for.

use redis::Cmd;

/// The same command with its reply waited for, where that was [not asked for](Cmd::set_no_response). Only the
/// reply tells whether a server took the command, and redis-rs waits for it in a pipeline too.
pub(crate) fn with_reply(cmd: &Cmd) -> Option<Box<Cmd>> {
    // Boxed, for it is rare.
    cmd.is_no_response().then(|| {
        let mut heard = Box::new(cmd.clone());
        heard.set_no_response(false);
        heard
    })
}

//! Commands that redis-rs was told not to wait for.

use redis::Cmd;

/// The same command with its reply waited for, of one that is [not to be](Cmd::set_no_response): whether a
/// server took it is known from its reply alone, and redis-rs waits for it in a pipeline too.
pub(crate) fn with_reply(cmd: &Cmd) -> Option<Box<Cmd>> {
    // Boxed, for it is rare.
    cmd.is_no_response().then(|| {
        let mut heard = Box::new(cmd.clone());
        heard.set_no_response(false);
        heard
    })
}

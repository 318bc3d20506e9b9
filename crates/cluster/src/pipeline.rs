//! Pipelines: many commands that are sent together, on a [ring](ring) and on a [copy](copy).
//!
//! Both plan each command as it is planned alone, and both have commands that take more than one step, which run
//! [by themselves](AtOnce).

pub(crate) mod answers;
mod copy;
mod copy_wave;
mod ring;
mod wave;

use std::borrow::Cow;
use std::collections::HashSet;

use redis::Cmd;
use redisdb_node::command::Access;
use redisdb_node::command::Spec;
use redisdb_node::plumbing::Batch;
use redisdb_node::plumbing::Recorded;

use crate::call::Call;

/// Recorded commands with their words.
pub(crate) fn cmds_of<'a>(commands: &'a [Recorded<'_>]) -> Vec<(&'static Spec, Cow<'a, Cmd>)> {
    commands.iter().map(|command| (command.spec, command.cmd())).collect()
}

/// The calls of commands.
pub(crate) fn calls_of<'a>(commands: &'a [(&'static Spec, Cow<'_, Cmd>)]) -> Vec<Call<'a>> {
    commands.iter().map(|(spec, cmd)| Call::new(spec, cmd)).collect()
}

/// The keys of commands that run at once, each by itself.
#[derive(Debug, Default)]
pub(crate) struct AtOnce<'a> {
    n_calls: usize,
    named: HashSet<&'a [u8]>,
    written: HashSet<&'a [u8]>,
}

impl<'a> AtOnce<'a> {
    /// Lets a command run at once with those before it, and returns whether it may: neither writes a key that the other names.
    /// The first one may always, and a command without keys runs alone.
    pub(crate) fn joins(&mut self, call: &Call<'a>) -> bool {
        let is_read = call.spec.access == Access::Read;
        let others = if is_read { &self.written } else { &self.named };
        let is_apart = !self.named.is_empty() && call.keys().next().is_some();
        let joins = self.n_calls == 0 || is_apart && !call.keys().any(|key| others.contains(key));
        if joins && self.n_calls < Batch::MOST_COMMANDS {
            self.n_calls += 1;
            self.named.extend(call.keys());
            self.written.extend(call.keys().filter(|_| !is_read));
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use redis::Cmd;
    use redisdb_node::command::lookup;

    use super::*;

    #[test]
    fn commands_run_at_once_that_cannot_see_each_others_effect() {
        let check = |lines: &[&str], expected| {
            let cmd = |line: &&str| {
                let mut cmd = Cmd::new();
                cmd.arg(line.split(' ').collect::<Vec<_>>());
                cmd
            };
            let cmds: Vec<Cmd> = lines.iter().map(cmd).collect();
            let calls: Vec<_> = cmds.iter().map(|cmd| Call::new(lookup(cmd).unwrap(), cmd)).collect();
            let mut at_once = AtOnce::default();
            assert_eq!(calls.iter().take_while(|call| at_once.joins(call)).count(), expected, "{lines:?}");
        };
        check(&["GET a", "GET a", "MGET a b", "SET c 1"], 4);
        check(&["GET a", "SET a 1"], 1);
        check(&["SET a 1", "GET b", "GET a"], 2);
        check(&["INCR a", "INCR a"], 1);
        check(&["DBSIZE", "GET a"], 1);
        check(&["DBSIZE", "DBSIZE"], 1);
        check(&["GET a", "DBSIZE"], 1);
        check(&["GET a"; 2000], Batch::MOST_COMMANDS);
    }
}

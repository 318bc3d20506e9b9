//! The time that a blocking command asks its server to wait.

use std::time::Duration;

use redis::Cmd;

use crate::command::Connection;
use crate::command::Spec;
use crate::command::value_of_stream_option;
use crate::command::words;

/// The time for which a server may hold back its reply to a command. The usual time for a reply comes on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockTime {
    /// The time that the command asks for; zero if it does not block.
    For(Duration),
    /// Without limit, until there is something to reply.
    Forever,
}

impl BlockTime {
    /// Reads the block time from the words of a command. It is zero if they hold no number, or a negative one: the server then
    /// answers with an error at once.
    pub(crate) fn of(spec: &Spec, cmd: &Cmd) -> Self {
        let seconds = Duration::from_secs(1);
        let millis = Duration::from_millis(1);
        let (word, unit) = match (spec.connection, spec.name) {
            (Connection::Blocking, "BLMPOP" | "BZMPOP") => (words(cmd).nth(1), seconds),
            (Connection::Blocking, "WAIT") => (words(cmd).nth(2), millis),
            (Connection::Blocking, "WAITAOF") => (words(cmd).nth(3), millis),
            (Connection::Blocking, _) => (words(cmd).last(), seconds),
            (Connection::BlockingWith(option), _) => match value_of_stream_option(cmd, option) {
                Some(word) => (Some(word), millis),
                None => return Self::For(Duration::ZERO),
            },
            _ => return Self::For(Duration::ZERO),
        };
        let number = word.and_then(|word| std::str::from_utf8(word).ok()?.parse::<f64>().ok());
        match number {
            Some(0.0) => Self::Forever,
            // A time too long for a `Duration` is as good as forever.
            Some(number) if number > 0.0 => {
                Duration::try_from_secs_f64(number * unit.as_secs_f64()).map_or(Self::Forever, Self::For)
            }
            _ => Self::For(Duration::ZERO),
        }
    }

    /// Returns the time within which the reply comes, if the reply itself takes up to `reply`; `None` if there is no limit.
    pub(crate) fn with_reply(self, reply: Duration) -> Option<Duration> {
        match self {
            Self::For(wait) => wait.checked_add(reply),
            Self::Forever => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::lookup;

    #[test]
    fn each_blocking_command_says_how_long_it_waits() {
        fn check(command: &str, expected: BlockTime) {
            let mut cmd = Cmd::new();
            cmd.arg(command.split(' ').collect::<Vec<_>>());
            assert_eq!(BlockTime::of(lookup(&cmd).unwrap(), &cmd), expected, "{command}");
        }
        let seconds = |seconds| BlockTime::For(Duration::from_secs_f64(seconds));
        check("GET k", seconds(0.0));
        check("BLPOP a b 0.5", seconds(0.5));
        check("BLPOP a b 0", BlockTime::Forever);
        check("BLPOP a b 1e300", BlockTime::Forever);
        check("BLPOP a b x", seconds(0.0));
        check("BRPOPLPUSH a b 2", seconds(2.0));
        check("BLMOVE a b LEFT RIGHT 2", seconds(2.0));
        check("BLMPOP 3 1 a LEFT", seconds(3.0));
        check("BZMPOP 3 1 a MIN COUNT 9", seconds(3.0));
        check("BZPOPMIN a 4", seconds(4.0));
        check("WAIT 1 250", seconds(0.25));
        check("WAITAOF 1 0 0", BlockTime::Forever);
        check("XREAD COUNT 2 BLOCK 250 STREAMS a $", seconds(0.25));
        check("XREAD STREAMS a $", seconds(0.0));
        check("XREADGROUP GROUP g c block 0 STREAMS a >", BlockTime::Forever);
    }
}

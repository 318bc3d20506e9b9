//! Keys and commands that a server denies to this user.

use redisdb_node as node;
use redisdb_node::ChangeFeed;
use redisdb_node::Node;
use redisdb_node::plumbing::foreign;

/// What the scripts of a copy call: not every server says which of it was refused.
const IN_SCRIPTS: &str = "+get +set +pexpire +del +unlink +time +zadd +zcard +zrange +zrem +zscore";

/// Returns whether a server does not let this user do it, or does not know the command: it may have been renamed.
pub(crate) fn is_denied(error: &node::Error) -> bool {
    error.code() == Some("NOPERM") || is_unknown(error)
}

/// Returns whether it is the key that this user may not use, and not the command: it may be another application's.
pub(crate) fn is_denied_key(error: &node::Error) -> bool {
    error.code() == Some("NOPERM") && command(details(error)).is_none() && !details(error).contains("channel")
}

/// What permits it, also to a script, for those who may say so; `None` if it was not denied.
pub(crate) fn mending(node: &Node, error: &node::Error, key: Option<&[u8]>) -> Option<String> {
    if is_unknown(error) {
        return Some("the server does not know the command; it may have been renamed there".to_owned());
    }
    let in_script = is_denied_in_script(error);
    if error.code() != Some("NOPERM") && !in_script {
        return None;
    }
    let shown = match error.kind() {
        node::ErrorKind::Server(reply) => reply.open_details(),
        _ => "",
    };
    let rule = match (command(shown), key) {
        (Some(command), _) => format!("+{}", foreign::word(command)),
        // The only one that is listened to.
        (None, _) if shown.contains("channel") => format!("&{}", ChangeFeed::CHANNEL),
        (None, _) if in_script => IN_SCRIPTS.to_owned(),
        (None, Some(key)) => format!("~{}", foreign::bytes(key)),
        (None, None) => "~..".to_owned(),
    };
    let user = node.config().user();
    Some(format!("`ACL SETUSER {user} {rule}` permits it"))
}

/// Returns whether the server does not know the command.
pub(crate) fn is_unknown(error: &node::Error) -> bool {
    let says = |text| details(error).starts_with(text);
    // The rest is of a script that calls it.
    error.code() == Some("ERR")
        && (says("unknown command") || says("Unknown Redis command called") || says("Unknown command called"))
}

/// Returns whether a script was not let run a command, which is an error of the script.
pub(crate) fn is_denied_in_script(error: &node::Error) -> bool {
    // Before Redis 7.0 the text has the place in the script before it.
    let says = |text| details(error).contains(text);
    error.code() == Some("ERR")
        && (says("ACL failure in script") || says("The user executing the script can"))
}

fn details(error: &node::Error) -> &str {
    match error.kind() {
        node::ErrorKind::Server(reply) => reply.details(),
        _ => "",
    }
}

/// The command that a server does not let this user run: `.. has no permissions to run the 'restore' command`.
fn command(details: &str) -> Option<&str> {
    let (_, rest) = details.split_once("run the ")?;
    rest.trim_start_matches('\'').split('\'').next()
}

#[cfg(test)]
mod tests {
    use redisdb_node::NodeConfig;

    use super::*;

    fn error(text: &str) -> node::Error {
        let reply = redis::parse_redis_value(format!("-{text}\r\n").as_bytes()).unwrap();
        Node::new(NodeConfig::new("redis://app:secret@h").unwrap()).accept("DUMP", reply).unwrap_err()
    }

    #[test]
    fn what_a_script_was_not_let_do_is_mended_by_what_it_calls() {
        for (text, rule) in [
            (
                "ERR ACL failure in script: User app has no permissions to run the 'pexpire' command script: da05f454, on \
                 @user_script:1.",
                "+pexpire",
            ),
            (
                "ERR The user executing the script can't run this command or subcommand script: da05f454, on @user_script:1.",
                IN_SCRIPTS,
            ),
            (
                "ERR Error running script (call to f_da05f454): @user_script:1: @user_script: 1: The user executing the \
                 script can't run this command or subcommand",
                IN_SCRIPTS,
            ),
        ] {
            let node = Node::new(NodeConfig::new("redis://app:secret@h").unwrap());
            let mends = mending(&node, &error(text), None).unwrap();
            assert_eq!(mends, format!("`ACL SETUSER app {rule}` permits it"), "{text}");
        }
    }

    #[test]
    fn a_denied_command_is_told_from_a_denied_key_whatever_the_version() {
        for (text, key, rule) in [
            (
                "NOPERM this user has no permissions to run the 'restore' command or its subcommand",
                false,
                "+restore",
            ),
            ("NOPERM this user has no permissions to run the 'memory|usage' command", false, "+memory|usage"),
            ("NOPERM User app has no permissions to run the 'restore' command", false, "+restore"),
            (
                "NOPERM this user has no permissions to access one of the keys used as arguments",
                true,
                "~my key",
            ),
            ("NOPERM No permissions to access a key", true, "~my key"),
            (
                "NOPERM this user has no permissions to access one of the channels used as arguments",
                false,
                "&__redisdb:changes",
            ),
            ("NOPERM No permissions to access a channel", false, "&__redisdb:changes"),
        ] {
            let error = error(text);
            assert!(is_denied(&error));
            assert_eq!(is_denied_key(&error), key, "{text}");
            let node = Node::new(NodeConfig::new("redis://app:secret@h").unwrap());
            let mends = mending(&node, &error, Some(b"my key")).unwrap();
            assert_eq!(mends, format!("`ACL SETUSER app {rule}` permits it"));
        }
        let unknown = error("ERR unknown command 'RESTORE', with args beginning with: ");
        assert!(is_denied(&unknown) && !is_denied_key(&unknown));
        assert!(!is_denied(&error("WRONGTYPE Operation against a key holding the wrong kind of value")));
    }
}

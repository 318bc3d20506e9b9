//! The parser of a configuration file: from its text to a topology, and from a mistake to its line. No error shows anything
//! of the text, which may hold a password.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use toml::de::DeTable;

use super::ConfigError;
use super::Strategy;
use super::TopologyConfig;
use super::written::NODES;
use super::written::Problem;
use super::written::Written;
use crate::builder::CopyBuilder;
use crate::builder::RingBuilder;

pub(super) fn from_toml(text: &str) -> Result<TopologyConfig, ConfigError> {
    let written: Written = toml::from_str(text).map_err(|error| ConfigError::Syntax {
        line: error.span().map(|span| line(text, span.start)),
        reason: told(error.message()),
    })?;
    checked(written).map_err(|problem| wrong(text, in_toml(text, &problem), &problem))
}

pub(super) fn from_json(text: &str) -> Result<TopologyConfig, ConfigError> {
    let written: Written = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        ConfigError::Syntax { line: Some(error.line()), reason: told(message) }
    })?;
    checked(written).map_err(|problem| wrong(text, in_json(text, &problem), &problem))
}

/// Returns the topology, if a ring or a copy can be built of it: only here the line of a mistake is known.
fn checked(written: Written) -> Result<TopologyConfig, Problem> {
    let config = TopologyConfig::try_from(written)?;
    let built = match config.strategy {
        Strategy::Ring => RingBuilder::from_config(config.clone()).and_then(|ring| ring.plan().map(drop)),
        Strategy::Copy => CopyBuilder::from_config(config.clone()).and_then(|copy| copy.plan().map(drop)),
    };
    match built {
        Ok(()) => Ok(config),
        Err(error) => Err(Problem::of_building(&config, &error)),
    }
}

fn wrong(text: &str, at: Option<usize>, problem: &Problem) -> ConfigError {
    ConfigError::Syntax { line: at.map(|at| line(text, at)), reason: problem.reason.clone() }
}

/// Returns the line of a byte, counted from 1.
fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// Returns the byte at which a problem is in a TOML text.
fn in_toml(text: &str, problem: &Problem) -> Option<usize> {
    let root = DeTable::parse(text).ok()?;
    let key = |table: &DeTable<'_>, name: &str| {
        table.iter().find(|(key, _)| key.get_ref() == name).map(|(key, _)| key.span().start)
    };
    let Some(i) = problem.node else {
        return problem.settings.iter().find_map(|name| key(root.get_ref(), name));
    };
    let nodes = root.get_ref().iter().find(|(key, _)| is_nodes(key.get_ref()))?.1;
    let node = nodes.get_ref().as_array()?.get(i)?;
    let setting = |table| problem.settings.iter().find_map(|name| key(table, name));
    node.get_ref().as_table().and_then(setting).or(Some(node.span().start))
}

/// Returns the byte at which a problem is in a JSON text.
fn in_json(text: &str, problem: &Problem) -> Option<usize> {
    let at = |raw: &RawValue| (raw.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize);
    let table = |text| serde_json::from_str::<BTreeMap<String, &RawValue>>(text).ok();
    let root = table(text)?;
    let Some(i) = problem.node else {
        return problem.settings.iter().find_map(|name| at(root.get(name)?));
    };
    let nodes = root.iter().find(|(key, _)| is_nodes(key))?.1;
    let nodes: Vec<&RawValue> = serde_json::from_str(nodes.get()).ok()?;
    let node = nodes.get(i)?;
    let setting =
        |table: BTreeMap<String, &RawValue>| problem.settings.iter().find_map(|name| at(table.get(name)?));
    table(node.get()).and_then(setting).or_else(|| at(node))
}

fn is_nodes(key: &str) -> bool {
    NODES.contains(&key)
}

/// Returns a parser's message without what it quotes of the text.
fn told(message: &str) -> String {
    let what = match message.split_once(' ') {
        Some(("invalid", rest)) if rest.starts_with("type") => "this is of the wrong type",
        Some(("invalid", rest)) if rest.starts_with("value") || rest.starts_with("length") => {
            "this value cannot stand here"
        }
        Some(("unknown", rest)) if rest.starts_with("field") => "this setting is not known",
        Some(("unknown", rest)) if rest.starts_with("variant") => "this name is not known",
        Some(("unexpected", rest)) if rest.starts_with("keys") => "this setting is not known",
        _ => return message.to_owned(),
    };
    // The quotation may hold these words; the list of what was expected does not.
    let expected = message.rsplit_once(", expected ").or_else(|| message.rsplit_once(", available keys: "));
    match expected {
        Some((_, expected)) => format!("{what}; expected {expected}"),
        None => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, wanted_line: usize, wanted: &str) {
        let found = if text.trim_start().starts_with('{') { from_json(text) } else { from_toml(text) };
        let Err(ConfigError::Syntax { line, reason }) = found else { panic!("{text}: {found:?}") };
        assert_eq!(line, Some(wanted_line), "{text}: {reason}");
        assert!(reason.contains(wanted), "{text}: {reason}");
        assert!(!reason.contains("hunter2") && !reason.contains("8675309"), "{reason}");
    }

    const RING: &str = "strategy = \"ring\"\n";
    const COPY: &str = "strategy = \"copy\"\n";
    const A: &str = "[[nodes]]\nname = \"a\"\nurl = \"redis://h1\"\n";

    #[test]
    fn an_error_names_its_line() {
        check(
            &format!("{RING}{A}[[nodes]]\nname = \"b\"\nurl = \"redis://h2\"\nwieght = 2\n"),
            8,
            "setting is not known",
        );
        check(
            &format!("{RING}{A}[[nodes]]\nname = \"b\"\nurl = \"redis://h2:99999\"\n"),
            7,
            "node `b`: the URL cannot be read",
        );
        check(
            &format!("{RING}{A}[[nodes]]\nname = \"b\"\nurl = \"redis://h2\"\nweight = 0\n"),
            8,
            "the weight is 0",
        );
        check(&format!("{RING}{A}[[nodes]]\nname = \"b\"\n"), 5, "missing field `url`");
        check(
            &format!("{RING}{A}[[nodes]]\nname = \"a\"\nurl = \"redis://h2\"\n"),
            6,
            "another node has this name",
        );
        check(&format!("{RING}layuot = \"xxh3\"\n{A}"), 2, "setting is not known");
        check("\n\nstrategy = \"circle\"\nnodes = []\n", 3, "`ring`");
        check("strategy = \"ring\"\nnodes = [\n  \"redis://h\",\n  5,\n]\n", 4, "expected a table");
        check(&format!("{RING}{A}[[nodes]]\nurl = \"redis://h\"\npassword = \"hunter2\n"), 7, "");
        check(
            "{\n\"strategy\": \"ring\",\n\"nodes\": [\n{\"url\": \"redis://h\"},\n{\"url\": \"redis://i\",\n\"weight\": 0}]}",
            6,
            "weight is 0",
        );
        check(
            "{\n\"strategy\": \"ring\",\n\"nodes\": [\n{\"url\": \"redis://h\"},\n{\"url\": 5}]}",
            5,
            "expected a string",
        );
        check("{\n\"strategy\": \"ring\",\n\"identity\": \"x\",\n\"nodes\": []}", 3, "a setting of a copy");
    }

    #[test]
    fn what_cannot_be_meant_is_an_error() {
        for setting in [
            "write_to = \"all\"",
            "write_to = \"any\"",
            "read_from = \"any\"",
            "on_return = \"wait\"",
            "on_conflict = \"tell\"",
            "on_difference = \"leave\"",
            "identity = \"x\"",
        ] {
            check(&format!("{RING}{setting}\n{A}"), 2, "a setting of a copy");
        }
        for setting in ["on_down = \"fail\"", "layout = \"xxh3\"", "allow_colocated = true"] {
            check(&format!("{COPY}{setting}\n{A}"), 2, "a setting of a ring");
        }
        for setting in ["connect_timeout_ms", "response_timeout_ms"] {
            check(&format!("{RING}{setting} = 0\n{A}"), 2, "it is 0");
            check(&format!("{RING}{A}{setting} = 0\n"), 5, "is 0");
        }
        for setting in ["max_in_flight", "max_reply", "max_dedicated"] {
            check(&format!("{RING}{A}{setting} = 0\n"), 5, "is 0");
        }
        let node = |url: &str, more: &str| format!("{RING}[[nodes]]\nurl = \"{url}\"\n{more}\n");
        check(&node("redis://:hunter2@h", "password = \"p\""), 4, "given twice");
        check(&node("redis://u:hunter2@h", "username = \"u\""), 4, "given twice");
        check(&node("redis://u:hunter2@h?pass=p", ""), 3, "given twice");
        check(&node("redis://h", "username = \"hunter2\""), 4, "a user and no password");
        check(&node("redis://h", "sentinel_password = \"hunter2\""), 4, "`redis+sentinel://`");
        check(&node("redis://h", "name = \"\""), 4, "the name is empty");
        check(&node("hunter2@h", ""), 3, "no scheme");
    }

    #[test]
    fn what_nothing_can_be_built_of_is_an_error_with_its_line() {
        const B: &str = "[[nodes]]\nname = \"b\"\nurl = \"redis://h2\"\n";
        for (setting, wanted) in [
            ("write_to = { at_least = 3 }", "3 nodes must take a write, but there are 2"),
            ("write_to = { at_least = 0 }", "0 nodes must take a write"),
            ("on_return = { repair = { keys_per_second = 0 } }", "`keys_per_second` is 0"),
            ("on_conflict = { prefer = [\"a\", \"typo\"] }", "`on_conflict`: there is no node `typo`"),
            ("on_conflict = { prefer = [] }", "`on_conflict`: it prefers no node"),
            ("identity = \"\"", "`identity`: it is empty"),
        ] {
            check(&format!("{COPY}\n{setting}\n{A}{B}"), 3, wanted);
        }
        for (setting, wanted) in [
            ("on_down = { failover = { ttl_cap_ms = 0 } }", "`ttl_cap` is 0"),
            ("on_down = { remap = { on_return = { flush_prefix = \"\" } } }", "the prefix is empty"),
        ] {
            check(&format!("{RING}\n{setting}\n{A}{B}"), 3, wanted);
        }
        for start in [RING, COPY] {
            check(
                &format!("{start}{A}{B}[[nodes]]\nurl = \"redis://h1:6379/0\"\n"),
                9,
                "`a` and `h1:6379` are the same",
            );
            check(&format!("{start}\nnodes = []\n"), 3, "at least one node");
            check(&format!("{start}\nservers = []\n"), 3, "at least one node");
        }
        check(&format!("{RING}{A}weight = 4000000000\n{B}"), 2, "points");
        check(&format!("{RING}{A}weight = -0.5\n{B}"), 5, "not a positive number");
        check(&format!("{RING}{A}weight = nan\n{B}"), 5, "not a positive number");
        check("{\"strategy\": \"copy\",\n\"write_to\": \"all\",\n\"nodes\": []}", 3, "at least one node");
        check("{\"strategy\": \"copy\",\n\"nodes\": [\"redis://h\"],\n\"identity\": \"\"}", 3, "it is empty");
        #[cfg(feature = "layouts")]
        check(&format!("{RING}{A}[labels]\ntypo = \"x\"\n"), 5, "there is no node `typo`");
    }

    #[test]
    fn nothing_of_the_text_is_shown() {
        for text in [
            "strategy = \"ring\"\nnodes = \"redis://:hunter2@h, expected x\"",
            "strategy = \"ring\"\nnodes = [[\"redis://:hunter2@h\"]]",
            "strategy = \"hunter2\"\nnodes = []",
            "strategy = \"ring\"\nhunter2 = 1\nnodes = []",
            "strategy = \"ring\"\nlayout = \"hunter2\"\nnodes = []",
            "strategy = \"copy\"\non_return = { repair = { hunter2 = 9 } }\nnodes = []",
            "strategy = \"copy\"\non_conflict = { hunter2 = [\"a\"] }\nnodes = []",
            "strategy = \"copy\"\non_conflict = { prefer = \"hunter2\" }\nnodes = []",
            "strategy = \"ring\"\nhash_tag = \"hunter2\"\nnodes = []",
            "strategy = \"ring\"\n[[nodes]]\nurl = \"redis://h\"\npassword = 8675309",
            "strategy = \"ring\"\n[[nodes]]\nurl = \"redis://h\"\npassword = hunter2",
            "strategy = \"ring\"\n[[nodes]]\nurl = \"redis://h\"\npassword = \"hunter2",
            "strategy = \"ring\"\n[[nodes]]\nurl = \"redis://h\"\nweight = \"hunter2\"",
            "strategy = \"ring\"\n[[nodes]]\nurl = \"redis://h\"\nweight = -8675309",
            "{\"strategy\": \"ring\", \"nodes\": \"redis://:hunter2@h\"}",
            "{\"strategy\": \"ring\", \"hunter2\": 1}",
            "{\"strategy\": \"ring\", \"nodes\": [{\"url\": \"redis://h\", \"password\": 8675309}]}",
            "{\"strategy\": \"ring\", \"nodes\": [{\"url\": \"redis://h\", \"password\": hunter2}]}",
        ] {
            let error = if text.starts_with('{') { from_json(text) } else { from_toml(text) }.unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2") && !shown.contains("8675309"), "{shown}");
        }
    }

    #[cfg(feature = "layouts")]
    #[test]
    fn entries_of_twemproxy_are_nodes() {
        let config = from_toml(
            "strategy = \"ring\"\nlayout = \"twemproxy\"\nhash_tag = \"{}\"\nnodes = [\"10.0.0.1:6379:1 alpha\", \
             \"10.0.0.2:6379:2\"]",
        )
        .unwrap();
        let nodes: Vec<_> = config.nodes.iter().map(|node| (node.name(), node.weight())).collect();
        assert_eq!(nodes, [("alpha", 1.0), ("10.0.0.2:6379", 2.0)]);
        check("strategy = \"ring\"\nnodes = [\"10.0.0.1:6379:1 alpha\"]", 2, "no scheme");
    }
}

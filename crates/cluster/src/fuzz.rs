//! What a fuzzer does with a configuration. `fuzz/` calls it, and so does a test below, with the same corpus.

use serde_json::Value;

use crate::config::TopologyConfig;

#[cfg(test)]
#[path = "../../../fuzz/inputs.rs"]
mod inputs;

/// What stands for a secret in a text: a word, and a number, which is what a password without quotes is.
const SECRETS: [&str; 2] = ["hunter2", "8675309"];

/// Reads any text as a configuration, as TOML and as JSON. Whatever it is, the outcome is a configuration or an error, never a
/// panic; a configuration that was written is read again as the same; and a secret is shown by neither of them, unless it
/// stands where a name or an address does.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let secrets = || SECRETS.into_iter().filter(|secret| text.contains(secret));
    let parsed = [toml::from_str(&text).ok(), serde_json::from_str(&text).ok()];
    let read = [TopologyConfig::from_toml(&text), TopologyConfig::from_json(&text)];
    for (parsed, read) in parsed.iter().zip(read) {
        let shown = match &read {
            Ok(config) => format!("{config:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        for secret in secrets() {
            let may_be_shown =
                parsed.as_ref().is_some_and(|parsed| is_open(parsed, "", secret, read.is_ok()));
            assert!(may_be_shown || !shown.contains(secret), "{shown}");
        }
        if let Ok(config) = read {
            let written = |config: &TopologyConfig| serde_json::to_string(config).unwrap_or_default();
            let first = written(&config);
            let again = TopologyConfig::from_json(&first);
            assert_eq!(again.map(|config| written(&config)), Ok(first));
        }
    }
}

/// Returns whether a secret stands at a place that is shown: in an address, or in a name that looks like none
/// with a password. In a configuration that was read, any field other than a password is such a place.
fn is_open(value: &Value, setting: &str, secret: &str, is_read: bool) -> bool {
    match value {
        Value::Object(fields) if setting == "labels" => fields
            .keys()
            .any(|name| is_open_in_url(name, secret, is_read) || is_read && name.contains(secret)),
        Value::Object(fields) => fields.iter().any(|(name, value)| is_open(value, name, secret, is_read)),
        Value::Array(items) => items.iter().any(|item| is_open(item, setting, secret, is_read)),
        Value::String(text) => match setting {
            "password" | "sentinel_password" => false,
            // Of twemproxy's servers a name stands in the same text.
            "nodes" | "servers" if is_read && !text.contains("://") => text.contains(secret),
            "name" | "prefer" if is_read => text.contains(secret),
            "nodes" | "servers" if !text.contains("://") => {
                let name = text.trim().rsplit_once(' ').map_or("", |(_, name)| name);
                is_open_in_url(text, secret, is_read) || is_open_in_url(name, secret, is_read)
            }
            "name" | "prefer" | "url" | "nodes" | "servers" => is_open_in_url(text, secret, is_read),
            _ => is_read && text.contains(secret),
        },
        number => is_read && number.to_string().contains(secret),
    }
}

fn is_open_in_url(url: &str, secret: &str, is_read: bool) -> bool {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    // In the path of these an `@` is one as any other.
    let has_path = scheme.contains("unix") || scheme.contains("sentinel");
    let end = if has_path { rest.find('/').unwrap_or(rest.len()) } else { rest.len() };
    let at = rest.get(..end).and_then(|authority| authority.rfind('@'));
    let (credentials, place) = at.and_then(|at| rest.split_at_checked(at)).unwrap_or(("", rest));
    let mut names = query.split('&').filter_map(|pair| pair.split('=').next());
    scheme.contains(secret)
        || place.contains(secret)
        || names.any(|name| name.contains(secret))
        || is_read && credentials.split(':').next().is_some_and(|user| user.contains(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One text of each kind that there is.
    fn seeds() -> Vec<(String, Vec<u8>)> {
        const RING: &str = "strategy = \"ring\"\n";
        const COPY: &str = "strategy = \"copy\"\n";
        const NODES: &str = "[[nodes]]\nname = \"a\"\nurl = \"redis://u:hunter2@h1\"\nweight = 2\n\
            [[nodes]]\nname = \"b\"\nurl = \"redis://h2:6380/1\"\npassword = \"hunter2\"\n";
        let toml = [
            ("ring", format!("{RING}response_timeout_ms = 250\n{NODES}")),
            ("ring-failover", format!("{RING}on_down = {{ failover = {{ ttl_cap_ms = 60000 }} }}\n{NODES}")),
            (
                "ring-remap",
                format!(
                    "{RING}on_down = {{ remap = {{ on_return = {{ flush_prefix = \"app:\" }} }} }}\n{NODES}"
                ),
            ),
            (
                "copy",
                format!(
                    "{COPY}write_to = {{ at_least = 2 }}\nread_from = \"any\"\non_return = \"wait\"\nidentity = \"x\"\n\
                     {NODES}"
                ),
            ),
            ("copy-repair", format!("{COPY}on_return = {{ repair = {{ keys_per_second = 9 }} }}\n{NODES}")),
            ("copy-prefer", format!("{COPY}on_conflict = {{ prefer = [\"b\", \"a\"] }}\n{NODES}")),
            ("texts", format!("{RING}nodes = [\"redis://:hunter2@h1\", \"unix:///run/s?pass=hunter2\"]\n")),
            (
                "sentinels",
                format!(
                    "{COPY}[[nodes]]\nurl = \"redis+sentinel://:hunter2@h1:1,[::1]/my?sentinel_password=hunter2\"\n\
                     [[nodes]]\nurl = \"redis+sentinel://h3/my/2\"\nsentinel_password = \"hunter2\"\n"
                ),
            ),
            (
                "all-of-a-node",
                format!(
                    "{RING}[[nodes]]\nurl = \"redis://h\"\nusername = \"u\"\npassword = \"hunter2\"\ndb = 3\n\
                     connect_timeout_ms = 9\nprobe_interval_ms = 0\nmax_in_flight = 9\nmax_reply = 99\nmax_dedicated = 1\n"
                ),
            ),
            (
                "layout",
                format!(
                    "{RING}layout = \"twemproxy\"\nhash_tag = \"{{}}\"\nservers = [\"10.0.0.1:6379:1 alpha\"]\n"
                ),
            ),
            ("labels", format!("{RING}layout = \"ketama\"\n{NODES}[labels]\na = \"h1:11211\"\n")),
            (
                "password-in-a-name",
                format!(
                    "{RING}layout = \"twemproxy\"\nservers = [\"h:1:1 /:hunter2@h\", \"h:2:0 /:hunter2@h\"]\n"
                ),
            ),
            (
                "password-in-a-name-twice",
                format!(
                    "{RING}layout = \"twemproxy\"\nservers = [\"h:1:1 /:hunter2@h\", \"i:2:1 /:hunter2@h\"]\n"
                ),
            ),
            (
                "password-in-names-of-one-server",
                format!(
                    "{RING}layout = \"twemproxy\"\nservers = [\"h:1:1 u:hunter2@a\", \"h:1:1 u:hunter2@b\"]\n"
                ),
            ),
            (
                "password-in-a-name-without-weight",
                format!(
                    "{RING}layout = \"ketama\"\n{NODES}[[nodes]]\nname = \"x?pass=hunter2\"\nurl = \"redis://h3\"\nweight = 0\n"
                ),
            ),
            (
                "password-in-a-label",
                format!(
                    "{RING}layout = \"ketama\"\n{NODES}[labels]\n\"redis://:hunter2@h\" = \"h1:11211\"\n"
                ),
            ),
            ("password-is-a-number", format!("{RING}[[nodes]]\nurl = \"redis://h\"\npassword = 8675309\n")),
            (
                "password-without-quotes",
                format!("{RING}[[nodes]]\nurl = \"redis://h\"\npassword = hunter2\n"),
            ),
            ("password-without-end", format!("{RING}[[nodes]]\nurl = \"redis://h\"\npassword = \"hunter2\n")),
            (
                "password-as-a-list",
                format!("{RING}[[nodes]]\nurl = \"redis://h\"\npassword = [\"hunter2\"]\n"),
            ),
            (
                "password-twice",
                format!("{RING}[[nodes]]\nurl = \"redis://:hunter2@h\"\npassword = \"hunter2\"\n"),
            ),
            ("password-with-a-slash", format!("{RING}nodes = [\"redis://:hunter2/x@h\"]\n")),
            ("user-without-password", format!("{RING}nodes = [\"redis://hunter2@h\"]\n")),
            ("nodes-as-a-text", format!("{RING}nodes = \"redis://:hunter2@h, expected x\"\n")),
            ("unknown-setting", format!("{RING}hunter2 = 8675309\n{NODES}")),
            ("unknown-name", "strategy = \"hunter2\"\nnodes = []\n".to_owned()),
            ("same-server", format!("{RING}nodes = [\"redis://:hunter2@h\", \"redis://h:6379/0\"]\n")),
        ];
        let json = [
            (
                "json-ring",
                "{\"strategy\": \"ring\", \"nodes\": [{\"url\": \"redis://:hunter2@h\", \"weight\": 2}, \"redis://i\"]}",
            ),
            (
                "json-copy",
                "{\"strategy\": \"copy\", \"write_to\": \"all\", \"nodes\": [{\"url\": \"redis://h\", \"password\": \
                 \"hunter2\"}]}",
            ),
            (
                "json-number",
                "{\"strategy\": \"ring\", \"nodes\": [{\"url\": \"redis://h\", \"password\": 8675309}]}",
            ),
            (
                "json-bare",
                "{\"strategy\": \"ring\", \"nodes\": [{\"url\": \"redis://h\", \"password\": hunter2}]}",
            ),
            ("json-unknown", "{\"strategy\": \"ring\", \"hunter2\": 1}"),
            ("json-escaped", "{\"strategy\": \"r\\u0069ng\", \"nodes\": [\"redis://:hunter2@\\u001b[2J\"]}"),
        ];
        let deep = [("deep", "a=".to_owned() + &"[".repeat(4000)), ("json-deep", "[".repeat(4000))];
        let json = json.into_iter().map(|(name, text)| (name, text.to_owned()));
        let texts = toml.into_iter().chain(json).chain(deep);
        texts.map(|(name, text)| (name.to_owned(), text.into_bytes())).collect()
    }

    #[test]
    fn the_corpus_has_a_text_of_every_kind() {
        inputs::assert_in_corpus("config", seeds());
    }

    #[test]
    fn every_text_of_the_corpus_is_a_configuration_or_an_error_without_a_secret() {
        inputs::try_corpus("config", config);
    }

    #[test]
    fn so_is_every_other_text() {
        inputs::try_others("config", 3000, config);
    }

    #[test]
    fn a_secret_may_be_shown_where_a_name_is_meant_and_nowhere_else() {
        let check = |text: &str, expected| {
            assert_eq!(is_open(&toml::from_str(text).unwrap(), "", "hunter2", false), expected, "{text}");
        };
        check("[[nodes]]\nname = \"hunter2\"", true);
        check("nodes = [\"redis://:p@hunter2\"]", true);
        check("[on_conflict]\nprefer = [\"hunter2\"]", true);
        check("[on_conflict]\nprefer = [\"redis://:hunter2@h\"]", false);
        check("[labels]\nhunter2 = \"x\"", true);
        check("[[nodes]]\npassword = \"hunter2\"", false);
        check("[[nodes]]\nname = \"redis://:hunter2@h\"", false);
        check("servers = [\"10.0.0.1:1:1 /:hunter2@h\"]", false);
        check("servers = [\"h:1:1 hunter2\", \"a?=@:1:1 hunter2\"]", true);
        check("nodes = [\"redis://:hunter2@h?pass=hunter2\"]", false);
        check("hunter2 = 1\nidentity = \"hunter2\"", false);
    }
}

//! Names, defaults and figures on the pages are those of the code: a constant that changes alone is noticed.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use redisdb::node::Bound;
use redisdb::node::ConfigError;
use redisdb::node::Error;
use redisdb::node::ErrorKind;

/// A file, with each run of white space as one space, so that it does not matter where its lines end.
fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| line.trim_start_matches([' ', '/', '!'])).collect::<Vec<_>>().join(" ")
}

/// A page says this, and it comes from there, as the code has it.
fn check(page: &str, says: &str, code: &str, has: &str) {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&file(page)).contains(says), "{page} does not say: {says}\nwhich comes from {code}: {has}");
    assert!(words(&file(code)).contains(has), "{code} does not have: {has}\nof which {page} says: {says}");
}

#[test]
fn the_figures_of_one_node_are_those_of_the_code() {
    const CONFIG: &str = "crates/node/src/config.rs";
    for (says, has) in [
        (
            "Default 1 second. #[must_use] pub fn with_connect_timeout",
            "CONNECT_TIMEOUT: Duration = Duration::from_secs(1)",
        ),
        (
            "Default 1 second. #[must_use] pub fn with_response_timeout",
            "RESPONSE_TIMEOUT: Duration = Duration::from_secs(1)",
        ),
        ("zero is never. Default 1 second.", "PROBE_INTERVAL: Duration = Duration::from_secs(1)"),
        ("Default 5,000.", "MAX_IN_FLIGHT: usize = 5_000"),
        ("Default 512 MiB.", "MAX_REPLY: usize = 512 << 20"),
        ("Default 64.", "MAX_DEDICATED: usize = 64"),
    ] {
        check(CONFIG, says, CONFIG, has);
    }
    const ERRORS: &str = "docs/errors.md";
    for (says, has) in [
        ("as the node takes, 5,000 by default", "MAX_IN_FLIGHT: usize = 5_000"),
        ("are in use, 64 by default", "MAX_DEDICATED: usize = 64"),
        ("`max_reply`, 512 MiB by default", "MAX_REPLY: usize = 512 << 20"),
    ] {
        check(ERRORS, says, CONFIG, has);
    }
    for (says, file, has) in [
        (
            "again in the background, soon at first, then every second.",
            "connection/breaker",
            "LONGEST_PAUSE: Duration = Duration::from_secs(1)",
        ),
        (
            "and the like it is tried after 1 s, 2 s, .. up to 30 s",
            "connection/breaker",
            "LONGEST_LONG_PAUSE: Duration = Duration::from_secs(30)",
        ),
        (
            "and the like it is tried after 1 s, 2 s, .. up to 30 s",
            "connection/breaker",
            "FIRST_LONG_PAUSE: Duration = Duration::from_secs(1)",
        ),
        (
            "A server that comes and goes is left alone for 1 s, 4 s, .. up to 30 s",
            "connection/breaker",
            "FIRST_REST: Duration = Duration::from_secs(1)",
        ),
        (
            "until it has been well for a minute",
            "connection/breaker",
            "WELL_AFTER: Duration = Duration::from_secs(60)",
        ),
        ("outcome is unknown | twice |", "retry", "READ: u32 = 2"),
        ("| once | on the same node |", "retry", "IDEMPOTENT: u32 = 1"),
        ("`TRYAGAIN` or `CLUSTERDOWN` | three times |", "retry", "REJECTED: u32 = 3"),
        (
            "a random part of 10 ms, then of 20 ms and of 40 ms passes",
            "retry",
            "FIRST_PAUSE: Duration = Duration::from_millis(10)",
        ),
        ("calls 20 % are repeated at most", "retry", "PER_CALL: f64 = 0.2"),
        ("and 10 in a second besides", "retry", "PER_SECOND: f64 = 10.0"),
        ("what is left of that is kept, up to 100", "retry", "MOST: f64 = 10.0 * Self::PER_SECOND"),
        ("in each of 100 attempts", "sessions/transaction", "ATTEMPTS: u32 = 100"),
    ] {
        check(ERRORS, says, &format!("crates/node/src/{file}.rs"), has);
    }
}

#[test]
fn the_figures_of_the_cache_are_those_of_the_code() {
    const PAGE: &str = "crates/cache/README.md";
    check(PAGE, "for 5 minutes, the default", "crates/cache/src/ttl.rs", "After(Duration::from_secs(300))");
    check(PAGE, "in an envelope of 25 bytes", "crates/cache/src/entry/envelope.rs", "HEADER: usize = 17");
    check(PAGE, "in an envelope of 25 bytes", "crates/cache/src/entry/envelope.rs", "CHECKSUM: usize = 8");
    const BUILDER: &str = "crates/cache/src/builder.rs";
    const SETTINGS: &str = "crates/cache/src/settings.rs";
    check(BUILDER, "Default: 1. pub fn version", BUILDER, "version: 1, }");
    check(BUILDER, "Default: 32 MiB.", BUILDER, "max_decoded_len: 32 << 20");
    for (says, has) in [
        ("Default: 5 minutes.", "default_ttl: Ttl::FIVE_MINUTES"),
        ("Default: 64 KiB.", "max_key_len: 64 << 10"),
        ("Default: 8 MiB.", "max_stored_len: 8 << 20"),
        ("0 counts as 1. Default: 1000.", "batch_len: 1000"),
        ("Default: 0, not at all.", "jitter_percent: 0"),
        ("Default: zero, it goes when its time is over.", "grace: Duration::ZERO"),
        ("left alone after it failed. Default: 30 seconds.", "refresh_pause: Duration::from_secs(30)"),
        ("notes that there is no value. Default: zero", "negative_ttl: Duration::ZERO"),
        ("before it is stopped. Default: 30 seconds.", "load_timeout: Duration::from_secs(30)"),
    ] {
        check(BUILDER, says, SETTINGS, has);
    }
    check(
        "crates/cache/src/sweep.rs",
        "0 counts as 1. Default: 1000.",
        "crates/cache/src/sweep.rs",
        "STEP: u32 = 1000",
    );
}

#[test]
fn the_figures_of_the_page_of_the_cache_are_those_of_the_code() {
    const PAGE: &str = "docs/cache.md";
    for (says, file, has) in [
        (
            "The envelope has 17 bytes before the payload and 8 behind.",
            "entry/envelope",
            "HEADER: usize = 17",
        ),
        (
            "The envelope has 17 bytes before the payload and 8 behind.",
            "entry/envelope",
            "CHECKSUM: usize = 8",
        ),
        ("nested more than 127 deep", "codec/bounded", "MAX_LEVELS: u8 = 127"),
        ("more than 255 `Some`s and newtypes inside each other", "codec/bounded", "MAX_WRAPPERS: u8 = 255"),
        ("more than 4,096 elements that take no bytes", "codec/bounded", "MAX_EMPTY: usize = 4096"),
        ("than `max_unpacked_len`, 128 MiB.", "settings", "max_unpacked_len: 128 << 20"),
        ("At most 10,000 loads are under way at once (`max_loads`)", "settings", "max_loads: 10_000"),
        ("Of each kind one in a second is a warning", "event", "PAUSE: Duration = Duration::from_secs(1)"),
        ("`redisdb_cache_load_seconds`", "stats", "\"redisdb_cache_load_seconds\""),
    ] {
        check(PAGE, says, &format!("crates/cache/src/{file}.rs"), has);
    }
    const FOREIGN: &str = "crates/node/src/error/foreign.rs";
    check(PAGE, "the key, escaped and cut after 64 bytes", FOREIGN, "LONGEST_WORD: usize = 64");
    check("SECURITY.md", "Of a key, at most 64 bytes are.", FOREIGN, "LONGEST_WORD: usize = 64");
}

#[test]
fn the_figures_of_the_metrics_are_those_of_the_code() {
    for name in ["calls_total", "call_seconds", "calls_in_flight", "calls_repeated_total"] {
        let (says, has) = (format!("`redisdb_{name}`"), format!("\"redisdb_{name}\""));
        check("crates/node/README.md", &says, "crates/node/src/metrics.rs", &has);
    }
    const SUPERVISOR: &str = "crates/cluster/src/membership/supervisor.rs";
    let (says, has) = ("`redisdb_copy_missed_keys`", "\"redisdb_copy_missed_keys\"");
    check("crates/cluster/README.md", says, SUPERVISOR, has);
}

#[test]
fn the_figures_of_sessions_are_those_of_the_code() {
    const PAGE: &str = "docs/sessions.md";
    for (says, file, has) in [
        ("when it has 1000 commands or 1 MiB", "pipeline/batch", "MOST_COMMANDS: usize = 1000"),
        ("when it has 1000 commands or 1 MiB", "pipeline/batch", "MOST_BYTES: usize = 1 << 20"),
        ("is run again, up to 100 times", "sessions/transaction", "ATTEMPTS: u32 = 100"),
        ("of which a node has up to 64", "config", "MAX_DEDICATED: usize = 64"),
        ("10,000 events or 64 MiB behind", "sessions/pubsub/queue", "MOST: usize = 10_000"),
        ("10,000 events or 64 MiB behind", "sessions/pubsub/queue", "MOST_BYTES: usize = 64 << 20"),
        ("At 1,000,000 names, or", "sessions/change_feed/queue", "MOST: usize = 1_000_000"),
        ("or 64 MiB of names, an", "sessions/change_feed/queue", "MOST_BYTES: usize = 64 << 20"),
        ("at most 32 beside those of the URL", "connection/sentinel", "MOST_NAMED: usize = 32"),
        ("is 128 bits that the system is asked for", "token", "let mut bits = [0; 16]"),
    ] {
        check(PAGE, says, &format!("crates/node/src/{file}.rs"), has);
    }
    const BATCH: &str = "crates/node/src/pipeline/batch.rs";
    check(PAGE, "sent up to 1000 commands at a time", BATCH, "MOST_COMMANDS: usize = 1000");
    check(
        "SECURITY.md",
        "are 128 bits from the system",
        "crates/node/src/token.rs",
        "let mut bits = [0; 16]",
    );
}

#[test]
fn the_figures_of_a_ring_are_those_of_the_code() {
    const RING: &str = "docs/ring.md";
    const CONFIG: &str = "crates/node/src/config.rs";
    for (says, has) in [
        ("| connect timeout | 1 s |", "CONNECT_TIMEOUT: Duration = Duration::from_secs(1)"),
        ("| response timeout | 1 s |", "RESPONSE_TIMEOUT: Duration = Duration::from_secs(1)"),
        ("(`max_in_flight`) | 5,000 |", "MAX_IN_FLIGHT: usize = 5_000"),
        ("above 5,000 calls under way on one node", "MAX_IN_FLIGHT: usize = 5_000"),
        ("on an idle connection | every second |", "PROBE_INTERVAL: Duration = Duration::from_secs(1)"),
    ] {
        check(RING, says, CONFIG, has);
    }
    const BREAKER: &str = "crates/node/src/connection/breaker.rs";
    for (says, has) in [
        ("| 50 ms, doubled up to 1 s |", "FIRST_PAUSE: Duration = Duration::from_millis(50)"),
        ("| 50 ms, doubled up to 1 s |", "LONGEST_PAUSE: Duration = Duration::from_secs(1)"),
        ("| 1 s, doubled up to 30 s |", "FIRST_LONG_PAUSE: Duration = Duration::from_secs(1)"),
        ("| 1 s, doubled up to 30 s |", "LONGEST_LONG_PAUSE: Duration = Duration::from_secs(30)"),
        ("| 3 in a row, or half of at least 20 within 10 s |", "IN_A_ROW: u32 = 3"),
        ("| 3 in a row, or half of at least 20 within 10 s |", "ENOUGH: u32 = 20"),
        ("| 3 in a row, or half of at least 20 within 10 s |", "WINDOW: Duration = Duration::from_secs(10)"),
        ("| 2 in a row |", "self.unanswered = self.unanswered.min(1)"),
        ("for 1 s when it goes the second time, then 4 s, 16 s, at most 30 s", "4u32.saturating_pow(times)"),
        ("Pauses are a fifth more or less", ".mul_f64(0.8 + 0.4 * jitter"),
    ] {
        check(RING, says, BREAKER, has);
    }
    const OUTAGE: &str = "crates/cluster/src/failover/outage.rs";
    check(RING, "for `ttl_cap` and five seconds after", OUTAGE, "LATE: Duration = Duration::from_secs(5)");
}

#[test]
fn the_figures_of_the_tests_are_those_of_the_code() {
    const PAGE: &str = "docs/testing.md";
    for (says, file, has) in [
        ("while 64 tasks call a ring or a copy", "load", "TASKS: usize = 64"),
        ("some 2500 calls in a second", "load", "PACE: Duration = Duration::from_millis(25)"),
        ("2 s longer than its deadline of 1 s", "tally", "MUCH_TOO_LATE: Duration = Duration::from_secs(3)"),
        ("2 s longer than its deadline of 1 s", "tally", "DEADLINE: Duration = Duration::from_secs(1)"),
        ("took 50 ms more than the deadline", "tally", "TOLERANCE: Duration = Duration::from_millis(50)"),
        ("late by 300 ms or more", "verdict", "SLOW: Duration = Duration::from_millis(300)"),
        ("after three such runs it has failed", "verdict", "RUNS: usize = 3"),
        ("more than a tenth of the calls", "tally", "EXCUSED: usize = 10"),
        ("wants to run every 10 ms", "machine", "BEAT: Duration = Duration::from_millis(10)"),
        ("stops under 7,000 calls", "limits", "CALLS: usize = NodeConfig::MAX_IN_FLIGHT + 2000"),
    ] {
        check(PAGE, says, &format!("tests/it/faults/{file}.rs"), has);
    }
    check(PAGE, "stops under 7,000 calls", "crates/node/src/config.rs", "MAX_IN_FLIGHT: usize = 5_000");
}

/// The promises in the documentation of the public items.
#[test]
fn the_figures_of_the_handles_are_those_of_the_code() {
    for (says, at, file, has) in [
        ("three calls in a row have no answer", "node", "connection/breaker", "IN_A_ROW: u32 = 3"),
        ("Half of 20 or more calls within ten seconds", "node", "connection/breaker", "ENOUGH: u32 = 20"),
        (
            "Half of 20 or more calls within ten seconds",
            "node",
            "connection/breaker",
            "WINDOW: Duration = Duration::from_secs(10)",
        ),
        ("a budget of 20 % of the calls and 10 in a second", "node", "retry", "PER_CALL: f64 = 0.2"),
        ("a budget of 20 % of the calls and 10 in a second", "node", "retry", "PER_SECOND: f64 = 10.0"),
        (
            "and about every minute since",
            "node",
            "connection/clock",
            "EVERY: Duration = Duration::from_secs(60)",
        ),
        ("in batches of 1000 commands or", "pipeline", "pipeline/batch", "MOST_COMMANDS: usize = 1000"),
        ("batches of 1000 commands or 1 MiB", "pipeline", "pipeline/batch", "MOST_BYTES: usize = 1 << 20"),
        ("it is tried up to 100 times", "node/sessions", "sessions/transaction", "ATTEMPTS: u32 = 100"),
        (
            "with pauses of up to 64 ms",
            "node/sessions",
            "sessions/transaction",
            "LONGEST_PAUSE: Duration = Duration::from_millis(64)",
        ),
        (
            "with pauses from 50 ms to 1 s",
            "sessions/pubsub",
            "connection/breaker",
            "FIRST_PAUSE: Duration = Duration::from_millis(50)",
        ),
        (
            "with pauses from 50 ms to 1 s",
            "sessions/pubsub",
            "connection/breaker",
            "LONGEST_PAUSE: Duration = Duration::from_secs(1)",
        ),
        (
            "An idle connection is tested every second",
            "sessions/pubsub",
            "sessions/listener",
            "TEST_EVERY: Duration = Duration::from_secs(1)",
        ),
        ("up to 10,000 events, or", "sessions/pubsub", "sessions/pubsub/queue", "MOST: usize = 10_000"),
        (
            "10,000 events, or 64 MiB, are kept",
            "sessions/pubsub",
            "sessions/pubsub/queue",
            "MOST_BYTES: usize = 64 << 20",
        ),
        (
            "Default 100 milliseconds. pub fn retry_every",
            "sessions/lock",
            "sessions/lock",
            "retry_every: Duration::from_millis(100), wait_at_most: None",
        ),
    ] {
        check(&format!("crates/node/src/{at}.rs"), says, &format!("crates/node/src/{file}.rs"), has);
    }
    for (says, at, file, has) in [
        ("more than 256 events behind", "servers", "event", "KEPT: usize = 256"),
        ("after 100 attempts", "ring", "../../node/src/sessions/transaction", "ATTEMPTS: u32 = 100"),
        (
            "Default: 384 KiB to be read so, 64 KiB to be written so, and 64 MiB for what can only go whole. pub fn dump_up_to",
            "anti_entropy/repair",
            "anti_entropy/value",
            "LARGE: u64 = 64 << 10",
        ),
        (
            "differ for a moment. Default 3.",
            "anti_entropy/verify",
            "anti_entropy/verify",
            "Self { copy, rounds: 3,",
        ),
        (
            "with at most 10,000 keys per second",
            "builder",
            "policy",
            "Self::Repair { keys_per_second: 10_000 }",
        ),
    ] {
        check(&format!("crates/cluster/src/{at}.rs"), says, &format!("crates/cluster/src/{file}.rs"), has);
    }
}

#[test]
fn the_figures_of_a_copy_are_those_of_the_code() {
    const CONFIG: &str = "crates/node/src/config.rs";
    const COPY: &str = "docs/copy.md";
    for (says, has) in [
        ("as long as the response timeout (1 s)", "RESPONSE_TIMEOUT: Duration = Duration::from_secs(1)"),
        (
            "`connect_timeout`, `response_timeout` | 1 s, 1 s |",
            "CONNECT_TIMEOUT: Duration = Duration::from_secs(1)",
        ),
        (
            "`connect_timeout`, `response_timeout` | 1 s, 1 s |",
            "RESPONSE_TIMEOUT: Duration = Duration::from_secs(1)",
        ),
    ] {
        check(COPY, says, CONFIG, has);
    }
    for (says, file, has) in [
        ("compared, at 10,000 keys per second |", "policy", "Self::Repair { keys_per_second: 10_000 }"),
        ("`Repair { keys_per_second: 10_000 }` |", "policy", "Self::Repair { keys_per_second: 10_000 }"),
        (
            "looks at each node every second,",
            "membership/supervisor",
            "CALM: Duration = Duration::from_secs(1)",
        ),
        (
            "four times a second at one that is not up",
            "membership/supervisor",
            "BUSY: Duration = Duration::from_millis(250)",
        ),
        (
            "less often, up to every 30 s",
            "membership/supervisor",
            "LONGEST_PAUSE: Duration = Duration::from_secs(30)",
        ),
        (
            "looked at again a quarter of a second later",
            "membership/supervisor",
            "BUSY: Duration = Duration::from_millis(250)",
        ),
        (
            "when it has changed and every five minutes",
            "membership/supervisor",
            "LOOK_AGAIN: Duration = Duration::from_secs(300)",
        ),
        (
            "and for five minutes at a time",
            "membership/supervisor",
            "LOOK_AGAIN: Duration = Duration::from_secs(300)",
        ),
        (
            "has not got half a second later either",
            "anti_entropy/full_sync",
            "SETTLE: Duration = Duration::from_millis(500)",
        ),
        (
            "that ends midway is replaced after 10 s",
            "membership/lease",
            "LEASE: Duration = Duration::from_secs(10)",
        ),
        (
            "after 10 s without a word it is taken over",
            "membership/lease",
            "LEASE: Duration = Duration::from_secs(10)",
        ),
        ("After five attempts in vain", "membership/supervisor", "IN_VAIN: u32 = 5"),
        (
            "the epoch of the markers | 30 s | a server that missed two",
            "membership/marker",
            "BEAT: Duration = Duration::from_secs(30)",
        ),
        (
            "if the server was away for more than a minute",
            "membership/marker",
            "BEAT: Duration = Duration::from_secs(30)",
        ),
        ("for 3 s at most", "dispatch/failover_read", "RESTART: Duration = Duration::from_secs(3)"),
        (
            "hints about a node on each other server | 100,000",
            "hints/durable",
            "use crate::hints::key_log::MOST_KEYS;",
        ),
        ("`__redisdb:{shop}:missed:b`", "membership/identity", "format!(\"{}missed:{about}\", self.start)"),
        ("keys remembered for a node | 100,000, or", "hints/key_log", "MOST_KEYS: usize = 100_000"),
        ("100,000, or 16 MiB of them", "hints/key_log", "MOST_BYTES: usize = 16 << 20"),
        ("by `DUMP` and `RESTORE` | 64 KiB |", "anti_entropy/value", "LARGE: u64 = 64 << 10"),
        ("compared by their `DUMP` | 384 KiB |", "anti_entropy/value", "DUMPED: u64 = 384 << 10"),
        (
            "Values of more than 384 KiB that have many elements take",
            "anti_entropy/value",
            "DUMPED: u64 = 384 << 10",
        ),
        ("those of up to 384 KiB by their dump", "anti_entropy/value", "DUMPED: u64 = 384 << 10"),
        ("cannot goes whole up to 64 MiB", "anti_entropy/value", "WHOLE: u64 = 64 << 20"),
        ("those of more than 64 KiB (`dump_up_to`)", "anti_entropy/value", "LARGE: u64 = 64 << 10"),
        ("of more than 64 KiB of the server's memory", "anti_entropy/value", "LARGE: u64 = 64 << 10"),
        ("up to 256 elements or about 1 MiB at a time", "anti_entropy/value/chunks", "MOST: u64 = 256"),
        ("up to 256 elements or about 1 MiB at a time", "anti_entropy/value/chunks", "CHUNK: u64 = 1 << 20"),
        ("a string of more than 16 MiB", "anti_entropy/value/copy", "SET_UP_TO: usize = 16 << 20"),
        (
            "16 MiB of each node in a second at most",
            "anti_entropy/convergence/keys",
            "LARGE_PER_SECOND: u64 = 16 << 20",
        ),
        ("at a quarter of the rate", "anti_entropy/convergence/rounds", "DEAF: u64 = 4"),
        (
            "with pauses of 5 s; a warning",
            "anti_entropy/convergence",
            "ROUND_EVERY: Duration = Duration::from_secs(5)",
        ),
        (
            "for its deadline, or 60 s",
            "anti_entropy/convergence/barrier",
            "WITHIN: Duration = Duration::from_secs(60)",
        ),
        ("live count as equal within a second", "anti_entropy/value/compare", "SAME_END: i64 = 1000"),
        (
            "the name of its key with `:__redisdb:copying` behind it",
            "anti_entropy/value/copy",
            "UNFINISHED: &[u8] = b\":__redisdb:copying\"",
        ),
        (
            "The marker is a key `__redisdb:{shop}:node`",
            "membership/identity",
            "format!(\"{}node\", self.start)",
        ),
        (
            "a second one, `__redisdb:{shop}:sync` and the name of the server's process",
            "membership/identity",
            "format!(\"{}sync:{process}\", self.start)",
        ),
        (
            "begins with `__redisdb:{shop}:`",
            "membership/identity",
            "start: format!(\"__redisdb:{{{name}}}:\")",
        ),
        ("gives an own key ten times", "dispatch/failover_read", "ASK_FOR_A_KEY: u32 = 10"),
    ] {
        check(COPY, says, &format!("crates/cluster/src/{file}.rs"), has);
    }
}

#[test]
fn every_outcome_of_a_write_and_every_state_of_a_node_is_on_the_page_of_copies() {
    let outcomes = rows("docs/copy.md", "## A write");
    let named = outcomes.iter().take_while(|row| row[0] != "the command");
    let named = named.flat_map(|row| quoted(&row[0]).collect::<Vec<_>>());
    let named = named.map(|name| name.split('(').next().unwrap().to_owned());
    same(named, variants("crates/cluster/src/replies.rs", "Outcome"));
    let page = file("docs/copy.md");
    for state in variants("crates/cluster/src/health.rs", "Health") {
        assert!(page.contains(&state), "{state}");
    }
}

#[test]
fn the_figures_of_a_configuration_are_those_of_the_code() {
    const PAGE: &str = "docs/configuration.md";
    for (says, has) in [
        ("# for nodes that do not say; default 1000", "CONNECT_TIMEOUT: Duration = Duration::from_secs(1)"),
        ("response_timeout_ms = 250 # likewise", "RESPONSE_TIMEOUT: Duration = Duration::from_secs(1)"),
        ("sign of life; default 1000, 0 is never", "PROBE_INTERVAL: Duration = Duration::from_secs(1)"),
        ("# calls under way at once; default 5000", "MAX_IN_FLIGHT: usize = 5_000"),
        ("# bytes that a reply may take; default 512 MiB", "MAX_REPLY: usize = 512 << 20"),
        ("one each; default 64", "MAX_DEDICATED: usize = 64"),
    ] {
        check(PAGE, says, "crates/node/src/config.rs", has);
    }
    const POLICY: &str = "crates/cluster/src/policy.rs";
    check(
        PAGE,
        "keys_per_second = 10000 } } # the default",
        POLICY,
        "Self::Repair { keys_per_second: 10_000 }",
    );
    check(PAGE, "# or \"any\", the default, or \"all\"", POLICY, "#[default] Any, This many are needed.");
    check(PAGE, "read_from = \"in_sync\" # the default", POLICY, "#[default] InSync,");
    check(PAGE, "on_down = \"fail\" # the default", POLICY, "#[default] Fail,");
}

/// The names of a list of texts in the code.
fn listed(path: &str, name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let text = fs::read_to_string(path).unwrap();
    let (_, list) = text.split_once(&format!("const {name}: ")).unwrap();
    let (list, _) = list.split_once("];").unwrap();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_layout_and_every_rule_for_tags_is_on_the_page_of_configurations() {
    let page = file("docs/configuration.md");
    let layouts = listed("crates/hashring/src/written.rs", "LAYOUTS");
    assert!(layouts.len() > 10, "{layouts:?}");
    let tags = listed("crates/hashring/src/written.rs", "TAGS");
    // The last two are words for what has no name.
    for name in layouts.iter().chain(&tags[..tags.len() - 2]) {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

/// The names of what an `enum` lists.
fn variants(path: &str, name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let text = fs::read_to_string(path).unwrap();
    let (_, list) = text
        .split_once(&format!("pub enum {name} {{\n"))
        .or_else(|| text.split_once(&format!("pub enum {name}<T> {{\n")))
        .unwrap();
    let lines = list.lines().take_while(|line| *line != "}");
    // Those of the first level; what a variant holds stands further in.
    let lines = lines.filter_map(|line| line.strip_prefix("    "));
    let named = lines.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    named.map(|line| line.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap().to_owned()).collect()
}

/// The cells of the tables below a heading, up to the next one.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    let text = fs::read_to_string(path).unwrap();
    let (_, section) =
        text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("{page}: {heading}"));
    let lines =
        section.lines().take_while(|line| !line.starts_with('#')).filter(|line| line.starts_with('|'));
    lines.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// Returns what stands in backquotes.
fn quoted(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// All are named, nothing else is.
fn same(found: impl IntoIterator<Item = String>, wanted: Vec<String>) {
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(found.into_iter().collect()), sorted(wanted));
}

#[test]
fn every_kind_of_error_has_its_row() {
    let of_a_node = rows("docs/errors.md", "## One node: `redisdb::node::Error`");
    let kinds: Vec<_> = of_a_node.iter().take_while(|row| row[0] != "command").collect();
    let named = kinds.iter().flat_map(|row| quoted(&row[0]).collect::<Vec<_>>());
    same(named, variants("crates/node/src/error.rs", "ErrorKind"));
    let of_several = rows("docs/errors.md", "## A ring or a copy: `redisdb::Error`");
    let named = of_several.iter().flat_map(|row| quoted(&row[0]).collect::<Vec<_>>());
    same(named, variants("crates/cluster/src/error.rs", "Error"));
    let repair = of_several.iter().find(|row| row[0] == "`Repair`").unwrap();
    let reasons = quoted(&repair[1]).filter(|name| name != "is_passing()");
    same(reasons, variants("crates/cluster/src/error/repair.rs", "RepairReason"));
}

#[test]
fn every_kind_of_error_says_of_execution_what_its_row_says() {
    let io = || Arc::new(io::Error::from(io::ErrorKind::ConnectionReset));
    let second = Duration::from_secs(1);
    let other_type = redis::from_redis_value::<u8>(redis::Value::Nil).unwrap_err();
    let kinds = [
        ErrorKind::Config(ConfigError::NoPath),
        ErrorKind::Connect(io()),
        ErrorKind::ConnectTimeout(second),
        ErrorKind::Tls(io()),
        ErrorKind::Auth(String::new()),
        ErrorKind::Credentials(String::new()),
        ErrorKind::NotRedis(String::new()),
        ErrorKind::Down { cause: Arc::new(ErrorKind::Timeout(second)) },
        ErrorKind::Fenced,
        ErrorKind::Overloaded { limit: 1, of: Bound::Dedicated },
        ErrorKind::Timeout(second),
        ErrorKind::Unsent(io()),
        ErrorKind::Disconnected(io()),
        ErrorKind::ReplyTooLarge { limit: 1 },
        ErrorKind::Conflict { attempts: 1 },
        ErrorKind::Reply(other_type.into()),
        ErrorKind::Unsupported("".into()),
    ];
    let mut n_checked = 0;
    for row in rows("docs/errors.md", "## One node: `redisdb::node::Error`") {
        let said = row.get(2).map(String::as_str);
        for name in quoted(&row[0]) {
            let is_named = |kind: &&ErrorKind| {
                format!("{kind:?}").split(|c: char| !c.is_ascii_alphanumeric()).next() == Some(&name)
            };
            let Some(kind) = kinds.iter().find(is_named) else { continue };
            let error = Error::new("a".into(), "GET", kind.clone());
            let is_said = said.is_some_and(|said| said.starts_with("**yes**"));
            assert_eq!(error.may_have_executed(), is_said, "{row:?}");
            assert!(is_said || said == Some("no"), "{row:?}");
            n_checked += 1;
        }
    }
    // An error reply cannot be made here: `redisdb_node::error` has those.
    assert_eq!(n_checked, kinds.len());
}

#[test]
fn the_figures_of_connections_that_end_are_those_of_the_code() {
    let says = "| 3 in a row without an answer |";
    check("docs/ring.md", says, "crates/node/src/connection/breaker.rs", "LOST_IN_A_ROW: u32 = 3");
}

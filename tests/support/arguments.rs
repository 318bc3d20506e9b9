//! Arguments for any row of the command table.

use redis::Cmd;
use redisdb_node::command::Keys;
use redisdb_node::command::Spec;

/// Lists of arguments for a row, the command's own words first, every other word but once in a list.
pub fn argument_lists(row: &Spec) -> Vec<Vec<String>> {
    let name: Vec<String> = row.words().map(String::from).collect();
    let shortest = usize::from(row.arity.unsigned_abs());
    let longest = if row.arity < 0 { shortest + 6 } else { shortest };
    let filled = |len: usize| {
        let mut words = name.clone();
        words.extend((name.len()..len).map(|at| format!("w{at}")));
        words
    };
    let mut lists: Vec<Vec<String>> = (shortest..=longest).map(filled).collect();
    match row.keys {
        Keys::Counted(at) | Keys::StoreCounted(_, at) | Keys::CountedPairs(at) => {
            let at = usize::from(at);
            for count in ["1", "2", "3", "9", "-1", "x", "18446744073709551615"] {
                for len in shortest.max(at + 1)..at + 6 {
                    let mut words = filled(len);
                    words[at] = count.to_string();
                    lists.push(words);
                }
            }
        }
        Keys::Each { step: 2, .. } => lists.retain(|list| list.len() % 2 == 1),
        _ => {}
    }
    lists.extend(handmade_lists(row.name).iter().map(|list| list.split(' ').map(String::from).collect()));
    lists
}

/// Lists with options, for the commands whose keys depend on them. `_` stands for an empty word.
fn handmade_lists(name: &str) -> &'static [&'static str] {
    match name {
        "XREAD" => &[
            "XREAD STREAMS a 0",
            "XREAD streams a b 0 0",
            "XREAD COUNT 2 BLOCK 10 STREAMS a b c 0 0 0",
            "XREAD COUNT 2 STREAMS STREAMS 0",
        ],
        "XREADGROUP" => &[
            "XREADGROUP GROUP g c STREAMS a >",
            "XREADGROUP GROUP STREAMS c STREAMS a b > >",
            "XREADGROUP GROUP g STREAMS COUNT 1 BLOCK 0 NOACK STREAMS a >",
        ],
        "SORT" => &[
            "SORT a STORE d",
            "SORT a BY w_* LIMIT 0 5 GET # GET v_* ASC ALPHA store d",
            "SORT a STORE d STORE e",
            "SORT a BY STORE ALPHA",
            "SORT a GET STORE STORE d",
        ],
        "SORT_RO" => &["SORT_RO a BY w_* GET v_*", "SORT_RO a BY STORE ALPHA"],
        "GEORADIUS" => &[
            "GEORADIUS g 1 2 3 km STORE d",
            "GEORADIUS g 1 2 3 km WITHDIST COUNT 3 ANY storedist d",
            "GEORADIUS g 1 2 3 km STORE d STOREDIST e",
        ],
        "GEORADIUSBYMEMBER" => &[
            "GEORADIUSBYMEMBER g STORE 3 km",
            "GEORADIUSBYMEMBER g STORE 3 km STORE d",
            "GEORADIUSBYMEMBER g m 3 km DESC STOREDIST d",
        ],
        "MIGRATE" => &[
            "MIGRATE h 1 k 0 9",
            "MIGRATE h 1 k 0 9 COPY REPLACE AUTH p",
            "MIGRATE h 1 _ 0 9 KEYS a b c",
            "MIGRATE h 1 _ 0 9 COPY AUTH2 u KEYS KEYS a",
        ],
        "EVAL" => &["EVAL s 0", "EVAL s 0 x y"],
        "FCALL" => &["FCALL f 0 x"],
        "ZUNIONSTORE" => &["ZUNIONSTORE d 2 a b WEIGHTS 1 2 AGGREGATE MAX"],
        "ZINTER" => &["ZINTER 2 a b WITHSCORES"],
        "LMPOP" => &["LMPOP 2 a b LEFT COUNT 3"],
        "BLMPOP" => &["BLMPOP 0 2 a b LEFT COUNT 3"],
        "SET" => &["SET a b EX 10 NX GET"],
        "COPY" => &["COPY a b DB 1 REPLACE"],
        "BITOP" => &["BITOP NOT d a", "BITOP AND d a b c"],
        "XGROUP CREATE" => &["XGROUP CREATE a g $ MKSTREAM"],
        "MEMORY USAGE" => &["MEMORY USAGE a SAMPLES 5"],
        "BLPOP" => &["BLPOP a b c 0"],
        "LCS" => &["LCS a b IDX"],
        _ => &[],
    }
}

/// The command of these words.
pub fn command(words: &[String]) -> Cmd {
    let mut command = Cmd::new();
    for word in words {
        command.arg(if word == "_" { "" } else { word });
    }
    command
}

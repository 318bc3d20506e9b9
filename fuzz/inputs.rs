//! The inputs of a target, as the tests of its crate take them: those of its corpus, and others made from these.

use std::fs;
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// `fuzz/corpus/..`, which is also where a fuzzer begins.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

/// One that changed is one that inputs of before are no longer like. `REDISDB_BLESS=1` adds those that are missing.
pub(crate) fn assert_in_corpus(target: &str, seeds: Vec<(String, Vec<u8>)>) {
    let corpus = corpus(target);
    for (name, seed) in seeds {
        if std::env::var_os("REDISDB_BLESS").is_some() && corpus.iter().all(|(_, input)| *input != seed) {
            let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
            fs::write(folder.join(&name), &seed).unwrap();
            continue;
        }
        assert!(corpus.iter().any(|(_, input)| *input == seed), "{name} is not in the corpus: {seed:?}");
    }
}

/// Tries each input of the corpus.
pub(crate) fn try_corpus(target: &str, f: fn(&[u8])) {
    for (path, input) in corpus(target) {
        eprintln!("{}", path.display());
        f(&input);
    }
}

/// Tries so many inputs that are like those of the corpus, and as many of any bytes.
pub(crate) fn try_others(target: &str, n_inputs: u32, f: fn(&[u8])) {
    let corpus: Vec<Vec<u8>> = corpus(target).into_iter().map(|(_, input)| input).collect();
    let inputs = (any::<Index>(), vec(edit(), 0..5));
    // What fails goes into the corpus.
    let config = ProptestConfig { cases: n_inputs, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config.clone(), |((which, edits) in inputs)| {
        let mut input = which.get(&corpus).clone();
        edits.iter().for_each(|edit| edit.apply(&mut input));
        f(&input);
    });
    proptest!(config, |(input in vec(any::<u8>(), 0..200))| f(&input));
}

/// What is done to an input.
#[derive(Debug, Clone)]
enum Edit {
    Change(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
    Repeat(Index, u8),
    Append(Vec<u8>),
}

impl Edit {
    fn apply(&self, input: &mut Vec<u8>) {
        match self {
            Self::Append(more) => input.extend(more),
            _ if input.is_empty() => {}
            Self::Change(at, change) => {
                let at = at.index(input.len());
                input[at] ^= change;
            }
            Self::Insert(at, byte) => input.insert(at.index(input.len()), *byte),
            Self::Remove(at) => drop(input.remove(at.index(input.len()))),
            Self::Cut(at) => input.truncate(at.index(input.len())),
            Self::Repeat(at, n) => {
                let part = input[at.index(input.len())..].to_vec();
                for _ in 0..n % 8 {
                    input.extend(&part);
                }
            }
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, change)| Edit::Change(at, change)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        any::<Index>().prop_map(Edit::Remove),
        any::<Index>().prop_map(Edit::Cut),
        (any::<Index>(), any::<u8>()).prop_map(|(at, n)| Edit::Repeat(at, n)),
        vec(any::<u8>(), 0..20).prop_map(Edit::Append),
    ]
}

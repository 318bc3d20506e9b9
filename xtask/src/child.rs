//! A test that runs itself once more, in a process of its own: for what it counts there is of the whole process, or it
//! needs another environment there.
//!
//! No test is for the child alone: it would pass where nobody has started it.

use std::env;
use std::process::Command;

use crate::Error;
use crate::skip::test_name;

/// Set in the child: the name of the test, and what it is told.
const CHILD: &str = "REDISDB_TEST_CHILD";

/// Returns what the calling test was told by [`once_more`], if this is the process that was started by it.
pub fn told() -> Option<String> {
    let child = env::var(CHILD).ok()?;
    let (test, words) = child.split_once(' ')?;
    (test == test_name()).then(|| words.to_owned())
}

/// A command that runs the calling test once more, and no other, in a process of its own where it is [`told`] these words.
///
/// # Errors
/// The system does not say which program this is.
pub fn once_more(words: &str) -> Result<Command, Error> {
    let program = env::current_exe()
        .map_err(|error| Error::new(format!("a test cannot run itself once more: {error}")))?;
    let mut child = Command::new(program);
    child.args(["--exact", &test_name(), "--nocapture"]).env(CHILD, format!("{} {words}", test_name()));
    Ok(child)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_told_what_it_says_to_itself() {
        if let Some(words) = told() {
            println!("\nI was told: {words}");
            return;
        }
        let output = once_more("two words").unwrap().output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("\nI was told: two words\n") && text.contains("1 passed"), "{text}");
    }
}

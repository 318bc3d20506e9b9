//! Escaping of text that somebody else wrote: a server, another client, whoever chose a key.
//!
//! Every such text goes through here before it comes into an error or a log. There it must not act on a
//! terminal, and must not take more room than a line or two.

use std::borrow::Cow;
use std::fmt;

/// The longest text that is shown, in bytes: a server's text may quote a whole command.
const LONGEST: usize = 256;
/// The same of what is a single word.
const LONGEST_WORD: usize = 64;

/// A text as it may be shown. Characters that cannot be printed are escaped, and quotes stay as they are. A
/// text of more than 256 bytes is cut, and ends with its whole length.
pub fn text(text: &str) -> String {
    cut(text, LONGEST)
}

/// The same of a name or a code, which is cut after 64 bytes.
pub fn word(word: &str) -> String {
    cut(word, LONGEST_WORD)
}

/// The same of bytes, of which those that are no ASCII are escaped: a key, a value that should have been
/// something else.
pub fn bytes(bytes: &[u8]) -> impl fmt::Display + '_ {
    Bytes(bytes)
}

/// A name as an error about a configuration shows it: whoever has written a URL in its place has not meant to have the password
/// shown. Of what looks like a user and a password before a host, or like parameters, nothing is left.
pub fn name(name: &str) -> Cow<'_, str> {
    let place = name.split_once('?').map_or(name, |(place, _)| place);
    match place.rsplit_once('@') {
        Some((_, host)) => Cow::Owned(format!("..@{host}")),
        None if place.len() < name.len() => Cow::Owned(format!("{place}..")),
        None => Cow::Borrowed(name),
    }
}

fn cut(text: &str, longest: usize) -> String {
    let mut kept = String::new();
    for c in text.chars() {
        let before = kept.len();
        match c {
            '\'' | '"' | '\\' => kept.push(c),
            c => kept.extend(c.escape_debug()),
        }
        if kept.len() > longest {
            kept.truncate(before);
            kept.push_str(&format!("..({} bytes)", text.len()));
            break;
        }
    }
    kept
}

struct Bytes<'a>(&'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, rest) = self.0.split_at(self.0.len().min(LONGEST_WORD));
        write!(f, "{}", shown.escape_ascii())?;
        if rest.is_empty() { Ok(()) } else { write!(f, "..({} bytes)", self.0.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_act_on_a_terminal_or_a_log_is_escaped_and_quotes_stay() {
        assert_eq!(text("it's \"so\" \\ grüß"), "it's \"so\" \\ grüß");
        assert_eq!(text("a\n\u{1b}[31mb\r\t\0"), "a\\n\\u{1b}[31mb\\r\\t\\0");
        // Text that would be shown from right to left.
        assert_eq!(text("\u{202e}evil"), "\\u{202e}evil");
        assert_eq!(bytes(b"a\x1b\xff'").to_string(), "a\\x1b\\xff\\'");
    }

    #[test]
    fn a_name_that_is_a_url_is_shown_without_its_password() {
        for (written, shown) in [
            ("a", "a"),
            ("10.0.0.1:6379", "10.0.0.1:6379"),
            ("redis://u:hunter2@h:1/2", "..@h:1/2"),
            ("/:hunter2@h", "..@h"),
            ("hunter2@h", "..@h"),
            ("a@hunter2@h", "..@h"),
            ("redis://h?pass=hunter2@", "redis://h.."),
        ] {
            assert_eq!(name(written), shown);
        }
    }

    #[test]
    fn what_is_long_is_cut_and_says_how_long_it_was() {
        let long = "é\n".repeat(1 << 20);
        for (shown, longest) in [(text(&long), LONGEST), (word(&long), LONGEST_WORD)] {
            assert!(shown.len() <= longest + 24 && shown.ends_with("..(3145728 bytes)"), "{shown}");
        }
        assert_eq!(word(&"x".repeat(LONGEST_WORD)), "x".repeat(LONGEST_WORD));
        assert_eq!(bytes(&[b'x'; 65]).to_string(), format!("{}..(65 bytes)", "x".repeat(64)));
    }
}

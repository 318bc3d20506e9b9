//! Random tokens, which nobody else has.

/// 128 random bits, asked of the system each time. A process keeps no state that its fork, or another start
/// from one snapshot of the machine, would use too. `None` if the system gives none.
pub(crate) fn token() -> Option<String> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).ok()?;
    Some(format!("{:032x}", u128::from_be_bytes(bits)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::io::Read;
    use std::io::Write;

    use super::*;

    #[test]
    fn tokens_are_long_and_never_the_same() {
        let tokens: HashSet<_> = (0..1000).map(|_| token().unwrap()).collect();
        assert_eq!(tokens.len(), 1000);
        assert!(tokens.iter().all(|token| token.len() == 32));
    }

    #[cfg(unix)]
    #[test]
    fn a_forked_process_makes_other_tokens() {
        // Whatever is kept is kept from here on.
        token().unwrap();
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        match fork::fork().unwrap() {
            fork::Fork::Child => {
                let _the_parent_sees = writer.write_all(token().unwrap_or_default().as_bytes());
                std::process::exit(0);
            }
            fork::Fork::Parent(child) => {
                drop(writer);
                let own = token().unwrap();
                let mut other = String::new();
                reader.read_to_string(&mut other).unwrap();
                fork::waitpid(child).unwrap();
                assert_eq!(other.len(), 32);
                assert_ne!(own, other);
            }
        }
    }
}

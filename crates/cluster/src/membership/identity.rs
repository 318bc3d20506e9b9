//! The identity of a copy, and the names of the keys of its own that it keeps on each server, beside the user's.

/// The identity of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// What the names of all its own keys begin with, and no name of a user's key does.
    start: String,
}

impl Identity {
    pub(crate) fn new(name: &str) -> Self {
        Self { start: format!("__redisdb:{{{name}}}:") }
    }

    /// The key of the marker.
    pub(crate) fn marker(&self) -> String {
        format!("{}node", self.start)
    }

    /// The key of the hints about a node.
    pub(crate) fn hints(&self, about: &str) -> String {
        format!("{}missed:{about}", self.start)
    }

    /// The key of the lease of a server's process.
    pub(crate) fn lease(&self, process: Option<&str>) -> String {
        match process {
            Some(process) => format!("{}sync:{process}", self.start),
            None => format!("{}sync", self.start),
        }
    }

    /// A key that is never there, to try what this user may do.
    pub(crate) fn trial(&self) -> String {
        format!("{}trial", self.start)
    }

    /// The pattern of all own keys.
    pub(crate) fn pattern(&self) -> String {
        format!("{}*", self.start)
    }

    /// Returns whether a key is one of the copy's own keys.
    #[inline]
    pub(crate) fn owns(&self, key: &[u8]) -> bool {
        // Most keys are told by their first byte.
        key.first() == self.start.as_bytes().first() && key.starts_with(self.start.as_bytes())
    }
}

/// Returns whether a key is the marker of some copy.
pub(crate) fn is_a_marker(key: &[u8]) -> bool {
    key.starts_with(b"__redisdb:{") && key.ends_with(b"}:node")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_keys_are_told_from_those_of_users_and_of_other_copies() {
        let shop = Identity::new("shop");
        for own in [shop.marker(), shop.hints("b"), shop.lease(Some("x")), shop.lease(None), shop.trial()] {
            assert!(shop.owns(own.as_bytes()), "{own}");
            assert!(!Identity::new("blog").owns(own.as_bytes()), "{own}");
        }
        for user in ["", "_", "k", "__redisdb:{shop}", "__redisdb:{shopping}:node", "x__redisdb:{shop}:node"]
        {
            assert!(!shop.owns(user.as_bytes()), "{user}");
        }
        assert!(is_a_marker(shop.marker().as_bytes()) && !is_a_marker(shop.hints("node").as_bytes()));
    }
}

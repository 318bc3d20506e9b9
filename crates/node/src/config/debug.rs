//! A [`NodeConfig`] as it is shown: without its passwords.

use std::fmt;

use super::NodeConfig;

impl fmt::Debug for NodeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("NodeConfig");
        shown
            .field("name", &self.name())
            .field("address", &self.address)
            .field("credentials", &self.credentials)
            .field("db", &self.db())
            .field("weight", &self.weight)
            .field("connect_timeout", &self.connect_timeout())
            .field("response_timeout", &self.response_timeout())
            .field("probe_interval", &self.probe_interval)
            .field("max_in_flight", &self.max_in_flight)
            .field("wait_for_room", &self.wait_for_room)
            .field("max_reply", &self.max_reply)
            .field("max_dedicated", &self.max_dedicated);
        if let Some(provider) = &self.credentials_provider {
            shown.field("credentials_provider", provider);
        }
        if let Some(tls) = &self.tls {
            shown.field("tls", tls);
        }
        if self.has_sentinels() {
            // Whoever names hosts may know the password.
            let open = |(host, port): (String, u16)| match self.has_secret(&host) {
                true => ("***".to_owned(), port),
                false => (host, port),
            };
            let learned: Vec<(String, u16)> = self.sentinels.learned().into_iter().map(open).collect();
            shown.field("sentinel_credentials", &self.sentinels.credentials).field("learned", &learned);
        }
        shown.finish_non_exhaustive()
    }
}

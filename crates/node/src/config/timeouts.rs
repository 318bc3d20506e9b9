//! The timeouts of nodes that have none of their own.

use std::time::Duration;

use super::NodeConfig;

impl NodeConfig {
    /// Sets how long connecting may take, where that was not set, be it to the default.
    #[must_use]
    pub fn or_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout.get_or_insert(timeout);
        self
    }

    /// Sets how long a reply may take, where that was not set, be it to the default.
    #[must_use]
    pub fn or_response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout.get_or_insert(timeout);
        self
    }
}

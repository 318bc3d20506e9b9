//! Where a server listens.

use std::path::PathBuf;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// A host name or address and a port.
    Tcp {
        /// A host name, which is looked up for each connection, or an address.
        host: String,
        /// The port, 6379 where the URL names none.
        port: u16,
    },
    /// The same, through TLS. Needs the feature `tls`.
    Tls {
        /// The host name, which the server's certificate must be for.
        host: String,
        /// The port, 6379 where the URL names none.
        port: u16,
    },
    /// A socket in the file system.
    Unix(PathBuf),
    /// Wherever the master of a service is, as its sentinels say at each connection.
    Sentinel {
        /// Host and port of each sentinel; port 26379 where the URL names none.
        sentinels: Vec<(String, u16)>,
        /// The name under which they watch over the master.
        service: String,
        /// Whether sentinels and master are spoken to through TLS. Needs the feature `tls`.
        tls: bool,
    },
}

//! The address at which a server listens.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::NodeConfig;

/// The address at which a server listens.
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
        /// The host name, which the server's certificate must be for, unless
        /// [another](crate::TlsConfig::with_server_name) is set.
        host: String,
        /// The port, 6379 where the URL names none.
        port: u16,
    },
    /// A socket in the file system.
    Unix(PathBuf),
    /// The address of the master of a service, which its sentinels tell at each connection.
    Sentinel {
        /// Host and port of each sentinel; port 26379 where the URL names none.
        sentinels: Vec<(String, u16)>,
        /// The name under which they watch over the master.
        service: String,
        /// True if sentinels and master are spoken to through TLS. Needs the feature `tls`.
        tls: bool,
    },
}

impl NodeConfig {
    /// Returns whether two nodes are the same database of the same server, as far as their addresses tell
    /// without asking anybody. User, password and TLS make no difference, nor does how a host is written:
    /// `LOCALHOST`, `127.0.0.1`.
    ///
    /// Two names of one host are not known for that here; see [`Node::keep_apart`](crate::Node::keep_apart).
    pub fn is_same_server(&self, other: &Self) -> bool {
        self.db() == other.db() && self.address().is_same(other.address())
    }
}

impl Address {
    /// Returns whether the server is spoken to through TLS.
    pub(super) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls { .. } | Self::Sentinel { tls: true, .. })
    }

    fn is_same(&self, other: &Self) -> bool {
        type Place<'a> = (&'a str, u16);
        let is_same_place =
            |(a, port): Place<'_>, (b, other): Place<'_>| port == other && canonical(a) == canonical(b);
        match (self, other) {
            (
                Self::Tcp { host, port } | Self::Tls { host, port },
                Self::Tcp { host: other, port: other_port } | Self::Tls { host: other, port: other_port },
            ) => is_same_place((host, *port), (other, *other_port)),
            // The components of a path, so that `//run/./redis.sock` is `/run/redis.sock`.
            (Self::Unix(path), Self::Unix(other)) => path.components().eq(other.components()),
            (
                Self::Sentinel { sentinels, service, .. },
                Self::Sentinel { sentinels: others, service: other, .. },
            ) => {
                let is_shared = |(host, port): &(String, u16)| {
                    others.iter().any(|(other, at)| is_same_place((host, *port), (other, *at)))
                };
                service == other && sentinels.iter().any(is_shared)
            }
            _ => false,
        }
    }
}

/// A host as all who mean it write it.
fn canonical(host: &str) -> String {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        // To connect to no address is to connect to this machine.
        Ok(address) if address == Ipv4Addr::LOCALHOST || address == Ipv4Addr::UNSPECIFIED => {
            LOCALHOST.to_owned()
        }
        Ok(address) => address.to_string(),
        Err(_) => host,
    }
}

/// This address is 127.0.0.1 wherever there are names; `::1` may be another server's.
const LOCALHOST: &str = "localhost";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_the_same_however_its_address_is_written() {
        let check = |a: &str, b: &str, expected: bool| {
            let [one, other] = [a, b].map(|url| NodeConfig::new(url).unwrap());
            assert_eq!(one.is_same_server(&other), expected, "{a} {b}");
            assert_eq!(other.is_same_server(&one), expected, "{b} {a}");
        };
        for (a, b) in [
            ("redis://h", "redis://h"),
            ("redis://h", "redis://h:6379/0"),
            ("redis://h", "valkey://u:p@H.?db=0"),
            ("redis://h:1", "rediss://h:1"),
            ("redis://localhost", "redis://127.0.0.1"),
            ("redis://localhost", "redis://0.0.0.0:6379"),
            ("redis://[::1]", "redis://[0:0:0:0:0:0:0:1]"),
            ("redis://[::ffff:10.0.0.1]", "redis://10.0.0.1"),
            ("unix:///run/redis.sock", "redis+unix://u:p@//run/./redis.sock"),
            ("redis+sentinel://a,b/my", "rediss+sentinel://c,B:26379/my"),
        ] {
            check(a, b, true);
        }
        for (a, b) in [
            ("redis://h", "redis://i"),
            ("redis://h", "redis://h:6380"),
            ("redis://h", "redis://h/1"),
            ("redis://127.0.0.1", "redis://[::1]"),
            ("redis://127.0.0.1", "redis://127.0.0.2"),
            ("unix:///run/a.sock", "unix:///run/b.sock"),
            ("unix:///run/a.sock", "redis://h"),
            ("redis+sentinel://a/my", "redis+sentinel://b/my"),
            ("redis+sentinel://a/my", "redis+sentinel://a/other"),
            ("redis+sentinel://a/my", "redis+sentinel://a/my/1"),
        ] {
            check(a, b, false);
        }
    }
}

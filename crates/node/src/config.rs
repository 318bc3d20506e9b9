//! The configuration of a node: where its server is, and the limits of calls to it.

mod address;
pub use address::Address;
mod credentials;
pub use credentials::Credentials;
mod credentials_provider;
pub use credentials_provider::CredentialsProvider;
mod debug;
mod error;
pub use error::ConfigError;
mod fields;
pub use fields::NodeFields;
mod parts;
mod sentinels;
mod timeouts;
mod tls;
pub use tls::Pem;
pub use tls::TlsConfig;

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use url::Url;

use self::parts::db_number;
use self::parts::decode_place;
use self::sentinels::Sentinels;

/// The configuration of a node: where its server is, and the limits of calls to it.
///
/// ```
/// use redisdb_node::NodeConfig;
///
/// let config = NodeConfig::new("redis://ann:secret@10.0.0.1:6380/2")?.with_name("a");
/// assert_eq!((config.name(), config.db()), ("a", 2));
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<(), redisdb_node::ConfigError>(())
/// ```
///
/// # In a file
/// With serde a node is read from `url` and these optional fields: `name`, `weight`, `db`, `username`,
/// `password`, `sentinel_username`, `sentinel_password`, `tls` (as a [`TlsConfig`]), `connect_timeout_ms`,
/// `response_timeout_ms`, `probe_interval_ms`, `max_in_flight`, `wait_for_room`, `max_reply` (in bytes) and
/// `max_dedicated`. An unknown field is an error. A configuration is written the same way, the password
/// included, so it can be read back.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "NodeFields", into = "NodeFields")]
pub struct NodeConfig {
    name: Option<String>,
    address: Address,
    credentials: Credentials,
    url_db: Option<u32>,
    default_db: u32,
    weight: f64,
    connect_timeout: Option<Duration>,
    response_timeout: Option<Duration>,
    probe_interval: Duration,
    max_in_flight: usize,
    wait_for_room: bool,
    max_reply: usize,
    max_dedicated: usize,
    label: String,
    /// The credentials for the sentinels, where the address is theirs.
    sentinels: Sentinels,
    tls: Option<TlsConfig>,
    /// In place of the credentials.
    credentials_provider: Option<CredentialsProvider>,
}

impl NodeConfig {
    /// The time that connecting may take, handshake included: 1 second.
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
    /// The time that a reply may take: 1 second.
    pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);
    /// The interval at which an idle connection is asked for a sign of life: about every second.
    pub const PROBE_INTERVAL: Duration = Duration::from_secs(1);
    /// The number of calls that may be under way at once: 5,000. As many may be executed late by a server
    /// that hung.
    pub const MAX_IN_FLIGHT: usize = 5_000;
    /// The number of bytes that a reply may take: 512 MiB, the longest string that Redis holds by default.
    pub const MAX_REPLY: usize = 512 << 20;
    /// The number of connections of one's own there may be at once: 64.
    pub const MAX_DEDICATED: usize = 64;

    /// Reads the URL of a server:
    ///
    /// | URL | |
    /// |---|---|
    /// | `redis://[[user]:password@]host[:port][/db]` | TCP; also `valkey://` |
    /// | `rediss://…` | TLS, with the feature `tls`; also `valkeys://` |
    /// | `unix://[[user]:password@]/path/to/socket` | a socket; also `redis+unix://`, `valkey+unix://` |
    /// | `redis+sentinel://[[user]:password@]host[:port],host[:port]/service[/db]` | the master of a service, as these sentinels say; also `valkey+sentinel://` |
    /// | `rediss+sentinel://…` | the same, sentinels and master through TLS; also `valkeys+sentinel://` |
    ///
    /// The number of the database is the first that is given of: a `?db=` in the URL, the path of a
    /// `redis://` URL, [`with_db`](Self::with_db), 0. User and password are percent-decoded.
    ///
    /// A user without a password is an error, for no AUTH can be sent: `redis://word@host` would be let in as
    /// the default user, and the word is as likely a password that lacks its colon. A user who needs no
    /// password (`nopass`) is written with an empty one, `redis://user:@host`.
    ///
    /// User and password of a sentinel URL are the master's. If the sentinels ask for some, they are given by
    /// `?sentinel_username=` and `?sentinel_password=`, percent-encoded, or by
    /// [`with_sentinel_credentials`](Self::with_sentinel_credentials). A single sentinel is enough: it names
    /// the others.
    ///
    /// # Errors
    /// [`ConfigError`], which never shows the password.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        let config = Self::read(url)?;
        config.check_credentials()?;
        Ok(config)
    }

    /// Returns an error for a setting with which nothing could be done: a time or a number of 0, a weight that
    /// is no positive number, or a setting of TLS for a server that is spoken to without it. A node, a ring and
    /// a copy check their configurations when they are made. No file is read for that.
    ///
    /// # Errors
    /// [`ConfigError::Zero`], [`ConfigError::ZeroWeight`], [`ConfigError::InvalidWeight`], or one of `tls`.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (setting, is_zero) in [
            ("connect_timeout", self.connect_timeout().is_zero()),
            ("response_timeout", self.response_timeout().is_zero()),
            ("max_in_flight", self.max_in_flight == 0),
            ("max_reply", self.max_reply == 0),
            ("max_dedicated", self.max_dedicated == 0),
        ] {
            if is_zero {
                return Err(ConfigError::Zero { setting });
            }
        }
        self.check_tls()?;
        match self.weight {
            0.0 => Err(ConfigError::ZeroWeight),
            weight if weight.is_finite() && 0.0 < weight => Ok(()),
            _ => Err(ConfigError::InvalidWeight),
        }
    }

    /// Reads a URL to which a password may be added.
    fn read(url: &str) -> Result<Self, ConfigError> {
        let (scheme, rest) = url.split_once("://").ok_or(ConfigError::NoScheme)?;
        let scheme = scheme.to_ascii_lowercase();
        if cfg!(not(feature = "tls")) && matches!(scheme.trim_end_matches("+sentinel"), "rediss" | "valkeys")
        {
            return Err(ConfigError::TlsNotCompiledIn);
        }
        match scheme.as_str() {
            "redis" | "valkey" => Self::from_tcp_url(url, |host, port| Address::Tcp { host, port }),
            "rediss" | "valkeys" => Self::from_tcp_url(url, |host, port| Address::Tls { host, port }),
            "unix" | "redis+unix" | "valkey+unix" => Self::from_unix_url(rest),
            "redis+sentinel" | "valkey+sentinel" => Self::from_sentinel_url(rest, false),
            "rediss+sentinel" | "valkeys+sentinel" => Self::from_sentinel_url(rest, true),
            // A password may stand before the first `://` of a malformed URL: show nothing that cannot be a
            // scheme.
            other if other.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+') => {
                Err(ConfigError::UnknownScheme { scheme: other.to_owned() })
            }
            _ => Err(ConfigError::NoScheme),
        }
    }

    fn from_tcp_url(url: &str, address: impl FnOnce(String, u16) -> Address) -> Result<Self, ConfigError> {
        // `Url` does not tell an empty password from none.
        let authority = url.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?', '#']).next();
        let credentials =
            authority.and_then(|text| text.rsplit_once('@')).map(|(credentials, _)| credentials);
        let url = Url::parse(url).map_err(|source| ConfigError::Url { reason: source.to_string() })?;
        let host = url.host_str().unwrap_or_default();
        if host.is_empty() {
            return Err(ConfigError::NoHost);
        }
        if url.fragment().is_some() {
            return Err(ConfigError::Fragment);
        }
        let host = decode_place(host.trim_start_matches('[').trim_end_matches(']'))?;
        let port = match url.port() {
            Some(0) => return Err(ConfigError::Url { reason: "port 0 cannot be connected to".to_owned() }),
            port => port.unwrap_or(6379),
        };
        let mut config = Self::at(address(host, port));
        if let Some(credentials) = credentials {
            config.credentials = Credentials::of_url(credentials)?;
        }
        let path = url.path().trim_start_matches('/');
        if !path.is_empty() {
            config.url_db = Some(db_number(path)?);
        }
        config.read_query(url.query_pairs())?;
        Ok(config)
    }

    /// `Url` takes no credentials without a host, so this form is read by hand.
    fn from_unix_url(rest: &str) -> Result<Self, ConfigError> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let slash = rest.find('/').ok_or(ConfigError::NoPath)?;
        let (authority, path) = rest.split_at(slash);
        if path == "/" {
            return Err(ConfigError::NoPath);
        }
        let mut config = Self::at(Address::Unix(PathBuf::from(decode_place(path)?)));
        match authority.rsplit_once('@') {
            Some((credentials, "")) => config.credentials = Credentials::of_url(credentials)?,
            None if authority.is_empty() => {}
            _ => return Err(ConfigError::NoPath),
        }
        config.read_query(url::form_urlencoded::parse(query.as_bytes()))?;
        Ok(config)
    }

    fn at(address: Address) -> Self {
        let mut config = Self {
            name: None,
            address,
            credentials: Credentials::default(),
            url_db: None,
            default_db: 0,
            weight: 1.0,
            connect_timeout: None,
            response_timeout: None,
            probe_interval: Self::PROBE_INTERVAL,
            max_in_flight: Self::MAX_IN_FLIGHT,
            wait_for_room: false,
            max_reply: Self::MAX_REPLY,
            max_dedicated: Self::MAX_DEDICATED,
            label: String::new(),
            sentinels: Sentinels::default(),
            tls: None,
            credentials_provider: None,
        };
        config.relabel();
        config
    }

    fn read_query<'a>(
        &mut self,
        pairs: impl Iterator<Item = (std::borrow::Cow<'a, str>, std::borrow::Cow<'a, str>)>,
    ) -> Result<(), ConfigError> {
        let (mut username, mut password) = (None, None);
        let (mut sentinel_username, mut sentinel_password) = (None, None);
        let mut seen = Vec::new();
        for (key, value) in pairs {
            if seen.contains(&key) {
                return Err(ConfigError::GivenTwice { setting: "url" });
            }
            seen.push(key.clone());
            match &*key {
                "db" => self.url_db = Some(db_number(&value)?),
                "user" => username = Some(value.into_owned()),
                "pass" => password = Some(value.into_owned()),
                "sentinel_username" if self.has_sentinels() => sentinel_username = Some(value.into_owned()),
                "sentinel_password" if self.has_sentinels() => sentinel_password = Some(value.into_owned()),
                _ if key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {
                    return Err(ConfigError::UnknownParameter { name: key.into_owned() });
                }
                _ => return Err(ConfigError::NotADatabase),
            }
        }
        if (username.is_some() && self.credentials.username().is_some())
            || (password.is_some() && self.credentials.password().is_some())
        {
            return Err(ConfigError::GivenTwice { setting: "url" });
        }
        self.credentials.set(username, password);
        self.sentinels.credentials.set(sentinel_username, sentinel_password);
        self.relabel();
        Ok(())
    }

    fn relabel(&mut self) {
        let db = match self.db() {
            0 => String::new(),
            db => format!("/{db}"),
        };
        self.label = match &self.address {
            Address::Tcp { host, port } | Address::Tls { host, port } => format!("{host}:{port}{db}"),
            Address::Unix(path) => format!("{}{db}", path.display()),
            Address::Sentinel { service, .. } => format!("{service}{db}"),
        };
    }

    /// Names the server. A ring places keys by this name, so a server may move to another address and keep
    /// its keys.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the number of the database where the URL names none. Default 0.
    #[must_use]
    pub fn with_db(mut self, db: u32) -> Self {
        self.default_db = db;
        self.relabel();
        self
    }

    /// Sets the share of the keys that a ring gives to this server, relative to the others: a positive number.
    /// Default 1.
    #[must_use]
    pub fn with_weight(mut self, weight: impl Into<f64>) -> Self {
        self.weight = weight.into();
        self
    }

    /// Sets how long connecting may take: name look-up, TCP, TLS, AUTH and SELECT together. Default 1 second.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// Sets how long a reply may take, from handing over the command. Default 1 second.
    #[must_use]
    pub fn with_response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = Some(timeout);
        self
    }

    /// Sets how often a connection on which nothing is sent is asked for a sign of life, a fifth more or less
    /// by chance; zero is never. Default 1 second.
    #[must_use]
    pub fn with_probe_interval(mut self, interval: Duration) -> Self {
        self.probe_interval = interval;
        self
    }

    /// Sets how many calls may be under way on this server at once, a pipeline being one; what is above fails
    /// at once with [`ErrorKind::Overloaded`](crate::ErrorKind::Overloaded), or [waits](Self::with_wait_for_room).
    /// Default 5,000.
    ///
    /// A call whose future was dropped counts until its reply comes. A server that hung executes what it had
    /// been sent when it goes on, so this is also how much of what was given up may be executed late. A call that
    /// waits takes about 4 KiB with its task, a write on a copy of three nodes about 8 KiB.
    #[must_use]
    pub fn with_max_in_flight(mut self, calls: usize) -> Self {
        self.max_in_flight = calls;
        self
    }

    /// Sets whether a call above [`max_in_flight`](Self::with_max_in_flight) waits until there is room, in the order in
    /// which calls came. It waits for as long as a reply may take, or until its deadline, and then fails with
    /// [`ErrorKind::Overloaded`](crate::ErrorKind::Overloaded): nothing of it was sent. Default false: it fails at once.
    ///
    /// The calls that wait are bounded by nothing but their number of callers, and each takes memory meanwhile.
    #[must_use]
    pub fn with_wait_for_room(mut self, waits: bool) -> Self {
        self.wait_for_room = waits;
        self
    }

    /// Sets how many bytes of memory a reply may take: those of its strings, and about sixty for each
    /// element. Before a byte beyond that is read, the call fails with
    /// [`ErrorKind::ReplyTooLarge`](crate::ErrorKind::ReplyTooLarge), and the connection is made anew. Other
    /// calls that are under way on it lose their replies, as when it breaks. Default 512 MiB.
    ///
    /// Of a pipeline each reply counts by itself. On a connection with a single user (blocking calls,
    /// transactions) a string is held twice for a moment, and the room for the largest stays with the connection.
    #[must_use]
    pub fn with_max_reply(mut self, bytes: usize) -> Self {
        self.max_reply = bytes;
        self
    }

    /// Sets how many [connections of one's own](crate::Node::dedicated) there may be at once, besides the
    /// shared one: each blocking call and each transaction holds one. A call above the limit waits as long as
    /// a reply may take, and then fails with [`ErrorKind::Overloaded`](crate::ErrorKind::Overloaded). Default
    /// 64.
    #[must_use]
    pub fn with_max_dedicated(mut self, connections: usize) -> Self {
        self.max_dedicated = connections;
        self
    }

    /// The name: the given one, or else the address: `10.0.0.1:6379`, with `/db` where that is not 0.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.label)
    }

    /// The address at which the server listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn sentinels(&self) -> &Sentinels {
        &self.sentinels
    }

    fn has_sentinels(&self) -> bool {
        matches!(self.address, Address::Sentinel { .. })
    }

    /// The number of the database.
    pub fn db(&self) -> u32 {
        self.url_db.unwrap_or(self.default_db)
    }

    /// The share of the keys that a ring gives to this server, relative to the others.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// The time that connecting may take.
    pub fn connect_timeout(&self) -> Duration {
        self.connect_timeout.unwrap_or(Self::CONNECT_TIMEOUT)
    }

    /// The time that a reply may take.
    pub fn response_timeout(&self) -> Duration {
        self.response_timeout.unwrap_or(Self::RESPONSE_TIMEOUT)
    }

    /// The interval at which an idle connection is probed; zero is never.
    pub fn probe_interval(&self) -> Duration {
        self.probe_interval
    }

    /// The number of calls that may be in flight at once.
    pub fn max_in_flight(&self) -> usize {
        self.max_in_flight
    }

    /// Whether a call above that waits for room.
    pub fn waits_for_room(&self) -> bool {
        self.wait_for_room
    }

    /// The number of bytes of memory that a reply may take.
    pub fn max_reply(&self) -> usize {
        self.max_reply
    }

    /// The number of dedicated connections that there may be at once.
    pub fn max_dedicated(&self) -> usize {
        self.max_dedicated
    }
}

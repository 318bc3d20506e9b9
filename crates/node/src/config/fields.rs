//! The fields of a [`NodeConfig`] in a file.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::Address;
use super::ConfigError;
use super::NodeConfig;
use super::TlsConfig;

/// A node as it is written in a file, before it is [checked](Self::check).
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "a table with the settings of a node")]
pub struct NodeFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    db: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sentinel_username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sentinel_password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<TlsConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe_interval_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_in_flight: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_for_room: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_reply: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_dedicated: Option<usize>,
}

impl NodeFields {
    /// A node with a URL, and nothing else.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// The URL as it is written. The text may hold a password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The name, if one is written.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The same node with another URL, and with a name and a weight where none are written.
    #[must_use]
    pub fn with_server(mut self, url: &str, name: String, weight: f64) -> Self {
        url.clone_into(&mut self.url);
        self.name.get_or_insert(name);
        self.weight.get_or_insert(weight);
        self
    }

    /// Makes a configuration of it.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing that is wrong or cannot be meant.
    pub fn check(self) -> Result<NodeConfig, ConfigError> {
        let mut config = NodeConfig::read(&self.url)?.with_db(self.db.unwrap_or(0));
        if self.name.as_ref().is_some_and(String::is_empty) {
            return Err(ConfigError::EmptyName);
        }
        if self.name.as_ref().is_some_and(|name| name.chars().any(char::is_control)) {
            return Err(ConfigError::Control);
        }
        config.name = self.name;
        config.weight = self.weight.unwrap_or(config.weight);
        let sentinel_settings = [
            ("sentinel_username", self.sentinel_username.is_some()),
            ("sentinel_password", self.sentinel_password.is_some()),
        ];
        if !config.has_sentinels()
            && let Some((setting, _)) = sentinel_settings.into_iter().find(|(_, is_there)| *is_there)
        {
            return Err(ConfigError::NotOfSentinels { setting });
        }
        let (url, sentinels) = (&config.credentials, &config.sentinels.credentials);
        for (setting, there, here) in [
            ("username", url.username(), &self.username),
            ("password", url.password(), &self.password),
            ("sentinel_username", sentinels.username(), &self.sentinel_username),
            ("sentinel_password", sentinels.password(), &self.sentinel_password),
        ] {
            if there.is_some() && here.is_some() {
                return Err(ConfigError::GivenTwice { setting });
            }
        }
        config.credentials.set(self.username, self.password);
        config.sentinels.credentials.set(self.sentinel_username, self.sentinel_password);
        config.check_credentials()?;
        config.tls = self.tls;
        let millis = Duration::from_millis;
        config.connect_timeout = self.connect_timeout_ms.map(millis).or(config.connect_timeout);
        config.response_timeout = self.response_timeout_ms.map(millis).or(config.response_timeout);
        if let Some(ms) = self.probe_interval_ms {
            config.probe_interval = millis(ms);
        }
        config.max_in_flight = self.max_in_flight.unwrap_or(config.max_in_flight);
        config.wait_for_room = self.wait_for_room.unwrap_or(config.wait_for_room);
        config.max_reply = self.max_reply.unwrap_or(config.max_reply);
        config.max_dedicated = self.max_dedicated.unwrap_or(config.max_dedicated);
        config.check()?;
        Ok(config)
    }
}

impl TryFrom<NodeFields> for NodeConfig {
    type Error = ConfigError;

    fn try_from(fields: NodeFields) -> Result<Self, ConfigError> {
        fields.check()
    }
}

impl TryFrom<&str> for NodeConfig {
    type Error = ConfigError;

    fn try_from(url: &str) -> Result<Self, ConfigError> {
        Self::new(url)
    }
}

impl TryFrom<String> for NodeConfig {
    type Error = ConfigError;

    fn try_from(url: String) -> Result<Self, ConfigError> {
        Self::new(&url)
    }
}

/// Without the URL, which may hold a password.
impl fmt::Debug for NodeFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeFields").field("name", &self.name).finish_non_exhaustive()
    }
}

impl From<NodeConfig> for NodeFields {
    fn from(config: NodeConfig) -> Self {
        let millis = |timeout: Duration| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let host = |host: &str| if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        Self {
            url: match &config.address {
                Address::Tcp { host: h, port } => format!("redis://{}:{port}", host(h)),
                Address::Tls { host: h, port } => format!("rediss://{}:{port}", host(h)),
                Address::Unix(path) => {
                    let path = path.to_string_lossy();
                    format!("unix://{}", percent_encoding::utf8_percent_encode(&path, PATH))
                }
                Address::Sentinel { sentinels, service, tls } => {
                    let sentinels: Vec<_> =
                        sentinels.iter().map(|(h, port)| format!("{}:{port}", host(h))).collect();
                    let service = percent_encoding::utf8_percent_encode(service, SERVICE);
                    let s = if *tls { "s" } else { "" };
                    format!("redis{s}+sentinel://{}/{service}", sentinels.join(","))
                }
            },
            weight: (config.weight != 1.0).then_some(config.weight),
            db: (config.db() != 0).then(|| config.db()),
            connect_timeout_ms: config.connect_timeout.map(millis),
            response_timeout_ms: config.response_timeout.map(millis),
            probe_interval_ms: (config.probe_interval != NodeConfig::PROBE_INTERVAL)
                .then(|| millis(config.probe_interval)),
            max_in_flight: (config.max_in_flight != NodeConfig::MAX_IN_FLIGHT)
                .then_some(config.max_in_flight),
            wait_for_room: config.wait_for_room.then_some(true),
            max_reply: (config.max_reply != NodeConfig::MAX_REPLY).then_some(config.max_reply),
            max_dedicated: (config.max_dedicated != NodeConfig::MAX_DEDICATED)
                .then_some(config.max_dedicated),
            tls: config.tls,
            name: config.name,
            username: owned(config.credentials.username()),
            password: owned(config.credentials.password()),
            sentinel_username: owned(config.sentinels.credentials.username()),
            sentinel_password: owned(config.sentinels.credentials.password()),
        }
    }
}

/// The characters to escape in the path of a URL that is read by hand.
const SERVICE: &percent_encoding::AsciiSet = &PATH.add(b'/');
const PATH: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS.add(b'%').add(b'?').add(b'#').add(b' ');

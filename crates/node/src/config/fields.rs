//! How a [`NodeConfig`] stands in a file.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::Address;
use super::ConfigError;
use super::NodeConfig;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    url: String,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    weight: u32,
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
    connect_timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe_interval_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_in_flight: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_reply: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_owned: Option<usize>,
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_one(weight: &u32) -> bool {
    *weight == 1
}

impl TryFrom<Fields> for NodeConfig {
    type Error = ConfigError;

    fn try_from(fields: Fields) -> Result<Self, ConfigError> {
        let mut config = Self::read(&fields.url)?.with_db(fields.db.unwrap_or(0));
        config.name = fields.name;
        config.weight = NonZeroU32::new(fields.weight).ok_or(ConfigError::ZeroWeight)?;
        config.credentials.set(fields.username, fields.password);
        config.sentinels.credentials.set(fields.sentinel_username, fields.sentinel_password);
        config.check_credentials()?;
        if let Some(ms) = fields.connect_timeout_ms {
            config.connect_timeout = Duration::from_millis(ms);
        }
        if let Some(ms) = fields.response_timeout_ms {
            config.response_timeout = Duration::from_millis(ms);
        }
        if let Some(ms) = fields.probe_interval_ms {
            config.probe_interval = Duration::from_millis(ms);
        }
        config.max_in_flight = fields.max_in_flight.unwrap_or(config.max_in_flight);
        config.max_reply = fields.max_reply.unwrap_or(config.max_reply);
        config.max_owned = fields.max_owned.unwrap_or(config.max_owned);
        Ok(config)
    }
}

impl From<NodeConfig> for Fields {
    fn from(config: NodeConfig) -> Self {
        let millis = |timeout: Duration, default: Duration| {
            (timeout != default).then(|| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX))
        };
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
            weight: config.weight.get(),
            db: (config.db() != 0).then(|| config.db()),
            connect_timeout_ms: millis(config.connect_timeout, NodeConfig::CONNECT_TIMEOUT),
            response_timeout_ms: millis(config.response_timeout, NodeConfig::RESPONSE_TIMEOUT),
            probe_interval_ms: millis(config.probe_interval, NodeConfig::PROBE_INTERVAL),
            max_in_flight: (config.max_in_flight != NodeConfig::MAX_IN_FLIGHT)
                .then_some(config.max_in_flight),
            max_reply: (config.max_reply != NodeConfig::MAX_REPLY).then_some(config.max_reply),
            max_owned: (config.max_owned != NodeConfig::MAX_OWNED).then_some(config.max_owned),
            name: config.name,
            username: owned(config.credentials.username()),
            password: owned(config.credentials.password()),
            sentinel_username: owned(config.sentinels.credentials.username()),
            sentinel_password: owned(config.sentinels.credentials.password()),
        }
    }
}

/// What must be escaped in the path of a URL that is read by hand.
const SERVICE: &percent_encoding::AsciiSet = &PATH.add(b'/');
const PATH: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS.add(b'%').add(b'?').add(b'#').add(b' ');

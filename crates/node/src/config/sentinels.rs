//! Sentinels in a [`NodeConfig`]: how their URL is read, and how they are asked.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use url::Url;

use super::Address;
use super::ConfigError;
use super::NodeConfig;
use super::credentials::Credentials;
use super::parts::db_number;
use super::parts::decode_place;

/// The credentials for the sentinels, and the sentinels beside those of the URL.
#[derive(Clone, Default)]
pub(crate) struct Sentinels {
    pub(crate) credentials: Credentials,
    /// The sentinels that were last named by others. No setting, so two configurations are equal without it;
    /// clones share it.
    learned: Arc<Mutex<Vec<(String, u16)>>>,
}

impl Sentinels {
    /// Returns the sentinels that the last answer named.
    pub(crate) fn learned(&self) -> Vec<(String, u16)> {
        self.learned.lock().clone()
    }

    /// Keeps those that were named in place of those before.
    pub(crate) fn learn(&self, named: Vec<(String, u16)>) {
        *self.learned.lock() = named;
    }
}

impl PartialEq for Sentinels {
    fn eq(&self, other: &Self) -> bool {
        self.credentials == other.credentials
    }
}

impl Eq for Sentinels {}

impl fmt::Debug for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the hosts: whoever names them may know the password, and the master's is not known here.
        f.debug_struct("Sentinels").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

impl NodeConfig {
    /// Several hosts are no URL as `Url` knows them, so this form is read by hand.
    pub(super) fn from_sentinel_url(rest: &str, tls: bool) -> Result<Self, ConfigError> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').ok_or(ConfigError::NoService)?;
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (Some(credentials), hosts),
            None => (None, authority),
        };
        let (service, db) = path.split_once('/').unwrap_or((path, ""));
        if service.is_empty() {
            return Err(ConfigError::NoService);
        }
        let sentinels = hosts.split(',').map(sentinel).collect::<Result<Vec<_>, _>>()?;
        let mut config = Self::at(Address::Sentinel { sentinels, service: decode_place(service)?, tls });
        if let Some(credentials) = credentials {
            config.credentials = Credentials::of_url(credentials)?;
        }
        if !db.is_empty() {
            config.url_db = Some(db_number(db)?);
        }
        config.read_query(url::form_urlencoded::parse(query.as_bytes()))?;
        Ok(config)
    }
}

/// Host and port of one sentinel. A part that cannot be read is not shown: it may be the rest of a password.
fn sentinel(text: &str) -> Result<(String, u16), ConfigError> {
    let url = Url::parse(&format!("redis://{text}")).map_err(|_| ConfigError::NoHost)?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(ConfigError::NoHost)?;
    if !matches!(url.path(), "" | "/") || !url.username().is_empty() || url.port() == Some(0) {
        return Err(ConfigError::NoHost);
    }
    Ok((decode_place(host.trim_start_matches('[').trim_end_matches(']'))?, url.port().unwrap_or(26379)))
}

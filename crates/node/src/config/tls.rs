//! The identities of a TLS connection: whom a node trusts, as whom it shows itself, and by which name.

use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use super::ConfigError;
use super::NodeConfig;
#[cfg(feature = "tls")]
use crate::connection::tls::Kept;

/// The identities of a TLS connection: the certificate authority that a node trusts, the client certificate that
/// the node shows, and the name that the server's certificate must be for. Each has a default, which is that of
/// `rediss://` alone. Who knows redis-rs's `TlsCertificates` finds the same here, from files too.
///
/// ```
/// use redisdb_node::{NodeConfig, TlsConfig};
///
/// let tls = TlsConfig::new()
///     .with_ca("/etc/redis/ca.crt")
///     .with_client_cert("/etc/redis/client.crt", "/etc/redis/client.key")
///     .with_server_name("cache.internal");
/// # #[cfg(feature = "tls")]
/// let config = NodeConfig::new("rediss://10.0.0.1")?.with_tls(tls);
/// # Ok::<(), redisdb_node::ConfigError>(())
/// ```
///
/// # When the files change
/// The files are read for each new connection, so a certificate that was rotated needs no restart. Connections
/// that are open keep theirs. If files that were read once can be used no more, the node connects with what they
/// held, and logs why: a rotation may write one file after the other.
///
/// # In a file
/// `tls = { ca = "..", cert = "..", key = "..", server_name = ".." }`, each of them optional.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a table with the settings of TLS")]
pub struct TlsConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<Pem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cert: Option<Pem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Pem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<String>,
    /// The identities that were last read. No setting, so two configurations are equal without it; clones share
    /// it.
    #[cfg(feature = "tls")]
    #[serde(skip)]
    kept: Arc<Kept>,
}

/// Certificates or a key in PEM: the path of a file, or the text itself. A string that has a `-----BEGIN ` in it
/// is the text.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(from = "String", into = "String")]
pub struct Pem(Source);

#[derive(Clone, PartialEq, Eq)]
enum Source {
    File(PathBuf),
    Text(Arc<str>),
}

/// The path of a file is no longer, in bytes; and what could be base64 is no key if it is shorter than that.
const LONGEST_PATH: usize = 255;
const SHORTEST_KEY: usize = 60;

impl TlsConfig {
    /// The identities of `rediss://` alone: the system's root certificates, no client certificate, and the host
    /// of the URL as the name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the certificate authorities that may vouch for the server, in place of the system's root
    /// certificates. Default: those of the system.
    #[must_use]
    pub fn with_ca(mut self, ca: impl Into<Pem>) -> Self {
        self.ca = Some(ca.into());
        self.unread()
    }

    /// Sets the certificate that the node shows to a server which asks for one, with those between it and its
    /// authority, and its key. Default: none.
    ///
    /// The key is never shown, and has no passphrase.
    #[must_use]
    pub fn with_client_cert(mut self, cert: impl Into<Pem>, key: impl Into<Pem>) -> Self {
        self.cert = Some(cert.into());
        self.key = Some(key.into());
        self.unread()
    }

    /// The same, of which nothing was read yet.
    fn unread(self) -> Self {
        Self {
            #[cfg(feature = "tls")]
            kept: Arc::default(),
            ..self
        }
    }

    /// Sets the name, or the IP address, that is asked for (SNI) and that the server's certificate must be for:
    /// for a server behind a tunnel, or one that is dialed by an address. Default: the host that is connected
    /// to. Of sentinels the name is their master's too.
    #[must_use]
    pub fn with_server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The name that the server's certificate must be for, `None` for the host that is connected to.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    #[cfg(feature = "tls")]
    pub(crate) fn ca(&self) -> Option<&Pem> {
        self.ca.as_ref()
    }

    #[cfg(feature = "tls")]
    pub(crate) fn client_cert(&self) -> Option<(&Pem, &Pem)> {
        self.cert.as_ref().zip(self.key.as_ref())
    }

    #[cfg(feature = "tls")]
    pub(crate) fn kept(&self) -> &Arc<Kept> {
        &self.kept
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.cert.is_some() != self.key.is_some() {
            return Err(ConfigError::CertWithoutKey);
        }
        #[cfg(feature = "tls")]
        if let Some(name) = &self.server_name
            && rustls::pki_types::ServerName::try_from(name.as_str()).is_err()
        {
            return Err(ConfigError::ServerName);
        }
        Ok(())
    }
}

/// # Who it is
impl NodeConfig {
    /// Sets the certificate authority, the client certificate and the server's name of connections through TLS.
    #[must_use]
    pub fn with_tls(mut self, tls: TlsConfig) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sets them where they were not set, if the node is connected to through TLS.
    #[must_use]
    pub fn or_tls(mut self, tls: &TlsConfig) -> Self {
        if self.tls.is_none() && self.address.is_tls() {
            self.tls = Some(tls.clone());
        }
        self
    }

    /// The identities of connections through TLS, `None` for the default ones.
    pub fn tls(&self) -> Option<&TlsConfig> {
        self.tls.as_ref()
    }

    pub(super) fn check_tls(&self) -> Result<(), ConfigError> {
        match &self.tls {
            Some(_) if !self.address.is_tls() => Err(ConfigError::NotOfTls),
            Some(tls) => tls.check(),
            None => Ok(()),
        }
    }
}

impl PartialEq for TlsConfig {
    fn eq(&self, other: &Self) -> bool {
        (&self.ca, &self.cert, &self.key, &self.server_name)
            == (&other.ca, &other.cert, &other.key, &other.server_name)
    }
}

impl Eq for TlsConfig {}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("ca", &self.ca)
            .field("cert", &self.cert)
            .field("key", &self.key)
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "tls")]
impl Pem {
    /// Reads the file, if it is one.
    pub(crate) fn read(&self) -> std::io::Result<Vec<u8>> {
        match &self.0 {
            Source::File(path) => std::fs::read(path),
            Source::Text(text) => Ok(text.as_bytes().to_vec()),
        }
    }

    /// The words for it in an error.
    pub(crate) fn told(&self) -> String {
        match &self.0 {
            Source::File(path) if self.may_be_shown() => {
                format!("the file `{}`", crate::error::foreign::text(&path.to_string_lossy()))
            }
            Source::File(_) => "the text, which has no `-----BEGIN`".to_owned(),
            Source::Text(_) => "the text".to_owned(),
        }
    }
}

impl Pem {
    /// Returns whether the text is a path, which may be shown. A text that lacks the first line of PEM, or is
    /// in another code, may still be a key.
    fn may_be_shown(&self) -> bool {
        let Source::File(path) = &self.0 else { return false };
        let path = path.to_string_lossy();
        let is_base64 = path.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c));
        path.len() <= LONGEST_PATH
            && !path.contains(char::is_control)
            && (!is_base64 || path.len() < SHORTEST_KEY)
    }
}

impl From<String> for Pem {
    fn from(text: String) -> Self {
        Self(match text.contains("-----BEGIN ") {
            true => Source::Text(text.into()),
            false => Source::File(text.into()),
        })
    }
}

impl From<&str> for Pem {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<PathBuf> for Pem {
    fn from(path: PathBuf) -> Self {
        Self(Source::File(path))
    }
}

impl From<&Path> for Pem {
    fn from(path: &Path) -> Self {
        path.to_owned().into()
    }
}

impl From<Pem> for String {
    fn from(pem: Pem) -> Self {
        match pem.0 {
            Source::File(path) => path.to_string_lossy().into_owned(),
            Source::Text(text) => text.as_ref().to_owned(),
        }
    }
}

/// Without the text, which may be a key.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::File(path) if self.may_be_shown() => write!(f, "{path:?}"),
            _ => f.write_str("***"),
        }
    }
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----\n";

    fn read(fields: &str) -> Result<NodeConfig, String> {
        serde_json::from_str(&format!("{{{fields}}}")).map_err(|error| error.to_string())
    }

    #[test]
    fn what_may_be_a_key_is_not_shown_though_it_has_no_first_line() {
        let body = "s3cret00".repeat(9);
        for key in [body.clone(), format!("{body}\n{body}"), KEY.replace("BEGIN ", ""), body.repeat(9)] {
            let pem = Pem::from(key);
            let shown = format!("{pem:?} {}", pem.told());
            assert!(!shown.contains("s3cret") && shown.contains("no `-----BEGIN`"), "{shown}");
        }
        let path = Pem::from("/etc/redis/tls/certificates/of/the/application/which/is/long/app.key");
        assert!(format!("{path:?} {}", path.told()).matches("app.key").count() == 2);
    }

    #[test]
    fn the_settings_of_a_file_are_read_as_they_are_written() {
        let config = read(
            r#""url": "rediss://h", "tls": {"ca": "/ca", "cert": "/c", "key": "/k", "server_name": "n"}"#,
        );
        let tls = TlsConfig::new().with_ca("/ca").with_client_cert("/c", "/k").with_server_name("n");
        let expected = NodeConfig::new("rediss://h").unwrap().with_tls(tls);
        assert_eq!(config.unwrap(), expected);
        let written = serde_json::to_string(&expected).unwrap();
        assert_eq!(serde_json::from_str::<NodeConfig>(&written).unwrap(), expected, "{written}");
        let text = expected.with_tls(TlsConfig::new().with_client_cert("/c", KEY));
        let written = serde_json::to_string(&text).unwrap();
        assert_eq!(serde_json::from_str::<NodeConfig>(&written).unwrap(), text);
    }

    #[test]
    fn a_key_that_is_given_as_text_is_not_shown() {
        let tls = TlsConfig::new().with_ca("/ca").with_client_cert("/c", KEY);
        let shown = format!("{:?}", NodeConfig::new("rediss://h").unwrap().with_tls(tls));
        assert!(shown.contains("/ca") && shown.contains("key: Some(***)"), "{shown}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let check = |fields: &str, expected: &str| {
            let error = read(fields).unwrap_err();
            assert!(error.contains(expected), "{fields}: {error}");
        };
        check(r#""url": "redis://h", "tls": {}"#, "`tls` is for `rediss://`");
        check(r#""url": "redis+sentinel://h/my", "tls": {}"#, "`tls` is for `rediss://`");
        check(r#""url": "rediss://h", "tls": {"cert": "/c"}"#, "a client certificate needs both");
        check(r#""url": "rediss://h", "tls": {"key": "/k"}"#, "a client certificate needs both");
        check(r#""url": "rediss://h", "tls": {"server_name": "a b"}"#, "neither a host name nor");
        check(r#""url": "rediss://h", "tls": {"cacert": "/c"}"#, "unknown field");
        read(r#""url": "rediss+sentinel://h/my", "tls": {"ca": "/ca"}"#).unwrap();
        read(r#""url": "rediss://h", "tls": {"server_name": "10.0.0.1"}"#).unwrap();
    }

    #[test]
    fn what_is_for_all_nodes_is_for_those_with_tls_that_have_none_of_their_own() {
        let (all, own) = (TlsConfig::new().with_ca("/all"), TlsConfig::new().with_ca("/own"));
        let tls = |config: NodeConfig| config.or_tls(&all).tls().cloned();
        assert_eq!(tls(NodeConfig::new("redis://h").unwrap()), None);
        assert_eq!(tls(NodeConfig::new("rediss://h").unwrap()), Some(all.clone()));
        assert_eq!(tls(NodeConfig::new("rediss://h").unwrap().with_tls(own.clone())), Some(own));
    }
}

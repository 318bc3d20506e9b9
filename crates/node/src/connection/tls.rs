//! TLS: from a stream to an encrypted one, with the identities of a node's configuration.

mod records;

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem;
use rustls::pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use self::records::Records;
use crate::config::ConfigError;
use crate::config::NodeConfig;
use crate::config::Pem;
use crate::config::TlsConfig;
use crate::error::ErrorKind;

/// Makes a stream an encrypted one, to the server that the configuration or else the host names.
pub(super) async fn encrypt(
    config: &NodeConfig,
    host: &str,
    stream: TcpStream,
) -> Result<Records<TlsStream<TcpStream>>, ErrorKind> {
    let failed = |error: io::Error| ErrorKind::Tls(Arc::new(error));
    let name = config.tls().and_then(TlsConfig::server_name).unwrap_or(host);
    let name = ServerName::try_from(name.to_owned())
        .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    let client = match config.tls() {
        None => system_client().map_err(ErrorKind::Config)?,
        Some(tls) => client(tls, config.name()).await?,
    };
    TlsConnector::from(client).connect(name, stream).await.map(Records::new).map_err(failed)
}

/// The identities that were last read of a [`TlsConfig`].
pub(crate) struct Kept {
    last: Mutex<Option<Read>>,
    /// Held by the one that reads. Files may be on a disk that hangs: no more than one thread hangs with it.
    reading: Arc<Semaphore>,
}

impl Default for Kept {
    fn default() -> Self {
        Self { last: Mutex::default(), reading: Arc::new(Semaphore::new(1)) }
    }
}

/// Identities and the PEM that they were made of.
struct Read {
    made_of: Pems,
    client: Arc<ClientConfig>,
}

#[derive(PartialEq)]
struct Pems {
    ca: Option<Vec<u8>>,
    cert: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
}

/// The identities as the files have them now; as they were last, if the files cannot be used or somebody else is just reading them.
async fn client(tls: &TlsConfig, node: &str) -> Result<Arc<ClientConfig>, ErrorKind> {
    let reading = Arc::clone(&tls.kept().reading);
    let permit = match Arc::clone(&reading).try_acquire_owned() {
        Ok(permit) => Some(permit),
        Err(_) => match tls.kept().last() {
            Some(client) => return Ok(client),
            None => reading.acquire_owned().await.ok(),
        },
    };
    let (tls, node) = (tls.clone(), node.to_owned());
    let read = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        read_client(&tls, &node)
    });
    let read = read.await.map_err(|error| ErrorKind::Tls(Arc::new(io::Error::other(error))))?;
    read.map_err(ErrorKind::Config)
}

fn read_client(tls: &TlsConfig, node: &str) -> Result<Arc<ClientConfig>, ConfigError> {
    let read = Pems::read(tls);
    let mut last = tls.kept().last.lock();
    let error = match (read, &*last) {
        (Ok(pems), Some(last)) if last.made_of == pems => return Ok(Arc::clone(&last.client)),
        (Ok(pems), _) => match pems.make_client(tls) {
            Ok(client) => {
                *last = Some(Read { made_of: pems, client: Arc::clone(&client) });
                return Ok(client);
            }
            Err(error) => error,
        },
        (Err(error), _) => error,
    };
    let last = last.as_ref().ok_or_else(|| error.clone())?;
    tracing::warn!(node, %error, "the files of `tls` have changed and cannot be used; what they held before is used");
    Ok(Arc::clone(&last.client))
}

impl Kept {
    fn last(&self) -> Option<Arc<ClientConfig>> {
        self.last.lock().as_ref().map(|last| Arc::clone(&last.client))
    }
}

impl Pems {
    fn read(tls: &TlsConfig) -> Result<Self, ConfigError> {
        let read = |setting, pem: Option<&Pem>| {
            let read = |pem: &Pem| {
                let why = |error| {
                    format!(
                        "it cannot be read: {error}; see that it is there and that this process may read it"
                    )
                };
                pem.read().map_err(|error| unusable(setting, pem, why(error)))
            };
            pem.map(read).transpose()
        };
        let (cert, key) = tls.client_cert().unzip();
        Ok(Self { ca: read("ca", tls.ca())?, cert: read("cert", cert)?, key: read("key", key)? })
    }

    fn make_client(&self, tls: &TlsConfig) -> Result<Arc<ClientConfig>, ConfigError> {
        let roots = match tls.ca().zip(self.ca.as_ref()) {
            None => system_roots()?,
            Some((pem, bytes)) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates("ca", pem, bytes)? {
                    let added = roots.add(certificate);
                    added.map_err(|error| {
                        unusable("ca", pem, format!("a certificate in it is wrong: {error}"))
                    })?;
                }
                Arc::new(roots)
            }
        };
        let builder = client_builder()?.with_root_certificates(roots);
        let identity = tls.client_cert().zip(self.cert.as_ref().zip(self.key.as_ref()));
        let Some(((cert_pem, key_pem), (cert, key))) = identity else {
            return Ok(Arc::new(builder.with_no_client_auth()));
        };
        let chain = certificates("cert", cert_pem, cert)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
            let wanted = "a private key in PEM without a passphrase, `-----BEGIN PRIVATE KEY-----`";
            unusable("key", key_pem, missing(&error, wanted))
        })?;
        // The error never has the key in it.
        let client = builder.with_client_auth_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                unusable("key", key_pem, "it is not the key of the certificate in `cert`".to_owned())
            }
            error => {
                unusable("key", key_pem, format!("it and the certificate in `cert` cannot be used: {error}"))
            }
        })?;
        Ok(Arc::new(client))
    }
}

fn certificates(
    setting: &'static str,
    pem: &Pem,
    bytes: &[u8],
) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let wanted = "a certificate in PEM, `-----BEGIN CERTIFICATE-----`";
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(unusable(setting, pem, missing(&pem::Error::NoItemsFound, wanted))),
        Err(error) => Err(unusable(setting, pem, missing(&error, wanted))),
    }
}

/// Without the words of the error, which may have a line of the text.
fn missing(error: &pem::Error, wanted: &str) -> String {
    match error {
        pem::Error::NoItemsFound => format!("it has none of what is wanted; give {wanted}"),
        _ => format!("it is damaged; give {wanted}"),
    }
}

fn unusable(setting: &'static str, pem: &Pem, reason: String) -> ConfigError {
    ConfigError::Tls { setting, from: pem.told(), reason }
}

fn no_roots(reason: &str) -> ConfigError {
    let reason = format!("they cannot be used: {reason}; give a certificate authority");
    ConfigError::Tls { setting: "ca", from: "the system's root certificates".to_owned(), reason }
}

fn client_builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, ConfigError> {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| no_roots(&error.to_string()))
}

/// The identities of a node without a [`TlsConfig`].
fn system_client() -> Result<Arc<ClientConfig>, ConfigError> {
    static CLIENT: std::sync::OnceLock<Result<Arc<ClientConfig>, ConfigError>> = std::sync::OnceLock::new();
    let make =
        || Ok(Arc::new(client_builder()?.with_root_certificates(system_roots()?).with_no_client_auth()));
    CLIENT.get_or_init(make).clone()
}

/// The system's root certificates, read once: the environment's `SSL_CERT_FILE` and `SSL_CERT_DIR` count.
fn system_roots() -> Result<Arc<RootCertStore>, ConfigError> {
    static ROOTS: std::sync::OnceLock<Result<Arc<RootCertStore>, ConfigError>> = std::sync::OnceLock::new();
    let read = || {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        match roots.add_parsable_certificates(found.certs) {
            (0, _) => Err(no_roots(&format!("there are none: {:?}", found.errors))),
            _ => Ok(Arc::new(roots)),
        }
    };
    ROOTS.get_or_init(read).clone()
}

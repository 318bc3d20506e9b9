//! Where the master of a service is, as its sentinels say:
//! <https://redis.io/docs/latest/develop/reference/sentinel-clients/>.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use redis::Cmd;
use redis::Value;

use crate::config::Address;
use crate::config::ConfigError;
use crate::config::Credentials;
use crate::config::NodeConfig;
use crate::connection::clock;
use crate::connection::handshake::Entered;
use crate::connection::handshake::reach;
use crate::connection::identify;
use crate::error::ErrorKind;
use crate::error::ServerError;
use crate::error::foreign;
use crate::redis_rs::decode;
use crate::wire::Wire;

/// Host and port.
type HostPort = (String, u16);

/// So many sentinels are asked at most beside those that are configured, whatever they name. Five watch a
/// master usually.
pub(crate) const MOST_NAMED: usize = 32;

/// A name is no longer than this, in bytes: <https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4>.
const LONGEST_HOST: usize = 255;

/// Asks all sentinels at once, also those that one of them names. Returns a connection to the first server
/// that one of them takes for the master and that takes itself for it. A sentinel that is down, or does not
/// know yet of a failover, holds up nobody.
pub(crate) async fn master<'a>(
    config: &'a NodeConfig,
    credentials: &'a Credentials,
) -> Result<Entered, ErrorKind> {
    let Address::Sentinel { sentinels, service, tls } = config.address() else {
        return Err(ConfigError::NoService.into());
    };
    let mut asked: Vec<HostPort> = Vec::new();
    let mut tried: Vec<HostPort> = Vec::new();
    let mut steps: FuturesUnordered<BoxFuture<'a, Step>> = FuturesUnordered::new();
    let most = sentinels.len() + MOST_NAMED;
    let mut ask_too = |places: Vec<HostPort>, steps: &FuturesUnordered<BoxFuture<'a, Step>>| {
        for place in places {
            if asked.len() < most && !asked.contains(&place) {
                asked.push(place.clone());
                steps.push(async move { Step::Asked(ask(config, place, service, *tls).await) }.boxed());
            }
        }
    };
    ask_too(sentinels.clone(), &steps);
    ask_too(config.sentinels().learned(), &steps);
    let (mut unknown, mut failed) = (false, None);
    while let Some(step) = steps.next().await {
        match step {
            Step::Asked(Ok(Answer { master, others })) => {
                ask_too(others, &steps);
                match master {
                    Some(place) if !tried.contains(&place) => {
                        tried.push(place.clone());
                        let reached = reach_master(config, place, credentials, *tls);
                        steps.push(async move { Step::Reached(reached.await) }.boxed());
                    }
                    Some(_) => {}
                    None => unknown = true,
                }
            }
            Step::Asked(Err(error)) => failed = failed.or(Some(error)),
            Step::Reached(Ok(master)) => return Ok(master),
            // The answer of a server about itself tells more than that a sentinel is down.
            Step::Reached(Err(error)) => failed = Some(error),
        }
    }
    match failed {
        // A sentinel that answers knows best whether there is such a service.
        Some(error) if !unknown || !tried.is_empty() => Err(error),
        _ => Err(no_master(format!("no sentinel knows a service `{service}`"))),
    }
}

enum Step {
    Asked(Result<Answer, ErrorKind>),
    Reached(Result<Entered, ErrorKind>),
}

/// The answer of a sentinel.
struct Answer {
    master: Option<HostPort>,
    others: Vec<HostPort>,
}

async fn ask(
    config: &NodeConfig,
    (host, port): HostPort,
    service: &str,
    tls: bool,
) -> Result<Answer, ErrorKind> {
    let access = config.sentinels();
    // Whose password is wrong must be told: the master has one of its own.
    let named = |error| match error {
        ErrorKind::Auth(text) => ErrorKind::Auth(format!("sentinel {}:{port}: {text}", foreign::word(&host))),
        error => error,
    };
    let mut sentinel = reach(config, &access.credentials, (&host, port), tls).await.map_err(named)?;
    let question = |what| redis::cmd("SENTINEL").arg(what).arg(service).take();
    let master: Option<HostPort> = match sentinel.ask(&question("GET-MASTER-ADDR-BY-NAME")).await? {
        Value::ServerError(reply) => return Err(named(refusal(&reply))),
        reply => decode(reply).map_err(|error| ErrorKind::Reply(error.into()))?,
    };
    let length = master.as_ref().map_or(0, |(host, _)| host.len());
    if LONGEST_HOST < length {
        return Err(no_master(format!("a sentinel names a host of {length} bytes")));
    }
    // A user who may not ask for the others is told of none.
    let others: Vec<HostPort> = match sentinel.ask(&question("SENTINELS")).await? {
        Value::Array(others) => others.iter().take(MOST_NAMED).filter_map(place).collect(),
        _ => Vec::new(),
    };
    if !others.is_empty() {
        access.learn(others.iter().cloned().chain([(host, port)]).collect());
    }
    Ok(Answer { master, others })
}

fn refusal(reply: &redis::ServerError) -> ErrorKind {
    let reply = ServerError::from(reply);
    if reply.is_auth() { ErrorKind::Auth(reply.to_string()) } else { ErrorKind::Server(reply) }
}

/// Where another sentinel is, by the list of its fields and values.
fn place(fields: &Value) -> Option<HostPort> {
    let Value::Array(words) = fields else { return None };
    let field = |name: &[u8]| {
        let mut pairs = words.chunks_exact(2);
        pairs.find_map(|pair| match pair {
            [Value::BulkString(field), Value::BulkString(value)] if field == name => {
                std::str::from_utf8(value).ok()
            }
            _ => None,
        })
    };
    let host = field(b"ip").filter(|host| host.len() <= LONGEST_HOST)?;
    Some((host.to_owned(), field(b"port")?.parse().ok()?))
}

/// Connects to a server and fails if it is no master: a sentinel may not know yet of a failover, and a
/// demoted master takes no writes.
async fn reach_master(
    config: &NodeConfig,
    (host, port): HostPort,
    credentials: &Credentials,
    tls: bool,
) -> Result<Entered, ErrorKind> {
    let mut server = reach(config, credentials, (&host, port), tls).await?;
    for question in whether_it_is_a_master() {
        if let Some(is_master) = is_a_master(server.ask(&question).await?)? {
            return if is_master { Ok(server) } else { Err(is_no_master()) };
        }
    }
    Ok(server)
}

/// Makes sure that a server that was the master is it still.
pub(crate) async fn is_master(wire: &Wire) -> Result<(), ErrorKind> {
    for question in whether_it_is_a_master() {
        if let Some(is_master) = is_a_master(identify::send(wire, &question).await?)? {
            return if is_master { Ok(()) } else { Err(is_no_master()) };
        }
    }
    Ok(())
}

/// Two questions, for a server may not answer the first of them to this user. A server that answers neither is what the sentinels
/// say it is.
fn whether_it_is_a_master() -> [Cmd; 2] {
    [redis::cmd("ROLE"), redis::cmd("INFO").arg("replication").take()]
}

/// Reads the reply; `None` if the server does not answer the question.
fn is_a_master(reply: Value) -> Result<Option<bool>, ErrorKind> {
    Ok(identify::answer(reply)?.ok().map(|reply| match reply {
        Value::Array(role) => role.first() == Some(&Value::BulkString(b"master".to_vec())),
        Value::BulkString(info) => clock::field(&info, b"role:") == Some("master"),
        _ => false,
    }))
}

fn is_no_master() -> ErrorKind {
    no_master("the server that the sentinels name is no master; a failover may be under way".to_owned())
}

fn no_master(reason: String) -> ErrorKind {
    ErrorKind::Connect(Arc::new(std::io::Error::new(std::io::ErrorKind::NotFound, reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentinel_url_names_sentinels_and_a_service() {
        type Parts<'a> = (&'a [(&'a str, u16)], &'a str, u32);
        fn check(url: &str, expected: Result<Parts<'_>, ConfigError>) {
            let config = NodeConfig::new(url);
            let found = config.as_ref().map(|config| match config.address() {
                Address::Sentinel { sentinels, service, tls: false } => {
                    let sentinels: Vec<_> = sentinels.iter().map(|(h, port)| (h.as_str(), *port)).collect();
                    (sentinels, service.as_str(), config.db())
                }
                other => panic!("{other:?}"),
            });
            assert_eq!(found, expected.as_ref().map(|(s, service, db)| (s.to_vec(), *service, *db)), "{url}");
            if let Ok(config) = &config {
                let written = serde_json::to_string(config).unwrap();
                let read: NodeConfig = serde_json::from_str(&written).unwrap();
                assert_eq!((read.address(), read.db()), (config.address(), config.db()));
            }
        }
        check("redis+sentinel://h/my", Ok((&[("h", 26379)], "my", 0)));
        check(
            "redis+sentinel://a:1,[::1]:2,c/my%2Fs/3",
            Ok((&[("a", 1), ("::1", 2), ("c", 26379)], "my/s", 3)),
        );
        check("valkey+sentinel://u:p%40@h:1/my?db=4", Ok((&[("h", 1)], "my", 4)));
        check("redis+sentinel://h", Err(ConfigError::NoService));
        check("redis+sentinel://h/", Err(ConfigError::NoService));
        check("redis+sentinel://h,,i/my", Err(ConfigError::NoHost));
        check("redis+sentinel:///my", Err(ConfigError::NoHost));
        check("redis+sentinel://h:0/my", Err(ConfigError::NoHost));
        check("redis+sentinel://h/my/x", Err(ConfigError::NotADatabase));
        let secret = NodeConfig::new("redis+sentinel://u:secret@h/my").unwrap();
        assert_eq!((secret.name(), secret.username()), ("my", Some("u")));
        assert!(!format!("{secret:?}").contains("secret"));
    }

    #[test]
    fn sentinels_have_a_password_of_their_own_which_is_never_shown() {
        let url = "rediss+sentinel://u:m%40ster@h/my?sentinel_username=s&sentinel_password=hush%26h%40%2B";
        let config = NodeConfig::new(url).unwrap();
        assert!(matches!(config.address(), Address::Sentinel { tls: true, .. }));
        let access = config.sentinels();
        assert_eq!(access.credentials.username(), Some("s"));
        let passwords = (access.credentials.password(), config.credentials().password());
        assert_eq!(passwords, (Some("hush&h@+"), Some("m@ster")));
        let shown = format!("{config:?}");
        assert!(!shown.contains("hush") && !shown.contains("m@ster"), "{shown}");
        let written = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<NodeConfig>(&written).unwrap(), config);
        assert_ne!(config, config.clone().with_sentinel_credentials(None, "other"));

        for url in ["redis://h?sentinel_password=hush", "redis+sentinel://h/my?sentinel_pass=hush"] {
            let error = NodeConfig::new(url).unwrap_err();
            assert!(matches!(error, ConfigError::UnknownParameter { .. }));
            assert!(!error.to_string().contains("hush"), "{error}");
        }
    }
}

//! Where the master of a service is, as its sentinels say: <https://redis.io/docs/latest/develop/reference/sentinel-clients/>.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::AsyncConnectionConfig;
use redis::RedisConnectionInfo;
use redis::Value;
use redis::aio::MultiplexedConnection;

use crate::config::NodeConfig;
use crate::dial;
use crate::error::ErrorKind;

/// Asks all sentinels at once and returns the address of the first answer.
pub(crate) async fn master(
    config: &NodeConfig,
    sentinels: &[(String, u16)],
    service: &str,
) -> Result<(String, u16), ErrorKind> {
    let mut answers: FuturesUnordered<_> =
        sentinels.iter().map(|(host, port)| ask(config, host, *port, service)).collect();
    let mut unknown = false;
    let mut failed = None;
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(Some(master)) => return Ok(master),
            Ok(None) => unknown = true,
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        // A sentinel that answers knows best whether there is such a service.
        Some(error) if !unknown => Err(error),
        _ => Err(no_master(format!("no sentinel knows a service `{service}`"))),
    }
}

async fn ask(
    config: &NodeConfig,
    host: &str,
    port: u16,
    service: &str,
) -> Result<Option<(String, u16)>, ErrorKind> {
    let options = AsyncConnectionConfig::new().set_response_timeout(Some(config.response_timeout()));
    let settings = RedisConnectionInfo::default().set_skip_set_lib_name();
    let stream = dial::tcp(host, port).await?;
    let mut dialed = dial::handshake(&settings, options, stream, || ()).await?;
    let mut cmd = redis::cmd("SENTINEL");
    cmd.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
    let reply = dialed.connection.send_packed_command(&cmd).await;
    dialed.driver.abort();
    let reply = reply.and_then(Value::extract_error).map_err(dial::refused)?;
    redis::from_redis_value(reply).map_err(|error| ErrorKind::Reply(error.into()))
}

/// Fails if a server is no master: a sentinel may not know yet of a failover, and a demoted master takes no writes.
pub(crate) async fn must_be_master(connection: &MultiplexedConnection) -> Result<(), ErrorKind> {
    let reply = connection.clone().send_packed_command(&redis::cmd("ROLE")).await;
    match reply.and_then(Value::extract_error).map_err(dial::refused)? {
        Value::Array(role) if role.first() == Some(&Value::BulkString(b"master".to_vec())) => Ok(()),
        _ => Err(no_master(
            "the server that the sentinels name is no master; a failover may be under way".to_owned(),
        )),
    }
}

fn no_master(reason: String) -> ErrorKind {
    ErrorKind::Connect(Arc::new(std::io::Error::new(std::io::ErrorKind::NotFound, reason)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Address;
    use crate::config::ConfigError;

    #[test]
    fn a_sentinel_url_names_sentinels_and_a_service() {
        type Parts<'a> = (&'a [(&'a str, u16)], &'a str, u32);
        fn check(url: &str, expected: Result<Parts<'_>, ConfigError>) {
            let config = NodeConfig::new(url);
            let found = config.as_ref().map(|config| match config.address() {
                Address::Sentinel { sentinels, service } => {
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
}

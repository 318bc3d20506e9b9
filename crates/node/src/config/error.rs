//! The error of a URL or a configuration.

/// The error of a URL or a configuration. Its text never shows a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no `scheme://`.
    #[error("the URL has no scheme; write it as in `redis://host:6379`")]
    NoScheme,
    /// The scheme is not one of ours.
    #[error("`{scheme}://` is not known; use `redis://`, `rediss://`, `unix://` or `redis+sentinel://`")]
    UnknownScheme {
        /// The text before `://`.
        scheme: String,
    },
    /// The URL cannot be read, or its port is none.
    #[error("the URL cannot be read: {reason}")]
    Url {
        /// The reason.
        reason: String,
    },
    /// The URL names no host.
    #[error("the URL names no host; write it as in `redis://host:6379`")]
    NoHost,
    /// A `unix://` URL names no socket.
    #[error("the URL names no socket; write it as in `unix:///run/redis.sock`")]
    NoPath,
    /// A `redis+sentinel://` URL names no service.
    #[error("the URL names no service; write it as in `redis+sentinel://host:26379,host:26379/mymaster`")]
    NoService,
    /// The URL ends in a `#fragment`.
    #[error("the URL ends in a fragment, which has no meaning here; escape a `#` in a password as `%23`")]
    Fragment,
    /// User, password or path is no UTF-8 once decoded.
    #[error("the URL is not UTF-8 once its escapes are decoded")]
    NotUtf8,
    /// The database is no number. The text is not shown: it may be the rest of a password.
    #[error(
        "the database is no number; if the password has a `/`, `?` or `@`, escape it as `%2F`, `%3F`, `%40`"
    )]
    NotADatabase,
    /// A `?parameter=` is not known.
    #[error(
        "the URL's parameter `{name}` is not known; known are `db`, `user` and `pass`, and `sentinel_username` and \
         `sentinel_password` of `redis+sentinel://`"
    )]
    UnknownParameter {
        /// Its name.
        name: String,
    },
    /// There is a user and no password. The user is not shown: it may be a password that lacks its colon.
    #[error(
        "there is a user and no password, so no AUTH could be sent; write `user:password@` in the URL, `:password@` if what \
         stands there is a password, and `user:@`, or `password = \"\"` in a file, for a user who needs none"
    )]
    UserWithoutPassword,
    /// Something stands in the URL and beside it, or twice in the URL.
    #[error("`{setting}`: what is set here is given twice; give it once, in the URL or beside it")]
    GivenTwice {
        /// The setting.
        setting: &'static str,
    },
    /// A time or a number is 0, so nothing could be done.
    #[error("`{setting}` is 0, so no call could succeed; leave it out for the default")]
    Zero {
        /// The setting.
        setting: &'static str,
    },
    /// A setting of sentinels stands with a server that is not watched over by any.
    #[error("`{setting}` is for `redis+sentinel://`; leave it out")]
    NotOfSentinels {
        /// The setting.
        setting: &'static str,
    },
    /// Settings of TLS stand with a server that is spoken to without it.
    #[error(
        "`tls` is for `rediss://` and `rediss+sentinel://`; leave it out, or write the URL with `rediss`"
    )]
    NotOfTls,
    /// There is a client certificate without its key, or a key without its certificate.
    #[error("`tls`: a client certificate needs both `cert` and `key`")]
    CertWithoutKey,
    /// The name that the server's certificate must be for is none.
    #[error("`tls`: `server_name` is neither a host name nor an IP address")]
    ServerName,
    /// A file of TLS, or the text in its place, cannot be used. The text is not shown: it may be a key.
    #[error("`tls`: `{setting}`, {from}: {reason}")]
    Tls {
        /// The setting: `ca`, `cert` or `key`.
        setting: &'static str,
        /// The file, by its path.
        from: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The name is empty.
    #[error("the name is empty; leave it out to call the node by its address")]
    EmptyName,
    /// A host, a service, a path or a name has a control character, such as the end of a line.
    #[error(
        "a control character, such as the end of a line, stands where a host, a service, a path or a name is meant"
    )]
    Control,
    /// Another node has this name.
    #[error("another node has this name; each needs one of its own")]
    NameTwice,
    /// The weight is 0.
    #[error("the weight is 0; a node that shall get no keys is left out instead")]
    ZeroWeight,
    /// The weight is negative, infinite or not a number.
    #[error("the weight is not a positive number; a node of weight 2 gets twice the keys of one of weight 1")]
    InvalidWeight,
    /// Another node is connected to the same database of the same server.
    #[error(
        "this is the same server as that of node `{other}`: the same process, by its `run_id`, and the same database; give \
         each node a server of its own, or leave one of the two out"
    )]
    SameServer {
        /// The name of the other node.
        other: String,
    },
    /// The URL wants TLS, which is not compiled in.
    #[error("`rediss://` and `rediss+sentinel://` need the feature `tls`")]
    TlsNotCompiledIn,
}

impl ConfigError {
    /// The settings of a file that may be at fault, the likeliest first.
    pub fn settings(&self) -> &'static [&'static str] {
        match self {
            Self::UserWithoutPassword => &["username", "sentinel_username", "url"],
            Self::ZeroWeight | Self::InvalidWeight => &["weight", "url"],
            Self::NotOfTls | Self::CertWithoutKey | Self::ServerName | Self::Tls { .. } => &["tls", "url"],
            Self::EmptyName | Self::Control | Self::NameTwice => &["name", "url"],
            Self::GivenTwice { setting } | Self::Zero { setting } | Self::NotOfSentinels { setting } => {
                match *setting {
                    "username" => &["username"],
                    "password" => &["password"],
                    "sentinel_username" => &["sentinel_username"],
                    "sentinel_password" => &["sentinel_password"],
                    "connect_timeout" => &["connect_timeout_ms"],
                    "response_timeout" => &["response_timeout_ms"],
                    "max_in_flight" => &["max_in_flight"],
                    "max_reply" => &["max_reply"],
                    "max_dedicated" => &["max_dedicated"],
                    _ => &["url"],
                }
            }
            _ => &["url"],
        }
    }
}

/// A configuration is made of itself without an error.
impl From<std::convert::Infallible> for ConfigError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

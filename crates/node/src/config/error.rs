//! What can be wrong with a configuration.

/// What is wrong with a URL or a configuration. It never shows a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no `scheme://`.
    #[error("the URL has no scheme; write it as in `redis://host:6379`")]
    NoScheme,
    /// The scheme is not one of ours.
    #[error("`{scheme}://` is not known; use `redis://`, `rediss://`, `unix://` or `redis+sentinel://`")]
    UnknownScheme {
        /// What stands before `://`.
        scheme: String,
    },
    /// The URL cannot be read, or its port is none.
    #[error("the URL cannot be read: {reason}")]
    Url {
        /// What is wrong.
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
    /// What should be the number of a database is none. It is not shown: it may be the rest of a password.
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
    /// The weight is 0.
    #[error("the weight is 0; a node that shall get no keys is left out instead")]
    ZeroWeight,
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

/// A configuration is made of itself without an error.
impl From<std::convert::Infallible> for ConfigError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

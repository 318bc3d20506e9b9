//! The settings that a server is started with.

use crate::{Binary, Error, Server, Servers};

/// The settings of a [`Server`] to be started; by default one that keeps nothing and asks for no password.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct ServerBuilder {
    pub(crate) binary: Option<Binary>,
    pub(crate) password: Option<String>,
    pub(crate) unix_socket: bool,
    pub(crate) persistent: bool,
    pub(crate) sentinel: bool,
    pub(crate) args: Vec<String>,
}

impl ServerBuilder {
    /// The program to run; default [`Binary::find`].
    pub fn binary(mut self, binary: &Binary) -> ServerBuilder {
        self.binary = Some(binary.clone());
        self
    }

    /// The password clients have to give.
    pub fn password(mut self, password: &str) -> ServerBuilder {
        self.password = Some(password.to_string());
        self
    }

    /// Listen on a Unix socket too: see [`Server::socket`].
    pub fn unix_socket(mut self) -> ServerBuilder {
        self.unix_socket = true;
        self
    }

    /// Write every command to disk before it is answered, so that [`Data::Keep`](crate::Data::Keep) brings all of it
    /// back, after a kill too.
    pub fn persistent(mut self) -> ServerBuilder {
        self.persistent = true;
        self
    }

    /// Run as a sentinel, which watches over no master until it is told to.
    pub fn sentinel(mut self) -> ServerBuilder {
        self.sentinel = true;
        self
    }

    /// One setting with its value, as in `.arg("--maxmemory", "1mb")`; it overrules the defaults of the kit.
    pub fn arg(self, name: &str, value: &str) -> ServerBuilder {
        self.args([name, value])
    }

    /// More words for the command line.
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> ServerBuilder {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    /// There is no redis-server to run, or it did not start: its log is in the text.
    pub fn start(self) -> Result<Server, Error> {
        Server::launch(self)
    }

    /// Starts `n` such servers at the same time and waits until all answer.
    ///
    /// # Errors
    /// As for [`start`](ServerBuilder::start), for the first that failed; the others are gone then.
    pub fn start_many(self, n: usize) -> Result<Servers, Error> {
        Servers::launch(&self, n)
    }
}

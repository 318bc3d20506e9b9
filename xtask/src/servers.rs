//! Several running servers.

use std::ops::{Index, IndexMut};
use std::slice;
use std::thread;

use crate::{Binary, Error, Server, ServerBuilder};

/// A number of independent servers, started together; each is killed when this is dropped.
#[derive(Debug)]
pub struct Servers(Vec<Server>);

impl Servers {
    /// Starts `n` servers that keep nothing on disk, at the same time, and waits until all answer.
    ///
    /// # Errors
    /// There is no redis-server to run, or one did not start; the others are gone then.
    pub fn start(n: usize) -> Result<Servers, Error> {
        Server::builder().start_many(n)
    }

    /// The servers in order.
    pub fn iter(&self) -> slice::Iter<'_, Server> {
        self.0.iter()
    }

    /// The servers in order, to kill and restart.
    pub fn iter_mut(&mut self) -> slice::IterMut<'_, Server> {
        self.0.iter_mut()
    }

    /// Returns how many there are, running or not.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One of them, if there are so many.
    pub fn get_mut(&mut self, idx: usize) -> Option<&mut Server> {
        self.0.get_mut(idx)
    }

    /// The address of each, in order.
    pub fn urls(&self) -> Vec<String> {
        self.iter().map(Server::url).collect()
    }

    pub(crate) fn launch(builder: &ServerBuilder, n: usize) -> Result<Servers, Error> {
        let mut builder = builder.clone();
        if builder.binary.is_none() {
            builder.binary = Some(Binary::find()?);
        }
        thread::scope(|scope| {
            let starts: Vec<_> = (0..n)
                .map(|_| {
                    let builder = builder.clone();
                    scope.spawn(|| builder.start())
                })
                .collect();
            let join = |start: thread::ScopedJoinHandle<'_, Result<Server, Error>>| match start.join() {
                Ok(outcome) => outcome,
                Err(_) => Err(Error::new("starting a server panicked")),
            };
            // Joined all before the first error is looked at: a server still starting would outlive the error.
            let outcomes: Vec<_> = starts.into_iter().map(join).collect();
            outcomes.into_iter().collect::<Result<Vec<Server>, Error>>().map(Servers)
        })
    }
}

impl Index<usize> for Servers {
    type Output = Server;

    fn index(&self, idx: usize) -> &Server {
        &self.0[idx]
    }
}

impl IndexMut<usize> for Servers {
    fn index_mut(&mut self, idx: usize) -> &mut Server {
        &mut self.0[idx]
    }
}

impl<'a> IntoIterator for &'a Servers {
    type Item = &'a Server;
    type IntoIter = slice::Iter<'a, Server>;

    fn into_iter(self) -> slice::Iter<'a, Server> {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut Servers {
    type Item = &'a mut Server;
    type IntoIter = slice::IterMut<'a, Server>;

    fn into_iter(self) -> slice::IterMut<'a, Server> {
        self.iter_mut()
    }
}

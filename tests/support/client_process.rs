//! A client process as a runner holds it: started, asked, stopped, killed.

use std::fs::File;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::path::Path;
use std::process::Child;
use std::process::ChildStdin;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::thread::JoinHandle;

use tokio::sync::mpsc;

/// The word that makes a client of a runner's program.
pub const CLIENT: &str = "client";

/// A process of the calling program that hears orders on its standard input, a line each, and answers by lines; it is killed
/// when this is dropped.
#[derive(Debug)]
pub struct ClientProcess {
    child: Child,
    orders: ChildStdin,
    reader: Option<JoinHandle<()>>,
}

impl ClientProcess {
    /// Starts one with the word [`CLIENT`] and these; `hear` is given each line that it says.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(
        words: Vec<String>,
        errors: &Path,
        mut hear: impl FnMut(&str) + Send + 'static,
    ) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(CLIENT)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(errors)?)
            .spawn()?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("no pipe to a client"));
        };
        let reader = thread::spawn(move || {
            BufReader::new(answers).lines().map_while(Result::ok).for_each(|line| hear(&line));
        });
        Ok(Self { child, orders, reader: Some(reader) })
    }

    /// Asks it for something. One that was killed is not there to hear it.
    pub fn ask(&mut self, order: &str) {
        let _is_gone = self.orders.write_all(format!("{order}\n").as_bytes());
    }

    /// Stops it as `kill -STOP` does.
    pub fn pause(&self) {
        xtask::pause(self.child.id());
    }

    /// Lets it go on.
    pub fn resume(&self) {
        xtask::resume(self.child.id());
    }

    /// Ends it as `kill -9` does, and waits until it is gone and all was heard that it said.
    pub fn kill(&mut self) {
        let _is_gone = self.child.kill();
        let _status = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _has_panicked = reader.join();
        }
    }

    /// Returns whether it has ended by itself, which none does.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().ok().flatten().is_some()
    }
}

impl Drop for ClientProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The lines of standard input. The process ends with them, as its runner has.
pub fn orders() -> mpsc::UnboundedReceiver<String> {
    let (sender, orders) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let _ended = sender.send(line);
        }
        std::process::exit(0);
    });
    orders
}

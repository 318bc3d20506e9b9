//! The control over the servers of the demo: its program asks xtask, which owns them, to kill and restart them.
//!
//! One order per line, one line in answer, `ok` or `error` with the reason:
//!
//! ```text
//! kill ring 0
//! restart ring 0 keep
//! restart ring 0 lose
//! pause copy 1
//! resume copy 1
//! ```

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use xtask::{Data, Server, Servers};

/// The servers of a demo.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) ring: Servers,
    pub(crate) copy: Servers,
}

/// A place to send orders to, as long as the process lives.
#[derive(Debug)]
pub(crate) struct Control {
    address: String,
}

impl Control {
    /// Listens on a port of its own; once the stage is empty, every order is an error.
    pub(crate) fn listen(stage: Arc<Mutex<Option<Stage>>>) -> io::Result<Control> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?.to_string();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let stage = Arc::clone(&stage);
                // A lost connection is the end of its orders and of nothing else.
                thread::spawn(move || serve(&stream, &stage));
            }
        });
        Ok(Control { address })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Order {
    verb: Verb,
    set: Set,
    idx: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Verb {
    Kill,
    Restart(Data),
    Pause,
    Resume,
}

#[derive(Debug, PartialEq, Eq)]
enum Set {
    Ring,
    Copy,
}

fn serve(mut stream: &TcpStream, stage: &Mutex<Option<Stage>>) -> io::Result<()> {
    for line in BufReader::new(stream).lines() {
        let outcome = parse(&line?).and_then(|order| {
            let mut stage = stage.lock().map_err(|_| "an earlier order panicked".to_string())?;
            stage.as_mut().ok_or_else(|| "the demo is over".to_string())?.execute(&order)
        });
        let answer = match outcome {
            Ok(()) => "ok\n".to_string(),
            // One line, whatever a server's log looks like.
            Err(reason) => format!("error {}\n", reason.replace('\n', " | ")),
        };
        stream.write_all(answer.as_bytes())?;
    }
    Ok(())
}

fn parse(line: &str) -> Result<Order, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (verb, set, idx) = match *words {
        ["kill", set, idx] => (Verb::Kill, set, idx),
        ["pause", set, idx] => (Verb::Pause, set, idx),
        ["resume", set, idx] => (Verb::Resume, set, idx),
        ["restart", set, idx, "keep"] => (Verb::Restart(Data::Keep), set, idx),
        ["restart", set, idx, "lose"] => (Verb::Restart(Data::Lose), set, idx),
        _ => {
            return Err(format!(
                "unknown order `{line}`; known are: kill|pause|resume SET N, restart SET N keep|lose"
            ));
        }
    };
    let set = match set {
        "ring" => Set::Ring,
        "copy" => Set::Copy,
        _ => return Err(format!("unknown set of servers `{set}`; there are `ring` and `copy`")),
    };
    let idx = idx.parse().map_err(|_| format!("`{idx}` is not the number of a server"))?;
    Ok(Order { verb, set, idx })
}

impl Stage {
    fn execute(&mut self, order: &Order) -> Result<(), String> {
        let servers = match order.set {
            Set::Ring => &mut self.ring,
            Set::Copy => &mut self.copy,
        };
        let server: &mut Server =
            servers.get_mut(order.idx).ok_or_else(|| format!("there is no server {}", order.idx))?;
        match order.verb {
            Verb::Kill => server.kill(),
            Verb::Pause => server.pause(),
            Verb::Resume => server.resume(),
            Verb::Restart(data) => server.restart(data).map_err(|error| error.to_string())?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read() {
        assert_eq!(parse("kill ring 0"), Ok(Order { verb: Verb::Kill, set: Set::Ring, idx: 0 }));
        assert_eq!(
            parse("restart copy 2 keep"),
            Ok(Order { verb: Verb::Restart(Data::Keep), set: Set::Copy, idx: 2 })
        );
    }

    #[test]
    fn a_wrong_order_says_what_would_be_right() {
        for (line, reason) in [
            ("", "unknown order"),
            ("restart ring 0", "keep|lose"),
            ("kill herd 0", "`ring` and `copy`"),
            ("kill ring zero", "not the number"),
        ] {
            assert!(parse(line).unwrap_err().contains(reason), "{line}");
        }
    }
}

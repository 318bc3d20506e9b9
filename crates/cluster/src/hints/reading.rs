//! Reading durable hints: what the other servers say that a node has missed.

use futures_util::future::join_all;
use redis::Value;
use redisdb_node::plumbing::Fence;

use crate::engine::copy::CopyEngine;
use crate::engine::member::Member;
use crate::hints::book::Hint;

/// The number of hints that are read at once.
const PAGE: usize = 5_000;

impl CopyEngine {
    /// Reads what one server knows that the others have missed.
    pub(crate) async fn read_hints_on(&self, holder: usize) {
        self.read_hints_of(self.topology.nodes.member(holder)).await;
    }

    async fn read_hints_of(&self, holder: &Member) {
        let told = holder.new_hints().told();
        let members = self.topology.nodes.members();
        let read = join_all(members.map(|about| self.read_hints(holder, about))).await;
        if read.into_iter().all(|is_heard| is_heard) {
            holder.new_hints().saw(told);
        }
    }

    /// Hears what the other servers have said of a node until now: those that say that the node has missed something, or may have begun
    /// to. Where all is well it asks none.
    pub(crate) async fn hear_of(&self, idx: usize) {
        let about = self.topology.nodes.member(idx);
        let durable = &self.topology.lasting.durable;
        let may_know_more = |holder: &&Member| {
            holder.new_hints().are_unseen()
                || holder.says_that_it_holds(about)
                || durable.first(holder, about).is_some()
        };
        if self.topology.identity.is_some() {
            join_all(self.holders(about).filter(may_know_more).map(|holder| self.read_hints_of(holder)))
                .await;
        }
    }

    /// Reads what the other servers know that a node has missed.
    pub(crate) async fn read_hints_about(&self, idx: usize) {
        let about = self.topology.nodes.member(idx);
        join_all(self.holders(about).map(|holder| self.read_hints(holder, about))).await;
    }

    /// Returns whether the server has answered. That this user may not read its hints is an answer too; that it is busy, or loads, is none.
    async fn read_hints(&self, holder: &Member, about: &Member) -> bool {
        let Some(key) = self.topology.hints_key(about.name()).filter(|_| !holder.is_the_same(about)) else {
            return true;
        };
        let incarnation = holder.node().incarnation();
        // Also one whose marker is just being looked at.
        let process = holder.node().fenced(&Fence::open_to(incarnation));
        let _reading = self.topology.lasting.durable.begin_to_read(holder, about);
        if holder.says_that_it_holds(about)
            && let Some(say) = self.topology.say_what_was_lost(holder, about)
            && let Err(error) = process.send(&say).await
        {
            self.tell_ungiven(about, &error);
        }
        loop {
            let upto = self.topology.lasting.durable.upto(holder, about, incarnation);
            let mut read = redis::cmd("ZRANGEBYSCORE");
            read.arg(&key)
                .arg(format!("({upto}"))
                .arg("+inf")
                .arg("WITHSCORES")
                .arg("LIMIT")
                .arg(0)
                .arg(PAGE);
            let reply = match process.send(&read).await {
                Ok(reply) => reply,
                Err(error) => {
                    self.topology.tell_refused(&error, Some(key.as_bytes()));
                    return error.code().is_some() && !error.is_passing();
                }
            };
            let mut found = read_page(&reply);
            let Some(last) = found.iter().map(|(_, number)| *number).max() else { return true };
            // Another process may have answered.
            if holder.node().incarnation() != incarnation {
                return false;
            }
            self.topology.lasting.durable.giving.settle().await;
            let (n_found, void) = (found.len(), about.void_upto(holder.name()));
            found.retain(|(hint, number)| void < *number || matches!(hint, Hint::Since(..)));
            // They are learned before they count as read: a hint that was read has served its purpose if its key is not missed.
            for (hint, number) in &found {
                if self.topology.lasting.durable.is_known(holder, about, hint, *number) {
                    continue;
                }
                match hint {
                    Hint::Key(key) => about.hints().learn_hint(std::iter::once(key.as_slice())),
                    Hint::All => about.hints().learn_hint(std::iter::empty()),
                    Hint::Since(..) => {}
                }
            }
            self.topology.lasting.durable.add(holder, about, &found, last);
            if n_found < PAGE {
                return true;
            }
        }
    }
}

/// Reads hints with their numbers: pairs, one after the other or each by itself, as the protocol has it.
fn read_page(reply: &Value) -> Vec<(Hint, u64)> {
    let mut flat = Vec::new();
    flatten(reply, &mut flat);
    let pairs = flat.chunks_exact(2).filter_map(|pair| match pair {
        [Value::BulkString(text), number] => Some((Hint::read(text), read_number(number)?)),
        _ => None,
    });
    pairs.collect()
}

fn flatten<'a>(reply: &'a Value, flat: &mut Vec<&'a Value>) {
    match reply {
        Value::Array(elements) => elements.iter().for_each(|element| flatten(element, flat)),
        element => flat.push(element),
    }
}

fn read_number(value: &Value) -> Option<u64> {
    let number = match value {
        Value::Double(number) => *number,
        Value::Int(number) => return u64::try_from(*number).ok(),
        Value::BulkString(text) => std::str::from_utf8(text).ok()?.parse().ok()?,
        _ => return None,
    };
    // Microseconds since 1970, and they fit.
    (0.0..9e15).contains(&number).then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_read_as_they_were_written_in_either_protocol() {
        let hints =
            [Hint::Since(7, "x:y".to_owned()), Hint::Key(b"s9".to_vec()), Hint::Key(Vec::new()), Hint::All];
        for hint in &hints {
            assert_eq!(Hint::read(&hint.text()), *hint);
        }
        assert_eq!([b"x1".as_slice(), b"", b"sx"].map(Hint::read), [Hint::All, Hint::All, Hint::All]);
        let text = |text: &str| Value::BulkString(text.into());
        let flat =
            Value::Array(vec![text("s7:x"), text("1764500000000001"), text("kk"), text("1764500000000002")]);
        let pair = |hint: &str, number: f64| Value::Array(vec![text(hint), Value::Double(number)]);
        let pairs =
            Value::Array(vec![pair("s7:x", 1_764_500_000_000_001.0), pair("kk", 1_764_500_000_000_002.0)]);
        let read = [
            (Hint::Since(7, "x".to_owned()), 1_764_500_000_000_001),
            (Hint::Key(b"k".to_vec()), 1_764_500_000_000_002),
        ];
        assert_eq!((read_page(&flat), read_page(&pairs)), (read.to_vec(), read.to_vec()));
        assert_eq!(read_page(&Value::Nil), []);
    }
}

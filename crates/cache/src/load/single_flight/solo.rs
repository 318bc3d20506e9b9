//! Loads that run in their caller's own future. Nobody joins such a load, but a write to its key overtakes it too.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Flights;
use super::Loads;
use super::Ticket;

/// The note that a caller loads these keys itself, each with its ticket. Dropping it says that the loads have ended.
#[derive(Debug)]
pub(crate) struct Solo {
    flights: Arc<Flights>,
    /// In the order in which the caller gave the keys.
    pub(crate) loads: Vec<(Vec<u8>, Ticket)>,
}

impl Flights {
    /// Notes that the caller loads these keys itself, until the returned [`Solo`] is dropped.
    pub(crate) fn solo(self: &Arc<Self>, names: impl IntoIterator<Item = Vec<u8>>) -> Solo {
        let mut state = self.lock();
        let loads = names
            .into_iter()
            .map(|name| {
                let (ticket, n) = state.solo.entry(name.clone()).or_default();
                *n += 1;
                (name, ticket.clone())
            })
            .collect();
        drop(state);
        Solo { flights: Arc::clone(self), loads }
    }
}

impl Loads {
    /// Marks the solo loads of a key as overtaken, because the key is about to be set or deleted.
    pub(super) fn overtake_solo(&mut self, name: &[u8]) {
        if let Some((ticket, _)) = self.solo.remove(name) {
            ticket.overtaken.store(true, Ordering::SeqCst);
        }
    }

    /// The same of the solo loads of all keys.
    pub(super) fn overtake_all_solo(&mut self) {
        for (ticket, _) in std::mem::take(&mut self.solo).into_values() {
            ticket.overtaken.store(true, Ordering::SeqCst);
        }
    }
}

impl Drop for Solo {
    fn drop(&mut self) {
        let mut state = self.flights.lock();
        for (name, ticket) in &self.loads {
            // Loads of the key that began after this one was overtaken share another ticket, which stays.
            if let Some((_, n)) = state.solo.get_mut(name).filter(|(other, _)| other.is(ticket)) {
                *n -= 1;
                if *n == 0 {
                    state.solo.remove(name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_overtakes_all_who_load_the_key() {
        let flights = Arc::new(Flights::new(9));
        let (a, b) = (flights.solo([b"k".to_vec(), b"l".to_vec()]), flights.solo([b"k".to_vec()]));
        flights.overtake(b"k");
        let overtaken =
            |solo: &Solo| solo.loads.iter().map(|(_, ticket)| ticket.is_overtaken()).collect::<Vec<_>>();
        assert_eq!((overtaken(&a), overtaken(&b)), (vec![true, false], vec![true]));
        let later = flights.solo([b"k".to_vec()]);
        drop((a, b));
        assert_eq!(overtaken(&later), [false]);
        flights.overtake_all();
        assert_eq!(overtaken(&later), [true]);
        drop(later);
        let last = flights.solo([b"k".to_vec()]);
        flights.close();
        assert_eq!(overtaken(&last), [true], "what it loads is written no more");
        drop(last);
        assert!(flights.lock().solo.is_empty());
    }
}

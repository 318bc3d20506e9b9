//! Loads that run in their caller's own future. Nobody joins such a load, but a write to its key overtakes it too.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Flights;
use super::Loads;
use super::Ticket;

/// Keys that one caller loads by itself, each with its ticket. Dropping this ends the loads.
#[derive(Debug)]
pub(crate) struct Solo {
    flights: Arc<Flights>,
    /// In the order that was asked for.
    pub(crate) loads: Vec<(Vec<u8>, Ticket)>,
}

impl Flights {
    /// Notes that these keys are being loaded.
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
    /// Tells those who load a key by themselves that it is about to be set or deleted.
    pub(super) fn overtake_solo(&mut self, name: &[u8]) {
        if let Some((ticket, _)) = self.solo.remove(name) {
            ticket.overtaken.store(true, Ordering::SeqCst);
        }
    }
}

impl Drop for Solo {
    fn drop(&mut self) {
        let mut state = self.flights.lock();
        for (name, ticket) in &self.loads {
            // Loads that began after this one was overtaken have another ticket, which stays.
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
        assert!(flights.lock().solo.is_empty());
    }
}

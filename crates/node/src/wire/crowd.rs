//! The calls that wait for room in the buffer.

use std::task::Waker;

/// The calls that wait for room. All are woken at once, and those that find none join again.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    pub(super) wakers: Vec<Waker>,
    /// The number of times that all were woken.
    n_left: usize,
}

/// The place of a call in the crowd, until all are woken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    at: usize,
    n_left: usize,
}

impl Crowd {
    /// Joins, or stays in its place, to be woken by this waker.
    pub(super) fn join(&mut self, waker: &Waker, place: Option<Place>) -> Place {
        if let Some(place) = place.filter(|place| place.n_left == self.n_left)
            && let Some(before) = self.wakers.get(place.at)
            && before.will_wake(waker)
        {
            return place;
        }
        // The waker of before stays: it must not be dropped under a lock, for it may own another call.
        self.wakers.push(waker.clone());
        Place { at: self.wakers.len() - 1, n_left: self.n_left }
    }

    /// Takes all that are to be woken.
    pub(super) fn leave(&mut self) -> Vec<Waker> {
        self.n_left = self.n_left.wrapping_add(1);
        std::mem::take(&mut self.wakers)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;
    use std::task::Wake;

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn each_call_is_in_the_crowd_once_for_each_waker() {
        let counts = [(); 3].map(|()| Arc::new(Count(AtomicUsize::new(0))));
        let wakers = counts.each_ref().map(|count| Waker::from(Arc::clone(count)));
        let woken = || counts.each_ref().map(|count| count.0.load(Ordering::SeqCst));
        let mut crowd = Crowd::default();
        let first = crowd.join(&wakers[0], None);
        let second = crowd.join(&wakers[1], None);
        let first = crowd.join(&wakers[2], Some(first));
        let first = crowd.join(&wakers[2], Some(first));
        crowd.join(&wakers[1], Some(second));
        assert_eq!(crowd.wakers.len(), 3);
        crowd.leave().into_iter().for_each(Waker::wake);
        assert_eq!(woken(), [1, 1, 1]);
        // The place of another one by now is not taken.
        let other = crowd.join(&wakers[0], None);
        assert_eq!((second.at, other.at), (1, 0));
        crowd.join(&wakers[1], Some(second));
        crowd.join(&wakers[2], Some(first));
        crowd.leave().into_iter().for_each(Waker::wake);
        assert_eq!(woken(), [2, 2, 2]);
    }
}

//! The calls that wait for room on a connection, in the order in which they came.

use std::collections::VecDeque;
use std::task::Waker;

/// The calls that wait for room. Those who are in front are invited when there is some: it is theirs until they come or go.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    /// Those who have not been invited yet; `None` of one that has gone.
    waiting: VecDeque<Option<Waker>>,
    /// The number of all who were ever before them.
    n_before: u64,
    n_invited: usize,
}

/// The place of a call in the crowd.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place(u64);

impl Crowd {
    /// Joins the crowd, or stays in it, to be woken by this waker. Returns a waker that is to be dropped when no lock is held,
    /// for it may own another call.
    pub(super) fn join(&mut self, waker: &Waker, place: Option<Place>) -> (Place, Option<Waker>) {
        if let Some(place) = place
            && let Some(before) = self.at(place)
        {
            let is_same = before.as_ref().is_some_and(|before| before.will_wake(waker));
            return (place, if is_same { None } else { before.replace(waker.clone()) });
        }
        self.waiting.push_back(Some(waker.clone()));
        (Place(self.n_before + self.waiting.len() as u64 - 1), None)
    }

    /// Invites so many. Returns who is to be woken.
    pub(super) fn invite(&mut self, most: usize) -> Vec<Waker> {
        let mut invited = Vec::new();
        while invited.len() < most
            && let Some(first) = self.waiting.pop_front()
        {
            self.n_before += 1;
            invited.extend(first);
        }
        self.n_invited += invited.len();
        invited
    }

    /// Returns who is to be woken to look at the time. All stay in their places.
    pub(super) fn all(&self) -> Vec<Waker> {
        self.waiting.iter().flatten().cloned().collect()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The number of those who were invited and have not come yet.
    #[inline]
    pub(super) fn n_invited(&self) -> usize {
        self.n_invited
    }

    pub(super) fn is_invited(&self, place: Place) -> bool {
        place.0 < self.n_before
    }

    /// One who was invited has come.
    pub(super) fn come(&mut self, place: Place) {
        self.n_invited -= usize::from(self.is_invited(place)).min(self.n_invited);
    }

    /// One goes. Returns a waker to wake: that of whoever takes the room of one who was invited, or else its own.
    pub(super) fn go(&mut self, place: Place) -> Option<Waker> {
        match self.at(place) {
            Some(own) => own.take(),
            None => {
                self.come(place);
                self.invite(1).pop()
            }
        }
    }

    fn at(&mut self, place: Place) -> Option<&mut Option<Waker>> {
        let at = place.0.checked_sub(self.n_before)?;
        self.waiting.get_mut(usize::try_from(at).ok()?)
    }

    #[cfg(test)]
    pub(super) fn n_waiting(&self) -> usize {
        self.waiting.iter().flatten().count()
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

    /// Three wakers, and a function that says how often each was woken.
    fn wakers() -> ([Waker; 3], impl Fn() -> [usize; 3]) {
        let counts = [(); 3].map(|()| Arc::new(Count(AtomicUsize::new(0))));
        let wakers = counts.each_ref().map(|count| Waker::from(Arc::clone(count)));
        (wakers, move || counts.each_ref().map(|count| count.0.load(Ordering::SeqCst)))
    }

    #[test]
    fn each_call_is_in_the_crowd_once_with_its_last_waker() {
        let (wakers, woken) = wakers();
        let mut crowd = Crowd::default();
        let (first, _) = crowd.join(&wakers[0], None);
        let (second, _) = crowd.join(&wakers[1], None);
        let (first, before) = crowd.join(&wakers[2], Some(first));
        assert!(before.is_some_and(|before| before.will_wake(&wakers[0])));
        assert!(
            crowd.join(&wakers[2], Some(first)).1.is_none()
                && crowd.join(&wakers[1], Some(second)).1.is_none()
        );
        assert_eq!(crowd.n_waiting(), 2);
        crowd.all().into_iter().for_each(Waker::wake);
        assert_eq!(woken(), [0, 1, 1]);
        crowd.invite(9).into_iter().for_each(Waker::wake);
        assert_eq!((woken(), crowd.n_waiting()), ([0, 2, 2], 0));
        // The place of another one by now is not taken.
        crowd.join(&wakers[0], None);
        crowd.join(&wakers[1], Some(second));
        assert_eq!(crowd.n_waiting(), 2);
    }

    #[test]
    fn the_first_who_came_are_invited_and_whoever_goes_leaves_the_room_to_the_next() {
        let (wakers, woken) = wakers();
        let mut crowd = Crowd::default();
        let [first, second, third] = wakers.each_ref().map(|waker| crowd.join(waker, None).0);
        crowd.invite(1).into_iter().for_each(Waker::wake);
        assert_eq!((woken(), crowd.n_invited()), ([1, 0, 0], 1));
        assert!(crowd.is_invited(first) && !crowd.is_invited(second));
        crowd.come(first);
        assert_eq!(crowd.n_invited(), 0);
        // One who has gone is not invited.
        crowd.go(second);
        let (fourth, _) = crowd.join(&wakers[0], None);
        crowd.invite(1).into_iter().for_each(Waker::wake);
        assert_eq!((woken(), crowd.n_invited()), ([1, 0, 1], 1));
        crowd.go(third).into_iter().for_each(Waker::wake);
        assert_eq!((woken(), crowd.n_invited()), ([2, 0, 1], 1));
        assert!(crowd.go(fourth).is_none());
        assert_eq!((crowd.n_invited(), crowd.n_waiting()), (0, 0));
    }
}

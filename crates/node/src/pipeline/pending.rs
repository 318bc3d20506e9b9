//! The state of a pipeline: its commands, from being recorded to being answered, by their numbers.

use std::collections::BTreeMap;
use std::task::Waker;

use super::Answers;
use super::SendMany;
use super::recording::Recording;

/// For how many commands there is room at first.
const FIRST_ROOM: usize = 32;

/// The commands recorded in a pipeline, and their outcomes.
pub(super) struct Pending<S: SendMany> {
    /// The commands that are not sent yet, and the number of those sent before.
    pub(super) recorded: Recording,
    pub(super) sent: usize,
    /// The answers, each group with the number of its first command, in their order.
    answered: Vec<(usize, Sent<S>)>,
    /// Who waits for which answer.
    pub(super) waiting: BTreeMap<usize, Waker>,
    /// The commands whose answers nobody wants, so that they are not kept.
    unwanted: Vec<bool>,
}

/// Commands that were sent.
pub(super) enum Sent<S: SendMany> {
    Answered(S::Answers),
    /// The names of the commands whose answers were not awaited to the end.
    GivenUp(Vec<&'static str>),
}

impl<S: SendMany> Pending<S> {
    pub(super) fn new() -> Self {
        Self {
            // Room for many: growing from one to a hundred would be as much work as routing them.
            recorded: Recording::with_capacity(FIRST_ROOM),
            sent: 0,
            answered: Vec::new(),
            waiting: BTreeMap::new(),
            unwanted: Vec::new(),
        }
    }

    pub(super) fn start(&mut self) -> (Recording, usize) {
        let commands = std::mem::take(&mut self.recorded);
        let first = self.sent;
        self.sent += commands.len();
        (commands, first)
    }

    /// Keeps the answers to `n` commands from the number `first` on, as far as somebody wants them, and wakes
    /// who waits.
    pub(super) fn answered(&mut self, first: usize, n: usize, mut group: Sent<S>) {
        if n == 0 {
            return;
        }
        let unwanted = self.unwanted.iter().skip(first).take(n).enumerate();
        let unwanted = unwanted.filter(|(_, unwanted)| **unwanted);
        if unwanted.clone().count() == n {
            return;
        }
        if let Sent::Answered(answers) = &mut group {
            unwanted.for_each(|(i, _)| drop(answers.take(i)));
        }
        let at = self.answered.partition_point(|(other, _)| *other < first);
        self.answered.insert(at, (first, group));
        let mut woken = self.waiting.split_off(&first);
        self.waiting.append(&mut woken.split_off(&(first + n)));
        woken.into_values().for_each(Waker::wake);
    }

    /// Notes that nobody wants the answer to a command.
    pub(super) fn give_up(&mut self, number: usize) {
        match self.group_of(number) {
            Some((Sent::Answered(answers), i)) => drop(answers.take(i)),
            Some((Sent::GivenUp(_), _)) => {}
            None => {
                self.waiting.remove(&number);
                let n = self.unwanted.len().max(number + 1);
                self.unwanted.resize(n, false);
                if let Some(unwanted) = self.unwanted.get_mut(number) {
                    *unwanted = true;
                }
            }
        }
    }

    /// The group that a command is answered in, and its number there; `None` if it has no answer yet.
    pub(super) fn group_of(&mut self, number: usize) -> Option<(&mut Sent<S>, usize)> {
        let after = self.answered.partition_point(|(first, _)| *first <= number);
        let (first, group) = self.answered.get_mut(after.checked_sub(1)?)?;
        let (i, n) = (number - *first, group.n_commands());
        (i < n).then_some((group, i))
    }
}

impl<S: SendMany> Sent<S> {
    fn n_commands(&self) -> usize {
        match self {
            Self::Answered(answers) => answers.n_commands(),
            Self::GivenUp(names) => names.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;
    use std::task::Wake;

    use redis::Value;

    use super::*;
    use crate::command::rows::GET;
    use crate::node::Node;

    impl Pending<Node> {
        fn sent(n: usize) -> Self {
            let mut state = Self::new();
            state.record_and_send(n);
            state
        }

        fn record_and_send(&mut self, n: usize) -> usize {
            (0..n).for_each(|_| self.recorded.keep(GET.spec(), GET.cmd()));
            self.start().1
        }

        /// Answers each of `n` commands with its number.
        fn answer(&mut self, first: usize, n: usize) {
            let answer = |i| Some(Ok(("node".into(), Value::Int(i64::try_from(first + i).unwrap()))));
            self.answered(first, n, Sent::Answered((0..n).map(answer).collect()));
        }

        fn take(&mut self, number: usize) -> Option<Value> {
            match self.group_of(number)? {
                (Sent::Answered(answers), i) => answers.take(i).map(|answer| answer.unwrap().1),
                (Sent::GivenUp(names), i) => Some(Value::SimpleString(names[i].to_owned())),
            }
        }
    }

    #[test]
    fn every_command_finds_its_answer_in_whatever_groups_they_come() {
        let mut state = Pending::sent(6);
        let second = state.record_and_send(3);
        assert_eq!(second, 6);
        state.answer(0, 4);
        state.answer(4, 0);
        // Of two executions under way the later one is answered first.
        state.answer(6, 3);
        assert!(state.take(4).is_none() && state.take(5).is_none());
        state.answer(4, 2);
        state.answer(9, 0);
        state.record_and_send(1);
        state.answer(9, 1);
        for number in 0..10 {
            assert_eq!(state.take(number), Some(Value::Int(number as i64)), "{number}");
            assert_eq!(state.take(number), None, "{number} again");
        }
        assert!(state.take(10).is_none());
    }

    #[test]
    fn what_nobody_wants_is_not_kept_and_wakes_nobody() {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let woken = Arc::new(Count(AtomicUsize::new(0)));
        let mut state = Pending::sent(4);
        for number in 0..4 {
            state.waiting.insert(number, Arc::clone(&woken).into());
        }
        state.give_up(1);
        state.answer(0, 2);
        assert_eq!(woken.0.load(Ordering::SeqCst), 1, "the first only");
        assert_eq!((state.take(0), state.take(1)), (Some(Value::Int(0)), None));
        state.answer(2, 2);
        assert_eq!(woken.0.load(Ordering::SeqCst), 3);
        state.give_up(2);
        assert_eq!((state.take(2), state.take(3)), (None, Some(Value::Int(3))));
        state.record_and_send(2);
        (4..6).for_each(|number| state.give_up(number));
        let n_groups = state.answered.len();
        state.answer(4, 2);
        assert_eq!(state.answered.len(), n_groups, "a group of which nobody wants anything is not kept");
    }

    #[test]
    fn what_is_given_up_says_so_after_what_was_answered() {
        let mut state = Pending::sent(3);
        state.answer(0, 1);
        state.answered(1, 2, Sent::GivenUp(vec!["SET", "GET"]));
        assert_eq!(state.take(0), Some(Value::Int(0)));
        assert_eq!(state.take(2), Some(Value::SimpleString("GET".into())));
    }
}

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
    /// The answers that somebody still wants, by groups in their order.
    answered: Vec<Group<S>>,
    /// The number of commands that were answered, wanted or not.
    n_answered: usize,
    /// Who waits for which answer.
    pub(super) waiting: BTreeMap<usize, Waker>,
    /// The commands whose answers nobody wants, so that they are not kept: from the number `unwanted_from` on.
    unwanted: Vec<bool>,
    unwanted_from: usize,
}

/// Commands that were answered together.
struct Group<S: SendMany> {
    /// The number of its first command.
    first: usize,
    sent: Sent<S>,
    /// The number of answers that somebody still wants.
    n_left: usize,
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
            n_answered: 0,
            waiting: BTreeMap::new(),
            unwanted: Vec::new(),
            unwanted_from: 0,
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
    pub(super) fn answered(&mut self, first: usize, n: usize, mut sent: Sent<S>) {
        if n == 0 {
            return;
        }
        let unwanted = self.unwanted.iter().skip(first - self.unwanted_from).take(n).enumerate();
        let unwanted = unwanted.filter(|(_, unwanted)| **unwanted);
        let n_left = n - unwanted.clone().count();
        if let Sent::Answered(answers) = &mut sent
            && 0 < n_left
        {
            unwanted.for_each(|(i, _)| drop(answers.take(i)));
        }
        self.n_answered += n;
        if self.n_answered == self.sent {
            // Nobody asks again about commands that were answered, also where groups were in another order.
            self.unwanted.drain(..self.unwanted.len().min(self.sent - self.unwanted_from));
            self.unwanted_from = self.sent;
        }
        if n_left == 0 {
            return;
        }
        let at = self.answered.partition_point(|other| other.first < first);
        self.answered.insert(at, Group { first, sent, n_left });
        let mut woken = self.waiting.split_off(&first);
        self.waiting.append(&mut woken.split_off(&(first + n)));
        woken.into_values().for_each(Waker::wake);
    }

    /// Notes that nobody wants the answer to a command.
    pub(super) fn give_up(&mut self, number: usize) {
        let is_answered = self.take(number, |sent, i| {
            if let Sent::Answered(answers) = sent {
                drop(answers.take(i));
            }
        });
        if is_answered.is_some() {
            return;
        }
        self.waiting.remove(&number);
        let Some(at) = number.checked_sub(self.unwanted_from) else { return };
        self.unwanted.resize(self.unwanted.len().max(at + 1), false);
        if let Some(unwanted) = self.unwanted.get_mut(at) {
            *unwanted = true;
        }
    }

    /// Takes the answer to a command out of its group, by its number there; `None` if there is none yet. Each is taken once: a group
    /// of which nobody wants anything any more is gone.
    pub(super) fn take<T>(
        &mut self,
        number: usize,
        take: impl FnOnce(&mut Sent<S>, usize) -> T,
    ) -> Option<T> {
        let at = self.answered.partition_point(|group| group.first <= number).checked_sub(1)?;
        let group = self.answered.get_mut(at)?;
        let i = number - group.first;
        if group.sent.n_commands() <= i {
            return None;
        }
        let taken = take(&mut group.sent, i);
        group.n_left = group.n_left.saturating_sub(1);
        if group.n_left == 0 {
            self.answered.remove(at);
        }
        Some(taken)
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

        fn value(&mut self, number: usize) -> Option<Value> {
            self.take(number, |sent, i| match sent {
                Sent::Answered(answers) => answers.take(i).map(|answer| answer.unwrap().1),
                Sent::GivenUp(names) => Some(Value::SimpleString(names[i].to_owned())),
            })?
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
        assert!(state.value(4).is_none() && state.value(5).is_none());
        state.answer(4, 2);
        state.answer(9, 0);
        state.record_and_send(1);
        state.answer(9, 1);
        for number in 0..10 {
            assert_eq!(state.value(number), Some(Value::Int(number as i64)), "{number}");
        }
        assert!(state.value(10).is_none());
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
        assert_eq!(state.value(0), Some(Value::Int(0)));
        assert!(state.answered.is_empty(), "the answer that nobody wants does not keep its group");
        state.answer(2, 2);
        assert_eq!(woken.0.load(Ordering::SeqCst), 3);
        state.give_up(2);
        assert_eq!(state.value(3), Some(Value::Int(3)));
        state.record_and_send(2);
        (4..6).for_each(|number| state.give_up(number));
        let n_groups = state.answered.len();
        state.answer(4, 2);
        assert_eq!(state.answered.len(), n_groups, "a group of which nobody wants anything is not kept");
    }

    #[test]
    fn a_pipeline_that_is_used_again_and_again_keeps_nothing() {
        let mut state = Pending::sent(0);
        for _ in 0..100 {
            let (first, second) = (state.record_and_send(3), state.record_and_send(2));
            state.give_up(first + 1);
            state.give_up(second);
            state.answer(second, 2);
            state.answer(first, 3);
            for number in [first, first + 2, second + 1] {
                assert_eq!(state.value(number), Some(Value::Int(number as i64)));
            }
            assert!(state.answered.is_empty() && state.unwanted.is_empty(), "{first}");
        }
        // A command that is recorded and not sent may be unwanted already.
        let first = state.record_and_send(1);
        state.recorded.keep(GET.spec(), GET.cmd());
        state.give_up(first + 1);
        state.answer(first, 1);
        assert_eq!(state.value(first), Some(Value::Int(first as i64)));
        assert_eq!(state.start().1, first + 1);
        state.answer(first + 1, 1);
        assert!(state.answered.is_empty() && state.unwanted.is_empty());
    }

    #[test]
    fn what_is_given_up_says_so_after_what_was_answered() {
        let mut state = Pending::sent(3);
        state.answer(0, 1);
        state.answered(1, 2, Sent::GivenUp(vec!["SET", "GET"]));
        assert_eq!(state.value(0), Some(Value::Int(0)));
        assert_eq!(state.value(2), Some(Value::SimpleString("GET".into())));
    }
}

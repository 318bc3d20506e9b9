//! A comparison of keys on several servers.

use futures_util::FutureExt;
use futures_util::future::try_join_all;
use redisdb_node as node;
use redisdb_node::Node;

use crate::anti_entropy::value::AT_ONCE;
use crate::anti_entropy::value::Content;
use crate::anti_entropy::value::Limits;
use crate::anti_entropy::value::Snapshot;
use crate::anti_entropy::value::chunks;
use crate::anti_entropy::value::contents::contents;
use crate::anti_entropy::value::dump;

/// Two servers may be this far apart about the end of a key: they are asked one after the other.
const SAME_END: i64 = 1000;

/// What several servers hold of a key.
#[derive(Debug, Clone)]
pub(crate) enum Compared {
    /// Of each server, the first one that holds the same.
    First(Vec<usize>),
    /// A server does not let this user see it.
    Denied(node::Error),
}

impl Compared {
    pub(crate) fn is_same(&self) -> bool {
        matches!(self, Self::First(first) if first.iter().all(|first| *first == 0))
    }
}

/// What was found out about the contents of a value beyond its snapshot: a number for them, `None` if they cannot be told, or that they are
/// denied.
type Told = Result<Option<u128>, node::Error>;

/// What has to be found out about the contents of a key before its values can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    /// All of them, at once.
    Contents,
    /// Their digest, as that of the value is known of some server.
    Digest,
}

/// Compares keys on several servers, by the snapshots that were taken of each, and the [`sizes`](crate::anti_entropy::value::sizes) of the values.
///
/// Dumps that [hold the same](dump::digest) prove equality. Different dumps prove nothing: those of small hashes and sets follow the order
/// of insertion, others the way in which a value grew, that of a HyperLogLog when it was counted last, and many of them the
/// server's version. Then the contents are compared.
pub(crate) async fn compare(
    nodes: &[&Node],
    keys: &[Vec<u8>],
    (looks, sizes): (&[Vec<Snapshot>], &[u64]),
    limits: Limits,
) -> Result<Vec<Compared>, node::Error> {
    let states = |at: usize| looks.iter().filter_map(move |look| look.get(at)).collect::<Vec<_>>();
    // All elements of a large value at once hold a server for longer than its dump does.
    let question = |at: usize| match question(&states(at)) {
        Some(Question::Contents) if sizes.get(at).is_some_and(|size| limits.is_large(*size)) => {
            Some(Question::Digest)
        }
        question => question,
    };
    let questions: Vec<Option<Question>> = (0..keys.len()).map(question).collect();
    let told =
        nodes.iter().zip(looks).map(|(node, look)| tell(node, keys, (look, &questions), limits).boxed());
    let told = try_join_all(told.collect::<Vec<_>>()).await?;
    let compared = (0..keys.len()).map(|at| {
        let told: Vec<Option<&Told>> = told.iter().map(|told| told.get(at)?.as_ref()).collect();
        of_one(&states(at), &told)
    });
    Ok(compared.collect())
}

/// Returns whether it is still what it was seen to be.
pub(crate) fn is_still(a: &Snapshot, b: &Snapshot) -> bool {
    match (a, b) {
        (Snapshot::Missing, Snapshot::Missing) => true,
        (Snapshot::Present { content: a_holds, .. }, Snapshot::Present { content: b_holds, .. }) => {
            is_same_content(a_holds, b_holds) && end_alike(a, b)
        }
        _ => false,
    }
}

/// Returns whether two contents that were read in the same way prove to be the same.
fn is_same_content(a: &Content, b: &Content) -> bool {
    match (a, b) {
        (Content::Dump(a), Content::Dump(b)) => a == b || dump::digest(a) == dump::digest(b),
        (Content::Digest(Some(a)), Content::Digest(Some(b))) => a == b,
        _ => false,
    }
}

fn question(states: &[&Snapshot]) -> Option<Question> {
    let open = |(idx, a): (usize, &&Snapshot)| {
        states.iter().skip(idx + 1).any(|b| match (a, b) {
            (Snapshot::Present { content: a_holds, .. }, Snapshot::Present { content: b_holds, .. }) => {
                end_alike(a, b)
                    && match (a_holds, b_holds) {
                        (Content::Dump(_), Content::Dump(_)) => !is_same_content(a_holds, b_holds),
                        (Content::Digest(_), Content::Digest(_)) => false,
                        _ => true,
                    }
            }
            _ => false,
        })
    };
    let is_digest =
        |state: &&&Snapshot| matches!(state, Snapshot::Present { content: Content::Digest(_), .. });
    match states.iter().enumerate().any(open) {
        true if states.iter().any(|state| is_digest(&state)) => Some(Question::Digest),
        true => Some(Question::Contents),
        false => None,
    }
}

/// Finds out what is asked about the values of one server.
async fn tell(
    node: &Node,
    keys: &[Vec<u8>],
    (look, questions): (&[Snapshot], &[Option<Question>]),
    limits: Limits,
) -> Result<Vec<Option<Told>>, node::Error> {
    let mut told: Vec<Option<Told>> = vec![None; keys.len()];
    let asked = |wanted: Question| {
        let all = keys.iter().zip(look).zip(questions).enumerate();
        let asked = all.filter(move |(_, ((_, state), question))| {
            **question == Some(wanted) && matches!(state, Snapshot::Present { content: Content::Dump(_), .. })
        });
        asked.map(|(at, ((key, state), _))| (at, (key.as_slice(), state))).unzip::<_, _, Vec<_>, Vec<_>>()
    };
    let (ats, whole) = asked(Question::Contents);
    for (at, contents) in ats.into_iter().zip(contents(node, &whole).await?) {
        let digest = contents.map(|parts| parts.map(|parts| chunks::digest_of_parts(&parts)));
        told.iter_mut().skip(at).take(1).for_each(|told| *told = Some(digest.clone()));
    }
    let (ats, divided) = asked(Question::Digest);
    for (ats, some) in ats.chunks(AT_ONCE).zip(divided.chunks(AT_ONCE)) {
        let digests =
            try_join_all(some.iter().map(|(key, _)| chunks::digest(node, key, limits).boxed())).await?;
        for (at, digest) in ats.iter().zip(digests) {
            told.iter_mut().skip(*at).take(1).for_each(|told| *told = Some(digest.clone()));
        }
    }
    Ok(told)
}

/// Compares one key, by what was seen and told of it on each server.
fn of_one(states: &[&Snapshot], told: &[Option<&Told>]) -> Compared {
    let denied = states.iter().zip(told).find_map(|(state, told)| match (state, told) {
        (Snapshot::Denied(error), _) | (_, Some(Err(error))) => Some(error.clone()),
        _ => None,
    });
    if let Some(denied) = denied {
        return Compared::Denied(denied);
    }
    let same = |(a, of_a): (&Snapshot, Option<&Told>), (b, of_b): (&Snapshot, Option<&Told>)| {
        let digest = |state: &Snapshot, told: Option<&Told>| match (state, told) {
            (_, Some(Ok(digest))) => *digest,
            (Snapshot::Present { content: Content::Digest(digest), .. }, _) => *digest,
            _ => None,
        };
        match (a, b) {
            (
                Snapshot::Present { content: dump @ Content::Dump(_), .. },
                Snapshot::Present { content: other @ Content::Dump(_), .. },
            ) if is_same_content(dump, other) => end_alike(a, b),
            (Snapshot::Missing, Snapshot::Missing) => true,
            _ => end_alike(a, b) && digest(a, of_a).is_some_and(|of_a| Some(of_a) == digest(b, of_b)),
        }
    };
    let all: Vec<_> = states.iter().copied().zip(told.iter().copied()).collect();
    let mut first: Vec<usize> = Vec::with_capacity(all.len());
    for (place, one) in all.iter().enumerate() {
        let is_first = |(idx, other): (usize, &(&Snapshot, Option<&Told>))| {
            first.get(idx) == Some(&idx) && same(*other, *one)
        };
        let found = all.iter().take(place).enumerate().position(is_first);
        first.push(found.unwrap_or(place));
    }
    Compared::First(first)
}

/// Returns whether both are there, and go away at the same time, if they do.
fn end_alike(a: &Snapshot, b: &Snapshot) -> bool {
    match (a, b) {
        (Snapshot::Present { ends: a, .. }, Snapshot::Present { ends: b, .. }) => match (a, b) {
            (Some(a), Some(b)) => a.abs_diff(*b) <= SAME_END.unsigned_abs(),
            (None, None) => true,
            _ => false,
        },
        _ => false,
    }
}

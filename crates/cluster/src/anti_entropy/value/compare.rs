//! A comparison of one key on two servers.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::join_all;
use futures_util::future::try_join;
use redisdb_node as node;
use redisdb_node::Node;

use crate::anti_entropy::value::AT_ONCE;
use crate::anti_entropy::value::Snapshot;
use crate::anti_entropy::value::chunks;
use crate::anti_entropy::value::contents::contents;
use crate::anti_entropy::value::is_denied;
use crate::dispatch::failover_read::says_no_such_key;

/// Two servers may be this far apart about the end of a key: they are asked one after the other.
const SAME_END: i64 = 1000;

/// Whether a key is the same on two servers.
#[derive(Debug, Clone)]
pub(crate) enum Compared {
    Same,
    Different,
    /// A server does not let this user see it.
    Denied(node::Error),
}

impl Compared {
    pub(crate) fn is_same(&self) -> bool {
        matches!(self, Self::Same)
    }

    fn of(a: &Snapshot, b: &Snapshot) -> Self {
        match (a, b) {
            (Snapshot::Denied(error), _) | (_, Snapshot::Denied(error)) => Self::Denied(error.clone()),
            (Snapshot::Missing, Snapshot::Missing) => Self::Same,
            (Snapshot::Present { dump: Some(dump), .. }, Snapshot::Present { dump: Some(other), .. })
                if dump == other && may_be_same(a, b) =>
            {
                Self::Same
            }
            _ => Self::Different,
        }
    }
}

/// Compares the keys on two servers; the states are theirs.
///
/// Equal dumps prove equality. Different dumps prove nothing: those of hashes and sets follow the order of insertion,
/// others the way in which a value grew, that of a HyperLogLog when it was counted last, and all of them the server's
/// version. Then the contents are compared.
pub(crate) async fn compare(
    keys: &[Vec<u8>],
    (a, of_a): (&Node, &[Snapshot]),
    (b, of_b): (&Node, &[Snapshot]),
) -> Result<Vec<Compared>, node::Error> {
    let mut compared: Vec<Compared> = of_a.iter().zip(of_b).map(|(a, b)| Compared::of(a, b)).collect();
    let (mut unproved, mut large) = (Vec::new(), Vec::new());
    for ((key, states), compared) in keys.iter().zip(of_a.iter().zip(of_b)).zip(&compared) {
        if matches!(compared, Compared::Different) && may_be_same(states.0, states.1) {
            match is_large(states.0) || is_large(states.1) {
                true => large.push(key.as_slice()),
                false => unproved.push((key.as_slice(), states)),
            }
        }
    }
    let mut equal: BTreeMap<&[u8], Compared> = BTreeMap::new();
    if !unproved.is_empty() {
        let (keys_a, keys_b): (Vec<_>, Vec<_>) =
            unproved.iter().map(|(key, (a, b))| ((*key, *a), (*key, *b))).unzip();
        let (contents_a, contents_b) = try_join(contents(a, &keys_a), contents(b, &keys_b)).await?;
        let both = unproved.into_iter().zip(contents_a.into_iter().zip(contents_b));
        equal.extend(both.map(|((key, _), (a, b))| (key, by_contents(a, b))));
    }
    for some in large.chunks(AT_ONCE) {
        let each = some.iter().map(|key| try_join(chunks::digest(a, key), chunks::digest(b, key)).boxed());
        let digests = join_all(each.collect::<Vec<_>>()).await;
        for (key, digests) in some.iter().zip(digests) {
            let compared = match digests {
                Ok((a, b)) => by_contents(Ok(a), Ok(b)),
                Err(error) if is_denied(&error) => Compared::Denied(error),
                // It has become another type, or has gone, since its state was read.
                Err(error) if says_no_such_key(&error) || error.code() == Some("WRONGTYPE") => {
                    Compared::Different
                }
                Err(error) => return Err(error),
            };
            equal.insert(key, compared);
        }
    }
    for (key, compared) in keys.iter().zip(&mut compared) {
        if let Some(by_contents) = equal.remove(key.as_slice()) {
            *compared = by_contents;
        }
    }
    Ok(compared)
}

fn by_contents<T: PartialEq>(
    a: Result<Option<T>, node::Error>,
    b: Result<Option<T>, node::Error>,
) -> Compared {
    match (a, b) {
        (Err(error), _) | (_, Err(error)) => Compared::Denied(error),
        (Ok(Some(a)), Ok(Some(b))) if a == b => Compared::Same,
        _ => Compared::Different,
    }
}

fn is_large(state: &Snapshot) -> bool {
    matches!(state, Snapshot::Present { dump: None, .. })
}

/// Returns whether two states differ in their dumps at most.
fn may_be_same(a: &Snapshot, b: &Snapshot) -> bool {
    match (a, b) {
        (Snapshot::Present { ends: a, .. }, Snapshot::Present { ends: b, .. }) => match (a, b) {
            (Some(a), Some(b)) => a.abs_diff(*b) <= SAME_END.unsigned_abs(),
            (None, None) => true,
            _ => false,
        },
        _ => false,
    }
}

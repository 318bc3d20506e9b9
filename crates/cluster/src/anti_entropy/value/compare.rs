//! A comparison of one key on two servers.

use futures_util::FutureExt;
use futures_util::future::join_all;
use futures_util::future::try_join;
use redisdb_node as node;
use redisdb_node::Node;

use crate::anti_entropy::value::AT_ONCE;
use crate::anti_entropy::value::Snapshot;
use crate::anti_entropy::value::chunks;
use crate::anti_entropy::value::is_denied;

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
    let all = keys.iter().zip(of_a.iter().zip(of_b)).zip(&mut compared);
    let unproved =
        all.filter(|((_, (a, b)), compared)| matches!(compared, Compared::Different) && may_be_same(a, b));
    let (mut whole, mut large): (Vec<_>, Vec<_>) =
        unproved.partition(|((_, (a, b)), _)| a.is_whole() && b.is_whole());
    for some in std::iter::once(whole.as_mut_slice()).chain(large.chunks_mut(AT_ONCE)) {
        let digests = some.iter().map(|((key, (of_a, of_b)), _)| {
            try_join(chunks::digest(a, key, of_a), chunks::digest(b, key, of_b)).boxed()
        });
        let digests = join_all(digests.collect::<Vec<_>>()).await;
        for ((_, compared), digests) in some.iter_mut().zip(digests) {
            **compared = match digests {
                Ok((Some(a), Some(b))) if a == b => Compared::Same,
                Ok(_) => Compared::Different,
                Err(error) if is_denied(&error) => Compared::Denied(error),
                // It has become another type, or has gone, since its state was read.
                Err(error) if matches!(error.kind(), node::ErrorKind::Server(_)) && !error.is_passing() => {
                    Compared::Different
                }
                Err(error) => return Err(error),
            };
        }
    }
    Ok(compared)
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

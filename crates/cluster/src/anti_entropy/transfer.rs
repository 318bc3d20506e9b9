//! A transfer: a batch of keys on one node is made what it is on another.

use redisdb_node as node;
use redisdb_node::Node;
use twox_hash::XxHash3_64;

use crate::anti_entropy::key_scan::BATCH;
use crate::anti_entropy::source::Source;
use crate::anti_entropy::value;
use crate::anti_entropy::value::Compared;
use crate::anti_entropy::value::Limits;
use crate::anti_entropy::value::Put;
use crate::anti_entropy::value::Snapshot;
use crate::anti_entropy::value::Written;
use crate::engine::copy::topology::CopyTopology;
use crate::error::Error;
use crate::hints::log::HintLog;

/// What became of a key.
#[derive(Debug, Clone)]
pub(crate) enum Transferred {
    /// It was the same already.
    Same,
    /// It was made what it is on the source.
    Copied,
    /// It was removed, because the source does not have it.
    Removed,
    /// It could not be made the same, for this reason.
    Failed(node::Error),
    /// It was left alone, because the source is known to have missed it.
    Missed,
    /// The key differs, and was left alone for now, because somebody may be writing it.
    Unsettled,
    /// It was left alone, because this user may not use it: it is another application's.
    Denied(node::Error),
}

impl Transferred {
    /// Returns whether nothing is left to be done about it.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Same | Self::Copied | Self::Removed | Self::Denied(_))
    }

    /// Returns whether it was not the same.
    pub(crate) fn is_different(&self) -> bool {
        matches!(self, Self::Copied | Self::Removed | Self::Failed(_) | Self::Unsettled)
    }
}

/// Makes keys on the target what they are on the source, where they differ. A write of this client that ends before anything is written has
/// its keys left alone; one that meets the writing is noted as missed.
///
/// On a dry run nothing is written.
pub(crate) async fn transfer(
    (source, target): (&Source<'_>, &Node),
    hints: &HintLog,
    keys: &[Vec<u8>],
    limits: Limits,
    dry_run: bool,
) -> Result<Vec<Transferred>, Error> {
    let batch = hints.start_batch(keys);
    // In this order: what is on both nodes when the target is looked at is not taken from it again.
    let sizes = value::sizes(&[target, &source.node], keys).await?;
    let found = value::read_sized(target, keys, &sizes, limits).await?;
    let wanted = value::read_sized(&source.node, keys, &sizes, limits).await?;
    let looks = [wanted, found];
    let compared = value::compare(&[&source.node, target], keys, (&looks, &sizes), limits).await?;
    let [wanted, found] = &looks;
    let differs = |compared: &Compared| matches!(compared, Compared::First(_)) && !compared.is_same();
    if !dry_run && compared.iter().any(differs) {
        source.check(target.name()).await?;
        source.hear_what_it_missed().await;
    }
    // Heard after the source was asked: what it missed of another process a moment ago does not count.
    let both = wanted.iter().zip(found);
    let outcomes =
        keys.iter().zip(both).zip(compared).map(|((key, (wanted, found)), compared)| match compared {
            _ if !source.counts_for(key) => Some(Transferred::Missed),
            compared if compared.is_same() => Some(Transferred::Same),
            Compared::First(_) if !dry_run && !hints.is_settled(key, digest(wanted, found)) => {
                Some(Transferred::Unsettled)
            }
            Compared::First(_) => None,
            // One that this user may not see on the source is none of this copy's.
            Compared::Denied(error) => Some(match wanted {
                Snapshot::Denied(error) if value::is_denied_key(error) => Transferred::Denied(error.clone()),
                _ => Transferred::Failed(error),
            }),
        });
    let mut outcomes: Vec<Option<Transferred>> = outcomes.collect();
    // Somebody has written it: it is looked at again.
    let leave_alone = |key: &[u8]| {
        let key = std::iter::once(key);
        match hints.has_memory(target) {
            true => source.topology().note_different(hints, key),
            // Not all keys were compared before.
            false => hints.record_hint(key),
        }
        Transferred::Unsettled
    };
    if !dry_run {
        let mut differing: Vec<_> =
            keys.iter().zip(&mut outcomes).filter(|(_, outcome)| outcome.is_none()).collect();
        let may_be_written = batch.writes(differing.iter().map(|(key, _)| key.as_slice()));
        let touched = differing.iter_mut().zip(may_be_written).filter(|(_, may_be)| !may_be);
        touched.for_each(|((key, outcome), _)| **outcome = Some(leave_alone(key)));
    }
    let puts = keys.iter().zip(sizes).zip(wanted.iter().zip(found)).zip(&outcomes);
    let puts: Vec<Put<'_>> = puts
        .filter(|(_, outcome)| outcome.is_none())
        .map(|(((key, size), (wanted, replaces)), _)| Put { key, wanted, replaces, size })
        .collect();
    let written = match puts.is_empty() || dry_run {
        true => puts.iter().map(|_| Ok(Written::Yes)).collect(),
        false => value::write(&source.node, target, &puts, limits).await?,
    };
    let mut written = puts.into_iter().zip(written).map(|(put, written)| match (written, put.wanted) {
        (Ok(Written::Yes), Snapshot::Missing) => Transferred::Removed,
        (Ok(Written::Yes), _) => Transferred::Copied,
        (Ok(Written::Changed), _) => leave_alone(put.key),
        (Err(error), _) => Transferred::Failed(error),
    });
    let brought =
        outcomes.into_iter().map(|outcome| outcome.or_else(|| written.next()).unwrap_or(Transferred::Same));
    Ok(brought.collect())
}

/// Returns a number for the two values of a key.
fn digest(one: &Snapshot, other: &Snapshot) -> u64 {
    let mut both = Vec::new();
    for snapshot in [one, other] {
        match snapshot {
            Snapshot::Present { content, ends } => {
                both.extend(content.digest().unwrap_or_default().to_be_bytes());
                // Its end is known to some milliseconds only.
                both.push(1 + u8::from(ends.is_some()));
            }
            Snapshot::Missing | Snapshot::Denied(_) => both.push(0),
        }
    }
    XxHash3_64::oneshot(&both)
}

/// Forgets those keys that are the same on all nodes: where no node is known to be right, there is nothing to be decided
/// either. Returns whether there was one.
///
/// No acknowledged write hides behind two equal sums: one that builds on what was there is acknowledged only if a node took it
/// that was right, and what others take without that one leaves it right.
pub(crate) async fn forget_unanimous(
    topology: &CopyTopology,
    idx: usize,
    keys: &[(Vec<u8>, u64)],
    limits: Limits,
) -> Result<bool, Error> {
    let hints = topology.nodes.member(idx).hints();
    if !topology.nodes.iter().all(Node::is_connected) {
        return Ok(false);
    }
    let mut any = false;
    for batch in keys.chunks(BATCH) {
        let names: Vec<Vec<u8>> = batch.iter().map(|(key, _)| key.clone()).collect();
        let nodes: Vec<&Node> = topology.nodes.iter().collect();
        let sizes = value::sizes(&nodes, &names).await?;
        let (_, compared) = value::read_and_compare(&nodes, &names, &sizes, limits).await?;
        topology.shadow().iter().for_each(|shadow| shadow.is_compared(idx, &names));
        for ((key, number), _) in batch.iter().zip(compared).filter(|(_, compared)| compared.is_same()) {
            hints.forget(key, *number);
            any = true;
        }
    }
    Ok(any)
}

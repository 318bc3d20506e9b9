//! Agreement on a copy whose servers were all restarted: a key that all of them hold alike counts on each of them, so that it can be
//! written before all keys were compared.

use std::time::Duration;

use redisdb_node::Node;
use tokio::time::Instant;

use crate::anti_entropy::verify::differences;
use crate::call::Call;
use crate::dispatch::failover_read::ASK_AGAIN;
use crate::engine::copy::CopyEngine;
use crate::engine::copy::topology::CopyTopology;
use crate::engine::deadline::Budget;

impl CopyTopology {
    /// Returns whether nodes that all hold these keys alike are right about them: all can be reached, and were restarted at
    /// least this long ago; none was emptied, and none is known to have missed a write of these keys.
    fn may_agree(&self, call: &Call<'_>, long: Duration) -> bool {
        call.first_key().is_some()
            && self
                .nodes
                .members()
                .all(|member| member.may_agree(call.keys()) && member.hints().is_restarted_for(long))
    }

    /// Returns whether all nodes may come to agree on these keys: they do not count yet, because a write may be under way that
    /// one of them took before it was restarted.
    pub(crate) fn may_agree_soon(&self, call: &Call<'_>) -> bool {
        self.may_agree(call, Duration::ZERO) && !self.may_agree(call, self.quiet())
    }
}

impl CopyEngine {
    /// Looks at the keys of a call on all nodes, where all nodes were restarted. If all hold the same, each of them counts for
    /// these keys from then on. Returns whether they do.
    pub(crate) async fn agree_on(&self, call: &Call<'_>, budget: &Budget) -> bool {
        let topology = &*self.topology;
        if !topology.may_agree(call, topology.quiet()) {
            return false;
        }
        let incarnations: Vec<u64> = topology.nodes.iter().map(Node::incarnation).collect();
        let processes: Vec<Node> =
            incarnations.iter().enumerate().map(|(idx, process)| topology.process(idx, *process)).collect();
        let keys: Vec<Vec<u8>> = call.keys().map(<[u8]>::to_vec).collect();
        let nodes: Vec<&Node> = processes.iter().collect();
        let since = Instant::now();
        while !hold_the_same(&nodes, &keys, budget).await {
            // Somebody may just be writing them.
            if topology.longest_reply() <= since.elapsed() || budget.is_over() {
                return false;
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
        // What was emptied or missed meanwhile counts for nothing.
        budget.limit(self.examine_all()).await;
        let are_the_same = topology.nodes.iter().map(Node::incarnation).eq(incarnations.iter().copied());
        if !are_the_same || !topology.may_agree(call, topology.quiet()) {
            return false;
        }
        for (member, incarnation) in topology.nodes.members().zip(incarnations) {
            member.hints().agree(incarnation, &keys);
        }
        topology.shadow().iter().for_each(|shadow| shadow.is_agreed_on(&keys));
        true
    }

    /// Returns whether what a node said of these keys comes from the memory that counts: nobody has emptied the node a moment
    /// ago. Without an identity nobody can tell.
    pub(crate) async fn is_sure(&self, idx: usize, call: &Call<'_>, budget: &Budget) -> bool {
        // Where the look finds another marker than that of a whole node, it also records what follows.
        self.has_its_marker(idx, budget).await || self.topology.nodes.member(idx).agrees_on(call.keys())
    }
}

/// Returns whether this user may read all of these keys, and these nodes hold them alike.
async fn hold_the_same(nodes: &[&Node], keys: &[Vec<u8>], budget: &Budget) -> bool {
    let mut is_denied = false;
    let looked = budget.limit(differences(nodes, keys.to_vec(), |_, _| is_denied = true)).await;
    !is_denied && matches!(looked, Some(Ok((found, _))) if found.is_empty())
}

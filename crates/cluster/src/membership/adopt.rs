//! Adoption: servers that hold data already are given an identity.

use redisdb_node::Node;

use crate::anti_entropy::verify::Verify;
use crate::engine::copy::CopyEngine;
use crate::error::Error;
use crate::membership::marker::Stage;

impl CopyEngine {
    /// Marks the servers as belonging to this copy, if they all hold the same; see [`RedisCopy::adopt`](crate::RedisCopy::adopt).
    pub(crate) async fn adopt(&self) -> Result<(), Error> {
        if self.topology.identity.is_none() {
            let reason =
                "this copy has no identity; give it one by `RedisCopy::builder().identity(..)`".to_owned();
            return Err(Error::Identity { reason });
        }
        self.topology.nodes.connect().await?;
        let nodes: Vec<&Node> = self.topology.nodes.iter().collect();
        for node in &nodes {
            node.ready().await?;
        }
        // What is missed from now on was not compared.
        let missed: Vec<_> =
            self.topology.nodes.members().map(|member| member.hints().missed_keys()).collect();
        let incarnations: Vec<u64> = nodes.iter().map(|node| node.incarnation()).collect();
        // One server alone is the same as itself.
        if 1 < nodes.len() {
            let mut verified = Verify::new(self.clone()).run().await?;
            if let Some((_, error)) = verified.left_out.pop() {
                return Err(Error::Node(error));
            }
            if let Some(first) = verified.first() {
                let reason =
                    format!("{} keys are not the same on all servers; the first: {first}", verified.len());
                return Err(Error::Identity { reason });
            }
        }
        if nodes.iter().zip(&incarnations).any(|(node, incarnation)| node.incarnation() != *incarnation) {
            let reason = "a server was restarted while they were compared; call `adopt()` again".to_owned();
            return Err(Error::Identity { reason });
        }
        self.mark(0..nodes.len(), Stage::Ready).await?;
        for (member, missed) in self.topology.nodes.members().zip(missed) {
            let (node, hints) = member.with_hints();
            missed.iter().for_each(|(key, number)| hints.forget(key, *number));
            hints.readmit(node);
        }
        Ok(())
    }
}

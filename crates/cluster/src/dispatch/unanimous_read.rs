//! A unanimous read on a copy: where no node may answer alone, the equal answers of all of them count.

use futures_util::future::join_all;
use redis::Value;

use crate::call::Call;
use crate::engine::copy::CopyEngine;
use crate::engine::copy::topology::CopyTopology;
use crate::engine::deadline::Budget;
use crate::engine::member::Member;
use crate::membership::marker::Data;
use crate::reply::NodesReply;

impl CopyTopology {
    /// The nodes whose equal answers about these keys count together, while none counts alone: those that are not known to have
    /// missed a write of them. `None` if that proves nothing: one of them cannot be reached, a node that was whole is away, or
    /// one has lost all and may have known what the others missed.
    pub(crate) fn voters(&self, call: &Call<'_>) -> Option<Vec<usize>> {
        // The rules want all nodes. Of those that were restarted, the copy leaves out the ones that are known to be behind.
        let is_left_out = |member: &Member| {
            let hints = member.hints();
            !hints.is_whole() && member.data() == Data::Kept && !hints.may_hold(call.keys())
        };
        let voters = self.nodes.members().enumerate().filter(|(_, member)| !is_left_out(member));
        let is_conclusive = call.first_key().is_some()
            && voters.clone().all(|(_, member)| !member.hints().is_whole() && member.may_agree(call.keys()));
        let voters: Vec<usize> = voters.map(|(idx, _)| idx).collect();
        (is_conclusive && !voters.is_empty()).then_some(voters)
    }
}

impl CopyEngine {
    /// Asks all voters at once. Returns their answer if all of them gave the same.
    pub(crate) async fn run_unanimous_read(&self, call: &Call<'_>, budget: &Budget) -> Option<NodesReply> {
        let topology = &*self.topology;
        let voters = topology.voters(call)?;
        let incarnations = || voters.iter().map(|idx| topology.nodes.at(*idx).incarnation());
        let before: Vec<u64> = incarnations().collect();
        let asked = voters.iter().zip(&before).map(async |(idx, incarnation)| {
            let process = topology.process(*idx, *incarnation);
            budget.all(&process).run(call.spec, call.cmd).await
        });
        let mut replies = Vec::new();
        for answer in join_all(asked).await {
            replies.push(answer.ok()?);
        }
        // What was missed or lost meanwhile counts for nothing.
        if topology.voters(call)? != voters || !incarnations().eq(before.iter().copied()) {
            return None;
        }
        let first = replies.pop()?;
        let is_one = replies.iter().all(|reply| are_same(call, reply, &first));
        if is_one {
            topology.shadow().iter().for_each(|shadow| shadow.is_read_from_all(&voters, call.keys()));
        }
        is_one.then(|| topology.reply_of(voters.last().copied().unwrap_or_default(), first))
    }
}

/// The commands that read a set, whose elements a server may list in any order.
const UNORDERED: [&str; 6] = ["HKEYS", "HVALS", "SDIFF", "SINTER", "SMEMBERS", "SUNION"];

/// Returns whether two answers say the same. The elements of a set or a hash may come in any order, and times to live may be a
/// moment apart.
fn are_same(call: &Call<'_>, one: &Value, other: &Value) -> bool {
    /// How far apart two servers may see the end of the same key, in milliseconds.
    const MOMENT: i64 = 1000;
    match (one, other) {
        _ if one == other => true,
        (Value::Int(one), Value::Int(other)) => match call.spec.name {
            "PTTL" | "PEXPIRETIME" => 0 <= *one && 0 <= *other && (one - other).abs() <= MOMENT,
            "TTL" | "EXPIRETIME" => 0 <= *one && 0 <= *other && (one - other).abs() <= MOMENT / 1000,
            _ => false,
        },
        (Value::Map(one), Value::Map(other)) => sorted(one) == sorted(other),
        (Value::Set(one), Value::Set(other)) => sorted(one) == sorted(other),
        (Value::Array(one), Value::Array(other)) => match call.spec.name {
            "HGETALL" => {
                let pairs = |flat: &[Value]| sorted(flat.chunks(2));
                pairs(one) == pairs(other)
            }
            name if UNORDERED.contains(&name) => sorted(one) == sorted(other),
            _ => false,
        },
        _ => false,
    }
}

fn sorted<T: std::fmt::Debug>(elements: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut sorted: Vec<String> = elements.into_iter().map(|element| format!("{element:?}")).collect();
    sorted.sort_unstable();
    sorted
}

#[cfg(test)]
mod tests {
    use redis::Cmd;
    use redisdb_node::command::lookup;

    use super::*;

    fn same(line: &str, one: &[i64], other: &[i64]) -> bool {
        let mut cmd = Cmd::new();
        cmd.arg(line.split(' ').collect::<Vec<_>>());
        let reply = |of: &[i64]| Value::Array(of.iter().map(|one| Value::Int(*one)).collect());
        are_same(&Call::new(lookup(&cmd).unwrap(), &cmd), &reply(one), &reply(other))
    }

    #[test]
    fn only_the_elements_of_a_set_may_come_in_any_order() {
        for name in UNORDERED {
            assert!(same(&format!("{name} k"), &[1, 0], &[0, 1]), "{name}");
            assert!(!same(&format!("{name} k"), &[1, 0], &[1, 1]), "{name}");
        }
        assert!(same("HGETALL k", &[1, 2, 3, 4], &[3, 4, 1, 2]));
        assert!(!same("HGETALL k", &[1, 2, 3, 4], &[2, 1, 3, 4]));
        for line in ["SMISMEMBER k a b", "LRANGE k 0 -1", "HMGET k a b", "MGET k l", "ZRANGE k 0 -1"] {
            assert!(same(line, &[1, 0], &[1, 0]) && !same(line, &[1, 0], &[0, 1]), "{line}");
        }
    }
}

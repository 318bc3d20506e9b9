//! The parts of a stream beside its entries: counters, groups, and who reads in them.

use redis::Pipeline;
use redis::Value;
use redis::from_redis_value;
use redisdb_node as node;
use redisdb_node::Node;

use crate::anti_entropy::value::copy::send;

/// So many pending entries go at a time.
const AT_ONCE: usize = 512;

/// What a stream knows besides its entries.
pub(crate) struct Stream {
    last: Vec<u8>,
    /// How many entries it has had, and the last one that was deleted: since Redis 7.0.
    counts: Option<(u64, Vec<u8>)>,
    groups: Vec<Group>,
    /// How many identifiers of producers it remembers, so that nothing is added twice: since Redis 8.6.
    n_idempotent: u64,
}

struct Group {
    name: Vec<u8>,
    delivered: Vec<u8>,
    /// How many entries it has read, where that is known: since Redis 7.0.
    read: Option<u64>,
}

/// Who has what to acknowledge, for how long, and how often it was delivered.
type Pending = (Vec<u8>, Vec<u8>, u64, u64);

impl Stream {
    pub(crate) async fn of(node: &Node, key: &[u8]) -> Result<Self, node::Error> {
        let stream = node.send(redis::cmd("XINFO").arg("STREAM").arg(key)).await?;
        let counts = field(&stream, "entries-added").zip(field(&stream, "max-deleted-entry-id"));
        let groups: Vec<Value> = list(node.send(redis::cmd("XINFO").arg("GROUPS").arg(key)).await?);
        let mut groups: Vec<Group> = groups
            .iter()
            .filter_map(|group| {
                Some(Group {
                    name: field(group, "name")?,
                    delivered: field(group, "last-delivered-id")?,
                    read: field(group, "entries-read"),
                })
            })
            .collect();
        groups.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            last: field(&stream, "last-generated-id").unwrap_or_default(),
            counts,
            groups,
            n_idempotent: field(&stream, "iids-tracked").unwrap_or(0),
        })
    }

    /// What has to be the same where the stream is the same. What its consumers do changes at every read, and counts are
    /// not known everywhere.
    pub(crate) fn compared(self) -> impl Iterator<Item = Vec<u8>> {
        let groups = self.groups.into_iter().flat_map(|group| [group.name, group.delivered]);
        std::iter::once(self.last).chain(groups)
    }

    /// Returns whether the stream remembers the idempotent ids of its producers, which no command can give
    /// another server.
    pub(crate) fn is_idempotent(&self) -> bool {
        0 < self.n_idempotent
    }

    /// Gives all of it but the entries to a stream that has them; what its server does not know is left out.
    pub(crate) async fn give(
        &self,
        (source, key): (&Node, &[u8]),
        (target, to): (&Node, &[u8]),
    ) -> Result<(), node::Error> {
        let knows_counts = Self::of(target, to).await?.counts.is_some();
        let mut pipeline = redis::pipe();
        pipeline.cmd("XSETID").arg(to).arg(&self.last);
        if let Some((added, deleted)) = self.counts.as_ref().filter(|_| knows_counts) {
            pipeline.arg("ENTRIESADDED").arg(*added).arg("MAXDELETEDID").arg(deleted);
        }
        for group in &self.groups {
            pipeline.cmd("XGROUP").arg("CREATE").arg(to).arg(&group.name).arg(&group.delivered);
            if let Some(read) = group.read.filter(|_| knows_counts) {
                pipeline.arg("ENTRIESREAD").arg(read);
            }
            let consumers = redis::cmd("XINFO").arg("CONSUMERS").arg(key).arg(&group.name).clone();
            for consumer in list::<Value>(source.send(&consumers).await?) {
                let name: Option<Vec<u8>> = field(&consumer, "name");
                pipeline.cmd("XGROUP").arg("CREATECONSUMER").arg(to).arg(&group.name).arg(name);
            }
        }
        send(target, &pipeline).await?;
        for group in &self.groups {
            let mut first = b"-".to_vec();
            loop {
                let mut cmd = redis::cmd("XPENDING");
                cmd.arg(key).arg(&group.name).arg(&first).arg("+").arg(AT_ONCE);
                let pending: Vec<Pending> = list(source.send(&cmd).await?);
                let Some((last, ..)) = pending.last() else { break };
                first = [b"(", last.as_slice()].concat();
                let mut pipeline = Pipeline::with_capacity(pending.len());
                for (id, consumer, idle, times) in pending {
                    pipeline.cmd("XCLAIM").arg(to).arg(&group.name).arg(consumer).arg(0).arg(id);
                    pipeline.arg("IDLE").arg(idle).arg("RETRYCOUNT").arg(times).arg("FORCE").arg("JUSTID");
                }
                send(target, &pipeline).await?;
            }
        }
        Ok(())
    }
}

fn list<T: redis::FromRedisValue>(reply: Value) -> Vec<T> {
    from_redis_value(reply).unwrap_or_default()
}

/// The value of a field in a reply of `XINFO`; `None` also of what is nil.
fn field<T: redis::FromRedisValue>(reply: &Value, name: &str) -> Option<T> {
    let Value::Array(words) = reply else { return None };
    let is_name = |value: &Value| match value {
        Value::BulkString(word) => word == name.as_bytes(),
        Value::SimpleString(word) => word == name,
        _ => false,
    };
    let pair = words.chunks(2).find(|pair| pair.first().is_some_and(is_name))?;
    from_redis_value(pair.get(1)?.clone()).ok().flatten()
}

//! Commands on a ring for several nodes: in parts, at every node, or at any.

use std::sync::Arc;

use futures_util::future::join;
use futures_util::future::join_all;
use redis::Cmd;
use redis::RedisError;
use redis::Value;
use redisdb_node as node;
use redisdb_node::command::Access;
use redisdb_node::command::Merge;
use redisdb_node::command::Spec;
use redisdb_node::command::rows;

use crate::engine::nodes::Nodes;
use crate::error::Error;
use crate::error::PartReply;
use crate::error::Partial;
use crate::plan::Plan;
use crate::plan::merge::PartValue;
use crate::plan::merge::merge;
use crate::plan::split::Split;
use crate::reply::NodesReply;

impl Nodes {
    /// Runs a command that is not one node's alone.
    pub(crate) async fn run_on_several(
        &self,
        spec: &'static Spec,
        cmd: &Cmd,
        route: Plan,
    ) -> Result<NodesReply, Error> {
        match route {
            Plan::One(owner) => match self.at(owner).run(spec, cmd).await {
                Ok(reply) => Ok(NodesReply::One(Arc::clone(self.name(owner)), reply)),
                Err(error) => Err(on_owner(spec, cmd, error)),
            },
            Plan::Parts(split, rule) => {
                let calls = split.parts.iter().map(|part| self.at(part.node).run(spec, &part.cmd));
                let replies = join_all(calls).await;
                self.merge_parts(spec, cmd, rule, split, replies)
            }
            Plan::Every(_) if spec.access == Access::Each => {
                Ok(NodesReply::Each(self.replies(self.run_on_all(spec, cmd).await)))
            }
            Plan::Every(Merge::First) => self.weighted(spec, cmd).await,
            Plan::Every(rule) => self.merge_all(spec, rule, self.run_on_all(spec, cmd).await),
            Plan::Any => self.any(spec, cmd).await,
            Plan::All(_) | Plan::PrimaryFirst(..) => Err(several(spec)),
        }
    }

    /// Asks one node after the other until one can be reached.
    async fn any(&self, spec: &'static Spec, cmd: &Cmd) -> Result<NodesReply, Error> {
        let mut errors = Vec::new();
        for (idx, node) in self.iter().enumerate() {
            match node.run(spec, cmd).await {
                Err(error) if error.is_connect() => errors.push(error),
                reply => return Ok(NodesReply::One(Arc::clone(self.name(idx)), reply?)),
            }
        }
        Err(Error::unavailable(spec.name, None, errors, Vec::new()))
    }

    /// One node's reply, each node chosen as often as it has keys: every key is as likely as any other.
    async fn weighted(&self, spec: &'static Spec, cmd: &Cmd) -> Result<NodesReply, Error> {
        let dbsize = rows::DBSIZE.cmd();
        let both = self.iter().map(|node| join(node.run(spec, cmd), node.run(rows::DBSIZE.spec(), &dbsize)));
        self.choose(spec, join_all(both).await)
    }

    /// The choice among the replies of all nodes, each with how many keys the node has.
    pub(crate) fn choose(
        &self,
        spec: &'static Spec,
        replies: Vec<(Result<Value, node::Error>, Result<Value, node::Error>)>,
    ) -> Result<NodesReply, Error> {
        let mut total = 0;
        let mut choice = None;
        let mut parts = Vec::with_capacity(replies.len());
        for (idx, (reply, size)) in replies.into_iter().enumerate() {
            if let (Ok(reply), Ok(Value::Int(size))) = (&reply, size) {
                let size = u64::try_from(size).unwrap_or(0);
                total += size;
                if total > 0 && *reply != Value::Nil && fastrand::u64(..total) < size {
                    choice = Some(NodesReply::One(Arc::clone(self.name(idx)), reply.clone()));
                }
            }
            parts.push(reply);
        }
        let of_all = self.merge_all(spec, Merge::First, parts)?;
        Ok(choice.unwrap_or(of_all))
    }

    pub(crate) fn merge_parts(
        &self,
        spec: &'static Spec,
        cmd: &Cmd,
        rule: Merge,
        split: Split,
        replies: Vec<Result<Value, node::Error>>,
    ) -> Result<NodesReply, Error> {
        let Split { parts, of_keys } = split;
        if replies.iter().all(Result::is_ok) {
            let names: Box<[_]> = parts.iter().map(|part| Arc::clone(self.name(part.node))).collect();
            let values = parts.into_iter().zip(replies).filter_map(|(part, reply)| {
                let node = Arc::clone(self.name(part.node));
                Some(PartValue { node, n_keys: part.n_keys, value: reply.ok()? })
            });
            return match merge(rule, &of_keys, values.collect()) {
                Ok(value) => Ok(NodesReply::Merged(names, value)),
                Err(reason) => Err(Error::unmerged(spec.name, &names, unfit(reason))),
            };
        }
        let keys: Vec<&[u8]> =
            spec.keys_of(cmd).map(|keys| keys.map(|(_, key)| key).collect()).unwrap_or_default();
        let keys_of = |part| keys.iter().zip(&of_keys).filter(move |(_, of_key)| **of_key == part);
        let parts = parts.into_iter().zip(replies).enumerate().map(|(idx, (part, reply))| PartReply {
            node: self.name(part.node).to_string(),
            keys: keys_of(idx).map(|(key, _)| key.to_vec()).collect(),
            reply,
        });
        Err(Error::Partial(Box::new(Partial { command: spec.name, parts: parts.collect() })))
    }

    pub(crate) fn merge_all(
        &self,
        spec: &'static Spec,
        rule: Merge,
        replies: Vec<Result<Value, node::Error>>,
    ) -> Result<NodesReply, Error> {
        self.merge_parts(spec, &Cmd::new(), rule, Split::whole(0..replies.len()), replies)
    }
}

/// Why replies cannot be made one.
pub(crate) fn unfit(reason: String) -> RedisError {
    (redis::ErrorKind::UnexpectedReturnType, "the replies do not fit together", reason).into()
}

/// The error of a plan that a ring never makes.
pub(crate) fn several(spec: &Spec) -> Error {
    Error::refused(
        spec.name,
        "ring",
        "it is planned for several nodes that hold the same key, and a ring has one",
    )
}

/// An error of the owner of a key: that it cannot be reached says which key that is about.
pub(crate) fn on_owner(spec: &'static Spec, cmd: &Cmd, error: node::Error) -> Error {
    if !error.is_connect() {
        return Error::Node(error);
    }
    Error::unavailable(spec.name, spec.first_key(cmd).ok().flatten(), vec![error], Vec::new())
}

//! Commands on a ring for several nodes: in parts, at every node, or at any.

use std::sync::Arc;

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

/// How the replies to a command that goes to several nodes become one.
pub(crate) enum Gathering {
    /// They are merged.
    Merged(Split, Merge),
    /// One of them counts. After each comes the number of keys on its node, so that every key is as likely as any other.
    Chosen,
    /// Each is kept under its node's name.
    Each,
}

impl Nodes {
    /// Runs a command by its plan, on one node or on several.
    pub(crate) async fn run_on_several(
        &self,
        spec: &'static Spec,
        cmd: &Cmd,
        plan: Plan,
    ) -> Result<NodesReply, Error> {
        match plan {
            Plan::One(owner) => match self.at(owner).run(spec, cmd).await {
                Ok(reply) => Ok(NodesReply::One(Arc::clone(self.name(owner)), reply)),
                Err(error) => Err(on_owner(spec, cmd, error)),
            },
            Plan::Any => self.any(spec, cmd).await,
            plan => {
                let mut sent = Vec::new();
                let gathering =
                    self.scatter(spec, cmd, plan, |node, spec, cmd| sent.push((node, spec, cmd)))?;
                let replies = sent.iter().map(|(node, spec, cmd)| self.at(*node).run(spec, cmd));
                self.gather(spec, cmd, gathering, join_all(replies).await)
            }
        }
    }

    /// Sends each node its part of a command that is for several. Returns how the replies become one; they are to come in the
    /// order in which the parts were sent.
    pub(crate) fn scatter(
        &self,
        spec: &'static Spec,
        cmd: &Cmd,
        plan: Plan,
        mut send: impl FnMut(usize, &'static Spec, Cmd),
    ) -> Result<Gathering, Error> {
        let gathering = match plan {
            Plan::Parts(mut split, merge) => {
                split.parts.iter_mut().for_each(|part| send(part.node, spec, part.cmd.take()));
                return Ok(Gathering::Merged(split, merge));
            }
            Plan::Every(_) if spec.access == Access::Each => Gathering::Each,
            Plan::Every(Merge::First) => Gathering::Chosen,
            Plan::Every(merge) => Gathering::Merged(Split::whole(0..self.len()), merge),
            _ => {
                let reason = "it is planned for several nodes that hold the same key, and a ring has one";
                return Err(Error::refused(spec.name, "ring", reason));
            }
        };
        for idx in 0..self.len() {
            send(idx, spec, cmd.clone());
            if let Gathering::Chosen = gathering {
                send(idx, rows::DBSIZE.spec(), rows::DBSIZE.cmd());
            }
        }
        Ok(gathering)
    }

    /// Makes one reply of those to a command that was [scattered](Self::scatter).
    pub(crate) fn gather(
        &self,
        spec: &'static Spec,
        cmd: &Cmd,
        gathering: Gathering,
        replies: Vec<Result<Value, node::Error>>,
    ) -> Result<NodesReply, Error> {
        match gathering {
            Gathering::Merged(split, merge) => self.merge_parts(spec, cmd, merge, split, replies),
            Gathering::Chosen => self.choose(spec, cmd, replies),
            Gathering::Each => Ok(NodesReply::Each(self.replies(replies))),
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

    /// Chooses among the replies of all nodes. After each comes the number of keys on its node.
    fn choose(
        &self,
        spec: &'static Spec,
        cmd: &Cmd,
        replies: Vec<Result<Value, node::Error>>,
    ) -> Result<NodesReply, Error> {
        let mut total = 0;
        let mut choice = None;
        let mut parts = Vec::with_capacity(self.len());
        let mut replies = replies.into_iter();
        while let (Some(reply), Some(size)) = (replies.next(), replies.next()) {
            if let (Ok(reply), Ok(Value::Int(size))) = (&reply, size) {
                let size = u64::try_from(size).unwrap_or(0);
                total = size.saturating_add(total);
                if total > 0 && *reply != Value::Nil && fastrand::u64(..total) < size {
                    choice = Some(NodesReply::One(Arc::clone(self.name(parts.len())), reply.clone()));
                }
            }
            parts.push(reply);
        }
        let of_all = self.merge_parts(spec, cmd, Merge::First, Split::whole(0..self.len()), parts)?;
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
}

/// Why replies cannot be made one.
pub(crate) fn unfit(reason: String) -> RedisError {
    (redis::ErrorKind::UnexpectedReturnType, "the replies do not fit together", reason).into()
}

/// The error of a command on the owner of its key. If the owner cannot be reached, the error names the key.
pub(crate) fn on_owner(spec: &'static Spec, cmd: &Cmd, error: node::Error) -> Error {
    if !error.is_connect() {
        return Error::Node(error);
    }
    Error::unavailable(spec.name, spec.first_key(cmd).ok().flatten(), vec![error], Vec::new())
}

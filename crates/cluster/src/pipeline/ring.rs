//! A pipeline on a ring: its commands are grouped by node, and the groups are sent at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use redis::Cmd;
use redis::FromRedisValue;
use redis::Value;
use redisdb_node as node;
use redisdb_node::command::Spec;
use redisdb_node::plumbing::Batch;
use redisdb_node::plumbing::Recorded;
use redisdb_node::plumbing::SendMany;
use redisdb_node::plumbing::too_few;

use crate::dispatch::scatter::Gathering;
use crate::dispatch::scatter::on_owner;
use crate::engine::nodes::Nodes;
use crate::engine::ring::RingEngine;
use crate::engine::ring::topology::RingTopology;
use crate::error::Error;
use crate::pipeline::answers::At;
use crate::pipeline::answers::PipelineAnswers;
use crate::pipeline::answers::Place;
use crate::pipeline::answers::take;
use crate::plan::Plan;
use crate::plan::context::Context;
use crate::replies::PerNode;
use crate::reply::NodesReply;
use crate::ring::RedisRing;

/// A command that is not answered by one reply of one node.
enum Waiting<'a> {
    /// It was not sent.
    Nothing(Error),
    /// It waits for the replies in these places.
    Several(&'a Recorded, Gathering, Vec<At>),
}

/// What each node is to be sent.
struct Batches {
    of_nodes: Vec<Option<Batch>>,
    /// How many commands a node will get, about, so that its batch need not grow.
    room: usize,
    is_full: bool,
}

impl Batches {
    fn new(n_nodes: usize, n_commands: usize) -> Self {
        let of_nodes = std::iter::repeat_with(|| None).take(n_nodes).collect();
        let room = (n_commands / n_nodes * 5 / 4 + 4).min(Batch::MOST_COMMANDS);
        Self { of_nodes, room, is_full: false }
    }

    #[inline(always)] // the command is moved once instead of twice
    fn put(&mut self, node: usize, cmd: Cmd) -> At {
        let Some(of_node) = self.of_nodes.get_mut(node) else { return (node, usize::MAX) };
        let batch = of_node.get_or_insert_with(|| Batch::with_capacity(self.room));
        let at = (node, batch.len());
        batch.push(cmd);
        self.is_full |= batch.is_full();
        at
    }
}

/// What a node has been sent, and what it answered.
struct Sent {
    batch: Option<Batch>,
    replies: Result<Vec<Value>, node::Error>,
}

impl Sent {
    /// Whether one of the commands has a reply, and it is no error.
    fn has_reply(&self, i: usize) -> bool {
        let reply = self.replies.as_ref().ok().and_then(|replies| replies.get(i));
        reply.is_some_and(|reply| !matches!(reply, Value::ServerError(_)))
    }

    /// Whether every command has one, as a rule.
    fn is_whole(&self) -> bool {
        (0..self.batch.as_ref().map_or(0, Batch::len)).all(|i| self.has_reply(i))
    }
}

/// Runs commands and hands over their answers, in order. The order is kept on each node.
async fn run_all(ring: &RingEngine, commands: &mut [Recorded], mut answered: impl FnMut(PipelineAnswers)) {
    let topology = ring.topology();
    let is_any_away = topology.is_any_away();
    if is_any_away {
        ring.look_after_those_away();
    }
    // A node that stands in for another one needs care, for each command its own.
    let goes_to_two = |command: &Recorded| topology.goes_to_two(command.spec);
    if topology.on_down.is_careful() && (is_any_away || commands.iter().any(goes_to_two)) {
        return ring.run_each_by_itself(commands, answered).await;
    }
    // A node that did not answer a part of the pipeline gets none of the rest.
    let mut lost: BTreeMap<usize, Arc<node::ErrorKind>> = BTreeMap::new();
    let mut commands = commands;
    while !commands.is_empty() {
        let nodes = &*topology.nodes.until(ring.by());
        let (batches, mut places, others) = gather(&topology, commands);
        let sent = batches.of_nodes.into_iter().enumerate().map(async |(idx, batch)| {
            let replies = match (&batch, lost.get(&idx)) {
                (None, _) => Ok(Vec::new()),
                (Some(_), Some(cause)) => {
                    let cause = Arc::clone(cause);
                    Err(failed(nodes, idx, "pipeline", &node::ErrorKind::Down { cause }))
                }
                (Some(batch), None) => nodes.at(idx).send_pipeline(batch.pipeline(), 0, batch.len()).await,
            };
            Sent { batch, replies }
        });
        let mut sent = join_all(sent).await;
        for (idx, sent) in sent.iter().enumerate() {
            if let Err(error) = &sent.replies {
                lost.entry(idx).or_insert_with(|| match error.kind() {
                    node::ErrorKind::Down { cause } => Arc::clone(cause),
                    kind => Arc::new(kind.clone()),
                });
            }
        }
        let others = others.into_iter().map(|waiting| Some(waiting.answer(nodes, &mut sent)));
        let mut others: Vec<_> = others.collect();
        let in_doubt = if sent.iter().all(Sent::is_whole) { &mut [] } else { places.as_mut_slice() };
        for (place, command) in in_doubt.iter_mut().zip(&*commands) {
            if let Place::Reply(at) = *place
                && !sent.get(at.0).is_some_and(|sent| sent.has_reply(at.1))
            {
                others.push(error_at(nodes, &mut sent, at, command.spec).map(Err));
                *place = Place::Other(others.len() - 1);
            }
        }
        let replies = sent.into_iter().enumerate();
        let named =
            replies.map(|(idx, sent)| (Arc::clone(nodes.name(idx)), sent.replies.unwrap_or_default()));
        let n = places.len();
        answered(PipelineAnswers { places, replies: named.collect(), others });
        commands = commands.get_mut(n..).unwrap_or_default();
    }
}

/// Puts as many commands into batches as go out at a time: where the answer to each will stand, and what those wait for that
/// are not answered by one reply.
fn gather<'a>(
    topology: &RingTopology,
    commands: &'a mut [Recorded],
) -> (Batches, Vec<Place>, Vec<Waiting<'a>>) {
    let n_nodes = topology.nodes.len();
    let mut batches = Batches::new(n_nodes, commands.len());
    let mut places = Vec::with_capacity(commands.len().min(batches.room * n_nodes));
    let mut others = Vec::new();
    for command in commands {
        places.push(match plan(topology, command, &mut batches) {
            Ok(at) => Place::Reply(at),
            Err(waiting) => {
                others.push(waiting);
                Place::Other(others.len() - 1)
            }
        });
        if batches.is_full {
            break;
        }
    }
    (batches, places, others)
}

/// The reply in this place, or why there is none.
fn take_from(
    nodes: &Nodes,
    sent: &mut [Sent],
    (node, i): At,
    spec: &'static Spec,
) -> Result<Value, node::Error> {
    match sent.get_mut(node).map(|sent| &mut sent.replies) {
        Some(Ok(replies)) => match take(replies, i) {
            Some(reply) => nodes.at(node).accept(spec.name, reply),
            None => Err(failed(nodes, node, spec.name, &too_few())),
        },
        Some(Err(error)) => Err(failed(nodes, node, spec.name, error.kind())),
        None => Err(failed(nodes, node, spec.name, &too_few())),
    }
}

/// What is wrong with the reply in this place, where something is.
fn error_at(nodes: &Nodes, sent: &mut [Sent], at: At, spec: &'static Spec) -> Option<Error> {
    let error = take_from(nodes, sent, at, spec).err()?;
    let batch = sent.get(at.0).and_then(|sent| sent.batch.as_ref());
    let cmd = batch.and_then(|batch| batch.pipeline().cmd_iter().nth(at.1));
    Some(on_owner(spec, cmd.unwrap_or(&Cmd::new()), error))
}

fn failed(nodes: &Nodes, idx: usize, command: &'static str, kind: &node::ErrorKind) -> node::Error {
    node::Error::new(Arc::clone(nodes.name(idx)), command, kind.clone())
}

impl Waiting<'_> {
    fn answer(self, nodes: &Nodes, sent: &mut [Sent]) -> Result<NodesReply, Error> {
        match self {
            Self::Nothing(error) => Err(error),
            Self::Several(command, gathering, at) => {
                let replies = at.into_iter().map(|at| take_from(nodes, sent, at, command.spec)).collect();
                nodes.gather(command.spec, &command.cmd, gathering, replies)
            }
        }
    }
}

/// Decides where a command goes, and puts it, or its parts, into the batches: where its reply will stand, if it is one.
fn plan<'a>(
    topology: &RingTopology,
    command: &'a mut Recorded,
    batches: &mut Batches,
) -> Result<At, Waiting<'a>> {
    let (spec, cmd) = (command.spec, &command.cmd);
    if spec.needs_dedicated(cmd).is_none()
        && let Some(owner) = topology.fast_owner(spec, cmd)
    {
        return Ok(batches.put(owner, command.cmd.take()));
    }
    match topology.route(spec, cmd, Context::Pipeline).map_err(Waiting::Nothing)? {
        Plan::One(owner) => Ok(batches.put(owner, command.cmd.take())),
        Plan::Any => {
            let up = topology.nodes.iter().position(|node| node.is_connected()).unwrap_or(0);
            Ok(batches.put(up, command.cmd.take()))
        }
        plan => {
            let mut at = Vec::new();
            let put = |node, _: &Spec, cmd| at.push(batches.put(node, cmd));
            let gathering = topology.nodes.scatter(spec, cmd, plan, put).map_err(Waiting::Nothing)?;
            Err(Waiting::Several(command, gathering, at))
        }
    }
}

impl SendMany for RedisRing {
    type Reply = NodesReply;
    type Answers = PipelineAnswers;

    async fn send_many(&self, commands: &mut [Recorded], answered: impl FnMut(PipelineAnswers) + Send) {
        run_all(&self.engine, commands, answered).await;
    }

    async fn send_atomic(&self, commands: &[Recorded]) -> PipelineAnswers {
        let topology = self.engine.topology();
        let block = commands.iter().map(|command| (command.spec, &command.cmd));
        let owner = match topology.route_together(block, Context::Block) {
            Ok(owner) => owner,
            Err(error) => return PipelineAnswers::refused(commands.len(), &error),
        };
        let nodes = topology.nodes.until(self.engine.by());
        let outcomes = commands.iter().zip(nodes.at(owner).send_block(commands).await);
        let named = outcomes.map(|(command, reply)| match reply {
            Ok(value) => Ok(NodesReply::One(Arc::clone(nodes.name(owner)), value)),
            Err(error) => Err(on_owner(command.spec, &command.cmd, error)),
        });
        PipelineAnswers::listed(named.collect())
    }

    #[inline]
    fn read_reply<T: FromRedisValue + Send>(spec: &'static Spec, reply: NodesReply) -> Result<T, Error> {
        reply.read(spec)
    }

    fn write_reply<T: FromRedisValue + Send>(spec: &'static Spec, reply: NodesReply) -> Result<T, Error> {
        Self::read_reply(spec, reply)
    }

    fn each_reply<T: FromRedisValue + Send>(
        spec: &'static Spec,
        reply: NodesReply,
    ) -> Result<PerNode<T>, Error> {
        Ok(reply.read_each(spec))
    }

    fn not_sent(&self, command: &str, reason: &'static str) -> Error {
        Error::refused(command, "ring", reason)
    }
}

//! A pipeline on a ring: its commands are grouped by node, and the groups are sent at once.

use std::borrow::Cow;
use std::sync::Arc;

use redis::FromRedisValue;
use redisdb_node::command::Spec;
use redisdb_node::plumbing::Batch;
use redisdb_node::plumbing::Recorded;
use redisdb_node::plumbing::SendMany;

use crate::dispatch::scatter::Gathering;
use crate::dispatch::scatter::on_owner;
use crate::engine::nodes::Nodes;
use crate::engine::ring::RingEngine;
use crate::engine::ring::topology::RingTopology;
use crate::error::Error;
use crate::pipeline::answers::At;
use crate::pipeline::answers::PipelineAnswers;
use crate::pipeline::answers::Place;
use crate::pipeline::cmds_of;
use crate::pipeline::wave::Lost;
use crate::pipeline::wave::Wave;
use crate::plan::Plan;
use crate::plan::context::Context;
use crate::replies::PerNode;
use crate::reply::NodesReply;
use crate::ring::RedisRing;

/// A command that is not answered by one reply of one node.
enum Waiting<'a> {
    /// The command was not sent.
    Nothing(Error),
    /// The command waits for the replies in these places.
    Several(&'a Recorded<'a>, Gathering, Vec<At>),
}

/// Runs commands and hands over their answers, in order. The order is kept on each node.
async fn run_all(ring: &RingEngine, commands: &[Recorded<'_>], mut answered: impl FnMut(PipelineAnswers)) {
    let topology = ring.topology();
    let is_any_away = topology.is_any_away();
    if is_any_away {
        ring.look_after_those_away();
    }
    // A node that stands in for another one needs care, for each command its own.
    let goes_to_two = |command: &Recorded<'_>| topology.goes_to_two(command.spec);
    if topology.on_down.is_careful() && (is_any_away || commands.iter().any(goes_to_two)) {
        return ring.run_each_by_itself(commands, answered).await;
    }
    let (mut rest, mut lost) = (commands, Lost::default());
    while !rest.is_empty() {
        let nodes = &*topology.nodes.until(ring.by());
        let (mut wave, places, others) = gather(&topology, nodes, rest);
        wave.send(&mut lost, |idx| Cow::Borrowed(nodes.at(idx))).await;
        let others = others.into_iter().map(|waiting| Some(waiting.answer(nodes, &mut wave))).collect();
        let n_answered = places.len();
        answered(answers(wave, places, others, rest));
        rest = rest.get(n_answered..).unwrap_or_default();
    }
}

/// Puts as many commands into a wave as go out at a time. Returns the place of the answer to each, and the commands that are not
/// answered by one reply.
fn gather<'n, 'a>(
    topology: &RingTopology,
    nodes: &'n Nodes,
    commands: &'a [Recorded<'a>],
) -> (Wave<'n, 'a>, Vec<Place>, Vec<Waiting<'a>>) {
    let room = (commands.len() / nodes.len() * 5 / 4 + 4).min(Batch::MOST_COMMANDS);
    let mut wave = Wave::new(nodes, room);
    let mut places = Vec::with_capacity(commands.len().min(room * nodes.len()));
    let mut others = Vec::new();
    for command in commands {
        places.push(match plan(topology, command, &mut wave) {
            Ok(at) => Place::Reply(at),
            Err(waiting) => {
                others.push(waiting);
                Place::Other(others.len() - 1)
            }
        });
        if wave.is_full() {
            break;
        }
    }
    (wave, places, others)
}

/// Decides where a command goes, and puts it, or its parts, into the wave. Returns the place of its reply, if it is one.
fn plan<'a>(
    topology: &RingTopology,
    command: &'a Recorded<'a>,
    wave: &mut Wave<'_, 'a>,
) -> Result<At, Waiting<'a>> {
    let (spec, words) = (command.spec, &command.words);
    if command.needs_dedicated().is_none()
        && let Some(owner) = topology.fast_owner(spec, || command.first_key().ok()?)
    {
        return Ok(wave.put(owner, words.clone()));
    }
    let cmd = &*command.cmd();
    match topology.route(spec, cmd, Context::Pipeline).map_err(Waiting::Nothing)? {
        Plan::One(owner) => Ok(wave.put(owner, words.clone())),
        Plan::Any => {
            let up = topology.nodes.iter().position(|node| node.is_connected()).unwrap_or(0);
            Ok(wave.put(up, words.clone()))
        }
        plan => {
            let mut at = Vec::new();
            let put = |node, _: &Spec, cmd| at.push(wave.put(node, cmd));
            let gathering = topology.nodes.scatter(spec, cmd, plan, put).map_err(Waiting::Nothing)?;
            Err(Waiting::Several(command, gathering, at))
        }
    }
}

impl Waiting<'_> {
    fn answer(self, nodes: &Nodes, wave: &mut Wave<'_, '_>) -> Result<NodesReply, Error> {
        match self {
            Self::Nothing(error) => Err(error),
            Self::Several(command, gathering, at) => {
                let replies = at.into_iter().map(|at| wave.take(at, command.spec)).collect();
                nodes.gather(command.spec, &command.cmd(), gathering, replies)
            }
        }
    }
}

/// Returns the answers to a wave. The replies stay where they are; the errors among them are put to the others.
fn answers(
    mut wave: Wave<'_, '_>,
    mut places: Vec<Place>,
    mut others: Vec<Option<Result<NodesReply, Error>>>,
    commands: &[Recorded<'_>],
) -> PipelineAnswers {
    let in_doubt = if wave.is_whole() { &mut [] } else { places.as_mut_slice() };
    for (place, command) in in_doubt.iter_mut().zip(commands) {
        if let Place::Reply(at) = *place
            && !wave.has_reply(at)
        {
            let error = wave.take(at, command.spec).err();
            others.push(error.map(|error| Err(on_owner(command.spec, &command.cmd(), error))));
            *place = Place::Other(others.len() - 1);
        }
    }
    PipelineAnswers { places, replies: wave.into_replies(), others }
}

impl SendMany for RedisRing {
    type Reply = NodesReply;
    type Answers = PipelineAnswers;

    const TAKES_PACKED: bool = true;

    async fn send_many(&self, commands: &[Recorded<'_>], answered: impl FnMut(PipelineAnswers) + Send) {
        run_all(&self.engine, commands, answered).await;
    }

    async fn send_atomic(&self, commands: &[Recorded<'_>]) -> PipelineAnswers {
        let topology = self.engine.topology();
        let cmds = cmds_of(commands);
        let block = cmds.iter().map(|(spec, cmd)| (*spec, cmd.as_ref()));
        let owner = match topology.route_together(block, Context::Block) {
            Ok(owner) => owner,
            Err(error) => return PipelineAnswers::refused(commands.len(), &error),
        };
        let nodes = topology.nodes.until(self.engine.by());
        let outcomes = match self.engine.ready(&topology, owner, "MULTI").await {
            Ok(()) => nodes.at(owner).send_block(commands).await,
            Err(error) => commands.iter().map(|_| Err(error.clone())).collect(),
        };
        let named = commands.iter().zip(outcomes).map(|(command, reply)| match reply {
            Ok(value) => Ok(NodesReply::One(Arc::clone(nodes.name(owner)), value)),
            Err(error) => Err(on_owner(command.spec, &command.cmd(), error)),
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

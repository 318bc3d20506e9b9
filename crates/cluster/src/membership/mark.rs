//! Marking: servers are given the marker of their node, as the processes that they are now.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use futures_util::future::join_all;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::command::rows;

use crate::anti_entropy::value;
use crate::engine::copy::CopyEngine;
use crate::engine::copy::topology::CopyTopology;
use crate::engine::deadline::Budget;
use crate::error::Error;
use crate::membership::look::Found;
use crate::membership::marker::Data;
use crate::membership::marker::Marker;
use crate::membership::marker::Stage;

/// Writes the first line of a marker and keeps the others that are there. Its arguments are that line, and all lines: these are
/// written where no marker is.
const WRITE: &str = "\
local marker = redis.pcall('GET', KEYS[1])
local text = ARGV[2]
if type(marker) == 'string' then text = ARGV[1] .. (string.match(marker, '\\n.*') or '') end
return redis.call('SET', KEYS[1], text)";

impl CopyEngine {
    /// Marks servers, as the processes that they are now: from then on they are the nodes', and are written to.
    pub(crate) async fn mark(
        &self,
        nodes: impl IntoIterator<Item = usize>,
        stage: Stage,
    ) -> Result<(), Error> {
        let Some(key) = self.topology.marker_key() else { return Ok(()) };
        if stage == Stage::Ready {
            // Whoever reads the mark must find what is still to be brought over.
            self.give_hints(&Budget::new(None, 1)).boxed().await;
        }
        let marks = nodes.into_iter().map(async |idx| {
            let look = self.look(idx).await;
            let node = self.topology.process(idx, look.incarnation);
            let epoch = self.topology.lasting.beat.lock().newest();
            let marked = if let Found::Marked(marker, _) = &look.found { marker.generation } else { 0 };
            let known = self.topology.nodes.member(idx).generation().unwrap_or(0).max(marked);
            // One that is marked as whole already has not been made whole once more.
            let is_whole = look.is_marked == Some(true)
                && matches!(&look.found, Found::Marked(marker, _) if marker.is_ready());
            let generation = if stage == Stage::Ready && !is_whole { known.saturating_add(1) } else { known };
            let void = self.topology.nodes.member(idx).marked().lock().void.clone();
            let marker = Marker::new(node.name(), stage, epoch, look.process_to_mark());
            let had_lost = look.data() != Data::Kept;
            let holds =
                if let Found::Marked(marker, _) = look.found { marker.holds } else { BTreeSet::new() };
            let forgotten = self.topology.lasting.forgotten.names();
            let marker =
                marker.of_generation(generation).voiding(&void).holding(holds).forgetting(&forgotten);
            let marker = marker.after_loss(stage == Stage::Syncing && had_lost);
            self.topology.write_marker(&node, &key, &marker).await?;
            self.topology.nodes.member(idx).remember(&marker);
            self.topology.nodes.member(idx).hints().fence().admit(look.incarnation);
            self.topology.tell_shadow(idx, Some(marker.standing()));
            Ok::<_, node::Error>(())
        });
        for marked in join_all(marks).await {
            marked?;
        }
        Ok(())
    }
}

impl CopyTopology {
    /// Writes the marker of a server, whatever it is now. The lines that say about which nodes the server holds hints stay as they are
    /// there: others may have added some since the marker was read. Where the user may run no script, the marker is written as a whole.
    async fn write_marker(&self, node: &Node, key: &str, marker: &Marker) -> Result<(), node::Error> {
        let mut write = redis::cmd("EVAL");
        write.arg(WRITE).arg(1).arg(key).arg(marker.first_line()).arg(marker.text());
        match node.send(&write).await {
            Err(error) if value::is_denied(&error) || value::is_denied_in_script(&error) => {
                self.tell_refused(&error, Some(key.as_bytes()));
                node.send(rows::SET.cmd().arg(key).arg(marker.text())).await.map(drop)
            }
            written => written.map(drop),
        }
    }
}

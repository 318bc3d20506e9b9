//! `cargo xtask bench scale`: how what a ring does grows with the number of its nodes.

use std::fmt::Write as _;
use std::process::ExitCode;

use xtask::Servers;

use super::client::Program;
use super::report;
use crate::Result;

const NODES: [usize; 3] = [3, 10, 100];
const KEYS: u64 = 1_000_000;
/// What each number of nodes is measured so often; the fastest run counts, for the servers share the processors.
const ROUNDS: usize = 3;

/// One step with each number of nodes.
struct Step {
    name: String,
    /// Milliseconds, and KiB after it.
    runs: Vec<(f64, f64)>,
}

pub(crate) fn run(quick: bool) -> Result<ExitCode> {
    let rounds = if quick { 1 } else { ROUNDS };
    let program = Program::build(false)?;
    let most = NODES.iter().max().copied().unwrap_or(0);
    // One more, which joins a ring and leaves it again.
    let servers = Servers::start(most + 1)?;
    let urls = servers.urls();
    let mut steps: Vec<Step> = Vec::new();
    for nodes in NODES {
        let mut best: Vec<(String, f64, f64)> = Vec::new();
        for _ in 0..rounds {
            let measured = program.scale(urls.get(..=nodes).unwrap_or(&urls), KEYS)?;
            if best.is_empty() {
                best = measured;
            } else {
                for (best, (_, millis, kib)) in best.iter_mut().zip(measured) {
                    *best = (best.0.clone(), best.1.min(millis), best.2.min(kib));
                }
            }
        }
        eprintln!("{nodes} nodes: {best:.1?}");
        for (idx, (name, millis, kib)) in best.into_iter().enumerate() {
            match steps.get_mut(idx) {
                Some(step) => step.runs.push((millis, kib)),
                None => steps.push(Step { name, runs: vec![(millis, kib)] }),
            }
        }
    }
    let text = format!(
        "# Scale\n\nA ring of {KEYS} keys with values of 64 bytes, all servers and the client on one machine; the best of \
         {rounds} runs; {}. Memory is that of the client after the step.\n\n{}",
        report::machine(),
        table(&steps)?
    );
    println!("{text}");
    let table = report::write("scale.md", &text)?;
    let chart = report::write("scale.svg", &chart(&steps)?)?;
    println!("written to {} and {}", table.display(), chart.display());
    Ok(ExitCode::SUCCESS)
}

fn table(steps: &[Step]) -> Result<String> {
    let mut table = String::from("| step |");
    for nodes in NODES {
        write!(table, " {nodes} nodes |")?;
    }
    table.push_str(" grows by |\n|---|--:|--:|--:|--:|\n");
    for Step { name, runs } in steps.iter().filter(|step| step.name != "start") {
        write!(table, "| {name} |")?;
        for (millis, kib) in runs {
            write!(table, " {millis:.1} ms, {:.1} MiB |", kib / 1024.0)?;
        }
        let (first, last) =
            (runs.first().map_or(f64::NAN, |run| run.0), runs.last().map_or(f64::NAN, |run| run.0));
        writeln!(table, " {:.2} |", last / first)?;
    }
    Ok(table)
}

/// Bars of time, each step in proportion to its own longest.
fn chart(steps: &[Step]) -> Result<String> {
    const ROW: usize = 18;
    let rows: usize = steps.iter().map(|step| step.runs.len() + 2).sum();
    let mut svg = report::svg(900, (rows + 1) * ROW)?;
    let mut y = ROW;
    for Step { name, runs } in steps.iter().filter(|step| step.name != "start") {
        writeln!(svg, "<text x=\"10\" y=\"{y}\" font-weight=\"bold\">{name}</text>")?;
        y += ROW;
        let longest = runs.iter().map(|run| run.0).fold(0.0, f64::max);
        for (nodes, (millis, _)) in NODES.iter().zip(runs) {
            let bar = report::Bar {
                label: &format!("{nodes} nodes"),
                share: millis / longest,
                value: &format!("{millis:.1} ms"),
                color: "#c33",
            };
            svg.push_str(&bar.draw(y));
            y += ROW;
        }
        y += ROW;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

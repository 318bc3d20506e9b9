//! `cargo xtask bench compare`: the clients that a Rust program could use, taking turns at the same work.
//!
//! Whatever else the machine does hits all of them: each round lets every client work for a moment, and what counts
//! is the median of the rounds and the ratio to redis-rs in the same table.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use xtask::Servers;

use super::client::{Measured, Program, Task};
use super::report;
use crate::Result;

/// A piece of work with all who do it; the first is what the others are compared with.
struct Contest {
    work: &'static str,
    tasks: usize,
    size: usize,
    multi: bool,
    servers: usize,
    clients: &'static [&'static str],
    quick: bool,
}

const CALLS: &[&str] = &["redis", "ring", "rustis", "fred"];
const AND_FLOOR: &[&str] = &["redis", "ring", "rustis", "fred", "deadpool", "floor"];
const ONE: &[&str] = &["redis", "node", "floor"];
const COPIES: &[&str] = &["redis-copy", "copy", "floor-copy"];
const CACHES: &[&str] = &["redis", "cache"];

/// Everything that is compared, the quick ones first.
fn contests() -> Vec<Contest> {
    let contest = |work, tasks, servers, clients, quick| Contest {
        work,
        tasks,
        size: 64,
        multi: false,
        servers,
        clients,
        quick,
    };
    let mut contests = vec![
        contest("get", 64, 3, AND_FLOOR, true),
        contest("set", 64, 3, AND_FLOOR, true),
        contest("get", 1, 3, AND_FLOOR, true),
        contest("mget", 4, 3, CALLS, true),
        contest("pipeline", 4, 3, CALLS, true),
        contest("set", 64, 3, COPIES, true),
        contest("set", 1, 3, COPIES, true),
        contest("get", 64, 1, ONE, true),
        contest("get", 1, 1, ONE, true),
        contest("get", 64, 3, CACHES, false),
        contest("set", 64, 3, CACHES, false),
        contest("mget", 4, 3, CACHES, false),
        contest("mix", 1, 3, CALLS, false),
        contest("mget", 1, 3, CALLS, false),
    ];
    for tasks in [16, 64, 256] {
        contests.push(contest("mix", tasks, 3, CALLS, false));
    }
    for servers in [1, 2, 5] {
        contests.push(contest("set", 64, servers, COPIES, false));
    }
    let calls = ["get", "set"].into_iter().flat_map(|work| [16, 64, 256].map(|tasks| (work, tasks)));
    for (work, tasks) in calls {
        for (size, multi) in [(64, false), (64, true), (4096, false), (4096, true)] {
            // That one is among the quick ones.
            if (tasks, size, multi) != (64, 64, false) {
                contests.push(Contest { size, multi, ..contest(work, tasks, 3, CALLS, false) });
            }
        }
    }
    for work in ["mget", "pipeline"] {
        contests.push(Contest { multi: true, ..contest(work, 4, 3, CALLS, false) });
    }
    contests
}

/// The result of one client.
struct Line {
    client: &'static str,
    per_second: Vec<f64>,
    cpu_micros: Vec<f64>,
    median_micros: Vec<f64>,
}

pub(crate) fn run(quick: bool) -> Result<ExitCode> {
    let (rounds, time) =
        if quick { (7, Duration::from_millis(300)) } else { (9, Duration::from_millis(400)) };
    let program = Program::build(true)?;
    let servers = Servers::start(5)?;
    let urls = servers.urls();
    let mut contests: Vec<Contest> =
        contests().into_iter().filter(|contest| contest.quick || !quick).collect();
    // Values of one size are read before the servers are filled with those of another.
    contests.sort_by_key(|contest| contest.size);
    let mut filled = 0;
    let mut text = format!(
        "# Clients compared\n\nMedians of {rounds} rounds of {} ms in which the clients took turns, with the lowest \
         and the highest; 100,000 keys; {}. Ratios are to redis-rs, which is sharded by hand, as are all but ours.\n",
        time.as_millis(),
        report::machine()
    );
    let mut charts = Vec::new();
    for contest in &contests {
        if filled != contest.size {
            program.fill(&urls, contest.size)?;
            filled = contest.size;
        }
        let lines = compete(&program, contest, &urls, rounds, time)?;
        let title = title(contest);
        let table = table(&lines)?;
        println!("\n{title}\n{table}");
        write!(text, "\n## {title}\n\n{table}")?;
        charts.push((title, lines));
    }
    let table = report::write("compare.md", &text)?;
    let chart = report::write("compare.svg", &chart(&charts)?)?;
    println!("written to {} and {}", table.display(), chart.display());
    Ok(ExitCode::SUCCESS)
}

fn compete(
    program: &Program,
    contest: &Contest,
    urls: &[String],
    rounds: usize,
    time: Duration,
) -> Result<Vec<Line>> {
    let line = |client: &&'static str| Line {
        client,
        per_second: Vec::new(),
        cpu_micros: Vec::new(),
        median_micros: Vec::new(),
    };
    let mut lines: Vec<Line> = contest.clients.iter().map(line).collect();
    for _ in 0..rounds {
        for line in &mut lines {
            let Contest { work, tasks, size, multi, servers, .. } = *contest;
            let task = Task { client: line.client, work, tasks, size, multi };
            let Measured { operations, wall, cpu, median } =
                program.measure(&task, urls.get(..servers).unwrap_or(urls), time)?;
            line.per_second.push(operations / wall.as_secs_f64());
            line.cpu_micros.push(cpu.as_secs_f64() * 1e6 / operations);
            line.median_micros.push(median.as_secs_f64() * 1e6);
        }
    }
    for line in &mut lines {
        for values in [&mut line.per_second, &mut line.cpu_micros, &mut line.median_micros] {
            values.sort_by(f64::total_cmp);
        }
    }
    Ok(lines)
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn title(contest: &Contest) -> String {
    let Contest { work, tasks, size, multi, servers, clients, .. } = contest;
    let what = match *work {
        "mget" => "MGET of 100",
        "pipeline" => "pipeline of 100 GET",
        "mix" => "7 GET to 3 SET",
        "get" => "GET",
        _ => "SET",
    };
    let copied = if clients.contains(&"copy") { ", copied to all" } else { "" };
    let runtime = if *multi { "multi_thread" } else { "current_thread" };
    format!("{what}, {tasks} tasks, {servers} servers{copied}, {size} B, {runtime}")
}

fn table(lines: &[Line]) -> Result<String> {
    let mut table = String::from(
        "| client | operations/s | ratio | client CPU, us | ratio | p50, us | ratio |\n|---|--:|--:|--:|--:|--:|--:|\n",
    );
    let Some(first) = lines.first() else { return Ok(table) };
    for line in lines {
        let ratio = |of: fn(&Line) -> &Vec<f64>| median(of(line)) / median(of(first));
        let spread = |values: &[f64]| {
            (values.first().copied().unwrap_or(f64::NAN), values.last().copied().unwrap_or(f64::NAN))
        };
        let (least, most) = spread(&line.per_second);
        writeln!(
            table,
            "| {} | {:.0} ({least:.0} - {most:.0}) | {:.2} | {:.2} | {:.2} | {:.0} | {:.2} |",
            name(line.client),
            median(&line.per_second),
            ratio(|line| &line.per_second),
            median(&line.cpu_micros),
            ratio(|line| &line.cpu_micros),
            median(&line.median_micros),
            ratio(|line| &line.median_micros),
        )?;
    }
    Ok(table)
}

fn name(client: &str) -> &str {
    match client {
        "redis" => "redis-rs, multiplexed",
        "redis-copy" => "redis-rs, multiplexed, `join_all`",
        "ring" => "**RedisRing**",
        "copy" => "**RedisCopy**",
        "node" => "**Node**",
        "cache" => "**Cache** on a RedisRing",
        "deadpool" => "deadpool-redis, 16 each",
        "floor" => "the floor: a loop without a client",
        "floor-copy" => "the floor, to all",
        other => other,
    }
}

/// Bars of client CPU for each operation: shorter is better.
fn chart(charts: &[(String, Vec<Line>)]) -> Result<String> {
    const ROW: usize = 18;
    let rows: usize = charts.iter().map(|(_, lines)| lines.len() + 2).sum();
    let mut svg = report::svg(900, (rows + 1) * ROW)?;
    let mut y = ROW;
    for (title, lines) in charts {
        writeln!(
            svg,
            "<text x=\"10\" y=\"{y}\" font-weight=\"bold\">{title}: client CPU per operation</text>"
        )?;
        y += ROW;
        let longest = lines.iter().map(|line| median(&line.cpu_micros)).fold(0.0, f64::max);
        for line in lines {
            let cpu = median(&line.cpu_micros);
            let color = if line.client.starts_with("redis") { "#888" } else { "#bbb" };
            let color = if name(line.client).starts_with("**") { "#c33" } else { color };
            let bar = report::Bar {
                label: &name(line.client).replace(['*', '`'], ""),
                share: cpu / longest,
                value: &format!("{cpu:.2} us"),
                color,
            };
            svg.push_str(&bar.draw(y));
            y += ROW;
        }
        y += ROW;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

//! Draws a ring: who owns which part of the circle, how large the shares are, and what moves when a node is added.
//!
//! ```sh
//! cargo run -p redisdb-hashring --example picture -- a b c:2        # writes ring.svg
//! cargo run -p redisdb-hashring --example picture -- --out x.svg a b c:2
//! ```
#![expect(clippy::print_stdout, reason = "it tells what it wrote")]

use std::{env, error::Error, f64::consts::TAU, fs};

use redisdb_hashring::{HashRing, Member, Moved, RingConfig};

/// Slices of the circle that are drawn; the real cells are 256 times as many.
const SLICES: u64 = 1024;
const ROW: f64 = 30.0;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = "ring.svg".to_owned();
    let mut nodes = Vec::new();
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--out" {
            out = args.next().ok_or("--out needs the name of a file")?;
        } else {
            nodes.push(node(&arg)?);
        }
    }
    if nodes.is_empty() {
        nodes = ["a", "b", "c:2"].into_iter().map(node).collect::<Result<_, _>>()?;
    }

    let ring = ring(&nodes)?;
    let added = name_for_new(&ring);
    nodes.push(Member::new(&*added));
    let moved = ring.moved(&self::ring(&nodes)?);
    fs::write(&out, draw(&ring, &added, &moved))?;
    println!("{out}: {} nodes, fingerprint {:016x}", ring.len(), ring.fingerprint());
    Ok(())
}

/// `name` or `name:weight`. What follows the last colon is a weight only if it is a number below 1024, so
/// that addresses with a port can be given as they are.
fn node(arg: &str) -> Result<Member, Box<dyn Error>> {
    if let Some((name, weight)) = arg.rsplit_once(':')
        && let Ok(weight) = weight.parse::<f64>()
        && weight < 1024.0
    {
        return Ok(Member::new(name).weight(weight));
    }
    Ok(Member::new(arg))
}

fn ring(nodes: &[Member]) -> Result<HashRing, Box<dyn Error>> {
    let mut config = RingConfig::default();
    config.nodes = nodes.to_vec();
    Ok(config.build()?)
}

fn name_for_new(ring: &HashRing) -> String {
    let mut name = "new".to_owned();
    while ring.names().any(|taken| taken == name) {
        name.push('\'');
    }
    name
}

fn draw(ring: &HashRing, added: &str, moved: &Moved) -> String {
    let height = (150.0 + ROW * (ring.len() + 1) as f64).max(460.0);
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="960" height="{height}" viewBox="0 0 960 {height}" font-family="sans-serif" font-size="14">
<rect width="960" height="{height}" fill="#ffffff"/>
<text x="30" y="36" font-size="20">A ring of {} nodes</text>
<text x="30" y="58" fill="#666666">fingerprint {:016x}</text>
"##,
        ring.len(),
        ring.fingerprint()
    );
    svg += &circle(ring);
    svg += &bars(ring, added, moved);
    svg + "</svg>\n"
}

/// The circle, each slice in the color of the node that owns its first hash.
fn circle(ring: &HashRing) -> String {
    let (x, y) = (215.0, 260.0);
    let at = |slice: u64, radius: f64| {
        let angle = TAU * slice as f64 / SLICES as f64;
        format!("{:.2} {:.2}", x + radius * angle.sin(), y - radius * angle.cos())
    };
    let mut svg = String::new();
    for slice in 0..SLICES {
        let color = color(ring.lookup_hash(slice * (u64::MAX / SLICES + 1)), ring.len());
        svg += &format!(
            r#"<path d="M{} A170 170 0 0 1 {} L{} A110 110 0 0 0 {} Z" fill="{color}"/>"#,
            at(slice, 170.0),
            at(slice + 1, 170.0),
            at(slice + 1, 110.0),
            at(slice, 110.0)
        );
        svg.push('\n');
    }
    svg + &format!(
        r##"<text x="{x}" y="{y}" text-anchor="middle" fill="#666666">2^64 hashes</text>
<text x="{x}" y="{}" text-anchor="middle" fill="#666666" font-size="12">{SLICES} samples</text>
"##,
        y + 20.0
    )
}

/// A bar for each node: what it owns, the part that the new node would take, and where its weight says it should end.
fn bars(ring: &HashRing, added: &str, moved: &Moved) -> String {
    let (left, width) = (570.0, 280.0);
    let shares = ring.shares();
    let widest = shares.iter().copied().fold(moved.total, f64::max);
    let total: f64 = (0..ring.len()).map(|node| ring.weight(node)).sum();
    let mut svg = format!(
        r##"<text x="440" y="36" font-size="20">Shares of the keys</text>
<text x="440" y="58" fill="#666666">pale: what moves when {} is added; line: what the weights say</text>
"##,
        text(added)
    );
    let mut y = 80.0;
    let mut row = |name: &str, share: f64, gone: f64, fair: Option<f64>, color: &str| {
        let scale = |share: f64| width * share / widest;
        svg += &format!(
            r#"<text x="{}" y="{}" text-anchor="end">{}</text>
<rect x="{left}" y="{y}" width="{:.2}" height="20" fill="{color}"/>
<rect x="{:.2}" y="{y}" width="{:.2}" height="20" fill="{color}" fill-opacity="0.35"/>
<text x="{:.2}" y="{}">{:.2} %</text>
"#,
            left - 10.0,
            y + 15.0,
            text(name),
            scale(share - gone),
            left + scale(share - gone),
            scale(gone),
            left + scale(share) + 8.0,
            y + 15.0,
            share * 100.0
        );
        if let Some(fair) = fair {
            let x = left + scale(fair);
            svg += &format!(
                r##"<path d="M{x:.2} {} V{}" stroke="#000000" stroke-width="1.5"/>
"##,
                y - 3.0,
                y + 23.0
            );
        }
        y += ROW;
    };
    for (node, &share) in shares.iter().enumerate() {
        let name = ring.name(node);
        let gone = moved.flows.iter().filter(|flow| flow.from == name).map(|flow| flow.share).sum();
        row(name, share, gone, Some(ring.weight(node) / total), &color(node, ring.len()));
    }
    row(added, moved.total, moved.total, None, "#444444");
    svg
}

fn color(node: usize, n_nodes: usize) -> String {
    format!("hsl({:.0} 65% {}%)", 360.0 * node as f64 / n_nodes as f64, 45 + 12 * (node % 2))
}

/// Some text as XML, cut to what fits.
fn text(text: &str) -> String {
    let short: String = text.chars().take(16).filter(|c| !c.is_control()).collect();
    let short = if text.chars().nth(16).is_some() { short + "…" } else { short };
    short.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

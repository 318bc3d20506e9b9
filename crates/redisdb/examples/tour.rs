//! A tour of a ring and a copy, on real servers and real data: the packages that `Cargo.lock` names.
//!
//! `cargo xtask demo` starts the servers and runs it. On servers of your own, which it empties, it is
//! `REDISDB_RING=url,url,url REDISDB_COPY=url,url,url cargo run -p redisdb --example tour`; without
//! `REDISDB_CONTROL`, the address of somebody who kills and restarts them on request, nothing dies.

#![expect(clippy::print_stdout, reason = "it is there to be read")]

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::env;
use std::error::Error;
use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::IsTerminal;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::TryStreamExt;
use futures_util::stream;
use redisdb::Execute;
use redisdb::Health;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::commands::HashCommands;
use redisdb::commands::ServerCommands;
use redisdb::commands::SetCommands;
use redisdb::commands::SortedSetCommands;
use redisdb::commands::StringCommands;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Commands under way at one time while loading.
const CONCURRENT: usize = 64;
/// The sorted set of all packages by the number of packages that depend on them.
const POPULAR: &str = "packages:by-dependents";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    let (Some(ring_urls), Some(copy_urls)) = (urls("REDISDB_RING"), urls("REDISDB_COPY")) else {
        return Err(
            "no servers to run on: start it by `cargo xtask demo`, or set REDISDB_RING and REDISDB_COPY"
                .into(),
        );
    };
    let mut control =
        env::var("REDISDB_CONTROL").ok().map(|address| Control::connect(&address)).transpose()?;
    let packages = packages()?;

    title("A ring: each key on one of the servers");
    let ring = named(&ring_urls).fold(RedisRing::builder(), |ring, (name, url)| ring.node(name, url));
    let ring = ring.connect().await?;
    ring.flushdb().await?;
    load("into the ring", &ring, &packages).await?;
    show_placement(&ring).await?;
    read_from_ring(&ring).await?;
    let names = read_many(&ring, &packages).await?;

    title("A copy: every key on each of the servers");
    let copy = named(&copy_urls).fold(RedisCopy::builder(), |copy, (name, url)| copy.node(name, url));
    let copy = copy.connect().await?;
    _ = copy.flushdb().await?;
    load("into the copy", &copy, &packages).await?;
    read_from_copy(&copy).await?;

    match &mut control {
        None => {
            println!("\nNobody to ask for a server's death (REDISDB_CONTROL is not set): the tour ends here.")
        }
        Some(control) => {
            lose_a_ring_node(&ring, &names, control).await?;
            lose_a_copy_node(&copy, &names, control).await?;
        }
    }

    title("Where to read next");
    println!("  README.md               which crate you need, and when Redis Cluster is the better choice");
    println!("  docs/architecture.md    how a command finds its way");
    println!("  docs/commands.md        what each command does on a ring and on a copy");
    println!("  cargo xtask cluster up  servers of your own to play with, and a configuration file for them");
    Ok(())
}

/// A package of `Cargo.lock`.
struct Package {
    name: String,
    fields: Vec<(&'static str, String)>,
    dependents: BTreeSet<String>,
}

/// Reads the workspace's own lock file.
fn packages() -> Result<Vec<Package>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
    let lock: toml::Table = fs::read_to_string(path)?.parse()?;
    let locked = lock.get("package").and_then(toml::Value::as_array).ok_or("Cargo.lock names no packages")?;
    let mut dependents: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for package in locked {
        let name = text(package, "name").to_owned();
        for dependency in package.get("dependencies").and_then(toml::Value::as_array).into_iter().flatten() {
            // "name" or, where there are several versions, "name version".
            let on = dependency.as_str().and_then(|on| on.split(' ').next()).unwrap_or_default();
            dependents.entry(on).or_default().insert(name.clone());
        }
    }
    let package = |package| {
        let name = text(package, "name");
        let fields = ["name", "version", "source", "checksum"]
            .map(|field| (field, text(package, field).to_owned()))
            .into_iter()
            .filter(|(_, value)| !value.is_empty());
        let dependents = dependents.get(name).cloned().unwrap_or_default();
        Package { name: name.to_owned(), fields: fields.collect(), dependents }
    };
    let mut packages: Vec<Package> = locked.iter().map(package).collect();
    // Of a package with several versions one is enough: two writes of a key at once may leave the nodes of a copy different.
    packages.dedup_by(|a, b| a.name == b.name);
    Ok(packages)
}

fn text<'a>(package: &'a toml::Value, field: &str) -> &'a str {
    package.get(field).and_then(toml::Value::as_str).unwrap_or_default()
}

/// Writes every package: a hash, a set of its dependents, its version as a string, and its place among all.
///
/// The same code for a ring and a copy: both are something that commands run on.
async fn load<E: Execute>(what: &str, store: &E, packages: &[Package]) -> Result {
    let mut progress = Progress::new(what, packages.len() * 4);
    let each_package = packages.iter().map(|package| async move {
        let Package { name, fields, dependents } = package;
        let version = fields.iter().find(|(field, _)| *field == "version").map_or("", |(_, version)| version);
        store
            .hset_multiple(format!("package:{name}"), fields.iter().map(|(field, value)| (*field, value)))
            .await?;
        store.set(format!("version:{name}"), version).await?;
        if !dependents.is_empty() {
            let names: Vec<&str> = dependents.iter().map(String::as_str).collect();
            store.sadd(format!("dependents:{name}"), names).await?;
        }
        store.zadd(POPULAR, [(dependents.len() as f64, name)]).await?;
        Ok::<usize, E::Error>(if dependents.is_empty() { 3 } else { 4 })
    });
    let mut loading = stream::iter(each_package).buffer_unordered(CONCURRENT);
    while let Some(commands) = loading.try_next().await? {
        progress.add(commands);
    }
    progress.finish();
    Ok(())
}

async fn show_placement(ring: &RedisRing) -> Result {
    let shares = ring.placement().shares();
    for (node, share) in ring.nodes().zip(shares) {
        let keys = node.dbsize().await?;
        let bar = "█".repeat((share * 60.0).round() as usize);
        println!(
            "  {:<8} {bar:<24} {:5.1} % of all possible keys, {keys} of these",
            node.name(),
            share * 100.0
        );
    }
    println!(
        "  a key's owner follows from the nodes' names and the key alone: no server is asked where it is\n"
    );
    Ok(())
}

async fn read_from_ring(ring: &RedisRing) -> Result {
    let at = |key: &str| ring.node_for(key).name().to_owned();
    let version = ring.get::<String>("version:redis").await?.unwrap_or_default();
    println!("  get version:redis        = {version:<24} from {}", at("version:redis"));
    let tokio = ring.hgetall::<String, String>("package:tokio").await?;
    let fields: BTreeMap<_, _> =
        tokio.iter().map(|(field, value)| (field.as_str(), shortened(value))).collect();
    println!("  hgetall package:tokio    = {fields:?} from {}", at("package:tokio"));
    println!("  zrevrange of the 5 packages that most depend on, from {}:", at(POPULAR));
    let popular = ring.zrevrange_withscores::<String>(POPULAR, 0, 4).await?;
    for (name, dependents) in popular {
        println!("      {name:<24} {} {dependents}", "▪".repeat(dependents as usize));
    }
    Ok(())
}

/// Asks for 100 keys at once, and returns the names of their packages.
async fn read_many(ring: &RedisRing, packages: &[Package]) -> Result<Vec<String>> {
    let names: Vec<String> = packages.iter().map(|package| package.name.clone()).take(100).collect();
    let keys = versions(&names);
    let start = Instant::now();
    let found = ring.mget::<String>(&keys).await?;
    let took = start.elapsed();
    println!(
        "  mget of {} keys          = {} found, in {took:.1?}",
        keys.len(),
        found.iter().flatten().count()
    );
    println!("      {}", ring.explain(redis::cmd("MGET").arg(&keys)));
    let refused = ring.explain(redis::cmd("RENAME").arg("version:redis").arg("version:tokio"));
    println!("  what cannot be done right is not done: {refused}");
    Ok(names)
}

fn versions(names: &[String]) -> Vec<String> {
    names.iter().map(|name| format!("version:{name}")).collect()
}

async fn read_from_copy(copy: &RedisCopy) -> Result {
    println!("  set greeting hello: what each server said");
    for (node, outcome) in copy.set("greeting", "hello").await?.iter() {
        println!("      {node:<8} {outcome:?}");
    }
    println!("  get version:redis, asked of each server by itself");
    let replies = copy.on_each(|node| async move { node.get::<String>("version:redis").await }).await;
    for (node, outcome) in replies.iter() {
        println!("      {node:<8} {outcome:?}");
    }
    println!("      they {}", if replies.agreed() { "agree" } else { "differ" });
    let top = copy.zrevrange_withscores::<String>(POPULAR, 0, 0).await?;
    println!(
        "  zrevrange, from one server that the key chooses ({}): {top:?}",
        copy.node_for(POPULAR).name()
    );
    let fields = copy.hgetall::<String, String>("package:tokio").await?;
    println!(
        "  hgetall package:tokio, from {}: {} fields",
        copy.node_for("package:tokio").name(),
        fields.len()
    );
    Ok(())
}

async fn lose_a_ring_node(ring: &RedisRing, names: &[String], control: &mut Control) -> Result {
    title("A server of the ring dies (kill -9)");
    let lost = ring.nodes().nth(1).map(|node| node.name().to_owned()).unwrap_or_default();
    control.order("kill ring 1")?;
    let keys = versions(names);
    let (mut answered, mut errors) = (0, Vec::new());
    for key in &keys {
        match ring.get::<String>(key).await {
            Ok(_) => answered += 1,
            Err(error) => errors.push(error),
        }
    }
    println!(
        "  {} keys asked for one by one: {answered} answered, {} not, all of them {lost}'s",
        keys.len(),
        errors.len()
    );
    if let Some(error) = errors.last() {
        println!("  the error of one of them:\n      {error}");
        println!(
            "      is_connect: {}, may_have_executed: {}",
            error.is_connect(),
            error.may_have_executed()
        );
    }
    if let Err(error) = ring.mget::<String>(&keys).await {
        println!("  the same keys in one mget:\n      {error}");
    }
    control.order("restart ring 1 keep")?;
    wait("it is back", async || ring.mget::<String>(&keys).await.is_ok()).await?;
    println!("  restarted with its data: the mget finds all {} keys again", keys.len());
    Ok(())
}

async fn lose_a_copy_node(copy: &RedisCopy, names: &[String], control: &mut Control) -> Result {
    title("A server of the copy dies (kill -9)");
    control.order("kill copy 0")?;
    let keys = versions(names);
    let mut answered = 0;
    for key in &keys {
        answered += usize::from(copy.get::<String>(key).await?.is_some());
    }
    println!("  {answered} of {} keys answered: the next server takes over", keys.len());
    println!("  a write meanwhile:");
    for (node, outcome) in copy.set("greeting", "hello again").await?.iter() {
        match outcome.error() {
            Some(error) => println!("      {node:<8} {error}"),
            None => println!("      {node:<8} {outcome:?}"),
        }
    }
    control.order("restart copy 0 lose")?;
    let first = copy.nodes().next().ok_or("a copy has nodes")?;
    wait("it is back", async || first.ready().await.is_ok()).await?;
    println!("  it comes back empty, and is not believed:");
    show_health(copy);
    let greeting = copy.get::<String>("greeting").await?;
    println!("      get greeting = {greeting:?}, from another server");
    let start = Instant::now();
    let is_up = |(_, health): &(String, Health)| *health == Health::Up;
    wait("it holds what the others hold", async || copy.health().iter().all(is_up)).await?;
    let keys = first.dbsize().await?;
    println!(
        "  the copy brings it back by itself: it holds {keys} keys again, after {:.1?}",
        start.elapsed()
    );
    show_health(copy);
    let verified = copy.verify().run().await?;
    println!(
        "      verified: of {} keys on {} servers {} differ",
        verified.compared,
        verified.nodes.len(),
        verified.len()
    );
    Ok(())
}

fn show_health(copy: &RedisCopy) {
    for (node, health) in copy.health() {
        let mark = if health == Health::Up { "●" } else { "○" };
        println!("      {mark} {node:<8} {health:?}");
    }
}

/// Waits until a condition is true, 20 seconds at most.
async fn wait(what: &str, mut condition: impl AsyncFnMut() -> bool) -> Result {
    let start = Instant::now();
    while !condition().await {
        if start.elapsed() > Duration::from_secs(20) {
            return Err(format!("waited in vain: {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

fn urls(variable: &str) -> Option<Vec<String>> {
    let urls: Vec<String> = env::var(variable).ok()?.split(',').map(str::to_owned).collect();
    (!urls.is_empty()).then_some(urls)
}

/// Names for servers: a name, not an address, is what places the keys.
fn named(urls: &[String]) -> impl Iterator<Item = (&'static str, &str)> {
    ["amber", "birch", "cedar", "dune", "elm", "fern"].into_iter().zip(urls.iter().map(String::as_str))
}

fn title(text: &str) {
    println!("\n{text}\n{}", "─".repeat(text.chars().count()));
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(16) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A progress bar: drawn as it grows on a terminal, once elsewhere.
struct Progress<'a> {
    what: &'a str,
    done: usize,
    total: usize,
    start: Instant,
}

impl<'a> Progress<'a> {
    fn new(what: &'a str, total: usize) -> Self {
        Self { what, done: 0, total, start: Instant::now() }
    }

    fn add(&mut self, n: usize) {
        self.done += n;
        if std::io::stdout().is_terminal() {
            self.draw();
        }
    }

    fn draw(&self) {
        const WIDTH: usize = 30;
        let full = (self.done * WIDTH / self.total.max(1)).min(WIDTH);
        print!("\r  {} {}{}", self.what, "█".repeat(full), "░".repeat(WIDTH - full));
        let _flushed = std::io::stdout().flush();
    }

    fn finish(mut self) {
        let took = self.start.elapsed();
        self.total = self.done;
        self.draw();
        let rate = self.done as f64 / took.as_secs_f64();
        println!("  {} commands in {took:.1?}, {rate:.0} a second", self.done);
    }
}

/// Somebody who kills and restarts servers on request: `kill ring 0`, `restart copy 1 keep`.
struct Control {
    stream: BufReader<TcpStream>,
}

impl Control {
    fn connect(address: &str) -> Result<Self> {
        Ok(Self { stream: BufReader::new(TcpStream::connect(address)?) })
    }

    fn order(&mut self, order: &str) -> Result {
        writeln!(self.stream.get_mut(), "{order}")?;
        let mut answer = String::new();
        self.stream.read_line(&mut answer)?;
        match answer.trim() {
            "ok" => Ok(()),
            other => Err(format!("`{order}`: {other}").into()),
        }
    }
}

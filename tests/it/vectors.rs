//! Answers of other programs to where keys belong: every ring must answer the same.
//!
//! `tests/vectors/README.md` says where the files come from. `REDISDB_VECTORS` names another folder of such files.

use std::{
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use redisdb_hashring::{
    Builder, Hash32, HashRing, HashTag, Layout, Member,
    layout::{
        DoistHashRing, Jedis, JedisHash, Libmemcached, PhpHash, PhpRedis, Predis, RedisRb, Twemproxy,
        Uhashring,
    },
};
use serde::Deserialize;

/// A file of vectors.
#[derive(Deserialize)]
struct Vectors {
    config: Config,
    /// Each key with the node that the program said.
    vectors: Vec<(String, String)>,
}

/// The settings of the program. The fields besides `algorithm` are those that it has.
#[derive(Deserialize)]
struct Config {
    algorithm: String,
    #[serde(default)]
    nodes: Vec<Node>,
    /// Entries of a twemproxy configuration, and what their nodes are called in the vectors.
    #[serde(default)]
    servers: Vec<String>,
    #[serde(default)]
    labels: Vec<String>,
    distribution: Option<String>,
    hash: Option<String>,
    ring_hash: Option<String>,
    hash_tag: Option<String>,
    digest: Option<String>,
    mode: Option<String>,
    ring: Option<String>,
    point_hash: Option<String>,
    name_points: Option<String>,
    hash_algorithm: Option<String>,
    #[serde(default)]
    consistent: bool,
    #[serde(default)]
    key_tag: bool,
}

#[derive(Deserialize)]
struct Node {
    name: String,
    weight: Option<f64>,
    id: Option<String>,
    shard_name: Option<String>,
    host: Option<String>,
    port: Option<u16>,
}

impl Config {
    fn ring(&self) -> Result<HashRing, String> {
        let builder = HashRing::builder().layout(self.layout()?).nodes(self.members()?);
        self.tagged(builder)?.build().map_err(|error| error.to_string())
    }

    fn layout(&self) -> Result<Layout, String> {
        let mode = self.mode.as_deref();
        Ok(match self.algorithm.as_str() {
            "hash_ring" => Layout::HashRing(match self.digest.as_deref() {
                None => DoistHashRing::Current,
                Some("py3-repr-bug") => DoistHashRing::LegacyPython3,
                Some(other) => return Err(format!("unknown digest {other}")),
            }),
            "twemproxy" => {
                let hash = self.hash32(&self.hash, Hash32::Fnv1a64)?;
                Layout::Twemproxy(match self.distribution.as_deref() {
                    None | Some("ketama") => Twemproxy::ketama(hash),
                    Some("modula") => Twemproxy::modula(hash),
                    Some(other) => return Err(format!("unknown distribution {other}")),
                })
            }
            "libmemcached" => Layout::Libmemcached(match mode {
                Some("ketama_weighted") => {
                    Libmemcached::KetamaWeighted { hash: self.hash32(&self.hash, Hash32::Md5)? }
                }
                Some("consistent") => Libmemcached::Ketama {
                    hash: self.hash32(&self.hash, Hash32::OneAtATime)?,
                    ring_hash: self.hash32(&self.ring_hash, Hash32::OneAtATime)?,
                },
                None | Some("modula") => {
                    Libmemcached::Modula { hash: self.hash32(&self.hash, Hash32::OneAtATime)? }
                }
                Some(other) => return Err(format!("unknown mode {other}")),
            }),
            "libketama" => Layout::Libketama,
            "redis_rb" => Layout::RedisRb(match self.point_hash.as_deref() {
                Some("crc32") => RedisRb::V4,
                Some("md5") => RedisRb::V6,
                other => return Err(format!("unknown point_hash {other:?}")),
            }),
            "phpredis" => {
                let layout = if self.consistent { PhpRedis::consistent() } else { PhpRedis::new() };
                Layout::PhpRedis(match &self.hash_algorithm {
                    None => layout,
                    Some(name) => {
                        layout.algorithm(PhpHash::from_name(name).ok_or(format!("unknown PHP hash {name}"))?)
                    }
                })
            }
            "predis" => Layout::Predis(match self.ring.as_deref() {
                None | Some("hashring") => Predis::HashRing,
                Some("ketama") => Predis::Ketama,
                Some(other) => return Err(format!("unknown ring {other}")),
            }),
            "go_redis" => Layout::GoRedis,
            "uhashring" => Layout::Uhashring(match mode {
                None | Some("default") => Uhashring::Default,
                Some("ketama") => Uhashring::Ketama,
                Some(other) => return Err(format!("unknown mode {other}")),
            }),
            "jedis" => {
                let hash = match self.hash.as_deref() {
                    None | Some("murmur" | "murmur64a") => JedisHash::Murmur,
                    Some("md5") => JedisHash::Md5,
                    Some(other) => return Err(format!("unknown hash {other}")),
                };
                Layout::Jedis(match self.name_points.as_deref() {
                    None => Jedis::new(hash),
                    Some("weight-then-index") => Jedis::up_to_2_9(hash),
                    Some(other) => return Err(format!("unknown name_points {other}")),
                })
            }
            other => return Err(format!("unknown algorithm {other}")),
        })
    }

    fn hash32(&self, name: &Option<String>, default: Hash32) -> Result<Hash32, String> {
        match name {
            None => Ok(default),
            Some(name) => Hash32::from_name(name).ok_or(format!("unknown hash {name}")),
        }
    }

    fn members(&self) -> Result<Vec<Member>, String> {
        if !self.servers.is_empty() {
            return self
                .servers
                .iter()
                .enumerate()
                .map(|(i, entry)| {
                    let mut server = Twemproxy::server(entry).ok_or(format!("unreadable server {entry}"))?;
                    if let Some(label) = self.labels.get(i) {
                        server.name = label.clone();
                    }
                    Ok(server)
                })
                .collect();
        }
        Ok(self.nodes.iter().map(|node| self.member(node)).collect())
    }

    fn member(&self, node: &Node) -> Member {
        // Predis takes no weight, and zero, for 100.
        let weight = match self.algorithm.as_str() {
            "predis" => node.weight.map(f64::trunc).filter(|&weight| weight != 0.0).unwrap_or(100.0),
            _ => node.weight.unwrap_or(1.0),
        };
        let member = Member::new(&*node.name).weight(weight);
        match (&node.id, &node.shard_name, &node.host, node.port) {
            (Some(label), ..) | (_, Some(label), ..) => member.label(label),
            (.., Some(host), Some(11211)) => member.label(host),
            (.., Some(host), Some(port)) => member.label(format!("{host}:{port}")),
            _ => member,
        }
    }

    fn tagged(&self, builder: Builder) -> Result<Builder, String> {
        Ok(match self.hash_tag.as_deref().map(str::as_bytes) {
            Some(&[open, close]) => builder.hash_tag(HashTag::Delimiters { open, close }),
            Some(_) => return Err("a hash_tag has two bytes".to_owned()),
            None if self.key_tag => builder.hash_tag(HashTag::Jedis),
            None => builder,
        })
    }
}

/// The folder of the vectors. A relative one counts from the root of the workspace, where cargo is called,
/// and not from this package, where cargo runs the tests.
fn folder() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    match env::var_os("REDISDB_VECTORS") {
        Some(folder) => package.join("..").join(folder),
        None => package.join("vectors"),
    }
}

#[test]
fn every_key_lands_where_the_original_puts_it() {
    let folder = folder();
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();

    let (mut keys, mut right, mut failures) = (0, 0, Vec::new());
    for file in &files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(file).unwrap();
        let Vectors { config, vectors } = match serde_json::from_str(&text) {
            Ok(vectors) => vectors,
            Err(error) => {
                failures.push(format!("{name}: {error}"));
                continue;
            }
        };
        keys += vectors.len();
        let ring = match config.ring() {
            Ok(ring) => ring,
            Err(error) => {
                failures.push(format!("{name}: {error}"));
                continue;
            }
        };
        let mut wrong = 0;
        for (key, expected) in &vectors {
            let found = ring.name(ring.lookup(key));
            let first = ring.successors(key).next().map(|node| ring.name(node));
            if found == expected && first == Some(found) {
                right += 1;
                continue;
            }
            wrong += 1;
            if wrong <= 3 {
                failures.push(format!("{name}: key {key:?} belongs to {expected}, not to {found}"));
            }
        }
        if wrong > 3 {
            failures.push(format!("{name}: {wrong} of {} keys are wrong", vectors.len()));
        }
    }
    // Not `println!`, which shows nothing when the test passes.
    writeln!(io::stdout(), "{} files, {right} of {keys} keys", files.len()).unwrap();
    assert!(!files.is_empty(), "no vectors in {}", folder.display());
    assert!(failures.is_empty(), "{} files, {right} of {keys} keys\n{}", files.len(), failures.join("\n"));
}

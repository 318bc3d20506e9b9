//! The ways from a key to one of `n` nodes that are compared: ours, the crates', and textbook ones.

use std::{
    hash::{BuildHasher, Hash, Hasher},
    hint::black_box,
    ops::Range,
    time::Duration,
};

use redisdb_hashring::{HashRing, HashTag};
use rustix::time::{ClockId, clock_gettime};
use twox_hash::XxHash3_64;

/// How many lookups a whole pass is.
pub const LOOKUPS: usize = 1_000_000;
/// Points per node, for all rings but ours.
const POINTS: usize = 160;

/// Keys of one length, in an arena, and the order in which they are looked up.
pub struct Keys {
    arena: Vec<u8>,
    /// Where each key begins, and its length. The length is read with every key, as that of a real key is: where the
    /// compiler knows that it is always the same, it decides before the loop how to hash, and the floor costs a third less.
    order: Vec<(u32, u32)>,
}

impl Keys {
    /// A thousand keys over and over: everything is in the cache.
    pub fn hot(len: usize) -> Self {
        Self::new(1000, len, (0..LOOKUPS as u32).map(|i| i % 1000))
    }

    /// A million keys in random order: the key itself comes from memory.
    pub fn random(len: usize) -> Self {
        let mut order: Vec<u32> = (0..LOOKUPS as u32).collect();
        order.sort_by_key(|i| XxHash3_64::oneshot(&i.to_le_bytes()));
        Self::new(LOOKUPS, len, order.into_iter())
    }

    fn new(n: usize, len: usize, order: impl Iterator<Item = u32>) -> Self {
        let order = order.map(|i| (i * len as u32, len as u32)).collect();
        Self { arena: arena(n, len), order }
    }

    /// Looks some of them up.
    fn pass(&self, part: Range<usize>, lookup: impl Fn(&[u8]) -> usize) -> Duration {
        let start = thread_time();
        let mut sum = 0usize;
        for &(at, len) in &self.order[part] {
            sum = sum.wrapping_add(lookup(&self.arena[at as usize..][..len as usize]));
        }
        black_box(sum);
        thread_time() - start
    }
}

/// How long this thread has run. By a clock on the wall, what else the machine does would count, and most for the slow.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn arena(n: usize, len: usize) -> Vec<u8> {
    let mut arena = Vec::with_capacity(n * len);
    for i in 0..n {
        let text = format!("{:08x}", XxHash3_64::oneshot(&i.to_le_bytes()) as u32);
        arena.extend(text.bytes().cycle().take(len));
    }
    arena
}

/// Looks some of the keys up, and says how long that took.
pub type Pass = dyn Fn(&Keys, Range<usize>) -> Duration;

/// A name, and a pass over some of the lookups.
pub struct Design {
    pub name: &'static str,
    pub pass: Box<Pass>,
}

fn design(name: &'static str, lookup: impl Fn(&[u8]) -> usize + 'static) -> Design {
    Design { name, pass: Box::new(move |keys, part| keys.pass(part, &lookup)) }
}

pub fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("10.0.{}.{}:6379", i / 256, i % 256)).collect()
}

/// What every design has in common: the hash of the key, and one load from a table as large as ours.
pub fn floor() -> Design {
    let table: Vec<u16> = (0..1 << 18).map(|i| i as u16).collect();
    design("floor", move |key| table[(XxHash3_64::oneshot(key) >> 46) as usize].into())
}

pub fn ours(n: usize) -> Design {
    let ring = HashRing::builder().nodes(names(n)).build().unwrap();
    design("redisdb-hashring", move |key| ring.lookup(key))
}

pub fn ours_whole_keys(n: usize) -> Design {
    let ring = HashRing::builder().nodes(names(n)).hash_tag(HashTag::None).build().unwrap();
    design("redisdb-hashring, whole keys", move |key| ring.lookup(key))
}

/// The ring crates as they come, then those that can be given another hash with XXH3.
pub fn crates(n: usize) -> Vec<Design> {
    let mut designs = vec![
        design("crate hashring", hashring(n, hashring::DefaultHashBuilder)),
        design("crate consistent_hash", consistent_hash(n, consistent_hash::DefaultHash)),
        design("crate ketama", ketama(n)),
    ];
    // It looks at every point and copies all of them: at 1000 nodes a pass would take a minute.
    if n <= 100 {
        designs.push(design("crate hash_ring", hash_ring(n)));
    }
    designs.push(design("crate hashring, XXH3", hashring(n, Xxh3)));
    designs.push(design("crate consistent_hash, XXH3", consistent_hash(n, Xxh3)));
    designs
}

fn hashring<S: BuildHasher + 'static>(n: usize, hasher: S) -> impl Fn(&[u8]) -> usize {
    #[derive(Clone, Copy, Hash)]
    struct Point {
        node: u16,
        number: u16,
    }
    let mut ring = hashring::HashRing::with_hasher(hasher);
    let point = |i| Point { node: (i / POINTS) as u16, number: (i % POINTS) as u16 };
    ring.batch_add((0..n * POINTS).map(point).collect());
    move |key| ring.get(&Bytes(key)).map_or(0, |point| point.node.into())
}

fn consistent_hash<H: consistent_hash::RingHash + 'static>(n: usize, hash: H) -> impl Fn(&[u8]) -> usize {
    use consistent_hash::{Node, StaticHashRing};
    let nodes = (0..n).map(|node| Node::new(node).quantity(POINTS));
    let ring = StaticHashRing::new(hash, nodes);
    move |key| ring.calc_candidates(&Bytes(key)).next().map_or(0, |node| node.key)
}

fn ketama(n: usize) -> impl Fn(&[u8]) -> usize {
    let names = names(n);
    let ring = ketama::Ring::build(&names.iter().map(String::as_str).collect::<Vec<_>>());
    move |key| ring.route(key)
}

fn hash_ring(n: usize) -> impl Fn(&[u8]) -> usize {
    let ring = hash_ring::HashRing::new((0..n).collect(), POINTS as isize);
    move |key| ring.get_node(String::from_utf8_lossy(key).into_owned()).copied().unwrap_or(0)
}

/// What one would write without a crate, all with XXH3.
pub fn textbook(n: usize) -> Vec<Design> {
    vec![
        design("sorted vector, binary search", sorted_vector(n)),
        design("jump hash", move |key| jump(XxHash3_64::oneshot(key), n)),
        design("rendezvous", rendezvous(n)),
        design("Maglev, 65537 slots", maglev(n)),
    ]
}

fn sorted_vector(n: usize) -> impl Fn(&[u8]) -> usize {
    let mut points: Vec<(u64, u16)> =
        (0..n * POINTS).map(|i| (XxHash3_64::oneshot(&i.to_le_bytes()), (i / POINTS) as u16)).collect();
    points.sort_unstable();
    move |key| {
        let hash = XxHash3_64::oneshot(key);
        let i = points.partition_point(|point| point.0 < hash);
        points[if i < points.len() { i } else { 0 }].1.into()
    }
}

/// [Lamping and Veach, 2014](https://arxiv.org/abs/1406.2294). No names, and only the last node can be removed.
fn jump(mut key: u64, n: usize) -> usize {
    let (mut bucket, mut next) = (0, 0);
    while next < n as i64 {
        bucket = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        next = ((bucket + 1) as f64 * ((1u64 << 31) as f64 / ((key >> 33) + 1) as f64)) as i64;
    }
    bucket as usize
}

fn rendezvous(n: usize) -> impl Fn(&[u8]) -> usize {
    let seeds: Vec<u64> = names(n).iter().map(|name| XxHash3_64::oneshot(name.as_bytes())).collect();
    move |key| {
        let hash = XxHash3_64::oneshot(key);
        let score = |seed: u64| {
            let mixed = (seed ^ hash).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93)
        };
        (0..seeds.len()).max_by_key(|&node| score(seeds[node])).unwrap_or(0)
    }
}

/// [Eisenbud et al., 2016](https://research.google/pubs/pub44824/). Removing a node also moves a few keys of others.
fn maglev(n: usize) -> impl Fn(&[u8]) -> usize {
    const SLOTS: usize = 65_537;
    let steps: Vec<(usize, usize)> = names(n)
        .iter()
        .map(|name| {
            let hash = XxHash3_64::oneshot(name.as_bytes()) as usize;
            (hash % SLOTS, hash / SLOTS % (SLOTS - 1) + 1)
        })
        .collect();
    let mut table = vec![u16::MAX; SLOTS];
    let mut next = vec![0; n];
    for filled in 0..SLOTS {
        let node = filled % n;
        loop {
            let slot = (steps[node].0 + next[node] * steps[node].1) % SLOTS;
            next[node] += 1;
            if table[slot] == u16::MAX {
                table[slot] = node as u16;
                break;
            }
        }
    }
    move |key| table[(XxHash3_64::oneshot(key) % SLOTS as u64) as usize].into()
}

/// Bytes that are hashed without a length in front, which is the best case for the crates.
struct Bytes<'a>(&'a [u8]);

impl Hash for Bytes<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.0);
    }
}

/// XXH3 in one go for whatever is written, which is the best case too.
#[derive(Clone, Copy)]
struct Xxh3;

struct Xxh3Hasher(u64);

impl Hasher for Xxh3Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = XxHash3_64::oneshot_with_seed(self.0, bytes);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl BuildHasher for Xxh3 {
    type Hasher = Xxh3Hasher;

    fn build_hasher(&self) -> Xxh3Hasher {
        Xxh3Hasher(0)
    }
}

impl consistent_hash::RingHash for Xxh3 {
    fn hash_item<T: Hash>(&self, item: &T) -> u64 {
        self.hash_one(item)
    }
}

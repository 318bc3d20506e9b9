//! Where keys land must never change: doing so would lose the data of everyone who upgrades.

use redisdb_hashring::{HashRing, HashTag};

const KEYS: [&str; 24] = [
    "",
    "a",
    "b",
    "user:1",
    "user:2",
    "{user:1}:name",
    "{user:1}:mail",
    "x{}y",
    "{}{a}",
    "{{a}}",
    "foo{bar}{zap}",
    "session:8f14e45fceea167a5a36dedd4bea2543",
    "ключ",
    "鍵",
    "🔑",
    "line\nbreak",
    "12345678",
    "123456789012345",
    "1234567890123456",
    "12345678901234567",
    "the quick brown fox jumps over the lazy dog",
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
    "$tag$",
    "\0",
];

fn show(out: &mut String, title: &str, ring: &HashRing) {
    *out += &format!("{title}\n  fingerprint {:016x}\n", ring.fingerprint());
    for key in KEYS {
        let order: Vec<&str> = ring.replicas(key, 3).map(|node| ring.name(node)).collect();
        *out += &format!("  {key:?} {:016x} {}\n", ring.hash(key), order.join(" "));
    }
}

#[test]
fn keys_land_where_they_always_did() {
    let mut out = String::new();
    let numbered = |n: usize| (0..n).map(|i| format!("node-{i}"));
    let build = |builder: redisdb_hashring::Builder| builder.build().unwrap();
    show(&mut out, "a b c", &build(HashRing::builder().nodes(["a", "b", "c"])));
    show(
        &mut out,
        "a b:2 c:0.5",
        &build(HashRing::builder().node("a").weighted_node("b", 2).weighted_node("c", 0.5)),
    );
    show(
        &mut out,
        "10 nodes, whole keys",
        &build(HashRing::builder().nodes(numbered(10)).hash_tag(HashTag::None)),
    );
    show(&mut out, "100 nodes", &build(HashRing::builder().nodes(numbered(100))));
    show(&mut out, "1000 nodes", &build(HashRing::builder().nodes(numbered(1000))));
    let odd = ["".to_owned(), "узел".to_owned(), "ノード".to_owned(), "x".repeat(64 << 10)];
    let ring = build(HashRing::builder().nodes(odd));
    out += &format!("odd names\n  fingerprint {:016x}\n", ring.fingerprint());

    let golden = include_str!("golden.txt");
    assert!(out == golden, "keys land elsewhere than before; now it is\n{out}");
}

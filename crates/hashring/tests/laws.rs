//! What holds for every ring, whatever the nodes are called and however heavy they are.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::btree_map, prelude::*};
use redisdb_hashring::{HashRing, HashTag, Member};
use twox_hash::XxHash3_64;

type Nodes = BTreeMap<String, f64>;

fn nodes(size: std::ops::Range<usize>) -> impl Strategy<Value = Nodes> {
    let name = prop_oneof![
        4 => "[a-z]{0,3}",
        2 => "[0-9.:]{1,12}",
        1 => "\\PC{0,8}",
        1 => (0u8..255).prop_map(|byte| char::from(byte).to_string().repeat(64 << 10)),
    ];
    let weight = prop_oneof![Just(1.0), Just(2.0), Just(1e-12), Just(0.002), 0.01..3.0];
    btree_map(name, weight, size)
}

fn ring(nodes: &Nodes) -> HashRing {
    HashRing::builder()
        .nodes(nodes.iter().map(|(name, &weight)| Member::new(name.clone()).weight(weight)))
        .build()
        .unwrap()
}

/// The definition of the layout, without anything that makes it fast.
struct NaiveRing<'a>(Vec<(u64, &'a str)>);

impl<'a> NaiveRing<'a> {
    fn new(nodes: &'a Nodes) -> Self {
        let mut points = Vec::new();
        for (name, weight) in nodes {
            let seed = XxHash3_64::oneshot(name.as_bytes());
            let sector = u64::MAX / 3072;
            for i in 0..weight.ceil() as u64 * 3072 {
                let place = XxHash3_64::oneshot_with_seed(seed, &i.to_le_bytes());
                let part = (weight - (i / 3072) as f64).min(1.0);
                if i == 0 || f64::from(place as u32) < (part * 4_294_967_296.0).floor() {
                    let offset = (u128::from(place) * u128::from(sector)) >> 64;
                    points.push((i % 3072 * sector + offset as u64, name.as_str()));
                }
            }
        }
        points.sort();
        Self(points)
    }

    fn first(&self, hash: u64) -> usize {
        let start_of_cell = hash & !0 << 46;
        self.0.partition_point(|point| point.0 < start_of_cell) % self.0.len()
    }

    fn owner(&self, hash: u64) -> &'a str {
        self.0[self.first(hash)].1
    }

    fn order(&self, hash: u64) -> Vec<&'a str> {
        let mut seen = BTreeSet::new();
        let (before, from) = self.0.split_at(self.first(hash));
        from.iter().chain(before).map(|point| point.1).filter(|name| seen.insert(*name)).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_owner_is_that_of_the_next_point(nodes in nodes(1..12), hashes in prop::collection::vec(any::<u64>(), 64)) {
        let (ring, naive) = (ring(&nodes), NaiveRing::new(&nodes));
        let (first, last) = (naive.0[0].0, naive.0[naive.0.len() - 1].0);
        let mut near = vec![0, 1, u64::MAX, u64::MAX - 1, (1 << 46) - 1, 1 << 46, !0 << 46];
        for point in [first, last, naive.0[naive.0.len() / 2].0] {
            near.extend([point, point.wrapping_sub(1), point.wrapping_add(1), point.wrapping_add(1 << 46)]);
        }
        for hash in hashes.into_iter().chain(near) {
            prop_assert_eq!(ring.name(ring.lookup_hash(hash)), naive.owner(hash), "hash {:#x}", hash);
        }
    }

    #[test]
    fn successors_are_all_nodes_in_ring_order(nodes in nodes(1..12), key: Vec<u8>) {
        let (ring, naive) = (ring(&nodes), NaiveRing::new(&nodes));
        let order: Vec<&str> = ring.successors(&key).map(|node| ring.name(node)).collect();
        prop_assert_eq!(&order, &naive.order(ring.hash(&key)));
        prop_assert_eq!(ring.lookup(&key), ring.successors(&key).next().unwrap());
        let replicas: Vec<&str> = ring.replicas(&key, 2).map(|node| ring.name(node)).collect();
        prop_assert_eq!(&order[..replicas.len()], &replicas);
    }

    #[test]
    fn a_successor_owns_the_key_when_those_before_it_are_gone(nodes in nodes(2..8), key: Vec<u8>) {
        let whole = ring(&nodes);
        let order: Vec<usize> = whole.successors(&key).collect();
        let mut left = nodes.clone();
        for pair in order.windows(2) {
            left.remove(whole.name(pair[0]));
            let less = ring(&left);
            prop_assert_eq!(less.name(less.lookup(&key)), whole.name(pair[1]));
        }
    }

    #[test]
    fn a_removed_node_moves_only_its_own_keys(nodes in nodes(2..8), which: prop::sample::Index) {
        let whole = ring(&nodes);
        let gone = nodes.keys().nth(which.index(nodes.len())).unwrap().clone();
        let mut left = nodes.clone();
        left.remove(&gone);
        let less = ring(&left);
        let (out, back) = (whole.moved(&less), less.moved(&whole));
        prop_assert!(out.flows.iter().all(|flow| flow.from == gone));
        prop_assert!(back.flows.iter().all(|flow| flow.to == gone));
        let share = whole.shares()[whole.names().position(|name| name == gone).unwrap()];
        prop_assert!((out.total - share).abs() < 1e-12 && (back.total - share).abs() < 1e-12);
        prop_assert!(out.exact);
    }

    #[test]
    fn the_order_of_the_nodes_does_not_matter(nodes in nodes(1..8), seed: u64) {
        let sorted = ring(&nodes);
        let mut shuffled: Vec<_> = nodes.iter().collect();
        shuffled.sort_by_key(|(name, _)| XxHash3_64::oneshot_with_seed(seed, name.as_bytes()));
        let shuffled = HashRing::builder()
            .nodes(shuffled.into_iter().map(|(name, &weight)| Member::new(name.clone()).weight(weight)))
            .build()
            .unwrap();
        prop_assert_eq!(sorted.fingerprint(), shuffled.fingerprint());
        prop_assert_eq!(sorted.moved(&shuffled).total, 0.0);
        for key in 0..32u32 {
            let key = key.to_le_bytes();
            prop_assert_eq!(sorted.name(sorted.lookup(key)), shuffled.name(shuffled.lookup(key)));
        }
    }

    #[test]
    fn fingerprints_differ_when_a_key_lands_elsewhere(a in nodes(1..5), b in nodes(1..5)) {
        let (a, b) = (ring(&a), ring(&b));
        prop_assert_eq!(a.fingerprint() == b.fingerprint(), a.moved(&b).total == 0.0);
    }

    #[test]
    fn a_tag_is_found_byte_by_byte_too(key in "[ab{}$]{0,40}", pad in 0usize..64, open: u8, close: u8) {
        let key = [&vec![b'x'; pad][..], key.as_bytes()].concat();
        for (tag, open, close) in [
            (HashTag::Cluster, b'{', b'}'),
            (HashTag::Delimiters { open: b'$', close: b'$' }, b'$', b'$'),
            (HashTag::Delimiters { open, close }, open, close),
        ] {
            prop_assert_eq!(tag.of(&key), naive_tag(&key, open, close));
        }
        prop_assert_eq!(HashTag::None.of(&key), &key[..]);
    }

    #[test]
    fn any_bytes_have_a_tag(key: Vec<u8>) {
        prop_assert_eq!(HashTag::Cluster.of(&key), naive_tag(&key, b'{', b'}'));
    }
}

fn naive_tag(key: &[u8], open: u8, close: u8) -> &[u8] {
    for start in 0..key.len() {
        if key[start] == open {
            for end in start + 1..key.len() {
                if key[end] == close {
                    return if end > start + 1 { &key[start + 1..end] } else { key };
                }
            }
            return key;
        }
    }
    key
}

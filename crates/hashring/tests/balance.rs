//! How evenly the keys are spread. The shares are exact, so these are facts about the layout, not samples.

use redisdb_hashring::HashRing;

fn names(scheme: usize, n: usize) -> Vec<String> {
    (0..n)
        .map(|i| match scheme {
            0 => format!("node-{i}"),
            1 => format!("10.0.{}.{}:6379", i / 16, i % 16),
            2 => format!("redis://cache-{i:03}.example.com"),
            3 => format!("{i}"),
            4 => format!("{}{}", char::from(b'a' + (i % 26) as u8), char::from(b'a' + (i / 26) as u8)),
            _ => format!("127.0.0.1:{}", 7000 + i),
        })
        .collect()
}

#[test]
fn of_3_to_100_equal_nodes_none_owns_more_than_1_10_times_the_mean() {
    let mut worst = (0.0, 0, 0);
    for scheme in 0..6 {
        // Every size with one kind of names, some sizes with the others.
        for n in (3..=100).filter(|n| scheme == 0 || n % 12 == 4) {
            let ring = HashRing::builder().nodes(names(scheme, n)).build().unwrap();
            let largest = ring.shares().into_iter().fold(0.0, f64::max) * n as f64;
            worst = if largest > worst.0 { (largest, scheme, n) } else { worst };
        }
    }
    println!("worst max/mean {:.4} (scheme {}, {} nodes)", worst.0, worst.1, worst.2);
    assert!(worst.0 <= 1.10, "{worst:?}");
}

#[test]
fn a_node_owns_at_most_1_10_times_what_its_weight_says() {
    for scheme in 0..6 {
        for n in [3, 4, 10, 30] {
            for weights in [&[1.0, 2.0][..], &[1.0, 2.0, 3.0, 4.0], &[1.0, 10.0], &[2.5, 1.5, 0.5]] {
                let weight = |i: usize| weights[i % weights.len()];
                let builder = names(scheme, n)
                    .into_iter()
                    .enumerate()
                    .fold(HashRing::builder(), |builder, (i, name)| builder.weighted_node(name, weight(i)));
                let ring = builder.build().unwrap();
                let total: f64 = (0..n).map(weight).sum();
                for (i, share) in ring.shares().into_iter().enumerate() {
                    let ratio = share * total / weight(i);
                    assert!((0.9..=1.10).contains(&ratio), "{} of {n}: {ratio}", ring.name(i));
                }
            }
        }
    }
}

#[test]
fn of_1000_equal_nodes_the_largest_owns_about_1_2_times_the_mean() {
    let ring = HashRing::builder().nodes(names(0, 1000)).build().unwrap();
    let largest = ring.shares().into_iter().fold(0.0, f64::max) * 1000.0;
    assert!((1.1..=1.3).contains(&largest), "{largest}");
}

#[test]
fn weights_are_absolute() {
    let of = |weight: f64| {
        HashRing::builder().weighted_node("a", weight).weighted_node("b", weight).build().unwrap()
    };
    let (ones, twos) = (of(1.0), of(2.0));
    assert!((ones.shares()[0] - twos.shares()[0]).abs() < 0.05, "they balance alike");
    assert!(0.0 < ones.moved(&twos).total, "and place keys differently");
}

#[test]
fn shares_are_what_a_sweep_over_the_hashes_finds() {
    let ring = HashRing::builder().node("a").weighted_node("b", 2).weighted_node("c", 0.25).build().unwrap();
    let steps = 1u64 << 20;
    let mut counts = [0u32; 3];
    for step in 0..steps {
        counts[ring.lookup_hash(step << 44)] += 1;
    }
    let swept = counts.map(|count| f64::from(count) / steps as f64);
    assert_eq!(ring.shares(), swept);
    assert_eq!(ring.shares().iter().sum::<f64>(), 1.0);
}

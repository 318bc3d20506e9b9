//! The one ring behind nearly all layouts: what differs between them is data.

use md5::{Digest as _, Md5};

use super::Node;
use crate::{
    circle::{Circle, Reach},
    hash32::{Hash32, word},
    index::Index,
    key_hash::{md5_wide, murmur64, python_repr},
    placement::Placement,
};

/// The way in which a ring is made and read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring {
    pub(super) points: PointHash,
    pub(super) search: Search,
    pub(super) tie: Tie,
}

/// From a text to one point or several.
#[derive(Clone, Copy, Debug)]
pub(super) enum PointHash {
    /// This many little-endian words of MD5.
    Md5Words(usize),
    /// This many words of the text that Python 3 shows for MD5.
    Md5Repr(usize),
    /// The first word of MD5, big-endian.
    Md5BigEndian,
    /// The first two words of MD5, big-endian, as one.
    Md5Wide,
    Hash32(Hash32),
    Murmur64,
}

/// The point that owns a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// The first at the key or after it.
    AtOrAfter,
    /// The first after the key.
    After,
    /// The last at the key or before it.
    AtOrBefore,
}

/// Whose point counts when two nodes have the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tie {
    /// The point of the node that comes first.
    First,
    /// The point of the node that comes last, as in a dictionary that is overwritten.
    Last,
}

impl PointHash {
    fn of(self, text: &[u8], mut add: impl FnMut(u64)) {
        let mut words = |digest: &[u8], n| (0..n).for_each(|i| add(u64::from(word(digest, i)) << 32));
        match self {
            Self::Md5Words(n) => words(&Md5::digest(text), n),
            Self::Md5Repr(n) => words(&python_repr(&Md5::digest(text)), n),
            Self::Md5BigEndian => add(md5_wide(text) >> 32 << 32),
            Self::Md5Wide => add(md5_wide(text)),
            Self::Hash32(hash) => add(u64::from(hash.of(text)) << 32),
            Self::Murmur64 => add(murmur64(text)),
        }
    }

    /// The distance between neighboring hashes.
    fn step(self) -> u64 {
        match self {
            Self::Md5Wide | Self::Murmur64 => 1,
            _ => 1 << 32,
        }
    }
}

impl Ring {
    /// Puts on the circle, for each node, the hashes of its text followed by a number, from 0 up to its
    /// count.
    pub(super) fn of(self, nodes: impl Iterator<Item = (u16, String, u64)>) -> Placement {
        let mut points = Vec::new();
        for (node, mut text, count) in nodes {
            let len = text.len();
            for number in 0..count {
                text.truncate(len);
                text += &number.to_string();
                self.points.of(text.as_bytes(), |point| points.push((point, node)));
            }
        }
        if self.tie == Tie::Last {
            points.reverse();
        }
        if self.search == Search::After {
            // A key that is on a point belongs to the next one: the point owns what is before it, itself
            // excluded. A point at the very start then stands at the very end, which is the same on a circle.
            for (point, _) in &mut points {
                *point = point.wrapping_sub(self.points.step());
            }
        }
        points.sort_by_key(|point| point.0);
        points.dedup_by_key(|point| point.0);
        let reach = if self.search == Search::AtOrBefore { Reach::After } else { Reach::Before };
        placement(points, reach)
    }

    /// The same where the text is the label of the node and a separator.
    pub(super) fn of_labels(
        self,
        nodes: &[Node<'_>],
        separator: char,
        count: impl Fn(&Node<'_>) -> u64,
    ) -> Placement {
        self.of(nodes.iter().map(|node| (node.index, format!("{}{separator}", node.label), count(node))))
    }
}

/// A ring of distinct points in ascending order.
pub(super) fn placement(points: Vec<(u64, u16)>, reach: Reach) -> Placement {
    let (points, owners) = points.into_iter().unzip();
    let circle = Circle::new(points, owners, reach);
    Placement::Ring { index: Index::new(&circle), circle }
}

/// The number of ketama digests of a node, as C programs compute it in single precision:
/// with 25 equal nodes it is 39 and not 40.
pub(super) fn ketama_count_f32(weight: f64, total: f64, n_nodes: usize) -> u64 {
    let part = weight as f32 / total as f32;
    let digests = part * 160.0 / 4.0 * n_nodes as f32;
    (f64::from(digests) + 0.000_000_000_1) as f32 as u64
}

pub(super) fn total_weight(nodes: &[Node<'_>]) -> f64 {
    nodes.iter().map(|node| node.weight).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_single_precision() {
        let counts = |weights: &[f64]| -> Vec<u64> {
            let total = weights.iter().sum();
            weights.iter().map(|&weight| ketama_count_f32(weight, total, weights.len())).collect()
        };
        assert_eq!(counts(&[1.0, 2.0, 3.0, 9.0, 10.0]), [7, 15, 23, 72, 80]);
        assert_eq!(counts(&[1.0, 1.0, 2.0, 1.0]), [32, 32, 64, 32]);
        for n in [25, 47, 50, 55, 61, 71, 94, 100] {
            assert_eq!(counts(&vec![1.0; n]), vec![39; n]);
        }
        assert_eq!(counts(&[1.0; 24]), [40; 24]);
    }
}

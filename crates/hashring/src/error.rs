//! The error of a ring that cannot be built.

use std::{error, fmt};

/// The reason why a description of nodes does not make a ring.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no node at all.
    Empty,
    /// Two nodes have the same name, so nobody could tell whose keys are whose.
    DuplicateName {
        /// The name that occurs twice.
        name: String,
    },
    /// A node has weight zero: it would own nothing. Leave it out instead.
    ZeroWeight {
        /// The node concerned.
        name: String,
    },
    /// A weight is negative, infinite or not a number.
    InvalidWeight {
        /// The node concerned.
        name: String,
        /// The weight it was given.
        weight: f64,
    },
    /// A weight is not a whole number, and the layout knows no others.
    FractionalWeight {
        /// The node concerned.
        name: String,
        /// The weight it was given.
        weight: f64,
    },
    /// More nodes than a ring can number.
    TooManyNodes {
        /// The number of nodes.
        nodes: usize,
        /// The largest number of nodes.
        limit: usize,
    },
    /// The weights ask for more points than a ring can hold. Divide all of them by a common factor.
    TooManyPoints {
        /// The number of points that the weights ask for.
        points: u64,
        /// The largest number of points.
        limit: u64,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "a ring needs at least one node"),
            Self::DuplicateName { name } => write!(f, "two nodes have the name {name:?}"),
            Self::ZeroWeight { name } => {
                write!(f, "node {name:?} has weight 0; leave it out of the ring instead")
            }
            Self::InvalidWeight { name, weight } => {
                write!(f, "node {name:?} has weight {weight}; a weight is a positive number")
            }
            Self::FractionalWeight { name, weight } => {
                write!(f, "node {name:?} has weight {weight}; this layout knows whole weights only")
            }
            Self::TooManyNodes { nodes, limit } => {
                write!(f, "{nodes} nodes are more than the {limit} a ring can number")
            }
            Self::TooManyPoints { points, limit } => write!(
                f,
                "the weights ask for {points} points, a ring holds {limit}; divide the weights by a common factor"
            ),
        }
    }
}

impl error::Error for BuildError {}

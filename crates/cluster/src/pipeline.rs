//! Pipelines: many commands that are sent together, on a [ring](ring) and on a [copy](copy).

pub(crate) mod answers;
pub(crate) mod copy;
pub(crate) mod lent;
pub(crate) mod ring;
pub(crate) mod wave;

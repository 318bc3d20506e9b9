#![doc = include_str!("../README.md")]

mod rule;
pub use rule::{Rule, Rules};

mod step;
pub use step::{step, step_through};

mod state;
pub use state::{Setup, State};

mod event;
pub use event::{CallId, Claimed, Digest, Event, Kind, Report, Standing, Token};

mod effect;
pub use effect::{Effect, Outcome};

mod node;
pub use node::{Node, NodeSet, PerNode};

mod contact;
mod forget;
mod missed;
mod pass;
mod read;
mod repair;
mod source;
mod write;

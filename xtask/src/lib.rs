//! Real Redis servers, for tests, benchmarks and the demo.
//!
//! [`Server::start`] is the one way anything in this project starts a server: on a free port of 127.0.0.1, in a
//! temporary folder of its own, answering when the call returns. It ends with its owner, however its owner ends:
//! dropped, panicking, interrupted by Ctrl-C or killed with SIGKILL.
//!
//! ```no_run
//! use xtask::{Data, Server};
//!
//! let mut server = Server::builder().persistent().start()?;
//! println!("a server of my own at {}", server.url());
//! server.kill();
//! server.restart(Data::Keep)?;
//! # Ok::<(), xtask::Error>(())
//! ```

mod apt;
mod binary;
mod builder;
mod child;
mod error;
mod guardian;
mod named;
mod newer_libc;
mod port;
mod process;
mod resp;
mod server;
mod servers;
mod skip;
mod tool;
mod unpack;
mod wheel;
pub mod workspace;

pub use binary::Binary;
pub use builder::ServerBuilder;
pub use child::{once_more, told};
pub use error::Error;
pub use named::{Named, SERVERS};
pub use port::free_port;
pub use process::{command_line, is_alive, pause, resume};
pub use server::{Data, Dump, Server};
pub use servers::Servers;
pub use skip::{skipped, skips};
pub use tool::Tool;

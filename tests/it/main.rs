//! Everything that crosses crates, one module per subject.
//!
//! The modules behind `servers` start real Redis servers.

#[cfg(feature = "servers")]
mod acknowledged;
#[cfg(feature = "servers")]
mod again;
#[cfg(feature = "servers")]
mod all_restarted;
mod architecture;
mod benchmarks;
#[cfg(feature = "servers")]
mod blocking;
#[cfg(feature = "servers")]
mod cache;
#[cfg(feature = "servers")]
mod changes;
#[cfg(feature = "servers")]
mod clock;
#[cfg(feature = "servers")]
mod comeback;
#[cfg(feature = "servers")]
mod commands;
mod commands_doc;
#[cfg(feature = "servers")]
mod conflicts;
#[cfg(feature = "servers")]
mod convergence;
#[cfg(feature = "servers")]
mod copy;
#[cfg(feature = "servers")]
mod copy_blocks;
#[cfg(feature = "servers")]
mod copy_claims;
#[cfg(feature = "servers")]
mod copy_pipelines;
#[cfg(feature = "servers")]
mod credentials;
#[cfg(feature = "servers")]
mod denied;
#[cfg(feature = "servers")]
mod dropped;
#[cfg(feature = "servers")]
mod durable_hints;
#[cfg(feature = "servers")]
mod faults;
#[cfg(feature = "servers")]
mod field_ttls;
mod figures;
#[cfg(feature = "servers")]
mod first_call;
#[cfg(feature = "servers")]
mod foreign;
#[cfg(feature = "servers")]
mod forget;
#[cfg(feature = "servers")]
mod frames;
#[cfg(feature = "servers")]
mod handles;
#[cfg(feature = "servers")]
mod hard_input;
#[cfg(feature = "servers")]
mod health;
#[cfg(feature = "servers")]
mod identity;
#[cfg(feature = "servers")]
mod input;
#[cfg(feature = "servers")]
mod last_data;
#[cfg(feature = "servers")]
mod leftovers;
#[cfg(feature = "servers")]
mod locks;
#[cfg(feature = "servers")]
mod misbehaving;
#[cfg(feature = "servers")]
mod missed;
#[cfg(feature = "servers")]
mod model;
#[cfg(feature = "servers")]
mod names;
#[cfg(feature = "servers")]
mod nothing;
#[cfg(feature = "servers")]
mod on_down;
mod original_doc;
#[cfg(feature = "servers")]
mod other_process;
#[cfg(feature = "servers")]
mod outages;
#[cfg(feature = "servers")]
mod own_keys;
#[cfg(feature = "servers")]
mod partition;
#[cfg(feature = "servers")]
mod peers;
#[cfg(feature = "servers")]
mod permissions;
#[cfg(feature = "servers")]
mod pipelines;
mod promises;
#[cfg(feature = "servers")]
mod proof;
#[cfg(feature = "servers")]
mod pubsub;
#[cfg(feature = "servers")]
mod readme;
#[cfg(feature = "servers")]
mod redis_rs;
#[cfg(feature = "servers")]
mod refusals;
#[cfg(feature = "servers")]
mod register;
#[cfg(feature = "servers")]
mod repair;
#[cfg(feature = "servers")]
mod replace;
#[cfg(feature = "servers")]
mod replace_copy;
#[cfg(feature = "servers")]
mod replies;
#[cfg(feature = "servers")]
mod ring;
#[cfg(feature = "servers")]
mod same;
#[cfg(feature = "servers")]
mod scan;
#[cfg(feature = "servers")]
mod scripts;
#[cfg(feature = "servers")]
mod sentinel;
#[cfg(feature = "servers")]
mod shadow;
#[cfg(feature = "servers")]
mod shared_connections;
#[cfg(feature = "servers")]
mod sources;
#[cfg(feature = "servers")]
mod table;
#[cfg(feature = "servers")]
mod tls;
#[cfg(feature = "servers")]
mod tls_identity;
#[cfg(feature = "servers")]
mod transactions;
#[cfg(feature = "servers")]
mod twice;
#[cfg(feature = "servers")]
mod typed;
#[cfg(feature = "servers")]
mod unheard;
#[cfg(feature = "servers")]
mod unknown;
#[cfg(feature = "servers")]
mod users;
mod vectors;
mod ways;
#[cfg(feature = "servers")]
mod whose;
#[cfg(feature = "servers")]
mod whose_fault;

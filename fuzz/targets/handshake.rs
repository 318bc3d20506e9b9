//! Connects to a server that says any bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redisdb_node::fuzz::handshake(data));

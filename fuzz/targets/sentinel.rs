//! Connects to the master that sentinels name, which say any bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redisdb_node::fuzz::sentinel(data));

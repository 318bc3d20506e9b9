//! Reads any text as a configuration.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redisdb_cluster::fuzz::config(data));

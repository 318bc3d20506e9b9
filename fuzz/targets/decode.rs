//! Reads any bytes as a stored entry.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redisdb_cache::fuzz::decode(data));

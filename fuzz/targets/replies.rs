//! Reads any bytes as replies.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redisdb_node::fuzz::replies(data));

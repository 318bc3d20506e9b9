//! Real Redis servers, for tests, benchmarks and the demo.

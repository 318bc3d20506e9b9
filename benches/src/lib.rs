//! Criterion benchmarks; each is a `[[bench]]` beside this folder. See `benches/README.md`.

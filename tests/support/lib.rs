//! What the tests share: servers, a deadline to wait by, and the doctests of `docs/`.

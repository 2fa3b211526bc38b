//! All integration tests in one binary, because each binary links llama.cpp.

#![expect(unreachable_pub, reason = "test modules are one crate")]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails panics")]
#![expect(clippy::float_cmp, reason = "files and merges must keep numbers exactly")]

mod suite;
mod support;

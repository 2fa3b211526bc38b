//! All integration tests in one binary, because each binary links llama.cpp.

#![expect(unreachable_pub, reason = "test modules are one crate")]
#![expect(clippy::float_cmp, reason = "files and merges must keep numbers exactly")]

mod suite;
mod support;

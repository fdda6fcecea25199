//! The unit tests inside the modules of `examples/failover`: cargo does not run those of an example, and an example
//! that is built for its tests is not built for its use.
#![allow(dead_code, reason = "the modules are tested here and used there")]

#[path = "../examples/failover/args.rs"]
mod args;
#[path = "../examples/failover/chat_error.rs"]
mod chat_error;
#[path = "../examples/failover/mock/fault.rs"]
mod fault;
#[path = "../examples/failover/key.rs"]
mod key;
#[path = "../examples/failover/outcome.rs"]
mod outcome;
#[path = "../examples/failover/problem.rs"]
mod problem;
#[path = "../examples/failover/prompts.rs"]
mod prompts;
#[path = "../examples/failover/reply.rs"]
mod reply;
#[path = "../examples/failover/sse.rs"]
mod sse;
#[path = "../examples/failover/tally.rs"]
mod tally;
#[path = "../examples/failover/vendor.rs"]
mod vendor;
#[path = "../examples/failover/vendors_file.rs"]
mod vendors_file;

//! What strategies that go by load do with instances that are slow, hang, fail, come and go.

mod distribution;
mod reference;
mod slow_host;
mod traffic;
mod traps;

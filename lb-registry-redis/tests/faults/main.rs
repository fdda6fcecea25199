//! What is promised while Redis fails, on real servers that really fail. Every row has its bound; calls must not notice
//! any of it.

mod access;
mod cold_start;
mod connections;
mod data;
mod failover;
mod fleet;
mod values;

//! A registry in redis, for `loadbalance`.

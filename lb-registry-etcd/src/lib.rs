//! A registry in etcd, for `loadbalance`.

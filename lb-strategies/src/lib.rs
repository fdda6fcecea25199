pub use lb_core::strategy::RoundRobin;
pub type BuiltInStrategies = lb_core::strategy::CoreStrategies;

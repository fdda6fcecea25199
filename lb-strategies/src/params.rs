//! What parameters of strategies have in common: how they are refused.

use std::fmt::Display;
use std::ops::RangeInclusive;

use lb_core::strategy::StrategyError;

/// The parameters of the strategy called `name` are refused because of `problem`, which names the parameter.
pub(crate) fn invalid(name: &str, problem: impl Into<String>) -> StrategyError {
    StrategyError::InvalidParams { name: name.into(), problem: problem.into() }
}

/// `value`, if it is in `range`.
pub(crate) fn in_range<T: PartialOrd + Display>(
    name: &str,
    param: &str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<T, StrategyError> {
    if range.contains(&value) {
        return Ok(value);
    }
    let (least, most) = range.into_inner();
    Err(invalid(name, format!("`{param}` is from {least} to {most}, not {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_out_of_range_is_named_with_the_range() {
        assert_eq!(in_range("x", "choices", 2, 2..=10), Ok(2));
        let error = in_range("x", "choices", 11, 2..=10).unwrap_err().to_string();
        assert_eq!(error, "strategy `x` does not take these params: `choices` is from 2 to 10, not 11");
        assert!(in_range("x", "tolerance", f64::NAN, 0.0..=1.0).is_err());
    }
}

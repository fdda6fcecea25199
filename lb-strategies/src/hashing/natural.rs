//! Ids in the order in which people count them.

use std::cmp::Ordering;

/// Compares runs of digits by their value: `web-9` comes before `web-10`. Ids that differ only in leading zeros
/// compare as they are written, so that no two ids are equal.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut x, mut y) = (a.as_bytes(), b.as_bytes());
    loop {
        match (number(x), number(y)) {
            (Some((m, rest_x)), Some((n, rest_y))) => {
                let order = m.len().cmp(&n.len()).then_with(|| m.cmp(n));
                if order.is_ne() {
                    return order;
                }
                (x, y) = (rest_x, rest_y);
            }
            _ => match (x.split_first(), y.split_first()) {
                (Some((m, rest_x)), Some((n, rest_y))) => {
                    if m != n {
                        return m.cmp(n);
                    }
                    (x, y) = (rest_x, rest_y);
                }
                _ => return x.len().cmp(&y.len()).then_with(|| a.cmp(b)),
            },
        }
    }
}

/// The digits in front, without leading zeros, and what follows; `None` if there are none.
fn number(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(digits);
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    (!digits.is_empty()).then(|| (&digits[zeros..], rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_counted() {
        let sorted =
            ["", "7", "10", "a", "a-1", "a-1-10", "a-2", "a-002", "a-10", "a-10b", "a-11", "b", "web"];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                let expected = if (*a, *b) == ("a-2", "a-002") || (*a, *b) == ("a-002", "a-2") {
                    a.cmp(b)
                } else {
                    i.cmp(&j)
                };
                assert_eq!(compare(a, b), expected, "{a} and {b}");
            }
        }
        assert_eq!(compare("x99999999999999999999999999", "x100000000000000000000000000"), Ordering::Less);
    }

    proptest! {
        #[test]
        fn it_is_an_order(mut ids in proptest::collection::vec("[a0-2-]{0,6}", 3)) {
            for (a, b) in [(&ids[0], &ids[1]), (&ids[1], &ids[2])] {
                prop_assert_eq!(compare(a, b), compare(b, a).reverse());
                prop_assert_eq!(compare(a, b).is_eq(), a == b);
            }
            ids.sort_by(|a, b| compare(a, b));
            prop_assert!(compare(&ids[0], &ids[2]).is_le());
        }
    }
}

//! Draws by weight in constant time, whatever the weights: [`AliasTable`].

use lb_core::strategy::{MemberSet, Slot};

/// Walker's alias table, built by Vose's method in O(n). Weights are kept in whole numbers while it is built, so
/// nothing is lost to rounding but the last bit of 2⁻⁶⁴.
#[derive(Debug)]
pub(crate) struct AliasTable(Box<[Column]>);

/// A column stands for 1/n of all draws. Its member gets part of them, the alias the rest.
#[derive(Clone, Copy, Debug)]
struct Column {
    /// The member's part, as a fraction of 2⁶⁴.
    own: u64,
    slot: Slot,
    alias: Slot,
}

impl AliasTable {
    pub(crate) fn new<I>(set: &MemberSet<I>) -> Self {
        // In units in which the mean weighs `total`, and all weigh `n · total`. Below 2⁶⁴ each.
        let (n, total) = (set.len() as u64, set.weights().total);
        let mut left: Vec<u64> = Vec::with_capacity(set.len());
        let mut columns = Vec::with_capacity(set.len());
        let (mut light, mut heavy) = (Vec::new(), Vec::new());
        for (i, (slot, member)) in set.iter().enumerate() {
            left.push(u64::from(member.weight()) * n);
            columns.push(Column { own: u64::MAX, slot, alias: slot });
            if left[i] < total { light.push(i) } else { heavy.push(i) }
        }
        // Each light member's column is filled up by a heavy one, which has that much less left for its own.
        while let (Some(small), Some(&big)) = (light.pop(), heavy.last()) {
            columns[small].own = fraction(left[small], total);
            columns[small].alias = columns[big].slot;
            left[big] -= total - left[small];
            if left[big] < total {
                heavy.pop();
                light.push(big);
            }
        }
        Self(columns.into_boxed_slice())
    }

    /// How many columns there are: one per member.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The member for a column and a point in it, both drawn evenly.
    #[inline]
    pub(crate) fn draw(&self, column: usize, point: u64) -> Option<Slot> {
        let column = self.0.get(column)?;
        Some(if point < column.own { column.slot } else { column.alias })
    }
}

/// `part / whole` as a fraction of 2⁶⁴. `part` must be less than `whole`.
fn fraction(part: u64, whole: u64) -> u64 {
    ((u128::from(part) << 64) / u128::from(whole)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_core::testing::StrategyBench;

    use crate::Random;

    fn table(weights: &[u32]) -> (AliasTable, Vec<Slot>) {
        let set = StrategyBench::new(Random::new(), 1).with_weights(weights.iter().copied()).set();
        let slots = set.iter().map(|(slot, _)| slot).collect();
        (AliasTable::new(&set), slots)
    }

    #[test]
    fn every_member_has_exactly_its_part() {
        let powers: Vec<u32> = (0..32).map(|i| 1 << i).collect();
        let odd: Vec<u32> = (1..500).map(|i| i * i * i % 1009 + 1).collect();
        for weights in [&[1, 1000][..], &[3], &[7, 7, 7], &[u32::MAX, 1, 1], &[u32::MAX; 9], &powers, &odd] {
            let (table, slots) = table(weights);
            let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
            for (slot, weight) in slots.iter().zip(weights) {
                let part: f64 = table.0.iter().map(|column| part_of(column, *slot)).sum();
                let expected = f64::from(*weight) / total * table.len() as f64;
                assert!(
                    (part - expected).abs() <= 1e-12 * expected.max(1.0),
                    "{part} for {weight} in {weights:?}"
                );
            }
        }
    }

    fn part_of(column: &Column, slot: Slot) -> f64 {
        let own = column.own as f64 / 2_f64.powi(64);
        let mine = if column.slot == slot { own } else { 0.0 };
        mine + if column.alias == slot { 1.0 - own } else { 0.0 }
    }

    #[test]
    fn an_empty_set_has_no_columns() {
        let (table, _) = table(&[]);
        assert_eq!((table.len(), table.draw(0, 0)), (0, None));
    }
}

//! A few of many: [`Subset`].

mod choice;
mod picker;

use std::sync::Arc;

use lb_core::StrategySpec;
use lb_core::strategy::{MemberSet, Picker, Slot, Strategy, StrategyError, StrategyFactory};
use serde::Deserialize;

pub(crate) use self::choice::in_hash_order;
use self::choice::{ranked, window};
pub(crate) use self::picker::Spare;
use self::picker::SubsetPicker;
use crate::client::{ClientIndex, of_process};
use crate::hashing::id_hash;
use crate::inner::build_inner;
use crate::params::{in_range, invalid};

/// Uses only some members of a large set, and chooses among those by whatever strategy is wrapped.
///
/// Use it where many clients share many members, and each need not have a connection to every one: 1,000 clients and 10,000
/// members are ten million connections, 100,000 with subsets of 100. Do not use it where a client alone can keep more than
/// a subset busy, or where there are few members. The strategy inside sees the subset and nothing else: a subset of 20 to
/// 100 is enough for it to choose well.
///
/// Which members it is depends on who the client is:
///
/// - [`of_number`](Self::of_number), for clients that have one: **deterministic**. Every member is in the subsets of as many
///   clients as any other, to within one. The members stand in a circle in the order of the hashes of their ids; client c
///   of C takes `size` of them from place ⌊c · N / C⌋ on. Those starts are spread so evenly that as many of them, ⌊C · size / N⌋
///   or ⌈C · size / N⌉, fall into any `size` places. (*Site Reliability Engineering*, chapter 20, has another
///   construction with the same aim; in that, one change of the set shuffles all subsets.)
/// - [`of_name`](Self::of_name), for all others: by **rendezvous** hashing. Each member is ranked by a hash of its id and
///   the client's name, and the first `size` are taken (gRFC A68 does so). Even on average only: a member that is due to
///   100 clients gets 100 ± 10.
///
/// **What moves.** With names, who leaves is replaced by one other in the subsets that it was in, and those of all other
/// clients stay. With numbers, each client replaces at most one member when one comes or leaves (two, if its places lie across
/// the end of the circle); a changed count of clients
/// moves the subsets by up to N / C places for each client that comes or leaves.
///
/// A call never fails while somebody is eligible: if nobody of the subset is, one of the next `size` members in the same order
/// is asked, by chance, and then any. Weights count within a subset. With at most `size` members it is the inner strategy and
/// nothing else.
///
/// A pick takes what the inner strategy takes; no lock, no allocation. A new set costs O(n log n), about 3 ms for
/// 10,000 members.
///
/// ```
/// use lb_core::testing::StrategyBench;
/// use lb_strategies::{ClientIndex, RoundRobin, Subset};
///
/// let client = ClientIndex::new(3, 10)?;
/// let bench = StrategyBench::new(Subset::of_number(client, RoundRobin::new()).size(20), 7).with_equal_members(100);
/// assert_eq!(bench.shares(1_000, &Default::default()).len(), 20);
/// # Ok::<_, lb_strategies::InvalidClientIndex>(())
/// ```
#[derive(Clone, Debug)]
pub struct Subset<S> {
    inner: S,
    client: Client,
    size: usize,
}

/// Who this client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    /// The hash of its name.
    Named(u64),
    Numbered(ClientIndex),
}

const SIZE: usize = 100;
const MAX_SIZE: usize = 1 << 20;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    size: Option<usize>,
    client_name: Option<Box<str>>,
    client_index: Option<u32>,
    client_count: Option<u32>,
    inner: Option<StrategySpec>,
}

impl<S> Subset<S> {
    /// The name in configuration.
    pub const NAME: &'static str = "subset";

    /// The subset of a client that has a number. `inner` chooses within it.
    pub const fn of_number(client: ClientIndex, inner: S) -> Self {
        Self { inner, client: Client::Numbered(client), size: SIZE }
    }

    /// The subset of the client of this name, which should be no other's: a host name, a pod. `inner` chooses within it.
    pub fn of_name(client: &str, inner: S) -> Self {
        Self { inner, client: Client::Named(id_hash(client)), size: SIZE }
    }

    /// How many members it has. Default 100; at least 1.
    #[must_use]
    pub fn size(mut self, members: usize) -> Self {
        self.size = members.clamp(1, MAX_SIZE);
        self
    }
}

impl<I: 'static> Subset<Arc<dyn Strategy<I>>> {
    /// From configuration: `{ "size": 100, "client_index": 3, "client_count": 10, "inner": { "name": "round_robin" } }`, or with
    /// `"client_name": "cart-7f9c"` in the place of the numbers; `factory` builds the inner strategy. Configuration that
    /// clients share can name none of them: then `client` is taken, and if there is none a name that is drawn by chance
    /// once in a process.
    pub fn from_params(
        params: &serde_json::Value,
        client: Option<ClientIndex>,
        factory: &dyn StrategyFactory<I>,
    ) -> Result<Self, StrategyError> {
        let params: Params = StrategySpec::parse_params(Self::NAME, params)?;
        let number = ClientIndex::parse(Self::NAME, params.client_index, params.client_count)?;
        let client = match (params.client_name, number) {
            (Some(_), Some(_)) => {
                return Err(invalid(Self::NAME, "`client_name` and `client_index` exclude each other"));
            }
            (Some(name), None) => Client::Named(id_hash(&name)),
            (None, number) => number.or(client).map_or(Client::Named(of_process()), Client::Numbered),
        };
        let size = in_range(Self::NAME, "size", params.size.unwrap_or(SIZE), 1..=MAX_SIZE)?;
        Ok(Self { inner: build_inner(params.inner, factory)?, client, size })
    }
}

impl<I: Send + Sync + 'static, S: Strategy<I>> Strategy<I> for Subset<S> {
    fn picker(&self, set: &MemberSet<I>, previous: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        if set.len() <= self.size {
            return self.inner.picker(set, SubsetPicker::inner_of(previous));
        }
        let order: Vec<Slot> = match self.client {
            Client::Named(name) => ranked(set, name, 2 * self.size),
            Client::Numbered(client) => window(&in_hash_order(set), client, 2 * self.size),
        };
        let (chosen, spare) = order.split_at(self.size.min(order.len()));
        Box::new(SubsetPicker::new(set, chosen, spare, &self.inner, previous))
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_core::Instance;
    use serde_json::json;

    use crate::BuiltInStrategies;

    #[test]
    fn parameters_are_checked() {
        let own = ClientIndex::new(1, 2).ok();
        let parse = |params, own| {
            Subset::<Arc<dyn Strategy<Instance>>>::from_params(&params, own, &BuiltInStrategies)
        };
        let client = |params, own| parse(params, own).unwrap().client;
        let number = |index, count| Client::Numbered(ClientIndex::new(index, count).unwrap());
        assert_eq!(client(json!({ "client_index": 3, "client_count": 9 }), own), number(3, 9));
        assert_eq!(client(json!({ "client_name": "a" }), own), Client::Named(id_hash("a")));
        assert_eq!(client(json!({}), own), number(1, 2));
        assert_eq!(client(json!({}), None), client(json!({ "size": 7 }), None), "drawn once");
        for (params, part) in [
            (json!({ "size": 0 }), "`size` is from 1 to 1048576, not 0"),
            (json!({ "client_index": 3 }), "given together"),
            (json!({ "client_index": 3, "client_count": 3 }), "there is no client 3 of 3"),
            (json!({ "client_index": 3, "client_count": 9, "client_name": "a" }), "exclude each other"),
            (json!({ "inner": { "name": "randon" } }), "at params.inner"),
        ] {
            let error = parse(params, None).err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}

//! The list of all rules.

use super::lab::Lab;
use super::{
    StrategyContract, changes, completeness, eligibility, hooks, shares, starts, subsets, threads, weights,
};

/// One rule of the contract: a small function that panics if it is broken.
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) check: fn(&Lab<'_>),
}

/// Of whom a rule is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Everybody,
    Even,
    EvenAndWeighted,
    EvenAndUnweighted,
    EvenAndStartingAnywhere,
}

impl Kind {
    pub(super) fn is_asked_of(self, contract: &StrategyContract) -> bool {
        match self {
            Self::Everybody => true,
            Self::Even => contract.even,
            Self::EvenAndWeighted => contract.even && contract.weighted,
            Self::EvenAndUnweighted => contract.even && !contract.weighted,
            Self::EvenAndStartingAnywhere => contract.even && contract.starts_anywhere,
        }
    }
}

macro_rules! rules {
    ($($kind:ident { $($module:ident: $($rule:ident),+;)+ })+) => {
        &[$($($(Rule {
            name: concat!(stringify!($module), "::", stringify!($rule)),
            kind: Kind::$kind,
            check: $module::$rule,
        }),+),+),+]
    };
}

pub(super) const ALL: &[Rule] = rules! {
    Everybody {
        eligibility:
            only_eligible_members_are_picked,
            members_without_weight_are_not_picked,
            refused_members_are_not_picked_again,
            suspects_are_picked_last;
        completeness:
            an_empty_set_yields_nobody,
            the_only_eligible_member_is_found,
            nobody_is_picked_only_if_nobody_is_eligible;
        changes:
            who_left_is_not_picked,
            who_came_is_found,
            any_change_under_way_is_survived;
        hooks:
            the_picker_of_another_strategy_is_tolerated,
            its_own_picker_of_any_set_is_tolerated,
            outcomes_of_every_kind_are_survived;
        subsets:
            a_subset_is_not_left,
            a_subset_is_searched_whole;
        weights:
            extreme_weights_are_survived;
        threads:
            threads_may_pick_while_the_set_changes;
    }
    Even {
        shares:
            equal_members_get_equal_shares,
            the_rest_stays_even_without_some,
            the_rest_stays_even_while_some_rest,
            every_retry_stays_even;
        changes:
            updates_favour_nobody,
            a_new_member_gets_its_share;
        subsets:
            a_subset_is_shared_evenly;
    }
    EvenAndWeighted {
        weights:
            shares_follow_weights,
            shares_follow_weights_without_some,
            a_huge_weight_leaves_the_others_their_share,
            a_new_weight_counts;
    }
    EvenAndUnweighted {
        weights:
            weights_are_ignored;
    }
    EvenAndStartingAnywhere {
        starts:
            clients_start_anywhere,
            clients_start_anywhere_after_growth;
    }
};

//! The list of all rules.

use std::pin::Pin;

use super::bench::Bench;
use super::{
    announcements, compare_and_set, concurrency, config, instances, leaving, listing, names, overrides,
    round_trip, sharing, takeover, watches,
};

/// One rule of the contract: a small function that panics if it is broken.
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) check: fn(Bench) -> Pin<Box<dyn Future<Output = ()> + Send>>,
}

macro_rules! rules {
    ($($module:ident: $($rule:ident),+;)+) => {
        &[$($(Rule {
            name: concat!(stringify!($module), "::", stringify!($rule)),
            check: |bench| Box::pin($module::$rule(bench)),
        }),+),+]
    };
}

pub(super) const ALL: &[Rule] = rules! {
    instances:
        a_registered_instance_is_seen,
        the_same_id_replaces,
        deregistering_takes_out_one_instance,
        deregistering_says_whether_it_was_there,
        services_do_not_share_instances,
        a_cancelled_write_is_done_or_not_done;
    round_trip:
        an_instance_keeps_every_field,
        a_config_keeps_every_field,
        a_config_keeps_fields_of_a_newer_version;
    names:
        services_with_odd_names_are_kept_apart,
        instances_with_odd_ids_are_kept_apart,
        a_separator_in_a_name_is_part_of_the_name,
        the_longest_name_is_taken,
        bad_names_of_services_are_refused,
        bad_ids_of_instances_are_refused;
    listing:
        an_empty_registry_lists_nothing,
        services_are_listed_in_order,
        a_service_is_listed_while_it_has_something,
        asking_for_a_service_does_not_list_it,
        failed_writes_list_nothing;
    watches:
        an_unknown_service_is_empty,
        an_unknown_service_comes_into_being,
        a_service_may_vanish_and_return,
        the_latest_snapshot_is_seen,
        every_watch_sees_a_write,
        a_late_watch_sees_what_was_written,
        dropping_a_watch_leaves_others_alone,
        a_service_watched_before_can_be_watched_again;
    sharing:
        unchanged_entries_are_shared,
        revisions_grow_with_every_write,
        an_instance_has_the_revision_of_its_write;
    overrides:
        an_override_is_laid_over_one_instance,
        an_override_takes_the_place_of_the_former,
        no_override_restores_the_instance,
        an_override_changes_neither_instance_nor_revision,
        an_override_survives_replacement,
        an_override_goes_with_its_instance,
        an_override_needs_an_instance;
    config:
        a_config_is_set_and_replaced,
        a_config_is_removed,
        config_and_instances_do_not_touch_each_other,
        a_service_may_have_only_a_config;
    compare_and_set:
        the_first_write_expects_none,
        a_write_expects_the_revision_in_force,
        a_conflict_changes_nothing,
        an_absent_config_conflicts_with_a_revision,
        a_plain_write_moves_the_revision,
        a_revision_is_never_used_again,
        of_two_writers_one_wins,
        no_increment_is_lost;
    announcements:
        an_announced_instance_is_seen,
        an_announced_instance_stays,
        an_update_replaces_the_instance,
        an_update_keeps_the_override,
        an_update_cannot_change_the_id,
        a_dropped_announcement_takes_its_instance_out,
        an_announcement_is_dropped_without_a_runtime,
        an_announced_instance_can_be_deregistered;
    leaving:
        leaving_drains_then_removes,
        leaving_without_grace_removes,
        leaving_touches_nobody_else,
        a_cancelled_leave_removes;
    takeover:
        a_dropped_announcement_spares_its_successor,
        a_leaving_announcement_spares_its_successor,
        an_old_announcement_cannot_update_its_successor,
        a_second_announcement_owns_the_id,
        an_announcement_takes_over_a_registered_instance;
    concurrency:
        concurrent_instances_are_all_kept,
        concurrent_removals_take_out_their_own,
        concurrent_writes_of_every_kind_are_all_kept,
        concurrent_writes_of_one_id_leave_one;
};

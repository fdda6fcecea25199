//! Registries that each break one rule: [`Broken`].

mod keeper;
mod registry;
mod snapshots;

pub(crate) use registry::Broken;

macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident => $rule:literal,)+) => {
        /// What is wrong with a [`Broken`] registry.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault {
            /// Nothing.
            None,
            $($(#[$doc])* $fault,)+
        }

        /// Every fault, and a rule that it breaks.
        pub(crate) const FAULTS: &[(Fault, &str)] = &[$((Fault::$fault, $rule)),+];
    };
}

faults! {
    /// Registering an instance again takes away what was laid over it.
    ForgetsOverrides => "overrides::an_override_survives_replacement",
    /// What was laid over an instance is still there when it comes back.
    KeepsOverrides => "overrides::an_override_goes_with_its_instance",
    /// Laying something over an instance registers it anew.
    OverridesByRegistering => "overrides::an_override_changes_neither_instance_nor_revision",
    /// Laying something over what is not there succeeds.
    OverridesNothing => "overrides::an_override_needs_an_instance",
    /// What is laid over an instance is added to what was there.
    MergesOverrides => "overrides::an_override_takes_the_place_of_the_former",
    /// An id that was taken over is removed when the old announcement is dropped.
    DropLosesSuccessor => "takeover::a_dropped_announcement_spares_its_successor",
    /// An id that was taken over is removed when the old announcement leaves.
    LeaveLosesSuccessor => "takeover::a_leaving_announcement_spares_its_successor",
    /// An old announcement can still write under an id that was taken over.
    UpdatesSuccessor => "takeover::an_old_announcement_cannot_update_its_successor",
    /// Dropping an announcement does nothing.
    NeverTakesOut => "announcements::a_dropped_announcement_takes_its_instance_out",
    /// Dropping an announcement spawns a task.
    SpawnsOnDrop => "announcements::an_announcement_is_dropped_without_a_runtime",
    /// An announced instance goes away by itself.
    LetsAnnouncementsLapse => "announcements::an_announced_instance_stays",
    /// An announcement can be updated to any id.
    UpdatesAnyId => "announcements::an_update_cannot_change_the_id",
    /// A leaving instance goes without draining.
    LeavesWithoutDraining => "leaving::leaving_drains_then_removes",
    /// A configuration is set whatever was expected.
    IgnoresExpected => "compare_and_set::the_first_write_expects_none",
    /// A configuration is compared first and set later.
    ComparesThenSets => "compare_and_set::of_two_writers_one_wins",
    /// The same, seen by writers that retry.
    ComparesThenSetsLater => "compare_and_set::no_increment_is_lost",
    /// A conflict says nothing about what is in force.
    HidesConflicts => "compare_and_set::the_first_write_expects_none",
    /// Fields of a newer version are lost.
    DropsUnknownFields => "round_trip::a_config_keeps_fields_of_a_newer_version",
    /// The configuration goes with the last instance.
    DropsConfigWithInstances => "config::a_service_may_have_only_a_config",
    /// Labels are not stored.
    DropsMetadata => "round_trip::an_instance_keeps_every_field",
    /// A bad id is taken in silence, and the instance thrown away.
    AcceptsBadIds => "names::bad_ids_of_instances_are_refused",
    /// A bad name of a service is taken in silence.
    AcceptsBadServices => "names::bad_names_of_services_are_refused",
    /// A name of more than 200 bytes is refused.
    RefusesLongNames => "names::the_longest_name_is_taken",
    /// Names of services that differ only in letter case are taken for the same.
    FoldsCase => "names::services_with_odd_names_are_kept_apart",
    /// Separators in ids are escaped, but the escape is not.
    EscapesHalf => "names::instances_with_odd_ids_are_kept_apart",
    /// Who watches a service brings it into being.
    ListsWatched => "listing::asking_for_a_service_does_not_list_it",
    /// Services are listed in reverse.
    ListsUnsorted => "listing::services_are_listed_in_order",
    /// Only services with instances are listed.
    ListsInstancesOnly => "listing::a_service_is_listed_while_it_has_something",
    /// Deregistering always finds something.
    AlwaysWasThere => "instances::deregistering_says_whether_it_was_there",
    /// Deregistering takes out every id that starts alike.
    DeregistersByPrefix => "instances::deregistering_takes_out_one_instance",
    /// Registering reads the set, changes it and writes it back.
    RewritesTheSet => "concurrency::concurrent_instances_are_all_kept",
    /// Every snapshot has new entries.
    CopiesEntries => "sharing::unchanged_entries_are_shared",
    /// An entry that changes has a copy of the instance.
    CopiesInstances => "overrides::an_override_changes_neither_instance_nor_revision",
    /// A watch stays at its first snapshot.
    FreezesWatches => "watches::the_latest_snapshot_is_seen",
    /// A watch of an unknown service sees nothing for ever.
    IgnoresUnknown => "watches::an_unknown_service_comes_into_being",
    /// A watch does not see the last instance go.
    SkipsTheLast => "watches::a_service_may_vanish_and_return",
    /// Snapshots are all of revision 1,000.
    StopsRevisions => "sharing::revisions_grow_with_every_write",
    /// A well registry calls its snapshots stale.
    CriesWolf => "instances::a_registered_instance_is_seen",
}

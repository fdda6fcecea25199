//! Whatever happens to etcd, callers are served, and what is known is right again within a bound.
//!
//! Real servers, real faults. All the while, calls go on in most of these tests: none fails, none waits, and the list is
//! never empty. With a time-to-live (TTL) of 5 s:
//!
//! | Fault | Test | Members | Bound |
//! |---|---|---|---|
//! | kill -9 of all, and a restart | `members::all_are_killed_and_come_back` | 1, 3 | stale in 6 s; live 2 s after they are up; leases kept, nothing listed |
//! | kill -9 of the leader | `members::the_leader_is_killed` | 3 | 3 s; nothing listed |
//! | kill -9 of the member in use, leader or not | `members::the_member_in_use_is_killed` | 3 | 3 s; leases kept, nothing listed |
//! | SIGSTOP of the member in use, leader or not | `members::the_member_in_use_hangs` | 3 | 4 s; leases kept, nothing listed |
//! | SIGSTOP of all for longer than the TTL | `members::all_hang_for_longer_than_leases_live` | 1, 3 | there again 1 s after SIGCONT |
//! | quorum lost | `members::the_quorum_is_lost` | 3 | stale in 6 s, writes fail in 12 s; live 2 s after it is back |
//! | no member reaches another, clients reach all, for longer than the TTL | `partitions::no_member_reaches_another` | 3 | the same; leases kept, nothing listed |
//! | the member in use reaches no other, leader or not | `partitions::the_member_in_use_is_alone` | 3 | 6 s; leases kept, nothing listed |
//! | black hole on the connection in use | `connections::an_old_connection_swallows_everything` | 1, 3 | 4 s; nothing listed |
//! | black hole on all connections, both ways or one | `connections::all_connections_swallow_everything` | 1, 3 | stale in 6 s; live 4 s after it ends |
//! | one way only, to the member in use | `drill::one_way::answers_do_not_arrive`, `…::requests_do_not_arrive` | 3 | 4 s; nothing listed |
//! | connections reset | `connections::connections_are_torn` | 1, 3 | 2 s; no change lost, nothing listed |
//! | compacted while away | `history::what_happened_meanwhile_was_compacted` | 1, 3 | 3 s; listed once |
//! | all data lost | `history::everything_is_lost`, `drill::one_way::three_members_lose_everything` | 1, 3 | there again a third of the TTL and 1 s after they are up |
//! | history rolled back | `history::the_history_is_rolled_back` | 1, 3 | 5 s; revisions never go back |
//! | an older backup restored, later a younger one: another history, though longer | `history::the_history_is_another_one_though_longer` | 1, 3 | 5 s |
//! | lease revoked | `leases::a_revoked_lease_is_replaced` | 1, 3 | there again in 2 s |
//! | key deleted | `leases::a_deleted_key_is_put_again_but_a_deregistered_one_is_not` | 1, 3 | there again in 2 s |
//! | an announcement given up while etcd is down | `leases::an_announcement_dropped_while_etcd_is_down_is_taken_out_when_it_is_back` | 1, 3 | gone 4 s after they are up |
//! | the announcing process frozen for longer than the TTL | `frozen::who_wakes_is_there_again` | 1, 3 | there again 2 s after it wakes |
//! | … and somebody has taken its place | `frozen::who_wakes_spares_a_successor` | 1, 3 | one owner all the while; given up 2 s after it wakes |
//! | the announcing process cut off for longer than the TTL | `leases::who_was_away_for_too_long_comes_back_and_spares_a_successor` | 1, 3 | there again in 4 s; one owner |
//! | the announcing process dead | `leases::a_process_that_dies_is_a_suspect_and_then_gone` | 1, 3 | suspect in two TTLs, gone after its grace |
//! | no space left (NOSPACE) | `values::the_store_is_full` | 1, 3 | leases kept, fewer than 20 tries a second; there again in 3 s |
//! | tokens run out, and streams break | `auth::tokens_run_out` | 1, 3 | written in 1 s; watched 3 s after a restart; leases kept |
//! | authentication switched on, with tokens for 2 s, and off again | `drill::random` | 1, 3 | settled 20 s after the end |
//! | no permission, wrong password, wrong certificate | `auth::the_permissions_in_the_documentation_suffice`, `auth::certificates_are_checked_on_both_sides` | 1 | an error that says so |
//! | 1,000 writes, 9 MB, at once | `connections::a_burst_is_caught_up_with` | 1, 3 | 5 s; nothing listed |
//! | more than one message can hold | `values::a_list_that_is_too_large_for_one_message_is_read_in_parts`, `values::a_value_that_is_too_large_is_refused` | 1 | read in parts; refused with an error that says so |
//! | values that nobody can read | `values::a_bad_value_is_left_out_and_counted` | 1, 3 | left out, and counted in 1 s |
//! | start while etcd is down, with a cache | `cold::it_begins_with_what_it_knew_and_goes_on_with_what_is_there` | 1, 3 | what was known, at once; live 3 s after they are up |
//! | start while etcd is down, without | `auth::nobody_is_there_at_the_start` | 1 | an error, an empty list or a wait, as was asked for; filled 3 s after it is up |
//! | all of it, in random order | `drill::random` | 1, 3 | missing at most 8 s; settled 20 s after the end |
//!
//! Bounds are those of a machine that does nothing else; tests fail at four times as much, drills at twice. What was
//! measured is printed (`--nocapture`).

mod support;

mod auth;
mod cold;
mod connections;
mod frozen;
mod history;
mod leases;
mod members;
#[cfg(target_os = "linux")]
mod partitions;
mod values;

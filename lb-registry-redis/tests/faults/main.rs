//! What is promised while Redis fails, on real servers that really fail. Every row has its bound; calls go on all the
//! while, and must not notice any of it.
//!
//! | Fault | Bound | Where |
//! |---|---|---|
//! | kill -9, data lost | what was announced is there again a third of its time-to-live and 2 s after the restart | `data::what_is_announced_is_back_after_a_restart_without_data` |
//! | kill -9, data kept, away for longer than a time-to-live | converged in 3 s, nobody missing | `data::a_restart_with_its_data_changes_nothing` |
//! | `FLUSHALL` | there again after a third of a time-to-live and 1 s | `data::what_is_announced_is_back_after_flushall` |
//! | … of what was only registered | suspect, and gone after three times-to-live | `data::what_was_only_registered_is_suspect_after_a_loss_and_then_gone` |
//! | master killed | converged 4 s after the promotion | `failover::a_killed_master_is_left_for_the_promoted_one` |
//! | master hung, deposed, awake again | left in 4 s | `failover::a_deposed_master_is_left_though_it_takes_writes` |
//! | two masters: one cut off from the sentinels | left in 4 s | `failover::of_two_masters_it_is_the_promoted_one` |
//! | planned failover | left in 4 s | `failover::a_planned_failover_is_followed_and_what_is_announced_survives` |
//! | master in a Cluster killed, or hung | converged 20 s after the promotion | `failover::a_killed_master_in_a_cluster_is_left_for_the_promoted_one`, `…::a_master_that_hangs_in_a_cluster_is_left_for_the_promoted_one` |
//! | planned failover in a Cluster | converged in 20 s | `failover::a_planned_failover_in_a_cluster_is_followed` |
//! | master cut off from its Cluster, which has gone on without it; it answers | left 30 s later; converged in 50 s | `failover::a_master_that_its_cluster_has_gone_on_without_is_left_though_it_answers` |
//! | nodes of a Cluster stopped in turn | converged in 5 s | `failover::a_cluster_node_that_hangs_and_comes_back_is_used_again` |
//! | node of a Cluster dead while it is connected to | read 4 s after the Cluster is whole, by who only reads, too | `failover::a_cluster_node_that_was_dead_at_the_start_is_found_by_who_only_reads` |
//! | node of a Cluster hangs | whoever connects meanwhile is connected to the others in 6 s | `failover::a_cluster_node_that_hangs_keeps_nobody_from_the_others` |
//! | server stopped for longer than a time-to-live | stale in 6 s; converged in 3 s; nobody taken for dead | `connections::a_stopped_server_is_waited_for_and_nobody_is_taken_for_dead` |
//! | black hole, both ways or one | stale in 6 s; converged in 3 s | `connections::connections_into_a_black_hole_are_replaced`, `…::a_way_that_is_open_in_one_direction_only_is_no_way` |
//! | connections reset, or killed | converged in 2 s | `connections::reset_connections_are_made_anew`, `…::killed_connections_are_made_anew` |
//! | subscriptions killed | no change lost, in 3 s | `connections::a_killed_subscription_loses_no_change` |
//! | message lost | seen in 6 s | `connections::a_change_whose_message_is_lost_is_found_by_its_version` |
//! | a slow way, a large service | known in 13 s, and nobody is held up | `connections::a_service_that_takes_long_to_read_is_read_and_holds_nobody_up` |
//! | replica promoted that was behind: history goes back | noticed in 6 s | `data::a_history_that_went_back_is_taken_over` |
//! | `ZREM`, `HDEL` | there again after a third of a time-to-live and 1 s | `data::a_deleted_key_is_written_again_with_the_next_beat` |
//! | process frozen for longer than its time-to-live | taken out in two of them and 2 s; awake, there again in 2 s; an id has one owner | `data::a_dead_process_is_taken_out_by_the_others`, `…::a_process_that_wakes_up_is_there_again` |
//! | no memory left | heartbeats pass, nothing spins; converged in 3 s | `data::a_server_without_memory_is_no_outage` |
//! | rights taken away | stale in 8 s; converged in 5 s | `access::rights_that_are_taken_away_and_given_back` |
//! | no right to listen | changes seen in 8 s | `access::without_the_right_to_listen_changes_are_seen_by_polling` |
//! | 2,000 writes at once | seen in 6 s | `values::a_burst_is_followed_to_its_end` |
//! | values that cannot be read | left out and counted in 6 s | `values::a_value_that_cannot_be_read_is_left_out_and_counted`, `…::a_key_of_another_kind_stops_nothing_else` |
//! | scripts flushed | 1 s | `values::scripts_that_are_flushed_are_sent_again` |
//! | start while Redis is away | what is on disk, at once; later what Redis holds | `cold_start::it_begins_with_what_is_on_disk_and_catches_up` |

mod access;
mod cold_start;
mod connections;
mod data;
mod failover;
mod fleet;
mod values;

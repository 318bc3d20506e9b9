//! The cache, on a server, on a ring of three and on a copy of three: the same claims on each, with each codec.
//!
//! docs/cache.md numbers the claims.

mod basics;
mod bulk;
mod condition;
mod counter;
mod django;
mod events;
mod expiry;
mod faults;
mod load;
mod preset;
mod race;
mod stale;
mod sweep;
mod versions;

use std::sync::OnceLock;
use std::time::Duration;

use redisdb_cache::Cache;
use redisdb_cache::CacheBuilder;
use redisdb_cache::Codec;
use redisdb_cache::Ttl;
use redisdb_cluster::RedisCopy;
use redisdb_cluster::RedisRing;
use redisdb_node::KeyCommands;
use redisdb_node::Node;
use redisdb_tests::copy_over;
use redisdb_tests::is_since;
use redisdb_tests::ring_over;
use xtask::Server;
use xtask::Servers;

/// The time by which a copy may be ahead of its servers, which tells them when something ends: by half of how long it took them to say
/// what time it is, on a machine that is busy.
const AHEAD: Duration = Duration::from_secs(1);

const CODECS: [Codec; 2] = [Codec::Json, Codec::MsgPack];

/// Returns what a claim is made of: a fresh cache whose keys nobody else uses.
fn built<E>(builder: CacheBuilder<E>, claim: &str, codec: Codec) -> Cache<E> {
    // Two runs of one claim, on the same servers, differ in the codec.
    builder.prefix(format!("{claim} {codec:?}")).codec(codec).build().unwrap()
}

async fn node() -> Node {
    static SERVER: OnceLock<Server> = OnceLock::new();
    Node::connect(SERVER.get_or_init(|| Server::start().unwrap()).url()).await.unwrap()
}

async fn ring() -> RedisRing {
    static SERVERS: OnceLock<Servers> = OnceLock::new();
    ring_over(SERVERS.get_or_init(|| Servers::start(3).unwrap())).await
}

async fn copy() -> RedisCopy {
    static SERVERS: OnceLock<Servers> = OnceLock::new();
    copy_over(SERVERS.get_or_init(|| Servers::start(3).unwrap())).await
}

/// Makes tests of claims, on each store.
macro_rules! claims {
    ($($module:ident: $($claim:ident)*;)*) => {
        mod node {
            $($(claims!(super::node, $module, $claim);)*)*
        }
        mod ring {
            $($(claims!(super::ring, $module, $claim);)*)*
        }
        mod copy {
            $($(claims!(super::copy, $module, $claim);)*)*
        }
    };
    ($store:path, $module:ident, $claim:ident) => {
        #[tokio::test]
        async fn $claim() {
            let store = $store().await;
            for codec in super::CODECS {
                let builder = redisdb_cache::Cache::builder(store.clone());
                super::$module::$claim(super::built(builder, stringify!($claim), codec)).await;
            }
        }
    };
}

claims! {
    basics:
        what_was_set_is_found
        what_was_never_set_is_missing
        a_null_is_a_value
        the_last_value_counts
        every_type_comes_back
        every_float_comes_back
        what_would_come_back_as_something_else_is_refused
        a_bool_is_no_integer
        bytes_survive
        any_characters_make_a_key
        keys_differ_in_case
        a_deleted_key_is_gone
        a_key_is_there_or_not
        an_unserializable_value_is_not_stored
        another_type_is_an_error
        a_value_over_the_limit_is_not_sent
        an_integer_is_stored_as_its_digits
        prefixes_do_not_meet
        a_damaged_value_is_an_error
        an_entry_of_another_key_is_an_error
        what_is_no_string_is_foreign
        a_closed_cache_refuses;
    bulk:
        get_many_finds_what_there_is
        get_many_keeps_order_and_duplicates
        nothing_asked_is_nothing_found
        set_many_sets_all
        set_many_keeps_the_time
        a_value_that_fails_does_not_stop_the_others
        delete_many_counts_what_was_there
        more_keys_than_a_batch;
    condition:
        add_sets_what_is_not_there
        add_after_the_end_sets
        add_for_no_time_stores_nothing
        add_without_end_stays
        replace_sets_what_is_there
        an_unserializable_value_is_not_added;
    expiry:
        an_entry_expires
        a_short_life_is_not_none
        the_default_time_is_five_minutes
        the_time_of_the_call_counts
        an_entry_without_end_stays
        a_life_of_zero_removes
        a_long_life_counts_from_now
        the_time_left_is_told
        touch_changes_the_time
        touch_says_whether_there_is_a_value
        a_touch_of_zero_deletes
        an_instant_is_kept_to;
    versions:
        a_version_sees_its_own_entries
        a_value_moves_with_what_is_left_of_its_time
        nothing_cannot_be_moved;
    load:
        a_value_is_loaded_once_and_then_found
        what_does_not_exist_is_noted
        what_does_not_exist_is_asked_for_again_if_not_noted
        a_hundred_callers_are_one_load
        a_caller_that_goes_away_stops_nothing
        a_panic_is_an_error_to_all_and_the_next_call_loads
        a_load_that_is_too_long_is_returned_and_not_stored
        the_error_of_the_loader_is_told_to_all
        a_loader_that_takes_too_long_is_stopped
        a_slow_load_does_not_undo_a_set
        a_slow_load_does_not_undo_a_delete
        a_load_does_not_undo_what_another_cache_set
        a_damaged_value_is_loaded_anew
        refresh_loads_whatever_is_there
        a_version_loads_its_own
        an_unserializable_load_is_an_error
        what_the_codec_cannot_hold_is_returned_and_not_stored
        what_could_not_be_read_again_is_returned_and_not_stored
        who_waits_for_what_cannot_be_stored_loads_alone
        many_are_loaded_by_one_call
        a_slow_load_of_many_does_not_undo_writes;
    stale:
        a_stale_value_is_served_and_loaded_once
        a_stale_value_goes_after_its_grace
        a_failed_refresh_keeps_the_stale_value_and_rests
        a_refresh_that_cannot_be_stored_keeps_the_stale_value_and_rests
        a_refresh_that_panics_rests
        many_that_were_loaded_become_stale;
    preset:
        django_keys_are_those_of_django
        resilient_lives_are_a_little_shorter
        a_string_can_be_bare
        what_needs_an_envelope_is_refused_without
        a_time_without_end_can_be_the_default;
    counter:
        a_counter_counts
        a_counter_that_is_not_there_is_missing
        what_is_no_number_is_not_counted
        a_counter_keeps_its_time
        an_overflow_changes_nothing
        large_numbers_are_exact
        a_counter_starts_where_it_is_told
        a_hundred_callers_count_exactly;
    sweep:
        clear_deletes_all_of_its_own_and_nothing_else
        clear_needs_a_prefix
        a_pattern_deletes_what_matches
        a_prefix_is_taken_literally
        keys_are_found_as_they_were_given
        keys_that_come_during_a_scan_are_no_error
        the_progress_of_a_sweep_is_told;
}

#[tokio::test]
async fn a_counter_that_begins_on_a_copy_ends_everywhere_at_one_moment() {
    let servers = Servers::start(3).unwrap();
    let copy = copy_over(&servers).await;
    if !is_since(&copy.nodes().next().unwrap(), (7, 0, 0), "PEXPIRETIME").await {
        return;
    }
    let cache = Cache::builder(copy.clone()).prefix("p").build().unwrap();
    for i in 0..30 {
        let ttl = Ttl::After(Duration::from_secs(1000));
        assert_eq!(cache.incr_from(format!("k:{i}").as_str(), 1, 0, ttl).await.unwrap(), 1);
    }
    let keys = copy.on_node("a").unwrap().keys::<String>("*").await.unwrap();
    assert_eq!(keys.len(), 30);
    for key in keys {
        let mut ends = Vec::new();
        for node in copy.nodes() {
            ends.push(node.query::<u64>(redis::cmd("PEXPIRETIME").arg(&key)).await.unwrap());
        }
        assert!(ends.iter().all(|end| *end == ends[0]), "{key}: {ends:?}");
    }
}

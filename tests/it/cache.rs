//! The cache, on a server, on a ring of three and on a copy of three: the same claims on each, with each codec.
//!
//! docs/cache.md numbers the claims.

mod basics;
mod bulk;
mod expiry;

use std::sync::OnceLock;

use redisdb_cache::Cache;
use redisdb_cache::CacheBuilder;
use redisdb_cache::Codec;
use redisdb_node::Node;
use redisdb_tests::copy_over;
use redisdb_tests::ring_over;
use xtask::Server;
use xtask::Servers;

const CODECS: [Codec; 2] = [Codec::Json, Codec::MsgPack];

/// What a claim is made of: a fresh cache whose keys nobody else uses.
fn built<E>(builder: CacheBuilder<E>, claim: &str, codec: Codec) -> Cache<E> {
    // Two runs of one claim, on the same servers, differ in the codec.
    builder.prefix(format!("{claim} {codec:?}")).codec(codec).build().unwrap()
}

/// The servers that those claims share which break none.
fn node_server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start().unwrap())
}

fn ring_servers() -> &'static Servers {
    static SERVERS: OnceLock<Servers> = OnceLock::new();
    SERVERS.get_or_init(|| Servers::start(3).unwrap())
}

fn copy_servers() -> &'static Servers {
    static SERVERS: OnceLock<Servers> = OnceLock::new();
    SERVERS.get_or_init(|| Servers::start(3).unwrap())
}

/// The claims of some modules, each of which runs everywhere.
macro_rules! claims {
    ($($module:ident: $($claim:ident)*;)*) => {
        mod node {
            use super::*;
            $($(
                #[tokio::test]
                async fn $claim() {
                    let node = Node::connect(node_server().url()).await.unwrap();
                    for codec in CODECS {
                        $module::$claim(built(Cache::builder(node.clone()), stringify!($claim), codec)).await;
                    }
                }
            )*)*
        }
        mod ring {
            use super::*;
            $($(
                #[tokio::test]
                async fn $claim() {
                    let ring = ring_over(ring_servers()).await;
                    for codec in CODECS {
                        $module::$claim(built(Cache::builder(ring.clone()), stringify!($claim), codec)).await;
                    }
                }
            )*)*
        }
        mod copy {
            use super::*;
            $($(
                #[tokio::test]
                async fn $claim() {
                    let copy = copy_over(copy_servers()).await;
                    for codec in CODECS {
                        $module::$claim(built(Cache::builder(copy.clone()), stringify!($claim), codec)).await;
                    }
                }
            )*)*
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
        a_bool_is_no_integer
        bytes_survive
        any_characters_make_a_key
        keys_differ_in_case
        a_deleted_key_is_gone
        an_unserializable_value_is_not_stored
        another_type_is_an_error
        a_value_over_the_limit_is_not_sent
        an_integer_is_stored_as_its_digits;
    bulk:
        get_many_finds_what_there_is
        get_many_keeps_order_and_duplicates
        nothing_asked_is_nothing_found
        set_many_sets_all
        set_many_keeps_the_time
        a_value_that_fails_does_not_stop_the_others
        more_keys_than_a_batch;
    expiry:
        an_entry_expires
        a_short_life_is_not_none
        the_default_time_is_five_minutes
        the_time_of_the_call_counts
        an_entry_without_end_stays
        a_life_of_zero_removes
        a_long_life_counts_from_now
        the_time_left_is_told;
}

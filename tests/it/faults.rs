//! Calls while servers and networks fail: single calls, and a load of 64 tasks during each fault.
//!
//! Whatever the fault, a ring and a copy must show: no reply that belongs to something else; no call that hangs; no
//! failure of a node that is well; no counter outside of what was acknowledged and what may have been executed; nothing
//! acknowledged that is missing, stale or lost, but on a ring for what a server itself has lost; and on a copy, in the
//! end, the same on all nodes. `Tally::check` and `Scene::end` assert that; each row adds what is special to it.

/// Each row on a ring and on a copy.
macro_rules! rows {
    ($($row:ident),+ $(,)?) => {
        mod on_a_ring {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $row() {
                    super::super::verdict::conclude(super::$row::<redisdb::RedisRing>).await;
                }
            )+
        }

        mod on_a_copy {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $row() {
                    super::super::verdict::conclude(super::$row::<redisdb::RedisCopy>).await;
                }
            )+
        }
    };
}

mod access;
mod calls;
mod clients;
mod crash;
mod hang;
mod limits;
mod load;
mod machine;
mod network;
mod refusal;
mod replies;
mod scene;
mod subject;
mod tally;
mod verdict;

//! The command line of `cargo xtask`.

use std::ffi::OsString;

xflags::xflags! {
    /// The tasks of this project. Those that need Redis servers start their own and leave none behind.
    cmd xtask {
        /// Watch keys being spread over three servers and copied to three more, and one server die.
        cmd demo {
            /// Build with optimizations: a longer build, the real throughput.
            optional --release
        }

        /// Run the whole test suite on real servers, or the named modules of `tests/it`.
        cmd test-cluster {
            /// The number of servers of a ring or a copy under test; default 3.
            optional --nodes n: usize
            /// The server to test with: a name as in `valkey-9`, or a path; `list` shows the names and what can be had.
            optional --server path: OsString
            /// Names of test modules, as in `ring` or `faults`, or of single tests; default: everything.
            repeated filter: String
        }

        /// Play faults that overlap at random on a copy that several processes use, and judge whether it keeps its promises.
        cmd chaos {
            /// The seeds, as `A..B` without B, or one; default 1. A seed decides which faults come when.
            optional --seeds range: String
            /// Leave out the seeds that have a verdict from an earlier run with the same options.
            optional --resume
            /// The number of servers of the copy; default 3.
            optional --nodes n: usize
            /// The number of client processes that use it; default 3.
            optional --processes n: usize
            /// The time during which faults begin, for each seed; default 60.
            optional --seconds n: u64
            /// Only these faults, with commas between, as in `kill,cut`; default: all.
            optional --faults kinds: String
            /// The most faults in one outage; default 2.
            optional --together n: usize
            /// The number of keys that the servers hold and nobody uses, so that comparing all takes its time; default none.
            optional --ballast n: usize
            /// The server to test with, as for `test-cluster`.
            optional --server path: OsString
            /// Give the copy no identity.
            optional --no-identity
            /// Keep the journals of the clients and the logs of the servers of a seed that has broken a promise.
            optional --keep
            /// Show which faults would come when, and run nothing.
            optional --plan
        }

        /// Have several processes write the same keys of a copy at the same moment, and judge whether its nodes become equal.
        cmd races {
            /// The seeds, as `A..B` without B, or one; default 1. A seed decides which keys are written when.
            optional --seeds range: String
            /// Leave out the seeds that have a verdict from an earlier run with the same options.
            optional --resume
            /// The number of client processes that write; default 2.
            optional --processes n: usize
            /// The number of keys over all operations together; default 10000, of `--storm` 100000, of `--clock` 1000, of `--cost` 2000.
            optional --keys n: usize
            /// The server to test with, as for `test-cluster`.
            optional --server path: OsString
            /// Leave the nodes different, and see that the race makes them so.
            optional --leave
            /// Kill one of the processes in the middle of each round of 50 keys, and start it anew.
            optional --kill
            /// Change keys by pipelines for a minute, 20,000 in a second if that can be.
            optional --storm
            /// Have keys end, with the clock of one server 30 s ahead; needs libfaketime.
            optional --clock
            /// Measure what it takes the servers that the nodes become equal, for each key that is written.
            optional --cost
            /// Keep what the clients have told of a seed that has broken a promise.
            optional --keep
            /// Have the servers tell all commands, so that the traces of a seed show those of each key that differs.
            optional --monitor
        }

        /// Servers to play with.
        cmd cluster {
            /// Start servers, print their URLs and a config file, and stay until Ctrl-C.
            cmd up {
                /// How many; default 3.
                optional --nodes n: usize
            }
        }

        /// Run the benchmarks, or one of them; `compare`: let the clients of Rust take turns; `peers`: those of other
        /// languages; `instructions`: count those of each call, by valgrind; `scale`: rings of 3, 10 and 100 nodes.
        cmd bench {
            /// Of `compare`: only the main results, in two minutes; of `scale`: one run of each.
            optional --quick
            /// The name of one benchmark, or of a comparison.
            optional name: String
            /// What criterion is to be told, after `--`, as in `-- --save-baseline main`.
            repeated args: OsString
        }

        /// Run everything a change has to pass.
        cmd ci {
            /// Only these steps, as in `tidy`; default: all.
            repeated step: String
        }
    }
}

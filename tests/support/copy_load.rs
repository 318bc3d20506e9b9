//! Another client process of a copy: writes and reads until its standard input ends, then says what it has seen.
//!
//! `copy_load NAME IDENTITY URL ..`, where an identity of `-` means none.

use std::io::Read;
use std::io::Write;

use redisdb_tests::Load;
use redisdb_tests::process;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (who, identity, urls) = (&args[0], &args[1], &args[2..]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let identity = (identity != "-").then_some(identity.as_str());
        let copy = process(urls, identity).connect().await.unwrap();
        let load = Load::start(&copy, who, 8);
        println!("started");
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await.unwrap().unwrap();
        print!("{}", load.stop().await);
        std::io::stdout().flush().unwrap();
        // What it knows that a node has missed, it alone knows: it stays until that has been brought over.
        redisdb_tests::eventually("all is brought over", async || {
            copy.health().iter().all(|(_, health)| *health == redisdb::Health::Up)
        })
        .await;
    });
}

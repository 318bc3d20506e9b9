//! Messages of a publisher in another process: this test, run once more.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::process::Child;
use std::process::ChildStdin;
use std::process::Stdio;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::thread;

use redisdb::RedisRing;
use redisdb::node::PubSubCommands;
use redisdb::node::PubSubEvent;
use redisdb::node::Subscription;
use redisdb_tests::DEADLINE;
use redisdb_tests::NAMES;
use redisdb_tests::eventually;
use redisdb_tests::ring;
use xtask::Data;
use xtask::Servers;
use xtask::once_more;
use xtask::told;

const CHANNEL: &str = "news";

/// A process that publishes the numbers from 0 on, as many as it is told to.
struct Publisher {
    process: Child,
    more: ChildStdin,
    published: Receiver<(u64, u64)>,
    n_ordered: u64,
}

impl Publisher {
    fn start(servers: &Servers) -> Self {
        let mut process = once_more(&servers.urls().join(","))
            .unwrap()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let more = process.stdin.take().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (sender, published) = mpsc::channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let Some(numbers) = line.strip_prefix("published ") else { continue };
                let (number, receivers) = numbers.split_once(" to ").unwrap();
                let _nobody_listens = sender.send((number.parse().unwrap(), receivers.parse().unwrap()));
            }
        });
        Self { process, more, published, n_ordered: 0 }
    }

    /// Has so many more numbers published.
    fn order(&mut self, n: u64) {
        self.n_ordered += n;
        writeln!(self.more, "{n}").unwrap();
    }

    /// Waits until so many of them have been, and returns how many listened to each.
    fn published(&self, n: u64) -> BTreeMap<u64, u64> {
        (0..n).map(|_| self.published.recv_timeout(DEADLINE).expect("it publishes nothing")).collect()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _status = self.process.wait();
    }
}

/// The work of the other process, which is told the URLs of the ring.
async fn publish(urls: &str) {
    let nodes = NAMES.iter().zip(urls.split(','));
    let ring = nodes.fold(RedisRing::builder(), |ring, (name, url)| ring.node(*name, url));
    let ring = ring.connect().await.unwrap();
    println!();
    let mut number = 0u64;
    for order in std::io::stdin().lines() {
        for _ in 0..order.unwrap().parse::<u64>().unwrap() {
            let mut receivers = 0;
            eventually("it is published", async || match ring.publish(CHANNEL, number).await {
                Ok(n) => {
                    receivers = n;
                    true
                }
                Err(_) => false,
            })
            .await;
            println!("published {number} to {receivers}");
            number += 1;
        }
    }
}

async fn next(subscription: &mut Subscription) -> PubSubEvent {
    tokio::time::timeout(DEADLINE, subscription.next()).await.expect("nothing comes")
}

/// Receives exactly these numbers, in order; whether every one of them had this subscriber is what the publisher says.
async fn receive(subscription: &mut Subscription, numbers: std::ops::Range<u64>) {
    for number in numbers {
        match next(subscription).await {
            PubSubEvent::Message(message) => assert_eq!(message.payload_as::<u64>().unwrap(), number),
            other => panic!("{other:?} before {number}"),
        }
    }
}

#[tokio::test]
async fn a_subscriber_gets_all_of_it_while_another_node_dies_and_is_told_of_the_gap_when_its_own_does() {
    if let Some(urls) = told() {
        return publish(&urls).await;
    }
    let (mut servers, ring) = ring().await;
    let own = ring.node_for(CHANNEL).name().to_owned();
    let own_idx = NAMES.iter().position(|name| *name == own).unwrap();
    let other_idx = (own_idx + 1) % NAMES.len();
    let mut news = ring.subscribe(CHANNEL).await.unwrap();
    let mut publisher = Publisher::start(&servers);

    publisher.order(500);
    receive(&mut news, 0..500).await;
    // All of this while it publishes.
    publisher.order(5000);
    receive(&mut news, 500..1500).await;
    servers[other_idx].kill();
    receive(&mut news, 1500..3000).await;
    servers[other_idx].restart(Data::Lose).unwrap();
    receive(&mut news, 3000..5500).await;
    assert!(publisher.published(5500).values().all(|receivers| *receivers == 1));

    publisher.order(500);
    receive(&mut news, 5500..5600).await;
    servers[own_idx].kill();
    servers[own_idx].restart(Data::Lose).unwrap();
    let mut last = 5599;
    loop {
        match next(&mut news).await {
            PubSubEvent::Message(message) => {
                let number = message.payload_as().unwrap();
                assert!(last < number, "{number} after {last}");
                last = number;
            }
            PubSubEvent::Gap { node } => {
                assert_eq!(*node, *own);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    let listened = publisher.published(500);
    // From the gap on nothing is missing again.
    let base = publisher.n_ordered;
    publisher.order(500);
    let mut after_the_gap = Vec::new();
    while after_the_gap.last() != Some(&(base + 499)) {
        match next(&mut news).await {
            PubSubEvent::Message(message) => after_the_gap.push(message.payload_as::<u64>().unwrap()),
            other => panic!("{other:?}"),
        }
    }
    let first = after_the_gap[0];
    assert_eq!(after_the_gap, (first..base + 500).collect::<Vec<_>>());
    assert!(first <= base && listened.range(first..).all(|(_, receivers)| *receivers == 1), "{first}");
}

//! The fuzz target for what servers say: a network of servers that say it. `fuzz/` calls it, and so does a test below, with
//! the same corpus.

mod network;
mod replies;

use std::fmt;
use std::time::Duration;

use crate::Node;
use crate::NodeConfig;
use crate::Observer;
use crate::RunScript;
use crate::Script;
use crate::StringCommands;
use crate::connection::sentinel::MOST_NAMED;

use self::network::Network;
pub(crate) use self::network::connect;
pub use self::replies::replies;
#[cfg(test)]
pub(crate) use self::replies::taken;

#[cfg(test)]
#[path = "../../../fuzz/inputs.rs"]
mod inputs;

/// A reply may take so much, in bytes.
const LIMIT: usize = 1 << 20;
/// So long may an error be, as text and as `Debug` together: a few lines.
const LONGEST: usize = 3000;

/// Connects to a server that says any bytes. Whatever they are, the outcome is a connection or an error in time, never a
/// panic; an error is short, and does not show the password, though the server repeats each command that it was sent, and may
/// say the password in answer to any.
///
/// The first byte chooses what the client logs in with (1: a password, 2: a user too, 4: a database) and what is connected (8: a
/// subscription, 16: a dedicated connection, in place of the shared one; 32: a pipeline, a block, a script and a transaction after the other calls). The rest is what the server says, see
/// [`Network::new`].
pub fn handshake(data: &[u8]) {
    let _is_let_in = is_let_in(data);
}

fn is_let_in(data: &[u8]) -> Option<bool> {
    let (&choice, says) = data.split_first()?;
    let secret = secret(says)?;
    let credentials = match choice & 3 {
        1 => format!(":{secret}@"),
        3 => format!("ann:{secret}@"),
        _ => String::new(),
    };
    let db = if choice & 4 == 0 { "" } else { "/3" };
    // A server knows what it was sent.
    let known = if credentials.is_empty() { "" } else { &secret };
    let (is_let_in, n_connections, time) = Network::new(says, known).run(async {
        let node = node(&format!("redis://{credentials}server{db}"), &secret)?;
        Some(match choice >> 3 & 3 {
            1 => match node.subscribe("news").await {
                Ok(mut news) => tokio::time::timeout(Duration::from_secs(3), news.next()).await.is_ok(),
                Err(error) => check(&error, &secret),
            },
            2 => is_well(node.dedicated().await, &secret),
            _ => {
                let is_ready = is_well(node.ready().await, &secret);
                let is_read = is_well(node.get::<String>("k").await, &secret);
                // In which an idle connection is looked after, and one that was lost is made anew.
                tokio::time::sleep(Duration::from_secs(3)).await;
                is_well(node.get::<String>("k").await, &secret);
                if choice & 32 != 0 {
                    call_in_other_ways(&node, &secret).await;
                }
                is_ready && is_read
            }
        })
    })?;
    // Some 32 short ones in a row, and then at most five a second, of which each may be made a second time, with nothing asked.
    assert!(n_connections <= 40 + 10 * time.as_secs() as usize, "{n_connections} connections in {time:?}");
    is_let_in
}

async fn call_in_other_ways(node: &Node, secret: &str) {
    for pipeline in [node.pipeline(), node.pipeline().atomic()] {
        let promises = (pipeline.get::<String>("k"), pipeline.incr("n"));
        is_well(pipeline.execute().await.check(), secret);
        is_well(promises.0.await, secret);
        is_well(promises.1.await, secret);
    }
    is_well(node.invoke::<i64>(&Script::new("return 1").key("k")).await, secret);
    let bought = node.transaction("k", |transaction| async move {
        let queue = transaction.queue();
        let n = queue.incr("n");
        queue.execute().await.check()?;
        n.await
    });
    is_well(bought.await, secret);
}

/// Connects to the master that sentinels name, which say any bytes, and so does whoever they name. Whatever they are, the
/// outcome is a connection or an error in time, never a panic; few are asked, however many are named; and passwords, those of
/// the sentinels and of the master, are not shown.
///
/// The first byte chooses whether the sentinels ask for a password (1), and whether there are two (2). The rest is what is said,
/// see [`Network::new`].
pub fn sentinel(data: &[u8]) {
    let _is_found = is_found(data);
}

fn is_found(data: &[u8]) -> Option<bool> {
    let (&choice, says) = data.split_first()?;
    let secret = secret(says)?;
    let password = if choice & 1 == 0 { String::new() } else { format!("?sentinel_password={secret}") };
    let hosts = if choice & 2 == 0 { "one" } else { "one,two" };
    let (is_found, n_connections, _) = Network::new(says, &secret).run(async {
        let node = node(&format!("redis+sentinel://:{secret}@{hosts}/my{password}"), &secret)?;
        let is_found = is_well(node.ready().await, &secret);
        let named = node.config().sentinels().learned();
        assert!(named.len() <= MOST_NAMED + 1, "{} are kept", named.len());
        let shown = format!("{:?}", node.config());
        assert!(!shown.contains(&secret) && shown.len() < 1000 + 300 * named.len(), "{shown}");
        Some(is_found)
    })?;
    // Each is asked once and is the master once, and a server that ends the connection is asked in another way.
    assert!(n_connections <= 4 * (2 + MOST_NAMED), "{n_connections} connections");
    is_found
}

/// A password of a letter that is nowhere in what is said, so that nobody shows it but who repeats it, however parts of what is
/// said come together.
fn secret(says: &[u8]) -> Option<String> {
    let letter = ('A'..='Z').find(|letter| !says.iter().any(|byte| char::from(*byte) == *letter))?;
    Some(letter.to_string().repeat(8))
}

fn node(url: &str, secret: &str) -> Option<Node> {
    let secret = secret.to_owned();
    let observer = Observer::new(move |_, event| _ = check(&event, &secret));
    let config = NodeConfig::new(url).ok()?;
    Some(Node::observed(config.with_max_reply(LIMIT), observer))
}

fn is_well<T>(outcome: Result<T, crate::Error>, secret: &str) -> bool {
    outcome.map_or_else(|error| check(&error, secret), |_| true)
}

/// Makes sure that what is told of what went wrong may be told.
fn check(told: &(impl fmt::Display + fmt::Debug), secret: &str) -> bool {
    let shown = format!("{told} {told:?}");
    assert!(!shown.contains(secret), "{shown}");
    assert!(shown.len() <= LONGEST, "{} bytes: {shown:.1000}", shown.len());
    assert!(!shown.contains(char::is_control), "{shown:?}");
    false
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::panic;
    use std::sync::Once;

    use super::*;

    thread_local! {
        static N_PANICS: Cell<usize> = const { Cell::new(0) };
    }

    /// Tries an input, and sees panics of its tasks too, which tokio keeps to itself.
    fn with_tasks(f: fn(&[u8]), data: &[u8]) {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                N_PANICS.set(N_PANICS.get() + 1);
                before(panic);
            }));
        });
        let n_before = N_PANICS.get();
        f(data);
        assert_eq!(N_PANICS.get(), n_before, "a task panicked");
    }

    const OK: &[u8] = b"+OK\r\n";
    const PONG: &[u8] = b"+PONG\r\n";
    const ID: &[u8] = b":17\r\n";
    const NIL: &[u8] = b"$-1\r\n";
    const NEWS: &[u8] = b">3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n";
    const NO_INFO: &[u8] = b"-NOPERM User ann has no permissions to run the 'info' command\r\n";

    fn bulk(text: &str) -> String {
        format!("${}\r\n{text}\r\n", text.len())
    }

    fn list(words: &[&str]) -> Vec<u8> {
        format!("*{}\r\n{}", words.len(), words.iter().map(|word| bulk(word)).collect::<String>())
            .into_bytes()
    }

    fn info(version: &str) -> Vec<u8> {
        let time = if version < "7" { "" } else { "server_time_usec:1764450000000000\r\n" };
        let id = "31f1ce1b2cd5d04f4f7e7a4e1b46cdd1d8e4c3a0";
        bulk(&format!("# Server\r\nredis_version:{version}\r\nrun_id:{id}\r\n{time}tcp_port:6379\r\n"))
            .into_bytes()
    }

    /// The answer to `HELLO 3`.
    fn hello(server: &str, version: &str) -> Vec<u8> {
        let [server, version] = [server, version].map(bulk);
        format!(
            "%7\r\n$6\r\nserver\r\n{server}$7\r\nversion\r\n{version}$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:17\r\n$4\r\nmode\r\n\
             $10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"
        )
        .into_bytes()
    }

    fn seed(name: &str, choice: u8, replies: &[&[u8]]) -> (String, Vec<u8>) {
        (name.to_owned(), [&[choice], replies.join(&0).as_slice()].concat())
    }

    /// The same after what lets the shared connection in, which is made before a subscription.
    fn subscribing(name: &str, choice: u8, replies: &[&[u8]]) -> (String, Vec<u8>) {
        let info = info("7.0.15");
        let (password, database) = (usize::from(choice & 1), usize::from(choice >> 2 & 1));
        let shared = [&[OK, OK][..password + database], &[info.as_slice(), ID]].concat();
        seed(name, choice, &[shared.as_slice(), &[OK][..password], replies].concat())
    }

    /// The replies of servers to a client that connects.
    fn handshakes() -> Vec<(String, Vec<u8>)> {
        let (redis_6, redis_7, redis_8) = (info("6.2.14"), info("7.0.15"), info("8.2.3"));
        let (hello_6, hello_valkey) = (hello("redis", "6.2.14"), hello("valkey", "9.1.2"));
        let digest = bulk("82ae2ba0e93e4a2b1ba0f3a1c23d2b0bd5c2a3ff").into_bytes();
        let hello_2 = list(&["server", "redis", "version", "7.2.0", "mode", "standalone"]);
        let message = b">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n";
        let subscribed = [NEWS, message].concat();
        let says_version = bulk("# Server\r\nredis_version:5.0.14\r\n").into_bytes();
        let error = |text: &str| format!("-{text}\r\n").into_bytes();
        let once = |name: &str, choice: u8, text: &str| seed(name, choice, &[&error(text)]);
        vec![
            seed("redis-7", 0, &[&redis_7, ID, NIL, PONG, PONG, PONG, PONG, NIL]),
            seed("redis-6.2-password-database", 5, &[OK, OK, &redis_6, ID, NIL, PONG, PONG, PONG, NIL]),
            seed("redis-8-user", 3, &[OK, &redis_8, ID, NIL, PONG, PONG, PONG, NIL]),
            seed("info-is-denied", 3, &[OK, NO_INFO, &hello_2, &digest, ID, NIL, PONG, PONG, PONG, NIL]),
            seed(
                "info-is-unknown",
                0,
                &[b"-ERR unknown command \x01\r\n", b"-ERR unknown command \x01\r\n", PONG, ID, NIL],
            ),
            seed("info-without-run-id", 0, &[&says_version, ID, NIL, PONG]),
            seed("info-as-a-status", 0, &[b"+run_id:x\r\n", ID, NIL]),
            seed("info-is-cut", 0, &[redis_7.get(..40).unwrap()]),
            seed(
                "client-is-denied",
                0,
                &[&redis_7, b"-NOPERM no permissions \x01\r\n", NIL, PONG, PONG, PONG],
            ),
            seed("ends-after-info", 0, &[&[&redis_7, &b"\x02"[..]].concat(), &redis_7, PONG, PONG, NIL]),
            seed("ends-after-a-refusal", 0, &[b"-ERR no \x01\r\n\x02", b"-ERR no\r\n\x02", PONG, PONG, NIL]),
            seed(
                "ends-after-an-answer",
                0,
                &[&redis_7, ID, b"$-1\r\n\x02", &redis_7, ID, b"$-1\r\n\x02", &redis_7],
            ),
            seed("client-id-again", 0, &[&redis_7, ID, b"$-1\r\n\x02", &redis_7, b":18\r\n", b":1\r\n", NIL]),
            once("wrong-password", 1, "WRONGPASS invalid username-password pair or user is disabled."),
            once("wrong-password-echoed", 1, "WRONGPASS \x01"),
            once("no-password-is-set", 1, "ERR AUTH <password> called without any password configured"),
            seed(
                "redis-5-user",
                3,
                &[b"-ERR wrong number of arguments for 'auth' command\r\n", OK, &redis_7, ID, NIL],
            ),
            once("no-password-given", 0, "NOAUTH Authentication required."),
            once("protected", 0, "DENIED Redis is running in protected mode because\x02"),
            once("too-many-clients", 0, "ERR max number of clients reached\x02"),
            once("loading", 0, "LOADING Redis is loading the dataset in memory"),
            seed("no-such-database", 5, &[OK, b"-ERR DB index is out of range\r\n"]),
            seed("database-echoed", 5, &[OK, b"-ERR \x01\r\n"]),
            seed("password-as-a-status", 1, &[b"+\x01\r\n"]),
            once("password-as-an-error", 1, "\x01"),
            seed("http", 0, &[b"HTTP/1.1 400 Bad Request\r\nContent-Length: 11\r\n\r\nBad Request\x02"]),
            seed("tls-alert", 0, &[b"\x15\x03\x03\x00\x02\x02\x46"]),
            seed("noise", 1, &[b"\xff\xfe\xfd$9\r\n", b"\r\n\r\n"]),
            seed("deep", 0, &[b"\x03*1\r\n\x04\x03*1\r\n\x04"]),
            seed("wide", 0, &[b"*999999999\r\n:1\r\n"]),
            seed("long", 0, &[b"-ERR \x03long and \x1b[2J wide \x04\r\n", b"$99999999999\r\n"]),
            seed("no-number", 0, &[&redis_7, ID, b":x\r\n"]),
            seed("pushes", 0, &[b"\x03>2\r\n+invalidate\r\n*0\r\n\x04", &redis_7, ID, NIL]),
            seed("more-replies-than-questions", 0, &[b"\x03+OK\r\n\x04", ID, NIL]),
            subscribing("subscription", 9, &[&hello_6, &subscribed, PONG]),
            subscribing("subscription-valkey-user", 15, &[&hello_valkey, OK, &subscribed, PONG]),
            subscribing(
                "subscription-ends",
                8,
                &[&hello_6, &[NEWS, b"\x02"].concat(), &hello_6, &subscribed],
            ),
            subscribing(
                "subscription-redis-5",
                9,
                &[b"-ERR unknown command `HELLO`, with args beginning with: \x01\r\n"],
            ),
            subscribing("subscription-proxy", 11, &[b"-ERR unknown command 'hello' \x01\r\n"]),
            subscribing("subscription-echoed", 11, &[b"-\x01\r\n"]),
            subscribing("subscription-no-protocol", 9, &[b"-NOPROTO unsupported protocol version \x01\r\n"]),
            subscribing("subscription-denied", 9, &[&hello_6, b"-NOPERM no access to channel \x01\r\n"]),
            subscribing("subscription-to-nothing", 8, &[&hello_2, b"+OK\r\n"]),
            seed(
                "password-in-answer-to-a-later-command",
                33,
                &[
                    OK,
                    &redis_7,
                    ID,
                    b"-ERR what is \x05?\r\n",
                    b"-\x05 is what?\r\n",
                    b"-ERR \x05\r\n",
                    PONG,
                    b"-ERR \x05\r\n",
                    b"-ERR a\r\n",
                    b"-\x05\r\n",
                    b"+OK\r\n",
                    b"-A \x05\r\n",
                    b"+QUEUED\r\n",
                    b"-EXECABORT because of \x05\r\n",
                    b"-NOSCRIPT \x05\r\n",
                    b"-\x05\r\n",
                ],
            ),
            seed("password-as-a-number", 33, &[OK, &redis_7, ID, b":\x05\r\n", OK, &redis_7, b":\x05\r\n"]),
            subscribing("password-in-answer-to-subscribe", 9, &[&hello_6, b"-\x05 no \x05\r\n"]),
            seed("dedicated", 19, &[OK, &redis_7, ID, OK]),
            seed("dedicated-refused", 17, &[OK, &redis_7, ID, b"-WRONGPASS \x01\r\n"]),
        ]
    }

    /// The replies of sentinels, and of the servers that they name.
    fn sentinels() -> Vec<(String, Vec<u8>)> {
        let redis_7 = info("7.0.15");
        let master = list(&["10.0.0.1", "6380"]);
        let role = b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n";
        let replica = b"*5\r\n$5\r\nslave\r\n$8\r\n10.0.0.1\r\n:6380\r\n$9\r\nconnected\r\n:0\r\n";
        let replication = bulk("# Replication\r\nrole:master\r\nconnected_slaves:0\r\n").into_bytes();
        let other = |ip: &str, port: &str| list(&["name", "x", "ip", ip, "port", port]);
        let others =
            |others: &[Vec<u8>]| [format!("*{}\r\n", others.len()).as_bytes(), &others.concat()].concat();
        let two = others(&[other("10.0.0.2", "26380"), other("10.0.0.3", "26381")]);
        let none = b"*0\r\n";
        let endless = [b"*1000\r\n\x03", other("10.0.0.2", "26380").as_slice(), b"\x04"].concat();
        let host = format!("$100000\r\n\x03{}\x04\r\n", "h".repeat(100));
        let long = format!("*2\r\n{host}$1\r\n1\r\n").into_bytes();
        let long_others = format!("*1\r\n*4\r\n$2\r\nip\r\n{host}$4\r\nport\r\n$1\r\n2\r\n").into_bytes();
        vec![
            seed("master", 0, &[&master, none, OK, role, &redis_7, ID]),
            seed("master-password", 1, &[OK, &master, none, OK, role, &redis_7, ID]),
            seed("others", 0, &[&master, &two, OK, role, &redis_7, ID]),
            seed(
                "others-know-none",
                2,
                &[b"*-1\r\n", &two, b"*-1\r\n", none, b"*-1\r\n", none, b"*-1\r\n", none],
            ),
            seed("replica", 0, &[&master, none, OK, replica]),
            seed("role-is-denied", 0, &[&master, none, OK, b"-NOPERM \x01\r\n", &replication, &redis_7, ID]),
            seed("wrong-password", 1, &[b"-WRONGPASS \x01\r\n"]),
            seed("no-password-given", 0, &[b"-NOAUTH Authentication required.\r\n", b"-NOAUTH \x01\r\n"]),
            seed("master-refuses", 0, &[&master, none, b"-WRONGPASS \x01\r\n"]),
            seed("no-sentinel", 0, &[b"-ERR unknown command \x01\r\n", b"-ERR unknown command \x01\r\n"]),
            seed("closed-port", 0, &[&list(&["10.0.0.1", "6382"]), none]),
            seed(
                "password-as-a-host",
                1,
                &[OK, &list(&["\x05", "6380"]), &others(&[other("\x05", "26380")])],
            ),
            seed("password-as-a-refusal", 0, &[b"-ERR \x05\r\n", b"-\x05\r\n"]),
            seed("no-port", 0, &[&list(&["10.0.0.1", "x"]), none]),
            seed(
                "port-too-high",
                0,
                &[&list(&["10.0.0.1", "65536"]), &others(&[other("10.0.0.2", "99999")])],
            ),
            seed("host-with-an-escape", 0, &[&list(&["\u{1b}[2J", "1"]), none, b"-NOAUTH \x01\r\n"]),
            seed("long-host", 0, &[&long, none]),
            seed("long-others", 0, &[&master, &long_others, OK, role, &redis_7, ID]),
            seed("thousand-others", 0, &[&master, &endless, b"-ERR no\r\n", role, &redis_7, ID]),
            seed("itself", 0, &[&list(&["one", "26379"]), &others(&[other("one", "26379")]), OK, role]),
            seed("long", 1, &[b"-ERR \x03\x1b[2J long \x01\x04\r\n"]),
            seed("noise", 2, &[b"\xff\xfe", b"*2\r\n:1\r\n", b"$-7\r\n"]),
        ]
    }

    #[test]
    fn the_corpus_has_replies_of_every_kind() {
        inputs::assert_in_corpus("handshake", handshakes());
        inputs::assert_in_corpus("sentinel", sentinels());
    }

    /// Or else nothing here says anything: what is refused at once is no test of what comes after.
    #[test]
    fn servers_and_masters_that_are_well_are_connected_to_and_no_others() {
        let well = |seeds: Vec<(String, Vec<u8>)>, f: fn(&[u8]) -> Option<bool>| -> Vec<String> {
            seeds.into_iter().filter(|(_, seed)| f(seed) == Some(true)).map(|(name, _)| name).collect()
        };
        let servers = [
            "redis-7",
            "redis-6.2-password-database",
            "redis-8-user",
            "info-is-denied",
            "info-is-unknown",
            "info-without-run-id",
            "client-is-denied",
            "ends-after-info",
            "ends-after-an-answer",
            "client-id-again",
            "redis-5-user",
            "subscription",
            "subscription-valkey-user",
            "subscription-ends",
            "dedicated",
        ];
        assert_eq!(well(handshakes(), is_let_in), servers);
        let masters = ["master", "master-password", "role-is-denied", "long-others"];
        assert_eq!(well(sentinels(), is_found), masters);
    }

    #[test]
    fn a_server_that_ends_each_connection_after_an_answer_gets_few_and_answers_each_call() {
        let (info, nil_and_end) = (info("7.0.15"), b"$-1\r\n\x02");
        let first = [info.as_slice(), ID, nil_and_end].join(&0);
        // Each ends the one before at the server.
        let later = [info.as_slice(), ID, b":0\r\n", nil_and_end].join(&0);
        let says = [first, vec![later; 1000].join(&0)].join(&0);
        let calls = async {
            let node = node("redis://server", "secret").unwrap();
            let start = tokio::time::Instant::now();
            let mut n_calls = 0;
            while start.elapsed() < Duration::from_secs(20) {
                node.get::<String>("k").await.unwrap();
                assert!(!node.is_down());
                n_calls += 1;
            }
            n_calls
        };
        let (n_calls, n_connections, _) = Network::new(&says, "secret").run(calls).unwrap();
        // 32 at once, and then one in 250 ms, less a fifth.
        assert!(n_connections <= 32 + 100 + 6, "{n_connections} connections for {n_calls} calls");
        assert!(60 <= n_calls, "{n_connections} connections for {n_calls} calls");
    }

    #[test]
    fn every_handshake_of_the_corpus_ends_well_or_in_an_error_that_hides_the_password() {
        inputs::try_corpus("handshake", |data| with_tasks(handshake, data));
    }

    #[test]
    fn so_does_every_other_handshake() {
        inputs::try_others("handshake", 2000, |data| with_tasks(handshake, data));
    }

    #[test]
    fn every_sentinel_of_the_corpus_has_few_others_asked() {
        inputs::try_corpus("sentinel", |data| with_tasks(sentinel, data));
    }

    #[test]
    fn so_has_every_other_sentinel() {
        inputs::try_others("sentinel", 2000, |data| with_tasks(sentinel, data));
    }
}

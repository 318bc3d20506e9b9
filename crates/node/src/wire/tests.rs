//! The wire beside servers in memory, its driver polled by hand where it matters.

mod room;

use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::poll;
use redis::Pipeline;
use redis::PushKind;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::DuplexStream;
use tokio::io::ReadBuf;

use super::*;
use crate::frame::Frame;

/// A stream that counts how often it is written to.
struct Counting(DuplexStream, Arc<AtomicUsize>);

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// A wire to a server in memory, through which so many bytes fit at once. The driver is polled by the test.
fn wire(room: usize, max_reply: usize) -> (Wire, Driver, DuplexStream) {
    let (here, there) = tokio::io::duplex(room);
    let (wire, driver) = Wire::new(Box::new(here), Limits::of_reply(max_reply));
    (wire, driver, there)
}

/// Reads the words of the next command of a client.
async fn command(server: &mut DuplexStream) -> io::Result<Vec<Vec<u8>>> {
    async fn number(server: &mut DuplexStream) -> io::Result<usize> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(server.read_u8().await?);
        }
        Ok(std::str::from_utf8(&line[1..line.len() - 2]).unwrap().parse().unwrap())
    }
    let mut words = Vec::new();
    for _ in 0..number(server).await? {
        let mut word = vec![0; number(server).await? + 2];
        server.read_exact(&mut word).await?;
        word.truncate(word.len() - 2);
        words.push(word);
    }
    Ok(words)
}

/// Answers each command by its last word.
async fn echo(mut server: DuplexStream) {
    while let Ok(words) = command(&mut server).await {
        let word = words.last().unwrap();
        let reply = [format!("${}\r\n", word.len()).as_bytes(), word, b"\r\n"].concat();
        server.write_all(&reply).await.unwrap();
    }
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it ends in time")
}

fn say(word: &str) -> Cmd {
    let mut cmd = redis::cmd("ECHO");
    cmd.arg(word);
    cmd
}

fn bulk(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

#[tokio::test]
async fn each_caller_gets_the_reply_to_its_own_command() {
    call_from_many_tasks().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn so_does_each_caller_on_several_threads() {
    call_from_many_tasks().await;
}

async fn call_from_many_tasks() {
    let (wire, driver, server) = wire(100, 1 << 20);
    let tasks = [tokio::spawn(driver), tokio::spawn(echo(server))];
    let calls = (0..500).map(|n| {
        let wire = wire.clone();
        async move {
            for i in 0..10 {
                let word = format!("{n}:{i}");
                assert_eq!(wire.send::<Value>(&say(&word), Patience::Own).await.unwrap(), bulk(&word));
                let mut pipeline = Pipeline::new();
                pipeline.add_command(say("a")).add_command(say(&word)).add_command(say("b"));
                let kept = wire.send_many(Many::Pipeline(&pipeline), 1, 1, Patience::Own).await.unwrap();
                assert_eq!(kept, Value::Array(vec![bulk(&word)]));
            }
        }
    });
    join_all(calls.map(tokio::spawn)).await.into_iter().for_each(|ended| ended.unwrap());
    tasks.iter().for_each(|task| task.abort());
}

#[tokio::test]
async fn the_reply_to_a_call_that_was_dropped_goes_to_nobody() {
    let (wire, driver, server) = wire(1000, 1 << 20);
    let (a, b) = (say("a"), say("b"));
    {
        let mut dropped = pin!(wire.send::<Value>(&a, Patience::Own));
        assert!(poll!(&mut dropped).is_pending());
    }
    // One that was never polled is not sent.
    drop(wire.send::<Value>(&a, Patience::Own));
    let tasks = [tokio::spawn(driver), tokio::spawn(echo(server))];
    assert_eq!(wire.send::<Value>(&b, Patience::Own).await.unwrap(), bulk("b"));
    tasks.iter().for_each(|task| task.abort());
}

#[tokio::test]
async fn a_caller_who_is_alone_writes_by_itself() {
    let (wire, mut driver, mut server) = wire(1000, 1 << 20);
    assert!(poll!(&mut driver).is_pending());
    let (a, b, c) = (say("a"), say("b"), say("c"));
    let mut first = pin!(wire.send::<Value>(&a, Patience::Own));
    assert!(poll!(&mut first).is_pending());
    assert_eq!(in_time(command(&mut server)).await.unwrap()[1], b"a");
    // Others are left to the driver.
    let (mut second, mut third) =
        (pin!(wire.send::<Value>(&b, Patience::Own)), pin!(wire.send::<Value>(&c, Patience::Own)));
    assert!(poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
    assert_eq!(wire.0.state.lock().slots.n_waiting(), 3);
    assert!(!wire.0.state.lock().out.is_empty());
    assert!(poll!(&mut driver).is_pending() && poll!(&mut driver).is_pending());
    assert_eq!(in_time(command(&mut server)).await.unwrap()[1], b"b");
    server.write_all(b"+1\r\n+2\r\n+3\r\n").await.unwrap();
    assert!(poll!(&mut driver).is_pending());
    assert_eq!(first.await.unwrap(), Value::SimpleString("1".to_owned()));
    assert_eq!(third.await.unwrap(), Value::SimpleString("3".to_owned()));
}

#[tokio::test]
async fn what_many_tasks_send_is_written_at_once() {
    let (here, mut server) = tokio::io::duplex(1 << 20);
    let n_writes = Arc::new(AtomicUsize::new(0));
    let (wire, driver) =
        Wire::new(Box::new(Counting(here, Arc::clone(&n_writes))), Limits::of_reply(1 << 20));
    // A server that answers what is there at once.
    let answering = async move {
        let mut read = vec![0; 1 << 20];
        while let Ok(n @ 1..) = server.read(&mut read).await {
            let n_commands = read[..n].iter().filter(|byte| **byte == b'*').count();
            server.write_all(&b"+OK\r\n".repeat(n_commands)).await.unwrap();
        }
    };
    let tasks = [tokio::spawn(driver), tokio::spawn(answering)];
    let calls = (0..100).map(|_| {
        let wire = wire.clone();
        tokio::spawn(async move {
            for _ in 0..20 {
                wire.send::<Value>(&say("a"), Patience::Own).await.unwrap();
            }
        })
    });
    join_all(calls).await.into_iter().for_each(|ended| ended.unwrap());
    let n_writes = n_writes.load(Ordering::Relaxed);
    assert!(n_writes <= 100, "{n_writes} writes for 2000 calls");
    tasks.iter().for_each(|task| task.abort());
}

#[tokio::test]
async fn what_was_not_given_to_the_socket_is_not_sent() {
    // The first command fits, the second in part or just so, and nothing of the third.
    let cmd = say("a");
    for room in [cmd.get_packed_command().len() + 9, 2 * cmd.get_packed_command().len()] {
        let (wire, mut driver, server) = wire(room, 1 << 20);
        assert!(poll!(&mut driver).is_pending());
        let mut calls: Vec<_> = (0..3).map(|_| wire.send::<Value>(&cmd, Patience::Own)).collect();
        for call in &mut calls {
            assert!(poll!(call).is_pending());
        }
        assert!(poll!(&mut driver).is_pending() && poll!(&mut driver).is_pending());
        drop(server);
        in_time(driver).await;
        let mut failed = in_time(join_all(calls)).await.into_iter().map(Result::unwrap_err);
        assert!(matches!(failed.next(), Some(Failure::Lost(_))));
        assert!(matches!(failed.next(), Some(Failure::Lost(_))));
        assert!(matches!(failed.next(), Some(Failure::Unsent(_))));
        assert!(matches!(in_time(wire.send::<Value>(&cmd, Patience::Own)).await, Err(Failure::Unsent(_))));
    }
}

#[tokio::test]
async fn a_connection_that_is_closed_fails_those_who_wait() {
    let (wire, mut driver, _server) = wire(1000, 1 << 20);
    assert!(poll!(&mut driver).is_pending());
    let cmd = say("a");
    let mut call = wire.send::<Value>(&cmd, Patience::Own);
    assert!(poll!(&mut call).is_pending());
    drop(driver);
    assert!(matches!(in_time(call).await, Err(Failure::Lost(_))));
}

/// A server sends `a` to the first of three calls, and too much to the second. Returns the first reply.
async fn first_before_too_much<R: Form + std::fmt::Debug>() -> R {
    let (wire, mut driver, mut server) = wire(1000, 100);
    assert!(poll!(&mut driver).is_pending());
    let cmd = say("a");
    let mut calls: Vec<_> = (0..3).map(|_| wire.send::<R>(&cmd, Patience::Own)).collect();
    for call in &mut calls {
        assert!(poll!(call).is_pending());
    }
    assert!(poll!(&mut driver).is_pending() && poll!(&mut driver).is_pending());
    server.write_all(b"$1\r\na\r\n$101\r\n").await.unwrap();
    in_time(driver).await;
    let mut outcomes = join_all(calls).await.into_iter();
    let first = outcomes.next().unwrap().unwrap();
    assert!(matches!(outcomes.next(), Some(Err(Failure::TooLarge(100)))));
    assert!(matches!(outcomes.next(), Some(Err(Failure::Ended(_)))));
    first
}

#[tokio::test]
async fn a_reply_that_takes_too_much_fails_its_own_call_as_such() {
    assert_eq!(first_before_too_much::<Value>().await, bulk("a"));
}

#[tokio::test]
async fn what_the_server_says_before_it_goes_is_heard() {
    let (wire, mut driver, mut server) = wire(1000, 1 << 20);
    assert!(poll!(&mut driver).is_pending());
    server.write_all(b"-ERR max number of clients reached\r\n").await.unwrap();
    drop(server);
    let cmd = say("a");
    // It is written to a server that has gone.
    let mut call = wire.send::<Value>(&cmd, Patience::Own);
    assert!(poll!(&mut call).is_pending());
    driver.await;
    assert!(matches!(call.await, Ok(Value::ServerError(_))));
}

#[tokio::test]
async fn each_call_has_its_reply_in_its_form_in_whatever_pieces_the_replies_come() {
    let stream = b"$1\r\na\r\n>2\r\n+push\r\n:1\r\n*2\r\n:1\r\n$-1\r\n+OK\r\n-ERR no\r\n*1\r\n:7\r\n+x\r\n:2\r\n:3\r\n%1\r\n+k\r\n_\r\n";
    for piece in 1..=stream.len() {
        let (wire, mut driver, mut server) = wire(1000, 1 << 20);
        assert!(poll!(&mut driver).is_pending());
        let cmd = say("a");
        let raw = || wire.send::<Frame>(&cmd, Patience::Own);
        let decoded = || wire.send::<Value>(&cmd, Patience::Own);
        let (mut a, mut b, mut c, mut d) = (decoded(), raw(), decoded(), raw());
        // Those whose callers go take their replies with them, in either form.
        let (mut e, mut f) = (raw(), decoded());
        let pipeline = Pipeline::new().add_command(say("a")).add_command(say("b")).clone();
        let mut g = wire.send_many(Many::Pipeline(&pipeline), 0, 2, Patience::Own);
        let mut h = raw();
        assert!(poll!(&mut a).is_pending() && poll!(&mut b).is_pending() && poll!(&mut c).is_pending());
        assert!(poll!(&mut d).is_pending() && poll!(&mut e).is_pending() && poll!(&mut f).is_pending());
        assert!(poll!(&mut g).is_pending() && poll!(&mut h).is_pending());
        drop((e, f));
        assert!(poll!(&mut driver).is_pending() && poll!(&mut driver).is_pending());
        for part in stream.chunks(piece) {
            server.write_all(part).await.unwrap();
            assert!(poll!(&mut driver).is_pending());
        }
        let bytes = |frame: Frame| String::from_utf8(frame.into_bytes()).unwrap();
        assert_eq!(in_time(a).await.unwrap(), bulk("a"));
        assert_eq!(bytes(in_time(b).await.unwrap()), "*2\r\n:1\r\n$-1\r\n");
        assert_eq!(in_time(c).await.unwrap(), Value::Okay);
        let refused = in_time(d).await.unwrap();
        assert!(refused.is_error());
        assert_eq!(bytes(refused), "-ERR no\r\n");
        assert_eq!(in_time(g).await.unwrap(), Value::Array(vec![Value::Int(2), Value::Int(3)]));
        assert_eq!(bytes(in_time(h).await.unwrap()), "%1\r\n+k\r\n_\r\n");
    }
}

#[tokio::test]
async fn a_frame_that_takes_too_much_fails_its_own_call_as_such() {
    assert_eq!(first_before_too_much::<Frame>().await.as_bytes(), b"$1\r\na\r\n");
}

#[tokio::test]
async fn a_server_that_answers_before_it_is_asked_for_a_frame_ends_the_connection() {
    let (wire, mut driver, mut server) = wire(1000, 100);
    server.write_all(b":").await.unwrap();
    assert!(poll!(&mut driver).is_pending());
    let cmd = say("a");
    let mut call = wire.send::<Frame>(&cmd, Patience::Own);
    assert!(poll!(&mut call).is_pending());
    server.write_all(b"1\r\n").await.unwrap();
    in_time(driver).await;
    assert!(
        matches!(in_time(call).await, Err(Failure::Lost(error)) if error.kind() == io::ErrorKind::InvalidData)
    );
}

/// Begins a block of one command and a command behind it, and has both written.
async fn begin_block_and_another<'a>(
    wire: &'a Wire,
    driver: &mut Driver,
    (block, behind): (&'a Pipeline, &'a Cmd),
) -> [Pin<Box<dyn Future<Output = Result<Value, Failure>> + 'a>>; 2] {
    let mut block = Box::pin(wire.send_many(Many::Pipeline(block), 0, 3, Patience::Own));
    assert!(poll!(&mut block).is_pending());
    let mut behind = Box::pin(wire.send::<Value>(behind, Patience::Own));
    assert!(poll!(&mut behind).is_pending());
    assert!(poll!(&mut *driver).is_pending() && poll!(driver).is_pending());
    [block, behind]
}

#[tokio::test]
async fn nobody_is_answered_from_within_a_block_that_the_server_refused_to_end() {
    for is_dropped in [false, true] {
        let (wire, mut driver, mut server) = wire(1000, 1 << 20);
        let (block, get) = (redis::pipe().atomic().set("k", 1).clone(), say("a"));
        let [block, behind] = begin_block_and_another(&wire, &mut driver, (&block, &get)).await;
        let mut block = (!is_dropped).then_some(block);
        server.write_all(b"+OK\r\n+QUEUED\r\n-NOPERM no EXEC\r\n+QUEUED\r\n").await.unwrap();
        assert!(poll!(&mut driver).is_ready());
        if let Some(block) = &mut block {
            let Value::Array(replies) = in_time(block).await.unwrap() else { panic!("no replies") };
            assert!(matches!(replies.as_slice(), [Value::Okay, _, Value::ServerError(_)]), "{replies:?}");
        }
        assert!(matches!(in_time(behind).await, Err(Failure::Ended(_))), "{is_dropped}");
        assert!(matches!(in_time(wire.send::<Value>(&get, Patience::Own)).await, Err(Failure::Unsent(_))));
    }
}

#[tokio::test]
async fn a_block_that_ended_or_never_began_costs_others_nothing() {
    for replies in [
        "-NOPERM no MULTI\r\n+OK\r\n-NOPERM no EXEC\r\n",
        "-NOPERM no MULTI\r\n+OK\r\n-ERR EXEC without MULTI\r\n",
        "+OK\r\n-ERR no\r\n-EXECABORT discarded\r\n",
        "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n",
        "+OK\r\n+QUEUED\r\n*-1\r\n",
    ] {
        let (wire, mut driver, mut server) = wire(1000, 1 << 20);
        let (block, get) = (redis::pipe().atomic().set("k", 1).clone(), say("a"));
        let [block, behind] = begin_block_and_another(&wire, &mut driver, (&block, &get)).await;
        server.write_all(format!("{replies}$1\r\na\r\n").as_bytes()).await.unwrap();
        assert!(poll!(&mut driver).is_pending());
        assert!(in_time(block).await.is_ok());
        assert_eq!(in_time(behind).await.unwrap(), bulk("a"), "{replies}");
    }
}

#[tokio::test]
async fn what_is_said_unasked_is_told_and_the_confirmation_of_a_subscription_is_its_reply() {
    let (wire, driver, mut server) = wire(1 << 10, 1 << 10);
    let told = Arc::new(Mutex::new(Vec::new()));
    let tells = Arc::clone(&told);
    let driver = driver.telling(Some(Box::new(move |kind, data| tells.lock().push((kind, data.len())))));
    let (subscribe, ping) = (redis::cmd("SUBSCRIBE").arg("a").take(), redis::cmd("PING"));
    let serve = async {
        command(&mut server).await.unwrap();
        let before = b">2\r\n$10\r\ninvalidate\r\n*0\r\n";
        let confirms = b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";
        server.write_all(&[before.as_slice(), confirms].concat()).await.unwrap();
        command(&mut server).await.unwrap();
        let message = b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n+PONG\r\n";
        server.write_all(message).await.unwrap();
    };
    let calls = async {
        let confirmed: Value = in_time(wire.send(&subscribe, Patience::Own)).await.unwrap();
        assert!(matches!(confirmed, Value::Push { kind: PushKind::Subscribe, .. }));
        assert_eq!(told.lock().as_slice(), [(PushKind::Invalidate, 1), (PushKind::Subscribe, 2)]);
        let pong: Value = in_time(wire.send(&ping, Patience::Own)).await.unwrap();
        assert_eq!(pong, Value::SimpleString("PONG".to_owned()));
        assert_eq!(told.lock().last(), Some(&(PushKind::Message, 2)));
    };
    let mut driver = pin!(driver);
    tokio::select! {
        ((), ()) = async { tokio::join!(serve, calls) } => {}
        () = &mut driver => panic!("the connection ended"),
    }
}

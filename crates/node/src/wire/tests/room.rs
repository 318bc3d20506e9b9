//! The calls that wait for room.

use super::*;
use crate::error::Bound;

#[tokio::test]
async fn a_call_that_waits_for_its_ticks_is_given_up_also_where_it_waits_for_room() {
    let (wire, mut driver, mut server) = wire(1000, 1 << 20);
    assert!(poll!(&mut driver).is_pending());
    let small = say("a");
    let mut own = wire.send::<Value>(&small, Patience::Own);
    assert!(poll!(&mut own).is_pending());
    // The first of them fills the buffer.
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let (wire, large) = (wire.clone(), say(&"a".repeat(MOST_WAITING)));
            tokio::spawn(async move { wire.send::<Value>(&large, Patience::Ticks).await })
        })
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(wire.0.state.lock().for_bytes.n_waiting(), 2);
    for _ in 1..TICKS {
        wire.pass_tick();
        tokio::task::yield_now().await;
    }
    assert!(!calls.iter().any(|call| call.is_finished()));
    wire.pass_tick();
    let mut outcomes = in_time(join_all(calls)).await.into_iter().map(|reply| reply.unwrap().unwrap_err());
    assert!(matches!(outcomes.next(), Some(Failure::TooLate)));
    // Nothing of these was sent.
    assert!(outcomes.all(|failure| matches!(failure, Failure::NoRoom(Bound::Unwritten))));
    assert!(poll!(&mut own).is_pending());
    server.write_all(b"+OK\r\n").await.unwrap();
    assert!(poll!(&mut driver).is_pending());
    assert_eq!(in_time(own).await.unwrap(), Value::Okay);
}

#[tokio::test]
async fn a_server_that_reads_nothing_costs_bounded_memory() {
    let (wire, driver, server) = wire(1000, 1 << 20);
    let driver = tokio::spawn(driver);
    let word = "a".repeat(50_000);
    let cmd = say(&word);
    let mut calls: Vec<_> = (0..200).map(|_| wire.send::<Value>(&cmd, Patience::Own)).collect();
    for _ in 0..3 {
        for call in &mut calls {
            assert!(poll!(call).is_pending());
        }
        tokio::task::yield_now().await;
    }
    {
        let (socket, state) = (wire.0.socket.lock(), wire.0.state.lock());
        assert!(state.out.len() < MOST_WAITING + 51_000 && socket.writing.len() < MOST_WAITING + 51_000);
        assert!(state.for_bytes.n_waiting() < 200, "each call that waits is there once");
    }
    // As soon as it reads, those who waited for room are let in.
    let server = tokio::spawn(echo(server));
    for reply in join_all(calls).await {
        assert_eq!(reply.unwrap(), bulk(&word));
    }
    assert!(wire.0.socket.lock().writing.capacity() <= KEPT);
    driver.abort();
    server.abort();
}

#[tokio::test]
async fn those_who_wait_for_room_are_let_in_in_their_order_and_before_others() {
    let (here, mut server) = tokio::io::duplex(1 << 20);
    let (wire, mut driver) =
        Wire::new(Box::new(here), Limits { max_reply: 1000, max_calls: 2, waits_for_room: true });
    assert!(poll!(&mut driver).is_pending());
    let cmd = say("a");
    let call = || wire.send::<Value>(&cmd, Patience::Own);
    let mut calls: Vec<_> = (0..6).map(|_| call()).collect();
    for call in &mut calls {
        assert!(poll!(call).is_pending());
    }
    let mut waiting = calls.split_off(2);
    assert!(waiting.iter().all(|call| call.waits_for() == Some(Bound::InFlight)));
    assert!(calls.iter().all(|call| call.waits_for().is_none()));
    // A question of our own has room.
    let mut ours = wire.ask(&cmd, Patience::Own);
    assert!(poll!(&mut ours).is_pending() && ours.waits_for().is_none());
    server.write_all(b":0\r\n:1\r\n").await.unwrap();
    assert!(poll!(&mut driver).is_pending());
    // The first two of them are invited once the question is answered, too; until then the first.
    let mut late = call();
    assert!(poll!(&mut late).is_pending());
    assert_eq!(late.waits_for(), Some(Bound::InFlight), "whoever was invited comes first");
    // One who was invited goes, and the next one has its room.
    drop(waiting.remove(0));
    assert!(poll!(&mut waiting[0]).is_pending());
    assert_eq!(waiting[0].waits_for(), None);
    server.write_all(b":2\r\n:3\r\n").await.unwrap();
    assert!(poll!(&mut driver).is_pending());
    assert_eq!(
        (in_time(ours).await.unwrap(), in_time(waiting.remove(0)).await.unwrap()),
        (Value::Int(2), Value::Int(3))
    );
    for call in &mut waiting {
        assert!(poll!(&mut *call).is_pending());
        assert_eq!(call.waits_for(), None);
    }
    assert!(poll!(&mut late).is_pending());
    assert_eq!(late.waits_for(), Some(Bound::InFlight));
    drop(driver);
    assert!(matches!(in_time(late).await, Err(Failure::Unsent(_))));
}

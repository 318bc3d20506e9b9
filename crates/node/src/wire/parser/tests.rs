//! The parser beside that of redis-rs.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::frames::MORE;
use super::*;
use crate::frame::Frame;
use crate::fuzz::taken;

/// More than any reply of these tests takes.
const PLENTY: usize = 1 << 30;

/// Reads a stream in pieces of these lengths, over and over: what there is in it, and how the stream ends.
fn in_pieces<T>(
    stream: &[u8],
    pieces: &[usize],
    mut next: impl FnMut(&mut &[u8]) -> Result<Option<T>, Broken>,
) -> (Vec<T>, Result<(), Broken>) {
    let (mut found, mut rest) = (Vec::new(), stream);
    for piece in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (mut bytes, behind) = rest.split_at((*piece).min(rest.len()));
        rest = behind;
        loop {
            match next(&mut bytes) {
                Ok(Some(one)) => found.push(one),
                Ok(None) => break,
                Err(broken) => return (found, Err(broken)),
            }
        }
        assert!(bytes.is_empty());
    }
    (found, Ok(()))
}

/// Reads the values of a stream, as text.
fn read(stream: &[u8], pieces: &[usize], limit: usize) -> (Vec<String>, Result<(), Broken>) {
    let mut parser = Parser::new(limit);
    in_pieces(stream, pieces, |bytes| Ok(parser.next(bytes)?.map(|value| format!("{value:?}"))))
}

/// Reads the frames of a stream.
fn frames(stream: &[u8], pieces: &[usize], limit: usize) -> (Vec<Frame>, Result<(), Broken>) {
    let mut parser = Frames::new(limit);
    in_pieces(stream, pieces, |bytes| {
        let Some(frame) = parser.next(bytes)? else { return Ok(None) };
        assert!(frame.capacity() <= frame.len() + frame.len() / 8, "a frame has room to spare");
        assert!(!parser.is_within());
        Ok(Some(Frame::new(frame)))
    })
}

fn concatenated(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(Frame::as_bytes).copied().collect()
}

/// The values of frames as text, up to the first that is none.
fn decoded(frames: &[Frame]) -> Vec<String> {
    frames.iter().map_while(|frame| frame.decode().ok()).map(|value| format!("{value:?}")).collect()
}

/// Reads a stream by redis-rs; whether it is broken at its end.
fn read_by_redis_rs(mut stream: &[u8]) -> (Vec<String>, bool) {
    let (mut parser, mut values) = (redis::Parser::new(), Vec::new());
    loop {
        match parser.parse_value(&mut stream) {
            Ok(value) => values.push(format!("{value:?}")),
            Err(error) => return (values, error.kind() == redis::ErrorKind::Parse),
        }
    }
}

#[test]
fn each_kind_of_reply_is_read_as_redis_rs_reads_it() {
    let deep = |n: usize| [b"*1\r\n".repeat(n), b"*0\r\n".to_vec()].concat();
    let (deepest, too_deep) = (deep(99), deep(100));
    for stream in [
        b"+OK\r\n+PONG\r\n+\r\n".as_slice(),
        b":1\r\n:-7\r\n:+3\r\n: 4 \r\n:\r\n",
        b":9223372036854775807\r\n:-9223372036854775808\r\n:9223372036854775808\r\n",
        b"$3\r\na\r\n\r\n$0\r\n\r\n$-1\r\n$2\r\nabc\r\n",
        b"*2\r\n*1\r\n:1\r\n*-1\r\n*0\r\n",
        b"-ERR no\r\n-LOADING\r\n-OOM used memory\r\n-MOVED 1 a:1\r\n",
        b"!10\r\nERR a\r\nbcd\r\n!4\r\nOOPS\r\n",
        b"_\r\n#t\r\n#f\r\n#x\r\n",
        b",1.5\r\n,-inf\r\n,nan\r\n,1e7\r\n,x\r\n",
        b"(3492890328409238509324850943850943825024385\r\n",
        b"=7\r\ntxt:a:b\r\n=7\r\nmkd:*a*\r\n=5\r\nxyz:1\r\n=2\r\nno\r\n",
        b"~2\r\n+a\r\n+b\r\n~0\r\n~-1\r\n",
        b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n%0\r\n%-1\r\n+a\r\n",
        b"|1\r\n+ttl\r\n:5\r\n$1\r\nv\r\n|0\r\n+OK\r\n",
        b">3\r\n+message\r\n$1\r\na\r\n$1\r\nb\r\n>0\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n>1\r\n:1\r\n",
        b"*1\r\n>2\r\n+x\r\n:1\r\n",
        b"?\r\n",
        b"\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"+\xff\r\n",
        &deepest,
        &too_deep,
    ] {
        let (values, end) = read(stream, &[stream.len()], PLENTY);
        let shown = String::from_utf8_lossy(stream);
        assert_eq!((&values, end.is_err()), (&read_by_redis_rs(stream).0, read_by_redis_rs(stream).1), "{shown}");
        // A frame whose value is none is one all the same.
        let (frames, end_of_frames) = frames(stream, &[stream.len()], PLENTY);
        assert_eq!(decoded(&frames), values, "{shown}");
        assert!(end.is_err() || end_of_frames == Ok(()), "{shown}");
    }
}

#[test]
fn a_reply_takes_no_more_than_it_may() {
    let check = |stream: &[u8], least: usize| {
        for pieces in [1, 2, 7, stream.len()] {
            assert_eq!(read(stream, &[pieces], least).1, Ok(()), "{stream:?} {least}");
            assert_eq!(read(stream, &[pieces], least - 1).1, Err(Broken::TooLarge), "{stream:?} {least}");
            if std::str::from_utf8(stream).is_ok() {
                assert_eq!(frames(stream, &[pieces], least).1, Ok(()), "{stream:?} {least}");
                assert_eq!(
                    frames(stream, &[pieces], least - 1).1,
                    Err(Broken::TooLarge),
                    "{stream:?} {least}"
                );
            }
        }
    };
    check(b"$5\r\nabcde\r\n", 5);
    check(b"$5\r\n", 5);
    check(b"$0000000005\r\nabcde\r\n", 5);
    check(b"+PONG\r\n", 6);
    check(b"-ERR no\r\n", 8);
    check(b":100\r\n", 5);
    check(b"*2\r\n", 4 * ELEMENT);
    check(b"*5\r\n$3\r\nabc\r\n", 5 * ELEMENT + 3);
    check(b"%5\r\n", 10 * ELEMENT);
    check(b"|5\r\n", 11 * ELEMENT);
    check(b"*1\r\n*1\r\n$1\r\na\r\n", 8 * ELEMENT + 1);
    // Bytes that are no text take more where they stand for one.
    check(b"=5\r\na:\xff\xff\xff\r\n", 15);
    // Each reply has the whole.
    check(b"$5\r\nabcde\r\n+PO\r\n$5\r\nabcde\r\n", 5);
    for stream in [b"$-2\r\n".as_slice(), b"*-1\r\n"] {
        assert_eq!(read(stream, &[1], 1).1, Ok(()));
        assert_eq!(frames(stream, &[1], 1).1, Ok(()));
    }
    for endless in
        [b"=-1\r\n".as_slice(), b"!-1\r\n", b"*9223372036854775807\r\n", b"$9223372036854775807\r\n"]
    {
        assert_eq!(read(endless, &[1], PLENTY).1, Err(Broken::TooLarge));
        assert_eq!(frames(endless, &[1], PLENTY).1, Err(Broken::TooLarge));
    }
    // An endless line is not gathered.
    for kind in [b"+", b":", b"$", b"*", b",", b"("] {
        let line = [kind.as_slice(), &b"0".repeat(200)].concat();
        assert_eq!(read(&line, &[1], 100).1, Err(Broken::TooLarge));
        assert_eq!(frames(&line, &[1], 100).1, Err(Broken::TooLarge));
    }
    // Nor are lengths of many digits that say little.
    let padded =
        [b"*9\r\n".as_slice(), &[b"$", "0".repeat(300).as_bytes(), b"\r\n\r\n"].concat().repeat(9)].concat();
    let takes = 9 * (ELEMENT + 300 - LENGTH);
    for (limit, expected) in [(takes, Ok(())), (takes - 1, Err(Broken::TooLarge))] {
        assert_eq!(read(&padded, &[1000], limit).1, expected);
        assert_eq!(frames(&padded, &[1000], limit).1, expected);
    }
}

#[test]
fn a_string_that_comes_in_pieces_has_no_room_for_its_line_end() {
    let stream = b"$5\r\nabcde\r\n";
    for first in 1..stream.len() {
        let (mut parser, (mut begun, mut rest)) = (Parser::new(5), stream.split_at(first));
        assert_eq!(parser.next(&mut begun), Ok(None));
        let value = parser.next(&mut rest).unwrap().unwrap();
        assert_eq!((taken(&value), value), (5, Value::BulkString(b"abcde".to_vec())), "{first}");
    }
}

#[test]
fn a_frame_has_what_is_not_what_its_kind_says_and_has_no_value() {
    let stream = b":x\r\n#x\r\n,x\r\n+\xff\r\n=2\r\nno\r\n>1\r\n:1\r\n:1\r\n";
    let (frames, end) = frames(stream, &[stream.len()], PLENTY);
    assert_eq!((concatenated(&frames).as_slice(), end), (stream.as_slice(), Ok(())));
    let (last, others) = frames.split_last().unwrap();
    assert!(others.iter().all(|frame| frame.decode().is_err()));
    assert_eq!(last.decode(), Ok(Value::Int(1)));
}

#[test]
fn a_long_frame_that_comes_in_pieces_is_whole() {
    for stream in [
        [b"$300000\r\n".as_slice(), &[b'x'; 300_000], b"\r\n"].concat(),
        [b"*3000\r\n".as_slice(), &b"$100\r\n".repeat(3000)].concat(),
    ] {
        let stream = String::from_utf8(stream)
            .unwrap()
            .replace("$100\r\n", &format!("$100\r\n{}\r\n", "y".repeat(100)));
        for pieces in [1, 1000, 1 << 16] {
            let (frames, end) = frames(stream.as_bytes(), &[pieces], PLENTY);
            assert_eq!((concatenated(&frames), frames.len(), end), (stream.clone().into_bytes(), 1, Ok(())));
        }
    }
}

#[test]
fn an_error_that_quotes_any_bytes_is_an_error_still() {
    let (values, end) = read(b"-ERR '\xff\xc3'\r\n-ERR '\xd1\x8f'\r\n", &[1], PLENTY);
    let (expected, _) = read_by_redis_rs("-ERR '??'\r\n-ERR 'я'\r\n".as_bytes());
    assert_eq!((values, end), (expected, Ok(())));
}

#[test]
fn a_line_end_alone_is_refused_at_its_first_byte() {
    let (values, end) = read(b"+\r\n\r", &[1], PLENTY);
    assert!(values.len() == 1 && end.is_err(), "{values:?} {end:?}");
    assert_eq!(read_by_redis_rs(b"+\r\n\r"), (values.clone(), false));
    assert_eq!(read_by_redis_rs(b"+\r\n\r\n"), (values, true));
}

/// A reply of any kind, by its bytes; numbers in each form that redis-rs reads.
fn reply() -> impl Strategy<Value = Vec<u8>> {
    let number = |n: usize, form: u8| match form {
        0 => format!("+{n}"),
        1 => format!(" {n} "),
        2 => format!("\n{n}"),
        3 if n == 0 => "-0".to_owned(),
        _ => n.to_string(),
    };
    let one = prop_oneof![
        (select(b"+-,(_#".to_vec()), "[$*0-9tf\n\r ]{0,8}").prop_map(|(kind, line)| [
            &[kind],
            line.as_bytes(),
            b"\r\n"
        ]
        .concat()),
        (select(b"$!=".to_vec()), "(txt:)?([$*0-9\r\n+]{0,12}|[$\r\n]{100})", 0..8_u8).prop_map(
            move |(kind, text, form)| {
                let length = number(text.len(), form);
                [&[kind], length.as_bytes(), b"\r\n", text.as_bytes(), b"\r\n"].concat()
            }
        ),
        any::<i64>().prop_map(|n| format!(":{n}\r\n").into_bytes()),
        any::<f64>().prop_map(|n| format!(",{n}\r\n").into_bytes()),
        select(vec!["+OK\r\n", "_\r\n", "$-1\r\n", "*-1\r\n", "#t\r\n", "+message\r\n", "*0\r\n", ">0\r\n"])
            .prop_map(|reply| reply.as_bytes().to_vec()),
    ];
    one.prop_recursive(4, 32, 6, move |inner| {
        (select(b"*~>%|".to_vec()), vec(inner, 0..7), 0..8_u8).prop_map(move |(kind, mut parts, form)| {
            let n = match kind {
                b'%' => parts.len() / 2,
                b'|' => parts.len().saturating_sub(1) / 2,
                _ => parts.len(),
            };
            match kind {
                b'%' => parts.truncate(2 * n),
                b'|' if parts.is_empty() => parts.push(b"+OK\r\n".to_vec()),
                b'|' => parts.truncate(2 * n + 1),
                b'>' if n > 0 => parts[0] = b"+push\r\n".to_vec(),
                _ => {}
            }
            [&[kind], number(n, form).as_bytes(), b"\r\n", &parts.concat()].concat()
        })
    })
}

proptest! {
    /// In whatever pieces a stream comes, its values are those that redis-rs reads.
    #[test]
    fn every_split_of_every_stream_gives_the_values_of_redis_rs(
        replies in vec(reply(), 0..5),
        cut in 0_usize..3,
        pieces in vec(1_usize..40, 1..5),
    ) {
        let mut stream = replies.concat();
        stream.truncate(stream.len().saturating_sub(cut));
        let (values, end) = read(&stream, &pieces, PLENTY);
        let (expected, is_refused) = read_by_redis_rs(&stream);
        prop_assert_eq!(&values, &expected);
        // redis-rs refuses a line that nothing begins with only when the whole of it is there.
        let is_refused_later = || cut > 0 && read_by_redis_rs(&replies.concat()).1;
        prop_assert!(end.is_err() == is_refused || end.is_err() && is_refused_later(), "{end:?} {is_refused}");
        // The frames are the stream, and their values the same.
        let (frames, end_of_frames) = frames(&stream, &pieces, PLENTY);
        prop_assert!(stream.starts_with(&concatenated(&frames)));
        // What is behind the last frame is no whole reply. (A line may have a line end in it, and begin an aggregate.)
        let behind = &stream[concatenated(&frames).len()..];
        prop_assert!(end_of_frames.is_err() || read_by_redis_rs(behind).0.is_empty(), "{behind:?}");
        prop_assert_eq!(decoded(&frames), values);
        prop_assert!(end.is_err() || end_of_frames == Ok(()));
    }

    /// Whatever bytes come, in whatever pieces, the outcome is the same, and no value takes more than it may.
    #[test]
    fn any_bytes_take_no_more_than_they_may(
        replies in vec(reply(), 1..4),
        noise in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        pieces in vec(1_usize..40, 1..5),
        limit in prop_oneof![0_usize..400, Just(PLENTY)],
    ) {
        let mut stream = replies.concat();
        for (at, byte) in noise {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        let whole = read(&stream, &[stream.len()], limit);
        prop_assert_eq!(&read(&stream, &pieces, limit).0, &whole.0);
        let (mut parser, mut bytes) = (Parser::new(limit), stream.as_slice());
        while let Ok(Some(value)) = parser.next(&mut bytes) {
            prop_assert!(taken(&value) <= limit, "{value:?} takes {}", taken(&value));
        }
        let (all, end_of_frames) = frames(&stream, &[stream.len()], limit);
        let in_pieces = frames(&stream, &pieces, limit);
        prop_assert_eq!((&in_pieces.0, in_pieces.1.is_err()), (&all, end_of_frames.is_err()));
        prop_assert!(stream.starts_with(&concatenated(&all)));
        prop_assert!(decoded(&all).starts_with(&whole.0), "{all:?} {whole:?}");
        prop_assert!(all.iter().all(|frame| frame.as_bytes().len() <= limit.saturating_add(MORE)));
        // What is no frame is no value.
        prop_assert!(end_of_frames.is_ok() || whole.1.is_err());
    }
}

//! The fuzz target for the replies of a server: the parser reads them.

use redis::Value;

use crate::frame::Frame;
use crate::wire::Broken;
use crate::wire::Frames;
use crate::wire::Parser;

/// A frame may have so many bytes more than its value may take.
const MORE: usize = 64;
/// The most memory that a reply may take, in bytes.
const LIMIT: usize = 1 << 16;

/// Reads any bytes as replies. In whatever pieces they come, the values are the same, and redis-rs reads the
/// same values. No value takes more memory than it may, and nothing panics.
///
/// The frames are the same in whatever pieces too: they are the bytes of the stream, and their values are those values.
///
/// The first byte is the length of the pieces. The rest is what the server says.
pub fn replies(data: &[u8]) {
    let Some((&piece, stream)) = data.split_first() else { return };
    let (whole, end) = read(stream, stream.len().max(1));
    let (values, end_in_pieces) = read(stream, usize::from(piece).max(1));
    assert_eq!(shown(&values), shown(&whole));
    assert_eq!(end_in_pieces.is_err(), end.is_err());
    for value in &whole {
        assert!(taken(value) <= LIMIT, "{value:?} takes {}", taken(value));
    }
    let (frames, end_of_frames) = read_frames(stream, stream.len().max(1));
    let (in_pieces, end_in_pieces) = read_frames(stream, usize::from(piece).max(1));
    assert_eq!((&in_pieces, end_in_pieces.is_err()), (&frames, end_of_frames.is_err()));
    let bytes: Vec<u8> = frames.iter().flat_map(Frame::as_bytes).copied().collect();
    assert!(stream.starts_with(&bytes) && whole.len() <= frames.len());
    assert!(end.is_err() || end_of_frames.is_ok());
    for frame in &frames {
        assert!(frame.as_bytes().len() <= LIMIT + MORE);
    }
    let decoded: Vec<Value> = frames.iter().map_while(|frame| frame.decode().ok()).collect();
    assert_eq!(decoded.get(..whole.len()).map(shown), Some(shown(&whole)));
    // redis-rs does not read an error as one if it quotes bytes that are not UTF-8.
    if std::str::from_utf8(stream).is_ok() && end != Err(Broken::TooLarge) {
        let (mut parser, mut rest) = (redis::Parser::new(), stream);
        let by_redis_rs: Vec<Value> = std::iter::from_fn(|| parser.parse_value(&mut rest).ok()).collect();
        assert_eq!(shown(&whole), shown(&by_redis_rs));
    }
}

fn read(stream: &[u8], piece: usize) -> (Vec<Value>, Result<(), Broken>) {
    let (mut parser, mut values) = (Parser::new(LIMIT), Vec::new());
    for mut bytes in stream.chunks(piece) {
        loop {
            match parser.next(&mut bytes) {
                Ok(Some(value)) => values.push(value),
                Ok(None) => break,
                Err(broken) => return (values, Err(broken)),
            }
        }
    }
    (values, Ok(()))
}

fn read_frames(stream: &[u8], piece: usize) -> (Vec<Frame>, Result<(), Broken>) {
    let (mut parser, mut frames) = (Frames::new(LIMIT), Vec::new());
    for mut bytes in stream.chunks(piece) {
        loop {
            match parser.next(&mut bytes) {
                Ok(Some(frame)) => frames.push(Frame::new(frame)),
                Ok(None) => break,
                Err(broken) => return (frames, Err(broken)),
            }
        }
    }
    (frames, Ok(()))
}

/// Returns the values as text, by which they are compared: a NaN does not equal itself.
fn shown(values: &[Value]) -> String {
    format!("{values:?}")
}

/// Returns the number of bytes that a value takes. A vector counts with its whole capacity.
pub(crate) fn taken(value: &Value) -> usize {
    const ELEMENT: usize = size_of::<Value>();
    let all = |values: &[Value]| values.iter().map(taken).sum::<usize>();
    let of_pairs = |pairs: &Vec<(Value, Value)>| {
        2 * pairs.capacity() * ELEMENT + pairs.iter().map(|(a, b)| taken(a) + taken(b)).sum::<usize>()
    };
    match value {
        Value::BulkString(bytes) => bytes.capacity(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text.len(),
        Value::Array(values) | Value::Set(values) => values.capacity() * ELEMENT + all(values),
        Value::Push { data, .. } => data.len() * ELEMENT + all(data),
        Value::Map(pairs) => of_pairs(pairs),
        Value::Attribute { data, attributes } => ELEMENT + taken(data) + of_pairs(attributes),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::inputs;
    use super::*;

    #[test]
    fn the_replies_of_real_servers_are_read_in_pieces_of_any_length() {
        inputs::try_corpus("replies", |data| {
            let (_, stream) = data.split_first().unwrap();
            for piece in 1..=u8::MAX {
                replies(&[&[piece], stream].concat());
            }
        });
    }

    #[test]
    fn so_are_replies_of_any_other_bytes() {
        inputs::try_others("replies", 3000, replies);
    }
}

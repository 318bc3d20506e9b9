//! The registers of a HyperLogLog, whichever way they are written down: <https://github.com/redis/redis/blob/7.0/src/hyperloglog.c>.
//!
//! `PFCOUNT` writes the count that it found into the value, and the same registers can be written in several ways.

/// What each begins with: four letters, the way it is written, three unused bytes, and the count as it was last.
const HEADER: usize = 16;
const REGISTERS: usize = 16_384;

/// The registers of a string that is a HyperLogLog; `None` if it is none.
pub(crate) fn registers(text: &[u8]) -> Option<Vec<u8>> {
    let (header, body) = text.split_at_checked(HEADER)?;
    match (header.starts_with(b"HYLL"), header.get(4)?) {
        (true, 0) => dense(body),
        (true, 1) => sparse(body),
        _ => None,
    }
}

/// Six bits for each, the lowest first.
fn dense(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() != REGISTERS * 6 / 8 {
        return None;
    }
    let four = |bytes: &[u8]| {
        let bits = bytes.iter().rev().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        [0, 6, 12, 18].map(|shift| (bits >> shift & 63) as u8)
    };
    Some(body.chunks(3).flat_map(four).collect())
}

/// Runs of registers with the same value.
fn sparse(body: &[u8]) -> Option<Vec<u8>> {
    let mut registers = Vec::with_capacity(REGISTERS);
    let mut bytes = body.iter().copied().map(usize::from);
    while let Some(byte) = bytes.next() {
        let (value, length) = match byte >> 6 {
            0 => (0, (byte & 63) + 1),
            1 => (0, ((byte & 63) << 8 | bytes.next()?) + 1),
            _ => (((byte >> 2 & 31) + 1) as u8, (byte & 3) + 1),
        };
        registers.resize(registers.len() + length, value);
        if REGISTERS < registers.len() {
            return None;
        }
    }
    (registers.len() == REGISTERS).then_some(registers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(encoding: u8, body: &[u8]) -> Vec<u8> {
        [b"HYLL".as_slice(), &[encoding, 0, 0, 0], &[9; 8], body].concat()
    }

    #[test]
    fn the_same_registers_are_the_same_whichever_way_they_are_written() {
        // 5 registers of 0, 3 of 7, the rest 0: in runs, in other runs, and each for itself.
        let rest = REGISTERS - 8 - 1;
        let long = [1 << 6 | (rest >> 8) as u8, (rest & 255) as u8];
        let sevens = |n: u8| 0x80 | 6 << 2 | (n - 1);
        let in_runs = value(1, &[&[4, sevens(3)], long.as_slice()].concat());
        let in_others = value(1, &[&[1, 2, sevens(1), sevens(2)], long.as_slice()].concat());
        let mut dense = vec![0; REGISTERS * 6 / 8];
        for register in 5..8 {
            let bits = 7_u16 << (register * 6 % 8);
            dense[register * 6 / 8] |= (bits & 255) as u8;
            dense[register * 6 / 8 + 1] |= (bits >> 8) as u8;
        }
        let expected: Vec<u8> =
            (0..REGISTERS).map(|register| if (5..8).contains(&register) { 7 } else { 0 }).collect();
        for one in [in_runs, in_others, value(0, &dense)] {
            assert_eq!(registers(&one).as_ref(), Some(&expected));
        }
    }

    #[test]
    fn what_is_no_hyperloglog_stays_a_string() {
        for text in
            [b"".as_slice(), b"HYLL", b"HYLL and some more letters", &value(0, &[0; 5]), &value(1, &[0; 5])]
        {
            assert_eq!(registers(text), None);
        }
        assert_eq!(registers(&value(1, &[0x7f; REGISTERS])), None, "too many registers");
    }
}

//! Compression of long payloads.

use crate::error::DecodeReason;

/// The mark in an envelope of a payload that is as the codec wrote it.
pub(crate) const PLAIN: u8 = 0;
#[cfg(feature = "zstd")]
pub(crate) const ZSTD: u8 = 1;

/// The settings of compression.
#[cfg(feature = "zstd")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Zstd {
    pub(crate) level: i32,
    /// Only what is longer, in bytes.
    pub(crate) over: usize,
}

#[cfg(feature = "zstd")]
impl Zstd {
    /// The shorter form of a payload. `None` if it is not to be compressed, or if that does not save a tenth.
    pub(crate) fn compress(self, payload: &[u8]) -> Option<Vec<u8>> {
        if payload.len() <= self.over {
            return None;
        }
        let compressed = zstd::bulk::compress(payload, self.level).ok()?;
        (compressed.len() <= payload.len() / 10 * 9).then_some(compressed)
    }
}

/// The payload as the codec wrote it. No more memory is taken than `decoded_len`, which the caller has
/// checked.
pub(crate) fn decompress(
    compression: u8,
    payload: &[u8],
    decoded_len: usize,
) -> Result<Vec<u8>, DecodeReason> {
    let plain: Option<Vec<u8>> = match compression {
        #[cfg(feature = "zstd")]
        ZSTD => zstd::bulk::decompress(payload, decoded_len).ok(),
        _ => {
            let _ = payload;
            None
        }
    };
    let plain = plain.ok_or(DecodeReason::Compression)?;
    if plain.len() == decoded_len { Ok(plain) } else { Err(DecodeReason::Length) }
}

/// The bytes that the compressed entries of one call may still have together. Without a bound, as many short
/// ones as fit into a reply become as many long ones.
#[derive(Debug)]
pub(crate) struct Room {
    limit: usize,
    left: usize,
}

impl Room {
    /// For a call of many keys.
    pub(crate) fn of(limit: usize) -> Self {
        Self { limit, left: limit }
    }

    /// For a call of one key, which the bound on one entry is enough for.
    pub(crate) fn any() -> Self {
        Self::of(usize::MAX)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<(), DecodeReason> {
        match self.left.checked_sub(len) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(DecodeReason::TooMuch {
                len: len as u64,
                left: self.left as u64,
                limit: self.limit as u64,
            }),
        }
    }
}

//! Long payloads made shorter.

use std::borrow::Cow;

use crate::error::DecodeReason;

/// What an envelope says of a payload that is as the codec wrote it.
pub(crate) const PLAIN: u8 = 0;
#[cfg(feature = "zstd")]
pub(crate) const ZSTD: u8 = 1;

/// How payloads are compressed.
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

/// The payload as the codec wrote it. No more memory is taken than `decoded_len`, which the caller has checked.
pub(crate) fn decompress(
    compression: u8,
    payload: &[u8],
    decoded_len: usize,
) -> Result<Cow<'_, [u8]>, DecodeReason> {
    let plain = match compression {
        PLAIN => Cow::Borrowed(payload),
        #[cfg(feature = "zstd")]
        ZSTD => match zstd::bulk::decompress(payload, decoded_len) {
            Ok(plain) => Cow::Owned(plain),
            Err(_) => return Err(DecodeReason::Compression),
        },
        _ => return Err(DecodeReason::Compression),
    };
    if plain.len() == decoded_len { Ok(plain) } else { Err(DecodeReason::Length) }
}

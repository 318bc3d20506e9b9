//! The parts of a URL as they are written: percent escapes, and the number of a database.

use percent_encoding::percent_decode_str;

use super::ConfigError;

/// Decodes the percent escapes of a part of a URL.
pub(super) fn decode(text: &str) -> Result<String, ConfigError> {
    Ok(percent_decode_str(text).decode_utf8().map_err(|_| ConfigError::NotUtf8)?.into_owned())
}

/// Decodes a part that is shown: a host, a service, a path. A control character is an error.
pub(super) fn decode_place(text: &str) -> Result<String, ConfigError> {
    let place = decode(text)?;
    match place.chars().any(char::is_control) {
        true => Err(ConfigError::Control),
        false => Ok(place),
    }
}

/// Reads the number of a database.
pub(super) fn db_number(text: &str) -> Result<u32, ConfigError> {
    text.parse().map_err(|_| ConfigError::NotADatabase)
}

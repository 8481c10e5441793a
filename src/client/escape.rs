//! Text as a part of the path or the query of a request.

use std::fmt::Write as _;

/// Percent-encodes what may not stand there.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot go wrong.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_end_a_part_of_a_path_or_a_query_is_encoded() {
        assert_eq!(escaped("web-0.a_b~c"), "web-0.a_b~c");
        assert_eq!(escaped("a/b?c&d=e%\u{e9}"), "a%2Fb%3Fc%26d%3De%25%C3%A9");
    }
}

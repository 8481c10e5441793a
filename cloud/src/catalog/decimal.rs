//! Decimal text to an integer count of a fraction of it, without a float between.

/// `text` × 10^`places`, rounded half up: `scaled("3.1", 3)` is 3100. Reads `1e-5` too. None for what is no non-negative
/// decimal, or is past 2^63.
pub(crate) fn scaled(text: &str, places: i32) -> Option<i64> {
    let text = text.trim();
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?.clamp(-99, 99)),
        None => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // How many of the digits, zeros added behind them, stand before the point of the answer.
    let kept = i32::try_from(whole.len()).ok()? + exponent + places;
    let digit = |at: i32| usize::try_from(at).ok().and_then(|at| digits.get(at)).map_or(0, |d| i64::from(d - b'0'));
    let mut value: i64 = 0;
    for at in 0..kept {
        value = value.checked_mul(10)?.checked_add(digit(at))?;
    }
    if kept < 0 { Some(0) } else { value.checked_add(i64::from(digit(kept) >= 5)) }
}

#[cfg(test)]
mod tests {
    use super::scaled;

    #[test]
    fn a_decimal_is_scaled_and_rounded_half_up() {
        assert_eq!(scaled("3.1", 3), Some(3100));
        assert_eq!(scaled("0.027147483648", 6), Some(27147));
        assert_eq!(scaled("0.0000005", 6), Some(1));
        assert_eq!(scaled("0.00000049", 6), Some(0));
        assert_eq!(scaled("12", 0), Some(12));
        assert_eq!(scaled("1e-5", 6), Some(10));
        assert_eq!(scaled("9.6E-2", 6), Some(96_000));
        assert_eq!(scaled("1e-9", 6), Some(0));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", ".", "-1", "1.2.3", "abc", "1e", "99999999999999999999", "1e99"] {
            assert_eq!(scaled(text, 6), None, "{text}");
        }
    }
}

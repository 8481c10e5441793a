//! Conversions between counts, quantities and floats, each with the rounding it promises.

/// A count or index as `u32`; larger ones saturate (no list here is that long).
#[inline]
pub(crate) fn u32_of(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// A non-negative quotient as a count of items; saturates at `u32::MAX`, negative becomes 0.
#[inline]
pub(crate) fn count_of(n: i64) -> u32 {
    u32::try_from(n.max(0)).unwrap_or(u32::MAX)
}

/// The floor of a float as a count: 0 for negative or NaN, saturating above.
#[inline]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, and NaN becomes 0")]
pub(crate) fn floor_count(x: f64) -> u32 {
    x.floor() as u32
}

/// The smallest whole number of micro-dollars not below a proven real bound, after giving away one part in 10⁹ so that
/// no rounding error in the float computation can lift it over the true bound.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and NaN becomes 0")]
pub(crate) fn whole_bound(x: f64) -> i64 {
    if x <= 0.0 { 0 } else { (x * (1.0 - 1e-9) - 1e-3).ceil().max(0.0) as i64 }
}

/// A whole quantity as a float (exact up to 2⁵³, nearest above).
#[inline]
pub(crate) fn real(n: i64) -> f64 {
    n as f64
}

/// A float that stands for a whole amount.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
pub(crate) fn whole(x: f64) -> i64 {
    x.round() as i64
}

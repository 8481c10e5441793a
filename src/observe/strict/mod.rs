//! Strictness about fields: what the API does not know is an error, as with `kubectl --validate=strict`.

mod custom;
mod glance;
mod names;
mod near;
mod schema;

use serde_json::Value;

use super::error::{InputError, Origin};
use super::kinds::Served;
use super::objects::Validate;
use schema::{Fault, Schema};

pub(super) use glance::glance;
pub(super) use names::is_sound;
pub(crate) use near::nearest;
pub(super) use schema::kind_of;

/// Checks an object against its kind's fields; custom kinds get their defaults filled in. Unknown fields become an error
/// or notes as `validate` says; a wrong type is an error always.
pub(crate) fn check(
    served: &Served,
    value: Value,
    validate: Validate,
    origin: &Origin,
    object: &str,
    notes: &mut Vec<String>,
    collected: &mut Vec<InputError>,
) -> Result<Value, InputError> {
    if served.custom {
        return custom::check(served, value, validate, origin, object, notes, collected);
    }
    let mut faults = Vec::new();
    Schema::core().walk(served.name, &value, &mut faults);
    faults.extend(names::faults(served, &value));
    for fault in faults {
        if let Some(error) = judge(fault, validate, origin, object, notes) {
            return Err(error);
        }
    }
    Ok(value)
}

/// An error, or at most a note.
fn judge(
    fault: Fault,
    validate: Validate,
    origin: &Origin,
    object: &str,
    notes: &mut Vec<String>,
) -> Option<InputError> {
    let mut error = InputError::new(fault.message).at(origin).object(object).field(fault.path);
    error.value = fault.value.map(Into::into);
    error.remedy = fault.remedy.map(Into::into);
    match (fault.unknown, validate) {
        (false, _) | (true, Validate::Strict) => Some(error),
        (true, Validate::Warn | Validate::Collect) => {
            notes.push(error.to_string().replace('\n', ";"));
            None
        }
        (true, Validate::Ignore) => None,
    }
}

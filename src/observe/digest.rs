//! One number for what an object says, equal for equal objects, whatever the order of their fields.

use std::hash::{BuildHasher, Hash};

use foldhash::quality::FixedState;
use serde_json::{Number, Value};

/// Fields of the root that say what kind of object it is; they are known beside the digest.
pub(super) const OF_KIND: [&str; 2] = ["apiVersion", "kind"];
/// Who wrote which field: nothing that the object says.
pub(super) const MANAGED: &str = "managedFields";

/// What a single value comes to.
pub(super) fn scalar(tag: u8, value: impl Hash) -> u64 {
    FixedState::with_seed(0).hash_one((tag, value))
}

pub(super) fn flag(flag: bool) -> u64 {
    scalar(b'b', flag)
}

pub(super) fn text(text: &str) -> u64 {
    scalar(b't', text)
}

pub(super) fn unsigned(number: u64) -> u64 {
    scalar(b'u', number)
}

pub(super) fn signed(number: i64) -> u64 {
    u64::try_from(number).map_or_else(|_| scalar(b'i', number), unsigned)
}

pub(super) fn fraction(number: f64) -> u64 {
    scalar(b'f', number.to_bits())
}

/// A list with one more item.
pub(super) fn then(list: u64, item: u64) -> u64 {
    scalar(b'l', (list, item))
}

/// An object with one more field; the order does not matter.
pub(super) fn with(fields: u64, name: u64, value: u64) -> u64 {
    fields.wrapping_add(scalar(b'o', (name, value)))
}

/// Where a value stands in its object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    Root,
    Metadata,
    Below,
}

impl At {
    /// One level down.
    pub(super) fn then(self, field: &str) -> Self {
        if self == Self::Root && field == "metadata" { Self::Metadata } else { Self::Below }
    }

    /// Is this field no part of the digest?
    pub(super) fn leaves_out(self, field: &str) -> bool {
        match self {
            Self::Root => OF_KIND.contains(&field),
            Self::Metadata => field == MANAGED,
            Self::Below => false,
        }
    }
}

/// The digest of an object (null fields count as not there), and whether there are null fields.
pub(super) fn of(object: &Value) -> (u64, bool) {
    let mut has_nulls = false;
    (value(object, At::Root, &mut has_nulls), has_nulls)
}

fn value(of: &Value, at: At, has_nulls: &mut bool) -> u64 {
    match of {
        Value::Null => scalar(b'n', ()),
        Value::Bool(is) => flag(*is),
        Value::Number(of) => number(of),
        Value::String(of) => text(of),
        Value::Array(items) => items.iter().fold(0, |list, item| then(list, value(item, At::Below, has_nulls))),
        Value::Object(fields) => fields.iter().fold(0, |sum, (name, of)| {
            if of.is_null() {
                *has_nulls = true;
                sum
            } else if at.leaves_out(name) {
                // Nulls in there are dropped all the same.
                value(of, At::Below, has_nulls);
                sum
            } else {
                with(sum, text(name), value(of, at.then(name), has_nulls))
            }
        }),
    }
}

fn number(number: &Number) -> u64 {
    match (number.as_u64(), number.as_i64()) {
        (Some(whole), _) => unsigned(whole),
        (None, Some(whole)) => signed(whole),
        (None, None) => fraction(number.as_f64().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn digest(value: &Value) -> u64 {
        of(value).0
    }

    #[test]
    fn what_says_the_same_has_one_digest() {
        let plain = json!({"metadata": {"name": "a"}, "spec": {"x": [1, 2]}});
        let same =
            json!({"kind": "Pod", "spec": {"y": null, "x": [1, 2]}, "metadata": {"managedFields": [{}], "name": "a"}});
        assert_eq!(digest(&plain), digest(&same));
        assert!(of(&same).1 && !of(&plain).1);
    }

    #[test]
    fn what_differs_anywhere_has_another_digest() {
        let all = [
            json!({"a": [1, 2]}),
            json!({"a": [2, 1]}),
            json!({"a": [1], "b": [2]}),
            json!({"b": [1], "a": [2]}),
            json!({"a": "1"}),
            json!({"a": 1}),
            json!({"a": -1}),
            json!({"a": 1.5}),
            json!({"a": {"b": 1}}),
            json!({"a": true}),
            json!({"a": []}),
            json!({"a": {"kind": "x"}}),
            json!({"a": {"kind": "y"}}),
        ];
        let distinct: std::collections::BTreeSet<u64> = all.iter().map(digest).collect();
        // An empty list and an empty object say the same of themselves: nothing.
        assert_eq!(distinct.len(), all.len());
    }
}

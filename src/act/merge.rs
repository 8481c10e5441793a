//! JSON merge patches (RFC 7386): what has to be sent so that one object becomes the other.

use serde_json::{Map, Value};

/// The patch that turns `before` into `after`; None if they are equal. A list is replaced as a whole.
pub fn merge_patch(before: &Value, after: &Value) -> Option<Value> {
    if before == after {
        return None;
    }
    let (Value::Object(old), Value::Object(new)) = (before, after) else { return Some(after.clone()) };
    let mut patch = Map::new();
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in new {
        let part = match old.get(key) {
            Some(previous) => merge_patch(previous, value),
            None => Some(value.clone()),
        };
        if let Some(part) = part {
            patch.insert(key.clone(), part);
        }
    }
    Some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_sent_and_what_is_gone_is_null() {
        let before = json!({ "a": 1, "b": { "c": [1], "d": "x" }, "e": true });
        let after = json!({ "a": 1, "b": { "c": [1, 2], "d": "x" }, "f": {} });
        assert_eq!(merge_patch(&before, &after), Some(json!({ "b": { "c": [1, 2] }, "e": null, "f": {} })));
        assert_eq!(merge_patch(&before, &before), None);
    }

    fn apply(target: &mut Value, patch: &Value) {
        let Value::Object(changes) = patch else {
            *target = patch.clone();
            return;
        };
        if !target.is_object() {
            *target = json!({});
        }
        let Value::Object(map) = target else { return };
        for (key, change) in changes {
            if change.is_null() {
                map.remove(key);
            } else {
                apply(map.entry(key.clone()).or_insert(Value::Null), change);
            }
        }
    }

    fn object() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![any::<bool>().prop_map(Value::from), (0..3i32).prop_map(Value::from)];
        let inner = leaf.prop_recursive(3, 16, 3, |part| {
            prop_oneof![
                prop::collection::btree_map("[abc]", part.clone(), 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
                prop::collection::vec(part, 0..3).prop_map(Value::from),
            ]
        });
        prop::collection::btree_map("[abc]", inner, 0..3).prop_map(|map| Value::Object(map.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn applying_the_patch_gives_the_object_that_was_wanted(before in object(), after in object()) {
            let mut got = before.clone();
            if let Some(patch) = merge_patch(&before, &after) {
                apply(&mut got, &patch);
            }
            prop_assert_eq!(got, after);
        }
    }
}

//! The two forms of events: `v1`, in which they are stored, and `events.k8s.io/v1`.

use serde_json::{Map, Value, json};

/// Newer name, older name.
const FIELDS: [(&str, &str); 6] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
];
const COUNT: (&str, &str) = ("deprecatedCount", "count");

/// The newer form as the older one; its type is left open.
pub(super) fn to_old(value: &Value) -> Value {
    let mut value = renamed(value, |name| old_name(name));
    value.remove("apiVersion");
    value.remove("kind");
    Value::Object(value)
}

/// The older form as the newer one.
pub(super) fn to_new(value: &Value) -> Value {
    let names = FIELDS.into_iter().chain([COUNT]);
    let mut value = renamed(value, |name| names.clone().find(|(_, old)| *old == name).map_or(name, |(new, _)| new));
    value.insert("apiVersion".to_owned(), json!("events.k8s.io/v1"));
    Value::Object(value)
}

/// A path into the newer form as one into the older form; of field selectors.
pub(super) fn old_name(name: &str) -> &str {
    FIELDS.into_iter().chain([COUNT]).find(|(new, _)| *new == name).map_or(name, |(_, old)| old)
}

fn renamed<'a>(value: &'a Value, name: impl Fn(&'a str) -> &'a str) -> Map<String, Value> {
    let fields = value.as_object().into_iter().flatten();
    fields.map(|(field, value)| (name(field).to_owned(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_are_each_other_s_inverse() {
        let new = json!({ "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": { "name": "a" }, "note": "n",
            "regarding": { "kind": "Node" }, "reportingController": "c", "deprecatedCount": 2 });
        let old = to_old(&new);
        assert_eq!(old["message"], "n");
        assert_eq!(old["count"], 2);
        let mut back = to_new(&old);
        back["kind"] = "Event".into();
        assert_eq!(back, new);
    }
}

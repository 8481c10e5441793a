//! What a mistyped word was meant to be.

use serde_json::Value;
use strsim::osa_distance;

/// The candidate that the word most likely stands for: equal but for case, or at most a third of its letters away.
pub(super) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .map(|candidate| (osa_distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The first place in a schema that has a field of this very name: the user may have put it at another depth.
pub(super) fn elsewhere(schema: &Value, name: &str) -> Option<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    if properties.is_some_and(|properties| properties.contains_key(name)) {
        return Some(name.to_owned());
    }
    let below = |field: &str, inner: &Value| elsewhere(inner, name).map(|path| format!("{field}.{path}"));
    let in_fields = properties.into_iter().flatten().find_map(|(field, inner)| below(field, inner));
    in_fields.or_else(|| schema.get("items").and_then(|items| below("[]", items))).map(|path| path.replace(".[]", "[]"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let fields = ["consolidateAfter", "consolidationPolicy", "budgets"];
        let meant = |word: &str| nearest(word, fields.into_iter());
        assert_eq!(meant("consolidateafter"), Some("consolidateAfter"));
        assert_eq!(meant("budget"), Some("budgets"));
        assert_eq!(meant("bugdets"), Some("budgets"));
        assert_eq!(meant("replicas"), None);
    }

    #[test]
    fn a_field_is_found_at_another_depth() {
        let schema = json!({ "properties": { "spec": { "properties": {
            "terms": { "items": { "properties": { "id": {} } } } } } } });
        assert_eq!(elsewhere(&schema, "id").as_deref(), Some("spec.terms[].id"));
        assert_eq!(elsewhere(&schema, "terms").as_deref(), Some("spec.terms"));
        assert_eq!(elsewhere(&schema, "name"), None);
    }
}

//! Defaults of a schema, filled in as an API server does it.

use serde_json::Value;

/// The value with the schema's defaults for all that is missing. A null where none is allowed counts as missing and is
/// left out.
pub fn defaulted(schema: &Value, mut value: Value) -> Value {
    fill(schema, &mut value);
    value
}

fn fill(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let additional = schema.get("additionalProperties").filter(|additional| additional.is_object());
            let inner = |name: &str| properties.and_then(|properties| properties.get(name)).or(additional);
            fields.retain(|name, field| !field.is_null() || inner(name).is_none_or(is_nullable));
            for (name, inner) in properties.into_iter().flatten() {
                if let Some(default) = inner.get("default")
                    && !fields.contains_key(name)
                {
                    fields.insert(name.clone(), default.clone());
                }
            }
            for (name, field) in fields {
                if let Some(inner) = inner(name) {
                    fill(inner, field);
                }
            }
        }
        Value::Array(elements) => {
            if let Some(items) = schema.get("items") {
                for element in elements {
                    fill(items, element);
                }
            }
        }
        _ => {}
    }
}

/// Whether null is a value of its own here.
pub(super) fn is_nullable(schema: &Value) -> bool {
    schema.get("nullable").and_then(Value::as_bool).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kind::Kind;
    use crate::schema::with_defaults;

    use super::*;

    #[test]
    fn a_pool_gets_its_defaults_at_every_depth() {
        let pool = json!({ "spec": { "template": { "spec": { "nodeClassRef": {}, "taints": null } } } });
        let pool = with_defaults(Kind::NodePool, pool);
        let expected = json!({
            "consolidateAfter": "0s", "consolidationPolicy": "WhenEmptyOrUnderutilized", "budgets": [{ "nodes": "10%" }] });
        assert_eq!(pool["spec"]["disruption"], expected);
        assert_eq!(pool["spec"]["template"]["spec"], json!({ "nodeClassRef": {}, "expireAfter": "720h" }));
        assert!(pool.get("status").is_none());
    }

    #[test]
    fn what_is_said_is_kept() {
        let pool =
            json!({ "spec": { "disruption": { "consolidateAfter": "Never", "budgets": [{ "schedule": "@daily" }] } } });
        let disruption = with_defaults(Kind::NodePool, pool)["spec"]["disruption"].clone();
        assert_eq!(disruption["consolidateAfter"], "Never");
        assert_eq!(disruption["budgets"], json!([{ "nodes": "10%", "schedule": "@daily" }]));
    }

    #[test]
    fn metadata_options_of_a_class_are_filled_in_member_by_member() {
        let class =
            |spec| with_defaults(Kind::Ec2NodeClass, json!({ "spec": spec }))["spec"]["metadataOptions"].clone();
        let all = json!({ "httpEndpoint": "enabled", "httpProtocolIPv6": "disabled", "httpPutResponseHopLimit": 1,
            "httpTokens": "required" });
        assert_eq!(class(json!({})), all);
        assert_eq!(class(json!({ "metadataOptions": { "httpEndpoint": "enabled" } })), all);
    }

    #[test]
    fn a_pretended_class_is_ready_from_the_start() {
        let class = with_defaults(Kind::KwokNodeClass, json!({}));
        assert_eq!(class["status"]["conditions"][0]["type"], "Ready");
        assert_eq!(class["status"]["conditions"][0]["status"], "True");
        assert_eq!(class["status"]["conditions"][0]["lastTransitionTime"], "2024-01-01T01:01:01Z");
    }

    #[test]
    fn a_null_that_is_allowed_stays() {
        let schema = json!({ "properties": { "a": { "nullable": true }, "b": {}, "c": { "default": 1 } } });
        let value = defaulted(&schema, json!({ "a": null, "b": null, "c": null, "unknown": null }));
        assert_eq!(value, json!({ "a": null, "c": 1, "unknown": null }));
    }
}

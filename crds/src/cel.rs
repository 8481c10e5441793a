//! The CEL rules of the CRDs (`x-kubernetes-validations`), evaluated here as an API server does it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use kube_cel::{CompiledSchema, ErrorKind, ValidationError, compile_schema};
use serde_json::Value;

use crate::kind::{Kind, all};
use crate::schema::Fault;

/// The rules of one kind, ready to run.
struct Rules {
    compiled: CompiledSchema,
    message_by_rule: BTreeMap<String, String>,
}

static RULES: LazyLock<Vec<Rules>> = LazyLock::new(|| all().iter().map(|crd| read(&crd.schema)).collect());

fn read(schema: &Value) -> Rules {
    let mut message_by_rule = BTreeMap::new();
    collect_messages(schema, &mut message_by_rule);
    Rules { compiled: compile_schema(schema), message_by_rule }
}

/// The rules that the object breaks; defaults are filled in first. Rules about a change (`oldSelf`) are looked at only
/// with the object's old form. The object must have passed [`crate::schema::validate`], or rules may fail for want of
/// the fields they speak of.
pub fn validate(kind: Kind, object: &Value, old: Option<&Value>) -> Vec<Fault> {
    let rules = &RULES[kind as usize];
    match kube_cel::validate_compiled(&rules.compiled, object, old) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.into_vec().into_iter().map(|error| fault(rules, error)).collect(),
    }
}

fn fault(rules: &Rules, error: ValidationError) -> Fault {
    let message = match (&error.kind, rules.message_by_rule.get(&error.rule)) {
        (ErrorKind::ValidationFailure, _) | (_, None) => error.message,
        // An API server puts it this way too when a rule stumbles over a value.
        (_, Some(message)) => format!("{} evaluating rule: {message}", error.message),
    };
    Fault { path: error.field_path, message, remedy: format!("it must hold that {}", error.rule) }
}

fn collect_messages(schema: &Value, into: &mut BTreeMap<String, String>) {
    match schema {
        Value::Object(fields) => {
            for rule in fields.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
                if let (Some(rule), Some(message)) = (rule["rule"].as_str(), rule["message"].as_str()) {
                    into.insert(rule.to_owned(), message.to_owned());
                }
            }
            fields.values().for_each(|field| collect_messages(field, into));
        }
        Value::Array(elements) => elements.iter().for_each(|element| collect_messages(element, into)),
        _ => {}
    }
}

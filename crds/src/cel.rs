//! The CEL rules of the CRDs (`x-kubernetes-validations`), evaluated here as an API server does it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use kube_cel::{CompiledSchema, ErrorKind, ValidationError, ValidationErrors, compile_schema};
use serde_json::Value;

use crate::kind::{Kind, all};
use crate::schema::{Fault, excerpt};

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
    broken(rules, object, old).into_iter().map(|error| fault(rules, error)).collect()
}

/// The rules that the object breaks by itself, for a person: each at the element or entry that breaks it, if there is
/// one, with the value there; the rule's message is the remedy.
pub fn explain(kind: Kind, object: &Value) -> Vec<Fault> {
    let rules = &RULES[kind as usize];
    broken(rules, object, None).iter().flat_map(|error| explained(rules, object, error)).collect()
}

fn broken(rules: &Rules, object: &Value, old: Option<&Value>) -> Vec<ValidationError> {
    kube_cel::validate_compiled(&rules.compiled, object, old).err().map_or_else(Vec::new, ValidationErrors::into_vec)
}

/// Elements that are tried one by one. The CRDs allow 100 requirements.
const MAX_ELEMENTS: usize = 200;

fn explained(rules: &Rules, object: &Value, error: &ValidationError) -> Vec<Fault> {
    let path = &error.field_path;
    let remedy = rules.message_by_rule.get(&error.rule).unwrap_or(&error.message);
    let one = |path: String, value: Option<&Value>| {
        let shown = value.filter(|value| !value.is_object() || path.ends_with(']'));
        let message = shown.map_or_else(
            || "is not allowed as it is written".to_owned(),
            |value| format!("{} is not allowed", excerpt(&value.to_string())),
        );
        Fault { path, message, remedy: remedy.clone() }
    };
    let pointer = format!("/{}", path.replace(['.', '['], "/").replace(']', ""));
    let value = object.pointer(&pointer);
    // A rule for each element is broken by a list of this one alone, too.
    let is_broken_by = |part: Value| {
        let mut other = object.clone();
        if let Some(place) = other.pointer_mut(&pointer) {
            *place = part;
        }
        broken(rules, &other, None).iter().any(|other| other.rule == error.rule && other.field_path == *path)
    };
    let is_for_each = error.rule.starts_with("self.all(") || error.rule.starts_with("self.exists(");
    let parts: Vec<Fault> = match value.filter(|_| is_for_each) {
        Some(Value::Array(elements)) => {
            let each = elements.iter().take(MAX_ELEMENTS).enumerate();
            let bad = each.filter(|(_, element)| is_broken_by(Value::Array(vec![(*element).clone()])));
            bad.map(|(at, element)| one(format!("{path}[{at}]"), Some(element))).collect()
        }
        Some(Value::Object(fields)) => {
            let alone = |(key, field): &(&String, &Value)| {
                is_broken_by(Value::Object(std::iter::once(((*key).clone(), (*field).clone())).collect()))
            };
            let bad = fields.iter().take(MAX_ELEMENTS).filter(alone);
            bad.map(|(key, field)| one(format!("{path}[{key}]"), Some(field))).collect()
        }
        _ => Vec::new(),
    };
    if parts.is_empty() { vec![one(path.clone(), value)] } else { parts }
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

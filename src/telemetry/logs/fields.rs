//! The fields of an event or span as JSON.

use std::fmt;

use serde_json::{Value, json};
use tracing::field::{Field, Visit};

/// Fields that name an object: written as an object with its name, and its namespace where it has one.
const OBJECTS: [&str; 8] =
    ["Node", "NodeClaim", "NodePool", "Pod", "EC2NodeClass", "KWOKNodeClass", "NodeOverlay", "CapacityBuffer"];

/// In the order they were recorded; a key that comes again takes the place of the first.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(String, Value)>);

impl Fields {
    pub(super) fn extend(&mut self, other: &Self) {
        for (key, value) in &other.0 {
            self.put(key, value.clone());
        }
    }

    /// The message and the others.
    pub(super) fn split(mut self) -> (String, Vec<(String, Value)>) {
        let idx = self.0.iter().position(|(key, _)| key == "message");
        let message = idx.map(|idx| self.0.remove(idx).1);
        let message = match message {
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
            None => String::new(),
        };
        (message, self.0)
    }

    fn put(&mut self, key: &str, value: Value) {
        match self.0.iter_mut().find(|(other, _)| other == key) {
            Some(entry) => entry.1 = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    fn text(&mut self, field: &Field, text: &str) {
        let value = if OBJECTS.contains(&field.name()) { object(text) } else { Value::from(text) };
        self.put(field.name(), value);
    }
}

/// `shop/web-0` → `{"namespace":"shop","name":"web-0"}`.
fn object(text: &str) -> Value {
    match text.split_once('/') {
        Some((namespace, name)) => json!({ "name": name, "namespace": namespace }),
        None => json!({ "name": text }),
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.text(field, &value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }
}

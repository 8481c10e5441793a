//! Plain requests to the API server of a stack: paths and JSON, and refusals as the server words them.

use std::fmt;

use serde_json::Value;

use crate::http::Server;

/// A user's way to the API server. Blocks; nothing is tried twice.
#[derive(Clone, Debug)]
pub struct Api {
    pub(crate) server: Server,
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was asked: verb and path.
    pub request: String,
    /// HTTP status; 0 if there was no answer.
    pub code: u16,
    pub reason: String,
    pub message: String,
    /// Field and message of each cause.
    pub causes: Vec<(String, String)>,
}

impl Api {
    /// An object, or a collection.
    pub fn get(&self, path: &str) -> Result<Value, Refusal> {
        self.ask("GET", path, None)
    }

    pub fn create(&self, collection: &str, object: &Value) -> Result<Value, Refusal> {
        self.ask("POST", collection, Some(("application/json", object)))
    }

    pub fn replace(&self, path: &str, object: &Value) -> Result<Value, Refusal> {
        self.ask("PUT", path, Some(("application/json", object)))
    }

    /// A JSON merge patch.
    pub fn patch(&self, path: &str, patch: &Value) -> Result<Value, Refusal> {
        self.ask("PATCH", path, Some(("application/merge-patch+json", patch)))
    }

    /// Deletes an object, or everything in a collection.
    pub fn delete(&self, path: &str) -> Result<Value, Refusal> {
        self.ask("DELETE", path, None)
    }

    /// The objects of a collection.
    pub fn list(&self, collection: &str) -> Result<Vec<Value>, Refusal> {
        let mut list = self.get(collection)?;
        match list["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Err(Refusal::without_answer("GET", collection, "the answer is no list".to_owned())),
        }
    }

    /// How many objects there are in a collection, without reading them. It must have no selector.
    pub fn count(&self, collection: &str) -> Result<u64, Refusal> {
        let list = self.get(&format!("{collection}?limit=1"))?;
        let n_here = list["items"].as_array().map_or(0, |items| items.len() as u64);
        Ok(n_here + list["metadata"]["remainingItemCount"].as_u64().unwrap_or(0))
    }

    fn ask(&self, verb: &str, path: &str, body: Option<(&str, &Value)>) -> Result<Value, Refusal> {
        let text = body.map(|(content_type, value)| (content_type, value.to_string()));
        let body = text.as_ref().map(|(content_type, text)| (*content_type, text.as_bytes()));
        let answer = self.server.ask(verb, path, body).map_err(|said| Refusal::without_answer(verb, path, said))?;
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|_| {
            // A refusal by something before the API itself is plain text.
            Value::String(String::from_utf8_lossy(&answer.body).trim().to_owned())
        });
        if (200..300).contains(&answer.status) {
            Ok(value)
        } else {
            Err(Refusal::new(verb, path, answer.status, &value))
        }
    }
}

impl Refusal {
    /// From a `Status` object.
    fn new(verb: &str, path: &str, code: u16, status: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let causes = status["details"]["causes"].as_array().map(Vec::as_slice).unwrap_or_default();
        Self {
            request: format!("{verb} {path}"),
            code,
            reason: text(&status["reason"]),
            message: status["message"].as_str().map_or_else(|| text(status), str::to_owned),
            causes: causes.iter().map(|cause| (text(&cause["field"]), text(&cause["message"]))).collect(),
        }
    }

    fn without_answer(verb: &str, path: &str, message: String) -> Self {
        Self { request: format!("{verb} {path}"), code: 0, reason: String::new(), message, causes: Vec::new() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}: {}", self.request, self.code, self.reason, self.message)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_carries_what_the_status_says() {
        let status = json!({ "kind": "Status", "reason": "Invalid", "message": "no", "details": {
            "causes": [{ "field": "spec", "message": "Invalid value: bad" }] } });
        let refusal = Refusal::new("POST", "/x", 422, &status);
        assert_eq!(refusal.to_string(), "POST /x: 422 Invalid: no");
        assert_eq!(refusal.causes, [("spec".to_owned(), "Invalid value: bad".to_owned())]);
    }

    #[test]
    fn a_refusal_that_is_plain_text_is_quoted() {
        assert_eq!(Refusal::new("GET", "/x", 404, &json!("404 page not found")).message, "404 page not found");
    }
}

//! Which requests were made: the API server's own audit log, read back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Error;

/// One request that has been answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// Plural, with the subresource: `pods`, `pods/eviction`, `nodeclaims/status`. Empty for pages such as `/version`.
    pub resource: String,
    /// HTTP status.
    pub code: u16,
}

/// Every request in the log, once each.
pub(crate) fn read(log: &Path) -> Result<Vec<Request>, Error> {
    let text = match fs::read(log) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(Error::file("read", log))?,
    };
    Ok(parse(&String::from_utf8_lossy(&text)))
}

fn parse(text: &str) -> Vec<Request> {
    // A watch is noted when it starts and when it ends. The last line may still be being written.
    let mut seen = BTreeSet::new();
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let requests = events.filter_map(|event| {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if !seen.insert(word(&event["auditID"])) {
            return None;
        }
        let object = &event["objectRef"];
        let resource = match object["subresource"].as_str() {
            Some(subresource) => format!("{}/{subresource}", word(&object["resource"])),
            None => word(&object["resource"]),
        };
        let code = event["responseStatus"]["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(0);
        Some(Request { user: word(&event["user"]["username"]), verb: word(&event["verb"]), resource, code })
    });
    requests.collect()
}

/// How many requests there were of each verb.
pub(crate) fn by_verb(requests: &[Request]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for request in requests {
        *counts.entry(request.verb.clone()).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"{"auditID":"1","stage":"ResponseStarted","verb":"watch","user":{"username":"a"},"objectRef":{"resource":"pods"},"responseStatus":{"code":200}}
{"auditID":"2","stage":"ResponseComplete","verb":"create","user":{"username":"a"},"objectRef":{"resource":"pods","subresource":"eviction"},"responseStatus":{"code":429}}
{"auditID":"1","stage":"ResponseComplete","verb":"watch","user":{"username":"a"},"objectRef":{"resource":"pods"},"responseStatus":{"code":200}}
{"auditID":"3","stage":"Resp"#;

    #[test]
    fn each_request_counts_once_and_a_line_that_is_not_whole_not_at_all() {
        let requests = parse(LOG);
        assert_eq!(by_verb(&requests), BTreeMap::from([("create".to_owned(), 1), ("watch".to_owned(), 1)]));
        assert_eq!((requests[1].resource.as_str(), requests[1].code), ("pods/eviction", 429));
    }
}

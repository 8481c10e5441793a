//! The four kinds of patches: what an object becomes under each of them.

use serde_json::{Map, Value};

use super::resource::Id;
use super::status::Status;
use super::strategic;

/// A patch, by the media type it came with.
#[derive(Clone, Debug, PartialEq)]
pub enum Patch {
    /// RFC 7386.
    Merge(Value),
    /// RFC 6902.
    Json(Value),
    /// Kubernetes' own, with lists merged by key.
    Strategic(Value),
    /// Server-side apply.
    Apply(Value),
}

impl Patch {
    /// Reads the body of a request.
    pub fn parse(media_type: &str, body: &[u8]) -> Result<Self, Status> {
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        let value = || {
            serde_json::from_slice(body).map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))
        };
        match media_type {
            "application/merge-patch+json" => Ok(Self::Merge(value()?)),
            "application/json-patch+json" => Ok(Self::Json(value()?)),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic(value()?)),
            "application/apply-patch+yaml" | "application/apply-patch+json" => Ok(Self::Apply(value()?)),
            other => Err(Status::unsupported_media_type(format!(
                "the body of the request was in an unknown format - {other:?} is none of application/json-patch+json, \
                 application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml"
            ))),
        }
    }

    /// The object after the patch; an `Apply` is not decided here.
    pub(super) fn on(&self, id: Id, old: &Value) -> Result<Value, Status> {
        let mut new = old.clone();
        match self {
            Self::Merge(patch) | Self::Apply(patch) => merge(&mut new, patch),
            Self::Json(patch) => {
                let mut patch: json_patch::Patch = serde_json::from_value(patch.clone())
                    .map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))?;
                patch.0.retain(|step| !is_test_of_nothing(step, old));
                json_patch::patch(&mut new, &patch).map_err(|_| Status::unprocessable())?;
            }
            Self::Strategic(_) if id.resource().crd.is_some() => {
                return Err(Status::unsupported_media_type(
                    "the body of the request was in an unknown format - accepted media types include: \
                     application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
                ));
            }
            Self::Strategic(patch) => strategic::merge(&mut new, patch),
        }
        Ok(new)
    }
}

/// The API server's library lets a test for null pass where there is nothing.
fn is_test_of_nothing(step: &json_patch::PatchOperation, old: &Value) -> bool {
    let json_patch::PatchOperation::Test(test) = step else { return false };
    test.value.is_null() && old.pointer(&test.path.to_string()).is_none()
}

/// JSON merge patch.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(target) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_merge_patch_takes_away_what_it_says_is_null() {
        let mut target = json!({ "a": { "b": 1, "c": 2 }, "d": [1, 2] });
        merge(&mut target, &json!({ "a": { "b": null, "e": { "f": null, "g": 1 } }, "d": [3] }));
        assert_eq!(target, json!({ "a": { "c": 2, "e": { "g": 1 } }, "d": [3] }));
    }

    #[test]
    fn a_json_patch_whose_test_fails_is_refused() {
        let patch = json!([{ "op": "test", "path": "/a", "value": 2 }, { "op": "replace", "path": "/a", "value": 3 }]);
        let patch = Patch::parse("application/json-patch+json", patch.to_string().as_bytes()).unwrap();
        assert_eq!(patch.on(Id::POD, &json!({ "a": 2 })).unwrap(), json!({ "a": 3 }));
        assert_eq!(patch.on(Id::POD, &json!({ "a": 1 })).unwrap_err().code, 422);
        let patch = json!([{ "op": "test", "path": "/a", "value": null }, { "op": "add", "path": "/a", "value": [1] }]);
        let patch = Patch::parse("application/json-patch+json", patch.to_string().as_bytes()).unwrap();
        assert_eq!(patch.on(Id::POD, &json!({})).unwrap(), json!({ "a": [1] }), "null is nothing");
        assert_eq!(patch.on(Id::POD, &json!({ "a": [] })).unwrap_err().code, 422);
    }

    #[test]
    fn custom_resources_take_no_strategic_patch() {
        let patch = Patch::Strategic(json!({}));
        assert_eq!(patch.on(Id::of(crds::Kind::NodePool), &json!({})).unwrap_err().code, 415);
        assert_eq!(Patch::parse("text/plain", b"{}").unwrap_err().code, 415);
    }
}

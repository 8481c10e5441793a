//! A thin typed layer over the Kubernetes client: one object, one verb, one time limit, one kind of error.
//!
//! Requests are written by hand, because our own kinds carry their own metadata, and because an eviction must name the
//! pod it means by uid: the client's own builder spells that field in a way the server passes over.

use std::time::Duration;

use http::{Method, Request};
use kube::Client;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};

use super::error::ActError;
use crate::client::escaped;

/// The longest an answer may take. The server's own limit for a request is 60 s, but no write of ours takes that long.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// A kind of object that is read and written.
pub trait Object: DeserializeOwned {
    const KIND: &'static str;
    /// `/api/v1` or `/apis/<group>/<version>`.
    const API: &'static str;
    const PLURAL: &'static str;
    /// Whether names count within a namespace.
    const NAMESPACED: bool = false;
}

impl Object for crds::NodeClaim {
    const KIND: &'static str = "NodeClaim";
    const API: &'static str = "/apis/karpenter.sh/v1";
    const PLURAL: &'static str = "nodeclaims";
}

impl Object for crds::NodePool {
    const KIND: &'static str = "NodePool";
    const API: &'static str = "/apis/karpenter.sh/v1";
    const PLURAL: &'static str = "nodepools";
}

impl Object for crds::Ec2NodeClass {
    const KIND: &'static str = "EC2NodeClass";
    const API: &'static str = "/apis/karpenter.k8s.aws/v1";
    const PLURAL: &'static str = "ec2nodeclasses";
}

impl Object for crds::NodeOverlay {
    const KIND: &'static str = "NodeOverlay";
    const API: &'static str = "/apis/karpenter.sh/v1alpha1";
    const PLURAL: &'static str = "nodeoverlays";
}

impl Object for crds::CapacityBuffer {
    const KIND: &'static str = "CapacityBuffer";
    const API: &'static str = "/apis/autoscaling.x-k8s.io/v1beta1";
    const PLURAL: &'static str = "capacitybuffers";
    const NAMESPACED: bool = true;
}

/// Which object a delete or an eviction means: nothing happens to another one of the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preconditions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
}

impl Preconditions {
    /// The object with this uid, in whatever state it is.
    pub fn uid(uid: &str) -> Self {
        Self { uid: Some(uid.to_owned()), resource_version: None }
    }
}

/// What became of an eviction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// The pod is on its way out.
    Accepted,
    /// There is no such pod any more.
    Gone { code: u16 },
    /// A disruption budget does not allow it now.
    Blocked { code: u16, why: &'static str },
}

/// The API server, for one writer.
#[derive(Clone)]
pub struct Api {
    client: Client,
    once: Client,
}

impl Api {
    /// `client` may repeat a request, `once` never does: creates and evictions go through it, so that a lost answer
    /// cannot make a second object.
    pub fn new(client: Client, once: Client) -> Self {
        Self { client, once }
    }

    /// The object as the server holds it now; None if there is none.
    pub async fn get<T: Object>(&self, namespace: &str, name: &str) -> Result<Option<T>, ActError> {
        let call = Call::of::<T>("get", namespace, name);
        match call.send::<T>(&self.client, Method::GET, None).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All objects of a kind, in every namespace, page by page.
    pub async fn list<T: Object>(&self, page: u32, at_most: usize) -> Result<Vec<T>, ActError> {
        let mut out = Vec::new();
        let mut token = String::new();
        loop {
            let mut call = Call::of::<T>("list", "", "");
            call.path = format!("{}?limit={page}&continue={}", call.path, escaped(&token));
            let mut answer = call.send::<Value>(&self.client, Method::GET, None).await?;
            out.extend(call.items::<T>(&mut answer)?);
            answer.pointer("/metadata/continue").and_then(Value::as_str).unwrap_or_default().clone_into(&mut token);
            if token.is_empty() || out.len() >= at_most {
                return Ok(out);
            }
        }
    }

    /// The objects with these fields, in every namespace, as the server has them in memory.
    pub async fn list_where<T: Object>(&self, fields: &str) -> Result<Vec<T>, ActError> {
        let mut call = Call::of::<T>("list", "", "");
        call.path = format!("{}?resourceVersion=0&fieldSelector={}", call.path, escaped(fields));
        let mut answer = call.send::<Value>(&self.client, Method::GET, None).await?;
        call.items(&mut answer)
    }

    /// Makes the object. Asked for a name that is taken, the server answers with a conflict.
    pub async fn create<T: Object>(&self, namespace: &str, object: &impl Serialize) -> Result<T, ActError> {
        let mut call = Call::of::<T>("create", namespace, "");
        let body = call.encode(object)?;
        let name = body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        call.object = format!("{} {name}", T::KIND);
        call.send(&self.once, Method::POST, Some((JSON, body))).await
    }

    /// Merges `patch` into the object. With `metadata.resourceVersion` in it, only if nobody wrote since.
    pub async fn merge<T: Object>(&self, namespace: &str, name: &str, patch: Value) -> Result<T, ActError> {
        let call = Call::of::<T>("patch", namespace, name);
        call.send(&self.client, Method::PATCH, Some((MERGE, patch))).await
    }

    /// Merges `patch` (which begins at the object, not at its status) into the object's status.
    pub async fn merge_status<T: Object>(&self, namespace: &str, name: &str, patch: Value) -> Result<T, ActError> {
        let mut call = Call::of::<T>("patch status of", namespace, name);
        call.path.push_str("/status");
        call.send(&self.client, Method::PATCH, Some((MERGE, patch))).await
    }

    /// Takes the steps of a JSON patch (RFC 6902). If one of its tests fails, somebody else has written what it is about:
    /// that is a conflict. Whoever writes other parts of the object is no hindrance.
    pub async fn steps<T: Object>(&self, namespace: &str, name: &str, steps: Value) -> Result<T, ActError> {
        let call = Call::of::<T>("patch", namespace, name);
        match call.send(&self.client, Method::PATCH, Some((STEPS, steps))).await {
            Err(ActError::Refused { verb, object, source }) if is_failed_test(&source) => {
                Err(ActError::Stale { verb, object })
            }
            other => other,
        }
    }

    /// Asks for the object's deletion. An object that is gone already, or is another one, is as good as deleted.
    pub async fn delete<T: Object>(
        &self,
        namespace: &str,
        name: &str,
        which: &Preconditions,
        grace_seconds: Option<i64>,
    ) -> Result<(), ActError> {
        let call = Call::of::<T>("delete", namespace, name);
        let mut body = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": which });
        if let Some(seconds) = grace_seconds {
            body["gracePeriodSeconds"] = seconds.into();
        }
        match call.send::<IgnoredAny>(&self.client, Method::DELETE, Some((JSON, body))).await {
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) if error.is_conflict() && which.resource_version.is_none() => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Asks for a pod to leave, as far as the disruption budgets allow it.
    pub async fn evict(&self, namespace: &str, name: &str, uid: &str) -> Result<Eviction, ActError> {
        let path = format!("/api/v1/namespaces/{}/pods/{}/eviction", escaped(namespace), escaped(name));
        let call = Call { verb: "evict", object: format!("Pod {namespace}/{name}"), path };
        let body = json!({
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": { "name": name, "namespace": namespace },
            "deleteOptions": { "preconditions": { "uid": uid } },
        });
        match call.send::<IgnoredAny>(&self.once, Method::POST, Some((JSON, body))).await {
            Ok(_) => Ok(Eviction::Accepted),
            Err(error) => match error.code() {
                Some(code @ (404 | 409)) => Ok(Eviction::Gone { code }),
                Some(code @ 429) => Ok(Eviction::Blocked { code, why: "evicting pod violates a PDB" }),
                Some(code @ 500) if error.message().contains("more than one PodDisruptionBudget") => {
                    Ok(Eviction::Blocked { code, why: "eviction does not support multiple PDBs" })
                }
                _ => Err(error),
            },
        }
    }
}

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const STEPS: &str = "application/json-patch+json";

/// The API server says no more of a test that failed than this code; of a field that is wrong it names the field.
fn is_failed_test(status: &kube::core::Status) -> bool {
    status.code == 422 && status.details.as_ref().is_none_or(|details| details.causes.is_empty())
}

/// One request, and how to speak of it.
struct Call {
    verb: &'static str,
    object: String,
    path: String,
}

impl Call {
    fn of<T: Object>(verb: &'static str, namespace: &str, name: &str) -> Self {
        let mut path = T::API.to_owned();
        let mut object = T::KIND.to_owned();
        if T::NAMESPACED && !namespace.is_empty() {
            path.push_str("/namespaces/");
            path.push_str(&escaped(namespace));
        }
        path.push('/');
        path.push_str(T::PLURAL);
        if !name.is_empty() {
            path.push('/');
            path.push_str(&escaped(name));
            object = if T::NAMESPACED { format!("{object} {namespace}/{name}") } else { format!("{object} {name}") };
        }
        Self { verb, object, path }
    }

    async fn send<T: DeserializeOwned>(
        &self,
        client: &Client,
        method: Method,
        body: Option<(&str, Value)>,
    ) -> Result<T, ActError> {
        let mut request = Request::builder().method(method).uri(&self.path);
        let mut bytes = Vec::new();
        if let Some((content, body)) = body {
            request = request.header(http::header::CONTENT_TYPE, content);
            bytes = serde_json::to_vec(&body).map_err(|source| self.unwritable(source))?;
        }
        let request = request.body(bytes).map_err(|source| ActError::Request {
            verb: self.verb,
            object: self.object.clone(),
            source,
        })?;
        let (verb, object) = (self.verb, self.object.clone());
        match tokio::time::timeout(ANSWER_LIMIT, client.request::<T>(request)).await {
            Err(_) => Err(ActError::TimedOut { verb, object, limit: ANSWER_LIMIT }),
            Ok(Err(kube::Error::Api(source))) => Err(ActError::Refused { verb, object, source }),
            Ok(Err(source)) => Err(ActError::Transport { verb, object, source: Box::new(source) }),
            Ok(Ok(answer)) => Ok(answer),
        }
    }

    /// Those of an answer to a list.
    fn items<T: Object>(&self, answer: &mut Value) -> Result<Vec<T>, ActError> {
        let items = answer.get_mut("items").map(Value::take).filter(|items| !items.is_null());
        serde_json::from_value(items.unwrap_or_else(|| json!([]))).map_err(|source| {
            let (verb, object) = (self.verb, self.object.clone());
            ActError::Answer { verb, object, kind: T::KIND, source }
        })
    }

    fn encode(&self, object: &impl Serialize) -> Result<Value, ActError> {
        serde_json::to_value(object).map_err(|source| self.unwritable(source))
    }

    fn unwritable(&self, source: serde_json::Error) -> ActError {
        ActError::Encode { verb: self.verb, object: self.object.clone(), source }
    }
}

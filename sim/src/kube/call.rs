//! One request, read from HTTP: which verb, on which object, with which parameters.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, header};

use super::object::Key;
use super::resource::Id;
use super::status::Status;

/// What a request wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    /// As audit logs write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    pub fn is_write(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// A request about objects.
#[derive(Clone, Debug)]
pub struct Call {
    pub verb: Verb,
    pub id: Id,
    /// Nothing: all namespaces, or a cluster-wide kind.
    pub namespace: Option<String>,
    pub name: Option<String>,
    /// `status`, `binding`, `eviction`.
    pub subresource: Option<String>,
    pub(super) params: BTreeMap<String, String>,
    pub(super) body: Bytes,
    pub(super) media_type: String,
    /// Whether only metadata is wanted in the answer.
    pub(super) is_metadata_only: bool,
}

/// What a path stands for.
#[derive(Debug)]
pub(super) enum Route {
    Call(Box<Call>),
    /// `/version`, `/api…`, `/apis…`, `/healthz` and its like.
    Discovery(String),
}

impl Call {
    /// The key of the one object that the call is about.
    pub fn key(&self) -> Key {
        Key::new(self.namespace.as_deref().unwrap_or_default(), self.name.as_deref().unwrap_or_default())
    }

    pub(super) fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.param(name), "true" | "1")
    }

    pub fn is_dry_run(&self) -> bool {
        !self.param("dryRun").is_empty()
    }

    /// How the log names it: `create nodeclaims/default-x`, `patch pods/status shop/web-0`.
    pub fn words(&self) -> String {
        let subresource = self.subresource.as_ref().map(|name| format!("/{name}")).unwrap_or_default();
        format!("{} {}{subresource} {}", self.verb.as_str(), self.id.resource().plural, self.key())
            .trim_end()
            .to_owned()
    }
}

/// Reads a request. The path decides whether there is anything to call.
pub(super) fn route(parts: &Parts, body: Bytes) -> Result<Route, Status> {
    let path = parts.uri.path();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let (group, version, rest) = match segments.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
        ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
        _ => return Ok(Route::Discovery(path.trim_end_matches('/').to_owned())),
    };
    let (namespace, rest) = match rest {
        ["namespaces", namespace, plural, rest @ ..] if !matches!(*plural, "status" | "finalize") => {
            (Some(*namespace), [&[*plural], rest].concat())
        }
        rest => (None, rest.to_vec()),
    };
    let (plural, name, subresource) = match rest.as_slice() {
        [plural] => (*plural, None, None),
        [plural, name] => (*plural, Some(*name), None),
        [plural, name, subresource] => (*plural, Some(*name), Some(*subresource)),
        _ => return Err(Status::no_such_path()),
    };
    let id = Id::by_plural(group, version, plural).ok_or_else(Status::no_such_path)?;
    let resource = id.resource();
    // Names stand in cluster-wide paths only of cluster-wide kinds.
    if resource.is_namespaced && namespace.is_none() && name.is_some() || !resource.is_namespaced && namespace.is_some()
    {
        return Err(Status::no_such_path());
    }
    let params: BTreeMap<String, String> =
        form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let is_watch = params.get("watch").is_some_and(|watch| watch == "true" || watch == "1");
    let verb = match (&parts.method, name.is_some()) {
        (&Method::GET, true) if !is_watch => Verb::Get,
        (&Method::GET, false) if !is_watch => Verb::List,
        (&Method::GET, _) => Verb::Watch,
        (&Method::POST, false) => Verb::Create,
        (&Method::POST, true) if subresource.is_some() => Verb::Create,
        (&Method::PUT, true) => Verb::Update,
        (&Method::PATCH, true) => Verb::Patch,
        (&Method::DELETE, true) => Verb::Delete,
        (&Method::DELETE, false) => Verb::DeleteCollection,
        _ => return Err(Status::method_not_allowed()),
    };
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let call = Call {
        verb,
        id,
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        subresource: subresource.map(str::to_owned),
        params,
        body,
        media_type: text(header::CONTENT_TYPE).to_owned(),
        is_metadata_only: text(header::ACCEPT).contains("as=PartialObjectMetadata"),
    };
    check(&call)?;
    Ok(Route::Call(Box::new(call)))
}

/// Whether there is such a subresource, and whether it can be used so.
fn check(call: &Call) -> Result<(), Status> {
    let Some(subresource) = call.subresource.as_deref() else {
        if call.verb == Verb::Create && call.id.resource().is_namespaced && call.namespace.is_none() {
            return Err(Status::method_not_allowed());
        }
        return Ok(());
    };
    let is_there = match subresource {
        "status" => call.id.resource().has_status,
        "binding" | "eviction" => call.id == Id::POD,
        _ => false,
    };
    if !is_there {
        return Err(Status::no_such_path());
    }
    let is_allowed = match subresource {
        "status" => matches!(call.verb, Verb::Get | Verb::Update | Verb::Patch),
        _ => call.verb == Verb::Create,
    };
    if is_allowed { Ok(()) } else { Err(Status::method_not_allowed()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, uri: &str) -> Result<String, u16> {
        let request = http::Request::builder().method(method).uri(uri).body(()).unwrap();
        match route(&request.into_parts().0, Bytes::new()) {
            Ok(Route::Call(call)) => Ok(call.words()),
            Ok(Route::Discovery(path)) => Ok(path),
            Err(status) => Err(status.code),
        }
    }

    #[test]
    fn paths_say_what_a_request_is_about() {
        for (method, uri, expected) in [
            ("GET", "/api/v1/pods?watch=true", "watch pods"),
            ("GET", "/api/v1/namespaces/shop/pods/web-0", "get pods shop/web-0"),
            ("GET", "/api/v1/namespaces/shop", "get namespaces shop"),
            ("PATCH", "/api/v1/namespaces/shop/status", "patch namespaces/status shop"),
            ("POST", "/api/v1/namespaces/shop/pods/web-0/eviction", "create pods/eviction shop/web-0"),
            ("PATCH", "/apis/karpenter.sh/v1/nodeclaims/a/status?", "patch nodeclaims/status a"),
            ("DELETE", "/apis/apps/v1/namespaces/shop/deployments", "deletecollection deployments shop/"),
            ("GET", "/apis/apps/v1", "/apis/apps/v1"),
            ("GET", "/version", "/version"),
        ] {
            assert_eq!(read(method, uri).as_deref(), Ok(expected), "{method} {uri}");
        }
        for (method, uri, code) in [
            ("GET", "/apis/apps/v1/namespaces/shop/cronjobs", 404),
            ("GET", "/api/v1/pods/web-0", 404),
            ("POST", "/api/v1/pods", 405),
            ("POST", "/api/v1/nodes/a", 405),
            ("PUT", "/api/v1/namespaces/shop/configmaps/a/status", 404),
            ("GET", "/api/v1/namespaces/shop/pods/a/eviction", 405),
        ] {
            assert_eq!(read(method, uri), Err(code), "{method} {uri}");
        }
    }
}

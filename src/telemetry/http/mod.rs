//! The two ports: health on one; metrics and whatever else is asked of the controller on the other. Nothing here writes.

mod health;
pub mod pprof;

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Metrics;
use crate::config::Config;

pub use health::Health;

/// A port that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("--{flag}: {address}: {cause}\n  remedy: choose a free port, or 0 for any; see --bind-address too")]
pub struct ListenError {
    flag: &'static str,
    address: SocketAddr,
    cause: io::Error,
}

/// Both ports, open but not served yet.
#[derive(Debug)]
pub struct Ports {
    metrics: TcpListener,
    health: TcpListener,
}

impl Ports {
    /// Opens both.
    ///
    /// # Errors
    /// When one is taken, or not ours to take.
    pub async fn open(config: &Config) -> Result<Self, ListenError> {
        let metrics = listen("metrics-port", config.bind_address, config.metrics_port).await?;
        let health = listen("health-probe-port", config.bind_address, config.health_probe_port).await?;
        Ok(Self { metrics, health })
    }

    /// Where metrics and health are served.
    pub fn addresses(&self) -> [Option<SocketAddr>; 2] {
        [self.metrics.local_addr().ok(), self.health.local_addr().ok()]
    }

    /// Serves both until `stop`; `more` beside the metrics.
    pub async fn serve(self, metrics: Metrics, health: Health, more: Router, stop: CancellationToken) {
        let main = Router::new()
            .route("/metrics", get(render))
            .with_state(metrics)
            .merge(more)
            .into_make_service_with_connect_info::<SocketAddr>();
        let probes = health.router().into_make_service();
        let until = |stop: &CancellationToken| stop.clone().cancelled_owned();
        let (one, other) = tokio::join!(
            axum::serve(self.metrics, main).with_graceful_shutdown(until(&stop)).into_future(),
            axum::serve(self.health, probes).with_graceful_shutdown(until(&stop)).into_future(),
        );
        for error in [one, other].into_iter().filter_map(Result::err) {
            tracing::error!(%error, "a port is no longer served");
        }
    }
}

/// Listens. On a machine without IPv6, all addresses are those of IPv4.
async fn listen(flag: &'static str, address: IpAddr, port: u16) -> Result<TcpListener, ListenError> {
    let address = SocketAddr::new(address, port);
    let answer = TcpListener::bind(address).await;
    let is_missing = |error: &io::Error| matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::Unsupported);
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && answer.as_ref().is_err_and(is_missing) {
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
        return TcpListener::bind(address).await.map_err(|cause| ListenError { flag, address, cause });
    }
    answer.map_err(|cause| ListenError { flag, address, cause })
}

async fn render(State(metrics): State<Metrics>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()).into_response()
}

/// An answer in plain text.
pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text.into() + "\n").into_response()
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

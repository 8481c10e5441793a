//! EC2 on a loopback port, for programs that find it by `AWS_ENDPOINT_URL`.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::{Ec2, Lost};

/// The longest request that is read; longer ones break the connection.
const MOST_BYTES: usize = 2 << 20;

/// Why it cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Anybody who reaches the port may do anything.
    #[error("{0} is no loopback address: use 127.0.0.1 or [::1]")]
    NotLoopback(SocketAddr),
    #[error("listen on {address}: {source}")]
    Bind { address: SocketAddr, source: std::io::Error },
}

/// Opens a port and answers on it for as long as the returned future is polled.
///
/// # Errors
/// When the address is not a loopback one, or is taken.
pub async fn listen(
    ec2: Ec2,
    address: SocketAddr,
) -> Result<(SocketAddr, impl Future<Output = ()> + Send), ListenError> {
    if !address.ip().is_loopback() {
        return Err(ListenError::NotLoopback(address));
    }
    let bind = |source| ListenError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let bound = listener.local_addr().map_err(bind)?;
    Ok((bound, accept(ec2, listener)))
}

async fn accept(ec2: Ec2, listener: TcpListener) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A connection that ended before it was taken is no matter.
                let Ok((stream, _)) = accepted else { continue };
                let ec2 = ec2.clone();
                connections.spawn(async move {
                    let serve = service_fn(move |request| one(ec2.clone(), request));
                    // A lost answer is an error here: it breaks the connection, as it is meant to.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), serve).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn one(ec2: Ec2, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Lost> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MOST_BYTES).collect().await.map_err(|_| Lost)?.to_bytes();
    Ok(ec2.serve(Request::from_parts(head, body)).await?.map(Full::new))
}

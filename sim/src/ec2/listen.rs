//! EC2 on a loopback port, for programs that find it by `AWS_ENDPOINT_URL`.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Ec2, Lost};

/// The longest request that is read; longer ones break the connection.
const MOST_BYTES: usize = 2 << 20;
/// The most connections at once; more wait to be taken.
const MOST_CONNECTIONS: usize = 1024;
/// How long a client may take to send a request.
const SENDING: Duration = Duration::from_secs(30);
/// How long nothing is taken when the machine has no means left to, such as file descriptors.
const PAUSE: Duration = Duration::from_millis(200);

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
    let accept = async move {
        let mut connections = JoinSet::new();
        loop {
            take(&mut connections, &ec2, async { Ok(listener.accept().await?.0) }).await;
        }
    };
    Ok((bound, accept))
}

/// Takes a connection, or sees one end.
async fn take<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    connections: &mut JoinSet<()>,
    ec2: &Ec2,
    next: impl Future<Output = Result<S, Error>>,
) {
    let has_room = connections.len() < MOST_CONNECTIONS;
    tokio::select! {
        accepted = next, if has_room => match accepted {
            Ok(stream) => {
                connections.spawn(serve(ec2.clone(), stream));
            }
            // A connection that ended before it was taken is no matter.
            Err(error) if is_of_connection(&error) => {}
            Err(_) => sleep(PAUSE).await,
        },
        Some(_) = connections.join_next() => {}
    }
}

fn is_of_connection(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(ec2: Ec2, stream: S) {
    let answer = service_fn(move |request| one(ec2.clone(), request));
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(SENDING);
    // A lost answer is an error here: it breaks the connection, as it is meant to.
    let _ = server.serve_connection(TokioIo::new(stream), answer).await;
}

async fn one(ec2: Ec2, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Lost> {
    let (head, body) = request.into_parts();
    let read = timeout(SENDING, Limited::new(body, MOST_BYTES).collect()).await;
    let body = read.map_err(|_| Lost)?.map_err(|_| Lost)?.to_bytes();
    Ok(ec2.serve(Request::from_parts(head, body)).await?.map(Full::new))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::net::TcpStream;
    use tokio::time::Instant;

    use super::*;
    use crate::clock::Clock;
    use crate::ec2::Options;

    #[tokio::test(start_paused = true)]
    async fn a_port_that_cannot_take_connections_rests_before_it_tries_again() {
        let ec2 = Ec2::new(Options::default(), Clock::new()).unwrap();
        let (mut connections, n_tries) = (JoinSet::new(), Cell::new(0));
        let failing = async |kind| {
            n_tries.set(n_tries.get() + 1);
            Err::<TcpStream, _>(Error::from(kind))
        };
        let start = Instant::now();
        for _ in 0..5 {
            take(&mut connections, &ec2, failing(ErrorKind::OutOfMemory)).await;
        }
        assert_eq!((n_tries.get(), start.elapsed()), (5, 5 * PAUSE));
        take(&mut connections, &ec2, failing(ErrorKind::ConnectionAborted)).await;
        assert_eq!(start.elapsed(), 5 * PAUSE, "one that went away costs nothing");
    }
}

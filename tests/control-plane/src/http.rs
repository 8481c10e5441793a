//! Just enough of HTTP for loopback: one request per connection, with a timeout, over TCP or TLS.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// The largest answer that is read: 15,000 pods are about 40 MB.
const MAX_ANSWER_BYTES: u64 = 256 << 20;

/// A server on loopback.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub port: u16,
    /// Whom to trust; none for plain HTTP.
    pub tls: Option<Arc<ClientConfig>>,
    /// A bearer token.
    pub token: Option<String>,
    /// For connecting, and for each wait for bytes.
    pub timeout: Duration,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Server {
    /// Asks once. `body` has its content type.
    ///
    /// # Errors
    /// Why there is no answer, for people.
    pub fn ask(&self, method: &str, path: &str, body: Option<(&str, &[u8])>) -> Result<Answer, String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let tcp = TcpStream::connect_timeout(&address, self.timeout).map_err(|error| format!("connect: {error}"))?;
        tcp.set_read_timeout(Some(self.timeout)).map_err(|error| error.to_string())?;
        tcp.set_write_timeout(Some(self.timeout)).map_err(|error| error.to_string())?;
        let request = self.request(method, path, body);
        let bytes = match &self.tls {
            None => exchange(tcp, &request),
            Some(tls) => {
                let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
                let connection = ClientConnection::new(Arc::clone(tls), name).map_err(|error| error.to_string())?;
                exchange(StreamOwned::new(connection, tcp), &request)
            }
        }?;
        parse(bytes)
    }

    /// In HTTP 1.0, so that the body ends where the connection does.
    fn request(&self, method: &str, path: &str, body: Option<(&str, &[u8])>) -> Vec<u8> {
        let mut head = format!("{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{}\r\n", self.port);
        if let Some(token) = &self.token {
            head = format!("{head}Authorization: Bearer {token}\r\n");
        }
        if let Some((content_type, body)) = body {
            head = format!("{head}Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len());
        }
        let mut request = format!("{head}\r\n").into_bytes();
        request.extend_from_slice(body.map_or(&[], |(_, body)| body));
        request
    }
}

fn exchange(mut stream: impl Read + Write, request: &[u8]) -> Result<Vec<u8>, String> {
    stream.write_all(request).map_err(|error| format!("ask: {error}"))?;
    stream.flush().map_err(|error| format!("ask: {error}"))?;
    let mut answer = Vec::new();
    // A server may close without saying so in TLS; whether all has come, the length in the head tells.
    match stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer) {
        Err(error) if answer.is_empty() => Err(format!("read: {error}")),
        _ => Ok(answer),
    }
}

fn parse(mut bytes: Vec<u8>) -> Result<Answer, String> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or("the answer has no end of its head")?;
    let body = bytes.split_off(end + 4);
    let head = String::from_utf8_lossy(&bytes);
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| format!("not an answer in HTTP: {head}"))?;
    let length =
        lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    match length.and_then(|(_, value)| value.trim().parse::<usize>().ok()) {
        Some(length) if length != body.len() => Err(format!("{} of {length} bytes came", body.len())),
        _ => Ok(Answer { status, body }),
    }
}

/// Trusts the certificates in a file, and nobody else.
///
/// # Errors
/// The file cannot be used, for people.
pub(crate) fn trusting(file: &Path) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| format!("{}: {error}", file.display()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| format!("{}: {error}", file.display()))?;
        roots.add(certificate).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    /// Asks a server that gives one answer; gives back what it was asked.
    fn asked(answer: &'static str) -> (String, Result<Answer, String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let n_read = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..n_read]).into_owned()
        });
        let answer = Server { port, tls: None, token: Some("t".to_owned()), timeout: TIMEOUT }.ask(
            "POST",
            "/x",
            Some(("application/json", b"{}")),
        );
        (server.join().unwrap(), answer)
    }

    #[test]
    fn a_request_carries_its_token_and_body_and_the_answer_is_read_to_its_end() {
        let (request, answer) = asked("HTTP/1.0 201 Created\r\ncontent-length: 2\r\n\r\nok");
        assert!(request.starts_with("POST /x HTTP/1.0\r\n") && request.ends_with("\r\nContent-Length: 2\r\n\r\n{}"));
        assert!(request.contains("\r\nAuthorization: Bearer t\r\n"));
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (201, &b"ok"[..]));
    }

    #[test]
    fn an_answer_that_is_cut_off_or_is_none_is_an_error() {
        let cut = asked("HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nok").1;
        assert_eq!(cut.unwrap_err(), "2 of 9 bytes came");
        assert!(asked("nonsense\r\n\r\n").1.is_err());
        assert!(asked("").1.is_err());
    }

    #[test]
    fn a_server_that_is_not_there_is_an_error() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let nobody = Server { port, tls: None, token: None, timeout: TIMEOUT }.ask("GET", "/", None);
        assert!(nobody.unwrap_err().starts_with("connect"));
    }
}

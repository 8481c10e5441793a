//! A page of a program under test, over plain HTTP.

use std::time::Duration;

use crate::http::Server;

const TIMEOUT: Duration = Duration::from_secs(10);

/// The body, if the answer is 200.
///
/// # Errors
/// What came instead, for people.
pub fn get(port: u16, path: &str) -> Result<String, String> {
    let answer = Server { port, tls: None, token: None, timeout: TIMEOUT }.ask("GET", path, None)?;
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    if answer.status == 200 { Ok(body) } else { Err(format!("{path}: {}: {}", answer.status, body.trim())) }
}

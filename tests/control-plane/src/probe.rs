//! Asks a program whether it is well.

use std::path::PathBuf;
use std::time::Duration;

use crate::http::{Server, trusting};

const TIMEOUT: Duration = Duration::from_secs(2);

/// A page of a server on loopback that answers 200 when all is well.
#[derive(Debug)]
pub(crate) struct Probe {
    pub port: u16,
    pub path: &'static str,
    /// The certificates to trust; none for plain HTTP. The file may not be there yet.
    pub certificates: Option<PathBuf>,
    pub token: Option<String>,
}

impl Probe {
    /// Asks once.
    ///
    /// # Errors
    /// Why the answer is not 200, for people.
    pub fn ask(&self) -> Result<(), String> {
        let tls = self.certificates.as_ref().map(|file| trusting(file)).transpose()?;
        let server = Server { port: self.port, tls, token: self.token.clone(), timeout: TIMEOUT };
        let answer = server.ask("GET", self.path, None)?;
        if answer.status == 200 {
            return Ok(());
        }
        Err(format!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body).trim()))
    }
}

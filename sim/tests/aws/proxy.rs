//! The way to AWS through the proxy that the environment names.

use std::io::{ErrorKind, Read as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use cloud::aws::{Clients, Connection, cluster};

/// Says to the child that it is one.
const CHILD: &str = "MILLWRIGHT_TEST_BEHIND_PROXY";

/// Asks AWS over the network, in a process of its own: there the environment can be another.
#[tokio::test]
async fn child() {
    if std::env::var_os(CHILD).is_some() {
        let clients = Clients::connect(Connection { region: Some("us-west-2".into()), ..Connection::default() });
        assert!(cluster::describe(&clients.await.unwrap(), "demo").await.is_err(), "the proxy lets nobody through");
    }
}

#[test]
fn calls_go_through_the_proxy_of_the_environment() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "proxy::child"])
        .env(CHILD, "1")
        .envs([("HTTPS_PROXY", &proxy), ("https_proxy", &proxy)])
        .envs([("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_EC2_METADATA_DISABLED", "true")])
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .env_remove("AWS_ENDPOINT_URL")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut asked = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended without asking the proxy");
        std::thread::sleep(Duration::from_millis(10));
    };
    asked.set_nonblocking(false).unwrap();
    let wanted = b"CONNECT eks.us-west-2.amazonaws.com:443 HTTP/1.1\r\n";
    let mut line = vec![0; wanted.len()];
    asked.read_exact(&mut line).unwrap();
    assert_eq!(String::from_utf8_lossy(&line), String::from_utf8_lossy(wanted));
    drop((asked, listener));
    child.kill().unwrap();
    child.wait().unwrap();
}

//! The ports, asked as a client would.

use std::io::{Read as _, Write as _};

use super::testing::{HERE, ask};
use super::*;

#[tokio::test]
async fn a_replica_is_ready_when_it_waits_for_the_lease_and_when_its_mirror_is_filled() {
    let health = Health::default();
    let ready = async |health: &Health| ask(health.clone().router(), HERE, "/readyz").await.0;
    assert_eq!(ready(&health).await, StatusCode::SERVICE_UNAVAILABLE);
    health.kinds_served(true);
    assert_eq!(ready(&health).await, StatusCode::OK);
    health.leads(true);
    assert_eq!(ready(&health).await, StatusCode::SERVICE_UNAVAILABLE);
    health.synced(true);
    assert_eq!(ready(&health).await, StatusCode::OK);
    assert_eq!(ask(health.router(), HERE, "/healthz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn both_ports_are_served_until_the_stop() {
    let config =
        Config { metrics_port: 0, health_probe_port: 0, bind_address: [127, 0, 0, 1].into(), ..Config::default() };
    let ports = Ports::open(&config).await.unwrap();
    let [Some(main), Some(probes)] = ports.addresses() else { panic!("two addresses") };
    let taken = Config { metrics_port: main.port(), ..config.clone() };
    let error = Ports::open(&taken).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("--metrics-port: {main}")), "{error}");

    let stop = CancellationToken::new();
    let serving = tokio::spawn(ports.serve(Metrics::new(), Health::default(), Router::new(), stop.clone()));
    let fetch = async |address: SocketAddr, path: &'static str| {
        let fetched = tokio::task::spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        fetched.await.unwrap()
    };
    assert!(fetch(main, "/metrics").await.contains("karpenter_build_info{"));
    assert!(fetch(probes, "/healthz").await.starts_with("HTTP/1.1 200"));
    stop.cancel();
    serving.await.unwrap();
}

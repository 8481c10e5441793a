//! The API server in memory behaves as a real one, seen through `kube::Client`.

mod conformance;

use std::time::Duration;

use sim::kube::ApiServer;

#[tokio::test(start_paused = true)]
async fn every_case_holds_on_the_server_in_memory() {
    let server = ApiServer::new(1);
    let client = kube::Client::new(server.session("test"), "default");
    let mut failed = Vec::new();
    for (name, case) in conformance::CASES {
        let run = tokio::spawn(tokio::time::timeout(Duration::from_mins(10), case(client.clone())));
        match run.await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => failed.push(format!("{name}: does not end")),
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), conformance::CASES.len(), failed.join("\n"));
}

//! Whether the API server can be reached: found out and said once, for all watches.
//!
//! ```text
//! reached --a watch breaks--> doubtful --an answer--> reached (the watches go on at their own pace)
//!                                |
//!                                +--none--> out of reach --an answer--> reached (all watches go on at once)
//! ```

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Request;
use kube::Client;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use crate::client;

/// Until a server is asked of which a watch was broken off: the others break within moments.
const GATHERED: Duration = Duration::from_millis(250);
/// Between two questions whether it is back.
const LOOK: Duration = Duration::from_secs(1);
/// Until it counts as silent.
const SILENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Reach {
    broken: Mutex<Broken>,
    doubt: Notify,
    back: Notify,
}

/// Watches that broke since the server was last reached.
#[derive(Debug, Default)]
struct Broken {
    watches: BTreeSet<&'static str>,
    causes: BTreeSet<String>,
}

impl Reach {
    fn broken(&self) -> MutexGuard<'_, Broken> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A watch was broken off, or could not be begun, for want of a connection.
    pub(super) fn lost(&self, kind: &'static str, error: &kube::Error) {
        let cause = client::cause(error);
        debug!(kind, error = cause, "watching");
        let mut broken = self.broken();
        broken.watches.insert(kind);
        broken.causes.insert(cause);
        drop(broken);
        self.doubt.notify_one();
    }

    /// Waits so long, or until a server that was out of reach is back: then it is true.
    pub(super) async fn wait(&self, longest: Duration) -> bool {
        timeout(longest, self.back.notified()).await.is_ok()
    }

    /// Looks after a server of which watches break, for ever.
    pub(super) async fn look(&self, client: &Client) {
        loop {
            self.doubt.notified().await;
            let since = Instant::now();
            sleep(GATHERED).await;
            if self.broken().watches.is_empty() {
                // Of an outage that is over.
                continue;
            }
            let is_there = answers(client).await;
            let Broken { watches, causes } = std::mem::take(&mut *self.broken());
            let error = Vec::from_iter(causes).join("; ");
            if is_there {
                let kinds = Vec::from_iter(watches).join(", ");
                warn!(kinds, error, "watches were broken off");
                continue;
            }
            warn!(watches = watches.len(), error, "the API server is out of reach: its watches wait");
            while !answers(client).await {
                sleep(LOOK).await;
            }
            *self.broken() = Broken::default();
            info!(seconds = since.elapsed().as_secs(), "the API server is back");
            self.back.notify_waiters();
        }
    }
}

/// Whether the server is there and ready. One that refuses to say so is there.
async fn answers(client: &Client) -> bool {
    let Ok(request) = Request::get("/readyz").body(Vec::new()) else { return false };
    match timeout(SILENCE, client.request_text(request)).await {
        Ok(Ok(_)) => true,
        Ok(Err(kube::Error::Api(status))) => status.code < 500,
        Ok(Err(_)) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use http::Response;
    use http_body_util::Full;

    use super::super::run;
    use super::*;
    use crate::client::Clients;
    use crate::observe::mirror::{Kind, Mirror};
    use crate::telemetry::logs::testing::Capture;

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_told_once_for_all_watches_and_its_end_wakes_them() {
        let is_away = Arc::new(AtomicBool::new(true));
        let away = is_away.clone();
        let clients = Clients::from_service(tower::service_fn(move |_: Request<kube::client::Body>| {
            let answer = if away.load(Ordering::Relaxed) {
                Err(std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused"))
            } else {
                Ok(Response::builder().status(404).body(Full::new(bytes::Bytes::new())).unwrap())
            };
            async move { answer }
        }));
        let log = Capture::start();
        let kinds = vec![Kind::Pod, Kind::Node, Kind::NodeClaim];
        let watches = tokio::spawn(run(clients.client.clone(), Mirror::new(&kinds), kinds));
        tokio::time::sleep(Duration::from_mins(5)).await;
        is_away.store(false, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(8)).await;
        watches.abort();
        let aloud: Vec<_> = log.lines().into_iter().filter(|line| line["level"] != "DEBUG").collect();
        assert_eq!(aloud[0]["message"], "the API server is out of reach: its watches wait");
        assert_eq!((&aloud[0]["watches"], &aloud[0]["error"]), (&3.into(), &"connection refused".into()));
        assert_eq!(aloud[1]["message"], "the API server is back");
        assert!(aloud[1]["seconds"].as_u64().unwrap() >= 299, "{aloud:?}");
        // Each watch has tried again, though it had half a minute to wait, and says how it fared.
        let kinds: BTreeSet<_> = aloud[2..].iter().map(|line| line["kind"].as_str().unwrap().to_owned()).collect();
        assert_eq!(kinds.len(), 3, "{aloud:?}");
    }
}

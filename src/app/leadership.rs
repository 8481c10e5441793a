//! Leading while the lease is held. The election has a thread and a connection of its own: it goes on in time however busy
//! the rest of the process is.

use std::thread;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{AppError, Ground};
use crate::client::Clients;
use crate::lease::{Elector, identity};

/// Waits for the lease, then leads until `stop`. When the lease is lost, `lead` is dropped where it stands.
///
/// # Errors
/// Those of `lead`; when the lease is lost, or there is no way to hold it.
pub(super) async fn hold(
    ground: &Ground,
    stop: CancellationToken,
    lead: impl AsyncFnOnce(CancellationToken) -> Result<(), AppError>,
) -> Result<(), AppError> {
    let (wins, won) = oneshot::channel();
    let (ends, mut ended) = oneshot::channel();
    let done = CancellationToken::new();
    let election = {
        let (ground, stop, done) = (ground.clone(), stop, done.clone());
        move || ends.send(elect(&ground, stop, wins, done)).ok()
    };
    thread::Builder::new().name("lease".into()).spawn(election).map_err(AppError::Thread)?;
    let led = match won.await {
        Ok(leading) => tokio::select! {
            led = lead(leading) => led,
            // Before the leader is done, the election ends only when the lease is lost.
            lost = &mut ended => return lost.unwrap_or(Err(AppError::Broken("the election"))),
        },
        // Stopped before the lease was held, or it cannot be.
        Err(_) => Ok(()),
    };
    done.cancel();
    let elected = ended.await.unwrap_or(Err(AppError::Broken("the election")));
    led.and(elected)
}

/// Takes part until `stop`, or until what leads is `done`.
fn elect(
    ground: &Ground,
    stop: CancellationToken,
    wins: oneshot::Sender<CancellationToken>,
    done: CancellationToken,
) -> Result<(), AppError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(AppError::Thread)?;
    let Ground { config, metrics, clock, .. } = ground;
    runtime.block_on(async {
        let clients = Clients::connect(config, metrics).await?;
        let namespace = config.leader_election_namespace.as_deref().unwrap_or(&clients.namespace);
        let name = &config.leader_election_name;
        let elector = Elector::new(clients.unthrottled.clone(), namespace, name, &identity(), *clock, metrics);
        let lead = |leading: CancellationToken| async move {
            if wins.send(leading).is_ok() {
                done.cancelled().await;
            }
        };
        Ok(elector.run(stop, lead).await?)
    })
}

//! Everything that says what is about to happen to machines: the queue of interruptions, and EC2's own checks.

use std::sync::Arc;
use std::time::Duration;

use cloud::aws::Kind;
use cloud::{ListError, Notice, NoticeKind};
use crds::names::aws as names;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::Shared;

/// What was heard.
pub(super) type Heard = Result<Vec<Notice>, ListError>;

/// Batches that may wait to be acted on.
pub(super) const MOST_WAITING: usize = 4;
/// How often EC2 is asked how its machines are.
const CHECKS: Duration = Duration::from_mins(1);
/// How long to wait where it is not allowed to ask.
const FORBIDDEN: Duration = Duration::from_hours(1);
/// How long to wait after the queue could not be read.
const PAUSE: Duration = Duration::from_secs(5);

/// Reads the queue, if there is one. A batch that nobody takes yet holds up the next: SQS keeps it.
pub(super) async fn queue(shared: Arc<Shared>, heard: mpsc::Sender<Heard>) {
    loop {
        let answer = shared.seller.notices().await;
        let is_error = answer.is_err();
        let Some(answer) = answer.transpose() else { return };
        if answer.as_ref().is_ok_and(Vec::is_empty) {
            continue;
        }
        answer.iter().flatten().for_each(|notice| reservations(&shared, notice));
        if heard.send(answer).await.is_err() {
            return;
        }
        if is_error {
            sleep(PAUSE).await;
        }
    }
}

/// Nothing is bought from a reservation that takes its machines back, until EC2 is asked again what is in it.
fn reservations(shared: &Shared, notice: &Notice) {
    if notice.kind != NoticeKind::ReservationEnds {
        return;
    }
    for claim in shared.mirror.claims() {
        let provider_id = claim.status.as_ref().and_then(|status| status.provider_id.as_deref()).unwrap_or_default();
        let id = provider_id.rsplit('/').next().unwrap_or_default();
        if notice.instances.iter().any(|instance| **instance == *id)
            && let Some(reservation) = claim.metadata.labels.get(names::CAPACITY_RESERVATION_ID)
        {
            shared.market.emptied(reservation);
        }
    }
}

/// Asks EC2 how its machines are.
pub(super) async fn checks(shared: Arc<Shared>, heard: mpsc::Sender<Heard>) {
    shared.mirror.until_synced().await;
    loop {
        let mut pause = CHECKS;
        match shared.seller.ailing(shared.clock.seconds()).await {
            Ok(notices) if notices.is_empty() => {}
            Ok(notices) => {
                if heard.send(Ok(notices)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "asking EC2 how its machines are");
                if error.kind == Kind::Unauthorized {
                    pause = FORBIDDEN;
                }
            }
        }
        sleep(pause).await;
    }
}

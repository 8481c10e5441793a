//! One call to AWS, tried again where trying again can help.

use std::future::Future;
use std::time::Duration;

use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::sleep;

use super::fault::{Fault, Kind};

/// How often a call is tried in all before its caller hears of it.
const TRIES: u32 = 4;
/// The pause after the first failure; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(250);

/// Makes a call that changes nothing, or nothing more when it is made again (its token is part of it).
pub(super) async fn again<T, E, F>(action: &'static str, mut send: impl FnMut() -> F) -> Result<T, Fault>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
{
    let mut pause = PAUSE;
    for _ in 1..TRIES {
        match once(action, Box::pin(send())).await {
            Err(Fault { kind: Kind::Throttled | Kind::Unreachable, .. }) => sleep(pause).await,
            settled => return settled,
        }
        pause *= 2;
    }
    once(action, Box::pin(send())).await
}

/// Makes a call one time.
pub(super) async fn once<T, E: ProvideErrorMetadata + std::error::Error + 'static>(
    action: &'static str,
    send: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, Fault> {
    send.await.map_err(|error| Fault::of(action, &error))
}

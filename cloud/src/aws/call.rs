//! One call to AWS, tried again where trying again can help.

use std::future::Future;
use std::time::Duration;

use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::{Instant, sleep};

use super::client::Clients;
use super::fault::{Fault, Kind};
use super::telling::Told;

/// How often a call is tried in all before its caller hears of it.
const TRIES: u32 = 4;
/// The pause after the first failure; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(250);
/// No list is read further. Most pages are of 1000 entries: a million machines or prices, half a million subnets, groups or
/// images, 100,000 instance types, products or profiles (pages of 100), and 200,000 launch templates, where the quotas of a
/// region are 5,000 templates and 1,000 profiles. A filter may leave pages short or empty, so that it is the account that counts.
const MOST_PAGES: usize = 1000;

/// Makes a call that changes nothing, or nothing more when it is made again (its token is part of it).
pub(super) async fn again<T, E, F>(
    clients: &Clients,
    action: &'static str,
    mut send: impl FnMut() -> F,
) -> Result<T, Fault>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
{
    let start = Instant::now();
    let mut pause = PAUSE;
    let mut n_tries = 1;
    let (answer, status) = loop {
        match attempt(clients, action, Box::pin(send())).await {
            (Err(Fault { kind: Kind::Throttled | Kind::Unreachable, .. }), _) if n_tries < TRIES => sleep(pause).await,
            settled => break settled,
        }
        n_tries += 1;
        pause *= 2;
    };
    clients.telling.tell(Told::Call { action, status, n_tries, took: start.elapsed() });
    answer
}

/// Makes a call one time.
pub(super) async fn once<T, E: ProvideErrorMetadata + std::error::Error + 'static>(
    clients: &Clients,
    action: &'static str,
    send: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, Fault> {
    let start = Instant::now();
    let (answer, status) = attempt(clients, action, send).await;
    clients.telling.tell(Told::Call { action, status, n_tries: 1, took: start.elapsed() });
    answer
}

/// Reads a list to its end: `send` asks for the page of a token, `take` keeps what is on a page and gives the token of the next.
/// It is made in the way of [`again`].
///
/// # Errors
/// When a page cannot be read, and [`Kind::Cut`] when the list does not end: what was taken of it then is not the whole.
pub(super) async fn pages<T, E, F>(
    clients: &Clients,
    action: &'static str,
    mut send: impl FnMut(Option<String>) -> F,
    mut take: impl FnMut(T) -> Option<String>,
) -> Result<(), Fault>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
{
    let cut = |message| Err(Fault { action, kind: Kind::Cut, code: String::new(), message });
    let mut token: Option<String> = None;
    for n_read in 1..=MOST_PAGES {
        let page = again(clients, action, || send(token.clone())).await?;
        let next = take(page).filter(|next| !next.is_empty());
        if next.is_none() {
            return Ok(());
        }
        if next == token {
            return cut(format!("page {n_read} names itself as the next one: the list is not read to its end"));
        }
        token = next;
    }
    cut(format!("more than {MOST_PAGES} pages: the list is not read to its end"))
}

/// One try, and the status of its answer; 0 where there was none.
async fn attempt<T, E: ProvideErrorMetadata + std::error::Error + 'static>(
    clients: &Clients,
    action: &'static str,
    send: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> (Result<T, Fault>, u16) {
    let start = Instant::now();
    let answer = send.await;
    let status = match &answer {
        Ok(_) => 200,
        Err(error) => error.raw_response().map_or(0, |raw| raw.status().as_u16()),
    };
    clients.telling.tell(Told::Try { action, status, took: start.elapsed() });
    (answer.map_err(|error| Fault::of(action, &error)), status)
}

//! Writes events to the API server: a new one is created, a repeated one counted up.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event as ApiEvent, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{About, Event, Severity};
use crate::client::Bucket;
use crate::clock::Clock;
use crate::telemetry::Metrics;

/// Who says it, as dashboards and `kubectl` filter by it.
const COMPONENT: &str = "karpenter";
/// Where events of cluster-scoped objects are kept.
const NAMESPACE: &str = "default";
/// The API server takes longer ones of this version of events, but keeps each for an hour.
const MAX_MESSAGE_BYTES: usize = 16 << 10;
/// Written per second, and at once after a pause.
const RATE: (u32, u32) = (50, 100);
/// Written events that are remembered in order to be counted up.
const MAX_WRITTEN: usize = 4096;
/// How long what waits at the stop is still written.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Writes what comes until `stop`, then what waits.
pub(super) async fn run(
    client: kube::Client,
    clock: Clock,
    metrics: Metrics,
    mut waiting: mpsc::Receiver<(About, Event)>,
    stop: CancellationToken,
) {
    let mut writer = Writer { client, clock, metrics, written: HashMap::new(), order: VecDeque::new(), n_written: 0 };
    let bucket = Bucket::new(RATE.0, RATE.1);
    loop {
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            next = waiting.recv() => next,
        };
        let Some((about, event)) = next else { return };
        tokio::select! {
            biased;
            () = stop.cancelled() => { writer.write(about, event).await; break }
            _ = bucket.take() => writer.write(about, event).await,
        }
    }
    waiting.close();
    let rest = async {
        while let Some((about, event)) = waiting.recv().await {
            writer.write(about, event).await;
        }
    };
    if tokio::time::timeout(LAST_WORDS, rest).await.is_err() {
        tracing::debug!("events were left unwritten at the stop");
    }
}

struct Writer {
    client: kube::Client,
    clock: Clock,
    metrics: Metrics,
    /// By object, reason and a hash of the message, which may be long.
    written: HashMap<String, Written>,
    /// Keys of `written`, oldest first.
    order: VecDeque<String>,
    /// Makes names differ that are written in the same nanosecond.
    n_written: u64,
}

/// An event on the API server.
struct Written {
    name: String,
    count: i32,
}

impl Writer {
    async fn write(&mut self, about: About, event: Event) {
        let message = BuildHasherDefault::<DefaultHasher>::default().hash_one(&event.message);
        let key = format!("{}/{}/{}/{message:016x}", about.uid, about.name, event.reason);
        let result = match self.written.get(&key).map(|written| (written.name.clone(), written.count + 1)) {
            Some((name, count)) => self.count_up(&about, &event, &key, name, count).await,
            None => self.create(&about, &event, key).await,
        };
        if let Err(error) = result {
            self.metrics.events_dropped_total.inc(["refused"]);
            tracing::debug!(reason = event.reason, object = %about.name, %error, "event was refused");
        }
    }

    async fn count_up(
        &mut self,
        about: &About,
        event: &Event,
        key: &str,
        name: String,
        count: i32,
    ) -> Result<(), kube::Error> {
        let patch = json!({ "count": count, "lastTimestamp": Time(self.seconds()) });
        let api: Api<ApiEvent> = Api::namespaced(self.client.clone(), namespace(about));
        match api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(_) => {
                self.written.insert(key.into(), Written { name, count });
                Ok(())
            }
            // Events live for an hour; then it is a new one.
            Err(kube::Error::Api(status)) if status.code == 404 => self.create(about, event, key.into()).await,
            Err(error) => Err(error),
        }
    }

    async fn create(&mut self, about: &About, event: &Event, key: String) -> Result<(), kube::Error> {
        let now = self.clock.now();
        self.n_written += 1;
        let nanos = u64::try_from(now.as_nanosecond()).unwrap_or_default() + self.n_written;
        let name = format!("{}.{nanos:016x}", about.name);
        let api: Api<ApiEvent> = Api::namespaced(self.client.clone(), namespace(about));
        api.create(&PostParams::default(), &self.object(about, event, &name)).await?;
        if self.written.insert(key.clone(), Written { name, count: 1 }).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > MAX_WRITTEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.written.remove(&oldest);
        }
        Ok(())
    }

    fn object(&self, about: &About, event: &Event, name: &str) -> ApiEvent {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let now = Time(self.seconds());
        ApiEvent {
            metadata: ObjectMeta {
                name: Some(name.into()),
                namespace: Some(namespace(about).into()),
                ..ObjectMeta::default()
            },
            involved_object: ObjectReference {
                api_version: some(&about.api_version),
                kind: some(&about.kind),
                name: some(&about.name),
                namespace: some(&about.namespace),
                uid: some(&about.uid),
                ..ObjectReference::default()
            },
            type_: Some(match event.severity {
                Severity::Normal => "Normal".into(),
                Severity::Warning => "Warning".into(),
            }),
            reason: Some(event.reason.into()),
            message: Some(truncated(&event.message)),
            count: Some(1),
            first_timestamp: Some(now.clone()),
            last_timestamp: Some(now),
            source: Some(EventSource { component: Some(COMPONENT.into()), host: None }),
            reporting_component: Some(COMPONENT.into()),
            ..ApiEvent::default()
        }
    }

    /// Now, in whole seconds: the API keeps no more.
    fn seconds(&self) -> Timestamp {
        Timestamp::from_second(self.clock.seconds()).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

fn namespace(about: &About) -> &str {
    if about.namespace.is_empty() { NAMESPACE } else { &about.namespace }
}

fn truncated(message: &str) -> String {
    let mut end = message.len().min(MAX_MESSAGE_BYTES);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::{Request, Response};
    use http_body_util::{BodyExt as _, Full};
    use kube::client::Body;
    use serde_json::Value;

    use super::super::{Recorder, catalog};
    use super::*;
    use crate::client::Clients;

    type Log = Arc<Mutex<Vec<(String, Value)>>>;

    /// A server that takes every event and writes down what it was sent.
    fn server() -> (Clients, Log) {
        let log = Log::default();
        let kept = log.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let kept = kept.clone();
            async move {
                let what = format!("{} {}", request.method(), request.uri().path());
                let body = request.into_body().collect().await?.to_bytes();
                let object: Value = serde_json::from_slice(&body)?;
                kept.lock().unwrap().push((what, object.clone()));
                let answer = json!({ "metadata": object["metadata"], "involvedObject": {} }).to_string();
                Ok::<_, tower::BoxError>(Response::new(Full::new(bytes::Bytes::from(answer))))
            }
        });
        (Clients::from_service(service), log)
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_is_created_once_and_counted_up_when_it_comes_again() {
        let (clients, log) = server();
        let stop = CancellationToken::new();
        let clock = Clock::from(Timestamp::from_second(1_700_000_000).unwrap());
        let (recorder, writing) = Recorder::new(&clients, clock, &Metrics::new(), stop.clone());
        let writing = tokio::spawn(writing);
        let about = About::pod("shop", "web-0", "uid-0");
        recorder.publish(about.clone(), catalog::failed_scheduling("uid-0", "no instance type fits"));
        tokio::time::sleep(Duration::from_mins(6)).await;
        recorder.publish(about, catalog::failed_scheduling("uid-0", "no instance type fits"));
        recorder.publish(About::node("n1", "uid-1"), catalog::failed_draining("n1", "a pod stays"));
        stop.cancel();
        writing.await.unwrap();

        let log = log.lock().unwrap();
        assert_eq!(log.len(), 3, "{log:?}");
        let (what, event) = &log[0];
        assert_eq!(what, "POST /api/v1/namespaces/shop/events");
        assert_eq!(event["reason"], "FailedScheduling");
        assert_eq!(event["type"], "Warning");
        assert_eq!(event["message"], "Failed to schedule pod, no instance type fits");
        assert_eq!(event["source"]["component"], "karpenter");
        assert_eq!(event["involvedObject"]["uid"], "uid-0");
        assert_eq!(event["firstTimestamp"], "2023-11-14T22:13:20Z");
        let name = event["metadata"]["name"].as_str().unwrap();
        assert!(name.starts_with("web-0."), "{name}");
        assert_eq!(log[1].0, format!("PATCH /api/v1/namespaces/shop/events/{name}"));
        assert_eq!(log[1].1["count"], 2);
        assert_eq!(log[1].1["lastTimestamp"], "2023-11-14T22:19:20Z");
        assert_eq!(log[2].0, "POST /api/v1/namespaces/default/events", "where cluster-scoped objects have theirs");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let text = "ä".repeat(6000);
        assert_eq!(truncated(&text), text);
        let text = "ä".repeat(9000);
        assert_eq!(truncated(&text).len(), 16_384);
        assert_eq!(truncated(&format!("a{text}")).len(), 16_383);
    }
}

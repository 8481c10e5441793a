//! Watches: one stream per kind, from the API server into the mirror.
//!
//! Lists are streamed where the server can do so and paged where it cannot. A streamed list may be some seconds old, so what
//! was bought is always read in pages, from the store. A watch that falls behind starts anew with a list; whatever that
//! list does not show has vanished. A watch is begun anew twice a minute from where it was, so that one whose connection has died
//! in silence is noticed soon. An object that cannot be read is passed over and said so: it never stops the others.

mod pace;
mod reach;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use futures::{FutureExt, pin_mut};
use kube::runtime::watcher::{Config, Error, Event, watcher};
use kube::{Api, Client};
use tracing::{debug, info, warn};

use super::mirror::{Kind, Mirror, Object};
use super::options::FeatureGates;
use crate::client::{self, WATCH_SECONDS};
use crate::telemetry::Metrics;
use pace::Pace;
use reach::Reach;
use wire::{PodWire, Source, Tree, Watched, source};

/// How often it is tried again to read what may not be read.
const FORBIDDEN_WAIT: Duration = Duration::from_mins(5);

/// The version watched from is too old: the server has forgotten what came after it, as it has after a restart.
const EXPIRED: &str = "expired";

/// Kinds that roles made for Karpenter do not let us read. Pods carry what these say of them; without them only pods that are
/// yet to come (of daemons, of buffers) are known less well.
const SPARABLE: [Kind; 3] = [Kind::PriorityClass, Kind::RuntimeClass, Kind::Service];

/// The kinds that the controller looks at.
///
/// `classes` are the node classes of the cloud in use. What only a feature looks at is watched only with that feature.
pub fn kinds(classes: &[Kind], gates: &FeatureGates, has_default_spreads: bool) -> Vec<Kind> {
    let mut out = vec![
        Kind::Pod,
        Kind::Node,
        Kind::NodeClaim,
        Kind::NodePool,
        Kind::DaemonSet,
        Kind::PodDisruptionBudget,
        Kind::PersistentVolumeClaim,
        Kind::PersistentVolume,
        Kind::StorageClass,
        Kind::CsiNode,
        Kind::VolumeAttachment,
        Kind::Namespace,
        Kind::PriorityClass,
        Kind::RuntimeClass,
    ];
    out.extend(classes);
    if gates.node_overlay {
        out.push(Kind::NodeOverlay);
    }
    if gates.capacity_buffer {
        out.extend([Kind::CapacityBuffer, Kind::PodTemplate, Kind::Deployment, Kind::ReplicaSet, Kind::StatefulSet]);
    }
    if has_default_spreads {
        out.extend([Kind::Service, Kind::ReplicaSet, Kind::StatefulSet, Kind::ReplicationController]);
    }
    out.sort();
    out.dedup();
    out
}

/// Watches these kinds into the mirror, for ever. Stops when it is dropped.
pub async fn run(client: Client, mirror: Mirror, kinds: Vec<Kind>) {
    run_counted(client, mirror, kinds, None).await;
}

/// The same; watches that are begun anew are counted.
pub async fn run_counted(client: Client, mirror: Mirror, kinds: Vec<Kind>, metrics: Option<Metrics>) {
    let reach = Arc::new(Reach::default());
    let one = |kind| of_kind(kind, client.clone(), mirror.clone(), metrics.clone(), reach.clone());
    let mut all: FuturesUnordered<BoxFuture<'static, ()>> = kinds.into_iter().map(one).collect();
    tokio::select! {
        biased;
        () = async { while all.next().await.is_some() {} } => {}
        () = reach.look(&client) => {}
    }
}

fn of_kind(
    kind: Kind,
    client: Client,
    mirror: Mirror,
    metrics: Option<Metrics>,
    reach: Arc<Reach>,
) -> BoxFuture<'static, ()> {
    match kind {
        Kind::Pod => follow::<PodWire>(source(kind), client, mirror, metrics, reach).boxed(),
        _ => follow::<Tree>(source(kind), client, mirror, metrics, reach).boxed(),
    }
}

/// How lists are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lists {
    Streamed,
    Paged,
}

impl Lists {
    /// How a kind is asked for first. A plan that does not know the last claims of the process before this one buys their
    /// machines again, and one that does not know how far they are buys for pods that will have room on them.
    fn first(kind: Kind) -> Self {
        if matches!(kind, Kind::NodeClaim | Kind::Node) { Self::Paged } else { Self::Streamed }
    }
}

/// Why a stream is given up and begun anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restart {
    /// With pages: the server cannot stream lists.
    WithPages,
    /// With a list: the version watched from is too old.
    WithList,
}

/// What a fault means for the stream it came from.
fn restart(error: &Error, lists: Lists) -> Option<Restart> {
    let Error::WatchStartFailed(kube::Error::Api(status)) = error else { return None };
    match status.code {
        // Without the feature the server finds fault with the parameters.
        400 | 422 if lists == Lists::Streamed => Some(Restart::WithPages),
        410 => Some(Restart::WithList),
        _ => None,
    }
}

/// Whether the server lets nobody like us read the kind, or has no such kind.
fn is_withheld(error: &Error) -> bool {
    let (Error::InitialListFailed(kube::Error::Api(status)) | Error::WatchStartFailed(kube::Error::Api(status))) =
        error
    else {
        return false;
    };
    matches!(status.code, 403 | 404)
}

async fn follow<T: Watched>(
    source: &'static Source,
    client: Client,
    mirror: Mirror,
    metrics: Option<Metrics>,
    reach: Arc<Reach>,
) {
    let api: Api<T> = Api::all_with(client, &source);
    let mut lists = Lists::first(source.kind);
    let mut pace = Pace::default();
    loop {
        let config = match lists {
            Lists::Streamed => Config::default().streaming_lists(),
            Lists::Paged => Config::default(),
        };
        let config = config.timeout(WATCH_SECONDS);
        let events = watcher(api.clone(), config);
        pin_mut!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    if takes_in(source, &mirror, event) {
                        pace.news();
                    }
                }
                Err(error) => {
                    let anew = restart(&error, lists);
                    if anew == Some(Restart::WithPages) {
                        info!(kind = source.name, "the server does not stream lists: reading pages");
                        lists = Lists::Paged;
                        break;
                    }
                    if SPARABLE.contains(&source.kind) && is_withheld(&error) {
                        do_without(source, &mirror, &error);
                        tokio::time::sleep(FORBIDDEN_WAIT).await;
                        break;
                    }
                    match unconnected(&error) {
                        Some(error) => reach.lost(source.name, error),
                        None => report(source, &error),
                    }
                    if let Some(metrics) = &metrics {
                        metrics.watch_restarts_total.inc([source.name, cause(&error)]);
                    }
                    if reach.wait(pace.wait(cause(&error) == EXPIRED)).await {
                        pace.news();
                    }
                    if anew.is_some() {
                        break;
                    }
                }
            }
        }
    }
}

/// Goes on as if there were none of the kind. What was read before stays.
fn do_without(source: &Source, mirror: &Mirror, error: &Error) {
    if !mirror.is_listed(source.kind) {
        warn!(
            kind = source.name,
            error = worded(error),
            "going on without these objects: grant get, list and watch of {} (deploy/kubernetes/millwright.yaml)",
            source.plural,
        );
        mirror.list_begins(source.kind);
        mirror.list_ends(source.kind);
    }
}

/// Tells the mirror; true for news that show that the watch works.
fn takes_in<T: Watched>(source: &Source, mirror: &Mirror, event: Event<T>) -> bool {
    match event {
        Event::Init => {
            mirror.list_begins(source.kind);
            return false;
        }
        Event::InitApply(object) => {
            if let Some(object) = readable(source, object) {
                mirror.listed(object);
            }
        }
        Event::InitDone => {
            debug!(kind = source.name, "listed");
            mirror.list_ends(source.kind);
        }
        Event::Apply(object) => {
            if let Some(object) = readable(source, object) {
                mirror.apply(object);
            }
        }
        Event::Delete(object) => {
            let part = |text: &Option<String>| text.clone().unwrap_or_default();
            mirror.remove(source.kind, &part(&object.meta().namespace), &part(&object.meta().name));
        }
    }
    true
}

/// The object, unless it cannot be read: that is said, and the others go on.
fn readable<T: Watched>(source: &Source, object: T) -> Option<Object> {
    let name = object.meta().name.clone().unwrap_or_default();
    let read = object.into_object(source);
    if let Err(error) = &read {
        warn!(kind = source.name, name, %error, "an object that cannot be read is passed over");
    }
    read.ok()
}

/// What broke a watch, in a word.
fn cause(error: &Error) -> &'static str {
    match error {
        Error::WatchError(status) if status.code == 410 => EXPIRED,
        Error::WatchStartFailed(kube::Error::Api(status)) if status.code == 410 => EXPIRED,
        Error::InitialListFailed(_) => "list",
        Error::WatchStartFailed(_) => "start",
        Error::WatchError(_) => "server",
        Error::WatchFailed(_) => "connection",
        Error::NoResourceVersion => "version",
    }
}

/// What went wrong with the connection, if it was that.
fn unconnected(error: &Error) -> Option<&kube::Error> {
    let (Error::InitialListFailed(error) | Error::WatchStartFailed(error) | Error::WatchFailed(error)) = error else {
        return None;
    };
    let is_it = matches!(error, kube::Error::Service(_) | kube::Error::HyperError(_) | kube::Error::ReadEvents(_));
    is_it.then_some(error)
}

fn report(source: &Source, error: &Error) {
    // A version that is too old is the way of the world: the next list mends it.
    if cause(error) == EXPIRED {
        debug!(kind = source.name, %error, "listing again");
    } else {
        warn!(kind = source.name, error = worded(error), "watching");
    }
}

/// What went wrong, for people.
fn worded(error: &Error) -> String {
    match error {
        Error::InitialListFailed(error) => format!("list: {}", client::cause(error)),
        Error::WatchStartFailed(error) => format!("start: {}", client::cause(error)),
        Error::WatchFailed(error) => format!("broken off: {}", client::cause(error)),
        Error::WatchError(status) => client::cause(&kube::Error::Api(status.clone())),
        Error::NoResourceVersion => "the server gives no resource version".into(),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn start_failed(code: u16) -> Error {
        let status = Status { code, ..Status::default() };
        Error::WatchStartFailed(kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn a_server_that_cannot_stream_lists_is_read_in_pages() {
        for code in [400, 422] {
            assert_eq!(restart(&start_failed(code), Lists::Streamed), Some(Restart::WithPages));
            assert_eq!(restart(&start_failed(code), Lists::Paged), None);
        }
        assert_eq!(restart(&start_failed(410), Lists::Paged), Some(Restart::WithList));
        assert_eq!(restart(&start_failed(500), Lists::Streamed), None);
    }

    #[test]
    fn a_fault_is_told_in_the_words_of_the_server() {
        assert_eq!(worded(&start_failed(401)), "start: the server answers 401");
        let status = Status { code: 500, message: "etcd is away".into(), ..Status::default() };
        assert_eq!(worded(&Error::WatchError(Box::new(status))), "etcd is away");
    }

    #[test]
    fn only_a_refusal_withholds_a_kind() {
        assert!(is_withheld(&start_failed(403)) && is_withheld(&start_failed(404)));
        assert!(!is_withheld(&start_failed(429)) && !is_withheld(&start_failed(500)));
    }

    #[test]
    fn what_only_a_feature_looks_at_is_watched_only_with_it() {
        let plain = kinds(&[Kind::KwokNodeClass], &FeatureGates::default(), false);
        assert!(plain.contains(&Kind::KwokNodeClass) && plain.contains(&Kind::VolumeAttachment));
        for kind in [Kind::NodeOverlay, Kind::CapacityBuffer, Kind::Service, Kind::Ec2NodeClass] {
            assert!(!plain.contains(&kind), "{kind:?}");
        }
        let gates = FeatureGates { node_overlay: true, capacity_buffer: true, ..FeatureGates::default() };
        let all = kinds(&[], &gates, true);
        for kind in [Kind::NodeOverlay, Kind::CapacityBuffer, Kind::PodTemplate, Kind::Service, Kind::StatefulSet] {
            assert_eq!(all.iter().filter(|k| **k == kind).count(), 1, "{kind:?}");
        }
    }
}

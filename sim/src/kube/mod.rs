//! An API server in memory, for the kinds that a controller of nodes meets.
//!
//! [`ApiServer`] is a `tower::Service` over HTTP requests: `kube::Client::new(server.session("name"), "default")` is a
//! client to it. It stores JSON, knows no client library, and keeps one lock for a moment at a time; its time is tokio's,
//! its randomness comes from one seed. What it leaves out: authorisation, managed fields, tables, protobuf.

mod answer;
mod apply;
mod bell;
mod budget;
mod call;
mod collect;
mod custom;
mod defaults;
mod delete;
mod direct;
mod discovery;
mod event_form;
mod faults;
mod log;
pub mod object;
mod patch;
mod pods;
pub mod resource;
mod selector;
mod serve;
mod session;
mod state;
mod status;
mod store;
mod strategic;
mod validate;
mod watch;
mod write;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::Service;

use crate::clock::Clock;

pub use answer::Body;
pub use bell::Listener;
pub use call::{Call, Verb};
pub use delete::{DeleteOptions, Deleted, Propagation};
pub use direct::Direct;
pub use discovery::VERSION;
pub use faults::{Fault, Filter, Rule};
pub use log::Log;
pub use object::{Key, Object};
pub use pods::set_condition;
pub use resource::Id;
pub use selector::{FieldSelector, LabelSelector};
pub use session::{Moment, Verdict, Write};
pub use status::Status;
pub use store::{Change, WINDOW};
pub use write::{Part, WriteOptions};

use bell::Bell;
use call::Route;
use faults::Faults;
use session::Connection;
use state::State;
use watch::Cut;

/// The server. Clones are the same server.
#[derive(Clone)]
pub struct ApiServer {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    faults: Mutex<Faults>,
    /// One for each kind, rung when an object of it changed.
    changed: Vec<Bell>,
    clock: Clock,
}

/// A client's way into the server. Clones are the same session.
#[derive(Clone, Debug)]
pub struct Session {
    server: ApiServer,
    connection: Arc<Connection>,
}

/// A connection that broke: whether the request was executed is not to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("connection reset by peer")]
pub struct Lost;

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").field("resource_version", &self.resource_version()).finish_non_exhaustive()
    }
}

impl ApiServer {
    /// A server with the namespaces `default`, `kube-system` and `kube-node-lease`, and a clock that starts now.
    pub fn new(seed: u64) -> Self {
        Self::with_window(seed, Clock::new(), WINDOW)
    }

    /// A server that remembers `window` changes of each kind.
    pub fn with_window(seed: u64, clock: Clock, window: usize) -> Self {
        let changed = resource::all().iter().map(|_| Bell::default()).collect();
        let state = Mutex::new(State::new(clock, seed, window));
        let server = Self { shared: Arc::new(Shared { state, faults: Mutex::default(), changed, clock }) };
        server.locked(|state| {
            for name in ["default", "kube-node-lease", "kube-system"] {
                let namespace = json!({ "metadata": { "name": name } });
                // Nothing is there yet that could stand in the way.
                drop(state.create(Id::NAMESPACE, "", namespace, &WriteOptions::default()));
            }
        });
        server
    }

    /// A way in for a client of that name. Every call makes another session, with writes numbered from 1.
    pub fn session(&self, name: &str) -> Session {
        Session { server: self.clone(), connection: Connection::new(name) }
    }

    pub fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// The version of the last write.
    pub fn resource_version(&self) -> u64 {
        self.locked(|state| state.store.resource_version())
    }

    /// What happened so far.
    pub fn log(&self) -> Log {
        self.locked(|state| state.log.clone())
    }

    /// Adds a line to the log.
    pub fn note(&self, who: &str, what: &str) {
        let clock = self.shared.clock;
        self.locked(|state| state.log.note(&clock, who, what));
    }

    /// Adds a fault by rule.
    pub fn add_fault(&self, rule: Rule) {
        self.faults().add(rule);
    }

    /// Lets the requests of a session meet one of the faults, by chance: so many of a thousand.
    pub fn add_random_faults(&self, session: &str, seed: u64, per_mille: u64, faults: &[Fault]) {
        self.faults().add_chance(session, seed, per_mille, faults);
    }

    /// Takes back every fault that has not befallen anyone yet.
    pub fn clear_faults(&self) {
        self.faults().clear();
    }

    /// From now on a watch from any version begins with what was there so many writes ago, as an API server does that has
    /// not read on from its store yet; what came later follows after this time.
    pub fn set_lag(&self, versions: u64, time: Duration) {
        self.locked(|state| state.lag = state::Lag { versions, time });
    }

    /// Forgets the changes of a kind and ends its watches, so that each of them must list again.
    pub fn compact(&self, id: Id) {
        self.locked(|state| {
            state.store.compact(id);
            let clock = state.clock;
            state.log.note(&clock, "server", &format!("compact {}", id.resource().plural));
        });
    }

    /// Ends all watches of a kind.
    pub fn close_watches(&self, id: Id) {
        self.locked(|state| {
            state.closings[id.stored().index()] += 1;
            state.store.touch(id);
            let clock = state.clock;
            state.log.note(&clock, "server", &format!("close watches of {}", id.resource().plural));
        });
    }

    /// Wakes when an object of the kind changes.
    pub fn subscribe(&self, id: Id) -> Listener {
        self.shared.changed[id.stored().index()].listen()
    }

    /// Does something under the lock, then what follows from it, then wakes the watchers.
    fn locked<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let (result, touched) = {
            let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            let result = act(&mut state);
            state.settle();
            (result, state.store.take_touched())
        };
        if touched != 0 {
            for (index, changed) in self.shared.changed.iter().enumerate() {
                if touched & (1 << index) != 0 {
                    changed.ring();
                }
            }
        }
        result
    }

    fn faults(&self) -> std::sync::MutexGuard<'_, Faults> {
        self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    pub fn server(&self) -> &ApiServer {
        &self.server
    }

    /// Asks `hook` before and after every write; where it says stop, this session and its clones are dead: what they
    /// ask is not executed and never answered, as for a process that was killed.
    pub fn on_write(&self, hook: impl FnMut(&Write) -> Verdict + Send + 'static) {
        self.connection.set_hook(hook);
    }

    /// Stops the session at the write of this number (from 1; events and leases are not counted).
    pub fn stop_at(&self, number: u64, moment: Moment) {
        self.on_write(
            move |write| {
                if write.number == number && write.moment == moment { Verdict::Stop } else { Verdict::Go }
            },
        );
    }

    /// Stops the session now.
    pub fn stop(&self) {
        self.connection.stop();
    }

    /// Returns when the session is stopped.
    pub async fn stopped(&self) {
        self.connection.stopped().await;
    }

    pub fn is_stopped(&self) -> bool {
        self.connection.is_stopped()
    }

    /// How many writes the session made, those of events and leases not counted.
    pub fn n_writes(&self) -> u64 {
        self.connection.n_writes()
    }

    async fn handle<B>(self, request: Request<B>) -> Result<Response<Body>, Lost>
    where
        B: http_body::Body<Data = Bytes> + Send,
    {
        if self.is_stopped() {
            std::future::pending::<()>().await;
        }
        let (parts, body) = request.into_parts();
        let bytes = body.collect().await.map_err(|_| Lost)?.to_bytes();
        let call = match call::route(&parts, bytes) {
            Ok(Route::Call(call)) => call,
            Ok(Route::Discovery(path)) => {
                return Ok(match discovery::answer(&path) {
                    Ok(Value::String(text)) => answer::json(200, text),
                    Ok(value) => answer::value(200, &value),
                    Err(status) => answer::refusal(&status),
                });
            }
            Err(status) => return Ok(answer::refusal(&status)),
        };
        self.execute(&call).await
    }

    async fn execute(&self, call: &Call) -> Result<Response<Body>, Lost> {
        let name = &self.connection.name;
        let fault = self.server.faults().fire(name, call);
        if let Some(fault) = fault {
            self.server.note(name, &format!("{}: {}", call.words(), fault.words()));
        }
        let mut cut = None;
        match fault {
            Some(Fault::LostBefore) => return Err(Lost),
            Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
            Some(Fault::WatchClosed(time)) => cut = Some(Cut::Closed(time)),
            Some(Fault::WatchSilent(time)) => cut = Some(Cut::Silent(time)),
            Some(Fault::WatchGap) => self.server.compact(call.id),
            _ => {}
        }
        if let Some(status) = fault.and_then(|fault| fault.refusal(call)) {
            return Ok(answer::refusal(&status));
        }
        let number = self.connection.number(call);
        if call.verb.is_write() && self.connection.ask(call, number, Moment::Before) == Verdict::Stop
            || self.is_stopped()
        {
            std::future::pending::<()>().await;
        }
        let result = serve::serve(&self.server, &self.connection, call, cut);
        self.record(call, number, result.as_ref().err());
        if call.verb.is_write() && self.connection.ask(call, number, Moment::After) == Verdict::Stop {
            std::future::pending::<()>().await;
        }
        if fault == Some(Fault::LostAfter) {
            return Err(Lost);
        }
        Ok(result.unwrap_or_else(|status| answer::refusal(&status)))
    }

    fn record(&self, call: &Call, number: u64, refusal: Option<&Status>) {
        let name = &self.connection.name;
        self.server.locked(|state| {
            state.log.count(name, call.verb.as_str());
            if !call.verb.is_write() {
                return;
            }
            let outcome =
                refusal.map_or_else(|| "ok".to_owned(), |status| format!("{} {}", status.code, status.reason));
            let number = if number == 0 { String::new() } else { format!("#{number} ") };
            let clock = state.clock;
            state.log.note(&clock, name, &format!("{number}{}: {outcome}", call.words()));
        });
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Lost>> + Send>>;

/// Lets a client of ours send its requests there; always ready, as all work is done in the answer.
macro_rules! serves {
    ($server:ty, |$this:ident, $request:ident| $answer:expr) => {
        impl<B> Service<Request<B>> for $server
        where
            B: http_body::Body<Data = Bytes> + Send + 'static,
        {
            type Response = Response<Body>;
            type Error = Lost;
            type Future = Answer;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Lost>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, $request: Request<B>) -> Answer {
                let $this = self;
                Box::pin($answer)
            }
        }
    };
}

serves!(Session, |session, request| session.clone().handle(request));
serves!(ApiServer, |server, request| server.session("client").handle(request));

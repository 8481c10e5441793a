//! An API server in memory, for the kinds that a controller of nodes meets.
//!
//! [`ApiServer`] is a `tower::Service` over HTTP requests: `kube::Client::new(server.session("name"), "default")` is a
//! client to it. It stores JSON, knows no client library, and keeps one lock for a moment at a time; its time is tokio's,
//! its randomness comes from one seed. What it leaves out: authorisation, managed fields, tables, protobuf.

mod answer;
mod apply;
mod bell;
mod budget;
mod budget_status;
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
mod server;
mod session;
mod state;
mod status;
mod store;
mod strategic;
mod validate;
mod watch;
mod write;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::Service;

pub use answer::Body;
pub use bell::Listener;
pub use call::{Call, Verb};
pub use delete::{DeleteOptions, Deleted, Propagation};
pub use direct::Direct;
pub use discovery::VERSION;
pub use faults::{Fault, Filter, Rule};
pub use log::Log;
pub use object::{Key, Object, Part};
pub use pods::set_condition;
pub use resource::Id;
pub use selector::{FieldSelector, LabelSelector};
pub use server::ApiServer;
pub use session::{Moment, Verdict, Write};
pub use status::Status;
pub use store::{Change, WINDOW};
pub use write::WriteOptions;

use call::Route;
use faults::Cut;
use session::Connection;

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

impl ApiServer {
    /// A way in for a client of that name. Every call makes another session, with writes numbered from 1.
    pub fn session(&self, name: &str) -> Session {
        Session { server: self.clone(), connection: Connection::new(name) }
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

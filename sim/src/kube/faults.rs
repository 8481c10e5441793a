//! What can go wrong between a client and the server, by script or by seed.

use std::time::Duration;

use crate::rng::SplitMix64;

use super::call::{Call, Verb};
use super::resource::Id;
use super::status::Status;

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request never arrives; the client sees a broken connection.
    LostBefore,
    /// The request is executed, its answer is lost; the client sees a broken connection.
    LostAfter,
    /// 409, without being executed.
    Conflict,
    /// 410, without being executed.
    Expired,
    /// 429, without being executed; seconds after which the client is asked to come back.
    TooManyRequests(Option<u32>),
    /// 500, without being executed.
    Internal,
    /// 503, without being executed.
    Unavailable,
    /// The request waits before it is executed.
    Delay(Duration),
    /// The watch ends after this time.
    WatchClosed(Duration),
    /// After this time nothing more comes of the watch, and it does not end: as when a connection is half open.
    WatchSilent(Duration),
    /// The changes that the watch asks for are forgotten: it gets a 410.
    WatchGap,
}

/// What befalls a watch before its time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// It ends after this time.
    Closed(Duration),
    /// Nothing more comes of it after this time.
    Silent(Duration),
}

/// Which requests a rule is about; what is left open matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The session's name.
    pub session: Option<String>,
    pub verb: Option<Verb>,
    pub id: Option<Id>,
    pub name: Option<String>,
    pub subresource: Option<String>,
}

/// A fault that befalls some requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub filter: Filter,
    /// So many of those that match are spared at first.
    pub skip: u64,
    /// So many are hit then.
    pub times: u64,
    pub fault: Fault,
}

/// Faults that befall the requests of a session by chance.
#[derive(Clone, Debug)]
struct Chance {
    session: String,
    rng: SplitMix64,
    /// Of a thousand requests.
    per_mille: u64,
    faults: Vec<Fault>,
}

/// Every fault that is still to come.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    rules: Vec<Rule>,
    chances: Vec<Chance>,
}

impl Rule {
    /// The first `times` requests that match are hit.
    pub fn first(times: u64, filter: Filter, fault: Fault) -> Self {
        Self { filter, skip: 0, times, fault }
    }
}

impl Filter {
    fn matches(&self, session: &str, call: &Call) -> bool {
        self.session.as_deref().is_none_or(|name| name == session)
            && self.verb.is_none_or(|verb| verb == call.verb)
            && self.id.is_none_or(|id| id == call.id)
            && (self.name.is_none() || self.name == call.name)
            && (self.subresource.is_none() || self.subresource == call.subresource)
    }
}

impl Fault {
    /// Whether it can befall such a request.
    fn suits(self, call: &Call) -> bool {
        let is_watch = call.verb == Verb::Watch;
        match self {
            Self::WatchClosed(_) | Self::WatchSilent(_) | Self::WatchGap => is_watch,
            Self::LostAfter => call.verb.is_write(),
            Self::Conflict => matches!(call.verb, Verb::Update | Verb::Patch),
            _ => true,
        }
    }

    /// The refusal that the client gets, if it gets one.
    pub(super) fn refusal(self, call: &Call) -> Option<Status> {
        match self {
            Self::Conflict => Some(Status::modified(call.id, call.name.as_deref().unwrap_or_default())),
            Self::Expired => Some(Status::expired("The resourceVersion for the provided list is too old.")),
            Self::TooManyRequests(after) => {
                Some(Status::too_many_requests("too many requests, please try again later", None, after))
            }
            Self::Internal => Some(Status::internal("etcdserver: request timed out")),
            Self::Unavailable => Some(Status::unavailable("the server is currently unable to handle the request")),
            _ => None,
        }
    }

    /// How the log names it.
    pub(super) fn words(self) -> String {
        match self {
            Self::LostBefore => "lost before execution".to_owned(),
            Self::LostAfter => "lost after execution".to_owned(),
            Self::Conflict => "answered 409".to_owned(),
            Self::Expired => "answered 410".to_owned(),
            Self::TooManyRequests(_) => "answered 429".to_owned(),
            Self::Internal => "answered 500".to_owned(),
            Self::Unavailable => "answered 503".to_owned(),
            Self::Delay(time) => format!("delayed by {} ms", time.as_millis()),
            Self::WatchClosed(time) => format!("closed after {} ms", time.as_millis()),
            Self::WatchSilent(time) => format!("silent after {} ms", time.as_millis()),
            Self::WatchGap => "gap".to_owned(),
        }
    }
}

impl Faults {
    pub fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    pub fn add_chance(&mut self, session: &str, seed: u64, per_mille: u64, faults: &[Fault]) {
        let rng = SplitMix64::new(seed);
        self.chances.push(Chance { session: session.to_owned(), rng, per_mille, faults: faults.to_vec() });
    }

    /// The fault that befalls this request. The first rule that matches decides.
    pub fn fire(&mut self, session: &str, call: &Call) -> Option<Fault> {
        for rule in &mut self.rules {
            if rule.times == 0 || !rule.filter.matches(session, call) || !rule.fault.suits(call) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.times -= 1;
            return Some(rule.fault);
        }
        for chance in self.chances.iter_mut().filter(|chance| chance.session == session) {
            let suited: Vec<Fault> = chance.faults.iter().copied().filter(|fault| fault.suits(call)).collect();
            if !suited.is_empty() && chance.rng.below(1000) < chance.per_mille {
                return Some(*chance.rng.pick(&suited));
            }
        }
        None
    }
}

//! News about instances that nobody asked for.

use planner::model::Str;

/// One message. It comes again until it is acknowledged, so acting on it twice must change nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What acknowledges it; empty for what the cloud looked up by itself, which needs none.
    pub receipt: Str,
    pub kind: NoticeKind,
    /// The instances it is about, by the id in their provider id.
    pub instances: Vec<Str>,
    /// When it happens, seconds since the Unix epoch; none: now, or not known.
    pub deadline: Option<i64>,
    /// When it was said, seconds since the Unix epoch; none: not known.
    pub sent_at: Option<i64>,
}

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoticeKind {
    SpotInterruption,
    /// The instance is likely to be interrupted.
    RebalanceRecommendation,
    /// Maintenance, retirement.
    ScheduledChange,
    /// Somebody else stopped it, or it stopped itself.
    Stopped,
    /// Somebody else ended it.
    Terminated,
    /// The capacity block or reservation it runs on ends.
    ReservationEnds,
    /// Checks of the instance have failed for a while: it does not answer.
    InstanceImpaired,
    /// Checks of what it runs on have failed for a while.
    SystemImpaired,
    /// The cloud has scheduled its end or its restart.
    ScheduledEvent,
    /// Nothing about instances: there is only to be acknowledged that it was read.
    Other,
}

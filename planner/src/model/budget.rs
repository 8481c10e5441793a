//! Disruption budgets: how many nodes of a pool may go at once, for which reasons, and when.

use serde::{Deserialize, Serialize};

use super::cron::{Cron, CronError};

/// Why a node is given up voluntarily.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DisruptionReason {
    Underutilized,
    Empty,
    Drifted,
}

impl DisruptionReason {
    /// By its API name.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "Underutilized" => Some(Self::Underutilized),
            "Empty" => Some(Self::Empty),
            "Drifted" => Some(Self::Drifted),
            _ => None,
        }
    }
}

/// So many nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Share {
    /// Of all nodes that count, 0–100, rounded up.
    Percent(u32),
    Nodes(u32),
}

/// Spans of time: from each hit of the schedule, so long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub schedule: Cron,
    /// Whole minutes, so never below 0.
    pub duration_seconds: i64,
}

/// One entry of `spec.disruption.budgets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    pub nodes: Share,
    /// `None`: for every reason; an empty list: for none.
    pub reasons: Option<Vec<DisruptionReason>>,
    /// `None`: always.
    pub window: Option<Window>,
}

/// How many nodes may be on their way out at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Allowance {
    Nodes(u32),
    Unlimited,
}

/// All budgets of a pool, or why they cannot be read: then nothing may be disrupted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Budgets {
    Of(Vec<Budget>),
    Unreadable(String),
}

/// Why an entry is no budget.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    #[error("nodes \"{0}\": write a number of nodes or a percentage from 0% to 100%")]
    Nodes(String),
    #[error("reason \"{0}\" is none of Underutilized, Empty, Drifted")]
    Reason(String),
    #[error("duration \"{0}\": write hours and minutes such as 8h, 30m or 1h30m")]
    Duration(String),
    #[error("schedule and duration go together, {0} is missing")]
    Half(&'static str),
    #[error("schedule: {0}")]
    Schedule(#[from] CronError),
}

impl Share {
    /// `10%` or `5`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        match text.strip_suffix('%') {
            Some(percent) => digits(percent).filter(|percent| *percent <= 100).map(Self::Percent),
            None => digits(text).map(Self::Nodes),
        }
    }

    /// Of `n_nodes`.
    pub fn of(self, n_nodes: u32) -> u32 {
        match self {
            Self::Percent(percent) => {
                u32::try_from((u64::from(n_nodes) * u64::from(percent)).div_ceil(100)).unwrap_or(u32::MAX)
            }
            Self::Nodes(nodes) => nodes,
        }
    }
}

impl Budget {
    /// From the API's texts.
    ///
    /// # Errors
    /// When one of them does not read, or only one of schedule and duration is there.
    pub fn parse<S: AsRef<str>>(
        nodes: &str,
        reasons: Option<&[S]>,
        schedule: Option<&str>,
        duration: Option<&str>,
    ) -> Result<Self, BudgetError> {
        let reason =
            |text: &S| DisruptionReason::parse(text.as_ref()).ok_or_else(|| BudgetError::Reason(text.as_ref().into()));
        let window = match (schedule, duration) {
            (None, None) => None,
            (Some(schedule), Some(duration)) => Some(Window {
                schedule: Cron::parse(schedule)?,
                duration_seconds: seconds(duration).ok_or_else(|| BudgetError::Duration(duration.into()))?,
            }),
            (Some(_), None) => return Err(BudgetError::Half("duration")),
            (None, Some(_)) => return Err(BudgetError::Half("schedule")),
        };
        Ok(Self {
            nodes: Share::parse(nodes).ok_or_else(|| BudgetError::Nodes(nodes.into()))?,
            reasons: reasons.map(|reasons| reasons.iter().map(reason).collect()).transpose()?,
            window,
        })
    }

    /// Does it hold at `now` (seconds since the epoch)?
    pub fn active(&self, now: i64) -> bool {
        self.window.as_ref().is_none_or(|window| window.open(now))
    }

    /// Is it about this reason?
    pub fn about(&self, reason: DisruptionReason) -> bool {
        self.reasons.as_ref().is_none_or(|reasons| reasons.contains(&reason))
    }
}

impl Window {
    /// Did it begin within the last `duration_seconds`? A schedule that never hits is taken as always open, as by the reference:
    /// the budget then holds, which is the careful side.
    pub fn open(&self, now: i64) -> bool {
        let since = now.saturating_sub(self.duration_seconds);
        self.schedule.next_after(since).is_none_or(|hit| hit <= now)
    }
}

impl Budgets {
    /// The most nodes that may be on their way out for `reason` at `now`, of the `n_nodes` of the pool that are initialised.
    pub fn allowed(&self, reason: DisruptionReason, n_nodes: u32, now: i64) -> Allowance {
        let Self::Of(budgets) = self else { return Allowance::Nodes(0) };
        let holding = budgets.iter().filter(|budget| budget.about(reason) && budget.active(now));
        holding.map(|budget| Allowance::Nodes(budget.nodes.of(n_nodes))).min().unwrap_or(Allowance::Unlimited)
    }

    /// What is left of it when `n_gone` of those nodes are not ready or on their way out already.
    pub fn remaining(&self, reason: DisruptionReason, n_nodes: u32, n_gone: u32, now: i64) -> Allowance {
        match self.allowed(reason, n_nodes, now) {
            Allowance::Nodes(nodes) => Allowance::Nodes(nodes.saturating_sub(n_gone)),
            Allowance::Unlimited => Allowance::Unlimited,
        }
    }
}

impl Default for Budgets {
    /// A tenth of the nodes, always, for every reason: what a pool without `budgets` has.
    fn default() -> Self {
        Self::Of(vec![Budget { nodes: Share::Percent(10), reasons: None, window: None }])
    }
}

/// Hours and minutes, each at most once and in this order, perhaps with `0s` behind.
fn seconds(text: &str) -> Option<i64> {
    let text = text.strip_suffix("0s").filter(|rest| rest.ends_with(['h', 'm'])).unwrap_or(text);
    let number =
        |text: &str| -> Option<i64> { text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten() };
    let (hours, minutes) = match text.split_once('h') {
        Some((hours, "")) => (number(hours)?, 0),
        Some((hours, minutes)) => (number(hours)?, number(minutes.strip_suffix('m')?)?),
        None => (0, number(text.strip_suffix('m')?)?),
    };
    hours.checked_mul(60)?.checked_add(minutes)?.checked_mul(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Option<&[&str]> = None;
    /// Thursday 26 November 2026, 12:00.
    const NOON: i64 = 1_795_694_400;
    const HOUR: i64 = 3600;

    fn nodes(text: &str) -> Budget {
        Budget::parse(text, NONE, None, None).unwrap()
    }

    #[test]
    fn a_share_is_a_count_or_a_percentage_rounded_up() {
        for (text, of_ten, of_eleven, of_none) in
            [("10%", 1, 2, 0), ("0%", 0, 0, 0), ("100%", 10, 11, 0), ("1%", 1, 1, 0), ("5", 5, 5, 5), ("0", 0, 0, 0)]
        {
            let share = Share::parse(text).unwrap();
            assert_eq!((share.of(10), share.of(11), share.of(0)), (of_ten, of_eleven, of_none), "{text}");
        }
        for text in ["", "%", "101%", "-1", "+5", "1.5", "ten", "5 %", "99999999999"] {
            assert_eq!(Share::parse(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_hours_and_minutes() {
        let good =
            [("8h", 28_800), ("30m", 1_800), ("1h30m", 5_400), ("10m0s", 600), ("1h30m0s", 5_400), ("100h", 360_000)];
        for (text, expected) in good {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in
            ["", "h", "10", "10s", "0s", "1m1h", "1h1h", "1.5h", "-1h", "1d", "1h30m10s", "9999999999999999999h"]
        {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn the_smallest_budget_that_holds_decides() {
        let only = |reason: &str, text: &str| Budget::parse(text, Some(&[reason]), None, None).unwrap();
        let budgets = Budgets::Of(vec![nodes("50%"), only("Drifted", "1"), only("Empty", "100%")]);
        assert_eq!(budgets.allowed(DisruptionReason::Drifted, 10, NOON), Allowance::Nodes(1));
        assert_eq!(budgets.allowed(DisruptionReason::Empty, 10, NOON), Allowance::Nodes(5));
        assert_eq!(budgets.allowed(DisruptionReason::Underutilized, 10, NOON), Allowance::Nodes(5));
        assert_eq!(budgets.remaining(DisruptionReason::Empty, 10, 7, NOON), Allowance::Nodes(0));
        assert_eq!(budgets.remaining(DisruptionReason::Empty, 10, 2, NOON), Allowance::Nodes(3));
    }

    #[test]
    fn no_budget_is_no_limit_and_an_unreadable_one_allows_nothing() {
        let empty = Budgets::Of(Vec::new());
        assert_eq!(empty.remaining(DisruptionReason::Empty, 10, 3, NOON), Allowance::Unlimited);
        let broken = Budgets::Unreadable("schedule".into());
        assert_eq!(broken.allowed(DisruptionReason::Empty, 10, NOON), Allowance::Nodes(0));
        let about_nothing = Budget { reasons: Some(Vec::new()), ..nodes("0") };
        assert_eq!(Budgets::Of(vec![about_nothing]).allowed(DisruptionReason::Empty, 10, NOON), Allowance::Unlimited);
        assert_eq!(Budgets::default().allowed(DisruptionReason::Drifted, 11, NOON), Allowance::Nodes(2));
        assert!(Allowance::Nodes(u32::MAX) < Allowance::Unlimited);
    }

    #[test]
    fn a_window_is_open_from_each_hit_for_its_duration() {
        let office = Budget::parse("0", NONE, Some("0 9 * * mon-fri"), Some("8h")).unwrap();
        let nine = NOON - 3 * HOUR;
        for (moment, open) in [
            (nine - 1, false),
            (nine, true),
            (NOON, true),
            (nine + 8 * HOUR - 1, true),
            (nine + 8 * HOUR, false),
            (nine + 48 * HOUR, false),
            (nine + 96 * HOUR, true),
        ] {
            assert_eq!(office.active(moment), open, "{moment}");
        }
        let budgets = Budgets::Of(vec![office]);
        assert_eq!(budgets.allowed(DisruptionReason::Empty, 10, NOON), Allowance::Nodes(0));
        assert_eq!(budgets.allowed(DisruptionReason::Empty, 10, nine + 8 * HOUR), Allowance::Unlimited);
    }

    #[test]
    fn a_window_longer_than_its_period_is_always_open_and_so_is_one_that_never_begins() {
        let long = Budget::parse("0", NONE, Some("@hourly"), Some("1h1m")).unwrap();
        let never = Budget::parse("0", NONE, Some("0 0 30 2 *"), Some("1h")).unwrap();
        for moment in (0..200).map(|i| NOON + i * 777) {
            assert!(long.active(moment) && never.active(moment));
        }
    }

    #[test]
    fn errors_name_the_field() {
        let said = |nodes: &str, reason: &str, schedule: Option<&str>, duration: Option<&str>| {
            Budget::parse(nodes, Some(&[reason]), schedule, duration).unwrap_err().to_string()
        };
        assert!(said("many", "Empty", None, None).starts_with("nodes \"many\""));
        assert!(said("1", "Bored", None, None).starts_with("reason \"Bored\""));
        assert!(said("1", "Empty", Some("@daily"), None).ends_with("duration is missing"));
        assert!(said("1", "Empty", None, Some("1h")).ends_with("schedule is missing"));
        assert!(said("1", "Empty", Some("daily"), Some("1h")).starts_with("schedule: "));
        assert!(said("1", "Empty", Some("@daily"), Some("1d")).starts_with("duration \"1d\""));
    }
}

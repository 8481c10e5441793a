//! What happens at nearly the same time is told in one line: it is gathered here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use cloud::OfferingKey;
use planner::model::MicroUsdPerHour;

use super::seller::Shortage;
use super::timeline::{Moment, MomentKind};
use super::told::{count, dollars, short};

/// Kinds of offerings that are listed.
const MOST_LISTED: usize = 8;

/// Happenings that are not told yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// When the first of them happened.
    since: Option<u64>,
    refused: BTreeSet<OfferingKey>,
    /// Launches that were refused something.
    in_vain: usize,
    /// Of those, the ones that bought something else.
    instead: usize,
    /// What they bought: type and capacity type.
    bought: BTreeMap<String, usize>,
    opened: usize,
    /// By reason.
    retired: BTreeMap<String, (usize, i64)>,
    removed: usize,
}

impl Batch {
    /// When it is to be told, if there is anything to tell; in milliseconds.
    pub fn due(&self, gather: u64) -> Option<u64> {
        self.since.map(|since| since + gather)
    }

    pub fn shortage(&mut self, now: u64, shortage: Shortage) {
        self.begin(now);
        self.in_vain += 1;
        self.refused.extend(shortage.refused);
        if let Some(key) = shortage.instead {
            self.instead += 1;
            let bought = format!("{} {}", short(&key.instance_type), key.capacity_type.as_str());
            *self.bought.entry(bought).or_default() += 1;
        }
    }

    pub fn opened(&mut self, now: u64) {
        self.begin(now);
        self.opened += 1;
    }

    pub fn retired(&mut self, now: u64, reason: &str, price: MicroUsdPerHour) {
        self.begin(now);
        let (n, saved) = self.retired.entry(reason.to_owned()).or_default();
        *n += 1;
        *saved += price.0;
    }

    pub fn removed(&mut self, now: u64) {
        self.begin(now);
        self.removed += 1;
    }

    fn begin(&mut self, now: u64) {
        self.since.get_or_insert(now);
    }

    /// Everything gathered, as moments of now; `left` nodes cost `hourly`.
    pub fn take(&mut self, now: u64, left: usize, hourly: MicroUsdPerHour) -> Vec<Moment> {
        let batch = std::mem::take(self);
        let mut moments = Vec::new();
        let mut tell = |kind, text, details| moments.push(Moment { millis: now, kind, text, details });
        if batch.in_vain > 0 {
            tell(MomentKind::Shortage, batch.shortage_text(), batch.shortage_details());
        }
        if batch.opened > 0 {
            let text = format!("{} ready and opened to the pods planned for them", count(batch.opened, "node"));
            tell(MomentKind::Opened, text, Vec::new());
        }
        for (reason, (n, saved)) in &batch.retired {
            let (nodes, saved) = (count(*n, "node"), dollars(MicroUsdPerHour(*saved)));
            let text = format!("give up {nodes} of {left} ({reason}): saves {saved} of {}/h", dollars(hourly));
            tell(MomentKind::Retired, text, Vec::new());
        }
        if batch.removed > 0 {
            let text = format!("{} gone; {} left at {}/h", count(batch.removed, "node"), left, dollars(hourly));
            tell(MomentKind::Removed, text, Vec::new());
        }
        moments
    }

    fn shortage_text(&self) -> String {
        let mut text = format!(
            "{} met empty shelves; {} marked as out of stock",
            count(self.in_vain, "launch").replace("launchs", "launches"),
            count(self.refused.len(), "offering")
        );
        let in_vain = self.in_vain - self.instead;
        if self.instead > 0 {
            let _ = write!(text, "; {} took the next best offering", self.instead);
        }
        if in_vain > 0 {
            let _ = write!(text, "; {in_vain} came to nothing and will be planned anew");
        }
        text
    }

    fn shortage_details(&self) -> Vec<String> {
        let mut by_place: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for key in &self.refused {
            let place = format!("{} in {}", key.capacity_type.as_str(), key.zone);
            by_place.entry(place).or_default().insert(short(&key.instance_type));
        }
        let line = |(place, types): (String, BTreeSet<&str>)| {
            let listed: Vec<&str> = types.iter().copied().take(MOST_LISTED).collect();
            let more = types.len() - listed.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("no {place}: {}{more}", listed.join(" "))
        };
        let mut details: Vec<String> = by_place.into_iter().map(line).collect();
        if !self.bought.is_empty() {
            let bought: Vec<String> = self.bought.iter().map(|(what, n)| format!("{n} × {what}")).collect();
            details.push(format!("bought instead: {}", bought.join(", ")));
        }
        details
    }
}

#[cfg(test)]
mod tests {
    use planner::model::CapacityType;

    use super::*;

    fn key(instance_type: &str, capacity_type: CapacityType) -> OfferingKey {
        let (instance_type, zone) = (instance_type.into(), "test-zone-a".into());
        OfferingKey { instance_type, zone, capacity_type, reservation: None }
    }

    #[test]
    fn what_was_gathered_is_told_once_and_in_one_order() {
        let mut batch = Batch::default();
        assert_eq!(batch.due(5), None);
        batch.removed(7);
        batch.retired(8, "Empty", MicroUsdPerHour(1_500_000));
        batch.retired(8, "Empty", MicroUsdPerHour(500_000));
        let refused = vec![key("c-4x-amd64-linux", CapacityType::Spot), key("s-2x-amd64-linux", CapacityType::Spot)];
        let instead = Some(key("c-4x-amd64-linux", CapacityType::OnDemand));
        batch.shortage(9, Shortage { claim: "a".into(), refused: refused.clone(), instead });
        batch.shortage(9, Shortage { claim: "b".into(), refused, instead: None });
        assert_eq!(batch.due(5), Some(12));
        let moments = batch.take(12, 3, MicroUsdPerHour(4_000_000));
        let texts: Vec<&str> = moments.iter().map(|moment| moment.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "2 launches met empty shelves; 2 offerings marked as out of stock; 1 took the next best offering; 1 came \
                 to nothing and will be planned anew",
                "give up 2 nodes of 3 (Empty): saves $2.000 of $4.000/h",
                "1 node gone; 3 left at $4.000/h",
            ]
        );
        assert_eq!(moments[0].details, ["no spot in test-zone-a: c-4x s-2x", "bought instead: 1 × c-4x on-demand"]);
        assert_eq!(batch, Batch::default());
    }
}

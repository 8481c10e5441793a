//! How many calls EC2 takes: a bucket of tokens for each group of actions.
//!
//! Sizes and rates are those documented for an account:
//! <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>.

use std::collections::BTreeMap;

use crate::market::Micros;

/// How much a group of actions may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls per second, in the long run.
    pub per_second: u32,
    /// Calls at once, after a quiet time.
    pub burst: u32,
}

/// The group of an action and its rate.
pub fn rate(action: &str) -> (&'static str, Rate) {
    let rate = |per_second, burst| Rate { per_second, burst };
    match action {
        "RunInstances" => ("RunInstances", rate(2, 5)),
        "TerminateInstances" => ("TerminateInstances", rate(5, 100)),
        "CreateTags" => ("CreateTags", rate(10, 100)),
        _ if action.contains(':') => ("other services", rate(20, 100)),
        _ if action.starts_with("Describe") => ("reading", rate(20, 100)),
        _ => ("changing", rate(5, 50)),
    }
}

/// What is left of each bucket.
#[derive(Clone, Debug, Default)]
pub struct Buckets(BTreeMap<&'static str, Bucket>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Millionths of a call.
    tokens: i64,
    at: Micros,
}

impl Buckets {
    /// Takes a token for a call; false if there is none.
    pub fn take(&mut self, action: &str, now: Micros) -> bool {
        let (group, Rate { per_second, burst }) = rate(action);
        let full = i64::from(burst) * 1_000_000;
        let bucket = self.0.entry(group).or_insert(Bucket { tokens: full, at: now });
        let came = (now - bucket.at).max(0).saturating_mul(i64::from(per_second));
        *bucket = Bucket { tokens: bucket.tokens.saturating_add(came).min(full), at: now.max(bucket.at) };
        if bucket.tokens < 1_000_000 {
            return false;
        }
        bucket.tokens -= 1_000_000;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_at_its_rate() {
        let mut buckets = Buckets::default();
        let n_at = |buckets: &mut Buckets, now| (0..1000).take_while(|_| buckets.take("CreateFleet", now)).count();
        assert_eq!(n_at(&mut buckets, 0), 50);
        assert_eq!(n_at(&mut buckets, 1_000_000), 5);
        assert_eq!(n_at(&mut buckets, 1_100_000), 0);
        assert_eq!(n_at(&mut buckets, 3_600_000_000), 50);
        assert!(buckets.take("DescribeInstances", 0), "groups are apart");
    }
}

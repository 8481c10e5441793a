//! How many calls EC2 takes: each action of an account has a bucket of tokens in each region, sized by its category.
//!
//! Sizes and rates are those documented for an account:
//! <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>. A call takes a token out of the bucket of its
//! action, and nothing out of those of other actions; some take one for each machine out of a second bucket as well.

use std::collections::BTreeMap;

use super::params::Params;
use crate::clock::Micros;

/// How much a bucket holds, and how fast it fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rate {
    /// Tokens per second, in the long run.
    per_second: u32,
    /// Tokens at once, after a quiet time.
    burst: u32,
}

/// What reads and names no filter and asks for no pages takes its tokens from a smaller bucket of its own.
const SPARING: [&str; 3] = ["DescribeInstances", "DescribeInstanceStatus", "DescribeSecurityGroups"];

/// The rate of an action.
fn rate(action: &str) -> Rate {
    let rate = |per_second, burst| Rate { per_second, burst };
    match action {
        "RunInstances" => rate(2, 5),
        "TerminateInstances" => rate(5, 100),
        "CreateTags" => rate(10, 100),
        // Services beside EC2 have limits of their own, which are wider than what is asked of them.
        _ if action.contains(':') => rate(20, 100),
        _ if action.starts_with("Describe") => rate(20, 100),
        _ => rate(5, 50),
    }
}

/// The buckets a call draws on, each with the tokens it takes.
fn drawn(action: &str, params: &Params) -> Vec<(String, Rate, u32)> {
    let is_sparing = params.get("Filter").is_none() && params.get("MaxResults").is_none();
    let first = if SPARING.contains(&action) && is_sparing {
        (format!("{action} without filter and pages"), Rate { per_second: 10, burst: 50 }, 1)
    } else {
        (action.to_owned(), rate(action), 1)
    };
    let mut all = vec![first];
    if action == "TerminateInstances" {
        let n_machines = u32::try_from(params.list("InstanceId").len()).unwrap_or(u32::MAX);
        all.push((format!("machines of {action}"), Rate { per_second: 20, burst: 1000 }, n_machines));
    }
    all
}

/// What is left of each bucket.
#[derive(Clone, Debug, Default)]
pub struct Buckets(BTreeMap<String, Bucket>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Millionths of a token.
    tokens: i64,
    at: Micros,
}

impl Buckets {
    /// Takes a call's tokens; false, and nothing is taken, if one of its buckets has too few.
    pub fn take(&mut self, action: &str, params: &Params, now: Micros) -> bool {
        let drawn = drawn(action, params);
        for (name, Rate { per_second, burst }, _) in &drawn {
            let full = i64::from(*burst) * 1_000_000;
            let bucket = self.0.entry(name.clone()).or_insert(Bucket { tokens: full, at: now });
            let came = (now - bucket.at).max(0).saturating_mul(i64::from(*per_second));
            *bucket = Bucket { tokens: bucket.tokens.saturating_add(came).min(full), at: now.max(bucket.at) };
        }
        let wanted = |n: u32| i64::from(n) * 1_000_000;
        let is_enough = drawn.iter().all(|(name, _, n)| self.0.get(name).is_some_and(|b| b.tokens >= wanted(*n)));
        if is_enough {
            for (name, _, n) in drawn {
                if let Some(bucket) = self.0.get_mut(&name) {
                    bucket.tokens -= wanted(n);
                }
            }
        }
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn n_at(buckets: &mut Buckets, action: &str, params: &str, now: Micros) -> usize {
        let params = Params::parse(params.as_bytes());
        (0..2000).take_while(|_| buckets.take(action, &params, now)).count()
    }

    #[test]
    fn a_bucket_empties_and_fills_at_its_rate() {
        let mut buckets = Buckets::default();
        let mut n_at = |now| n_at(&mut buckets, "CreateFleet", "", now);
        assert_eq!([0, 1_000_000, 1_100_000, 3_600_000_000].map(&mut n_at), [50, 5, 0, 50]);
    }

    #[test]
    fn actions_do_not_share_a_bucket() {
        let mut buckets = Buckets::default();
        for (action, n) in [
            ("CreateFleet", 50),
            ("CreateLaunchTemplate", 50),
            ("DescribeSubnets", 100),
            ("DescribeImages", 100),
            ("CreateTags", 100),
            ("RunInstances", 5),
        ] {
            assert_eq!(n_at(&mut buckets, action, "", 0), n, "{action}");
        }
    }

    #[test]
    fn a_list_without_filter_and_pages_has_a_smaller_bucket() {
        let mut buckets = Buckets::default();
        assert_eq!(n_at(&mut buckets, "DescribeInstances", "InstanceId.1=i-1", 0), 50);
        assert_eq!(n_at(&mut buckets, "DescribeInstances", "MaxResults=5", 0), 100);
        assert_eq!(n_at(&mut buckets, "DescribeInstances", "Filter.1.Name=x", 0), 0, "the same bucket as with pages");
    }

    #[test]
    fn ending_machines_counts_the_machines_too() {
        let mut ids = String::new();
        for at in 1..=300 {
            let _ = write!(ids, "&InstanceId.{at}=i-{at}");
        }
        let mut buckets = Buckets::default();
        assert_eq!(n_at(&mut buckets, "TerminateInstances", &ids, 0), 3);
        assert_eq!(n_at(&mut buckets, "TerminateInstances", "InstanceId.1=i-1", 0), 97, "of a hundred calls");
        assert_eq!(n_at(&mut buckets, "TerminateInstances", &ids, 9_000_000), 0, "183 of them are there again");
    }
}

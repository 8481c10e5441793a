//! Names that may have been meant.

/// Candidates that hold `name`, or are a few edits away from it: the nearest first, at most `most`.
pub fn near<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>, most: usize) -> Vec<&'a str> {
    let wanted = name.to_lowercase();
    let slack = 1 + name.chars().count() / 4;
    let mut found: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter_map(|candidate| {
            let lower = candidate.to_lowercase();
            let tail = lower.rsplit('/').next().unwrap_or(&lower);
            let edits = strsim::osa_distance(&wanted, &lower).min(strsim::osa_distance(&wanted, tail));
            let holds = !wanted.is_empty() && lower.contains(&wanted);
            (edits <= slack || holds).then_some((if holds { edits.min(slack) } else { edits }, candidate))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(most).map(|(_, candidate)| candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_and_a_part_of_a_name_are_both_found() {
        let known = ["shop/web-0", "shop/web-1", "bank/ledger-0"];
        assert_eq!(near("wbe-0", known, 1), ["shop/web-0"]);
        assert_eq!(near("ledger", known, 3), ["bank/ledger-0"]);
        assert_eq!(near("shop/web", known, 1), ["shop/web-0"]);
        assert!(near("zebra", known, 3).is_empty());
    }
}

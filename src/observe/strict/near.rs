//! The known name nearest to one that is not known.

use strsim::osa_distance;

/// The candidate with the fewest edits away from `name`, if that is few enough to have been meant.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = 1 + name.chars().count() / 4;
    candidates
        .into_iter()
        .map(|candidate| (osa_distance(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(edits, candidate)| *edits <= most || plural(name, candidate))
        .min()
        .map(|(_, candidate)| candidate)
}

fn plural(a: &str, b: &str) -> bool {
    a.strip_suffix('s') == Some(b) || b.strip_suffix('s') == Some(a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_was_meant_is_found() {
        let known = ["replicas", "selector", "template", "nodeSelector", "tolerations"];
        assert_eq!(nearest("replica", known), Some("replicas"));
        assert_eq!(nearest("nodeselector", known), Some("nodeSelector"));
        assert_eq!(nearest("tempalte", known), Some("template"));
        assert_eq!(nearest("zzz", known), None);
    }
}

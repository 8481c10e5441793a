//! Reading one's own writes: after a write, the object is left alone until the mirror shows it changed.

use std::time::Duration;

use tokio::time::Instant;

/// How long the mirror is waited for; then the object is looked at as it is, and the server's locks keep it safe.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked for if no change wakes us.
const POLL: Duration = Duration::from_secs(1);

/// Writes of ours that the mirror may not show yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unseen {
    /// Versions that our writes have replaced.
    replaced: Vec<String>,
    since: Option<Instant>,
}

impl Unseen {
    /// The object was written, having been read at this version.
    pub fn wrote(&mut self, read: Option<String>) {
        self.replaced.extend(read);
        self.since = Some(Instant::now());
    }

    /// How long to wait, if the mirror still shows a version from before the last write.
    pub fn wait(&mut self, shown: Option<&str>) -> Option<Duration> {
        let is_recent = self.since?.elapsed() < PATIENCE;
        if is_recent && self.replaced.iter().any(|version| Some(version.as_str()) == shown) {
            return Some(POLL);
        }
        *self = Self::default();
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_object_is_left_alone_until_the_mirror_shows_the_write_or_patience_ends() {
        let mut unseen = Unseen::default();
        assert_eq!(unseen.wait(Some("1")), None);
        unseen.wrote(Some("1".to_owned()));
        unseen.wrote(Some("2".to_owned()));
        assert_eq!(unseen.wait(Some("1")), Some(POLL));
        assert_eq!(unseen.wait(Some("2")), Some(POLL), "between two writes of one look");
        assert_eq!(unseen.wait(Some("3")), None);
        assert_eq!(unseen.wait(Some("1")), None, "it is over");
        unseen.wrote(Some("3".to_owned()));
        tokio::time::advance(PATIENCE).await;
        assert_eq!(unseen.wait(Some("3")), None);
    }
}

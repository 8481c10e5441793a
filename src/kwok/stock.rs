//! What kwok has run out of. Empty unless a test or the demo says otherwise.

use std::sync::{Arc, RwLock};

use cloud::OfferingKey;
use cloud::catalog::UnavailablePattern;

/// Offerings that are refused when they are asked for, though the catalogue says they are sold. All clones are one.
#[derive(Clone, Debug, Default)]
pub struct Stock(Arc<RwLock<Vec<UnavailablePattern>>>);

impl Stock {
    /// From now on these are out of stock, and nothing else.
    pub fn set_out(&self, patterns: Vec<UnavailablePattern>) {
        *self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner) = patterns;
    }

    /// Is it out of stock?
    pub fn is_out(&self, key: &OfferingKey) -> bool {
        let out = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        out.iter().any(|pattern| pattern.names(&key.instance_type, &key.zone, key.capacity_type))
    }
}

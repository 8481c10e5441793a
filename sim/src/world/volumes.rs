//! The volume controller: claims that do not wait for a pod get a volume at once; volumes go with their claims.

use crate::kube::{ApiServer, Change, DeleteOptions, Direct, Id, Key};

use super::scheduler::provision;

#[derive(Debug)]
pub(super) struct Volumes {
    api: Direct,
}

impl Volumes {
    pub fn new(server: &ApiServer) -> Self {
        Self { api: server.direct("volumes") }
    }

    pub fn observe(&mut self, change: &Change) {
        let claim = &change.new;
        if claim.id() != Id::CLAIM_OF_VOLUME {
            return;
        }
        let volume = claim.text("/spec/volumeName");
        if change.is_deletion {
            if let Some(volume) = self.api.get(Id::VOLUME, &Key::cluster(volume))
                && volume.text("/spec/persistentVolumeReclaimPolicy") == "Delete"
            {
                // It may be gone already.
                drop(self.api.delete(Id::VOLUME, &volume.key(), &DeleteOptions::default()));
            }
            return;
        }
        let class = self.api.get(Id::STORAGE_CLASS, &Key::cluster(claim.text("/spec/storageClassName")));
        let is_immediate = class.is_some_and(|class| class.text("/volumeBindingMode") == "Immediate");
        if volume.is_empty() && is_immediate && !claim.is_deleting() {
            // Such volumes can be reached from everywhere here: nothing was said about a zone.
            provision(&self.api, claim, None);
        }
    }
}

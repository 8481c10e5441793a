//! Six free ports per control plane, below those that the system hands out by itself.

use std::net::TcpListener;
use std::path::Path;

use crate::lock::Lock;
use crate::{Error, keys};

/// Linux hands out 32768 and up for outgoing connections.
const FROM: u16 = 10_000;
const TO: u16 = 31_999;
/// Ports of a block; six are used.
const BLOCK: u16 = 8;

/// The ports of one control plane. The block belongs to this process while the value lives.
#[derive(Debug)]
pub(crate) struct Ports {
    pub etcd: u16,
    pub etcd_peer: u16,
    pub apiserver: u16,
    pub controller_manager: u16,
    pub scheduler: u16,
    pub kwok: u16,
    /// Keeps other control planes off the block until its servers listen.
    _lock: Lock,
}

impl Ports {
    /// Looks for a block from a random place on, so that two at once rarely try the same.
    pub fn find(folder_of_locks: &Path) -> Result<Self, Error> {
        let n_blocks = (TO - FROM + 1) / BLOCK;
        let first = u16::from_le_bytes(keys::random()?) % n_blocks;
        for nth in 0..n_blocks {
            let base = FROM + (first + nth) % n_blocks * BLOCK;
            let Some(lock) = Lock::attempt(&folder_of_locks.join(format!("millwright-ports-{base}.lock"))) else {
                continue;
            };
            if (base..base + 6).all(is_free) {
                return Ok(Self {
                    etcd: base,
                    etcd_peer: base + 1,
                    apiserver: base + 2,
                    controller_manager: base + 3,
                    scheduler: base + 4,
                    kwok: base + 5,
                    _lock: lock,
                });
            }
        }
        Err(Error::NoPorts { from: FROM, to: TO })
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_control_planes_have_no_port_in_common() {
        let folder = std::env::temp_dir();
        let (a, b) = (Ports::find(&folder).unwrap(), Ports::find(&folder).unwrap());
        assert_ne!(a.etcd, b.etcd);
        assert!(a.etcd >= FROM && b.kwok <= TO);
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_not_free() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(!is_free(listener.local_addr().unwrap().port()));
    }
}

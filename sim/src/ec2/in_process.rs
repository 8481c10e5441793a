//! EC2 for the SDK in the same process: no socket, and time as tests have it.

use cloud::aws::{BrokenConnection, Transport};

use super::Ec2;

impl Ec2 {
    /// What answers the SDK's requests.
    pub fn transport(&self) -> Transport {
        let ec2 = self.clone();
        Transport::new(move |request| {
            let ec2 = ec2.clone();
            Box::pin(async move { ec2.serve(request).await.map_err(|_| BrokenConnection) })
        })
    }
}

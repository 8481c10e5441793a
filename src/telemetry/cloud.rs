//! Calls to the cloud, as Karpenter's providers are measured.

use tokio::time::Instant;

use super::Metrics;

/// Who calls, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloudCall {
    pub controller: &'static str,
    /// `Create`, `Delete`, `Get`, `List` or `GetInstanceTypes`.
    pub method: &'static str,
    pub provider: &'static str,
}

impl Metrics {
    /// Times a call, and counts its error by the name that `label` gives it; an empty one for no known kind.
    ///
    /// # Errors
    /// Those of `call`.
    pub async fn cloud_call<T, E>(
        &self,
        CloudCall { controller, method, provider }: CloudCall,
        call: impl Future<Output = Result<T, E>>,
        label: impl Fn(&E) -> &'static str,
    ) -> Result<T, E> {
        let since = Instant::now();
        let result = call.await;
        self.cloudprovider_duration_seconds.observe_since([controller, method, provider], since);
        if let Err(error) = &result {
            self.cloudprovider_errors_total.inc([controller, method, provider, label(error)]);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_is_timed_and_its_error_counted() {
        let metrics = Metrics::new();
        let call = CloudCall { controller: "nodeclaim.lifecycle", method: "Create", provider: "kwok" };
        let label = |(): &()| "InsufficientCapacityError";
        metrics.cloud_call(call, async { Ok(()) }, label).await.unwrap();
        metrics.cloud_call(call, async { Err::<(), ()>(()) }, label).await.unwrap_err();
        let labels = ["nodeclaim.lifecycle", "Create", "kwok"];
        assert_eq!(metrics.cloudprovider_duration_seconds.count(labels), 2);
        let errors = ["nodeclaim.lifecycle", "Create", "kwok", "InsufficientCapacityError"];
        assert_eq!(metrics.cloudprovider_errors_total.get(errors), 1);
    }
}

//! Many questions about one thing each, asked as one question about many.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::telling::{Telling, Told};

/// No further question for so long: ask.
const QUIET: Duration = Duration::from_millis(100);
/// Ask after so long in any case.
const LONGEST: Duration = Duration::from_secs(1);
/// Questions that may wait; whoever has more waits to put them.
const MOST_WAITING: usize = 10_000;

type Question<T> = (String, oneshot::Sender<T>);

/// Collects questions about ids. Ends when it is dropped.
#[derive(Debug)]
pub(super) struct Batch<T> {
    questions: mpsc::Sender<Question<T>>,
}

/// The batch has stopped answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed;

impl<T: Clone + Send + 'static> Batch<T> {
    /// `name` is for whoever counts; `ask` answers up to `most` ids; each id has to be in its answer.
    pub fn new<F>(
        name: &'static str,
        telling: Telling,
        most: usize,
        ask: impl Fn(Vec<String>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = BTreeMap<String, T>> + Send + 'static,
    {
        let (questions, waiting) = mpsc::channel(MOST_WAITING);
        tokio::spawn(run(waiting, name, telling, most, Arc::new(ask)));
        Self { questions }
    }

    pub async fn ask(&self, id: &str) -> Result<T, Closed> {
        let (answer, answered) = oneshot::channel();
        self.questions.send((id.to_owned(), answer)).await.map_err(|_| Closed)?;
        answered.await.map_err(|_| Closed)
    }
}

async fn run<T, F>(
    mut waiting: mpsc::Receiver<Question<T>>,
    name: &'static str,
    telling: Telling,
    most: usize,
    ask: Arc<impl Fn(Vec<String>) -> F + Send + Sync + 'static>,
) where
    T: Clone + Send + 'static,
    F: Future<Output = BTreeMap<String, T>> + Send + 'static,
{
    while let Some(first) = waiting.recv().await {
        let start = Instant::now();
        let end = start + LONGEST;
        let mut gathered = vec![first];
        while gathered.len() < most {
            match timeout_at(end.min(Instant::now() + QUIET), waiting.recv()).await {
                Ok(Some(question)) => gathered.push(question),
                Ok(None) | Err(_) => break,
            }
        }
        telling.tell(Told::Batch { name, size: gathered.len(), waited: start.elapsed() });
        // The next batch gathers while this one is asked.
        let ask = ask.clone();
        tokio::spawn(async move {
            let mut ids: Vec<String> = gathered.iter().map(|(id, _)| id.clone()).collect();
            ids.sort();
            ids.dedup();
            let answers = ask(ids).await;
            for (id, answer) in gathered {
                if let Some(told) = answers.get(&id) {
                    // Who asked may have gone.
                    let _ = answer.send(told.clone());
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_together_is_asked_once() {
        let asked: Arc<Mutex<Vec<usize>>> = Arc::default();
        let count = asked.clone();
        let batch = Arc::new(Batch::new("test", Telling::default(), 3, move |ids: Vec<String>| {
            count.lock().unwrap().push(ids.len());
            async move { ids.into_iter().map(|id| (id.clone(), format!("about {id}"))).collect() }
        }));
        let ask = |id: &'static str| {
            let batch = batch.clone();
            tokio::spawn(async move { batch.ask(id).await })
        };
        let answers: Vec<_> = futures_of([ask("a"), ask("b"), ask("b"), ask("c")]).await;
        assert_eq!(answers[2], "about b");
        // Three questions about two things fill the first batch.
        assert_eq!(*asked.lock().unwrap(), [2, 1]);
    }

    async fn futures_of(tasks: [tokio::task::JoinHandle<Result<String, Closed>>; 4]) -> Vec<String> {
        let mut out = Vec::new();
        for task in tasks {
            out.push(task.await.unwrap().unwrap());
        }
        out
    }
}

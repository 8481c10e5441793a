//! Work over a range of indices on several threads, with the same result for any number of them.

use std::ops::Range;
use std::thread;

/// Applies `work` to consecutive parts of `0..n` and joins what they return in order of the indices. `work` must give for
/// a range what it gives for its parts, joined; then the number of threads cannot show.
pub(crate) fn in_parts<T: Send>(
    threads: usize,
    n: usize,
    least_part: usize,
    work: impl Fn(Range<usize>) -> Vec<T> + Sync,
) -> Vec<T> {
    let parts = threads.min(n / least_part.max(1)).max(1);
    if parts == 1 {
        return work(0..n);
    }
    let bounds: Vec<usize> = (0..=parts).map(|p| p * n / parts).collect();
    thread::scope(|scope| {
        let work = &work;
        let handles: Vec<_> =
            bounds.windows(2).skip(1).map(|w| (w[0]..w[1], scope.spawn(move || work(w[0]..w[1])))).collect();
        let mut all = work(bounds[0]..bounds[1]);
        for (range, handle) in handles {
            // A thread that died (it cannot, short of memory) is made up for here.
            all.extend(handle.join().unwrap_or_else(|_| work(range)));
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use super::in_parts;

    #[test]
    fn the_number_of_threads_does_not_show() {
        let one = in_parts(1, 101, 1, |r| r.map(|i| i * i).collect());
        for threads in [2, 3, 8, 200] {
            assert_eq!(in_parts(threads, 101, 1, |r| r.map(|i| i * i).collect::<Vec<_>>()), one);
        }
    }
}

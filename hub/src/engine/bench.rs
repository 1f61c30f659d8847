//! Threads that render, beside the driver: what one App takes is never paid by another.
//!
//! Plain YAML and Apps that need a tool wait in lanes of their own, so that a chart which never ends holds up
//! charts at most. Work for an App that is asked for again takes the place of the older in the queue: nobody
//! starves, and nothing is rendered that nobody waits for any more.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use model::{AppName, SourceName};
use tokio::sync::watch;

/// Threads for plain YAML: it is processor time only.
const PLAIN_THREADS: usize = 2;

/// Threads that wait for tools; the sandbox runs no more at one time.
const TOOL_THREADS: usize = sandbox::limits::CONCURRENT;

/// What is rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    /// The list of a source's Apps.
    Apps(SourceName),
    /// The newest commit of an App.
    App(SourceName, AppName),
    /// The proven commit of an App, for clusters that came after it.
    Proven(AppName),
}

/// Where work waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Plain,
    Tools,
}

type Run<T> = Box<dyn FnOnce(&Bench<T>) -> Vec<T> + Send>;

/// A piece of work.
struct Work<T> {
    subject: Subject,
    run: Run<T>,
    /// What is said when it panics.
    panicked: T,
}

/// The threads and what they are to do; cheap to clone. They end when the last one that is not theirs is gone.
pub(super) struct Bench<T>(Arc<Shared<T>>);

struct Shared<T> {
    queue: Mutex<Queue<T>>,
    bell: Condvar,
    done: Mutex<Vec<T>>,
    moved: watch::Sender<u64>,
}

struct Queue<T> {
    plain: VecDeque<Work<T>>,
    tools: VecDeque<Work<T>>,
    closed: bool,
}

impl<T: Send + 'static> Bench<T> {
    /// Starts the threads.
    pub(super) fn start() -> Bench<T> {
        let queue = Queue { plain: VecDeque::new(), tools: VecDeque::new(), closed: false };
        let bench = Bench(Arc::new(Shared {
            queue: Mutex::new(queue),
            bell: Condvar::new(),
            done: Mutex::new(Vec::new()),
            moved: watch::Sender::new(0),
        }));
        for (lane, count) in [(Lane::Plain, PLAIN_THREADS), (Lane::Tools, TOOL_THREADS)] {
            for _ in 0..count {
                let own = Bench(Arc::clone(&bench.0));
                thread::spawn(move || while own.step(lane) {});
            }
        }
        bench
    }

    /// Rises whenever something is done.
    pub(super) fn moved(&self) -> watch::Receiver<u64> {
        self.0.moved.subscribe()
    }

    /// Queues work; older work of the same subject gives it its place.
    pub(super) fn add(
        &self,
        lane: Lane,
        subject: Subject,
        panicked: T,
        run: impl FnOnce(&Bench<T>) -> Vec<T> + Send + 'static,
    ) {
        let work = Work { subject, run: Box::new(run), panicked };
        let mut queue = lock(&self.0.queue);
        let Queue { plain, tools, .. } = &mut *queue;
        let (own, other) = match lane {
            Lane::Plain => (plain, tools),
            Lane::Tools => (tools, plain),
        };
        other.retain(|older| older.subject != work.subject);
        match own.iter_mut().find(|older| older.subject == work.subject) {
            Some(older) => *older = work,
            None => own.push_back(work),
        }
        drop(queue);
        self.0.bell.notify_all();
    }

    /// Tells of a part that is done while the rest goes on.
    pub(super) fn tell(&self, done: T) {
        lock(&self.0.done).push(done);
        self.0.moved.send_modify(|n| *n += 1);
    }

    /// What was done since the last call.
    pub(super) fn collect(&self) -> Vec<T> {
        std::mem::take(&mut *lock(&self.0.done))
    }

    /// No more work: the threads end after what they are at.
    pub(super) fn close(&self) {
        let mut queue = lock(&self.0.queue);
        queue.closed = true;
        queue.plain.clear();
        queue.tools.clear();
        drop(queue);
        self.0.bell.notify_all();
    }

    /// Waits for work of a lane and does it; `false` when there will be none.
    fn step(&self, lane: Lane) -> bool {
        let mut queue = lock(&self.0.queue);
        let work = loop {
            if queue.closed {
                return false;
            }
            let next = match lane {
                Lane::Plain => queue.plain.pop_front(),
                Lane::Tools => queue.tools.pop_front(),
            };
            match next {
                Some(work) => break work,
                None => queue = self.0.bell.wait(queue).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(queue);
        let Work { run, panicked, .. } = work;
        // Poison input stops its own App and no other.
        match catch_unwind(AssertUnwindSafe(|| run(self))) {
            Ok(done) => done.into_iter().for_each(|done| self.tell(done)),
            Err(_) => self.tell(panicked),
        }
        true
    }
}

impl<T> std::fmt::Debug for Bench<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bench")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn subject(app: &str) -> Subject {
        Subject::App(SourceName::parse("fleet").unwrap(), AppName::parse(app).unwrap())
    }

    /// Waits until so many things are done.
    fn done(bench: &Bench<&'static str>, count: usize) -> Vec<&'static str> {
        let mut all = Vec::new();
        while all.len() < count {
            all.extend(bench.collect());
            thread::yield_now();
        }
        all
    }

    #[test]
    fn tools_that_hang_do_not_hold_up_plain_files() {
        let bench = Bench::start();
        let (go, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        for app in ["a", "b", "c"] {
            let gate = Arc::clone(&gate);
            bench.add(Lane::Tools, subject(app), "panic", move |_| {
                lock(&gate).recv().ok();
                vec!["tool"]
            });
        }
        bench.add(Lane::Plain, subject("d"), "panic", |_| vec!["plain"]);
        assert_eq!(done(&bench, 1), ["plain"]);
        drop(go);
        assert_eq!(done(&bench, 3), ["tool"; 3]);
    }

    #[test]
    fn newer_work_takes_the_place_of_older() {
        let bench = Bench::start();
        let (go, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        for app in ["a", "b"] {
            let gate = Arc::clone(&gate);
            bench.add(Lane::Plain, subject(app), "panic", move |_| {
                lock(&gate).recv().ok();
                vec!["first"]
            });
        }
        while !lock(&bench.0.queue).plain.is_empty() {
            thread::yield_now();
        }
        bench.add(Lane::Plain, subject("c"), "panic", |_| vec!["old"]);
        bench.add(Lane::Plain, subject("d"), "panic", |_| vec!["other"]);
        bench.add(Lane::Plain, subject("c"), "panic", |_| vec!["new"]);
        drop(go);
        let mut all = done(&bench, 4);
        all.sort_unstable();
        assert_eq!(all, ["first", "first", "new", "other"]);
    }

    #[test]
    fn a_panic_is_told_and_the_threads_go_on() {
        let bench = Bench::start();
        for app in ["a", "b", "c", "d"] {
            bench.add(Lane::Plain, subject(app), "panic", |_| panic!("poison"));
        }
        bench.add(Lane::Plain, subject("e"), "panic", |_| vec!["fine"]);
        let mut all = done(&bench, 5);
        all.sort_unstable();
        assert_eq!(all, ["fine", "panic", "panic", "panic", "panic"]);
        bench.close();
    }
}

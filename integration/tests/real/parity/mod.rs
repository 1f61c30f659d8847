//! The simulator and Kubernetes give equal answers. Each story is written once, runs on a real API server and on a
//! simulated one, and records what it was answered; then the two records are compared, word for word, after what cannot be
//! equal (uids, versions, times) has been replaced by names in the order of appearance. Where they differ the simulator is
//! wrong. Deliberately absent: stories about answers that no agent looks at.

mod apply;
mod conflicts;
mod custom;
mod delete;
mod discovery;
mod errors;
mod immutable;
mod managed;
mod namespaces;
mod read;
mod watch;
mod workloads;

mod target;

mod answer;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;

use futures::FutureExt as _;
use futures::future::join;
use serde_json::Value;

pub(crate) use answer::Answer;
pub(crate) use target::Target;

/// Runs a story on both, compares the records and shows the differences. `name` is the namespace of the story.
pub(crate) async fn same_on_both(name: &str, story: impl AsyncFn(&Target)) {
    let (real, simulated) = join(Target::real(name), Target::simulated(name)).await;
    compare_on(name, real, simulated, story).await;
}

/// Likewise, on clusters that no other story uses, so that [`Target::forget_history`] may be called.
pub(crate) async fn same_on_both_alone(name: &str, story: impl AsyncFn(&Target)) {
    let (real, simulated) = join(Target::real_alone(name), Target::simulated(name)).await;
    compare_on(name, real, simulated, story).await;
}

async fn compare_on(name: &str, real: Target, simulated: Target, story: impl AsyncFn(&Target)) {
    let (real, simulated) = join(run(real, &story), run(simulated, &story)).await;
    keep(name, "real", &real);
    keep(name, "sim", &simulated);
    let mut found: Vec<_> =
        [&real.panic, &simulated.panic].into_iter().flatten().cloned().collect();
    compare_records(&real.record, &simulated.record, &mut found);
    assert!(
        found.is_empty(),
        "the simulator answers differently in story `{name}`:\n{}\nwhole records: {}",
        found.join("\n"),
        folder().display()
    );
}

/// What a target was asked to do and answered, and how it ended when not well.
struct Told {
    record: Vec<(String, Value)>,
    panic: Option<String>,
}

async fn run(target: Target, story: &impl AsyncFn(&Target)) -> Told {
    let ended = AssertUnwindSafe(story(&target)).catch_unwind().await;
    let panic = ended.is_err().then(|| {
        format!("the story ended on the {} target by the panic shown above", target.name())
    });
    Told { record: target.into_record(), panic }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("parity")
}

/// Whole records of the last run, for whoever looks for a cause.
fn keep(story: &str, target: &str, told: &Told) {
    std::fs::create_dir_all(folder()).expect("a folder for records");
    let text = serde_json::to_string_pretty(&told.record).expect("it is JSON");
    std::fs::write(folder().join(format!("{story}.{target}.json")), text).expect("a record");
}

fn compare_records(
    real: &[(String, Value)],
    simulated: &[(String, Value)],
    found: &mut Vec<String>,
) {
    for at in 0..real.len().max(simulated.len()) {
        match (real.get(at), simulated.get(at)) {
            (Some(real), Some(simulated)) if real.0 == simulated.0 => {
                compare(&real.0, &real.1, &simulated.1, found);
            }
            (real, simulated) => {
                let label = |step: Option<&(String, Value)>| step.map(|(label, _)| label.clone());
                found.push(format!(
                    "step {at}: real {:?}, sim {:?}",
                    label(real),
                    label(simulated)
                ));
                break;
            }
        }
    }
}

fn compare(at: &str, real: &Value, simulated: &Value, found: &mut Vec<String>) {
    match (real, simulated) {
        (Value::Object(real), Value::Object(simulated)) => {
            for (key, value) in real {
                let other = simulated.get(key).unwrap_or(&Value::Null);
                compare(&format!("{at}/{key}"), value, other, found);
            }
            for (key, value) in simulated.iter().filter(|(key, _)| !real.contains_key(*key)) {
                found.push(format!("{at}/{key}\n  real: absent\n  sim:  {value}"));
            }
        }
        (Value::Array(real), Value::Array(simulated)) if real.len() == simulated.len() => {
            for (index, (real, simulated)) in real.iter().zip(simulated).enumerate() {
                compare(&format!("{at}/{index}"), real, simulated, found);
            }
        }
        (real, simulated) if real == simulated => {}
        (real, simulated) => found.push(format!("{at}\n  real: {real}\n  sim:  {simulated}")),
    }
}

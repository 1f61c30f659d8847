//! A story on paper: lines for people, documents for programs.

use serde_json::{Value, json};

use super::{Broken, Ending, Line, Outcome, Tally, What};
use crate::sim::words;

pub use crate::sim::words::time;

/// Name of the shape of the documents.
pub const API_VERSION: &str = "cli.tidegate/v1";

/// Width of the text before the counts of the wave.
const WIDTH: usize = 72;

/// The transcript for people, what did not hold, and the figures.
pub fn text(about: &str, outcome: &Outcome) -> String {
    let mut out = String::new();
    for line in about.lines() {
        out.push_str(&format!("# {line}\n"));
    }
    for (number, line) in outcome.lines.iter().enumerate() {
        let next = outcome.lines.get(number + 1);
        let last = next.is_none_or(|next| next.at != line.at || next.wave != line.wave);
        out.push_str(&one(line, last));
    }
    for broken in &outcome.broken {
        out.push_str(&format!("expected, line {}: {}\n", broken.line, broken.text));
    }
    out.push_str(&format!("\n{}\n", summary(&outcome.tally)));
    out
}

fn one(line: &Line, counts: bool) -> String {
    let mark = match &line.what {
        What::Act => "> ",
        What::Refused(_) => "! ",
        What::Why(_) => "? ",
        What::Event(_) => "  ",
        What::Violation => "BUG ",
    };
    let time = words::time(line.at);
    let mut out = String::new();
    for (number, text) in line.text.lines().enumerate() {
        let time = if number == 0 { time.as_str() } else { "" };
        let mut shown = format!("{time:>9}  {mark}{text}");
        if let Some(wave) = line.wave.as_ref().filter(|_| counts && number == 0) {
            let flight = match wave.in_flight {
                0 => String::new(),
                n => format!(", {n} in flight"),
            };
            let failed = match wave.failed {
                0 => String::new(),
                n => format!(", {n} failed"),
            };
            let (name, ready, total) = (&wave.name, wave.ready, wave.total);
            shown = format!("{shown:<WIDTH$} [{name} {ready}/{total}{flight}{failed}]");
        }
        out.push_str(shown.trim_end());
        out.push('\n');
    }
    out
}

/// The figures in one line.
pub fn summary(tally: &Tally) -> String {
    format!(
        "{}; took {}; {} of {} clusters exposed before a stop; {} halts, {} rollbacks, {} failures, {} events",
        ending(tally.ending),
        words::time(tally.duration),
        tally.exposed,
        tally.planned,
        tally.halts,
        tally.rollbacks,
        tally.failures,
        tally.events,
    )
}

/// The end in a few words.
pub fn ending(ending: Ending) -> String {
    match ending {
        Ending::Nothing => "nothing was rolled out".to_owned(),
        Ending::Finished(word) => word.to_owned(),
        Ending::Unfinished(word) => format!("not finished: {word}"),
    }
}

/// One document a line; the last one is the summary.
pub fn documents(seed: u64, outcome: &Outcome) -> Vec<Value> {
    let mut all: Vec<Value> = outcome.lines.iter().map(document).collect();
    let broken = |b: &Broken| json!({"line": b.line, "message": b.text});
    let mut last = figures(seed, &outcome.tally);
    last["kind"] = json!("SimulationSummary");
    last["unmet"] = outcome.broken.iter().map(broken).collect();
    all.push(last);
    all
}

/// The figures of one seed.
pub fn figures(seed: u64, tally: &Tally) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "SimulationRun",
        "seed": seed,
        "ending": ending(tally.ending),
        "finished": matches!(tally.ending, Ending::Finished(_)),
        "durationSeconds": tally.duration.as_secs_f64(),
        "exposed": tally.exposed,
        "planned": tally.planned,
        "halts": tally.halts,
        "rollbacks": tally.rollbacks,
        "failures": tally.failures,
        "events": tally.events,
    })
}

fn document(line: &Line) -> Value {
    let what = match &line.what {
        What::Act => "act",
        What::Refused(_) => "refused",
        What::Event(_) => "event",
        What::Why(_) => "why",
        What::Violation => "violation",
    };
    let mut doc = json!({
        "apiVersion": API_VERSION,
        "kind": "SimulationLine",
        "seconds": line.at.as_secs_f64(),
        "what": what,
        "text": line.text,
    });
    match &line.what {
        What::Event(event) => doc["event"] = json!(event),
        What::Why(statuses) => doc["why"] = json!(statuses),
        What::Refused(refusal) => {
            doc["code"] = json!(refusal.reason.code());
            doc["hint"] = json!(refusal.fix);
        }
        What::Act | What::Violation => {}
    }
    if let Some(wave) = &line.wave {
        doc["wave"] = json!({
            "name": wave.name,
            "state": wave.state,
            "total": wave.total,
            "ready": wave.ready,
            "inFlight": wave.in_flight,
            "failed": wave.failed,
        });
    }
    doc
}

//! `tidegate rollout show APP[@REV] [--at TIME]`: the rollout as it was at an instant. The log is folded by
//! the very rules that the hub decides by, so what is shown is what the hub knew.

use jiff::Timestamp;
use model::{AppName, ClusterUid, Reason, api::LogItem};
use rollout::{App, Event, Member, MemberState, Outcome, Rollout, RolloutState, WaveState};
use serde_json::json;

use super::{Context, act::Target, segment};
use crate::{
    error::{Error, Exit},
    output::{Format, Output, Table, safe},
};

/// Events that are printed at the end.
const LAST_EVENTS: usize = 10;

/// What to show.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the app, or `APP@REV` for the rollout of one revision
    app: String,
    /// As it was then, such as `2026-11-23T14:02:00Z`; now when left out
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
}

/// Runs it.
pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Error> {
    let target = Target::parse(&args.app)?;
    let until = args.at.map(|at| format!("?until={}", segment(&at.to_string())));
    let path = format!("rollouts/{}/log{}", segment(&target.app), until.unwrap_or_default());
    let log: LogItem = context.hub.get(&path).await?;
    let past = replay(&log)?;
    let shown = choose(&past.app, &target, args.at)?;
    match context.output.format {
        Format::Json => Output::json(&json!({
            "apiVersion": model::api::API_VERSION,
            "app": log.app,
            "at": args.at,
            "events": past.events.len(),
            "last": past.events.last().map(Event::at),
            "rollout": shown,
        }))?,
        Format::Name => Output::data(&format!("rollout/{}{}", log.app, shown.id))?,
        Format::Table => Output::data(&safe(&page(&past, shown)))?,
    }
    Ok(Exit::Fine)
}

/// An App as it was after some events.
struct Past {
    app: App,
    events: Vec<Event>,
}

/// Folds the log from its beginning.
fn replay(log: &LogItem) -> Result<Past, Error> {
    let name = AppName::parse(&log.app)
        .map_err(|e| Error::new(Exit::Internal, format!("the hub's answer: {e}")))?;
    let mut past = Past { app: App::new(name), events: Vec::with_capacity(log.events.len()) };
    for logged in &log.events {
        let event: Event = serde_json::from_value(logged.event.clone()).map_err(|e| {
            let text =
                format!("event {} of `{}` is not known to this version: {e}", logged.seq, log.app);
            Error::new(Exit::Internal, text).hint("use the `tidegate` of the hub's version")
        })?;
        past.app.apply(&event);
        past.events.push(event);
    }
    Ok(past)
}

/// The rollout of the revision that is meant, or the active one, or the newest.
fn choose<'a>(app: &'a App, target: &Target, at: Option<Timestamp>) -> Result<&'a Rollout, Error> {
    let mut all = app.active.iter().chain(&app.past);
    let found = match &target.rev {
        None => all.next(),
        Some(rev) => all.find(|r| r.release.revision.commit.as_str().starts_with(rev.as_str())),
    };
    found.ok_or_else(|| {
        let when = at.map(|at| format!(" at {at}")).unwrap_or_default();
        let what = target.rev.as_ref().map(|rev| format!(" of {rev}")).unwrap_or_default();
        let text = format!("`{}` had no rollout{what}{when}", target.app);
        Error::because(Exit::NotFound, Reason::NotFound, text)
            .hint(format!("look at `tidegate get rollouts {}`", target.app))
    })
}

fn page(past: &Past, rollout: &Rollout) -> String {
    let Past { app, events } = past;
    let mut out = format!(
        "{}{} {} is {}\nbegan {:.0}   {}\n",
        app.name,
        rollout.id,
        rollout.release.revision,
        state(rollout),
        rollout.started,
        rollout.release.subject,
    );
    let mut waves =
        Table::new(&["WAVE", "STATE", "CLUSTERS", "UPDATED", "FAILED", "IN FLIGHT", "OPENED"]);
    for (index, wave) in rollout.waves.iter().enumerate() {
        let counts = rollout.counts(index);
        let opened = wave.opened.map_or_else(|| "-".to_owned(), |at| format!("{at:.0}"));
        let in_flight = counts.updating + counts.verifying + counts.recalling;
        waves.row(&[
            wave.spec.name.to_string(),
            phase(wave.state).to_owned(),
            counts.total.to_string(),
            (counts.updated + counts.unchanged).to_string(),
            counts.failed.to_string(),
            in_flight.to_string(),
            opened,
        ]);
    }
    out.push_str(&format!("\n{waves}\n"));
    let mut members = Table::new(&["CLUSTER", "WAVE", "STATE", "SINCE"]);
    for (uid, member) in &rollout.members {
        let wave = rollout.waves.get(member.wave).map(|w| w.spec.name.to_string());
        let since = format!("{:.0}", member.since);
        members.row(&[name(app, uid), wave.unwrap_or_default(), word(member), since]);
    }
    out.push_str(&members.to_string());
    for wave in &rollout.waves {
        for approval in &wave.approvals {
            let revoked = if approval.revoked { ", revoked" } else { "" };
            let (by, at) = (&approval.by.name, approval.at);
            out.push_str(&format!("\n{} approved by {by} {at:.0}{revoked}", wave.spec.name));
        }
        for forced in &wave.overrides {
            let (by, why) = (&forced.by.name, &forced.by.reason);
            out.push_str(&format!("\n{}: {} opened by {by}: {why}", wave.spec.name, forced.gate));
        }
    }
    out.push_str(&format!("\n\nlast of {} events\n", events.len()));
    for event in events.iter().rev().take(LAST_EVENTS).rev() {
        out.push_str(&format!("  {:.0}  {}\n", event.at(), kind(event)));
    }
    out
}

/// The event's own word, and what it is about.
fn kind(event: &Event) -> String {
    let value = serde_json::to_value(event).unwrap_or_default();
    let word = value["event"].as_str().unwrap_or("event").to_owned();
    let about = ["name", "cluster", "wave", "act", "change"];
    let about = about.iter().map(|key| &value[*key]).filter(|part| !part.is_null());
    let about = about.map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned));
    std::iter::once(word).chain(about.take(2)).collect::<Vec<_>>().join(" ")
}

fn name(app: &App, uid: &ClusterUid) -> String {
    app.holding(uid).map_or_else(|| uid.to_string(), |holding| holding.name.to_string())
}

fn state(rollout: &Rollout) -> String {
    match &rollout.state {
        RolloutState::Planned => "Planned".to_owned(),
        RolloutState::Progressing if rollout.is_rollback() => "RollingBack".to_owned(),
        RolloutState::Progressing => "Progressing".to_owned(),
        RolloutState::Paused { by, at } => {
            format!("Paused by {} since {at:.0}: {}", by.name, by.reason)
        }
        RolloutState::Halted { at, .. } => format!("Halted since {at:.0}"),
        RolloutState::Ended { outcome, .. } => match outcome {
            Outcome::Completed { exceptions: 0 } => "Completed".to_owned(),
            Outcome::Completed { exceptions } => format!("Completed with {exceptions} exceptions"),
            Outcome::RolledBack { .. } => "RolledBack".to_owned(),
            Outcome::Superseded { by } => format!("Superseded by {by}"),
            Outcome::Aborted => "Aborted".to_owned(),
        },
    }
}

fn phase(state: WaveState) -> &'static str {
    match state {
        WaveState::Locked => "Locked",
        WaveState::Gated => "Gated",
        WaveState::Open => "Open",
        WaveState::Proving => "Proving",
        WaveState::Passed { vacuous: true } => "Passed (nothing changed)",
        WaveState::Passed { vacuous: false } => "Passed",
        WaveState::Skipped => "Skipped",
    }
}

fn word(member: &Member) -> String {
    match &member.state {
        MemberState::Queued => "Queued".to_owned(),
        MemberState::Updating { acked: false } => "Updating (not confirmed)".to_owned(),
        MemberState::Updating { acked: true } => "Updating".to_owned(),
        MemberState::Verifying => "Verifying".to_owned(),
        MemberState::Recalling { .. } => "Recalling".to_owned(),
        MemberState::Updated => "Updated".to_owned(),
        MemberState::Failed { why, message } if message.is_empty() => format!("Failed: {why:?}"),
        MemberState::Failed { message, .. } => format!("Failed: {message}"),
        MemberState::Deferred { why } => format!("Deferred: {why:?}"),
        MemberState::Unchanged => "Unchanged".to_owned(),
        MemberState::Skipped => "Skipped".to_owned(),
        MemberState::Departed => "Departed".to_owned(),
    }
}

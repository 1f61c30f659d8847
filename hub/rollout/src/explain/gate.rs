//! Closed gates, in words: who can open each, and when it may open by itself.

use model::{Next, Reason, Status};

use super::{Blocker, words};
use crate::{
    decide::{Apart, Closed},
    evidence::Look,
    gate::{ApprovalRule, Scope},
    state::{Rollout, Stage},
};

/// One closed gate of a wave.
pub(crate) fn closed(look: Look<'_>, rollout: &Rollout, index: usize, gate: &Closed) -> Blocker {
    let wave = &rollout.waves[index];
    let name = &wave.spec.name;
    let status = match gate {
        Closed::Freeze => frozen(look),
        Closed::Clock => {
            let message = format!("the hub's clock jumped; {name} waits until it stands still");
            Status::because(Reason::ClockUnsteady, message)
        }
        Closed::Approval { stage, have, need } => {
            let rule = match stage {
                Stage::Before => wave.spec.before.approval.as_ref(),
                Stage::After => wave.spec.after.approval.as_ref(),
            };
            approval(look, rollout, index, *have, *need, rule)
        }
        Closed::Window { opens } => window(look, rollout, index, *opens),
        Closed::Blocker { name: blocker, known } => {
            let said = look.obs.blockers.get(blocker).map(|b| b.message.clone());
            let said = said.filter(|text| !text.is_empty());
            let said = said.map_or(String::new(), |text| format!(": {text}"));
            if *known {
                let message = format!("{name} waits: blocker {blocker} is set{said}");
                Status::because(Reason::BlockerSet, message)
                    .fix("lift it", format!("tidegate blocker clear {blocker} --reason TEXT"))
            } else {
                let message =
                    format!("{name} waits for blocker {blocker}, which nobody ever set or cleared");
                Status::because(Reason::BlockerUnknown, message).fix(
                    "say that it is clear",
                    format!("tidegate blocker clear {blocker} --reason TEXT"),
                )
            }
        }
        Closed::DependsOn(on) => {
            let known = look.obs.dependencies.contains_key(&on.app);
            let what = match (known, on.scope) {
                (false, _) => format!("{name} waits for {}, which no source has", on.app),
                (true, Scope::Fleet) => format!("{name} waits until {} is done everywhere", on.app),
                (true, Scope::SameCluster) => {
                    format!("{name} waits until {} is done on the same cluster", on.app)
                }
            };
            Status::because(Reason::DependencyNotReady, what)
                .fix("look at it", format!("tidegate why app/{}", on.app))
        }
        Closed::Unhealthy { count, allowed } => {
            let n = words::clusters(*count as usize);
            let message = format!("{name} waits: {n} unhealthy already, {allowed} may be");
            Status::because(Reason::TooManyUnhealthy, message)
        }
        Closed::Analysis => analysis(look, rollout, index),
    };
    let status = if matches!(gate, Closed::Freeze | Closed::Clock) {
        status
    } else {
        let (app, gate) = (&look.app.name, gate.gate());
        let command = format!("tidegate rollout override {app} {gate} --wave {name} --reason TEXT");
        status.fix("open it by force (admin)", command)
    };
    Blocker { status, wave: Some(name.clone()), clusters: Vec::new() }
}

/// A freeze, as it holds up anything.
pub(crate) fn frozen(look: Look<'_>) -> Status {
    let app = &look.app.name;
    let Some(mark) = look.obs.freezes.first() else {
        return Status::because(Reason::Frozen, "frozen");
    };
    let why = if mark.reason.is_empty() { String::new() } else { format!(": {}", mark.reason) };
    let until = mark.until.map_or(String::new(), |t| format!(" until {}", words::moment(t)));
    let message = format!("{} is frozen by {}{until}{why}", mark.scope, mark.by);
    let what = if mark.scope == "fleet" { String::new() } else { format!(" app/{app}") };
    let command = format!("tidegate unfreeze{what} --reason TEXT");
    let status = Status::because(Reason::Frozen, message).fix("lift it", command);
    match mark.until {
        None => status,
        at => status.next(Next { what: "it thaws".to_owned(), at, provided: None }),
    }
}

fn approval(
    look: Look<'_>,
    rollout: &Rollout,
    index: usize,
    have: u32,
    need: u32,
    rule: Option<&ApprovalRule>,
) -> Status {
    let wave = &rollout.waves[index];
    let (app, name) = (&look.app.name, &wave.spec.name);
    let groups = rule.map(|r| r.groups.iter().cloned().collect::<Vec<_>>().join(", "));
    let groups = groups.filter(|g| !g.is_empty()).map_or(String::new(), |g| format!(" from {g}"));
    let author = rollout.release.author.as_deref().filter(|_| rule.is_some_and(|r| r.not_author));
    let author = author.map_or(String::new(), |a| format!(" (not the author {a})"));
    let lost = wave.approvals.iter().filter(|a| a.revoked || a.expires <= look.now.wall).count();
    let lost = match lost {
        0 => String::new(),
        n => format!("; {n} expired or taken back"),
    };
    let message =
        format!("{name} waits for {} of {need} approvals{groups}{author}{lost}", need - have);
    let commit = rollout.release.revision.commit.short();
    Status::because(Reason::ApprovalNeeded, message)
        .fix("approve", format!("tidegate approve {app}@{commit} --wave {name}"))
        .fix("reject", format!("tidegate reject {app}@{commit} --wave {name} --reason TEXT"))
}

fn window(
    look: Look<'_>,
    rollout: &Rollout,
    index: usize,
    opens: Option<jiff::Timestamp>,
) -> Status {
    let name = &rollout.waves[index].spec.name;
    let Some(at) = opens else {
        let message = format!("no window of {name} opens: a label names no time zone");
        return Status::because(Reason::WindowClosed, message);
    };
    let wait = words::time(
        std::time::Duration::try_from(at.duration_since(look.now.wall)).unwrap_or_default(),
    );
    let message = format!("the window of {name} opens {} (in {wait})", words::moment(at));
    let next = Next { what: format!("the window of {name} opens"), at: Some(at), provided: None };
    Status::because(Reason::WindowClosed, message).next(next)
}

fn analysis(look: Look<'_>, rollout: &Rollout, index: usize) -> Status {
    let wave = &rollout.waves[index];
    let (name, measured) = (&wave.spec.name, &wave.measured);
    let Some(analysis) = &wave.spec.after.analysis else {
        return Status::because(Reason::AnalysisPending, format!("{name} is measured"));
    };
    let last = if measured.at.is_none() {
        "no answer yet".to_owned()
    } else {
        format!("last answer: {}", measured.message)
    };
    let message = format!(
        "{name} has {} of {} answers with data, {} of {} bad in a row; {last}",
        measured.samples, analysis.min_samples, measured.failing, analysis.failures
    );
    let at = measured.at.and_then(|at| at.checked_add(analysis.every).ok());
    let next = Next {
        what: "it is asked again".to_owned(),
        at: at.or(Some(look.now.wall)),
        provided: None,
    };
    Status::because(Reason::AnalysisPending, message).next(next)
}

/// Why a member keeps apart from those in flight.
pub(crate) fn apart(name: &str, apart: &Apart) -> (Reason, String) {
    match apart {
        Apart::Domain(domains) => {
            let flying = domains.join(", ");
            (Reason::WaitingForDomain, format!("{name} waits while {flying} is in flight"))
        }
        Apart::Pair(pair) => {
            let message =
                format!("{name} waits: the other cluster of {pair} is in flight or unhealthy");
            (Reason::WaitingForPair, message)
        }
    }
}

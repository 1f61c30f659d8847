//! `why`: from symptom to cause to the way out. Everything it says comes from the brain's `explain`, the
//! newest reports and the sources; nothing is guessed here.

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::{Path, Query, State},
};
use model::{
    AppName, ClusterUid, Fix, Reason, SourceName, Status,
    api::{API_VERSION, PathStep, WhyItem, WhyStep},
};
use serde::Deserialize;

use super::{apps, clusters, history, marks, sources};
use crate::{
    engine::AppNow,
    http::{Parts, problem::Problem},
    registry::ClusterRecord,
    telemetry,
};

/// Clusters that one answer goes into; the rest is counted.
const CLUSTERS_MAX: usize = 5;

/// Seen from where.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Scope {
    cluster: Option<String>,
}

pub(super) async fn why(
    State(parts): State<Parts>,
    Path((kind, name)): Path<(String, String)>,
    Query(scope): Query<Scope>,
) -> Result<Json<WhyItem>, Problem> {
    let answer = match (kind.as_str(), scope.cluster) {
        ("app" | "rollout", None) => of_app(&parts, &*app(&parts, &name)?),
        ("app" | "rollout", Some(cluster)) => {
            of_app_on(&parts, &*app(&parts, &name)?, &clusters::named(&parts, &cluster)?)
        }
        ("cluster", _) => of_cluster(&parts, &clusters::named(&parts, &name)?),
        ("source", _) => of_source(&parts, &name)?,
        (other, _) => {
            return Err(Problem::bad(format!("nobody can be asked about `{other}`"))
                .hint("ask about app, rollout, cluster or source"));
        }
    };
    Ok(Json(answer))
}

/// What to do about the causes comes before what to do about their consequences.
fn causes_first(why: &mut WhyItem) {
    let mut ways: Vec<Fix> = Vec::new();
    for reason in why.chain.iter().filter(|s| s.depth == 2).filter_map(|s| s.reason) {
        let way = Fix { label: reason.next_step().to_owned(), command: None };
        if !ways.contains(&way) && !why.fix.contains(&way) {
            ways.push(way);
        }
    }
    why.fix.splice(0..0, ways);
}

fn app(parts: &Parts, name: &str) -> Result<std::sync::Arc<AppNow>, Problem> {
    let known = AppName::parse(name).ok();
    let published = parts.engine.published();
    let found = known.and_then(|name| published.apps.get(&name).cloned());
    found.ok_or_else(|| Problem::not_found("app", name))
}

fn step(subject: impl Into<String>, status: &Status) -> WhyStep {
    WhyStep {
        depth: 0,
        subject: subject.into(),
        reason: status.reason(),
        owner: status.reason().map(Reason::owner),
        message: status.message().to_owned(),
        since: status.since,
    }
}

/// An answer that begins with `status`; steps are added by the caller.
fn answer(subject: String, status: &Status) -> WhyItem {
    WhyItem {
        api_version: API_VERSION.to_owned(),
        subject,
        state: status.state(),
        message: status.message().to_owned(),
        chain: Vec::new(),
        next: status.next.iter().cloned().collect(),
        path: Vec::new(),
        fix: status.fix.clone(),
        trace_id: None,
    }
}

/// Adds the ways out and next events of a status, each once.
fn add_ways(why: &mut WhyItem, status: Status) {
    for fix in status.fix {
        if !why.fix.contains(&fix) {
            why.fix.push(fix);
        }
    }
    if let Some(next) = status.next
        && !why.next.contains(&next)
    {
        why.next.push(next);
    }
}

fn of_app(parts: &Parts, app: &AppNow) -> WhyItem {
    let status = apps::status(app);
    let mut why = answer(format!("app/{}", app.name), &status);
    if let Some(source) = &app.source
        && let Some(record) = parts.registry.sources().get(source)
        && let Some(fetched) = parts.sources.status(&record.name)
        && fetched.state.reason().is_some()
    {
        why.chain.push(step(format!("source {source}"), &fetched.state));
        add_ways(&mut why, fetched.state);
    }
    if let Some(fault) = &app.offer.fault {
        let at = app.offer.fault_at.as_deref().unwrap_or("the source");
        why.chain.push(step(format!("commit {at}"), fault));
    }
    let active = app.state.active.as_ref();
    let run = active.or(app.state.past.first());
    why.trace_id = run.and_then(|r| r.trace.as_deref()).and_then(telemetry::trace_id);
    let blockers = rollout::explain(&app.state, app.now, &app.obs);
    for blocker in blockers {
        let subject = match (&blocker.wave, active) {
            (Some(wave), _) => format!("wave {wave}"),
            (None, Some(rollout)) => format!("rollout {}{}", app.name, rollout.id),
            (None, None) => format!("app {}", app.name),
        };
        why.chain.push(step(subject, &blocker.status));
        for uid in blocker.clusters.iter().take(CLUSTERS_MAX) {
            why.chain.extend(on_cluster(parts, app, uid));
        }
        if let Some(more) = blocker.clusters.len().checked_sub(CLUSTERS_MAX).filter(|n| *n > 0) {
            let text = format!("{more} more clusters; `tidegate get clusters` shows all");
            why.chain.push(WhyStep {
                depth: 1,
                subject: "others".to_owned(),
                reason: None,
                owner: None,
                message: text,
                since: None,
            });
        }
        add_ways(&mut why, blocker.status);
    }
    if let Some((subject, status)) = parts.forges.trouble(&app.name) {
        why.chain.push(step(subject, &status));
    }
    why.path = history::steps(app);
    once(&mut why.chain);
    causes_first(&mut why);
    why
}

/// A cluster may stand behind several blockers; it is explained once.
fn once(chain: &mut Vec<WhyStep>) {
    let mut seen: BTreeSet<(String, String)> = BTreeSet::new();
    chain.retain(|s| seen.insert((s.subject.clone(), s.message.clone())));
}

/// What is the matter with one App on one cluster: the cluster, then its objects.
fn on_cluster(parts: &Parts, app: &AppNow, uid: &ClusterUid) -> Vec<WhyStep> {
    let status = rollout::explain_cluster(&app.state, uid, app.now, &app.obs);
    let name = parts.registry.cluster(uid).map_or_else(
        || app.state.holding(uid).map_or_else(|| uid.to_string(), |h| h.name.to_string()),
        |record| record.name.to_string(),
    );
    let mut steps = vec![WhyStep { depth: 1, ..step(format!("cluster {name}"), &status) }];
    let agent = parts.fleet.view(uid);
    if let Some(heard) = agent.reports.get(&app.name) {
        steps.extend(heard.report.unhealthy.iter().map(|object| WhyStep {
            depth: 2,
            subject: object.key.to_string(),
            reason: object.reason,
            owner: object.reason.map(Reason::owner),
            message: object.message.clone(),
            since: None,
        }));
    }
    if let Some(refusal) = agent.refusals.get(&app.name) {
        let status = Status::because(refusal.reason, refusal.message.clone());
        steps.push(WhyStep { depth: 2, ..step(format!("epoch {}", refusal.epoch), &status) });
    }
    steps
}

fn of_app_on(parts: &Parts, app: &AppNow, record: &ClusterRecord) -> WhyItem {
    let status = rollout::explain_cluster(&app.state, &record.uid, app.now, &app.obs);
    let mut why = answer(format!("app/{} on {}", app.name, record.name), &status);
    let agent = parts.fleet.view(&record.uid);
    if let Some(member) = clusters::membership(parts, record, &agent) {
        why.chain.push(step(format!("cluster {}", record.name), &member));
        add_ways(&mut why, member);
    }
    why.chain.extend(on_cluster(parts, app, &record.uid));
    let rollout = app.state.active.as_ref().filter(|r| r.members.contains_key(&record.uid));
    why.trace_id = rollout.and_then(|r| r.trace.as_deref()).and_then(telemetry::trace_id);
    let blockers = rollout::explain(&app.state, app.now, &app.obs);
    for blocker in blockers.into_iter().filter(|b| b.clusters.contains(&record.uid)) {
        let subject =
            blocker.wave.map_or_else(|| format!("app {}", app.name), |w| format!("wave {w}"));
        why.chain.push(step(subject, &blocker.status));
        add_ways(&mut why, blocker.status);
    }
    if status.reason().is_none() {
        why.chain.clear();
    } else if rollout.is_some() {
        why.path = history::steps(app);
    }
    once(&mut why.chain);
    causes_first(&mut why);
    why
}

fn of_cluster(parts: &Parts, record: &ClusterRecord) -> WhyItem {
    let published = parts.engine.published();
    let item = clusters::item(parts, &published, record);
    let status = match item.reason {
        Some(reason) => Status::because(reason, item.message.clone()),
        None => Status::ready(item.message.clone()),
    };
    let mut why = answer(format!("cluster/{}", record.name), &status);
    let agent = parts.fleet.view(&record.uid);
    if let Some(member) = clusters::membership(parts, record, &agent) {
        why.chain.push(step(format!("cluster {}", record.name), &member));
    }
    for app in item.apps.iter().filter(|a| a.state != model::State::Ready) {
        if let Some(now) = published.apps.values().find(|a| a.name.as_str() == app.app) {
            let mut steps = on_cluster(parts, now, &record.uid);
            if let Some(first) = steps.first_mut() {
                first.subject = format!("app {}", app.app);
            }
            why.chain.extend(steps);
            let named =
                |step: PathStep| PathStep { what: format!("{}: {}", app.app, step.what), ..step };
            why.path.extend(history::steps(now).into_iter().map(named));
        }
    }
    let (cordon, pins) = marks::of_cluster(record, parts.clock.now());
    let held = cordon.iter().map(|mark| ("cordon", Reason::Cordoned, mark));
    let pinned = pins.values().map(|mark| ("pin", Reason::Pinned, mark));
    for (what, reason, mark) in held.chain(pinned) {
        let until = mark.until.map(|t| format!(", until {t:.0}")).unwrap_or_default();
        let text = format!("{} said so{until}: {}", mark.by, mark.reason);
        why.chain.push(step(what, &Status::because(reason, text)));
    }
    why
}

fn of_source(parts: &Parts, name: &str) -> Result<WhyItem, Problem> {
    let unknown = || Problem::not_found("source", name);
    let source = SourceName::parse(name).map_err(|_| unknown())?;
    let records = parts.registry.sources();
    let record = records.get(&source).ok_or_else(unknown)?;
    let item = sources::item(parts, record);
    let status = match item.reason {
        Some(reason) => Status::because(reason, item.message),
        None => Status::ready(item.message),
    };
    let mut why = answer(format!("source/{source}"), &status);
    if status.reason().is_some() {
        why.chain.push(step(format!("source {source}"), &status));
    }
    for app in parts.engine.published().apps.values() {
        if app.source.as_ref() == Some(&source)
            && let Some(fault) = &app.offer.fault
        {
            why.chain.push(step(format!("app {}", app.name), fault));
        }
    }
    Ok(why)
}

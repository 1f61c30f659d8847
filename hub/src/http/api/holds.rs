//! What people hold back: freezes, cordons, pins, and named blockers. Holding back needs no more than the
//! role operator; letting go needs a reason too. Every change is a line in the audit.

use axum::{
    Extension, Json,
    extract::{Path, State, rejection::JsonRejection},
};
use jiff::{SignedDuration, Timestamp};
use model::{
    AppName, Reason,
    api::{BlockerAction, BlockerItem, ClusterItem, HoldAction, List, MarkItem},
};
use rollout::{Actor, Role};

use super::{blocking, body, clusters};
use crate::{
    http::{Parts, auth, problem::Problem},
    registry::{ALL_APPS, BlockerRecord, ClusterRecord, FreezeRecord, FreezeScope, MarkRecord},
};

/// Longest time that something ends by itself after, in seconds: a year; whoever means longer says no end.
const FOR_SECONDS_MAX: u64 = 366 * 24 * 3_600;

/// Longest name of a blocker, in bytes.
const NAME_BYTES_MAX: usize = 63;

/// Longest URL that is watched, in bytes.
const URL_BYTES_MAX: usize = 2_000;

pub(super) async fn freezes(State(parts): State<Parts>) -> Json<List<MarkItem>> {
    let now = parts.clock.now();
    let freezes = parts.registry.freezes();
    Json(List::new(freezes.iter().filter(|f| f.holds(now)).map(freeze_item).collect()))
}

pub(super) async fn freeze(
    State(parts): State<Parts>,
    Extension(actor): Extension<Actor>,
    document: Result<Json<HoldAction>, JsonRejection>,
) -> Result<Json<MarkItem>, Problem> {
    let asked = body(document)?;
    let said = asked.scope.clone().unwrap_or_else(|| "fleet".to_owned());
    let scope = FreezeScope::try_from(said)
        .map_err(|why| Problem::bad(why).hint("freeze `fleet` or `app/NAME`"))?;
    if let FreezeScope::App(name) = &scope
        && !parts.engine.published().apps.contains_key(name)
    {
        return Err(Problem::not_found("app", name.as_str()));
    }
    let mark = mark(&asked, &actor, parts.clock.now())?;
    let registry = parts.registry.clone();
    let freeze = match asked.verb.as_str() {
        "freeze" => {
            blocking(move || {
                let MarkRecord { by, reason, at, until } = mark;
                let freeze = FreezeRecord { scope, by, reason, at, until };
                registry.set_freeze(freeze.clone())?;
                Ok(freeze)
            })
            .await?
        }
        "unfreeze" => {
            blocking(move || Ok(registry.lift_freeze(&scope, &mark.by, &mark.reason, mark.at)?))
                .await?
        }
        other => return Err(unknown_verb(other, "freeze or unfreeze")),
    };
    Ok(Json(freeze_item(&freeze)))
}

pub(super) async fn hold(
    State(parts): State<Parts>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    document: Result<Json<HoldAction>, JsonRejection>,
) -> Result<Json<ClusterItem>, Problem> {
    let asked = body(document)?;
    let record = clusters::named(&parts, &name)?;
    let now = parts.clock.now();
    let mark = mark(&asked, &actor, now)?;
    let about = match &asked.app {
        None => ALL_APPS.to_owned(),
        Some(app) => AppName::parse(app).map_err(|e| Problem::bad(e.to_string()))?.to_string(),
    };
    let refused = |what: String| {
        Err(Problem::new(Reason::Refused, what)
            .hint(format!("look at `tidegate get cluster {name} -o json`")))
    };
    let change: Box<dyn Fn(&mut ClusterRecord) + Send> = match asked.verb.as_str() {
        "cordon" => {
            let mark = mark.clone();
            Box::new(move |cluster| cluster.cordon = Some(mark.clone()))
        }
        "uncordon" if record.cordon_at(now).is_none() => {
            return refused(format!("cluster `{name}` is not cordoned"));
        }
        "uncordon" => Box::new(|cluster| cluster.cordon = None),
        "pin" => {
            let mark = mark.clone();
            Box::new(move |cluster| drop(cluster.pins.insert(about.clone(), mark.clone())))
        }
        "unpin" if !record.pins.get(&about).is_some_and(|mark| mark.holds(now)) => {
            let what =
                if about == ALL_APPS { "every App".to_owned() } else { format!("`{about}`") };
            return refused(format!("cluster `{name}` has no pin of {what}"));
        }
        "unpin" => Box::new(move |cluster| drop(cluster.pins.remove(&about))),
        other => return Err(unknown_verb(other, "cordon, uncordon, pin or unpin")),
    };
    let (registry, object) = (parts.registry.clone(), format!("cluster/{name}"));
    let record = blocking(move || {
        let record = registry.update_cluster(&record.uid, change)?;
        registry.audit(&mark.by, &asked.verb, &object, &mark.reason, now)?;
        Ok(record)
    })
    .await?;
    Ok(Json(clusters::item(&parts, &parts.engine.published(), &record)))
}

/// Who, why, and until when.
fn mark(asked: &HoldAction, actor: &Actor, now: Timestamp) -> Result<MarkRecord, Problem> {
    if asked.reason.trim().is_empty() {
        let text = format!("`{}` needs a reason; it stands in the audit for ever", asked.verb);
        return Err(Problem::bad(text).hint("add `--reason TEXT`"));
    }
    let until = asked.for_seconds.map(|seconds| {
        let bad = || {
            Problem::bad(format!("{seconds} s is not a time that something can end after"))
                .hint("1 s to one year; leave it out for no end")
        };
        let length =
            i64::try_from(seconds).ok().filter(|_| (1..=FOR_SECONDS_MAX).contains(&seconds));
        let length = SignedDuration::from_secs(length.ok_or_else(bad)?);
        now.checked_add(length).map_err(|_| bad())
    });
    let until = until.transpose()?;
    Ok(MarkRecord { by: actor.name.clone(), reason: asked.reason.clone(), at: now, until })
}

fn freeze_item(freeze: &FreezeRecord) -> MarkItem {
    MarkItem {
        scope: freeze.scope.to_string(),
        by: freeze.by.clone(),
        reason: freeze.reason.clone(),
        at: freeze.at,
        until: freeze.until,
    }
}

fn unknown_verb(verb: &str, known: &str) -> Problem {
    Problem::bad(format!("`{verb}` is not something to do with it")).hint(format!("it is {known}"))
}

pub(super) async fn blockers(State(parts): State<Parts>) -> Json<List<BlockerItem>> {
    let blockers = parts.registry.blockers();
    Json(List::new(blockers.iter().map(|(name, b)| blocker_item(&parts, name, b)).collect()))
}

pub(super) async fn block(
    State(parts): State<Parts>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    document: Result<Json<BlockerAction>, JsonRejection>,
) -> Result<Json<BlockerItem>, Problem> {
    let asked = body(document)?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(allowed) {
        let text = format!("`{name}` is not a name of a blocker");
        return Err(Problem::bad(text).hint("letters, digits, `-`, `_` and `.`, at most 63"));
    }
    let (registry, now, by) = (parts.registry.clone(), parts.clock.now(), actor.name.clone());
    let (of, message) = (name.clone(), asked.message.clone());
    let blocker = match asked.verb.as_str() {
        "set" | "clear" => {
            let set = asked.verb == "set";
            if set && message.trim().is_empty() {
                return Err(Problem::bad("a blocker that is set needs words that say why")
                    .hint("add `--message TEXT`"));
            }
            blocking(move || Ok(registry.set_blocker(&of, set, &message, &by, now)?)).await?
        }
        "watch" => {
            // The hub itself will ask there, from where it stands in the network.
            auth::needs(&actor, Role::Admin)?;
            let url = watched(asked.url.as_deref())?;
            blocking(move || Ok(registry.watch_blocker(&of, &url, &by, now)?)).await?
        }
        other => return Err(unknown_verb(other, "set, clear or watch")),
    };
    Ok(Json(blocker_item(&parts, &name, &blocker)))
}

pub(super) async fn forget(
    State(parts): State<Parts>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
) -> Result<Json<BlockerItem>, Problem> {
    let (registry, now, of) = (parts.registry.clone(), parts.clock.now(), name.clone());
    let blocker = blocking(move || Ok(registry.forget_blocker(&of, &actor.name, now)?)).await?;
    Ok(Json(blocker_item(&parts, &name, &blocker)))
}

fn watched(url: Option<&str>) -> Result<String, Problem> {
    let bad =
        |why: &str| Problem::bad(why).hint("give `--url https://…`; the answer pass clears it");
    let url = url.ok_or_else(|| bad("`watch` needs the URL of an endpoint"))?;
    let known = url.starts_with("https://") || url.starts_with("http://");
    let plain = url.bytes().all(|b| b.is_ascii_graphic()) && url.len() <= URL_BYTES_MAX;
    if !known || !plain {
        return Err(bad(&format!("`{url}` is not the URL of an HTTP endpoint")));
    }
    let authority = url.split_once("://").map_or("", |(_, rest)| rest);
    if authority.split(['/', '?', '#']).next().is_some_and(|host| host.contains('@')) {
        return Err(bad("the URL carries credentials, which everybody could read"));
    }
    Ok(url.to_owned())
}

fn blocker_item(parts: &Parts, name: &str, blocker: &BlockerRecord) -> BlockerItem {
    let mut used_by = Vec::new();
    for app in parts.engine.published().apps.values() {
        let Some(candidate) = &app.offer.candidate else { continue };
        for wave in &candidate.strategy.waves {
            if wave.before.blockers.iter().any(|named| named == name) {
                used_by.push(format!("app/{} wave {}", app.name, wave.name));
            }
        }
    }
    let BlockerRecord { set, message, by, at, watch } = blocker.clone();
    BlockerItem { name: name.to_owned(), set, message, by, at, watch, used_by }
}

//! Verbs: what a person does to a rollout. The brain decides whether it may be; this file translates.

use axum::{
    Extension, Json,
    extract::{Path, State, rejection::JsonRejection},
};
use model::{
    AppName,
    api::{ActedItem, RolloutAction},
};
use rollout::{Actor, Gate, Verb};

use super::{blocking, body, clusters, rollouts};
use crate::http::{Parts, problem::Problem};

/// Verbs that are about a wave.
const OF_A_WAVE: &[&str] = &["approve", "reject", "revoke", "override", "promote", "tolerate"];

/// All verbs, as the hint names them.
const VERBS: &str = "one of start, restart, pause, resume, abort, rollback, retry, skip, approve, reject, \
                     revoke, override, promote, expedite, tolerate, condemn, absolve";

pub(super) async fn act(
    State(parts): State<Parts>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    document: Result<Json<RolloutAction>, JsonRejection>,
) -> Result<Json<ActedItem>, Problem> {
    let action = body(document)?;
    let app = AppName::parse(&name).map_err(|_| Problem::not_found("app", &name))?;
    let verb = verb(&parts, &action)?;
    let actor = Actor { reason: action.reason.clone(), ..actor };
    let by = actor.name.clone();
    let about = parts.engine.command(app.clone(), verb, actor, action.seen).await?;
    let (registry, now, object) =
        (parts.registry.clone(), parts.clock.now(), format!("rollout/{app}"));
    let done = format!("rollout.{}", action.verb);
    let deed = done.clone();
    blocking(move || {
        registry.audit(&by, &deed, &object, &action.reason, now)?;
        Ok(())
    })
    .await?;
    // What was acted on, though a release that waited may have begun at once.
    let mut items = rollouts::items(&parts, Some(app.as_str())).into_iter();
    let rollout = match about {
        Some(id) => items.find(|item| item.id == id.0),
        None => items.next(),
    };
    let of = rollout.as_ref().map_or_else(|| app.to_string(), |r| format!("{}#{}", r.app, r.id));
    Ok(Json(ActedItem { done: format!("{done} {of}"), rollout }))
}

fn verb(parts: &Parts, action: &RolloutAction) -> Result<Verb, Problem> {
    only_what_it_takes(action)?;
    let cluster = match &action.cluster {
        Some(name) => Some(clusters::named(parts, name)?.uid),
        None => None,
    };
    let wave = action.wave.clone();
    let needs = |what: &str| Problem::bad(format!("`{}` needs {what}", action.verb));
    Ok(match action.verb.as_str() {
        "start" => Verb::Start,
        "restart" => Verb::Restart,
        "pause" => Verb::Pause,
        "resume" => Verb::Resume { accept: action.accept },
        "abort" => Verb::Abort,
        "rollback" => Verb::Rollback,
        "retry" => Verb::Retry { cluster },
        "skip" => Verb::Skip { cluster: cluster.ok_or_else(|| needs("a cluster"))? },
        "approve" => Verb::Approve { wave },
        "reject" => Verb::Reject { wave },
        "revoke" => Verb::Revoke { wave, of: action.of.clone() },
        "override" => {
            let gate = action.gate.as_deref().ok_or_else(|| needs("a gate"))?;
            Verb::Override { wave, gate: Gate::parse(gate).map_err(Problem::bad)? }
        }
        "promote" => Verb::Promote { wave },
        "expedite" => {
            let divisor = action.divisor.ok_or_else(|| needs("a divisor, 2 to 100"))?;
            Verb::Expedite { divisor }
        }
        "tolerate" => {
            let failures = action.failures.ok_or_else(|| needs("a number of failures"))?;
            Verb::Tolerate { wave, failures }
        }
        "condemn" => Verb::Condemn { release: action.release.clone() },
        "absolve" => Verb::Absolve { release: action.release.clone() },
        other => return Err(unknown(other)),
    })
}

fn unknown(verb: &str) -> Problem {
    Problem::bad(format!("`{verb}` is not something to do with a rollout")).hint(VERBS)
}

/// A field that the verb does not take is a mistake: nothing is done rather than something else.
fn only_what_it_takes(action: &RolloutAction) -> Result<(), Problem> {
    let verb = action.verb.as_str();
    let given: [(&str, bool, &[&str]); 8] = [
        ("cluster", action.cluster.is_some(), &["retry", "skip"]),
        ("accept", action.accept, &["resume"]),
        ("wave", action.wave.is_some(), OF_A_WAVE),
        ("gate", action.gate.is_some(), &["override"]),
        ("failures", action.failures.is_some(), &["tolerate"]),
        ("divisor", action.divisor.is_some(), &["expedite"]),
        ("release", action.release.is_some(), &["condemn", "absolve"]),
        ("of", action.of.is_some(), &["revoke"]),
    ];
    for (field, is_given, takes) in given {
        if is_given && !takes.contains(&verb) {
            let text = format!("`{verb}` takes no `{field}`");
            return Err(Problem::bad(text).hint(format!("only {} does", takes.join(", "))));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_a_verb_does_not_take_is_refused() {
        let pause = |action: RolloutAction| {
            only_what_it_takes(&RolloutAction { verb: "pause".to_owned(), ..action })
        };
        assert!(pause(RolloutAction::default()).is_ok());
        assert!(
            pause(RolloutAction { wave: Some("canary".to_owned()), ..Default::default() }).is_err()
        );
        assert!(pause(RolloutAction { accept: true, ..Default::default() }).is_err());
    }

    #[test]
    fn the_hint_names_every_verb() {
        for verb in OF_A_WAVE.iter().chain(&["restart", "expedite", "condemn", "absolve"]) {
            assert!(VERBS.contains(verb), "{verb}");
        }
    }
}

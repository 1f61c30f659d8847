//! Whom a verb reaches, and what one types next. Pure: words from what the hub showed.

use model::api::{RolloutAction, RolloutItem, WaveItem};

/// What the verb touches, said before it is done; `None` when there is nothing to say.
pub(crate) fn radius(
    app: &str,
    action: &RolloutAction,
    active: Option<&RolloutItem>,
) -> Option<String> {
    let Some(rollout) = active else {
        return match action.verb.as_str() {
            "condemn" => {
                Some(format!("condemn {}: no cluster gets it (again)", release(app, action)))
            }
            "absolve" => Some(format!("absolve {}: it may go out again", release(app, action))),
            "start" | "restart" => {
                Some(format!("{} {app}: the newest commit, wave by wave", action.verb))
            }
            _ => None,
        };
    };
    let name = format!("{app}#{}", rollout.id);
    let ahead = ahead(rollout);
    let exposed = clusters(exposed(rollout));
    let called = match rollout.unstarted {
        0 => String::new(),
        1 => "; 1 unstarted grant is called back".to_owned(),
        n => format!("; {n} unstarted grants are called back"),
    };
    let wave = action.wave.clone().unwrap_or_else(|| current(rollout));
    let of_wave = rollout.waves.iter().find(|w| w.name == wave);
    let members = of_wave.map_or_else(String::new, |w| format!(" ({})", clusters(unreached(w))));
    Some(match action.verb.as_str() {
        "pause" | "abort" | "reject" => {
            format!("{} {name}: {ahead}{called}; {exposed} keep what they run", action.verb)
        }
        "rollback" => {
            format!("roll {name} back: {exposed} return to their last good release{called}")
        }
        "approve" => format!("approve wave {wave}{members} of {name}: {ahead}"),
        "revoke" => format!("revoke an approval of wave {wave}{members} of {name}{called}"),
        "override" => {
            let gate = action.gate.as_deref().unwrap_or("a gate");
            format!("open gate {gate} of wave {wave}{members} of {name} by force: {ahead}")
        }
        "promote" => format!("skip the rest of the soak of wave {wave} of {name}: {ahead}"),
        "expedite" => {
            let divisor = action.divisor.unwrap_or(1);
            format!("divide every soak of {name} by {divisor} and ignore windows: {ahead}")
        }
        "tolerate" => {
            let failures = action.failures.unwrap_or(0);
            format!("allow wave {wave} of {name} {failures} failures in all: {ahead}")
        }
        "skip" => {
            let cluster = action.cluster.as_deref().unwrap_or("a cluster");
            format!("take {cluster} out of {name}: it keeps what it runs")
        }
        "retry" => {
            let failed: usize = rollout.waves.iter().map(|w| w.clusters.failed).sum();
            let who = action.cluster.clone().unwrap_or_else(|| format!("{failed} failed"));
            format!("retry {name} on {who}: {ahead}")
        }
        "condemn" => {
            format!("condemn {}: {ahead}{called}; {exposed} run {name}", release(app, action))
        }
        "absolve" => format!("absolve {}: it may go out again", release(app, action)),
        verb => format!("{verb} {name}: {ahead}"),
    })
}

/// The next useful command.
pub(crate) fn next(app: &str, verb: &str) -> String {
    match verb {
        "pause" => format!("tidegate rollout resume {app} --reason TEXT"),
        "abort" => format!(
            "tidegate rollout restart {app}, or tidegate rollout rollback {app} --reason TEXT"
        ),
        "reject" | "revoke" | "retry" | "skip" | "absolve" => format!("tidegate why app/{app}"),
        "condemn" => format!("push a fix, or tidegate release absolve {app} --reason TEXT"),
        _ => format!("tidegate rollout watch {app}"),
    }
}

/// Waves that have not passed, and what they have not reached.
fn ahead(rollout: &RolloutItem) -> String {
    let left: Vec<_> = rollout.waves.iter().filter(|w| !is_over(w)).collect();
    let reached: usize = left.iter().map(|w| unreached(w)).sum();
    let waves = match left.len() {
        1 => "1 wave".to_owned(),
        n => format!("{n} waves"),
    };
    format!("{waves}, {} not yet reached", clusters(reached))
}

fn is_over(wave: &WaveItem) -> bool {
    matches!(wave.state.as_str(), "Passed" | "Skipped")
}

fn unreached(wave: &WaveItem) -> usize {
    wave.clusters.queued + wave.clusters.deferred
}

fn exposed(rollout: &RolloutItem) -> usize {
    let of = |w: &WaveItem| {
        let c = &w.clusters;
        c.updating + c.verifying + c.recalling + c.updated + c.failed
    };
    rollout.waves.iter().map(of).sum()
}

fn current(rollout: &RolloutItem) -> String {
    let wave = rollout.waves.iter().find(|w| !is_over(w));
    wave.map_or_else(|| "(none)".to_owned(), |w| w.name.clone())
}

fn release(app: &str, action: &RolloutAction) -> String {
    match &action.release {
        Some(rev) => format!("{app}@{rev}"),
        None => format!("the newest release of {app}"),
    }
}

fn clusters(n: usize) -> String {
    if n == 1 { "1 cluster".to_owned() } else { format!("{n} clusters") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout() -> RolloutItem {
        let wave = |name: &str, state: &str, queued: usize, updated: usize| {
            serde_json::json!({
                "name": name, "state": state, "reason": null, "message": "",
                "clusters": {
                    "total": queued + updated, "ready": updated, "failed": 0, "queued": queued,
                    "updating": 0, "verifying": 0, "recalling": 0, "updated": updated,
                    "deferred": 0, "unchanged": 0, "skipped": 0, "departed": 0,
                },
            })
        };
        serde_json::from_value(serde_json::json!({
            "app": "web", "id": 3, "revision": "main@sha1:4f2c", "kind": "forward",
            "state": "Progressing", "reason": null, "message": "", "subject": "",
            "startedAt": null, "endedAt": null, "traceId": null, "unstarted": 3,
            "waves": [wave("canary", "Passed", 0, 2), wave("early", "Open", 4, 1), wave("rest", "Gated", 10, 0)],
        }))
        .unwrap()
    }

    fn says(verb: &str) -> String {
        let action = RolloutAction { verb: verb.to_owned(), ..RolloutAction::default() };
        radius("web", &action, Some(&rollout())).unwrap()
    }

    #[test]
    fn a_verb_says_whom_it_reaches_before_it_does() {
        assert_eq!(
            says("pause"),
            "pause web#3: 2 waves, 14 clusters not yet reached; 3 unstarted grants are called back; \
             3 clusters keep what they run"
        );
        assert_eq!(
            says("rollback"),
            "roll web#3 back: 3 clusters return to their last good release; 3 unstarted grants are \
             called back"
        );
        let approve = says("approve");
        assert!(approve.starts_with("approve wave early (4 clusters) of web#3"), "{approve}");
    }
}

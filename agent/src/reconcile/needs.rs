//! Waits, in the middle of a sync, for what a step needs: a namespace to be active, a definition to be served,
//! a dependency to be well. Short: what takes longer is left to a later round, so that nothing else waits.

use std::time::Duration;

use model::{Health, ObjectKey, Reason};
use plan::{HealthContext, Met, Need, Plan, Until, Verdict};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::observe::resource;
use super::report::{Acted, Trouble};
use super::stage::Stage;
use crate::cluster::{Found, Resource};

/// First pause between two looks; doubles. A definition is established within 10 ms.
const LOOK_MIN: Duration = Duration::from_millis(20);
/// Longest pause between two looks.
const LOOK_MAX: Duration = Duration::from_millis(500);
/// Endpoint slices of one service.
const SLICES_MAX: usize = 20;

/// Waits until `need` is met, a newer grant comes, or patience ends.
pub(super) async fn met(stage: Stage<'_>, need: &Need, acted: &Acted) -> Result<(), Trouble> {
    if let Some(trouble) = acted.troubles.get(&need.key) {
        let message = format!("waits for {}", trouble.clone().about(&need.key).message);
        return Err(Trouble::not_yet(Reason::DependencyFailed, message));
    }
    if need.until == Until::Applied {
        return Ok(());
    }
    let until = Instant::now() + stage.shared.limits.wait;
    let mut pause = LOOK_MIN;
    loop {
        let missing = match look(stage, need).await? {
            Met::Yes => return Ok(()),
            Met::NotYet(missing) => missing,
        };
        if stage.is_over() || Instant::now() >= until {
            let message = format!("waits for {}, which is {missing}", need.key);
            return Err(Trouble::not_yet(Reason::DependencyFailed, message));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_MAX);
    }
}

async fn look(stage: Stage<'_>, need: &Need) -> Result<Met, Trouble> {
    let shared = stage.shared;
    let context = HealthContext::at(shared.clock.now());
    let unreachable = |fault| Trouble::unreachable(&fault);
    if need.until == Until::EndpointReady {
        let slices = Resource {
            group: "discovery.k8s.io".to_owned(),
            ..Resource::core("EndpointSlice", "endpointslices", true)
        };
        let selector = format!("kubernetes.io/service-name={}", need.key.name);
        let items = shared.cluster.some(&slices, &need.key.namespace, &selector, SLICES_MAX).await;
        let items = items.map_err(unreachable)?;
        return Ok(plan::met(need.until, &json!({ "items": items }), &context));
    }
    // The answer to our own write, or a watch, has said it already: no request for what is known.
    if need.until == Until::NamespaceActive
        && shared.mirror.verdict(&need.key).is_some_and(|verdict| verdict.is_settled())
    {
        return Ok(Met::Yes);
    }
    let kinds = shared.cluster.kinds();
    let version = stage.release.desired.get(&need.key).map(plan::DesiredObject::version);
    let found = resource(&kinds, &need.key, version.unwrap_or_default());
    let Found::Served(resource) = found else {
        return Ok(Met::NotYet("of a kind that is not served".to_owned()));
    };
    let reply = shared.cluster.object(&resource, &need.key).await.map_err(unreachable)?;
    if !reply.is_success() {
        return Ok(Met::NotYet("not there".to_owned()));
    }
    let met = plan::met(need.until, &reply.body, &context);
    if met == Met::Yes && need.until == Until::DefinitionEstablished {
        return served(stage, &reply.body).await;
    }
    Ok(met)
}

/// An established definition is of use once discovery shows it.
async fn served(stage: Stage<'_>, definition: &Value) -> Result<Met, Trouble> {
    let text = |path: &str| definition.pointer(path).and_then(Value::as_str).unwrap_or("");
    let (group, kind) = (text("/spec/group"), text("/spec/names/kind"));
    if stage.shared.cluster.kinds().any(group, kind).is_some() {
        return Ok(Met::Yes);
    }
    let kinds = stage.shared.cluster.refresh_kinds().await;
    let kinds = kinds.map_err(|fault| Trouble::unreachable(&fault))?;
    Ok(match kinds.any(group, kind) {
        Some(_) => Met::Yes,
        None => Met::NotYet("not in discovery yet".to_owned()),
    })
}

/// Whether an object does not stand in the way of what comes after it. One whose health does not count does not
/// once it is there.
pub(super) fn is_well(stage: Stage<'_>, key: &ObjectKey) -> bool {
    let unjudged = stage.release.desired.get(key).is_some_and(|object| object.choices.unjudged);
    let well =
        |verdict: Verdict| verdict.is_settled() || unjudged && verdict.health != Health::Missing;
    stage.shared.mirror.verdict(key).is_some_and(well)
}

/// Whether all objects of earlier waves are well; waits a little.
pub(super) async fn waves_healthy(stage: Stage<'_>, plan: &Plan, wave: i32) -> Result<(), Trouble> {
    let until = Instant::now() + stage.shared.limits.wait;
    let mut pause = LOOK_MIN;
    loop {
        let earlier = plan.apply.iter().filter(|step| step.position.wave < wave);
        let mut keys = earlier.flat_map(|step| &step.tasks).map(|task| &task.key);
        let Some(unwell) = keys.find(|key| !is_well(stage, key)) else { return Ok(()) };
        if stage.is_over() || Instant::now() >= until {
            let message = format!("waits for {unwell} of an earlier wave to be well");
            return Err(Trouble::not_yet(Reason::DependencyFailed, message));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_MAX);
    }
}

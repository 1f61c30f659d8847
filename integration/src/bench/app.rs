//! The App that is measured: ConfigMaps in one namespace, one wave, no waiting.

use std::time::Duration;
use tokio::time::Instant;

use crate::stage::{Error, Stage};

/// Its name.
pub(super) const APP: &str = "bench";
/// Namespace of its objects.
pub(super) const NAMESPACE: &str = "bench";
/// The hub's pause between two looks, as a Stage sets it. A commit comes at a random point of it.
const POLL: Duration = Duration::from_millis(200);

/// Writes the App, with everything that waits on purpose set to nothing.
pub(super) fn declare(stage: &Stage, clusters: usize) -> Result<(), Error> {
    declare_app(stage, APP, clusters, "")
}

/// Likewise for an App of another name; `more` stands below `spec`.
pub(super) fn declare_app(
    stage: &Stage,
    name: &str,
    clusters: usize,
    more: &str,
) -> Result<(), Error> {
    let at_once = "    probe: 0
    defaults: {minHealthy: 0s, progressDeadline: 10m, maxInFlight: 100%}
    waves:
      - {name: all, rest: true, after: {soak: 0s}}
";
    declare_rollout(stage, name, clusters, (more, at_once))
}

/// Likewise with a strategy of its own, which stands below `rollout`.
pub(super) fn declare_rollout(
    stage: &Stage,
    name: &str,
    clusters: usize,
    (more, rollout): (&str, &str),
) -> Result<(), Error> {
    let text = format!(
        "\
apiVersion: tidegate.dev/v1alpha1
kind: App
metadata: {{name: {name}}}
spec:
{more}  source: {{path: manifests}}
  targets: {{select: \"has(labels.bench)\", expect: {{min: {clusters}}}}}
  rollout:
{rollout}"
    );
    stage.repository().write(&format!("apps/{name}/app.yaml"), &text)
}

/// Writes ConfigMaps `map-0` and so on; `value` says what each holds.
pub(super) fn objects(
    stage: &Stage,
    count: usize,
    value: impl Fn(usize) -> String,
) -> Result<(), Error> {
    objects_of(stage, (APP, NAMESPACE), count, value)
}

/// Likewise for an App of another name, in another namespace.
pub(super) fn objects_of(
    stage: &Stage,
    (app, namespace): (&str, &str),
    count: usize,
    value: impl Fn(usize) -> String,
) -> Result<(), Error> {
    let mut text = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n");
    for n in 0..count {
        let value = value(n);
        text.push_str(&format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: map-{n}, namespace: {namespace}}}\n\
             data: {{value: \"{value}\"}}\n"
        ));
    }
    stage.repository().write(&format!("apps/{app}/manifests/all.yaml"), &text)
}

/// Lets the hub follow the repository.
pub(super) async fn follow(stage: &Stage) -> Result<(), Error> {
    let url = stage.repository().url();
    stage.ok(&["source", "add", "fleet", "--url", &url, "--ref", "main"]).await.map(drop)
}

/// Commits at a random point of the hub's pause; the moment when git was done, and the commit.
pub(super) async fn commit(stage: &Stage, message: &str) -> Result<(Instant, String), Error> {
    let mut chance = [0; 1];
    getrandom::fill(&mut chance).map_err(|e| Error::Unexpected(format!("no random byte: {e}")))?;
    tokio::time::sleep(POLL.mul_f64(f64::from(chance[0]) / 255.0)).await;
    let repository = stage.repository();
    repository.git(&["add", "--all"])?;
    repository.git(&["commit", "--quiet", "--message", message])?;
    let done = Instant::now();
    Ok((done, repository.head()?))
}

//! `spec.rollout`, for editors.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

/// A number of clusters, or a share such as `10%`.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Amount {
    Count(u32),
    Share(String),
}

/// In which waves a release goes out, and what stops it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rollout {
    /// A commit arrives while a rollout is active: `auto` (default), `supersede` or `queue`.
    on_new_release: Option<String>,
    /// A wave fails more often than it may: `halt` (default) or `rollback`.
    on_failure: Option<String>,
    /// `auto` (default) or `manual`.
    start: Option<String>,
    /// Clusters exposed at once until one has proved the release; 0 turns the probe off. Default: 1.
    probe: Option<u32>,
    /// Order of clusters within a wave.
    assign: Option<Assign>,
    /// What holds for every wave that does not say otherwise.
    defaults: Option<Settings>,
    /// In order; the first that matches a cluster takes it.
    #[serde(default)]
    waves: Vec<Wave>,
    /// Limits of a rollback.
    rollback: Option<Rollback>,
    /// Clusters that come back or join later.
    catch_up: Option<CatchUp>,
    /// How fast.
    pace: Option<Pace>,
}

#[derive(Deserialize, JsonSchema)]
struct Assign {
    /// `hash` (default) or `label:KEY`.
    order: Option<String>,
    /// Makes another order of the hash.
    seed: Option<String>,
    /// Another order for each release.
    rotate: Option<bool>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Settings {
    /// Clusters in flight at once; a share is of the wave.
    max_in_flight: Option<Amount>,
    /// Failures that do not stop the rollout.
    max_failures: Option<Amount>,
    /// How long a cluster must stay healthy before it counts, such as `60s`.
    min_healthy: Option<String>,
    /// How long a cluster may take to become healthy, such as `15m`.
    progress_deadline: Option<String>,
    /// What silence means.
    offline: Option<Offline>,
    /// Clusters that must have proved the release for the wave to pass.
    evidence: Option<Evidence>,
    /// How long the wave may be open, such as `24h`.
    timeout: Option<String>,
    /// Second attempts of clusters that failed.
    retry: Option<Retry>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Offline {
    /// Dark time after a grant until the cluster counts as failed.
    grace: Option<String>,
    /// Silence for longer than this is dark.
    stale_after: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct Evidence {
    min: Option<Amount>,
}

#[derive(Deserialize, JsonSchema)]
struct Retry {
    /// How many after the first attempt.
    limit: Option<u32>,
    /// Pause before each, such as `2m`.
    backoff: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Wave {
    name: String,
    /// CEL over `labels` and `facts`.
    #[schemars(extend("x-tidegate-cel" = "cluster"))]
    select: Option<Json>,
    /// The first few, such as `1`, `5%` or `{count: 5%, min: 2, largest: 1}`.
    take: Option<Json>,
    /// Every target that no earlier wave took.
    rest: Option<bool>,
    /// A wave without a cluster is skipped and not refused.
    allow_empty: Option<bool>,
    /// Steps of the wave, such as `[10%, 50%, 100%]`.
    #[serde(default)]
    ramp: Vec<Json>,
    /// At most so many clusters of one value of a label in flight.
    spread: Option<Spread>,
    /// Never two clusters with the same value of this label in flight or unhealthy together.
    separate: Option<String>,
    /// What must hold before the wave opens.
    before: Option<Before>,
    /// What must hold before the next one does.
    after: Option<After>,
    #[serde(flatten)]
    settings: Settings,
}

#[derive(Deserialize, JsonSchema)]
struct Spread {
    /// Such as `labels.region`.
    key: String,
    max: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Before {
    approval: Option<Approval>,
    /// When it may open.
    #[serde(default)]
    windows: Vec<Window>,
    /// Names that stop it while somebody has raised them.
    #[serde(default)]
    blockers: Vec<String>,
    /// Apps that must be there first.
    #[serde(default)]
    depends_on: Vec<Json>,
    /// It does not open while more of its clusters are unhealthy.
    max_unhealthy: Option<Amount>,
}

#[derive(Deserialize, JsonSchema)]
struct After {
    /// How long every cluster of the wave must have been healthy, such as `30m`.
    soak: Option<String>,
    /// A measurement.
    analysis: Option<Json>,
    approval: Option<Approval>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Approval {
    /// Who may.
    #[serde(default)]
    groups: Vec<String>,
    /// How many must.
    count: Option<u32>,
    /// Not who wrote the commit.
    not_author: Option<bool>,
    /// How long it counts, such as `72h`.
    ttl: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct Window {
    /// Such as `Mon-Thu`.
    days: Option<String>,
    /// Such as `09-16`.
    hours: Option<String>,
    /// Such as `Europe/Berlin` or `${labels.tz}`.
    tz: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Rollback {
    /// `ignore` (default) or `strict`.
    windows: Option<String>,
    /// What cannot be undone: `halt` (default) or `ignore`.
    unsafe_kinds: Option<String>,
    #[serde(flatten)]
    settings: Settings,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CatchUp {
    /// Clusters in flight at once beside the rollout.
    max_in_flight: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Pace {
    grants_per_minute: Option<u32>,
}

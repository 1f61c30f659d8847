//! What the HTTPS API says, as CLI, UI and scripts read it. Fields are only ever added.
//!
//! A list is one document: `{"apiVersion":"cli.tidegate/v1","items":[…]}`.

mod steer;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use steer::{
    ActedItem, AddToken, AddedToken, BlockerAction, BlockerItem, HoldAction, LogItem, LoggedEvent,
    MarkItem, PathStep, Pins, RolloutAction, TokenItem,
};

use crate::{
    Digest, Fix, Grant, Labels, Next, Reason, State,
    source::{ChartRepository, CommitStatus, SourceAuth, SourceVerify, SourceWebhook},
};

/// `apiVersion` of every document.
pub const API_VERSION: &str = "cli.tidegate/v1";

/// A document with many items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// [`API_VERSION`].
    pub api_version: String,
    /// The items, sorted by name unless said otherwise.
    pub items: Vec<T>,
}

impl<T> List<T> {
    /// A document of `items`.
    pub fn new(items: Vec<T>) -> List<T> {
        List { api_version: API_VERSION.to_owned(), items }
    }
}

/// A Git repository that the hub follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SourceItem {
    /// Its name.
    pub name: String,
    /// Where it is; without credentials.
    pub url: String,
    /// The ref that is followed.
    #[serde(rename = "ref")]
    pub reference: String,
    /// How it is.
    pub state: State,
    /// Why it is not `Ready`.
    pub reason: Option<Reason>,
    /// One sentence.
    pub message: String,
    /// The newest revision that was fetched, `main@sha1:…`.
    pub revision: Option<String>,
    /// When the ref was last looked at with success.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub fetched_at: Option<Timestamp>,
    /// Who signed the revision, when signatures are asked for: `ada (SHA256:…)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// The last rewriting of history that was noticed, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewritten: Option<String>,
    /// Path of the hub where webhooks of this source are taken, when it has a secret for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
}

/// A registered cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ClusterItem {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uid: String,
    /// Hub-side labels.
    pub labels: Labels,
    /// How it is: the worst of its Apps, or `Offline`, `Waiting` before its agent connects.
    pub state: State,
    /// Why it is not `Ready`.
    pub reason: Option<Reason>,
    /// One sentence.
    pub message: String,
    /// Whether its agent has a session now.
    pub connected: bool,
    /// When its agent was last heard from.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub last_seen: Option<Timestamp>,
    /// Version of its agent.
    pub agent_version: Option<String>,
    /// What its agent says of it; `null` until it has.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    #[serde(default)]
    pub facts: crate::Facts,
    /// What it runs.
    pub apps: Vec<ClusterApp>,
    /// A person keeps everything new away from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cordon: Option<MarkItem>,
    /// Apps that a person keeps on what they run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pins: Pins,
}

/// One App on one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ClusterApp {
    /// The App's name.
    pub app: String,
    /// What the cluster may run; `null` before the first grant.
    pub grant: Option<Grant>,
    /// The revision behind the grant.
    pub revision: Option<String>,
    /// How it is.
    pub state: State,
    /// Why it is not `Ready`.
    pub reason: Option<Reason>,
    /// One sentence.
    pub message: String,
}

/// An App.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AppItem {
    /// Its name.
    pub name: String,
    /// The source it comes from.
    pub source: String,
    /// How it is.
    pub state: State,
    /// Why it is not `Ready`.
    pub reason: Option<Reason>,
    /// One sentence.
    pub message: String,
    /// The newest revision seen in Git.
    pub head: Option<String>,
    /// The revision of the last completed rollout.
    pub stable: Option<String>,
    /// Number of clusters it targets.
    pub clusters: usize,
    /// How many of them are ready on the revision they are meant to run.
    pub ready: usize,
    /// How many clusters were granted which revision.
    pub revisions: BTreeMap<String, usize>,
    /// See [`RolloutItem::stamp`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Digest>,
}

/// One release going out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RolloutItem {
    /// The App.
    pub app: String,
    /// Number within the App.
    pub id: u64,
    /// What goes out, `main@sha1:…`.
    pub revision: String,
    /// `forward` or `rollback`.
    pub kind: String,
    /// `Planned`, `Progressing`, `Paused`, `Halted`, `RollingBack`, `Completed`, `RolledBack`,
    /// `Superseded` or `Aborted`.
    pub state: String,
    /// Why it is not complete.
    pub reason: Option<Reason>,
    /// One sentence.
    pub message: String,
    /// Subject of the commit.
    pub subject: String,
    /// Start of it.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub started_at: Option<Timestamp>,
    /// End of it.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub ended_at: Option<Timestamp>,
    /// Id of its trace.
    pub trace_id: Option<String>,
    /// Its waves in order.
    pub waves: Vec<WaveItem>,
    /// Digest of what a person decides upon when they look at this: release, strategy, members, and where the
    /// rollout and its waves are. A verb that carries it as `seen` is refused when it changed meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Digest>,
    /// Grants that no agent confirmed to hold: a brake calls them back.
    #[serde(default)]
    pub unstarted: usize,
}

/// A wave of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct WaveItem {
    /// The App (only in `get waves`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The rollout (only in `get waves`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<u64>,
    /// Its name.
    pub name: String,
    /// `Locked`, `Gated`, `Open`, `Proving`, `Passed` or `Skipped`.
    pub state: String,
    /// Why it has not passed.
    pub reason: Option<Reason>,
    /// One sentence.
    pub message: String,
    /// Its members by state; the numbers sum to `total`.
    pub clusters: WaveClusters,
}

/// Members of a wave by state. `ready` repeats `updated + unchanged`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct WaveClusters {
    /// All.
    pub total: usize,
    /// On the release and proved, or had nothing to change.
    pub ready: usize,
    /// Failed.
    pub failed: usize,
    /// Waiting for wave, slot or probe.
    pub queued: usize,
    /// Granted, not healthy yet.
    pub updating: usize,
    /// Healthy, not for long enough.
    pub verifying: usize,
    /// Recalled, not confirmed.
    pub recalling: usize,
    /// Proved.
    pub updated: usize,
    /// Dark before exposure.
    pub deferred: usize,
    /// Content equal to what they run.
    pub unchanged: usize,
    /// Taken out by a person.
    pub skipped: usize,
    /// Left the fleet.
    pub departed: usize,
}

/// The answer to `why`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct WhyItem {
    /// [`API_VERSION`].
    pub api_version: String,
    /// What was asked, such as `app/web` or `app/web on eu-1`.
    pub subject: String,
    /// How it is.
    pub state: State,
    /// One sentence.
    pub message: String,
    /// From symptom to cause; empty when all is well.
    pub chain: Vec<WhyStep>,
    /// What happens next by itself.
    pub next: Vec<Next>,
    /// The way to the end of the rollout: steps in order, with the earliest time of each and what it assumes.
    #[serde(default)]
    pub path: Vec<PathStep>,
    /// What a person can do.
    pub fix: Vec<Fix>,
    /// Id of the trace of the rollout in question.
    pub trace_id: Option<String>,
}

/// One step of a `why`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct WhyStep {
    /// How deep it stands: 0 for what blocks, 1 for a cluster behind it, 2 for an object on that cluster.
    #[serde(default)]
    pub depth: u8,
    /// The thing: `rollout web#3`, `wave canary`, `cluster eu-1`, `Deployment shop/web`.
    pub subject: String,
    /// Its reason.
    pub reason: Option<Reason>,
    /// The reason's owner, who can lift it.
    pub owner: Option<crate::Owner>,
    /// One sentence.
    pub message: String,
    /// Since when.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub since: Option<Timestamp>,
}

/// Adds a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddSource {
    /// Its name.
    pub name: String,
    /// `https://…`, `ssh://…`, `git@host:path`, `file://…`, `oci://…`.
    pub url: String,
    /// What to follow: a branch or tag, `semver:RANGE` over the tags, a commit, or a digest for `oci://`.
    #[serde(rename = "ref")]
    pub reference: String,
    /// File on the hub that holds `user:password` for `https://`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<String>,
    /// File on the hub with the CA of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Name of the chart, when the URL is a Helm repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<String>,
    /// Folders and files that count; a commit that changes none of them is passed over. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// How the hub proves itself.
    #[serde(default)]
    pub auth: SourceAuth,
    /// Which commits are trusted; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<SourceVerify>,
    /// Who may hint that there is something new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<SourceWebhook>,
    /// Where the forge is told what became of commits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_status: Option<CommitStatus>,
    /// Where charts that its charts depend on may be fetched; nowhere when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charts: Vec<ChartRepository>,
}

/// Adds a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddCluster {
    /// Its name.
    pub name: String,
    /// Hub-side labels.
    #[serde(default)]
    pub labels: Labels,
    /// Life of the join token in seconds; at most 86,400, default 3,600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
}

/// The one time that a join token is shown. No `Debug` output of the token itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AddedCluster {
    /// The cluster.
    pub name: String,
    /// Its identity.
    pub uid: String,
    /// The join token, `tgj1.…`.
    pub token: String,
    /// Until when it can be used.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for AddedCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AddedCluster")
            .field("name", &self.name)
            .field("uid", &self.uid)
            .field("token", &"«redacted»")
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// An error, as RFC 9457 says it, with our reason code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// `https://tidegate.dev/reasons/CODE`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The reason's title.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What, where, why.
    pub detail: String,
    /// The reason.
    pub reason: Option<Reason>,
    /// What to do.
    pub hint: Option<String>,
}

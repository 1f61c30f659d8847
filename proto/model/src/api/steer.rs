//! What people do: verbs of a rollout, freezes, blockers, cordons, pins, tokens.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::RolloutItem;
use crate::Digest;

/// Something that a person does to a rollout.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RolloutAction {
    /// `start`, `restart`, `pause`, `resume`, `abort`, `rollback`, `retry`, `skip`, `approve`, `reject`,
    /// `revoke`, `override`, `promote`, `expedite`, `tolerate`, `condemn` or `absolve`.
    pub verb: String,
    /// Why; needed by whatever releases a brake or passes a gate.
    #[serde(default)]
    pub reason: String,
    /// The cluster for `retry` and `skip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// `resume`: the failures so far are accepted.
    #[serde(default)]
    pub accept: bool,
    /// The wave; the one whose turn it is when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<String>,
    /// `override`: the gate, such as `window` or `blocker/incident`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// `tolerate`: how many failures in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<u32>,
    /// `expedite`: soaks are divided by it; 2 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divisor: Option<u32>,
    /// `condemn` and `absolve`: short or full commit; HEAD when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// `revoke`: whose approval; the own ones when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// The `stamp` of what the person looked at: when it is another one by now, nothing is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Digest>,
}

/// What came of a verb: what was done, and the rollout as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ActedItem {
    /// What was done, such as `rollout.pause web#3`.
    pub done: String,
    /// The rollout that it was about, or the newest one.
    #[serde(flatten)]
    pub rollout: Option<RolloutItem>,
}

/// One step on the way to the end of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PathStep {
    /// What happens.
    pub what: String,
    /// Not before this.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub earliest: Option<Timestamp>,
    /// What that assumes.
    #[serde(default)]
    pub assumes: Vec<String>,
}

/// The log of one App, or as much of it as is kept, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct LogItem {
    /// [`super::API_VERSION`].
    pub api_version: String,
    /// The App.
    pub app: String,
    /// The events with their numbers.
    pub events: Vec<LoggedEvent>,
}

/// One event of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct LoggedEvent {
    /// Its place, from 1 without gaps.
    pub seq: u64,
    /// The event, as it was decided.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub event: serde_json::Value,
}

/// Somebody said so, perhaps for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct MarkItem {
    /// What it is about: `fleet`, `app/NAME` or `cluster/NAME`.
    pub scope: String,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When it was said.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// When it ends by itself; never when absent.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub until: Option<Timestamp>,
}

/// Holds something back, or lets it go: a freeze, a cordon, a pin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HoldAction {
    /// `freeze` or `unfreeze`; of a cluster `cordon`, `uncordon`, `pin` or `unpin`.
    pub verb: String,
    /// Freezes: `fleet` or `app/NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Pins: the App; all of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Why; always needed.
    #[serde(default)]
    pub reason: String,
    /// Ends by itself after so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_seconds: Option<u64>,
}

/// A blocker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct BlockerItem {
    /// Its name, as strategies name it.
    pub name: String,
    /// Whether it blocks, as far as people said; of a watched one the endpoint decides.
    pub set: bool,
    /// In words.
    pub message: String,
    /// Who changed it last.
    pub by: String,
    /// When.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// The endpoint that decides.
    pub watch: Option<String>,
    /// Waves of Apps that name it.
    #[serde(default)]
    pub used_by: Vec<String>,
}

/// Sets, clears or watches a blocker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlockerAction {
    /// `set`, `clear` or `watch`.
    pub verb: String,
    /// `set` and `clear`: in words.
    #[serde(default)]
    pub message: String,
    /// `watch`: the endpoint that decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A named token; the token itself is shown once, when it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct TokenItem {
    /// Who it is.
    pub name: String,
    /// `viewer`, `operator` or `admin`.
    pub role: String,
    /// Groups; approvals ask for them.
    pub groups: BTreeSet<String>,
    /// When it was made.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// When it ends by itself.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub expires_at: Option<Timestamp>,
}

/// Makes a named token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddToken {
    /// Who it is.
    pub name: String,
    /// `viewer`, `operator` or `admin`.
    pub role: String,
    /// Groups.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// Ends by itself after so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_seconds: Option<u64>,
}

/// The one time that a named token is shown. No `Debug` output of the token itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AddedToken {
    /// What is kept of it.
    #[serde(flatten)]
    pub item: TokenItem,
    /// The token, `tga1.…`.
    pub token: String,
}

impl std::fmt::Debug for AddedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AddedToken").field("item", &self.item).finish_non_exhaustive()
    }
}

/// Pins of a cluster by App; `*` stands for all.
pub type Pins = BTreeMap<String, MarkItem>;

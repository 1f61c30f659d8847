//! What the person wrote in `app.yaml`, typed and with every default filled in.
//!
//! Parsing lives elsewhere. What a type cannot forbid is found by [`crate::plan`] and refused there.

use std::time::Duration;

use model::{Selector, WaveName};
use serde::{Deserialize, Serialize};

use crate::{amount::Amount, gate::After, gate::Before};

/// Which clusters an App is for, and how much of that set may change at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Targets {
    /// Clusters that run the App.
    pub select: Selector,
    /// Clusters that do not, though selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Selector>,
    /// Brake against a selector that suddenly matches the wrong set.
    #[serde(default)]
    pub expect: Expect,
    /// What happens on a cluster that is no longer selected.
    #[serde(default)]
    pub on_untarget: OnUntarget,
}

/// Plan brake: refuse a plan whose target set is too small or changed too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Expect {
    /// Fewer targets than this: refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
    /// More targets added or dropped since the last release than this: refused. A share is of the
    /// previous set and always allows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_change: Option<Amount>,
}

/// What happens on a cluster that is no longer selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnUntarget {
    /// Keeps running what it runs.
    #[default]
    Retain,
    /// Removed in a last wave of its own.
    Prune,
}

/// How a release goes out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Strategy {
    /// A commit arrives while a rollout is active.
    #[serde(default)]
    pub on_new_release: OnNewRelease,
    /// A wave fails more often than it may.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Whether a rollout starts by itself.
    #[serde(default)]
    pub start: StartMode,
    /// Clusters exposed at once until one has proved the release; 0 turns the probe off.
    pub probe: u32,
    /// Order of clusters within a wave.
    #[serde(default)]
    pub assign: Assign,
    /// The waves, in order; the first that matches a cluster takes it.
    pub waves: Vec<WaveSpec>,
    /// Limits of the single wave of a rollback (and of a revert to the proven release).
    pub rollback: WaveSettings,
    /// What a rollback ignores, and when it does not go by itself.
    #[serde(default)]
    pub rollback_policy: RollbackPolicy,
    /// The lane for clusters that are behind the proven release.
    #[serde(default)]
    pub catch_up: CatchUp,
    /// Most grants in a minute, so that registries are not stormed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants_per_minute: Option<u32>,
}

/// How a rollback differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollbackPolicy {
    /// Windows and freezes hold for it too. Otherwise nothing delays the mitigation.
    #[serde(default)]
    pub strict: bool,
    /// Content that may not be undone without a person does not stop an automatic rollback.
    #[serde(default)]
    pub ignore_unsafe: bool,
}

/// The lane for clusters that joined, came back or were left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CatchUp {
    /// Clusters in it at once.
    pub max_in_flight: u32,
}

impl Default for CatchUp {
    fn default() -> Self {
        CatchUp { max_in_flight: 5 }
    }
}

/// A commit arrives while a rollout is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnNewRelease {
    /// Supersede until the first wave has passed, queue afterwards.
    #[default]
    Auto,
    /// The newer one takes over.
    Supersede,
    /// The newer one waits.
    Queue,
}

/// A wave fails more often than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    /// Stop and wait for a person.
    #[default]
    Halt,
    /// Return every exposed cluster to its last good release.
    Rollback,
}

/// Whether a rollout starts by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StartMode {
    /// At once.
    #[default]
    Auto,
    /// A person starts it.
    Manual,
}

/// Order of clusters within a wave; the same for every release of an App.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assign {
    /// First key of the order.
    #[serde(default)]
    pub order: Order,
    /// Seed of the hash; the App's name when empty.
    #[serde(default)]
    pub seed: String,
    /// Another order for each commit, so that not always the same cluster goes first.
    #[serde(default)]
    pub rotate: bool,
}

/// First key of the order of clusters within a wave; ties fall to the seeded hash.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// The seeded hash alone.
    #[default]
    Hash,
    /// The value of this label, clusters without it last.
    Label(String),
}

/// One wave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaveSpec {
    /// Its name.
    pub name: WaveName,
    /// Who is in it.
    pub members: Members,
    /// A wave without members is skipped instead of refused.
    #[serde(default)]
    pub allow_empty: bool,
    /// Shares of its members, rising to 100 %: becomes that many waves, one after the other, with the same
    /// limits and gates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ramp: Vec<Amount>,
    /// At most so many failure domains in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
    /// Label whose value two clusters in flight never share, nor one in flight with one that is unhealthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separate: Option<String>,
    /// What must hold for it to open.
    #[serde(default, skip_serializing_if = "Before::is_empty")]
    pub before: Before,
    /// What must hold for it to pass, besides the soak.
    #[serde(default, skip_serializing_if = "After::is_empty")]
    pub after: After,
    /// Its limits and times.
    pub settings: WaveSettings,
}

/// Failure domains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// Label whose value is the domain; clusters without it are one domain of their own.
    pub key: String,
    /// Domains in flight at once.
    pub max: u32,
}

impl WaveSpec {
    /// A wave with nothing but a name and members.
    pub fn new(name: WaveName, members: Members, settings: WaveSettings) -> WaveSpec {
        WaveSpec {
            name,
            members,
            allow_empty: false,
            ramp: Vec::new(),
            spread: None,
            separate: None,
            before: Before::default(),
            after: After::default(),
            settings,
        }
    }
}

/// Who is in a wave, of the targets that no earlier wave took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Members {
    /// All that match.
    Select(Selector),
    /// The first few by the seeded hash.
    Take {
        /// Of those that match; of all when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        select: Option<Selector>,
        /// How many; a share is of those that could be taken, rounded down, at least 1.
        count: Amount,
        /// But at least so many.
        #[serde(default)]
        min: u32,
        /// And the so many largest, by the nodes that agents report: load shows only at size.
        #[serde(default)]
        largest: u32,
    },
    /// Everything that is left; only the last wave.
    Rest,
}

/// Limits and times of a wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaveSettings {
    /// Clusters in flight at once; a share is of the frozen wave.
    pub max_in_flight: Amount,
    /// Failures that do not halt the rollout.
    pub max_failures: Amount,
    /// How long a cluster must stay healthy, by its agent's clock, before it counts as updated.
    pub min_healthy: Duration,
    /// How long a cluster may take to become healthy, by its agent's clock.
    pub progress_deadline: Duration,
    /// What silence means.
    pub offline: Offline,
    /// Clusters that must be updated for the wave to pass; at least 1.
    pub evidence_min: Amount,
    /// How long the wave may be open, by the hub's wall clock.
    pub timeout: Duration,
    /// Automatic second attempts of failed clusters while the budget holds.
    pub retry: Retry,
    /// How long every updated member must have been healthy, by its agent's clock, before the wave passes.
    pub soak: Duration,
}

/// What silence of an agent means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Offline {
    /// Dark time after a grant, summed, until the cluster counts as failed.
    pub grace: Duration,
    /// Silence for longer than this is dark.
    pub stale_after: Duration,
}

/// Automatic second attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// How many after the first attempt.
    pub limit: u32,
    /// Pause before each, by the hub's wall clock.
    pub backoff: Duration,
}

const MINUTE: Duration = Duration::from_mins(1);

impl Default for WaveSettings {
    fn default() -> Self {
        WaveSettings {
            max_in_flight: Amount::Percent(10),
            max_failures: Amount::Count(0),
            min_healthy: MINUTE,
            progress_deadline: 15 * MINUTE,
            offline: Offline { grace: 10 * MINUTE, stale_after: Duration::from_secs(90) },
            evidence_min: Amount::Count(1),
            timeout: 24 * 60 * MINUTE,
            retry: Retry { limit: 1, backoff: 2 * MINUTE },
            soak: Duration::ZERO,
        }
    }
}

impl WaveSettings {
    /// Limits of a rollback: a third at once, no soak, every failure listed and none of them a stop.
    pub fn rollback() -> Self {
        WaveSettings {
            max_in_flight: Amount::Percent(33),
            max_failures: Amount::Percent(100),
            ..WaveSettings::default()
        }
    }
}

/// What an App without a `rollout:` section gets: one cluster, ten minutes of soak, then a quarter at a time.
impl Default for Strategy {
    fn default() -> Self {
        let name = |name| WaveName::parse(name).expect("a literal that is a name");
        let take = Members::Take { select: None, count: Amount::Count(1), min: 0, largest: 0 };
        let canary = WaveSettings {
            max_in_flight: Amount::Count(1),
            soak: 10 * MINUTE,
            ..WaveSettings::default()
        };
        let rest = WaveSettings { max_in_flight: Amount::Percent(25), ..WaveSettings::default() };
        // A fleet of one cluster has nothing left for the second wave.
        let mut second = WaveSpec::new(name("rest"), Members::Rest, rest);
        second.allow_empty = true;
        Strategy {
            on_new_release: OnNewRelease::default(),
            on_failure: OnFailure::default(),
            start: StartMode::default(),
            probe: 1,
            assign: Assign::default(),
            waves: vec![WaveSpec::new(name("canary"), take, canary), second],
            rollback: WaveSettings::rollback(),
            rollback_policy: RollbackPolicy::default(),
            catch_up: CatchUp::default(),
            grants_per_minute: None,
        }
    }
}

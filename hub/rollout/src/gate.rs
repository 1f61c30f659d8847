//! What must hold before a wave opens and before it passes, as the person wrote it.
//!
//! Two kinds: an approval is latched (bound to release, strategy and members, and it expires); windows,
//! freezes, blockers and dependencies are continuous (asked again for every grant). Whether one holds is
//! decided in `decide/gates.rs`; this is only what was asked for, and who produces the answer.

use std::{collections::BTreeSet, fmt, time::Duration};

use model::AppName;
use serde::{Deserialize, Serialize};

use crate::{amount::Amount, window::Window};

/// What must hold for a wave to open.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Before {
    /// People who must agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRule>,
    /// Grants leave only inside one of these; always, when there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// Names that must not be set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blockers: Vec<String>,
    /// Apps that must be done first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<DependsOn>,
    /// More members than this unhealthy on what they run: the wave does not open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unhealthy: Option<Amount>,
}

/// What must hold for a wave to pass, besides evidence and soak.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct After {
    /// People who must agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRule>,
    /// A measurement that must be good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Analysis>,
}

impl Before {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Before::default()
    }
}

impl After {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == After::default()
    }
}

/// Who must agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRule {
    /// One of these groups; anybody when empty.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<String>,
    /// Different people.
    pub count: u32,
    /// The author of the commit does not count.
    #[serde(default)]
    pub not_author: bool,
    /// For how long an approval is good, by the hub's wall clock.
    pub ttl: Duration,
}

impl ApprovalRule {
    /// Whether somebody of these groups may approve.
    pub fn admits(&self, groups: &BTreeSet<String>) -> bool {
        self.groups.is_empty() || !self.groups.is_disjoint(groups)
    }
}

impl Default for ApprovalRule {
    fn default() -> Self {
        ApprovalRule {
            groups: BTreeSet::new(),
            count: 1,
            not_author: false,
            ttl: Duration::from_hours(72),
        }
    }
}

/// An App that must be done first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DependsOn {
    /// Which.
    pub app: AppName,
    /// Where.
    #[serde(default, rename = "in")]
    pub scope: Scope,
}

/// Where a dependency must be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// On the cluster that is about to be granted.
    #[default]
    SameCluster,
    /// Everywhere: its rollout has completed and none is under way.
    Fleet,
}

/// A measurement that must be good for the wave to pass. The shell asks, the answers are events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// Whom to ask.
    pub ask: Ask,
    /// What a good answer of a query is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expectation>,
    /// A bad figure counts only when it is worse than that of the clusters that are not updated yet.
    #[serde(default)]
    pub compare: bool,
    /// Pause between two questions.
    pub every: Duration,
    /// So many bad answers in a row halt the rollout.
    pub failures: u32,
    /// So many answers with data must be there before the wave passes.
    pub min_samples: u32,
    /// With too little data the wave passes after this time all the same; never, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass_after: Option<Duration>,
}

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ask {
    /// A query of the Prometheus that the hub is configured with. `${clusters}` in it becomes a regular
    /// expression of cluster names.
    Prometheus(String),
    /// A signed POST with the facts of the wave; answered by `pass`, `fail` or `hold`.
    Http(String),
}

/// `< 0.01`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expectation {
    comparison: Comparison,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Below,
    AtMost,
    Above,
    AtLeast,
}

impl Expectation {
    /// Reads `<`, `<=`, `>` or `>=` and a number.
    pub fn parse(text: &str) -> Result<Expectation, String> {
        let text = text.trim();
        let signs = [
            ("<=", Comparison::AtMost),
            (">=", Comparison::AtLeast),
            ("<", Comparison::Below),
            (">", Comparison::Above),
        ];
        let found = signs.iter().find_map(|(sign, c)| Some((*c, text.strip_prefix(sign)?)));
        let (comparison, number) =
            found.ok_or_else(|| format!("`{text}` does not begin with `<`, `<=`, `>` or `>=`"))?;
        let number = number.trim();
        match number.parse::<f64>() {
            Ok(value) if value.is_finite() => {
                Ok(Expectation { comparison, text: number.to_owned() })
            }
            Ok(_) | Err(_) => Err(format!("`{number}` is not a number")),
        }
    }

    fn limit(&self) -> f64 {
        self.text.parse().unwrap_or(f64::NAN)
    }

    /// Whether `value` is good. A value that is not a number never is.
    pub fn holds(&self, value: f64) -> bool {
        match self.comparison {
            Comparison::Below => value < self.limit(),
            Comparison::AtMost => value <= self.limit(),
            Comparison::Above => value > self.limit(),
            Comparison::AtLeast => value >= self.limit(),
        }
    }

    /// Whether `value` is no worse than `other`, in the direction that is asked for.
    pub fn no_worse(&self, value: f64, other: f64) -> bool {
        match self.comparison {
            Comparison::Below | Comparison::AtMost => value <= other,
            Comparison::Above | Comparison::AtLeast => value >= other,
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.comparison {
            Comparison::Below => "<",
            Comparison::AtMost => "<=",
            Comparison::Above => ">",
            Comparison::AtLeast => ">=",
        };
        write!(f, "{sign} {}", self.text)
    }
}

impl TryFrom<String> for Expectation {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Expectation::parse(&text)
    }
}

impl From<Expectation> for String {
    fn from(expectation: Expectation) -> String {
        expectation.to_string()
    }
}

/// A gate, by the name that people use for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Gate {
    /// The approval before the wave.
    Approval,
    /// The approval after it.
    AfterApproval,
    /// The windows.
    Window,
    /// One blocker.
    Blocker(String),
    /// One dependency.
    DependsOn(AppName),
    /// Too many members unhealthy before.
    Unhealthy,
    /// The soak.
    Soak,
    /// The measurement.
    Analysis,
    /// A freeze; lifted by `unfreeze`, never overridden.
    Freeze,
    /// The clock of the hub jumped a moment ago.
    Clock,
}

impl Gate {
    /// Reads what a person writes.
    pub fn parse(text: &str) -> Result<Gate, String> {
        let named = |prefix: &str| text.strip_prefix(prefix).filter(|rest| !rest.is_empty());
        match text {
            "approval" => Ok(Gate::Approval),
            "after-approval" => Ok(Gate::AfterApproval),
            "window" => Ok(Gate::Window),
            "unhealthy" => Ok(Gate::Unhealthy),
            "soak" => Ok(Gate::Soak),
            "analysis" => Ok(Gate::Analysis),
            "freeze" => Ok(Gate::Freeze),
            "clock" => Ok(Gate::Clock),
            _ => {
                if let Some(name) = named("blocker/") {
                    return Ok(Gate::Blocker(name.to_owned()));
                }
                if let Some(app) = named("depends-on/").and_then(|a| AppName::parse(a).ok()) {
                    return Ok(Gate::DependsOn(app));
                }
                Err(format!(
                    "no gate is called `{text}`; there are approval, after-approval, window, \
                     unhealthy, soak, analysis, blocker/NAME and depends-on/APP"
                ))
            }
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gate::Approval => f.pad("approval"),
            Gate::AfterApproval => f.pad("after-approval"),
            Gate::Window => f.pad("window"),
            Gate::Blocker(name) => write!(f, "blocker/{name}"),
            Gate::DependsOn(app) => write!(f, "depends-on/{app}"),
            Gate::Unhealthy => f.pad("unhealthy"),
            Gate::Soak => f.pad("soak"),
            Gate::Analysis => f.pad("analysis"),
            Gate::Freeze => f.pad("freeze"),
            Gate::Clock => f.pad("clock"),
        }
    }
}

impl TryFrom<String> for Gate {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Gate::parse(&text)
    }
}

impl From<Gate> for String {
    fn from(gate: Gate) -> String {
        gate.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_read_back_and_compare() {
        for text in ["< 0.01", "<= 3", "> 99.5", ">= 1e3"] {
            let read = Expectation::parse(text).unwrap();
            assert_eq!(Expectation::parse(&read.to_string()).unwrap(), read);
        }
        let below = Expectation::parse("<0.01").unwrap();
        assert!(below.holds(0.0099) && !below.holds(0.01) && !below.holds(f64::NAN));
        assert!(below.no_worse(0.2, 0.3) && !below.no_worse(0.3, 0.2));
        for bad in ["", "0.01", "= 3", "< many", "< NaN"] {
            assert!(Expectation::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn gates_read_back_by_their_names() {
        for text in
            ["approval", "after-approval", "window", "soak", "blocker/sev1", "depends-on/db"]
        {
            assert_eq!(Gate::parse(text).unwrap().to_string(), text);
        }
        assert!(Gate::parse("blocker/").is_err() && Gate::parse("probe").is_err());
    }
}

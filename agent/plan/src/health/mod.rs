//! How well one live object is. Never better than the truth: what was not observed yet, is about an
//! older generation, or is on its way out, is not healthy.
//!
//! Order of judgement: being deleted → a rule of the user → stale observation → rule of the built-in kind →
//! rule of the library → generic rule. A rule of a built-in kind is a function `View -> Verdict` in the
//! file of its family, and one row in `RULES`; all others are data ([`rules`]).

mod needs;

mod batch;
mod cluster;
mod generic;
mod network;
mod policy;
mod storage;
mod workload;

mod stale;

mod rules;

mod view;
mod words;

use std::time::Duration;

use jiff::Timestamp;
use model::{Health, Reason};
use serde_json::Value;

use crate::pods::Stuck;
use crate::redact::clip;
use crate::seeded::Bug;

pub use needs::{Met, Until, met};
pub use rules::{RuleFault, RuleSet};

use rules::Rule;
use stale::Observes;
use view::View;

/// What a judgement needs beside the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthContext {
    /// The agent's wall clock, for comparison with times that the cluster wrote. `None`: no time is
    /// known, and the object alone decides. Then what is broken is not given time to mend, and what
    /// waits is not given up.
    pub now: Option<Timestamp>,
    /// `resourceVersion` in the answer to our last write of this object.
    pub applied_rv: Option<String>,
    /// Monotonic time since that answer; `None` when long ago (before this process).
    pub since_apply: Option<Duration>,
    /// Whether the kind has a status subresource, from its definition; `None` when not known.
    pub has_status: Option<bool>,
    /// For a volume claim: its class binds on first use and nothing uses it.
    pub waits_for_consumer: bool,
}

impl HealthContext {
    /// Nothing known but the time.
    pub fn at(now: Timestamp) -> HealthContext {
        HealthContext { now: Some(now), ..HealthContext::timeless() }
    }

    /// Nothing known, not even the time: the same object always gets the same answer.
    pub fn timeless() -> HealthContext {
        HealthContext {
            now: None,
            applied_rv: None,
            since_apply: None,
            has_status: None,
            waits_for_consumer: false,
        }
    }
}

/// A judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How well.
    pub health: Health,
    /// Why; `None` only when healthy.
    pub reason: Option<Reason>,
    /// For people; at most 256 bytes. A healthy object may carry a note.
    pub message: String,
    /// Whether waiting will not help.
    pub terminal: bool,
    /// Suspended with a change that is not carried out: stands in the way, unlike a plain suspension.
    pub held_back: bool,
    /// When time alone may change the answer.
    pub recheck: Option<Duration>,
}

/// One row a kind: group, kinds, how it tells which generation its status is about, rule.
type Row = (&'static str, &'static [&'static str], Observes, fn(View<'_>) -> Verdict);

/// The rules of the kinds that Kubernetes itself serves. Everything else goes to the generic rule.
const RULES: &[Row] = &[
    ("", &["Namespace"], Observes::Nothing, cluster::namespace),
    ("", &["Pod"], Observes::Settles, workload::pod),
    ("apps", &["Deployment"], Observes::Generation, workload::deployment),
    ("apps", &["ReplicaSet"], Observes::Generation, workload::replica_set),
    ("", &["ReplicationController"], Observes::Generation, workload::replica_set),
    ("apps", &["StatefulSet"], Observes::Generation, workload::stateful_set),
    ("apps", &["DaemonSet"], Observes::Generation, workload::daemon_set),
    ("batch", &["Job"], Observes::Settles, batch::job),
    ("batch", &["CronJob"], Observes::Nothing, batch::cron_job),
    ("", &["Service"], Observes::Nothing, network::service),
    ("networking.k8s.io", &["Ingress"], Observes::Nothing, network::ingress),
    ("gateway.networking.k8s.io", &["Gateway"], Observes::Settles, network::gateway),
    ("gateway.networking.k8s.io", &["GatewayClass"], Observes::Settles, network::gateway_class),
    (
        "gateway.networking.k8s.io",
        &["HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"],
        Observes::Settles,
        network::route,
    ),
    ("", &["PersistentVolumeClaim"], Observes::Settles, storage::claim),
    ("", &["PersistentVolume"], Observes::Nothing, storage::volume),
    ("autoscaling", &["HorizontalPodAutoscaler"], Observes::Settles, policy::autoscaler),
    ("policy", &["PodDisruptionBudget"], Observes::Generation, policy::disruption_budget),
    ("flowcontrol.apiserver.k8s.io", &["FlowSchema"], Observes::Settles, policy::flow_schema),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"], Observes::Nothing, cluster::definition),
    ("apiregistration.k8s.io", &["APIService"], Observes::Settles, cluster::api_service),
    (
        "admissionregistration.k8s.io",
        &["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"],
        Observes::Nothing,
        cluster::webhooks,
    ),
    (
        "admissionregistration.k8s.io",
        &["ValidatingAdmissionPolicy"],
        Observes::Generation,
        cluster::admission_policy,
    ),
    ("", &["Node"], Observes::Nothing, cluster::node),
    ("", &["ComponentStatus"], Observes::Nothing, cluster::component),
    (
        "storagemigration.k8s.io",
        &["StorageVersionMigration"],
        Observes::Settles,
        cluster::storage_migration,
    ),
    (
        "",
        &[
            "ConfigMap",
            "Secret",
            "ServiceAccount",
            "ResourceQuota",
            "LimitRange",
            "Endpoints",
            "Event",
            "PodTemplate",
        ],
        Observes::Existence,
        exists,
    ),
    ("apps", &["ControllerRevision"], Observes::Existence, exists),
    (
        "rbac.authorization.k8s.io",
        &["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"],
        Observes::Existence,
        exists,
    ),
    (
        "networking.k8s.io",
        &["NetworkPolicy", "IngressClass", "IPAddress"],
        Observes::Existence,
        exists,
    ),
    ("storage.k8s.io", &["StorageClass", "CSIDriver", "CSINode"], Observes::Existence, exists),
    ("scheduling.k8s.io", &["PriorityClass"], Observes::Existence, exists),
    ("node.k8s.io", &["RuntimeClass"], Observes::Existence, exists),
    ("coordination.k8s.io", &["Lease"], Observes::Existence, exists),
    ("discovery.k8s.io", &["EndpointSlice"], Observes::Existence, exists),
    (
        "admissionregistration.k8s.io",
        &[
            "ValidatingAdmissionPolicyBinding",
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
        ],
        Observes::Existence,
        exists,
    ),
];

/// Judges one live object. A missing object is judged by [`Verdict::missing`].
pub fn health(object: &Value, context: &HealthContext) -> Verdict {
    judge(object, context, &RuleSet::default(), None)
}

/// [`health`] with rules of the user, which outrank all others.
pub fn health_with(object: &Value, context: &HealthContext, rules: &RuleSet) -> Verdict {
    judge(object, context, rules, None)
}

/// [`health`] with a bug on purpose.
#[cfg(feature = "mutations")]
pub(crate) fn health_seeded(object: &Value, context: &HealthContext, bug: Bug) -> Verdict {
    judge(object, context, &RuleSet::default(), Some(bug))
}

fn judge(object: &Value, context: &HealthContext, rules: &RuleSet, bug: Option<Bug>) -> Verdict {
    let view = View { object, context };
    let (group, version) = split(view.text("/apiVersion"));
    let kind = view.text("/kind");
    let group = match (group, kind) {
        // Where they were served from before they moved.
        ("extensions", "Ingress") => "networking.k8s.io",
        ("extensions", _) => "apps",
        _ => group,
    };
    let believes = bug == Some(Bug::NaiveGeneration);
    if let Some(verdict) = stale::terminating(view) {
        return verdict;
    }
    if let Some((rule, name)) = rules.find(group, version, kind) {
        return by_rule(view, rule, name, believes).0;
    }
    let built_in = RULES.iter().find(|(g, kinds, _, _)| *g == group && kinds.contains(&kind));
    if built_in.is_none()
        && let Some(row) = rules::find(group, version, kind)
    {
        let name = row.name();
        return match row.rule() {
            Ok(rule) => {
                let (verdict, deaf) = by_rule(view, rule, &name, believes);
                let well = verdict.health == Health::Healthy;
                let against = || generic::contradiction(view);
                let against = || against().or_else(|| generic::objection(view).filter(|_| deaf));
                well.then(against).flatten().unwrap_or(verdict)
            }
            Err(error) => rules::unknown(&name, error),
        };
    }
    let (observes, rule) = built_in
        .map_or((Observes::IfItSays, generic::rule as fn(View<'_>) -> Verdict), |r| (r.2, r.3));
    match stale::stale(view, observes) {
        Some(verdict) if !believes => verdict,
        _ => rule(view),
    }
}

/// A rule as data: what is not observed yet is not judged. And whether it heard no word of the object.
fn by_rule(view: View<'_>, rule: &Rule, name: &str, believes: bool) -> (Verdict, bool) {
    let old = || stale::by_version(view).or_else(|| rule.is_stale(view).map(stale::said));
    let settling = || if rule.says_generation(view) { None } else { stale::settling(view) };
    let unseen = if believes { None } else { old().or_else(settling) };
    unseen.map_or_else(|| rule.judge(view, name), |unseen| (unseen, false))
}

/// Group and version.
fn split(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// Whether objects of a kind are judged by their existence alone, so that their metadata is enough.
pub fn judged_by_existence(group: &str, kind: &str) -> bool {
    let row = RULES.iter().find(|(g, kinds, _, _)| *g == group && kinds.contains(&kind));
    match row {
        Some((_, _, observes, _)) => *observes == Observes::Existence,
        None => rules::find(group, "", kind).is_some_and(rules::Row::is_existence),
    }
}

/// To be there is all that is asked.
fn exists(_: View<'_>) -> Verdict {
    Verdict::healthy()
}

impl Verdict {
    /// Healthy.
    pub fn healthy() -> Verdict {
        Verdict {
            health: Health::Healthy,
            reason: None,
            message: String::new(),
            terminal: false,
            held_back: false,
            recheck: None,
        }
    }

    /// Anything else.
    pub fn new(health: Health, reason: Reason, message: impl AsRef<str>) -> Verdict {
        Verdict { health, reason: Some(reason), message: clip(message.as_ref()), ..Self::healthy() }
    }

    /// It should be there and is not.
    pub fn missing() -> Verdict {
        Verdict::new(Health::Missing, Reason::Missing, "not there")
    }

    /// A Job that ran to its end and was cleaned up since.
    pub fn finished() -> Verdict {
        Verdict::healthy().note("ran to its end and was cleaned up")
    }

    /// It is there, and its author wants nothing else to count.
    pub fn unjudged() -> Verdict {
        Verdict::healthy().note("how well it is does not count: `tidegate.dev/health: ignore`")
    }

    /// Not applied yet in this sync: what the live object says is about the release before.
    pub fn not_applied() -> Verdict {
        Verdict::new(Health::Progressing, Reason::Applying, "not applied yet")
    }

    /// Whether it does not stand in the way of "all is well".
    pub fn is_settled(&self) -> bool {
        match self.health {
            Health::Healthy => true,
            Health::Suspended => !self.held_back,
            Health::Progressing | Health::Missing | Health::Degraded | Health::Unknown => false,
        }
    }

    /// What its pods say outranks what the workload says of itself: it knows minutes later.
    #[must_use]
    pub fn stuck(self, stuck: &Stuck) -> Verdict {
        if self.health != Health::Progressing && self.health != Health::Degraded {
            return self;
        }
        let message = format!("{} of {} pods: {}", stuck.affected, stuck.total, stuck.message);
        Verdict {
            health: if stuck.broken { Health::Degraded } else { self.health },
            reason: if stuck.broken { Some(stuck.reason) } else { self.reason },
            message: clip(&message),
            terminal: stuck.terminal || self.terminal,
            ..self
        }
    }

    fn progressing(message: impl AsRef<str>) -> Verdict {
        Verdict::new(Health::Progressing, Reason::Progressing, message)
    }

    fn degraded(message: impl AsRef<str>) -> Verdict {
        Verdict::new(Health::Degraded, Reason::Degraded, message)
    }

    fn suspended(message: impl AsRef<str>) -> Verdict {
        Verdict::new(Health::Suspended, Reason::Suspended, message)
    }

    fn note(mut self, note: impl AsRef<str>) -> Verdict {
        self.message = clip(note.as_ref());
        self
    }

    fn again_in(mut self, after: Duration) -> Verdict {
        self.recheck = Some(after);
        self
    }

    fn finally(mut self) -> Verdict {
        self.terminal = true;
        self
    }

    /// Progressing for `grace` since `begun`, degraded after; begun at an unknown time is long ago.
    fn after_grace(begun: Option<Duration>, grace: Duration, message: impl AsRef<str>) -> Verdict {
        match begun.and_then(|held| grace.checked_sub(held)).filter(|left| !left.is_zero()) {
            Some(left) => Verdict::progressing(message).again_in(left),
            None => Verdict::degraded(message),
        }
    }
}

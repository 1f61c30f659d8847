//! What Git offers: renders every App of every source into a candidate for the brain.
//!
//! Content is stored before it is offered, so that whatever is granted can be served. A source, App or
//! render that fails keeps the last valid offer and says why; "nothing there" is never an offer.

use std::collections::{BTreeMap, BTreeSet};

use model::{AppName, ClusterUid, Digest, Facts, Reason, SourceName, Status};
use render::Diagnostic;
use rollout::Candidate;

use super::{Fleet, slot::Offer};
use crate::{
    content::{self, Content, Kind},
    registry::ClusterRecord,
    source::{Snapshot, Sources},
    telemetry,
};

/// The offers of all sources, and what they were made from.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// Digest of everything the offers depend on; equal means that nothing has to be done.
    basis: BTreeMap<SourceName, Digest>,
    /// Trace of the commit that each source stands at.
    commits: BTreeMap<SourceName, (String, Option<String>)>,
}

/// The offer of one App, and the source it comes from.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) source: SourceName,
    pub(super) app: AppName,
    pub(super) offer: Offered,
}

/// A new offer, or a fault beside which the last one stays.
#[derive(Debug)]
pub(super) enum Offered {
    Candidate(Box<Candidate>, String),
    Fault { status: Status, revision: String },
}

/// Everything found at one source.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) source: SourceName,
    pub(super) found: Vec<Found>,
    /// Why nothing of the commit may be used; then an App that was not found is not gone.
    pub(super) refused: Option<Status>,
}

type Clusters = BTreeMap<ClusterUid, ClusterRecord>;

impl Offers {
    /// Renders what changed since the last call: one survey for each source that has something new.
    pub(super) fn refresh(
        &mut self,
        sources: &Sources,
        names: impl Iterator<Item = SourceName>,
        clusters: &Clusters,
        fleet: &Fleet,
        content: &Content,
    ) -> Result<Vec<Survey>, content::Error> {
        let facts = facts(fleet);
        let fleet_basis = basis_of(clusters, &facts);
        let names: BTreeSet<_> = names.collect();
        self.basis.retain(|name, _| names.contains(name));
        let mut surveys = Vec::new();
        for name in names {
            let Some(snapshot) = sources.snapshot(&name) else { continue };
            let basis = Digest::of(format!("{} {fleet_basis}", snapshot.revision).as_bytes());
            if self.basis.get(&name) == Some(&basis) {
                continue;
            }
            let trace = self.trace_of(&name, &snapshot);
            let survey = survey(&name, &snapshot, clusters, &facts, trace.as_deref(), content)?;
            surveys.push(survey);
            self.basis.insert(name, basis);
        }
        Ok(surveys)
    }

    /// One trace per commit: a new commit begins one, a second look at it goes on with it.
    fn trace_of(&mut self, name: &SourceName, snapshot: &Snapshot) -> Option<String> {
        let revision = snapshot.revision.to_string();
        match self.commits.get(name) {
            Some((seen, trace)) if *seen == revision => trace.clone(),
            _ => {
                let trace = telemetry::commit_trace(name.as_str(), &revision, &snapshot.subject);
                self.commits.insert(name.clone(), (revision, trace.clone()));
                trace
            }
        }
    }
}

fn facts(fleet: &Fleet) -> BTreeMap<ClusterUid, Facts> {
    let mut facts = BTreeMap::new();
    fleet.each(|uid, agent| {
        if let Some(known) = &agent.facts {
            facts.insert(uid.clone(), known.clone());
        }
    });
    facts
}

/// Digest of what the offers depend on beside the commit: who is there, with which labels and facts.
fn basis_of(clusters: &Clusters, facts: &BTreeMap<ClusterUid, Facts>) -> Digest {
    let mut text = String::new();
    for (uid, cluster) in clusters {
        let known = facts.get(uid).unwrap_or(&Facts::Null);
        text.push_str(&format!("{uid} {} {:?} {known}\n", cluster.name, cluster.labels));
    }
    Digest::of(text.as_bytes())
}

fn survey(
    source: &SourceName,
    snapshot: &Snapshot,
    clusters: &Clusters,
    facts: &BTreeMap<ClusterUid, Facts>,
    trace: Option<&str>,
    content: &Content,
) -> Result<Survey, content::Error> {
    let all = render::apps(&*snapshot.tree);
    let mut found = Vec::new();
    if all.refused {
        let fault = match fault(snapshot, &all.diagnostics) {
            Offered::Fault { status, .. } => Some(status),
            Offered::Candidate(..) => None,
        };
        return Ok(Survey { source: source.clone(), found, refused: fault });
    }
    for (app, parsed) in all.apps {
        let offered = match parsed {
            Err(diagnostics) => fault(snapshot, &diagnostics),
            Ok(parsed) => match parsed.reference_fault(&snapshot.revision.reference) {
                Some(other) => fault(snapshot, &[other]),
                None => offer(&parsed, snapshot, clusters, facts, trace, content)?,
            },
        };
        found.push(Found { source: source.clone(), app, offer: offered });
    }
    Ok(Survey { source: source.clone(), found, refused: None })
}

/// Selects, renders once per distinct variant, stores the content.
fn offer(
    app: &render::App,
    snapshot: &Snapshot,
    clusters: &Clusters,
    facts: &BTreeMap<ClusterUid, Facts>,
    trace: Option<&str>,
    content: &Content,
) -> Result<Offered, content::Error> {
    let mut selected = Vec::new();
    for cluster in clusters.values() {
        let known = facts.get(&cluster.uid).unwrap_or(&Facts::Null);
        match app.targets.selects(&cluster.labels, known) {
            Ok(true) => selected.push((&cluster.uid, &cluster.name, &cluster.labels)),
            Ok(false) => {}
            Err(error) => {
                let message = format!("{}: cluster `{}`: {error}", app.file, cluster.name);
                let status = Status::because(Reason::AppInvalid, message);
                return Ok(Offered::Fault { status, revision: snapshot.revision.to_string() });
            }
        }
    }
    let span = tracing::info_span!("render", app = %app.name, clusters = selected.len());
    telemetry::follow(&span, trace);
    let variants = span.in_scope(|| render::render_all(app, &*snapshot.tree, selected));
    if variants.faults.iter().any(Diagnostic::is_error) {
        return Ok(fault(snapshot, &variants.faults));
    }
    for rendered in variants.rendered.values() {
        let objects = rendered.objects.iter().map(|(digest, bytes)| (*digest, bytes.as_slice()));
        content.put_all(Kind::Object, objects)?;
        content.put(Kind::Manifest, &rendered.manifest.canonical())?;
    }
    let candidate = Candidate {
        commit: snapshot.revision.commit.clone(),
        reference: snapshot.revision.reference.clone(),
        author: snapshot.author.clone(),
        subject: snapshot.subject.clone(),
        targets: app.targets.clone(),
        strategy: app.strategy.clone(),
        variants: variants.by_cluster.into(),
        trace: trace.map(str::to_owned),
        hard_to_undo: Vec::new(),
    };
    Ok(Offered::Candidate(Box::new(candidate), app.drift.as_str().to_owned()))
}

fn fault(snapshot: &Snapshot, diagnostics: &[Diagnostic]) -> Offered {
    let errors: Vec<_> = diagnostics.iter().filter(|d| d.is_error()).collect();
    let status = match errors.split_first() {
        None => Status::because(Reason::AppInvalid, "the App cannot be read"),
        Some((first, rest)) => {
            let more = match rest.len() {
                0 => String::new(),
                n => format!(" (and {n} more; `tidegate lint` shows all)"),
            };
            let message = format!("{first}{more}");
            Status::because(first.reason, message)
        }
    };
    Offered::Fault { status, revision: snapshot.revision.to_string() }
}

impl Offer {
    /// Takes what was found; a fault leaves the last valid candidate in force.
    pub(super) fn take(&mut self, offered: Offered) {
        match offered {
            Offered::Candidate(candidate, drift) => {
                *self = Offer { candidate: Some(*candidate), drift, fault: None, fault_at: None };
            }
            Offered::Fault { status, revision } => {
                self.fault = Some(status);
                self.fault_at = Some(revision);
            }
        }
    }
}

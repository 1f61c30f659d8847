//! What Git offers: renders every App of every source into a candidate for the brain.
//!
//! Rendering happens on threads of its own (see `bench`); the driver starts it and takes what is done.
//! Content is stored before it is offered, so that whatever is granted can be served. A source, App or
//! render that fails keeps the last valid offer and says why; "nothing there" is never an offer.

mod proven;
mod memo;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use model::{AppName, ClusterUid, Digest, Facts, Reason, SourceName, Status};
use render::{Diagnostic, Kit, Policy, Target};
use rollout::{Candidate, Proven};
use sandbox::Renderers;
use tokio::sync::watch;

use memo::{Memos, Traced};

use super::{
    Fleet,
    bench::{Bench, Lane, Subject},
    circle,
    claims::Held,
    driver::Parts,
    slot::Offer,
};
pub(super) use proven::Wanted;

use crate::{
    content::{self, Content, Kind},
    registry::ClusterRecord,
    source::{Snapshot, SourceCharts},
    telemetry,
};

/// What the offers were made from, and who makes them.
#[derive(Debug)]
pub(super) struct Offers {
    /// Digest of everything the offers depend on; equal means that nothing has to be done.
    basis: BTreeMap<SourceName, Digest>,
    /// Trace of the commit that each source stands at.
    commits: BTreeMap<SourceName, (String, Option<String>)>,
    bench: Bench<Done>,
    /// Number of the newest look at anything.
    number: u64,
    /// Of each source and App, the newest look whose outcome was taken: an older one comes too late.
    taken: BTreeMap<(SourceName, Option<AppName>), u64>,
    /// The Apps of each source by the newest survey: one that left comes back by no late outcome.
    present: BTreeMap<SourceName, BTreeSet<AppName>>,
    /// Of each App whose proven release was asked for: what it was rendered from, and the newest look taken.
    proven: BTreeMap<AppName, (Digest, u64)>,
    /// What was rendered before.
    memos: Arc<Memos>,
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
    Candidate(Box<Ready>),
    Fault { status: Status, revision: String },
}

/// A candidate, and what comes with it.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) candidate: Candidate,
    pub(super) drift: String,
    /// What it holds where.
    pub(super) held: Held,
}

/// Which Apps a source has.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) source: SourceName,
    /// The commit that was looked at.
    pub(super) revision: String,
    pub(super) apps: BTreeSet<AppName>,
    /// Why nothing of the commit may be used; then an App that was not found is not gone.
    pub(super) refused: Option<Status>,
}

/// What was found out.
#[derive(Debug)]
pub(super) enum News {
    Survey(Box<Survey>),
    Found(Box<Found>),
    Proven(AppName, Proven),
}

/// An outcome of a thread.
#[derive(Debug)]
struct Done {
    number: u64,
    source: SourceName,
    app: Option<AppName>,
    news: Result<News, content::Error>,
}

type Clusters = BTreeMap<ClusterUid, ClusterRecord>;

impl Default for Offers {
    fn default() -> Offers {
        Offers {
            basis: BTreeMap::new(),
            commits: BTreeMap::new(),
            bench: Bench::start(),
            number: 0,
            taken: BTreeMap::new(),
            present: BTreeMap::new(),
            proven: BTreeMap::new(),
            memos: Arc::default(),
        }
    }
}

impl Drop for Offers {
    fn drop(&mut self) {
        self.bench.close();
    }
}

impl Offers {
    /// Apps that were rendered since the hub started; the others of a commit were as before.
    pub(super) fn renders(&self) -> u64 {
        self.memos.renders()
    }

    /// Rises when there may be news.
    pub(super) fn moved(&self) -> watch::Receiver<u64> {
        self.bench.moved()
    }

    /// Begins to render what changed since the last call.
    pub(super) fn refresh(
        &mut self,
        parts: &Parts,
        names: impl Iterator<Item = SourceName>,
        clusters: &Clusters,
    ) {
        let facts = facts(&parts.fleet);
        let (policy, version) = parts.policy.now();
        let fleet_basis = format!("{} {version:?}", basis_of(clusters, &facts));
        let names: BTreeSet<_> = names.collect();
        self.basis.retain(|name, _| names.contains(name));
        self.taken.retain(|(name, _), _| names.contains(name));
        self.present.retain(|name, _| names.contains(name));
        let mut shared = None;
        for name in names {
            let Some(snapshot) = parts.sources.snapshot(&name) else { continue };
            let Some(charts) = parts.sources.charts(&name) else { continue };
            let news = (&snapshot.revision, charts.basis(), charts.news());
            let basis = Digest::of(format!("{news:?} {fleet_basis}").as_bytes());
            if self.basis.get(&name) == Some(&basis) {
                continue;
            }
            let trace = self.trace_of(&name, &snapshot);
            let (clusters, facts) = shared
                .get_or_insert_with(|| (Arc::new(clusters.clone()), Arc::new(facts.clone())))
                .clone();
            self.number += 1;
            let lasting = Digest::of(format!("{} {fleet_basis}", charts.basis()).as_bytes());
            let view = Arc::new(View {
                number: self.number,
                source: name.clone(),
                charts,
                snapshot,
                clusters,
                facts,
                policy: policy.clone(),
                renderers: parts.renderers.clone(),
                content: Arc::clone(&parts.content),
                trace,
                memos: Some((lasting, Arc::clone(&self.memos))),
            });
            let panicked = view.panicked(None);
            let run = move |bench: &Bench<Done>| survey(&view, bench);
            self.bench.add(Lane::Plain, Subject::Apps(name.clone()), panicked, run);
            self.basis.insert(name, basis);
        }
    }

    /// What was found out since the last call. After an error the source is rendered again.
    pub(super) fn news(&mut self) -> Result<Vec<News>, content::Error> {
        let mut all = Vec::new();
        let mut fault = Ok(());
        for Done { number, source, app, news } in self.bench.collect() {
            if !self.basis.contains_key(&source) {
                continue;
            }
            let (app, news) = match (app, news) {
                (Some(app), Ok(News::Proven(_, proven))) => {
                    if self.is_newest_proof(&app, number) {
                        all.push(News::Proven(app, proven));
                    }
                    continue;
                }
                other => other,
            };
            let present = self.present.entry(source.clone()).or_default();
            if app.as_ref().is_some_and(|app| !present.contains(app)) {
                continue;
            }
            let taken = self.taken.entry((source.clone(), app)).or_default();
            if number <= *taken {
                continue;
            }
            if let Ok(News::Survey(survey)) = &news
                && survey.refused.is_none()
            {
                present.clone_from(&survey.apps);
            }
            match news {
                Ok(news) => {
                    *taken = number;
                    all.push(news);
                }
                Err(error) => {
                    self.basis.remove(&source);
                    fault = Err(error);
                }
            }
        }
        if all.is_empty() { fault.map(|()| all) } else { Ok(all) }
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

/// All that the Apps of one source are rendered from.
struct View {
    number: u64,
    source: SourceName,
    charts: SourceCharts,
    snapshot: Snapshot,
    clusters: Arc<Clusters>,
    facts: Arc<BTreeMap<ClusterUid, Facts>>,
    policy: Option<Arc<Policy>>,
    renderers: Renderers,
    content: Arc<Content>,
    trace: Option<String>,
    /// Offers of before, and what they depend on beside App and tree; not for a look at an older commit.
    memos: Option<(Digest, Arc<Memos>)>,
}

impl View {
    fn done(&self, app: Option<AppName>, news: Result<News, content::Error>) -> Done {
        Done { number: self.number, source: self.source.clone(), app, news }
    }

    fn found(&self, app: AppName, offer: Result<Offered, content::Error>) -> Done {
        let source = self.source.clone();
        let news =
            offer.map(|offer| News::Found(Box::new(Found { source, app: app.clone(), offer })));
        self.done(Some(app), news)
    }

    /// What everything but the tree comes to for one App.
    fn basis_of(&self, app: &render::App) -> Option<Digest> {
        let (fleet, _) = self.memos.as_ref()?;
        Some(Digest::of(format!("{fleet} {app:?}").as_bytes()))
    }

    /// The offer of before, when this commit changes nothing that it reached.
    fn remembered(&self, app: &render::App) -> Option<Ready> {
        let (_, memos) = self.memos.as_ref()?;
        let basis = self.basis_of(app)?;
        let mut ready = memos.find((&self.source, &app.name), basis, &*self.snapshot.tree)?;
        self.sign(&mut ready.candidate);
        Some(ready)
    }

    /// Writes down which commit an offer is of.
    fn sign(&self, candidate: &mut Candidate) {
        let revision = &self.snapshot.revision;
        candidate.commit.clone_from(&revision.commit);
        candidate.reference.clone_from(&revision.reference);
        candidate.author.clone_from(&self.snapshot.author);
        candidate.subject.clone_from(&self.snapshot.subject);
        candidate.trace.clone_from(&self.trace);
    }

    /// What is said when rendering panics: an error of ours, and the last release stays.
    fn panicked(&self, app: Option<AppName>) -> Done {
        let message = "rendering broke off; the log of the hub has the place";
        let status = Status::because(Reason::Internal, message);
        let revision = self.snapshot.revision.to_string();
        if let Some(app) = app {
            return self.found(app, Ok(Offered::Fault { status, revision }));
        }
        self.survey(BTreeSet::new(), Some(status))
    }

    /// Which Apps there are, or why nothing of the commit may be used.
    fn survey(&self, apps: BTreeSet<AppName>, refused: Option<Status>) -> Done {
        let (source, revision) = (self.source.clone(), self.snapshot.revision.to_string());
        let survey = Survey { source, revision, apps, refused };
        self.done(None, Ok(News::Survey(Box::new(survey))))
    }
}

/// Reads which Apps there are, and queues each.
fn survey(view: &Arc<View>, bench: &Bench<Done>) -> Vec<Done> {
    let mut all = render::apps(&*view.snapshot.tree);
    for (name, fault) in circle::within(all.apps.values().flatten()) {
        all.apps.insert(name, Err(vec![fault]));
    }
    for fault in &all.diagnostics {
        tracing::warn!(source = %view.source, revision = %view.snapshot.revision, "{fault}");
    }
    if all.refused {
        let refused = match fault(&view.snapshot, &all.diagnostics) {
            Offered::Fault { status, .. } => Some(status),
            Offered::Candidate(_) => None,
        };
        return vec![view.survey(BTreeSet::new(), refused)];
    }
    let apps: BTreeSet<_> = all.apps.keys().cloned().collect();
    if let Some((_, memos)) = &view.memos {
        memos.retain(&view.source, &apps);
    }
    bench.tell(view.survey(apps, None));
    let mut done = Vec::new();
    for (name, parsed) in all.apps {
        let reference = &view.snapshot.revision.reference;
        let signers: Vec<_> = view.snapshot.signed_by.iter().map(|v| v.signer.as_str()).collect();
        let checked = parsed.and_then(|app| {
            let other = app.reference_fault(reference);
            match other.or_else(|| app.signature_fault(&signers)) {
                Some(fault) => Err(vec![fault]),
                None => Ok(app),
            }
        });
        match checked {
            Ok(app) => match view.remembered(&app) {
                Some(ready) => {
                    let offer = Offered::Candidate(Box::new(ready));
                    done.push(view.found(name, Ok(offer)));
                }
                None => queue(view, bench, app),
            },
            Err(faults) => done.push(view.found(name, Ok(fault(&view.snapshot, &faults)))),
        }
    }
    done
}

fn queue(view: &Arc<View>, bench: &Bench<Done>, app: render::App) {
    let tools = render::wants_tools(&app, &*view.snapshot.tree);
    let lane = if tools { Lane::Tools } else { Lane::Plain };
    let subject = Subject::App(view.source.clone(), app.name.clone());
    let panicked = view.panicked(Some(app.name.clone()));
    let own = Arc::clone(view);
    bench.add(lane, subject, panicked, move |_| {
        vec![own.found(app.name.clone(), offer(&app, &own))]
    });
}

/// Selects, renders once per distinct variant, stores the content.
fn offer(app: &render::App, view: &View) -> Result<Offered, content::Error> {
    let View { snapshot, clusters, content, trace, .. } = view;
    let mut selected = Vec::new();
    for cluster in clusters.values() {
        let known = view.facts.get(&cluster.uid).unwrap_or(&Facts::Null);
        match app.targets.selects(&cluster.labels, known) {
            Ok(true) => selected.push(Target {
                uid: &cluster.uid,
                name: &cluster.name,
                labels: &cluster.labels,
                facts: known,
            }),
            Ok(false) => {}
            Err(error) => {
                let message = format!("{}: cluster `{}`: {error}", app.file, cluster.name);
                let status = Status::because(Reason::AppInvalid, message);
                return Ok(Offered::Fault { status, revision: snapshot.revision.to_string() });
            }
        }
    }
    let span = tracing::info_span!("render", app = %app.name, clusters = selected.len());
    telemetry::follow(&span, trace.as_deref());
    let (policy, source) = (view.policy.as_deref(), Some(&view.source));
    let kit = Kit { tools: &view.renderers, charts: &view.charts, policy, source };
    let traced = Traced::new(&*snapshot.tree);
    if let Some((_, memos)) = &view.memos {
        memos.count();
    }
    let variants = span.in_scope(|| render::render_all(&kit, app, &traced, selected));
    if variants.faults.iter().any(Diagnostic::is_error) {
        return Ok(fault(snapshot, &variants.faults));
    }
    let mut held = Held { by_cluster: variants.by_cluster.clone(), ..Held::default() };
    for (digest, rendered) in &variants.rendered {
        let objects = rendered.objects.iter().map(|(digest, bytes)| (*digest, bytes.as_slice()));
        content.put_all(Kind::Object, objects)?;
        content.put(Kind::Manifest, &rendered.manifest.canonical())?;
        let keys = rendered.manifest.entries().iter().map(|entry| entry.key.clone());
        held.objects.insert(*digest, Arc::new(keys.collect()));
    }
    let candidate = Candidate {
        commit: snapshot.revision.commit.clone(),
        reference: snapshot.revision.reference.clone(),
        author: snapshot.author.clone(),
        subject: snapshot.subject.clone(),
        targets: app.targets.clone(),
        strategy: app.strategy.clone(),
        variants: variants.by_cluster.into(),
        trace: trace.clone(),
        hard_to_undo: Vec::new(),
    };
    let drift = app.drift.as_str().to_owned();
    let ready = Ready { candidate, drift, held };
    if let (Some((_, memos)), Some(basis)) = (&view.memos, view.basis_of(app)) {
        memos.keep((&view.source, &app.name), basis, &traced, &ready);
    }
    Ok(Offered::Candidate(Box::new(ready)))
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
            Offered::Candidate(ready) => {
                let Ready { candidate, drift, .. } = *ready;
                *self = Offer {
                    candidate: Some(Arc::new(candidate)),
                    drift,
                    fault: None,
                    fault_at: None,
                };
            }
            Offered::Fault { status, revision } => {
                self.fault = Some(status);
                self.fault_at = Some(revision);
            }
        }
    }
}

//! The proven release for clusters that came after it: what the catch-up lane hands out while a newer commit
//! is on its way. Rendered only when such a cluster is there, from the commit that was proven.
//!
//! What cannot be rendered is not offered, and the cluster waits for the rollout: artifacts of registries, whose
//! older versions are not kept, and commits that the mirror lost.

use std::{collections::BTreeMap, sync::Arc};

use model::{AppName, ClusterUid, Commit, Digest, Facts, SourceName};
use render::Policy;
use rollout::Proven;

use super::{
    Clusters, Done, Lane, News, Offered, Offers, Parts, Subject, View, basis_of, facts, offer,
};

/// A proven release that lacks clusters.
#[derive(Debug)]
pub(in crate::engine) struct Wanted {
    pub(in crate::engine) app: AppName,
    pub(in crate::engine) source: SourceName,
    pub(in crate::engine) commit: Commit,
}

impl Offers {
    /// Begins to render what is wanted and was not rendered yet for these clusters.
    pub(in crate::engine) fn prove(
        &mut self,
        parts: &Parts,
        wanted: Vec<Wanted>,
        clusters: &Clusters,
    ) {
        self.proven.retain(|app, _| wanted.iter().any(|w| w.app == *app));
        if wanted.is_empty() {
            return;
        }
        let facts = facts(&parts.fleet);
        let (policy, version) = parts.policy.now();
        let fleet = format!("{} {version:?}", basis_of(clusters, &facts));
        let (clusters, facts) = (Arc::new(clusters.clone()), Arc::new(facts));
        for Wanted { app, source, commit } in wanted {
            let basis = Digest::of(format!("{source} {commit} {fleet}").as_bytes());
            if self.proven.get(&app).is_some_and(|(known, _)| *known == basis) {
                continue;
            }
            let taken = self.proven.get(&app).map(|(_, taken)| *taken).unwrap_or_default();
            self.proven.insert(app.clone(), (basis, taken));
            self.number += 1;
            let render = Render {
                number: self.number,
                app: app.clone(),
                source,
                commit,
                clusters: Arc::clone(&clusters),
                facts: Arc::clone(&facts),
                policy: policy.clone(),
            };
            let sources = parts.sources.clone();
            let Some(charts) = sources.charts(&render.source) else { continue };
            let (renderers, content) = (parts.renderers.clone(), Arc::clone(&parts.content));
            let variants = rollout::Variants::default();
            let nothing = render.done(Proven { commit: render.commit.clone(), variants });
            // It is rare, and whether it needs a tool is known when it is read.
            self.bench.add(Lane::Tools, Subject::Proven(app), nothing, move |_| {
                let snapshot = sources.at(&render.source, &render.commit);
                let view = snapshot.map(|snapshot| View {
                    number: render.number,
                    source: render.source.clone(),
                    charts,
                    snapshot,
                    clusters: Arc::clone(&render.clusters),
                    facts: Arc::clone(&render.facts),
                    policy: render.policy.clone(),
                    renderers,
                    content,
                    trace: None,
                    memos: None,
                });
                view.and_then(|view| render.run(&view)).into_iter().collect()
            });
        }
    }

    /// Whether nothing newer was taken; takes it.
    pub(super) fn is_newest_proof(&mut self, app: &AppName, number: u64) -> bool {
        let Some((_, taken)) = self.proven.get_mut(app) else { return false };
        let newest = *taken < number;
        *taken = number.max(*taken);
        newest
    }
}

/// One release to render once more.
struct Render {
    number: u64,
    app: AppName,
    source: SourceName,
    commit: Commit,
    clusters: Arc<Clusters>,
    facts: Arc<BTreeMap<ClusterUid, Facts>>,
    policy: Option<Arc<Policy>>,
}

impl Render {
    fn run(&self, view: &View) -> Option<Done> {
        let app = render::apps(&*view.snapshot.tree).apps.remove(&self.app)?;
        match offer(&app.ok()?, view) {
            Ok(Offered::Candidate(ready)) => {
                let variants = ready.candidate.variants.clone();
                Some(self.done(Proven { commit: self.commit.clone(), variants }))
            }
            Ok(Offered::Fault { status, .. }) => {
                let (app, commit) = (&self.app, self.commit.short());
                tracing::warn!(%app, %commit, ?status, "the proven release does not render any more");
                None
            }
            Err(error) => {
                tracing::warn!(app = %self.app, %error, "the proven release cannot be stored");
                None
            }
        }
    }

    fn done(&self, proven: Proven) -> Done {
        let news = Ok(News::Proven(self.app.clone(), proven));
        Done { number: self.number, source: self.source.clone(), app: Some(self.app.clone()), news }
    }
}

//! What of a new candidate could not simply be taken back: told by what each cluster would return to.

use std::collections::BTreeSet;

use model::{Digest, Manifest};
use rollout::Candidate;

use crate::content::Content;

/// Pairs of contents that one candidate is compared by: as many as it has variants, times what its clusters run. Beyond
/// it a fleet is in disorder, and what comes first stands for the rest.
const PAIRS_MAX: usize = 64;

/// Fills [`Candidate::hard_to_undo`]. Content that cannot be read is passed over: it is no reason to hold a release.
pub(super) fn judge(candidate: &mut Candidate, app: &rollout::App, content: &Content) {
    let stable = app.stable.as_ref().map(|release| &release.variants);
    let mut pairs: BTreeSet<(Digest, Digest)> = BTreeSet::new();
    for (uid, new) in candidate.variants.iter() {
        let good = app.clusters.get(uid).and_then(|holding| holding.good.first());
        let old = good.or_else(|| stable.and_then(|stable| stable.get(uid)));
        if let Some(old) = old.filter(|old| *old != new)
            && pairs.len() < PAIRS_MAX
        {
            pairs.insert((*old, *new));
        }
    }
    let read = |digest: &Digest| content.get(digest).ok().flatten();
    let manifest = |digest: &Digest| Manifest::parse(&read(digest)?).ok();
    let mut told = BTreeSet::new();
    for (old, new) in pairs {
        if let (Some(old), Some(new)) = (manifest(&old), manifest(&new)) {
            let object = |digest: &Digest| read(digest).map(|bytes| bytes.to_vec());
            told.extend(render::hard_to_undo(&old, &new, object));
        }
    }
    candidate.hard_to_undo = told.into_iter().collect();
}

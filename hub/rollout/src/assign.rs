//! The order of clusters within a wave: a seeded rendezvous hash, so that it is the same for every release
//! and a cluster that joins or leaves moves nobody else.

use model::{ClusterUid, Digest, Labels};

use crate::spec::{Assign, Order};

/// Sorts `clusters` into the order of their turn. `fallback` is the seed when none is given, `turn` what is
/// new about this release.
pub(crate) fn ordered<'a>(
    assign: &Assign,
    fallback: &str,
    turn: &str,
    clusters: impl Iterator<Item = (&'a ClusterUid, &'a Labels)>,
) -> Vec<ClusterUid> {
    let seed = if assign.seed.is_empty() { fallback } else { &assign.seed };
    let turn = if assign.rotate { turn } else { "" };
    let rank = |uid: &ClusterUid| Digest::of(format!("{seed}{turn}\n{uid}").as_bytes());
    let first = |labels: &Labels| match &assign.order {
        Order::Hash => None,
        // `false` sorts before `true`: clusters without the label come last.
        Order::Label(key) => Some((!labels.contains_key(key), labels.get(key).cloned())),
    };
    let mut all: Vec<_> = clusters.map(|(uid, l)| (first(l), rank(uid), uid.clone())).collect();
    all.sort();
    all.into_iter().map(|(_, _, uid)| uid).collect()
}

//! Which App holds which object on which cluster, as far as is known: no second one may claim it.
//!
//! Two Apps that hold one object would undo each other's work for ever. The agent refuses the second too;
//! here it is found before anything leaves the hub, and on all clusters at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use model::{AppName, ClusterUid, Digest, ObjectKey};

/// What one App holds where.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    /// The manifest of each cluster.
    pub(super) by_cluster: BTreeMap<ClusterUid, Digest>,
    /// The objects of each manifest.
    pub(super) objects: BTreeMap<Digest, Arc<BTreeSet<ObjectKey>>>,
}

impl Held {
    fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.objects.values().flat_map(|keys| keys.iter())
    }

    fn holds(&self, key: &ObjectKey, cluster: &ClusterUid) -> bool {
        let digest = self.by_cluster.get(cluster);
        digest.and_then(|digest| self.objects.get(digest)).is_some_and(|keys| keys.contains(key))
    }
}

/// What all Apps hold.
#[derive(Debug, Default)]
pub(super) struct Claims {
    apps: BTreeMap<AppName, Held>,
    holders: BTreeMap<ObjectKey, BTreeSet<AppName>>,
}

impl Claims {
    /// An object that another App holds on a cluster where this one wants it, and that App.
    pub(super) fn conflict(&self, app: &AppName, wanted: &Held) -> Option<(ObjectKey, AppName)> {
        for key in wanted.keys() {
            let others = self.holders.get(key).into_iter().flatten().filter(|other| *other != app);
            for other in others {
                let Some(theirs) = self.apps.get(other) else { continue };
                let both =
                    |cluster: &ClusterUid| wanted.holds(key, cluster) && theirs.holds(key, cluster);
                if wanted.by_cluster.keys().any(both) {
                    return Some((key.clone(), other.clone()));
                }
            }
        }
        None
    }

    /// Remembers what an App holds now.
    pub(super) fn take(&mut self, app: &AppName, held: Held) {
        self.forget(app);
        for key in held.keys() {
            self.holders.entry(key.clone()).or_default().insert(app.clone());
        }
        self.apps.insert(app.clone(), held);
    }

    /// The App is gone from Git: what becomes of its objects is between it and the clusters.
    pub(super) fn forget(&mut self, app: &AppName) {
        let Some(held) = self.apps.remove(app) else { return };
        for key in held.keys() {
            if let Some(holders) = self.holders.get_mut(key) {
                holders.remove(app);
                if holders.is_empty() {
                    self.holders.remove(key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::ObjectParts;

    use super::*;

    fn uid(n: u8) -> ClusterUid {
        ClusterUid::parse(&format!("00000000-0000-4000-8000-0000000000{n:02}")).unwrap()
    }

    fn held(clusters: &[u8], names: &[&str]) -> Held {
        let digest = Digest::of(names.concat().as_bytes());
        let key = |name: &&str| {
            ObjectParts {
                group: String::new(),
                kind: "ConfigMap".to_owned(),
                namespace: "shop".to_owned(),
                name: (*name).to_owned(),
            }
            .into()
        };
        Held {
            by_cluster: clusters.iter().map(|n| (uid(*n), digest)).collect(),
            objects: [(digest, Arc::new(names.iter().map(key).collect()))].into(),
        }
    }

    #[test]
    fn only_the_same_object_on_the_same_cluster_conflicts() {
        let [one, other] = ["one", "other"].map(|name| AppName::parse(name).unwrap());
        let mut claims = Claims::default();
        claims.take(&one, held(&[1, 2], &["a", "b"]));
        let conflict = |claims: &Claims, wanted: &Held| {
            claims.conflict(&other, wanted).map(|(key, app)| (key.name.clone(), app.to_string()))
        };
        let found = Some(("b".to_owned(), "one".to_owned()));
        assert_eq!(conflict(&claims, &held(&[2, 3], &["b", "c"])), found);
        assert_eq!(conflict(&claims, &held(&[3], &["a", "b"])), None);
        assert_eq!(conflict(&claims, &held(&[1, 2], &["c"])), None);
        assert_eq!(claims.conflict(&one, &held(&[1], &["a"])), None, "it is its own");
        claims.take(&one, held(&[1, 2], &["a"]));
        assert_eq!(conflict(&claims, &held(&[2], &["b"])), None, "it was given up");
        claims.forget(&one);
        assert_eq!(conflict(&claims, &held(&[1], &["a"])), None);
        assert!(claims.holders.is_empty());
    }
}

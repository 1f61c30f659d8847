//! An inventory that was lost or forged, made again from what the cluster shows.

use model::AppName;

use super::{Entry, Inventory};
use crate::live::Live;
use crate::order::Position;

impl Inventory {
    /// Makes the inventory of `app` again. An object is taken for ours only when it carries the label,
    /// the tracking id of itself, *and* an Apply entry of our manager: an operator that copies our marks
    /// to a child copies neither of the last two. `live` must hold all objects with the label;
    /// `version` tells the version that a kind is served with. Everything is pending, so that the next
    /// sync applies it again; nothing is known about dependencies, so that deletion goes by kind.
    pub fn rebuild(app: AppName, live: &Live, version: &dyn Fn(&str, &str) -> String) -> Inventory {
        let mut inventory = Inventory::new(app);
        for (key, meta) in live.iter() {
            let ours = meta.owner.as_deref() == Some(inventory.app.as_str())
                && meta.id.as_deref() == Some(&key.id())
                && meta.sig.is_some();
            if !ours {
                continue;
            }
            let entry = Entry {
                uid: Some(meta.uid.clone()),
                sig: meta.sig,
                resource_version: meta.resource_version.clone(),
                position: Position::of_kind(key),
                ..Entry::claimed(&version(&key.group, &key.kind))
            };
            inventory.entries.insert(key.clone(), entry);
        }
        inventory
    }
}

//! What people said of a cluster, as documents.

use jiff::Timestamp;
use model::api::{MarkItem, Pins};

use crate::registry::{ClusterRecord, MarkRecord};

/// Cordon and pins of a cluster that hold now.
pub(super) fn of_cluster(record: &ClusterRecord, now: Timestamp) -> (Option<MarkItem>, Pins) {
    let pins = record.pins.iter().filter(|(_, mark)| mark.holds(now));
    (
        record.cordon_at(now).map(|mark| item(record, mark)),
        pins.map(|(app, mark)| (app.clone(), item(record, mark))).collect(),
    )
}

fn item(record: &ClusterRecord, mark: &MarkRecord) -> MarkItem {
    let MarkRecord { by, reason, at, until } = mark.clone();
    MarkItem { scope: format!("cluster/{}", record.name), by, reason, at, until }
}

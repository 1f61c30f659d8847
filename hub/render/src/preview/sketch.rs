//! Whether an App can be changed at all, told without running a tool: what a tool would be given says what it would
//! answer. Of a large repository only what a change reaches is rendered in earnest.

use std::sync::Arc;

use model::ClusterUid;

use crate::{
    app::App,
    fleet::FleetCluster,
    kit::Kit,
    place::{Placement, place},
    tools::{Job, Output, Tool, ToolError, Tools},
    tree::Tree,
};

/// Answers with one object that is named by the digest of what was asked.
struct Sketch;

impl Tools for Sketch {
    fn run(&self, job: &Job) -> Result<Output, ToolError> {
        let digest = job.digest().to_string();
        let name = digest.rsplit(':').next().unwrap_or_default();
        let object = format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: x{name}}}}}\n");
        Ok(Arc::from(object.into_bytes()))
    }

    fn version(&self, _tool: Tool) -> Result<String, ToolError> {
        Ok(String::new())
    }
}

/// Whether every cluster gets what it had. `false` also when that cannot be told.
pub(super) fn untouched(
    kit: &Kit<'_>,
    app: &App,
    (base, head): (&dyn Tree, &dyn Tree),
    clusters: &[FleetCluster],
) -> bool {
    let sketch = Kit { tools: &Sketch, policy: None, source: kit.source };
    let before = place(&sketch, app, base, clusters);
    // What cannot be rendered has a fault to tell, and it may be another one.
    if !before.faults.is_empty() {
        return false;
    }
    let after = place(&sketch, app, head, clusters);
    let uids = |of: &Placement<'_>| -> Vec<ClusterUid> {
        of.targets.iter().map(|cluster| cluster.uid.clone()).collect()
    };
    after.faults.is_empty()
        && uids(&before) == uids(&after)
        && before.variants.by_cluster == after.variants.by_cluster
}

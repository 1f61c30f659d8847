//! Whether an App can be changed at all, told without running a tool: what a tool would be given says what it would
//! answer. Of a large repository only what a change reaches is rendered in earnest.

use std::sync::Arc;

use crate::{
    app::App,
    fleet::{FleetCluster, Target},
    kit::Kit,
    release::render_all,
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
    let sketch = Kit { tools: &Sketch, policy: None, ..*kit };
    // The same App selects the same clusters, whatever its files are.
    let mut targets = Vec::new();
    for cluster in clusters {
        match app.targets.selects(&cluster.labels, &cluster.facts) {
            Ok(true) => targets.push(Target::from(cluster)),
            Ok(false) => {}
            Err(_) => return false,
        }
    }
    let before = render_all(&sketch, app, base, targets.iter().copied());
    // What cannot be rendered has a fault to tell, and it may be another one.
    if !before.faults.is_empty() {
        return false;
    }
    let after = render_all(&sketch, app, head, targets);
    after.faults.is_empty() && before.by_cluster == after.by_cluster
}

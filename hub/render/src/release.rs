//! From an App and a commit to what each cluster shall run.
//!
//! Complete or nothing: a fault anywhere means that there is no release, never a smaller one. An empty
//! set of objects is a fault too.

use std::collections::BTreeMap;

use model::{ClusterName, ClusterUid, Digest, Labels, Manifest, Reason};

use crate::{
    app::App,
    diagnostic::Diagnostic,
    limits,
    objects::Objects,
    template::Unresolved,
    tree::Tree,
    walk::{self, Found},
    yaml::{self, clip},
};

/// Clusters named in one fault; the others are counted.
const NAMED_MAX: usize = 5;

/// One variant of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The complete list of objects; its digest is what a grant carries.
    pub manifest: Manifest,
    /// Canonical bytes of every object, by digest.
    pub objects: BTreeMap<Digest, Vec<u8>>,
    /// Warnings.
    pub notes: Vec<Diagnostic>,
}

/// What every cluster of an App shall run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variants {
    /// The manifest of each cluster for which there is one.
    pub by_cluster: BTreeMap<ClusterUid, Digest>,
    /// Each distinct manifest, once.
    pub rendered: BTreeMap<Digest, Rendered>,
    /// Why a cluster has none. Not empty: this is no release.
    pub faults: Vec<Diagnostic>,
    /// How often a folder was rendered: once per distinct path, however many clusters share it.
    pub renders: usize,
}

/// Renders an App for a cluster with these labels.
pub fn render(app: &App, tree: &dyn Tree, labels: &Labels) -> Result<Rendered, Vec<Diagnostic>> {
    match app.path.resolve(app.folder(), labels) {
        Ok(path) => folder(app, tree, &path),
        Err(unresolved) => Err(vec![label_fault(app, &unresolved, "the cluster")]),
    }
}

/// Renders an App for many clusters, each distinct path once.
pub fn render_all<'a>(
    app: &App,
    tree: &dyn Tree,
    targets: impl IntoIterator<Item = (&'a ClusterUid, &'a ClusterName, &'a Labels)>,
) -> Variants {
    let mut variants = Variants::default();
    let mut paths: BTreeMap<String, Vec<(&ClusterUid, &ClusterName)>> = BTreeMap::new();
    let mut unresolved: BTreeMap<Unresolved, Vec<&ClusterName>> = BTreeMap::new();
    for (uid, name, labels) in targets {
        match app.path.resolve(app.folder(), labels) {
            Ok(path) => paths.entry(path).or_default().push((uid, name)),
            Err(why) => unresolved.entry(why).or_default().push(name),
        }
    }
    for (why, names) in unresolved {
        variants.faults.push(label_fault(app, &why, &named(&names)));
    }
    for (path, clusters) in paths {
        variants.renders += 1;
        match folder(app, tree, &path) {
            Ok(rendered) => {
                let digest = rendered.manifest.digest();
                let uids = clusters.iter().map(|(uid, _)| ((*uid).clone(), digest));
                variants.by_cluster.extend(uids);
                variants.rendered.entry(digest).or_insert(rendered);
            }
            Err(faults) if app.path.is_fixed() => variants.faults.extend(faults),
            Err(mut faults) => {
                let names: Vec<_> = clusters.iter().map(|(_, name)| *name).collect();
                if let Some(first) = faults.first_mut() {
                    first.message = format!("{} (for {})", first.message, named(&names));
                }
                variants.faults.extend(faults);
            }
        }
    }
    variants
}

fn named(names: &[&ClusterName]) -> String {
    let list: Vec<_> = names.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let more = names.len().saturating_sub(NAMED_MAX);
    let s = if names.len() == 1 { "" } else { "s" };
    match more {
        0 => format!("cluster{s} {}", list.join(", ")),
        more => format!("cluster{s} {} and {more} more", list.join(", ")),
    }
}

fn label_fault(app: &App, unresolved: &Unresolved, who: &str) -> Diagnostic {
    let path = app.path.as_str();
    let fault = |message: String| {
        Diagnostic::error(Reason::LabelMissing, &app.file, message).at(app.path_at)
    };
    match unresolved {
        Unresolved::Missing { label } => fault(format!(
            "`spec.source.path` is `{path}`, and label `{label}` is missing on {who}"
        ))
        .hint(format!(
            "set it with `tidegate cluster label`, or narrow `targets.select` with \
                     `has(labels.{label})`"
        )),
        Unresolved::Unfit { label, value } => fault(format!(
            "label `{label}` is `{}` on {who}, which cannot be the name of a folder",
            clip(value)
        ))
        .hint("use letters, digits, `-`, `_` and `.` in labels that make a path"),
    }
}

/// Renders one folder.
pub(crate) fn folder(app: &App, tree: &dyn Tree, path: &str) -> Result<Rendered, Vec<Diagnostic>> {
    let found = walk::files(tree, path).map_err(|faults| missing(app, path, faults))?;
    let mut objects = Objects::default();
    let mut bytes = 0;
    for file in &found {
        match sort(app, file) {
            Sort::Skip => continue,
            Sort::Refuse(fault) => {
                objects.faults.push(fault);
                continue;
            }
            Sort::Manifest => {}
        }
        bytes +=
            usize::try_from(file.bytes).unwrap_or(usize::MAX).min(limits::RELEASE_BYTES_MAX + 1);
        if bytes > limits::RELEASE_BYTES_MAX {
            let size = limits::RELEASE_BYTES_MAX >> 20;
            let message = format!("the manifests have more than {size} MiB from here on");
            objects.faults.push(Diagnostic::error(Reason::RenderTooLarge, &file.shown, message));
            break;
        }
        read(tree, file, &mut objects);
        if objects.faults.len() >= limits::DIAGNOSTICS_MAX {
            break;
        }
    }
    if !objects.faults.is_empty() {
        return Err(objects.faults);
    }
    if objects.is_empty() {
        let message = format!("`{path}` holds no object in a `.yaml`, `.yml` or `.json` file");
        let fault = Diagnostic::error(Reason::RenderEmpty, &app.file, message).at(app.path_at);
        return Err(vec![fault]);
    }
    let (manifest, objects) = objects.finish();
    Ok(Rendered { manifest, objects, notes: Vec::new() })
}

/// The folder itself is missing: the place to look is the `app.yaml`.
fn missing(app: &App, path: &str, faults: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let reason = if app.path.is_fixed() { Reason::PathMissing } else { Reason::VariantMissing };
    let point = |fault: Diagnostic| {
        if fault.reason != Reason::PathMissing {
            return fault;
        }
        let what = if fault.file == path { "it" } else { fault.file.as_str() };
        let message = match what {
            "it" => format!("folder `{path}` does not exist in this commit"),
            _ => format!("folder `{path}`: `{what}` does not exist in this commit"),
        };
        Diagnostic::error(reason, &app.file, message).at(app.path_at)
    };
    faults.into_iter().map(point).collect()
}

enum Sort {
    Manifest,
    Skip,
    Refuse(Diagnostic),
}

fn sort(app: &App, file: &Found) -> Sort {
    let name = file.shown.rsplit('/').next().unwrap_or_default();
    let refuse = |what: &str| {
        let message = format!("{what}, which is not supported yet");
        let hint =
            "render it in your pipeline and commit the result, or point `source.path` elsewhere";
        let fault = Diagnostic::error(Reason::NotSupportedYet, &file.shown, message);
        Sort::Refuse(fault.hint(hint))
    };
    let dot = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match name {
        _ if file.real == app.file => Sort::Skip,
        "kustomization.yaml" | "kustomization.yml" | "Kustomization" => {
            refuse("the folder is for Kustomize")
        }
        "Chart.yaml" => refuse("the folder is a Helm chart"),
        _ if ["yaml", "yml", "json"].contains(&dot.to_ascii_lowercase().as_str()) => Sort::Manifest,
        _ => Sort::Skip,
    }
}

fn read(tree: &dyn Tree, file: &Found, objects: &mut Objects) {
    let bytes = match tree.read(&file.real) {
        Ok(bytes) => bytes,
        Err(error) => return objects.faults.push(walk::tree_fault(&error)),
    };
    match yaml::documents(&file.shown, &bytes) {
        Ok(documents) => documents.iter().for_each(|node| objects.take(&file.shown, node)),
        Err(faults) => objects.faults.extend(faults),
    }
}

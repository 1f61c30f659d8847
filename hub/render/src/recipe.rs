//! What distinguishes one variant from another: everything that a cluster's labels, facts and name change.
//!
//! Clusters with equal recipes are rendered once.

use model::Reason;

use crate::{
    app::{App, Content, Form, Override},
    diagnostic::{Diagnostic, Position},
    fill::{Lacking, Text, Values},
    fleet::Target,
    guard::{Guard, stands},
    template::Unresolved,
    yaml::clip,
};

/// One variant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Recipe {
    /// Folder, from the root of the repository.
    pub(crate) path: String,
    /// What Helm is told; `None` when nothing was said about Helm.
    pub(crate) chart: Option<Chart>,
    pub(crate) patches: Vec<PatchText>,
    pub(crate) patches_at: Position,
}

/// What Helm is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Chart {
    pub(crate) release: String,
    pub(crate) namespace: String,
    pub(crate) kube_version: Option<String>,
    /// Later ones win.
    pub(crate) values: Vec<ValuesPart>,
}

/// Values that Helm is given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ValuesPart {
    File(String),
    /// JSON.
    Inline(String),
}

impl Chart {
    /// A chart about which nothing is said.
    pub(crate) fn of(app: &App) -> Chart {
        Chart {
            release: app.name.to_string(),
            namespace: "default".to_owned(),
            kube_version: None,
            values: Vec::new(),
        }
    }

    fn add(
        &mut self,
        files: &[Text],
        values: Option<&Values>,
        cluster: Option<Target<'_>>,
    ) -> Result<(), Unfit> {
        for file in files {
            self.values.push(ValuesPart::File(file.fill(cluster)?));
        }
        if let Some(values) = values {
            self.values.push(ValuesPart::Inline(values.fill(cluster)?.to_string()));
        }
        Ok(())
    }
}

/// One patch, filled.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PatchText {
    pub(crate) file: Option<String>,
    pub(crate) inline: Option<String>,
    /// JSON.
    pub(crate) target: Option<String>,
}

/// Why there is no recipe for a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unfit {
    Path(Unresolved),
    Lacking(Lacking),
    /// A value that cannot be what it is used for.
    Wrong {
        what: String,
        at: Position,
    },
}

impl From<Lacking> for Unfit {
    fn from(lacking: Lacking) -> Unfit {
        Unfit::Lacking(lacking)
    }
}

/// The recipe for one cluster.
pub(crate) fn recipe(app: &App, cluster: Target<'_>) -> Result<Recipe, Unfit> {
    let path = app.path.resolve(app.folder(), cluster.labels).map_err(Unfit::Path)?;
    let mut used = Vec::new();
    for one in &app.overrides {
        let applies = match &one.when {
            None => true,
            Some(when) => when
                .matches(cluster.labels, cluster.facts)
                .map_err(|error| Unfit::Wrong { what: error.to_string(), at: one.at })?,
        };
        if applies {
            used.push(one);
        }
    }
    filled(app, path, &used, Some(cluster))
}

/// The recipe for a folder without a cluster, when nothing else depends on one.
pub(crate) fn without_cluster(app: &App, path: &str) -> Option<Recipe> {
    let used: Vec<_> = app.overrides.iter().filter(|one| one.when.is_none()).collect();
    filled(app, path.to_owned(), &used, None).ok()
}

fn filled(
    app: &App,
    path: String,
    used: &[&Override],
    cluster: Option<Target<'_>>,
) -> Result<Recipe, Unfit> {
    let mut chart = None;
    let helm = match &app.form {
        Form::Helm(settings) => Some(settings),
        Form::Detected | Form::Plain | Form::Kustomize => None,
    };
    let says = used.iter().any(|one| one.values.is_some() || !one.values_files.is_empty());
    if helm.is_some() || says {
        let mut told = Chart::of(app);
        if let Some(settings) = helm {
            if let Some(release) = &settings.release {
                told.release = word(release, "releaseName", 53, cluster)?;
            }
            if let Some(namespace) = &settings.namespace {
                told.namespace = word(namespace, "namespace", 63, cluster)?;
            }
            if let Some(version) = &settings.kube_version {
                told.kube_version = Some(word(version, "kubeVersion", 30, cluster)?);
            }
            told.add(&settings.values_files, settings.values.as_ref(), cluster)?;
        }
        for one in used {
            told.add(&one.values_files, one.values.as_ref(), cluster)?;
        }
        chart = Some(told);
    }
    let mut patches = Vec::new();
    for patch in used.iter().flat_map(|one| &one.patches) {
        let target = patch.target.as_ref().map(ToString::to_string);
        let (file, inline) = match &patch.content {
            Content::File(file) => (Some(file.fill(cluster)?), None),
            Content::Inline(text) => (None, Some(text.fill(cluster)?)),
        };
        patches.push(PatchText { file, inline, target });
    }
    let patches_at = used.first().map_or(app.path_at, |one| one.at);
    Ok(Recipe { path, chart, patches, patches_at })
}

/// A name that becomes an argument of a program: it can never be taken for an option.
fn word(
    text: &Text,
    field: &str,
    most: usize,
    cluster: Option<Target<'_>>,
) -> Result<String, Unfit> {
    let word = text.fill(cluster)?;
    let ok = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
    let begins = word.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && word.len() <= most && word.chars().all(ok) || !stands(Guard::Options) {
        return Ok(word);
    }
    let what = format!("`spec.source.helm.{field}` cannot be `{}`", clip(&word));
    Err(Unfit::Wrong { what, at: text.at })
}

/// Tells why there is no recipe for these clusters.
pub(crate) fn fault(app: &App, unfit: &Unfit, who: &str) -> Diagnostic {
    let fault = |reason, message: String, at| Diagnostic::error(reason, &app.file, message).at(at);
    let path = app.path.as_str();
    match unfit {
        Unfit::Path(Unresolved::Missing { label }) => fault(
            Reason::LabelMissing,
            format!("`spec.source.path` is `{path}`, and label `{label}` is missing on {who}"),
            app.path_at,
        )
        .hint(format!(
            "set it with `tidegate cluster label`, or narrow `targets.select` with `has(labels.{label})`"
        )),
        Unfit::Path(Unresolved::Unfit { label, value }) => fault(
            Reason::LabelMissing,
            format!(
                "label `{label}` is `{}` on {who}, which cannot be the name of a folder",
                clip(value)
            ),
            app.path_at,
        )
        .hint("use letters, digits, `-`, `_` and `.` in labels that make a path"),
        Unfit::Lacking(lacking) => fault(
            Reason::LabelMissing,
            format!("`${{{}}}` is asked for here and is missing on {who}", lacking.what),
            lacking.at,
        )
        .hint(format!(
            "set the label, or narrow `targets.select` or `when` with `has({})`",
            lacking.what
        )),
        Unfit::Wrong { what, at } => {
            fault(Reason::AppInvalid, format!("{what} (for {who})"), *at)
                .hint("correct it, or the label that it is made of")
        }
    }
}

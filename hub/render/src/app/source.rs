//! `spec.source`: where the manifests are, and what makes objects of them.

use super::fields::{Faults, Fields};
use crate::{
    diagnostic::Position,
    fill::{Text, Values},
    template::PathTemplate,
    yaml::{Node, Value, clip},
};

/// What makes objects of the files of a folder.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Form {
    /// Told by what the folder holds: `Chart.yaml`, `kustomization.yaml` or neither.
    #[default]
    Detected,
    /// The files are the objects.
    Plain,
    /// `kustomize build`.
    Kustomize,
    /// `helm template`.
    Helm(Box<HelmSettings>),
}

/// What `helm template` is told.
#[derive(Debug, Clone, PartialEq)]
pub struct HelmSettings {
    /// Name of the release; default: the App's.
    pub release: Option<Text>,
    /// Namespace of the release; default: `default`.
    pub namespace: Option<Text>,
    /// Files with values, from the folder of the chart; later ones win.
    pub values_files: Vec<Text>,
    /// Values that win over those of files.
    pub values: Option<Values>,
    /// The Kubernetes version that the chart is told; default: helm's own.
    pub kube_version: Option<Text>,
    /// Further API versions that the chart is told.
    pub api_versions: Vec<String>,
    /// Whether the chart's definitions belong to the release.
    pub include_crds: bool,
    /// Whether a chart that calls `lookup` is rendered as if the cluster were empty.
    pub empty_lookup: bool,
    /// Where it stands in the `app.yaml`.
    pub(crate) at: Position,
}

impl HelmSettings {
    /// Whether all clusters get the same.
    pub(crate) fn is_fixed(&self) -> bool {
        let words = [&self.release, &self.namespace, &self.kube_version];
        let mut texts = words.into_iter().flatten().chain(&self.values_files);
        texts.all(Text::is_fixed) && self.values.as_ref().is_none_or(Values::is_fixed)
    }

    /// What holds for a chart about which nothing is said.
    pub(crate) fn at(at: Position) -> HelmSettings {
        HelmSettings {
            release: None,
            namespace: None,
            values_files: Vec::new(),
            values: None,
            kube_version: None,
            api_versions: Vec::new(),
            include_crds: true,
            empty_lookup: false,
            at,
        }
    }
}

pub(super) struct Source {
    pub(super) path: PathTemplate,
    pub(super) path_at: Position,
    pub(super) reference: Option<String>,
    pub(super) reference_at: Position,
    pub(super) signed_by: Vec<String>,
    pub(super) signed_by_at: Position,
    pub(super) form: Form,
}

impl Source {
    /// Without `source:` the manifests stand beside the `app.yaml`.
    pub(super) fn beside(at: Position) -> Option<Source> {
        let path = PathTemplate::parse(".").ok()?;
        let form = Form::Detected;
        let (reference, signed_by) = (None, Vec::new());
        let (reference_at, signed_by_at) = (at, at);
        Some(Source { path, path_at: at, reference, reference_at, signed_by, signed_by_at, form })
    }
}

/// Fields of `spec.source` that are read.
pub(crate) const SOURCE: &[&str] = &["ref", "path", "verify", "raw", "kustomize", "helm"];

/// Fields of `spec.source.verify` that are read.
pub(crate) const VERIFY: &[&str] = &["signedBy"];

/// Fields of `spec.source.helm` that are read.
pub(crate) const HELM: &[&str] = &[
    "releaseName",
    "namespace",
    "valuesFiles",
    "values",
    "kubeVersion",
    "apiVersions",
    "includeCRDs",
    "lookup",
];

pub(super) fn read(file: &str, source: &Fields<'_>, faults: &mut Faults<'_>) -> Option<Source> {
    let later = ["repo", "oci", "jsonnet", "chart"];
    source.only(SOURCE, &later, faults);
    let mut read = Source::beside(source.at)?;
    if let Some((reference, at)) = source.text("ref", faults) {
        if reference.trim().is_empty() {
            faults.wrong(at, "`spec.source.ref` is empty", "remove it to follow the source's ref");
        }
        (read.reference, read.reference_at) = (Some(reference.to_owned()), at);
    }
    if let Some((text, at)) = source.text("path", faults) {
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        match PathTemplate::parse(text) {
            Err(why) => {
                let message = format!("`spec.source.path` is `{}`: {why}", clip(text));
                faults.wrong(at, message, "write a path such as `overlays/${labels.env}`");
            }
            Ok(path) if !path.stays_below(folder) => {
                let message = format!("`spec.source.path` `{}` leaves the repository", clip(text));
                faults.wrong(at, message, "keep the manifests in this repository");
            }
            Ok(path) => (read.path, read.path_at) = (path, at),
        }
    }
    if let Some(verify) = source.section("verify", faults) {
        verify.only(VERIFY, &["mode"], faults);
        let hint = "write `signedBy: [NAME]`, a name that the source was given with `--signed-by`";
        let names = verify.need("signedBy", hint, faults).map(|node| node.at);
        let texts = verify.texts("signedBy", faults);
        if names.is_some() && texts.is_empty() {
            let message = "`spec.source.verify.signedBy` names nobody";
            faults.wrong(names.unwrap_or(verify.at), message, hint);
        }
        read.signed_by = texts.into_iter().map(|(name, _)| name.to_owned()).collect();
        read.signed_by_at = verify.at;
    }
    read.form = form(source, faults);
    Some(read)
}

fn form(source: &Fields<'_>, faults: &mut Faults<'_>) -> Form {
    let named: Vec<_> = ["raw", "kustomize", "helm"]
        .into_iter()
        .filter_map(|key| source.get(key).map(|node| (key, node.at)))
        .collect();
    if let [(first, _), (second, at), ..] = named[..] {
        let message = format!("`spec.source` has both `{first}` and `{second}`");
        faults.wrong(at, message, "keep the one that the folder is for");
    }
    for key in ["raw", "kustomize"] {
        if let Some(section) = source.section(key, faults) {
            section.only(&[], &["namePrefix", "images", "components"], faults);
        }
    }
    match named.first() {
        Some(("raw", _)) => Form::Plain,
        Some(("kustomize", _)) => Form::Kustomize,
        Some((_, at)) => {
            let helm = source.section("helm", faults);
            let helm = helm.map_or_else(|| HelmSettings::at(*at), |h| settings(&h, faults));
            Form::Helm(Box::new(helm))
        }
        None => Form::Detected,
    }
}

fn settings(helm: &Fields<'_>, faults: &mut Faults<'_>) -> HelmSettings {
    helm.only(HELM, &["hooks", "postRenderer", "version", "repo", "chart"], faults);
    let apis = list(helm, "apiVersions", faults);
    HelmSettings {
        release: text(helm, "releaseName", faults),
        namespace: text(helm, "namespace", faults),
        values_files: texts(helm, "valuesFiles", faults),
        values: values(helm, "values", faults),
        kube_version: text(helm, "kubeVersion", faults),
        api_versions: apis.iter().filter_map(|node| node.text().map(str::to_owned)).collect(),
        include_crds: helm.flag("includeCRDs", faults).unwrap_or(true),
        empty_lookup: helm
            .choice("lookup", &[("refuse", false), ("empty", true)], faults)
            .unwrap_or(false),
        at: helm.at,
    }
}

/// A text with places in it.
pub(super) fn text(of: &Fields<'_>, key: &str, faults: &mut Faults<'_>) -> Option<Text> {
    let (text, at) = of.text(key, faults)?;
    parsed(&of.name(key), text, at, faults)
}

fn parsed(name: &str, text: &str, at: Position, faults: &mut Faults<'_>) -> Option<Text> {
    match Text::parse(text, at) {
        Ok(text) => Some(text),
        Err(why) => {
            faults.wrong(at, format!("`{name}`: {why}"), "write `${labels.NAME}`");
            None
        }
    }
}

/// A list of texts with places in them.
pub(super) fn texts(of: &Fields<'_>, key: &str, faults: &mut Faults<'_>) -> Vec<Text> {
    let name = of.name(key);
    let mut out = Vec::new();
    for node in list(of, key, faults) {
        if let Some(text) = node.text() {
            out.extend(parsed(&name, text, node.at, faults));
        } else {
            let message = format!("`{name}` must be a list of texts, but holds {}", node.what());
            faults.wrong(node.at, message, "write `[values.yaml]`");
        }
    }
    out
}

/// The members of a list.
pub(super) fn list<'a>(of: &Fields<'a>, key: &str, faults: &mut Faults<'_>) -> &'a [Node] {
    match of.get(key) {
        None => &[],
        Some(Node { value: Value::List(items), .. }) => items,
        Some(node) => {
            let message = format!("`{}` must be a list, but is {}", of.name(key), node.what());
            faults.wrong(node.at, message, "write it as `[…]`");
            &[]
        }
    }
}

/// A map of values with places in them.
pub(super) fn values(of: &Fields<'_>, key: &str, faults: &mut Faults<'_>) -> Option<Values> {
    let node = of.get(key)?;
    if !matches!(node.value, Value::Map(_)) {
        let message = format!("`{}` must be a map, but is {}", of.name(key), node.what());
        faults.wrong(node.at, message, "write the values below it, indented");
        return None;
    }
    match Values::parse(node) {
        Ok(values) => Some(values),
        Err((at, why)) => {
            faults.wrong(at, format!("`{}`: {why}", of.name(key)), "write `${labels.NAME}`");
            None
        }
    }
}

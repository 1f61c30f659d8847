//! JSON Schemas of the files, for editors: what the parser reads, with its documentation.
//!
//! The parser decides; a test holds the two together, field by field.

#![expect(dead_code, reason = "the fields are read by the schema's generator only")]

mod rollout;

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, schema_for};
use serde::Deserialize;
use serde_json::Value as Json;

/// The schema of `app`, `repo` or `policy`.
pub fn schema(kind: &str) -> Option<Json> {
    let schema: Schema = match kind {
        "app" => schema_for!(AppFile),
        "repo" => schema_for!(RepoFile),
        "policy" => schema_for!(PolicyFile),
        _ => return None,
    };
    Some(schema.to_value())
}

/// `apps/NAME/app.yaml`: what to deploy, where and how.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "App")]
struct AppFile {
    /// `tidegate.dev/v1alpha1`.
    #[schemars(extend("const" = "tidegate.dev/v1alpha1"))]
    api_version: String,
    /// `App`.
    #[schemars(extend("const" = "App"))]
    kind: String,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Metadata {
    /// Also the name of the folder below `apps`.
    name: String,
    /// For people.
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Spec {
    /// Where the manifests are, and what makes objects of them; default: plain YAML beside this file.
    source: Option<Source>,
    /// Which clusters.
    targets: Targets,
    /// In which waves; default: one cluster first, then a quarter at a time.
    rollout: Option<rollout::Rollout>,
    /// How agents apply objects.
    apply: Option<Apply>,
    /// What happens to objects that somebody changed in a cluster.
    drift: Option<Drift>,
    /// Rules that say when objects are healthy; they outrank those of the fleet and the built-in ones.
    #[serde(default)]
    health: Vec<Health>,
    /// What some clusters get in addition, in this order.
    #[serde(default)]
    overrides: Vec<Override>,
    /// `plain` allows Secrets that can be read in Git.
    secrets: Option<Secrets>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Source {
    /// The ref that the source follows; another one is refused.
    #[serde(rename = "ref")]
    reference: Option<String>,
    /// Folder, from the folder of this file; `${labels.NAME}` is filled for each cluster.
    #[schemars(extend("examples" = ["overlays/${labels.env}"]))]
    path: Option<String>,
    /// Which signatures the App takes, beside what its source wants.
    verify: Option<Verify>,
    /// The files are the objects.
    raw: Option<Empty>,
    /// The folder is for `kustomize build`. Found by itself when it holds a `kustomization.yaml`.
    kustomize: Option<Empty>,
    /// The folder is a Helm chart. Found by itself when it holds a `Chart.yaml`.
    helm: Option<Helm>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Verify {
    /// Names that the source was given with its keys; whoever signed must be among them.
    signed_by: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Empty {}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Helm {
    /// Default: the name of the App. Places such as `${labels.env}` are filled.
    release_name: Option<String>,
    /// Namespace of the release; default: `default`.
    namespace: Option<String>,
    /// Files with values, from the folder of the chart or of this file; later ones win.
    #[serde(default)]
    values_files: Vec<String>,
    /// Values that win over those of files. Places such as `${facts.kubernetes.minor}` are filled.
    #[serde(default)]
    values: BTreeMap<String, Json>,
    /// The Kubernetes version that the chart is told.
    kube_version: Option<String>,
    /// Further API versions that the chart is told.
    #[serde(default)]
    api_versions: Vec<String>,
    /// Whether the definitions in `crds` belong to the App; default: yes.
    #[serde(rename = "includeCRDs")]
    include_crds: Option<bool>,
    /// `empty` renders a chart that calls `lookup` as if the cluster were empty; default: it is refused.
    lookup: Option<Lookup>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Lookup {
    Refuse,
    Empty,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Secrets {
    Refuse,
    Plain,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Targets {
    /// CEL over `labels` and `facts`; `true` selects every cluster.
    #[schemars(extend("x-tidegate-cel" = "cluster", "examples" = ["labels.env == 'prod'"]))]
    select: Expression,
    /// Clusters that do not run the App though selected.
    #[schemars(extend("x-tidegate-cel" = "cluster"))]
    exclude: Option<Expression>,
    /// Brake against a selector that suddenly matches the wrong set.
    expect: Option<Expect>,
    /// What happens on a cluster that is no longer selected.
    on_untarget: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Expression {
    Text(String),
    Yes(bool),
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expect {
    /// Fewer targets than this are refused.
    min: Option<u32>,
    /// More targets added or dropped than this, as a number or a share, are refused.
    max_change: Option<Json>,
}

#[derive(Deserialize, JsonSchema)]
struct Drift {
    /// `correct` (default), `report` or `ignore`.
    mode: Option<String>,
    /// Fields that are left to others once they are there.
    #[serde(default)]
    ignore: Vec<Ignore>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Ignore {
    /// API group; default: any. Empty for the core group.
    group: Option<String>,
    /// Kind; default: any.
    kind: Option<String>,
    /// Namespace; default: any.
    namespace: Option<String>,
    /// Name; default: any.
    name: Option<String>,
    /// JSON pointers such as `/spec/replicas`; `*` stands for every key or item.
    path: Option<Lines>,
    /// The same.
    paths: Option<Lines>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Lines {
    One(String),
    More(Vec<String>),
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Apply {
    /// What to do with objects that are there and belong to nobody: `if-unowned` (default), `if-identical`,
    /// `never` or `always`.
    adopt: Option<String>,
    /// Whether objects are replaced when a field changes that cannot; default: no.
    recreate: Option<bool>,
    /// Account in whose name objects are applied, `NAMESPACE/NAME`.
    service_account: Option<String>,
    /// What happens to the objects when the App is removed: `delete` (default) or `orphan`.
    on_remove: Option<String>,
}

/// One health rule. It names kinds and asks questions in CEL about `self`, `spec`, `status` and so on.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Health {
    /// Group and version; `*` as version stands for all.
    api_version: Option<String>,
    /// One kind.
    kind: Option<String>,
    /// API groups instead; `*.example.io` stands for all with that ending.
    #[serde(alias = "groups")]
    group: Option<Lines>,
    /// Kinds; `*` stands for all of the group.
    kinds: Option<Vec<String>>,
    /// Versions; default: all.
    versions: Option<Vec<String>>,
    /// Path of the generation that the status is about, or `none`.
    observed: Option<String>,
    /// Progressing when it holds.
    #[schemars(extend("x-tidegate-cel" = "object"))]
    in_progress: Option<String>,
    /// Degraded when it holds.
    #[schemars(extend("x-tidegate-cel" = "object"))]
    failed: Option<String>,
    /// Healthy when it holds.
    #[serde(alias = "current")]
    #[schemars(extend("x-tidegate-cel" = "object"))]
    ready: Option<String>,
    /// Or clauses such as `{Degraded: "…", say: "…"}`, tried in order.
    judge: Option<Vec<BTreeMap<String, String>>>,
    /// Objects and what is to be said of them, for whoever reads the rule.
    cases: Option<Vec<Json>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Override {
    /// Which clusters; all when absent.
    #[schemars(extend("x-tidegate-cel" = "cluster"))]
    when: Option<Expression>,
    /// Helm values that win over those before.
    #[serde(default)]
    values: BTreeMap<String, Json>,
    /// Files with Helm values, likewise.
    #[serde(default)]
    values_files: Vec<String>,
    /// Patches of the rendered objects: a file from the folder of this file, or a patch.
    #[serde(default)]
    patches: Vec<PatchEntry>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum PatchEntry {
    /// A file.
    Path(String),
    /// A file or a patch, and what it is for.
    Full(Patch),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the field is called so in the file")]
struct Patch {
    /// A file with a strategic-merge or JSON patch.
    path: Option<String>,
    /// The patch itself.
    patch: Option<String>,
    /// What it is for, as Kustomize understands it.
    target: Option<BTreeMap<String, Json>>,
}

/// `tidegate.yaml` at the root of a repository.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Repository")]
struct RepoFile {
    /// Versions of Tidegate that may read the repository, such as `>=0.1`.
    required_version: Option<String>,
    /// Health rules of the fleet; those of an App outrank them.
    #[serde(default)]
    health: Vec<Health>,
}

/// Rules of the fleet, whatever a repository says.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Policy")]
struct PolicyFile {
    /// `tidegate.dev/v1alpha1`.
    #[schemars(extend("const" = "tidegate.dev/v1alpha1"))]
    api_version: String,
    /// `Policy`.
    #[schemars(extend("const" = "Policy"))]
    kind: String,
    /// What is allowed; every rule must hold.
    #[serde(default)]
    rules: Vec<Rule>,
    /// Which source may target which clusters and namespaces; with tenants, a source of none is refused.
    #[serde(default)]
    tenants: Vec<Tenant>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// Shown to whoever it refuses.
    name: String,
    /// For these sources only; `*` stands for any text.
    #[serde(default)]
    sources: Vec<String>,
    /// For these clusters only.
    #[schemars(extend("x-tidegate-cel" = "cluster"))]
    clusters: Option<String>,
    /// `Deployment` or `Certificate.cert-manager.io`.
    kinds: Option<Lists>,
    /// Namespaces of objects.
    namespaces: Option<Lists>,
    /// Full names of images, such as `ghcr.io/acme/*`.
    registries: Option<Lists>,
    /// Questions about objects.
    #[serde(default)]
    objects: Vec<Check>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Lists {
    /// Nothing but these; absent: everything.
    allow: Option<Vec<String>>,
    /// None of these.
    #[serde(default)]
    deny: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Check {
    /// For these kinds only.
    #[serde(default)]
    kinds: Vec<String>,
    /// CEL over `object`; a field that is absent makes it false.
    #[schemars(extend("x-tidegate-cel" = "object"))]
    expect: String,
    /// What is said when it does not hold.
    message: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Tenant {
    /// Shown to whoever it refuses.
    name: String,
    /// Its sources; `*` stands for any text.
    sources: Vec<String>,
    /// Clusters that it may target; absent: all.
    #[schemars(extend("x-tidegate-cel" = "cluster"))]
    clusters: Option<String>,
    /// Namespaces that it may use; absent: all, and every kind without a namespace.
    namespaces: Option<Vec<String>>,
    /// Kinds without a namespace that it may hold.
    #[serde(default)]
    cluster_kinds: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{APPLY, DRIFT, HELM, IGNORE, OVERRIDE, PATCH, SOURCE, SPEC, VERIFY};

    /// A field, where it belongs.
    type Around = fn(&str) -> String;

    fn fields(schema: &Json, of: &str) -> Vec<String> {
        let found = schema.pointer(&format!("/$defs/{of}/properties")).and_then(Json::as_object);
        found.into_iter().flat_map(|map| map.keys().cloned()).collect()
    }

    #[test]
    fn the_schema_has_the_fields_that_the_parser_reads() {
        let schema = schema("app").unwrap();
        for (of, read) in [
            ("Spec", SPEC),
            ("Source", SOURCE),
            ("Helm", HELM),
            ("Apply", APPLY),
            ("Drift", DRIFT),
            ("Ignore", IGNORE),
            ("Verify", VERIFY),
            ("Override", OVERRIDE),
            ("Patch", PATCH),
        ] {
            let mut has = fields(&schema, of);
            let mut reads: Vec<_> = read.iter().map(|field| (*field).to_owned()).collect();
            has.sort();
            reads.sort();
            assert_eq!(has, reads, "{of}");
        }
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    }

    /// What a field of `spec.rollout` is read by: the parser's own words for a field that it does not know.
    #[test]
    fn the_parser_knows_every_field_of_a_rollout() {
        let schema = schema("app").unwrap();
        let unknown = |rollout: &str| -> Vec<String> {
            let text = format!(
                "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {{name: web}}\nspec:\n  \
                 targets: {{select: \"true\"}}\n  rollout: {rollout}\n"
            );
            let faults = crate::parse_app("apps/web/app.yaml", &text).err().unwrap_or_default();
            let lost = |m: &String| m.contains("unknown field") || m.contains("not supported");
            faults.into_iter().map(|fault| fault.message).filter(lost).collect()
        };
        let around: [(&str, Around); 6] = [
            ("Rollout", |field| format!("{{{field}: {{}}}}")),
            ("Wave", |field| format!("{{waves: [{{name: a, {field}: {{}}}}]}}")),
            ("Before", |field| format!("{{waves: [{{name: a, before: {{{field}: {{}}}}}}]}}")),
            ("After", |field| format!("{{waves: [{{name: a, after: {{{field}: {{}}}}}}]}}")),
            ("Rollback", |field| format!("{{rollback: {{{field}: {{}}}}}}")),
            ("Assign", |field| format!("{{assign: {{{field}: {{}}}}}}")),
        ];
        for (of, wrap) in around {
            let fields = fields(&schema, of);
            assert!(fields.len() > 2, "{of}: {fields:?}");
            for field in fields.iter().filter(|field| *field != "name") {
                assert_eq!(unknown(&wrap(field)), [""; 0], "{of}.{field}");
            }
        }
    }

    #[test]
    fn every_kind_has_a_schema_and_nothing_else_has() {
        for kind in ["app", "repo", "policy"] {
            assert!(schema(kind).is_some(), "{kind}");
        }
        assert_eq!(schema("cluster"), None);
    }
}

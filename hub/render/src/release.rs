//! From an App and a commit to what each cluster shall run.
//!
//! Complete or nothing: a fault anywhere means that there is no release, never a smaller one. An empty
//! set of objects is a fault too.

use std::collections::BTreeMap;

use model::{Choices, ClusterName, ClusterUid, Digest, Manifest, ObjectEntry, Reason};

use crate::{
    app::{App, document},
    diagnostic::Diagnostic,
    fleet::{Target, named},
    forms,
    guard::{Guard, stands},
    kit::Kit,
    limits,
    recipe::{self, Recipe, Unfit},
    tree::Tree,
};

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
    /// How often something was rendered: once per distinct recipe, however many clusters share it.
    pub renders: usize,
}

impl Variants {
    /// What a cluster shall run, when there is something for it.
    pub fn of(&self, uid: &ClusterUid) -> Option<&Rendered> {
        self.rendered.get(self.by_cluster.get(uid)?)
    }
}

/// Renders an App for one cluster.
pub fn render(
    kit: &Kit<'_>,
    app: &App,
    tree: &dyn Tree,
    cluster: Target<'_>,
) -> Result<Rendered, Vec<Diagnostic>> {
    let mut variants = render_all(kit, app, tree, [cluster]);
    if variants.faults.is_empty()
        && let Some((_, rendered)) = variants.rendered.pop_first()
    {
        return Ok(rendered);
    }
    Err(variants.faults)
}

/// Renders an App for many clusters, each distinct recipe once.
pub fn render_all<'a>(
    kit: &Kit<'_>,
    app: &App,
    tree: &dyn Tree,
    targets: impl IntoIterator<Item = Target<'a>>,
) -> Variants {
    let mut variants = Variants::default();
    let mut recipes: BTreeMap<Recipe, Vec<Target<'_>>> = BTreeMap::new();
    let mut unfit: BTreeMap<Unfit, Vec<&ClusterName>> = BTreeMap::new();
    for target in targets {
        match recipe::recipe(app, target) {
            Ok(recipe) => recipes.entry(recipe).or_default().push(target),
            Err(why) => unfit.entry(why).or_default().push(target.name),
        }
    }
    for (why, names) in unfit {
        variants.faults.push(recipe::fault(app, &why, &named(&names)));
    }
    if recipes.len() > limits::VARIANTS_MAX {
        let (count, most) = (recipes.len(), limits::VARIANTS_MAX);
        let message = format!("the clusters need {count} variants, at most {most} are allowed");
        let fault = Diagnostic::error(Reason::RenderTooLarge, &app.file, message);
        variants.faults.push(fault.hint("use labels with fewer values, or several Apps"));
        return variants;
    }
    let mut bytes = 0;
    for (recipe, clusters) in recipes {
        variants.renders += 1;
        let rendered = match one(kit, app, tree, &recipe) {
            Ok(rendered) => rendered,
            Err(faults) => {
                variants.faults.extend(told(app, faults, &clusters));
                continue;
            }
        };
        bytes += rendered.objects.values().map(Vec::len).sum::<usize>();
        if bytes > limits::VARIANTS_BYTES_MAX {
            let size = limits::VARIANTS_BYTES_MAX >> 20;
            let message = format!("all variants together have more than {size} MiB");
            variants.faults.push(Diagnostic::error(Reason::RenderTooLarge, &app.file, message));
            return variants;
        }
        if let Some(policy) = kit.policy {
            let refused = policy.check(kit.source, app, &rendered.objects, &clusters);
            variants.faults.extend(refused);
        }
        let rendered = match with_choices(app, rendered) {
            Ok(rendered) => rendered,
            Err(fault) => {
                variants.faults.push(fault);
                continue;
            }
        };
        let digest = rendered.manifest.digest();
        let uids = clusters.iter().map(|target| (target.uid.clone(), digest));
        variants.by_cluster.extend(uids);
        variants.rendered.entry(digest).or_insert(rendered);
    }
    variants.faults.dedup();
    variants
}

/// Puts what the App asks of its agents beside the objects: a change of it is a change of the release.
fn with_choices(app: &App, mut rendered: Rendered) -> Result<Rendered, Diagnostic> {
    let Some(bytes) = document(&app.asked, &app.name, &rendered.manifest) else {
        return Ok(rendered);
    };
    let most = limits::CHOICES_BYTES_MAX;
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length as usize <= most);
    let Some(length) = length else {
        let message = format!(
            "what the App asks of its agents has {} bytes, at most {most} are allowed",
            bytes.len()
        );
        let fault = Diagnostic::error(Reason::RenderTooLarge, &app.file, message);
        return Err(fault.hint("shorten the health rules"));
    };
    let digest = Digest::of(&bytes);
    let mut entries = rendered.manifest.entries().to_vec();
    entries.push(ObjectEntry { key: Choices::key(&app.name), digest, bytes: length });
    rendered.manifest = Manifest::new(entries);
    rendered.objects.insert(digest, bytes);
    Ok(rendered)
}

/// Says for which clusters, when not all of them have these faults.
fn told(app: &App, mut faults: Vec<Diagnostic>, clusters: &[Target<'_>]) -> Vec<Diagnostic> {
    if !app.is_uniform() {
        let names: Vec<_> = clusters.iter().map(|target| target.name).collect();
        if let Some(first) = faults.first_mut() {
            first.message = format!("{} (for {})", first.message, named(&names));
        }
    }
    faults
}

/// Renders one variant.
pub(crate) fn one(
    kit: &Kit<'_>,
    app: &App,
    tree: &dyn Tree,
    recipe: &Recipe,
) -> Result<Rendered, Vec<Diagnostic>> {
    let (mut objects, mut notes) = forms::objects(kit, app, tree, recipe)?;
    if !objects.faults.is_empty() {
        return Err(objects.faults);
    }
    if objects.is_empty() && stands(Guard::Empty) {
        let message = format!("`{}` gives no object", recipe.path);
        let fault = Diagnostic::error(Reason::RenderEmpty, &app.file, message).at(app.path_at);
        return Err(vec![fault]);
    }
    notes.append(&mut objects.notes);
    let (manifest, objects) = objects.finish();
    Ok(Rendered { manifest, objects, notes })
}

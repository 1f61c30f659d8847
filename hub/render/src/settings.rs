//! `tidegate.yaml` at the root: what the repository asks of the hub that reads it. Optional.

use model::Reason;
use semver::{Version, VersionReq};

use crate::{
    app::{Faults, Fields, HealthRule, health, only_document},
    diagnostic::Diagnostic,
    tree::{Tree, TreeError},
    walk,
    yaml::clip,
};

/// Its path.
const FILE: &str = "tidegate.yaml";

/// What the repository says for all its Apps.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// Health rules of the fleet; those of an App outrank them.
    pub(crate) health: Vec<HealthRule>,
}

/// The settings, empty when there is no such file, or its faults: one of them refuses the whole commit.
pub(crate) fn read(tree: &dyn Tree) -> Result<Settings, Vec<Diagnostic>> {
    let bytes = match tree.read(FILE) {
        Ok(bytes) => bytes,
        Err(TreeError::NotFound(_)) => return Ok(Settings::default()),
        Err(error) => return Err(vec![walk::tree_fault(&error)]),
    };
    match String::from_utf8(bytes) {
        Ok(text) => read_text(&text),
        Err(_) => {
            Err(vec![Diagnostic::error(Reason::YamlInvalid, FILE, "the file is not UTF-8 text")])
        }
    }
}

fn read_text(text: &str) -> Result<Settings, Vec<Diagnostic>> {
    let document = only_document(FILE, text)?;
    let mut settings = Settings::default();
    let mut faults = Faults::new(FILE);
    if let Some(top) = Fields::open(&document, String::new(), &mut faults) {
        top.only(&["requiredVersion", "health"], &["sources", "defaults", "apps"], &mut faults);
        settings.health = health(FILE, &top, &mut faults);
        if let Some((wanted, at)) = top.text("requiredVersion", &mut faults) {
            let own = env!("CARGO_PKG_VERSION");
            match (VersionReq::parse(wanted), Version::parse(own)) {
                (Ok(wanted), Ok(own)) if wanted.matches(&own) => {}
                (Ok(wanted), _) => {
                    let message =
                        format!("the repository asks for Tidegate {wanted}, this is {own}");
                    let fault = Diagnostic::error(Reason::NotSupportedYet, FILE, message).at(at);
                    faults.push(fault.hint("upgrade Tidegate, or lower `requiredVersion`"));
                }
                (Err(_), _) => {
                    let message = format!("`requiredVersion` cannot be `{}`", clip(wanted));
                    faults.wrong(at, message, "write it as `>=0.1`");
                }
            }
        }
    }
    if faults.is_empty() { Ok(settings) } else { Err(faults.into_list()) }
}

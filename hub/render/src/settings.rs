//! `tidegate.yaml` at the root: what the repository asks of the hub that reads it. Optional.

use model::Reason;
use semver::{Version, VersionReq};

use crate::{
    app::{Faults, Fields, only_document},
    diagnostic::Diagnostic,
    tree::{Tree, TreeError},
    walk,
    yaml::clip,
};

/// Its path.
const FILE: &str = "tidegate.yaml";

/// Faults of the settings; none when there is no such file. One of them refuses the whole commit.
pub(crate) fn check(tree: &dyn Tree) -> Vec<Diagnostic> {
    let bytes = match tree.read(FILE) {
        Ok(bytes) => bytes,
        Err(TreeError::NotFound(_)) => return Vec::new(),
        Err(error) => return vec![walk::tree_fault(&error)],
    };
    match String::from_utf8(bytes) {
        Ok(text) => check_text(&text),
        Err(_) => {
            vec![Diagnostic::error(Reason::YamlInvalid, FILE, "the file is not UTF-8 text")]
        }
    }
}

fn check_text(text: &str) -> Vec<Diagnostic> {
    let document = match only_document(FILE, text) {
        Ok(document) => document,
        Err(faults) => return faults,
    };
    let mut faults = Faults::new(FILE);
    if let Some(top) = Fields::open(&document, String::new(), &mut faults) {
        top.only(&["requiredVersion"], &["sources", "defaults", "apps"], &mut faults);
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
    faults.into_list()
}

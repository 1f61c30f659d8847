//! Gates that could never open: Apps that wait for one another in a circle, and, as a warning, what a wave
//! waits for that nobody here is known to produce.

use std::collections::{BTreeMap, BTreeSet};

use model::{AppName, Reason};

use crate::{app::App, diagnostic::Diagnostic};

/// The fault of an App whose file is given: it is one of those that wait for one another.
pub fn circular(file: &str, circle: &[AppName]) -> Diagnostic {
    let names: Vec<_> = circle.iter().chain(circle.first()).map(|app| format!("`{app}`")).collect();
    let message = format!("Apps wait for one another in a circle: {}", names.join(" waits for "));
    let fault = Diagnostic::error(Reason::AppInvalid, file, message);
    fault.hint("take one `dependsOn` out; nobody in a circle could ever go first")
}

/// What the waves of all Apps wait for.
#[derive(Default)]
pub(super) struct Waits {
    on: BTreeMap<AppName, BTreeSet<AppName>>,
    files: BTreeMap<AppName, String>,
    blockers: BTreeMap<String, BTreeSet<(AppName, String)>>,
}

impl Waits {
    /// Learns what an App waits for.
    pub(super) fn learn(&mut self, app: &App) {
        self.files.insert(app.name.clone(), app.file.clone());
        self.on.insert(app.name.clone(), app.strategy.waits_for());
        for wave in &app.strategy.waves {
            for blocker in &wave.before.blockers {
                let place = (app.name.clone(), wave.name.to_string());
                self.blockers.entry(blocker.clone()).or_default().insert(place);
            }
        }
    }

    /// A fault for a circle: nobody in it could ever go first.
    pub(super) fn circle(&self) -> Option<Diagnostic> {
        let circle = rollout::circle(&self.on)?;
        Some(circular(self.file(circle.first()?), &circle))
    }

    /// Blockers that nobody produces. What the hub knows of them makes it certain; otherwise it is a warning.
    pub(super) fn unproduced(&self, known: Option<&BTreeSet<String>>) -> Vec<Diagnostic> {
        let unknown = |name: &str| known.is_none_or(|known| !known.contains(name));
        let mut found = Vec::new();
        for (blocker, places) in self.blockers.iter().filter(|(name, _)| unknown(name)) {
            let hint = format!(
                "say it once on the hub: `tidegate blocker set|clear|watch {blocker}`; until then the wave waits \
                 with GAT-615"
            );
            for (app, wave) in places {
                let waits = format!("wave `{wave}` waits for the blocker `{blocker}`");
                found.push(if known.is_some() {
                    let message = format!("{waits}, which nobody ever set, cleared or had watched");
                    let hint = format!(
                        "say it once: `tidegate blocker clear {blocker}`, or `set`, or `watch`"
                    );
                    Diagnostic::error(Reason::BlockerUnknown, self.file(app), message).hint(hint)
                } else {
                    let message = format!("{waits}, and no file says who produces it");
                    self.warning(app, message, hint.clone())
                });
            }
        }
        found
    }

    /// Warnings for Apps that this repository does not have.
    pub(super) fn elsewhere(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for (app, on) in &self.on {
            for other in on.iter().filter(|other| !self.files.contains_key(*other)) {
                let message =
                    format!("`{app}` waits for `{other}`, which is not in this repository");
                let hint = "check its name; it is fine when another source brings it".to_owned();
                found.push(self.warning(app, message, hint));
            }
        }
        found
    }

    fn file(&self, app: &AppName) -> &str {
        self.files.get(app).map_or("apps", String::as_str)
    }

    fn warning(&self, app: &AppName, message: String, hint: String) -> Diagnostic {
        Diagnostic::warning(Reason::AppInvalid, self.file(app), message).hint(hint)
    }
}

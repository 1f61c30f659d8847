//! Gates that could never open: Apps that wait for one another in a circle, and, as a warning, what a wave
//! waits for that nobody here is known to produce.

use std::collections::{BTreeMap, BTreeSet};

use model::{AppName, Reason};

use crate::{
    app::App,
    diagnostic::{Diagnostic, Severity},
};

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
        let on = self.on.entry(app.name.clone()).or_default();
        for wave in &app.strategy.waves {
            on.extend(wave.before.depends_on.iter().map(|on| on.app.clone()));
            for blocker in &wave.before.blockers {
                let place = (app.name.clone(), wave.name.to_string());
                self.blockers.entry(blocker.clone()).or_default().insert(place);
            }
        }
    }

    /// A fault for a circle: nobody in it could ever go first.
    pub(super) fn circle(&self) -> Option<Diagnostic> {
        let circle = rollout::circle(&self.on)?;
        let first = circle.first()?;
        let names: Vec<_> = circle.iter().chain([first]).map(|app| format!("`{app}`")).collect();
        let file = self.files.get(first).map_or("apps", String::as_str);
        let message =
            format!("Apps wait for one another in a circle: {}", names.join(" waits for "));
        let fault = Diagnostic::error(Reason::AppInvalid, file, message);
        Some(fault.hint("take one `dependsOn` out; nobody in a circle could ever go first"))
    }

    /// Warnings for what this repository and fleet do not show a producer of.
    pub(super) fn without_producer(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for (blocker, places) in &self.blockers {
            for (app, wave) in places {
                let message = format!(
                    "wave `{wave}` waits for the blocker `{blocker}`, and no file says who produces it"
                );
                let hint = format!(
                    "say it once on the hub: `tidegate blocker set|clear|watch {blocker}`; until then the \
                     wave waits with GAT-615"
                );
                found.push(self.warning(app, message, hint));
            }
        }
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

    fn warning(&self, app: &AppName, message: String, hint: String) -> Diagnostic {
        let file = self.files.get(app).map_or("apps", String::as_str);
        let fault = Diagnostic::error(Reason::AppInvalid, file, message).hint(hint);
        Diagnostic { severity: Severity::Warning, ..fault }
    }
}

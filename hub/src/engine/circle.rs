//! Apps that wait for one another: none of them could ever go first, so none of them is taken.
//!
//! Those of one commit are found before any of them is rendered. Those of several sources are found when the
//! last of them comes.

use std::collections::{BTreeMap, BTreeSet};

use model::{AppName, Reason, Status};
use render::Diagnostic;

use super::slot::Slot;

type Waits = BTreeMap<AppName, BTreeSet<AppName>>;

/// The Apps of one commit that wait for one another, each with its fault.
pub(super) fn within<'a>(
    apps: impl Iterator<Item = &'a render::App>,
) -> BTreeMap<AppName, Diagnostic> {
    let mut files = BTreeMap::new();
    let mut waits = Waits::new();
    for app in apps {
        files.insert(&app.name, app.file.as_str());
        waits.insert(app.name.clone(), app.strategy.waits_for());
    }
    let mut found = BTreeMap::new();
    while let Some(circle) = rollout::circle(&waits) {
        for app in &circle {
            waits.remove(app);
            let file = files.get(app).copied().unwrap_or("apps");
            found.insert(app.clone(), render::circular(file, &circle));
        }
    }
    found
}

/// The fault of an App that would close a circle of those that are there.
pub(super) fn closed_by(
    app: &AppName,
    strategy: &rollout::Strategy,
    slots: &BTreeMap<AppName, Slot>,
) -> Option<Status> {
    let newest = |slot: &Slot| slot.offer.candidate.as_ref().map(|c| c.strategy.waits_for());
    let others = slots.iter().filter(|(name, _)| *name != app);
    let mut waits: Waits =
        others.filter_map(|(name, slot)| Some((name.clone(), newest(slot)?))).collect();
    waits.insert(app.clone(), strategy.waits_for());
    let circle = rollout::circle(&waits).filter(|circle| circle.contains(app))?;
    let fault = render::circular(&format!("apps/{app}/app.yaml"), &circle);
    Some(Status::because(Reason::AppInvalid, fault.to_string()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn app(name: &str, on: &[&str]) -> render::App {
        let on: Vec<_> = on.iter().map(|on| format!("{{app: {on}}}")).collect();
        let text = format!(
            "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {{name: {name}}}\nspec:\n  targets: {{select: \"true\"}}\n  \
             rollout: {{waves: [{{name: all, rest: true, before: {{dependsOn: [{}]}}}}]}}\n",
            on.join(", ")
        );
        render::parse_app(&format!("apps/{name}/app.yaml"), &text).unwrap()
    }

    #[test]
    fn every_app_of_every_circle_is_found_and_nobody_beside_them() {
        let apps = [
            app("a", &["b"]),
            app("b", &["a"]),
            app("c", &["d"]),
            app("d", &["c"]),
            app("e", &["a"]),
        ];
        let found = within(apps.iter());
        let names: Vec<_> = found.keys().map(AppName::as_str).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        let fault = &found[&apps[3].name];
        assert_eq!(fault.file, "apps/d/app.yaml");
        assert!(fault.message.contains("`c` waits for `d` waits for `c`"), "{fault}");
    }

    /// An App that is there, as its own source offers it.
    fn slot(app: &render::App) -> (AppName, Slot) {
        let mut slot = Slot::new(rollout::App::new(app.name.clone()), 1);
        slot.offer.candidate = Some(Arc::new(rollout::Candidate {
            commit: model::Commit::parse(&"a".repeat(40)).unwrap(),
            reference: "main".to_owned(),
            author: None,
            subject: String::new(),
            targets: app.targets.clone(),
            strategy: app.strategy.clone(),
            variants: rollout::Variants::default(),
            trace: None,
            hard_to_undo: Vec::new(),
        }));
        (app.name.clone(), slot)
    }

    #[test]
    fn the_one_that_would_close_a_circle_over_several_sources_is_refused() {
        let there: BTreeMap<_, _> = [slot(&app("a", &["b"])), slot(&app("b", &["c"]))].into();
        let closing = |c: &render::App| closed_by(&c.name, &c.strategy, &there);
        let fault = closing(&app("c", &["a"])).unwrap();
        assert_eq!(fault.reason(), Some(Reason::AppInvalid));
        assert!(
            fault.message().contains("`a` waits for `b` waits for `c` waits for `a`"),
            "{fault:?}"
        );
        assert!(fault.message().contains("apps/c/app.yaml"), "{fault:?}");
        assert_eq!(closing(&app("c", &["d"])), None);
        // It is not held against an App what it said before.
        assert_eq!(closing(&app("b", &[])), None);
    }
}

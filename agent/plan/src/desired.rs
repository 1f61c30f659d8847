//! What one App shall be in this cluster: admitted, so that planning cannot fail.

use std::collections::{BTreeMap, BTreeSet};

use model::{AppName, ObjectKey};
use serde_json::{Value, json};

use crate::choices::Choices;
use crate::keyed::Fingerprint;
use crate::order::Position;

/// One object, ready to apply.
#[derive(Clone, PartialEq)]
pub struct DesiredObject {
    /// Which.
    pub key: ObjectKey,
    /// `apiVersion` of the manifest, such as `apps/v1`; applied and watched with this one.
    pub api_version: String,
    /// Sanitised and marked body. Holds Secret data: never log it, and `Debug` does not show it.
    pub body: Value,
    /// Stands for the body.
    pub fingerprint: Fingerprint,
    /// Its place in the order.
    pub position: Position,
    /// Objects of this App that its author named as dependencies: they must be healthy first.
    pub depends_on: BTreeSet<ObjectKey>,
    /// What its author asks of the agent.
    pub choices: Choices,
    /// Objects of this App that it needs by nature: its namespace, its definition, the role it binds.
    pub needs: BTreeSet<ObjectKey>,
}

impl DesiredObject {
    /// The body to send. `uid` makes the API server refuse when the object has become another one.
    pub fn body_for(&self, uid: Option<&str>) -> Value {
        let mut body = self.body.clone();
        if let Some(uid) = uid {
            body["metadata"]["uid"] = json!(uid);
        }
        body
    }

    /// Version part of `api_version`.
    pub fn version(&self) -> &str {
        self.api_version.rsplit('/').next().unwrap_or(&self.api_version)
    }
}

impl std::fmt::Debug for DesiredObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DesiredObject")
            .field("id", &self.key.id())
            .field("position", &self.position)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookPhase {
    /// Before anything of the release is applied.
    PreApply,
    /// After all of it is applied and healthy.
    PostApply,
    /// When the release failed.
    OnFailure,
    /// Before the App's objects are deleted.
    PreDelete,
}

/// What to make of a hook that was made and vanished before its end was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnLost {
    /// It failed: running it twice may harm.
    #[default]
    Fail,
    /// Run it again: its author says that it may.
    Rerun,
}

/// An object that runs once a release instead of being part of it.
#[derive(Clone, PartialEq)]
pub struct Hook {
    /// Which; its name ends with the release, so that a Job of the release before is another object.
    pub key: ObjectKey,
    /// `apiVersion` of the manifest.
    pub api_version: String,
    /// Body to create. May hold Secret data: never log it.
    pub body: Value,
    /// When.
    pub phase: HookPhase,
    /// Order within the phase.
    pub wave: i32,
    /// Names the run: release and hook.
    pub run: String,
    /// What to make of it when it vanished.
    pub on_lost: OnLost,
    /// Whether its object goes once it ended well.
    pub remove_on_success: bool,
    /// Whether its object goes once it ended badly.
    pub remove_on_failure: bool,
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hook")
            .field("id", &self.key.id())
            .field("phase", &self.phase)
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

/// The whole set of one App, complete: whoever holds it may conclude from what is not in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    pub(crate) app: AppName,
    pub(crate) objects: BTreeMap<ObjectKey, DesiredObject>,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) notes: Vec<String>,
}

impl Desired {
    /// The App.
    pub fn app(&self) -> &AppName {
        &self.app
    }

    /// All objects by key.
    pub fn objects(&self) -> &BTreeMap<ObjectKey, DesiredObject> {
        &self.objects
    }

    /// One object.
    pub fn get(&self, key: &ObjectKey) -> Option<&DesiredObject> {
        self.objects.get(key)
    }

    /// Objects that run once instead of being part of the set.
    pub fn hooks(&self) -> impl Iterator<Item = &Hook> {
        self.hooks.iter()
    }

    /// What was put right on the way in and a person may want to know.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

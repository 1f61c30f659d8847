//! Objects that run once a release instead of being part of it.

use model::{ObjectKey, ObjectParts};
use serde_json::{Value, json};

use super::{AdmitOptions, Item};
use crate::choices::Misread;
use crate::desired::{Hook, HookPhase, OnLost};
use crate::keyed::Fingerprint;
use crate::ownership::Ownership;
use crate::path;

const HOOK: &str = "tidegate.dev/hook";
const DELETE: &str = "tidegate.dev/hook-delete";
const LOST: &str = "tidegate.dev/hook-lost";
/// Longest name that leaves room for the release: names of Jobs have at most 63 bytes.
const NAME_BYTES_MAX: usize = 54;

/// The phases, and what Helm and Argo CD call them.
const PHASES: &[(HookPhase, &str, &[&str], &[&str])] = &[
    (HookPhase::PreApply, "pre-apply", &["pre-install", "pre-upgrade"], &["PreSync"]),
    (HookPhase::PostApply, "post-apply", &["post-install", "post-upgrade"], &["PostSync"]),
    (HookPhase::OnFailure, "on-failure", &[], &["SyncFail"]),
    (HookPhase::PreDelete, "pre-delete", &["pre-delete"], &["PreDelete"]),
];

/// A hook, as its author asked for it.
pub(super) struct AskedHook {
    phase: HookPhase,
    on_lost: OnLost,
    remove_on_success: bool,
    remove_on_failure: bool,
}

/// Whether `object` is a hook, or what cannot be read about it.
pub(super) fn read(object: &Value, options: &AdmitOptions) -> Result<Option<AskedHook>, Misread> {
    let text = |name: &str| {
        let value = object.get("metadata")?.get("annotations")?.get(name)?.as_str()?;
        Some(value.trim().to_owned())
    };
    let misread =
        |name: &str, why: &str| (path::field("metadata.annotations", name), why.to_owned());
    let foreign = || {
        let helm = text("helm.sh/hook").unwrap_or_default();
        let argo = text("argocd.argoproj.io/hook").unwrap_or_default();
        let among = |list: &str, names: &[&str]| list.split(',').any(|n| names.contains(&n.trim()));
        PHASES.iter().find(|(_, _, h, a)| among(&helm, h) || among(&argo, a)).map(|(p, ..)| *p)
    };
    let phase = if let Some(asked) = text(HOOK) {
        let Some((phase, ..)) = PHASES.iter().find(|(_, name, ..)| *name == asked) else {
            let why = "is not `pre-apply`, `post-apply`, `on-failure` or `pre-delete`";
            return Err(misread(HOOK, why));
        };
        Some(*phase)
    } else if options.foreign_hooks {
        foreign()
    } else {
        None
    };
    let Some(phase) = phase else { return Ok(None) };
    let on_lost = match text(LOST).as_deref() {
        None | Some("fail") => OnLost::Fail,
        Some("rerun") => OnLost::Rerun,
        Some(_) => return Err(misread(LOST, "is not `fail` or `rerun`")),
    };
    let policies = text(DELETE).unwrap_or_default();
    let mut asked =
        AskedHook { phase, on_lost, remove_on_success: false, remove_on_failure: false };
    for policy in policies.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        match policy {
            "before-creation" => {}
            "on-success" => asked.remove_on_success = true,
            "on-failure" => asked.remove_on_failure = true,
            _ => {
                return Err(misread(
                    DELETE,
                    "is not `before-creation`, `on-success` or `on-failure`",
                ));
            }
        }
    }
    Ok(Some(asked))
}

/// Stands for the whole release: every object of it by its digest.
pub(super) fn release(items: &[Item], options: &AdmitOptions) -> Fingerprint {
    let mut digests: Vec<String> =
        items.iter().map(|item| format!("{}{}", item.digest, item.inside)).collect();
    digests.sort();
    let parts: Vec<&[u8]> = digests.iter().map(String::as_bytes).collect();
    Fingerprint::of(&options.key, &parts)
}

impl AskedHook {
    pub(super) fn finish(
        self,
        ownership: &Ownership,
        key: ObjectKey,
        mut body: Value,
        wave: i32,
        release: Fingerprint,
    ) -> Hook {
        let run = format!("{release} {}", key.id());
        let mut end = key.name.len().min(NAME_BYTES_MAX);
        while !key.name.is_char_boundary(end) {
            end -= 1;
        }
        let suffix = release.to_string();
        let cut = key.name[..end].trim_end_matches(['-', '.']);
        let key: ObjectKey =
            ObjectParts { name: format!("{cut}-{}", &suffix[..8]), ..key.into() }.into();
        body["metadata"]["name"] = json!(key.name);
        ownership.stamp(&mut body, &key);
        let api_version = super::identity::text(&body, "apiVersion").unwrap_or_default().to_owned();
        let AskedHook { phase, on_lost, remove_on_success, remove_on_failure } = self;
        Hook {
            key,
            api_version,
            body,
            phase,
            wave,
            run,
            on_lost,
            remove_on_success,
            remove_on_failure,
        }
    }
}

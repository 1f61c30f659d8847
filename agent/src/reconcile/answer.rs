//! What an answer of the API server means for an object of the App. No client.

use model::{ObjectKey, ObjectParts};
use plan::{Answer, Asked, Class, Failure, Verb, classify};
use serde_json::Value;

use super::stage::Stage;
use crate::cluster::Reply;

/// Understands a refusal.
pub(super) fn understand(stage: Stage<'_>, key: &ObjectKey, verb: Verb, reply: &Reply) -> Failure {
    let namespace: ObjectKey = ObjectParts {
        group: String::new(),
        kind: "Namespace".to_owned(),
        namespace: String::new(),
        name: key.namespace.clone(),
    }
    .into();
    let asked = Asked {
        verb,
        key,
        namespace_planned: stage.release.desired.get(&namespace).is_some(),
        definition_planned: planned(stage, key),
    };
    let answer = Answer {
        code: reply.code,
        status: reply.body.is_object().then_some(&reply.body),
        text: &reply.text,
        retry_after: reply.retry_after,
    };
    let failure = classify(&asked, &answer);
    match escalation(reply).filter(|_| failure.class == Class::Forbidden) {
        Some(message) => Failure { message, ..failure },
        None => failure,
    }
}

/// The rules that somebody would have to hold to pass them on. The server says first who asked, with all groups, and a
/// message that is cut would end before the rules.
fn escalation(reply: &Reply) -> Option<String> {
    let message = reply.body.get("message")?.as_str()?;
    let (_, rules) =
        message.split_once("attempting to grant RBAC permissions not currently held:")?;
    Some(format!("it grants rights that its account does not hold: {}", rules.trim()))
}

/// Whether the definition of `key`'s kind is part of the App.
pub(super) fn planned(stage: Stage<'_>, key: &ObjectKey) -> bool {
    stage.release.desired.objects().values().any(|object| {
        let text = |path: &str| object.body.pointer(path).and_then(Value::as_str);
        object.key.kind == "CustomResourceDefinition"
            && text("/spec/group") == Some(&key.group)
            && text("/spec/names/kind") == Some(&key.kind)
    })
}

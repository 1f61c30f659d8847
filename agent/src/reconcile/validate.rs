//! Step 1: from the grant to what shall be. No client.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{AppName, Choices, Grant, Reason};
use plan::{AdmitOptions, Content, Desired, Scope, Scrubber};

use super::Shared;
use super::report::Trouble;
use super::rules::Rules;
use crate::cluster::Kinds;
use crate::state::of_release;

/// Faults that a message names.
const NAMED_MAX: usize = 5;

/// An admitted release.
#[derive(Debug, Clone)]
pub(super) struct Release {
    pub(super) grant: Grant,
    pub(super) desired: Arc<Desired>,
    pub(super) scrubber: Arc<Scrubber>,
    /// What the App chose with it; `None` for the release of nothing, which chooses nothing.
    pub(super) choices: Option<Arc<Choices>>,
    pub(super) rules: Arc<Rules>,
}

struct Served<'a>(&'a Kinds);

impl Scope for Served<'_> {
    fn namespaced(&self, group: &str, kind: &str) -> Option<bool> {
        self.0.any(group, kind).map(|resource| resource.namespaced)
    }
}

/// Reads, verifies and admits the content of `grant`: all of it or nothing.
pub(super) async fn validate(
    shared: &Shared,
    app: &AppName,
    grant: Grant,
) -> Result<Release, Trouble> {
    let pack = match shared.state.content(&grant.digest).await {
        Ok(Some(pack)) => pack,
        Ok(None) => {
            let message = "the release is held, and its content is not in the agent's state";
            return Err(Trouble::waiting(Reason::ContentCorrupt, message));
        }
        Err(fault) => {
            return Err(Trouble::waiting(
                Reason::AgentStateUnwritable,
                crate::fault::causes(&fault),
            ));
        }
    };
    let mut contents = Vec::new();
    let mut scrubber = Scrubber::new();
    for entry in pack.manifest.entries().iter().filter(|entry| !Choices::is_key(&entry.key)) {
        let bytes = pack.object(&entry.digest).map(|b| &b[..]).unwrap_or_default();
        let object = serde_json::from_slice(bytes).map_err(|fault| {
            Trouble::terminal(Reason::ContentInvalid, format!("{}: {fault}", entry.key))
        })?;
        scrubber.learn(&object);
        contents.push(Content { digest: entry.digest, object });
    }
    let choices = of_release(&pack).map_err(|fault| {
        let why = format!("what the App chose for its agent cannot be read: {fault}");
        Trouble::terminal(Reason::ContentInvalid, why)
    })?;
    let rules =
        Rules::read(&choices).map_err(|why| Trouble::terminal(Reason::ContentInvalid, why))?;
    let kinds = shared.cluster.kinds();
    let options = AdmitOptions {
        agent_namespace: Some(shared.namespace.clone()),
        ignore: choices.ignore.clone(),
        ..AdmitOptions::new(shared.state.key().clone())
    };
    let desired = plan::admit(app, contents, &Served(&kinds), &options).map_err(|faults| {
        let reasons: BTreeSet<Reason> = faults.iter().map(|f| f.reason).collect();
        let reason = match reasons.first() {
            Some(only) if reasons.len() == 1 => *only,
            _ => Reason::ContentInvalid,
        };
        let named: Vec<String> = faults.iter().take(NAMED_MAX).map(ToString::to_string).collect();
        let mut message = named.join("; ");
        if faults.len() > NAMED_MAX {
            message.push_str(&format!("; and {} more", faults.len() - NAMED_MAX));
        }
        Trouble::terminal(reason, scrubber.scrub(&message))
    })?;
    for note in desired.notes() {
        tracing::debug!(%app, note, "admitted");
    }
    let is_nothing = pack.manifest.entries().is_empty();
    Ok(Release {
        grant,
        desired: Arc::new(desired),
        scrubber: Arc::new(scrubber),
        choices: (!is_nothing).then(|| Arc::new(choices)),
        rules: Arc::new(rules),
    })
}

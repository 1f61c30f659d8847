//! Step 1: from the grant to what shall be. The client only where something is encrypted.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{AppName, Choices, Grant, Ignore, ObjectEntry, Reason};
use plan::{AdmitOptions, Content, Desired, Scope, Scrubber};

use super::Shared;
use super::report::Trouble;
use super::rules::Rules;
use super::unseal::unseal;
use crate::cluster::Kinds;
use crate::state::{Pack, of_release};

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
    made_of: Arc<MadeOf>,
}

/// All that `desired` follows from: from equal things it need not be made again.
#[derive(Debug)]
struct MadeOf {
    entries: Vec<ObjectEntry>,
    ignore: Vec<Ignore>,
    kinds: Arc<Kinds>,
}

impl PartialEq for MadeOf {
    fn eq(&self, other: &MadeOf) -> bool {
        self.entries == other.entries
            && self.ignore == other.ignore
            && Arc::ptr_eq(&self.kinds, &other.kinds)
    }
}

struct Served<'a>(&'a Kinds);

impl Scope for Served<'_> {
    fn namespaced(&self, group: &str, kind: &str) -> Option<bool> {
        self.0.any(group, kind).map(|resource| resource.namespaced)
    }
}

/// Reads, verifies and admits the content of `grant`: all of it or nothing. Where the release `before` had the same
/// objects, what was made of them is taken over.
pub(super) async fn validate(
    shared: &Shared,
    app: &AppName,
    grant: Grant,
    before: Option<Release>,
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
    let choices = of_release(&pack).map_err(|fault| {
        let why = format!("what the App chose for its agent cannot be read: {fault}");
        Trouble::terminal(Reason::ContentInvalid, why)
    })?;
    let rules =
        Rules::read(&choices).map_err(|why| Trouble::terminal(Reason::ContentInvalid, why))?;
    let entries = pack.manifest.entries().iter().filter(|entry| !Choices::is_key(&entry.key));
    let made_of = MadeOf {
        entries: entries.cloned().collect(),
        ignore: choices.ignore.clone(),
        kinds: shared.cluster.kinds(),
    };
    let is_nothing = pack.manifest.entries().is_empty();
    let choices = (!is_nothing).then(|| Arc::new(choices));
    let rules = Arc::new(rules);
    if let Some(before) = before.filter(|before| *before.made_of == made_of) {
        return Ok(Release { grant, choices, rules, ..before });
    }
    let (desired, scrubber) = admit(shared, app, &pack, &made_of).await?;
    let (desired, scrubber) = (Arc::new(desired), Arc::new(scrubber));
    Ok(Release { grant, desired, scrubber, choices, rules, made_of: Arc::new(made_of) })
}

/// What shall be, and what must not be said of it.
async fn admit(
    shared: &Shared,
    app: &AppName,
    pack: &Pack,
    made_of: &MadeOf,
) -> Result<(Desired, Scrubber), Trouble> {
    let mut contents = Vec::new();
    let mut scrubber = Scrubber::new();
    for entry in &made_of.entries {
        let bytes = pack.object(&entry.digest).map(|b| &b[..]).unwrap_or_default();
        let object = serde_json::from_slice(bytes).map_err(|fault| {
            Trouble::terminal(Reason::ContentInvalid, format!("{}: {fault}", entry.key))
        })?;
        contents.push(Content { digest: entry.digest, object });
    }
    let contents = unseal(shared, contents, &made_of.entries, &mut scrubber).await?;
    for content in &contents {
        scrubber.learn(&content.object);
    }
    let options = AdmitOptions {
        agent_namespace: Some(shared.namespace.clone()),
        ignore: made_of.ignore.clone(),
        ..AdmitOptions::new(shared.state.key().clone())
    };
    let admitted = plan::admit(app, contents, &Served(&made_of.kinds), &options);
    let desired = admitted.map_err(|faults| {
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
    Ok((desired, scrubber))
}

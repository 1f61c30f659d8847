//! What the App chose, and in whose name it is applied. Watches, discovery and reads are the agent's; writes are those of the App's account,
//! so that the API server holds an App to the rights of its account. Uses the client.

use model::{Choices, ObjectKey, ObjectParts, Reason};

use super::Shared;
use super::report::Trouble;
use super::validate::Release;
use crate::cluster::{Account, Cluster, Resource};
use crate::state::{Options, read};

/// Objects that a message names.
const NAMED_MAX: usize = 10;

/// What the App chose, with what was chosen for this grant on top; what cannot be read is never guessed.
pub(super) fn choices(options: &Options, release: &Release) -> Result<Choices, Trouble> {
    let unread = |fault| {
        let why = format!("what the App chose for its agent cannot be read: {fault}");
        Trouble::terminal(Reason::ContentInvalid, why)
    };
    let of_grant = read(&options.choices).map_err(unread)?;
    let of_release = match &release.choices {
        Some(choices) => Choices::clone(choices),
        None => read(&options.parting).map_err(unread)?,
    };
    Ok(of_release.with(of_grant))
}

/// Whoever writes for this App.
pub(super) fn writer(shared: &Shared, choices: &Choices) -> Result<Cluster, Trouble> {
    let name = match (&*choices.service_account, &shared.default_account) {
        ("", None) => return Ok(shared.cluster.clone()),
        ("", Some(default)) => default.as_str(),
        (chosen, _) => chosen,
    };
    let account = Account::parse(name).ok_or_else(|| {
        let why = format!("`{name}` is no service account; write NAMESPACE/NAME");
        Trouble::terminal(Reason::ContentInvalid, why)
    })?;
    Ok(shared.cluster.speaking_for(account))
}

/// Whether the account exists; always for the agent itself. An account that is gone may leave its rights behind, and
/// whoever deleted it did not mean that they are used.
pub(super) async fn exists(shared: &Shared, writer: &Cluster) -> Result<bool, Trouble> {
    let Some(account) = writer.account() else { return Ok(true) };
    let place = Resource::core("ServiceAccount", "serviceaccounts", true);
    let reply = shared.cluster.metadata(&place, &key(account)).await;
    let reply = reply.map_err(|fault| Trouble::unreachable(&fault))?;
    match reply.code {
        200 => Ok(true),
        404 => Ok(false),
        code => {
            let why =
                format!("whether the service account `{account}` exists cannot be told: {code}");
            Err(Trouble::waiting(Reason::ApiServerUnreachable, why))
        }
    }
}

/// The account as an object.
pub(super) fn key(account: &Account) -> ObjectKey {
    ObjectParts {
        group: String::new(),
        kind: "ServiceAccount".to_owned(),
        namespace: account.namespace().to_owned(),
        name: account.name().to_owned(),
    }
    .into()
}

/// Nothing can be removed in the name of an account that is gone: says what stays.
pub(super) fn orphans<'k>(account: &Account, stay: impl Iterator<Item = &'k ObjectKey>) -> Trouble {
    let names: Vec<String> = stay.map(ToString::to_string).collect();
    let mut list = names.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > NAMED_MAX {
        list.push_str(&format!(" and {} more", names.len() - NAMED_MAX));
    }
    let why =
        format!("its service account `{account}` is gone, so {} objects stay: {list}", names.len());
    Trouble::waiting(Reason::PruneBlocked, why)
}

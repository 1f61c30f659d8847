//! One verb of a person on a rollout: look, say whom it reaches, do it under the condition that nothing
//! changed since, say what comes next.

use model::{
    Digest, Reason,
    api::{ActedItem, List, RolloutAction, RolloutItem},
};

use super::{Context, get, reach, segment};
use crate::{
    error::{Error, Exit},
    output::{Format, Output, safe},
};

/// Digits of a commit that name a revision at least.
const REV_MIN: usize = 4;

/// `APP`, `app/APP`, `rollout/APP`, each perhaps with `@REV`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The App.
    pub(crate) app: String,
    /// First digits of a commit.
    pub(crate) rev: Option<String>,
}

impl Target {
    pub(crate) fn parse(text: &str) -> Result<Target, Error> {
        let name = ["app/", "rollout/", "ro/"].iter().find_map(|kind| text.strip_prefix(kind));
        let name = name.unwrap_or(text);
        let Some((app, rev)) = name.split_once('@') else {
            return Ok(Target { app: name.to_owned(), rev: None });
        };
        // `web@main@sha1:4f2c…` is how revisions are printed; the commit is what counts.
        let rev = rev.rsplit_once("sha1:").map_or(rev, |(_, commit)| commit);
        let rev = rev.rsplit_once('@').map_or(rev, |(_, commit)| commit).to_ascii_lowercase();
        if rev.len() < REV_MIN || !rev.bytes().all(|b| b.is_ascii_hexdigit()) {
            let text = format!("`{text}` names no revision");
            return Err(Error::because(Exit::Usage, Reason::BadRequest, text)
                .hint(format!("write APP@REV with {REV_MIN} to 40 digits of a commit")));
        }
        Ok(Target { app: app.to_owned(), rev: Some(rev) })
    }

    /// Refused when the active rollout is of another revision than the person means.
    fn meets(&self, active: Option<&RolloutItem>) -> Result<(), Error> {
        let Some(rev) = &self.rev else { return Ok(()) };
        let app = &self.app;
        let look = format!("look again with `tidegate why app/{app}`");
        match active {
            None => {
                let text = format!("no rollout of `{app}` is active, and you mean {rev}");
                Err(Error::because(Exit::No, Reason::Refused, text).hint(look))
            }
            Some(rollout) if commit(&rollout.revision).starts_with(rev.as_str()) => Ok(()),
            Some(rollout) => {
                let is = get::short(&rollout.revision);
                let text =
                    format!("the active rollout {app}#{} is of {is}, not of {rev}", rollout.id);
                Err(Error::because(Exit::No, Reason::StateChanged, text).hint(look))
            }
        }
    }
}

/// The commit of `main@sha1:…`.
pub(crate) fn commit(revision: &str) -> &str {
    revision.rsplit_once("sha1:").map_or(revision, |(_, commit)| commit)
}

/// What every verb takes beside its own.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Seen {
    /// `stamp` of what you looked at (from `get rollouts -o json`); refused when it changed since
    #[arg(long, value_name = "DIGEST")]
    seen: Option<String>,
}

/// Carries out a verb.
pub(crate) async fn run(
    target: &Target,
    mut action: RolloutAction,
    seen: &Seen,
    context: &Context,
) -> Result<Exit, Error> {
    let app = segment(&target.app);
    let found: List<RolloutItem> = context.hub.get(&format!("rollouts?app={app}")).await?;
    let active = found.items.iter().find(|r| r.ended_at.is_none());
    if matches!(action.verb.as_str(), "condemn" | "absolve") {
        action.release.clone_from(&target.rev);
    } else {
        target.meets(active)?;
    }
    let stamp = found.items.iter().find_map(|r| r.stamp);
    action.seen = match &seen.seen {
        None => stamp,
        Some(text) => Some(Digest::parse(text).map_err(|e| {
            Error::because(Exit::Usage, Reason::BadRequest, e.to_string())
                .hint("take `stamp` from `tidegate get rollouts -o json`")
        })?),
    };
    if let Some(text) = reach::radius(&target.app, &action, active) {
        context.output.say(&safe(&text));
    }
    let path = format!("rollouts/{app}/actions");
    let acted: ActedItem = context.hub.post(&path, &action).await?;
    if context.output.format == Format::Json {
        Output::json(&acted)?;
    }
    if let Some(rollout) = &acted.rollout {
        let text =
            format!("{}#{} is {}: {}", rollout.app, rollout.id, rollout.state, rollout.message);
        context.output.say(&safe(&text));
    } else {
        context.output.say(&safe(&acted.done));
    }
    context.output.say(&format!("next: {}", reach::next(&target.app, &action.verb)));
    Ok(Exit::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_app_perhaps_with_a_revision() {
        let parse = |text| Target::parse(text).map(|t| (t.app, t.rev));
        assert_eq!(parse("web"), Ok(("web".into(), None)));
        assert_eq!(parse("app/web@4F2c1d9"), Ok(("web".into(), Some("4f2c1d9".into()))));
        let full = format!("rollout/web@main@sha1:{}", "a".repeat(40));
        assert_eq!(parse(&full), Ok(("web".into(), Some("a".repeat(40)))));
        assert_eq!(parse("web@wave").unwrap_err().exit, Exit::Usage);
        assert_eq!(parse("web@abc").unwrap_err().exit, Exit::Usage);
    }
}

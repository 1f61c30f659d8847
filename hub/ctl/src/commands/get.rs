//! `tidegate get KIND [NAME…]`.

use clap::ValueEnum;
use model::{
    Reason,
    api::{AppItem, ClusterItem, List, RolloutItem, SourceItem, WaveItem},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{Context, did_you_mean};
use crate::{
    error::{Error, Exit},
    output::{Format, Output, Table, state},
};

/// What to list.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    kind: Kind,
    /// Only these; for rollouts and waves the name of an app
    names: Vec<String>,
}

/// Kinds that can be listed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    #[value(aliases = ["cluster", "cl"])]
    Clusters,
    #[value(alias = "app")]
    Apps,
    #[value(aliases = ["rollout", "ro"])]
    Rollouts,
    #[value(alias = "wave")]
    Waves,
    #[value(aliases = ["source", "src"])]
    Sources,
}

/// Runs it.
pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Error> {
    let (names, output) = (&args.names, context.output);
    match args.kind {
        Kind::Clusters => {
            let list = fetch(context, "clusters", names, |c: &ClusterItem| &c.name).await?;
            clusters(&list, output)?;
        }
        Kind::Apps => apps(&fetch(context, "apps", names, |a: &AppItem| &a.name).await?, output)?,
        Kind::Rollouts => {
            let list = fetch(context, "rollouts", names, |r: &RolloutItem| &r.app).await?;
            rollouts(&list, output)?;
        }
        Kind::Waves => {
            let list = fetch(context, "waves", names, wave_app).await?;
            waves(&list, output)?;
        }
        Kind::Sources => {
            let list = fetch(context, "sources", names, |s: &SourceItem| &s.name).await?;
            sources(&list, output)?;
        }
    }
    Ok(Exit::Fine)
}

/// All items, or those named; a name that is not there is an error with the nearest one that is.
async fn fetch<T: DeserializeOwned>(
    context: &Context,
    kind: &str,
    names: &[String],
    name: impl Fn(&T) -> &str,
) -> Result<List<T>, Error> {
    let list: List<T> = context.hub.get(kind).await?;
    for asked in names {
        if !list.items.iter().any(|item| name(item) == asked) {
            let known = list.items.iter().map(&name);
            let hint = match did_you_mean(asked, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("`tidegate get {kind}` shows all {}", list.items.len()),
            };
            let message = format!("nothing named `{asked}` among the {kind}");
            return Err(Error::because(Exit::NotFound, Reason::NotFound, message).hint(hint));
        }
    }
    let wanted = |item: &T| names.is_empty() || names.iter().any(|n| n == name(item));
    Ok(List::new(list.items.into_iter().filter(wanted).collect()))
}

fn print<T: Serialize>(
    list: &List<T>,
    output: Output,
    heading: &[&str],
    name: impl Fn(&T) -> String,
    row: impl Fn(&T) -> Vec<String>,
) -> Result<(), Error> {
    match output.format {
        Format::Json => Output::json(list),
        Format::Name => Output::data(&list.items.iter().map(name).collect::<Vec<_>>().join("\n")),
        Format::Table if list.items.is_empty() => {
            output.say("nothing there yet");
            Ok(())
        }
        Format::Table => {
            let mut table = Table::new(heading);
            list.items.iter().for_each(|item| table.row(&row(item)));
            Output::data(&table.to_string())
        }
    }
}

fn wave_app(wave: &WaveItem) -> &str {
    wave.app.as_deref().unwrap_or_default()
}

fn because(reason: Option<Reason>, message: &str) -> String {
    match reason {
        Some(reason) => format!("{} {message}", reason.code()),
        None => message.to_owned(),
    }
}

fn clusters(list: &List<ClusterItem>, output: Output) -> Result<(), Error> {
    print(
        list,
        output,
        &["CLUSTER", "STATE", "APPS", "LABELS", "WHY"],
        |c| c.name.clone(),
        |c| {
            let labels: Vec<_> = c.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
            vec![
                c.name.clone(),
                state(c.state),
                c.apps.len().to_string(),
                labels.join(","),
                because(c.reason, &c.message),
            ]
        },
    )
}

fn apps(list: &List<AppItem>, output: Output) -> Result<(), Error> {
    print(
        list,
        output,
        &["APP", "STATE", "READY", "STABLE", "HEAD", "WHY"],
        |a| a.name.clone(),
        |a| {
            let revision = |r: &Option<String>| r.as_deref().map_or("-".to_owned(), short);
            vec![
                a.name.clone(),
                state(a.state),
                format!("{}/{}", a.ready, a.clusters),
                revision(&a.stable),
                revision(&a.head),
                because(a.reason, &a.message),
            ]
        },
    )
}

fn rollouts(list: &List<RolloutItem>, output: Output) -> Result<(), Error> {
    let heading = ["ROLLOUT", "REVISION", "KIND", "STATE", "WAVE", "CLUSTERS", "WHY"];
    print(
        list,
        output,
        &heading,
        |r| format!("{}#{}", r.app, r.id),
        |r| {
            let done = r.waves.iter().filter(|w| ["Passed", "Skipped"].contains(&w.state.as_str()));
            let total: usize = r.waves.iter().map(|w| w.clusters.total).sum();
            let ready: usize = r.waves.iter().map(|w| w.clusters.ready).sum();
            vec![
                format!("{}#{}", r.app, r.id),
                short(&r.revision),
                r.kind.clone(),
                r.state.clone(),
                format!("{}/{}", done.count(), r.waves.len()),
                format!("{ready}/{total}"),
                because(r.reason, &r.message),
            ]
        },
    )
}

fn waves(list: &List<WaveItem>, output: Output) -> Result<(), Error> {
    let heading = ["ROLLOUT", "WAVE", "STATE", "READY", "FAILED", "WHY"];
    let rollout = |w: &WaveItem| {
        format!("{}#{}", w.app.as_deref().unwrap_or("?"), w.rollout.unwrap_or_default())
    };
    print(
        list,
        output,
        &heading,
        |w| format!("{}/{}", rollout(w), w.name),
        |w| {
            vec![
                rollout(w),
                w.name.clone(),
                w.state.clone(),
                format!("{}/{}", w.clusters.ready, w.clusters.total),
                w.clusters.failed.to_string(),
                because(w.reason, &w.message),
            ]
        },
    )
}

/// Prints sources; also used by `source list`.
pub(crate) fn sources(list: &List<SourceItem>, output: Output) -> Result<(), Error> {
    print(
        list,
        output,
        &["SOURCE", "STATE", "REVISION", "URL", "WHY"],
        |s| s.name.clone(),
        |s| {
            vec![
                s.name.clone(),
                state(s.state),
                s.revision.as_deref().map_or("-".to_owned(), short),
                s.url.clone(),
                because(s.reason, &s.message),
            ]
        },
    )
}

/// `main@sha1:1f3c9a2…` with 7 digits.
pub(crate) fn short(revision: &str) -> String {
    match revision.split_once("@sha1:") {
        Some((name, commit)) if commit.len() > 7 => format!("{name}@{}", &commit[..7]),
        _ => revision.to_owned(),
    }
}

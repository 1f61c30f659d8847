//! `tidegate freeze|unfreeze [fleet|app/NAME]`, and `tidegate cluster cordon|uncordon|pin|unpin`.

use std::time::Duration;

use model::api::{AppItem, ClusterItem, HoldAction, List, MarkItem, RolloutItem};

use super::{Context, segment};
use crate::{
    duration::parse_duration,
    error::{Error, Exit},
    output::{Format, Output, Table, safe},
};

/// Why, and for how long.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Why {
    /// Ends by itself after so long, such as `2h`
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    length: Option<Duration>,
    /// Why; stands in the audit for ever
    #[arg(long)]
    reason: String,
}

/// What to freeze.
#[derive(Debug, clap::Args)]
pub(crate) struct Freeze {
    /// `fleet` or `app/NAME`
    #[arg(default_value = "fleet")]
    scope: String,
    #[command(flatten)]
    why: Why,
}

/// What to let go.
#[derive(Debug, clap::Args)]
pub(crate) struct Unfreeze {
    /// `fleet` or `app/NAME`
    #[arg(default_value = "fleet")]
    scope: String,
    /// Why; stands in the audit for ever
    #[arg(long)]
    reason: String,
}

/// Runs `freeze`.
pub(crate) async fn freeze(args: &Freeze, context: &Context) -> Result<Exit, Error> {
    let action = HoldAction {
        verb: "freeze".to_owned(),
        scope: Some(args.scope.clone()),
        app: None,
        reason: args.why.reason.clone(),
        for_seconds: args.why.length.map(|length| length.as_secs()),
    };
    frozen(&action, &args.scope, context).await?;
    context.output.say(&format!("next: tidegate unfreeze {} --reason TEXT", args.scope));
    Ok(Exit::Fine)
}

/// Runs `unfreeze`.
pub(crate) async fn unfreeze(args: &Unfreeze, context: &Context) -> Result<Exit, Error> {
    let action = HoldAction {
        verb: "unfreeze".to_owned(),
        scope: Some(args.scope.clone()),
        app: None,
        reason: args.reason.clone(),
        for_seconds: None,
    };
    frozen(&action, &args.scope, context).await?;
    context.output.say("next: tidegate get rollouts");
    Ok(Exit::Fine)
}

async fn frozen(action: &HoldAction, scope: &str, context: &Context) -> Result<(), Error> {
    let rollouts: List<RolloutItem> = context.hub.get("rollouts").await?;
    let apps: List<AppItem> = context.hub.get("apps").await?;
    let about = |app: &str| scope == "fleet" || scope.strip_prefix("app/") == Some(app);
    let apps = apps.items.iter().filter(|a| about(&a.name)).count();
    let active: Vec<_> = rollouts
        .items
        .iter()
        .filter(|r| r.ended_at.is_none() && about(&r.app))
        .map(|r| format!("{}#{}", r.app, r.id))
        .collect();
    let under_way = if active.is_empty() { "none".to_owned() } else { active.join(", ") };
    let verb = &action.verb;
    let text = format!(
        "{verb} {scope}: {apps} apps, rollouts under way: {under_way}; what was granted goes on"
    );
    context.output.say(&safe(&text));
    let mark: MarkItem = context.hub.post("freezes", action).await?;
    if context.output.format == Format::Json {
        Output::json(&mark)?;
    }
    let done = if verb == "freeze" { "frozen" } else { "free" };
    let until = if verb == "freeze" { end(&mark) } else { String::new() };
    context.output.say(&format!("{} is {done}{until}", mark.scope));
    Ok(())
}

fn end(mark: &MarkItem) -> String {
    mark.until.map_or_else(|| " until a person lifts it".to_owned(), |t| format!(" until {t:.0}"))
}

/// A cluster to hold back.
#[derive(Debug, clap::Args)]
pub(crate) struct Cluster {
    /// Name of the cluster
    name: String,
    #[command(flatten)]
    why: Why,
}

/// A cluster and perhaps one App of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Pin {
    /// Name of the cluster
    name: String,
    /// Only this app; all of them when left out
    #[arg(long)]
    app: Option<String>,
    #[command(flatten)]
    why: Why,
}

/// Nothing new is granted to the cluster.
pub(crate) async fn cordon(verb: &str, args: &Cluster, context: &Context) -> Result<Exit, Error> {
    held(verb, &args.name, None, &args.why, context).await
}

/// The cluster stays on what it runs.
pub(crate) async fn pin(verb: &str, args: &Pin, context: &Context) -> Result<Exit, Error> {
    held(verb, &args.name, args.app.clone(), &args.why, context).await
}

async fn held(
    verb: &str,
    name: &str,
    app: Option<String>,
    why: &Why,
    context: &Context,
) -> Result<Exit, Error> {
    let path = format!("clusters/{}", segment(name));
    let cluster: ClusterItem = context.hub.get(&path).await?;
    let about = |of: &str| app.as_deref().is_none_or(|app| app == of);
    let runs: Vec<_> =
        cluster.apps.iter().filter(|a| about(&a.app)).map(|a| a.app.clone()).collect();
    let runs = if runs.is_empty() { "no app".to_owned() } else { runs.join(", ") };
    let what = match verb {
        "cordon" | "pin" => "gets nothing new; it keeps what it runs",
        _ => "gets again what it missed",
    };
    context.output.say(&safe(&format!("{verb} cluster/{name} ({runs}): it {what}")));
    let of = app.as_deref().map(|app| format!(" --app {app}")).unwrap_or_default();
    let action = HoldAction {
        verb: verb.to_owned(),
        scope: None,
        app,
        reason: why.reason.clone(),
        for_seconds: why.length.map(|length| length.as_secs()),
    };
    let cluster: ClusterItem = context.hub.post(&format!("{path}/hold"), &action).await?;
    if context.output.format == Format::Json {
        Output::json(&cluster)?;
    }
    let text = format!("cluster/{name} is {}: {}", cluster.state, cluster.message);
    context.output.say(&safe(&text));
    context.output.say(&match verb {
        "cordon" => format!("next: tidegate cluster uncordon {name} --reason TEXT"),
        "pin" => format!("next: tidegate cluster unpin {name}{of} --reason TEXT"),
        _ => format!("next: tidegate why cluster/{name}"),
    });
    Ok(Exit::Fine)
}

/// Prints the freezes that hold.
pub(crate) async fn freezes(context: &Context) -> Result<Exit, Error> {
    let list: List<MarkItem> = context.hub.get("freezes").await?;
    match context.output.format {
        Format::Json => Output::json(&list)?,
        Format::Name => {
            let names: Vec<_> = list.items.iter().map(|m| m.scope.clone()).collect();
            Output::data(&names.join("\n"))?;
        }
        Format::Table => {
            let mut table = Table::new(&["SCOPE", "BY", "SINCE", "UNTIL", "REASON"]);
            for mark in &list.items {
                let until = mark.until.map_or_else(|| "-".to_owned(), |t| format!("{t:.0}"));
                let since = format!("{:.0}", mark.at);
                table.row(&[
                    mark.scope.clone(),
                    mark.by.clone(),
                    since,
                    until,
                    mark.reason.clone(),
                ]);
            }
            Output::data(&table.to_string())?;
        }
    }
    Ok(Exit::Fine)
}

//! `tidegate rollout watch|start|pause|resume|abort|rollback|retry|skip APP`.

use std::time::Duration;

use clap::Subcommand;
use model::{
    Reason,
    api::{List, RolloutAction, RolloutItem},
};

use super::{Context, get, segment, simulate};
use crate::{
    error::{Error, Exit},
    output::{Format, Output},
};

/// Pause between two looks of `watch`; the hub answers from memory.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// What to do with the rollout of an app.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Follow until it ends; ends with 1 when it did not complete
    Watch {
        /// Name of the app
        app: String,
    },
    /// Play a scenario in virtual time with the hub's own rules; needs no hub
    Simulate(simulate::Args),
    /// Start a rollout that waits for a person
    Start {
        /// Name of the app
        app: String,
        /// Said for clearness: a release that waits for the active rollout supersedes it
        #[arg(long)]
        now: bool,
    },
    /// Stop handing out the release; clusters keep what they run
    Pause(WithReason),
    /// Go on
    Resume {
        #[command(flatten)]
        common: WithReason,
        /// Accept the failures so far
        #[arg(long)]
        accept: bool,
    },
    /// End it where it stands
    Abort(WithReason),
    /// Return every exposed cluster to its last good release
    Rollback(WithReason),
    /// Try failed clusters again
    Retry {
        #[command(flatten)]
        common: WithReason,
        /// Only this one
        #[arg(long)]
        cluster: Option<String>,
    },
    /// Take a cluster out of the rollout
    Skip {
        #[command(flatten)]
        common: WithReason,
        /// Which
        #[arg(long)]
        cluster: String,
    },
}

/// An app and why.
#[derive(Debug, clap::Args)]
pub(crate) struct WithReason {
    /// Name of the app
    app: String,
    /// Why; stands in the log for ever
    #[arg(long)]
    reason: String,
}

/// Runs it.
pub(crate) async fn run(command: &Command, context: &Context) -> Result<Exit, Error> {
    let act = |app: &str, verb: &str, reason: &str, cluster: &Option<String>, accept: bool| {
        let action = RolloutAction {
            verb: verb.to_owned(),
            reason: reason.to_owned(),
            cluster: cluster.clone(),
            accept,
        };
        (app.to_owned(), action)
    };
    let (app, action) = match command {
        Command::Watch { app } => return watch(app, context).await,
        Command::Simulate(args) => return simulate::run(args, context.output),
        Command::Start { app, now: _ } => act(app, "start", "", &None, false),
        Command::Pause(c) => act(&c.app, "pause", &c.reason, &None, false),
        Command::Resume { common: c, accept } => act(&c.app, "resume", &c.reason, &None, *accept),
        Command::Abort(c) => act(&c.app, "abort", &c.reason, &None, false),
        Command::Rollback(c) => act(&c.app, "rollback", &c.reason, &None, false),
        Command::Retry { common: c, cluster } => act(&c.app, "retry", &c.reason, cluster, false),
        Command::Skip { common: c, cluster } => {
            act(&c.app, "skip", &c.reason, &Some(cluster.clone()), false)
        }
    };
    let path = format!("rollouts/{}/actions", segment(app_of(&app)));
    let rollout: RolloutItem = context.hub.post(&path, &action).await?;
    if context.output.format == Format::Json {
        Output::json(&rollout)?;
    }
    let text = format!("{}#{} is {}: {}", rollout.app, rollout.id, rollout.state, rollout.message);
    context.output.say(&text);
    context.output.say(&format!("next: tidegate why app/{}", rollout.app));
    Ok(Exit::Fine)
}

/// `web`, `app/web` and `web@4f2c1d9` all mean the app `web`.
fn app_of(text: &str) -> &str {
    let name = text.strip_prefix("app/").unwrap_or(text);
    name.split_once('@').map_or(name, |(app, _)| app)
}

async fn watch(app: &str, context: &Context) -> Result<Exit, Error> {
    tokio::select! {
        ended = follow(app, context) => ended,
        () = Output::closed() => Ok(Exit::Fine),
    }
}

async fn follow(app: &str, context: &Context) -> Result<Exit, Error> {
    let deadline = context.timeout.map(|t| tokio::time::Instant::now() + t);
    let (mut shown, mut known) = (String::new(), String::new());
    loop {
        let path = format!("rollouts?app={}", segment(app_of(app)));
        let found: List<RolloutItem> = match context.hub.get(&path).await {
            Ok(found) => found,
            // A hub that restarts ends no rollout; whoever never reached it is told at once.
            Err(error) if error.exit == Exit::Unreachable && !shown.is_empty() => {
                List::new(Vec::new())
            }
            Err(error) => return Err(error),
        };
        if let Some(rollout) = found.items.first() {
            shown = line(rollout);
            let news = news(rollout);
            if news != known {
                match context.output.format {
                    Format::Json => Output::data(&json_line(rollout)?)?,
                    Format::Table | Format::Name => Output::data(&shown)?,
                }
                known = news;
            }
            match rollout.state.as_str() {
                "Completed" => return Ok(Exit::Fine),
                "RolledBack" if rollout.kind == "rollback" => return Ok(Exit::Fine),
                "Halted" | "RolledBack" | "Aborted" | "Superseded" => {
                    context.output.say(&format!("next: tidegate why app/{}", app_of(app)));
                    return Ok(Exit::No);
                }
                _ => {}
            }
        }
        if deadline.is_some_and(|d| tokio::time::Instant::now() >= d) {
            let last = if shown.is_empty() { "no rollout yet".to_owned() } else { shown };
            let message = format!("gave up watching `{app}`; it goes on: {last}");
            return Err(Error::new(Exit::TimedOut, message));
        }
        tokio::time::sleep(WATCH_INTERVAL).await;
    }
}

fn json_line(rollout: &RolloutItem) -> Result<String, Error> {
    serde_json::to_string(rollout)
        .map_err(|e| Error::new(Exit::Internal, format!("write JSON: {e}")))
}

/// What has to differ for a new line: steps of the rollout, not seconds that pass in a message.
fn news(rollout: &RolloutItem) -> String {
    let code = |reason: Option<Reason>| reason.map_or("-", Reason::code);
    let waves = rollout.waves.iter().map(|w| format!("{} {}", code(w.reason), w.clusters.failed));
    let waves: Vec<_> = waves.collect();
    format!("{} {} {}", stand(rollout), code(rollout.reason), waves.join(" "))
}

fn line(rollout: &RolloutItem) -> String {
    format!("{}  {}", stand(rollout), rollout.message)
}

/// Where it stands: state, and how far each wave is.
fn stand(rollout: &RolloutItem) -> String {
    let waves: Vec<_> = rollout
        .waves
        .iter()
        .map(|w| format!("{} {} {}/{}", w.name, w.state, w.clusters.ready, w.clusters.total))
        .collect();
    format!(
        "{}#{} {} {}  {}",
        rollout.app,
        rollout.id,
        get::short(&rollout.revision),
        rollout.state,
        waves.join(" · ")
    )
}

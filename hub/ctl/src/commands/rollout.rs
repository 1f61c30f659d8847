//! `tidegate rollout watch|show|start|pause|resume|abort|rollback|retry|skip|… APP`.

use std::time::Duration;

use clap::Subcommand;
use model::{
    Reason,
    api::{List, RolloutAction, RolloutItem},
};

use super::{
    Context,
    act::{self, Seen, Target},
    get, segment, show, simulate,
};
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
    /// Show it as it is, or as it was at an instant
    Show(show::Args),
    /// Play a scenario in virtual time with the hub's own rules; needs no hub
    Simulate(simulate::Args),
    /// Start a rollout that waits for a person
    Start {
        #[command(flatten)]
        common: Common,
        /// Said for clearness: a release that waits for the active rollout supersedes it
        #[arg(long)]
        now: bool,
    },
    /// Roll the newest commit out again from the first wave; what runs it already is left alone
    Restart(Common),
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
        common: Common,
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
    /// Allow a wave more failures
    Tolerate {
        #[command(flatten)]
        common: WithReason,
        #[command(flatten)]
        wave: OfWave,
        /// How many in all
        #[arg(long)]
        failures: u32,
    },
    /// Open a gate by force
    Override {
        #[command(flatten)]
        common: WithReason,
        #[command(flatten)]
        wave: OfWave,
        /// `approval`, `after-approval`, `window`, `unhealthy`, `soak`, `analysis`, `blocker/NAME` or
        /// `depends-on/APP`
        #[arg(long)]
        gate: String,
    },
    /// Divide every soak and ignore windows; probe, budgets and order stay
    Expedite {
        #[command(flatten)]
        common: WithReason,
        /// By how much, 2 to 100
        #[arg(long, default_value_t = 2)]
        divisor: u32,
    },
    /// Skip the rest of the soak of a wave
    Promote {
        #[command(flatten)]
        common: WithReason,
        #[command(flatten)]
        wave: OfWave,
    },
}

/// An app, and perhaps why.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// Name of the app, or `APP@REV`: refused when the active rollout is of another revision
    app: String,
    /// Why; stands in the log for ever
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    seen: Seen,
}

/// An app and why.
#[derive(Debug, clap::Args)]
pub(crate) struct WithReason {
    /// Name of the app, or `APP@REV`: refused when the active rollout is of another revision
    app: String,
    /// Why; stands in the log for ever
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    seen: Seen,
}

/// One wave.
#[derive(Debug, clap::Args)]
pub(crate) struct OfWave {
    /// The wave; the one whose turn it is when left out
    #[arg(long)]
    wave: Option<String>,
}

/// Runs it.
pub(crate) async fn run(command: &Command, context: &Context) -> Result<Exit, Error> {
    let none = RolloutAction::default;
    let (common, verb, action) = match command {
        Command::Watch { app } => return watch(app, context).await,
        Command::Show(args) => return show::run(args, context).await,
        Command::Simulate(args) => return simulate::run(args, context.output),
        Command::Start { common, now: _ } => (common.said(), "start", none()),
        Command::Restart(common) => (common.said(), "restart", none()),
        Command::Pause(common) => (common.said(), "pause", none()),
        Command::Resume { common, accept } => {
            (common.said(), "resume", RolloutAction { accept: *accept, ..none() })
        }
        Command::Abort(common) => (common.said(), "abort", none()),
        Command::Rollback(common) => (common.said(), "rollback", none()),
        Command::Retry { common, cluster } => {
            (common.said(), "retry", RolloutAction { cluster: cluster.clone(), ..none() })
        }
        Command::Skip { common, cluster } => {
            (common.said(), "skip", RolloutAction { cluster: Some(cluster.clone()), ..none() })
        }
        Command::Tolerate { common, wave, failures } => {
            let failures = Some(*failures);
            let action = RolloutAction { wave: wave.wave.clone(), failures, ..none() };
            (common.said(), "tolerate", action)
        }
        Command::Override { common, wave, gate } => {
            let gate = Some(gate.clone());
            let action = RolloutAction { wave: wave.wave.clone(), gate, ..none() };
            (common.said(), "override", action)
        }
        Command::Expedite { common, divisor } => {
            (common.said(), "expedite", RolloutAction { divisor: Some(*divisor), ..none() })
        }
        Command::Promote { common, wave } => {
            (common.said(), "promote", RolloutAction { wave: wave.wave.clone(), ..none() })
        }
    };
    let (app, reason, seen) = common;
    let action = RolloutAction { verb: verb.to_owned(), reason: reason.to_owned(), ..action };
    act::run(&Target::parse(app)?, action, seen, context).await
}

impl Common {
    fn said(&self) -> (&str, &str, &Seen) {
        (&self.app, &self.reason, &self.seen)
    }
}

impl WithReason {
    fn said(&self) -> (&str, &str, &Seen) {
        (&self.app, &self.reason, &self.seen)
    }
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

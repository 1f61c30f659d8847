//! Flags and environment of the hub, validated once.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};

use crate::telemetry::LogForm;

/// The hub of Tidegate.
#[derive(Debug, Parser)]
#[command(name = "tidegate-hub", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one, and it is read once")]
pub enum Command {
    /// Run the hub until SIGTERM
    Serve(Serve),
    /// Write everything the store holds to a file; the hub must be stopped
    Backup {
        /// Directory of the hub's data
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
        /// File to write
        file: PathBuf,
    },
    /// Fill an empty data directory from a backup
    Restore {
        /// Directory to fill; must hold no store
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
        /// File to read
        file: PathBuf,
    },
}

/// How to serve.
#[derive(Debug, Clone, clap::Args)]
pub struct Serve {
    /// Directory of the hub's data; made when it is not there
    #[arg(long, value_name = "DIR", env = "TIDEGATE_DATA_DIR")]
    pub data_dir: PathBuf,
    /// Where people and scripts connect; plain HTTP, so loopback only
    #[arg(long, default_value = "127.0.0.1:7420", env = "TIDEGATE_HTTP")]
    pub http: SocketAddr,
    /// Where agents connect
    #[arg(long, default_value = "127.0.0.1:7421", env = "TIDEGATE_AGENTS")]
    pub agents: SocketAddr,
    /// Address that is written into join tokens, `HOST:PORT`; default: where agents connect
    #[arg(long, value_name = "HOST:PORT", env = "TIDEGATE_AGENTS_URL")]
    pub agents_url: Option<String>,
    /// Pause between two looks at a Git ref
    #[arg(long, default_value = "2s", value_parser = parse_duration, env = "TIDEGATE_POLL")]
    pub poll: Duration,
    /// Rules for all that is rendered: allowed kinds, namespaces, registries; tenants
    #[arg(long, value_name = "FILE", env = "TIDEGATE_POLICY")]
    pub policy: Option<PathBuf>,
    /// The program `kustomize`; default: beside this one, or on the PATH
    #[arg(long, value_name = "PROGRAM", env = "TIDEGATE_KUSTOMIZE")]
    pub kustomize: Option<PathBuf>,
    /// The program `helm`; default: beside this one, or on the PATH
    #[arg(long, value_name = "PROGRAM", env = "TIDEGATE_HELM")]
    pub helm: Option<PathBuf>,
    /// Prometheus that measurements of waves are asked of, such as `http://prometheus:9090`
    #[arg(long, value_name = "URL", env = "TIDEGATE_PROMETHEUS")]
    pub prometheus: Option<String>,
    /// File with the key that signs questions by HTTP; made when it is not there: DIR/check.key
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CHECK_KEY")]
    pub check_key: Option<PathBuf>,
    /// Form of the log on stderr
    #[arg(long, value_enum, default_value_t = LogArg::Text, env = "TIDEGATE_LOG")]
    pub log: LogArg,
    /// Collector for traces, such as `http://127.0.0.1:4317`
    #[arg(long, value_name = "URL", env = "TIDEGATE_OTLP")]
    pub otlp: Option<String>,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogArg {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl From<LogArg> for LogForm {
    fn from(arg: LogArg) -> LogForm {
        match arg {
            LogArg::Text => LogForm::Text,
            LogArg::Json => LogForm::Json,
        }
    }
}

impl Serve {
    /// A hub on free ports of the loopback interface, for tests and demos.
    pub fn on_loopback(data_dir: PathBuf) -> Serve {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Serve {
            data_dir,
            http: any,
            agents: any,
            agents_url: None,
            poll: Duration::from_secs(2),
            policy: None,
            kustomize: None,
            helm: None,
            prometheus: None,
            check_key: None,
            log: LogArg::Text,
            otlp: None,
        }
    }
}

/// `500ms`, `2s`, `10m`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|_| format!("`{text}` is not a duration; write `500ms`, `2s`, `1m`"))?;
    Duration::try_from(span).map_err(|_| format!("`{text}` is negative"))
}

//! What a person may choose: the command line, its environment variables, and limits.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The agent of Tidegate: applies, prunes, repairs drift and judges health inside one cluster.
#[derive(Debug, Parser)]
#[command(name = "tidegate-agent", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Arguments {
    /// Reads the command line; ends the program when it cannot be understood.
    pub fn read() -> Arguments {
        Arguments::parse()
    }
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs until SIGTERM or Ctrl-C.
    Run(Run),
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// File with the join token; not needed, and not read, once the agent has an identity.
    #[arg(long, env = "TIDEGATE_JOIN_FILE", value_name = "FILE")]
    pub join_file: Option<PathBuf>,
    /// How to reach the API server; inferred when absent (in a cluster: the service account).
    #[arg(long, env = "TIDEGATE_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Folder for identity, grants, content and inventories. Without it they are kept in Secrets of the
    /// agent's namespace.
    #[arg(long, env = "TIDEGATE_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Where to keep state; `secrets` unless a folder is given.
    #[arg(long, env = "TIDEGATE_STATE", value_enum)]
    pub state: Option<StateKind>,
    /// Namespace for the state Secrets.
    #[arg(long, env = "TIDEGATE_NAMESPACE", default_value = DEFAULT_NAMESPACE)]
    pub namespace: String,
    /// Address of `/healthz`, `/readyz` and `/metrics`; port 0 takes a free one, which is logged.
    #[arg(long, env = "TIDEGATE_HTTP", default_value = "127.0.0.1:0")]
    pub http: SocketAddr,
    /// Writes to the API server per second, over a longer time.
    #[arg(long, env = "TIDEGATE_WRITES_PER_SECOND", default_value_t = 20)]
    pub writes_per_second: u32,
    /// Account (`NAMESPACE/NAME`) that writes for Apps which name none; without it the agent writes as itself.
    #[arg(long, env = "TIDEGATE_DEFAULT_SERVICE_ACCOUNT", value_name = "NAMESPACE/NAME")]
    pub default_service_account: Option<String>,
    /// Waits for a Lease before it works, so that several agents may stand by; needs state in Secrets.
    #[arg(long, env = "TIDEGATE_LEADER_ELECTION")]
    pub leader_election: bool,
    /// File with age identities (`AGE-SECRET-KEY-1…`, one a line) that open what SOPS encrypted. Without it they are
    /// read from the Secret `sops-age` of the agent's namespace, every field of it. Read each time they are needed.
    #[arg(long, env = "TIDEGATE_SOPS_AGE_KEYS", value_name = "FILE")]
    pub sops_age_keys: Option<PathBuf>,
    /// Form of the log.
    #[arg(long, env = "TIDEGATE_LOG", value_enum, default_value_t = LogForm::Text)]
    pub log: LogForm,
    /// OTLP collector for traces, such as `http://127.0.0.1:4317`; none: traces are not exported.
    #[arg(long, env = "TIDEGATE_OTLP", value_name = "URL")]
    pub otlp: Option<String>,
}

/// Where state is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StateKind {
    /// In Secrets of the agent's namespace: survives the node.
    Secrets,
    /// In the folder of `--state-dir`.
    Dir,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    /// For people.
    Text,
    /// One JSON document a line.
    Json,
}

/// Namespace in which the agent lives; no App may write into it.
pub const DEFAULT_NAMESPACE: &str = "tidegate-agent";

/// Secret of the agent's namespace with age identities, when no file is named.
pub const AGE_SECRET: &str = "sops-age";

/// How to reach the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kubeconfig {
    /// From `KUBECONFIG`, `~/.kube/config`, or the service account.
    Infer,
    /// From this file.
    File(PathBuf),
}

/// Where identity, grants, content and inventories live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateAt {
    /// In this folder.
    Directory(PathBuf),
    /// In Secrets of [`Config::namespace`].
    Secrets,
}

/// How hard the agent may work its API server, and how long it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Writes per second over a longer time.
    pub writes_per_second: u32,
    /// Writes at once after a pause.
    pub writes_burst: u32,
    /// Reads per second over a longer time; watches do not count.
    pub reads_per_second: u32,
    /// Requests at the same time, over all Apps.
    pub in_flight: u32,
    /// Requests at the same time within one App.
    pub in_flight_per_app: usize,
    /// Longest wait of one sync for a definition, namespace or dependency.
    pub wait: Duration,
    /// Longest wait for a deleted object to go before it is reported.
    pub gone: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            writes_per_second: 20,
            writes_burst: 40,
            reads_per_second: 50,
            in_flight: 16,
            in_flight_per_app: 8,
            wait: Duration::from_secs(30),
            gone: Duration::from_mins(2),
        }
    }
}

/// Everything an agent needs to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// File with the join token.
    pub join_file: Option<PathBuf>,
    /// How to reach the API server.
    pub kubeconfig: Kubeconfig,
    /// Where state lives.
    pub state: StateAt,
    /// The agent's own namespace.
    pub namespace: String,
    /// Where to serve health and metrics; `None`: nowhere.
    pub http: Option<SocketAddr>,
    /// Account (`NAMESPACE/NAME`) that writes for Apps which name none; `None`: the agent itself.
    pub default_service_account: Option<String>,
    /// Whether only the holder of a Lease works.
    pub leader_election: bool,
    /// File with age identities; `None`: the Secret [`AGE_SECRET`].
    pub sops_age_keys: Option<PathBuf>,
    /// Bounds.
    pub limits: Limits,
}

impl Config {
    /// An agent with its state in `state_dir` and no HTTP listener; `None` keeps state in Secrets.
    pub fn new(
        join_file: Option<PathBuf>,
        kubeconfig: Kubeconfig,
        state_dir: Option<PathBuf>,
    ) -> Config {
        Config {
            join_file,
            kubeconfig,
            state: state_dir.map_or(StateAt::Secrets, StateAt::Directory),
            namespace: DEFAULT_NAMESPACE.to_owned(),
            http: None,
            default_service_account: None,
            leader_election: false,
            sops_age_keys: None,
            limits: Limits::default(),
        }
    }
}

/// Options that contradict each other.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `--state dir` and no folder.
    #[error("`--state dir` needs `--state-dir DIR`")]
    NoDirectory,
    /// Leader election and a folder.
    #[error("`--leader-election` needs state in Secrets, which all agents of the cluster share")]
    AloneInFolder,
    /// `--state secrets` and a folder.
    #[error("`--state secrets` and `--state-dir` contradict each other; leave one out")]
    TwoPlaces,
}

impl TryFrom<&Run> for Config {
    type Error = Error;

    fn try_from(run: &Run) -> Result<Config, Error> {
        match (run.state, &run.state_dir) {
            (Some(StateKind::Dir), None) => return Err(Error::NoDirectory),
            (Some(StateKind::Secrets), Some(_)) => return Err(Error::TwoPlaces),
            (_, Some(_)) if run.leader_election => return Err(Error::AloneInFolder),
            (None | Some(StateKind::Dir | StateKind::Secrets), _) => {}
        }
        let kubeconfig = run.kubeconfig.clone().map_or(Kubeconfig::Infer, Kubeconfig::File);
        let mut config = Config::new(run.join_file.clone(), kubeconfig, run.state_dir.clone());
        config.namespace.clone_from(&run.namespace);
        config.http = Some(run.http);
        config.leader_election = run.leader_election;
        config.sops_age_keys.clone_from(&run.sops_age_keys);
        config.default_service_account.clone_from(&run.default_service_account);
        config.limits.writes_per_second = run.writes_per_second.max(1);
        config.limits.writes_burst = config.limits.writes_per_second * 2;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Run {
        let Command::Run(run) = Arguments::try_parse_from(line.split(' ')).unwrap().command;
        run
    }

    #[test]
    fn the_contract_line_is_understood() {
        let run = parse(
            "tidegate-agent run --join-file eu-1.join --kubeconfig eu-1.kubeconfig --state-dir state/eu-1",
        );
        let config = Config::try_from(&run).unwrap();
        assert_eq!(config.state, StateAt::Directory("state/eu-1".into()));
        assert_eq!(config.kubeconfig, Kubeconfig::File("eu-1.kubeconfig".into()));
        assert_eq!(config.limits, Limits::default());
    }

    #[test]
    fn without_a_folder_state_goes_into_secrets() {
        let config = Config::try_from(&parse("tidegate-agent run")).unwrap();
        assert_eq!(config.state, StateAt::Secrets);
        assert_eq!(config.namespace, "tidegate-agent");
        assert!(Config::try_from(&parse("tidegate-agent run --state dir")).is_err());
        assert!(
            Config::try_from(&parse("tidegate-agent run --state secrets --state-dir x")).is_err()
        );
    }
}

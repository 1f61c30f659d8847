//! The hub, its agents, and the command line, in one folder.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::process::Command;

use super::{Error, Programs, Repository, programs};
use crate::kubernetes::process::{Plan, Process};

/// How long a program may take to begin to serve, on a machine under load.
const START_DEADLINE: Duration = Duration::from_mins(1);
/// How long a program may take to end after SIGTERM.
const END_DEADLINE: Duration = Duration::from_secs(30);
/// Pause between two looks at something that no event announces.
const LOOK: Duration = Duration::from_millis(100);

/// A Tidegate of its own. Everything ends and goes when it is dropped.
#[derive(Debug)]
pub struct Stage {
    folder: PathBuf,
    _temporary: Option<tempfile::TempDir>,
    programs: Programs,
    repository: Repository,
    hub: Option<Process>,
    http: String,
    agents_at: String,
    agents: BTreeMap<String, Process>,
    poll: &'static str,
    /// Collector for traces of hub and agents.
    pub otlp: Option<String>,
    /// Further options of agents that are started from now on.
    pub agent_options: Vec<String>,
    /// Further flags of the hub.
    pub hub_flags: Vec<String>,
}

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Data.
    pub stdout: String,
    /// Talk.
    pub stderr: String,
}

impl Stage {
    /// An empty stage in a folder that goes away with it. No hub runs yet.
    pub fn new() -> Result<Stage, Error> {
        let temporary = tempfile::tempdir()
            .map_err(|cause| Error::File { path: std::env::temp_dir(), cause })?;
        let folder = temporary.path().to_owned();
        Stage::build(folder, Some(temporary))
    }

    /// An empty stage in a folder that stays.
    pub fn in_folder(folder: &Path) -> Result<Stage, Error> {
        Stage::build(folder.to_owned(), None)
    }

    fn build(folder: PathBuf, temporary: Option<tempfile::TempDir>) -> Result<Stage, Error> {
        let repository = Repository::init(&folder.join("fleet"))?;
        Ok(Stage {
            programs: programs()?,
            repository,
            folder,
            _temporary: temporary,
            hub: None,
            http: "127.0.0.1:0".to_owned(),
            agents_at: "127.0.0.1:0".to_owned(),
            agents: BTreeMap::new(),
            poll: "200ms",
            otlp: None,
            agent_options: Vec::new(),
            hub_flags: Vec::new(),
        })
    }

    /// The fleet repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The folder of everything.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Data directory of the hub.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.join("hub")
    }

    /// File with the admin token.
    pub fn token_file(&self) -> PathBuf {
        self.data_dir().join("admin.token")
    }

    /// Where people reach the hub.
    pub fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// Where agents reach the hub, once it has been started.
    pub fn agents_at(&self) -> &str {
        &self.agents_at
    }

    /// Log of the hub or of an agent.
    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.log_file(name)).unwrap_or_default()
    }

    fn log_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// Starts the hub; a second time on the addresses of the first.
    pub async fn start_hub(&mut self) -> Result<(), Error> {
        let before = self.log("hub").len();
        let mut arguments: Vec<String> =
            ["serve", "--poll", self.poll].iter().map(|a| (*a).to_owned()).collect();
        arguments.extend(["--data-dir".to_owned(), self.data_dir().display().to_string()]);
        arguments.extend(["--http".to_owned(), self.http.clone()]);
        arguments.extend(["--agents".to_owned(), self.agents_at.clone()]);
        if let Some(url) = &self.otlp {
            arguments.extend(["--otlp".to_owned(), url.clone()]);
        }
        arguments.extend(self.hub_flags.iter().cloned());
        let log = self.log_file("hub");
        let mut hub = Process::start(Plan {
            name: "tidegate-hub".to_owned(),
            program: self.programs.hub.clone(),
            arguments,
            log: log.clone(),
            remove: None,
        })?;
        let said = || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let new = text.get(before..).unwrap_or_default().to_owned();
            let word = |line: &str| {
                let found = new.lines().find(|l| l.starts_with(line));
                found.and_then(|l| l.split_whitespace().nth(1)).map(str::to_owned)
            };
            word("hub ").zip(word("agents "))
        };
        hub.wait_until("say where it serves", START_DEADLINE, || {
            let ready = said().is_some();
            async move { ready }
        })
        .await?;
        if let Some((http, agents)) = said() {
            http.trim_start_matches("http://").clone_into(&mut self.http);
            self.agents_at = agents;
        }
        self.hub = Some(hub);
        Ok(())
    }

    /// `kill -9` on the hub.
    pub async fn kill_hub(&mut self) -> Result<(), Error> {
        if let Some(hub) = self.hub.take() {
            hub.stop().await?;
        }
        Ok(())
    }

    /// SIGTERM to the hub; returns its exit code.
    pub async fn stop_hub(&mut self) -> Result<Option<i32>, Error> {
        let Some(hub) = self.hub.take() else { return Ok(None) };
        terminate(&hub).await?;
        Ok(hub.ended(END_DEADLINE).await?.code())
    }

    /// Process id of the hub.
    pub fn hub_pid(&self) -> Option<u32> {
        self.hub.as_ref().and_then(Process::pid)
    }

    /// Process id of an agent.
    pub fn agent_pid(&self, cluster: &str) -> Option<u32> {
        self.agents.get(cluster).and_then(Process::pid)
    }

    /// Registers a cluster and writes its join file.
    pub async fn add_cluster(&self, name: &str, labels: &[(&str, &str)]) -> Result<PathBuf, Error> {
        let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let mut arguments = vec!["cluster", "add", name, "--print", "token"];
        for label in &labels {
            arguments.extend(["--label", label]);
        }
        let token = self.ok(&arguments).await?;
        let file = self.folder.join(format!("{name}.join"));
        write(&file, &token)?;
        Ok(file)
    }

    /// Starts the agent of a cluster; a second time with the state of the first.
    pub fn start_agent(&mut self, name: &str, kubeconfig: &str) -> Result<(), Error> {
        let access = self.folder.join(format!("{name}.kubeconfig"));
        write(&access, kubeconfig)?;
        let path = |file: &str| self.folder.join(file).display().to_string();
        let mut arguments = vec![
            "run".to_owned(),
            "--join-file".to_owned(),
            path(&format!("{name}.join")),
            "--kubeconfig".to_owned(),
            access.display().to_string(),
            "--state-dir".to_owned(),
            path(&format!("{name}.state")),
        ];
        if let Some(url) = &self.otlp {
            arguments.extend(["--otlp".to_owned(), url.clone()]);
        }
        arguments.extend(self.agent_options.iter().cloned());
        let agent = Process::start(Plan {
            name: format!("tidegate-agent of {name}"),
            program: self.programs.agent.clone(),
            arguments,
            log: self.log_file(name),
            remove: None,
        })?;
        self.agents.insert(name.to_owned(), agent);
        Ok(())
    }

    /// `kill -9` on an agent.
    pub async fn kill_agent(&mut self, name: &str) -> Result<(), Error> {
        if let Some(agent) = self.agents.remove(name) {
            agent.stop().await?;
        }
        Ok(())
    }

    /// Waits for an agent to end by itself; its exit code.
    pub async fn agent_ended(&mut self, name: &str) -> Result<Option<i32>, Error> {
        let Some(agent) = self.agents.remove(name) else { return Ok(None) };
        Ok(agent.ended(END_DEADLINE).await?.code())
    }

    /// Runs `tidegate` against this hub.
    pub async fn tidegate(&self, arguments: &[&str]) -> Result<Answer, Error> {
        let output = Command::new(&self.programs.tidegate)
            .args(arguments)
            .env("TIDEGATE_HUB", self.url())
            .env("TIDEGATE_TOKEN_FILE", self.token_file())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|cause| Error::File { path: self.programs.tidegate.clone(), cause })?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Answer {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        })
    }

    /// Runs `tidegate` and wants exit code 0; returns its data.
    pub async fn ok(&self, arguments: &[&str]) -> Result<String, Error> {
        let answer = self.tidegate(arguments).await?;
        if answer.code == 0 {
            return Ok(answer.stdout);
        }
        Err(Error::Command {
            command: format!("tidegate {}", arguments.join(" ")),
            code: answer.code.to_string(),
            stdout: answer.stdout,
            stderr: answer.stderr,
        })
    }

    /// Runs `tidegate … -o json`.
    pub async fn json(&self, arguments: &[&str]) -> Result<Value, Error> {
        let mut all = arguments.to_vec();
        all.extend(["-o", "json"]);
        let text = self.ok(&all).await?;
        serde_json::from_str(&text)
            .map_err(|e| Error::Unexpected(format!("`tidegate {}`: {e}\n{text}", all.join(" "))))
    }

    /// The items of `tidegate get KIND -o json`.
    pub async fn items(&self, kind: &str) -> Result<Vec<Value>, Error> {
        let mut document = self.json(&["get", kind]).await?;
        if let Value::Array(items) = document["items"].take() {
            Ok(items)
        } else {
            Err(Error::Unexpected(format!("`tidegate get {kind}` has no items")))
        }
    }

    /// The newest rollout of an App, when there is one.
    pub async fn rollout(&self, app: &str) -> Result<Option<Value>, Error> {
        Ok(self.items("rollouts").await?.into_iter().find(|r| r["app"] == app))
    }

    /// Looks again and again until `enough` has an answer; `Err` shows what was there last.
    pub async fn wait<T, F>(
        &self,
        what: &str,
        deadline: Duration,
        mut look: impl FnMut() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<Result<T, String>, Error>>,
    {
        let started = Instant::now();
        loop {
            match look().await? {
                Ok(found) => return Ok(found),
                Err(last) if started.elapsed() > deadline => {
                    let seconds = deadline.as_secs();
                    return Err(Error::Waited { seconds, what: what.to_owned(), last });
                }
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Waits until the newest rollout of an App carries `commit` and is in `state`.
    pub async fn wait_for_rollout(
        &self,
        app: &str,
        commit: &str,
        state: &str,
        deadline: Duration,
    ) -> Result<Value, Error> {
        let what = format!("rollout of {app} at {} to be {state}", &commit[..commit.len().min(7)]);
        self.wait(&what, deadline, || async move {
            let Some(rollout) = self.rollout(app).await? else {
                return Ok(Err(self.tidegate(&["why", app]).await?.stdout));
            };
            let here = rollout["revision"].as_str().is_some_and(|r| r.ends_with(commit));
            if here && rollout["state"] == state {
                return Ok(Ok(rollout));
            }
            let why = self.tidegate(&["why", app]).await?.stdout;
            Ok(Err(format!("{rollout:#}\n{why}")))
        })
        .await
    }
}

fn write(file: &Path, text: &str) -> Result<(), Error> {
    let fault = |cause: io::Error| Error::File { path: file.to_owned(), cause };
    fs::write(file, text).map_err(fault)
}

async fn terminate(process: &Process) -> Result<(), Error> {
    let Some(pid) = process.pid() else { return Ok(()) };
    let sent = Command::new("kill").args(["-TERM", &pid.to_string()]).status().await;
    sent.map(drop).map_err(|cause| Error::File { path: PathBuf::from("kill"), cause })
}

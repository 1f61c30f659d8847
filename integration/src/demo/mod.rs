//! The demo: a hub, twelve simulated clusters with real agents, a real Git repository; a good commit, a
//! bad one that is stopped at the first cluster, explained and rolled back, and a fix.
//!
//! Every step is verified on the clusters themselves, not only by what the hub says. The pictures of
//! Kubernetes are pretended (`simcluster`); everything else is the product.
#![expect(clippy::print_stdout, reason = "a demo talks to the person who started it")]

mod manifests;

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use serde_json::Value;
use simcluster::{Cluster, Options, Server};

use crate::stage::{Error, Stage};

/// Rings and how many clusters each has: three waves, twelve clusters.
const RINGS: [(&str, usize); 3] = [("canary", 2), ("early", 4), ("prod", 6)];

/// How long a rollout over twelve clusters may take on a machine under load.
const ROLLOUT_DEADLINE: Duration = Duration::from_mins(3);

/// Pod start of the pretended kubelets.
const READY_AFTER: Duration = Duration::from_millis(300);

/// Tells the story; then stays up until Ctrl-C, unless `once`.
pub async fn run(once: bool) -> ExitCode {
    match tell(once).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED  {error}");
            ExitCode::FAILURE
        }
    }
}

/// The stage and its pretended clusters.
struct Demo {
    stage: Stage,
    clusters: BTreeMap<String, Cluster>,
    server: Server,
}

async fn tell(once: bool) -> Result<(), Error> {
    let mut demo = Demo::set_up().await?;
    demo.first_release().await?;
    let good = demo.good_commit().await?;
    demo.bad_commit().await?;
    demo.roll_back(&good).await?;
    demo.fix().await?;
    let token = demo.stage.token_file();
    println!();
    println!("  status page   {}", demo.stage.url());
    println!("  admin token   {}", token.display());
    println!("  repository    {}", demo.stage.repository().path().display());
    println!(
        "  next          export TIDEGATE_HUB={} TIDEGATE_TOKEN_FILE={}",
        demo.stage.url(),
        token.display()
    );
    println!("                target/debug/tidegate get rollouts");
    println!("                target/debug/tidegate why app/web");
    println!(
        "                edit apps/web/manifests/web.yaml in the repository, commit, and: target/debug/tidegate rollout watch web"
    );
    if once {
        println!("ok      the story is told");
    } else {
        println!("\n  Ctrl-C ends it.");
        // Without signals there is no other way to stay; going down at once is then right.
        drop(tokio::signal::ctrl_c().await);
    }
    demo.server.stop().await;
    Ok(())
}

impl Demo {
    async fn set_up() -> Result<Demo, Error> {
        let mut stage = Stage::new()?;
        stage.start_hub().await?;
        println!("ok      the hub serves at {}", stage.url());
        let mut clusters = BTreeMap::new();
        for (ring, count) in RINGS {
            for n in 1..=count {
                let name = format!("{ring}-{n}");
                let options =
                    Options { name: name.clone(), ready_after: READY_AFTER, ..Options::default() };
                clusters.insert(name, Cluster::new(options));
            }
        }
        let server = Server::start(clusters.values().cloned().collect()).await;
        let server =
            server.map_err(|e| Error::Unexpected(format!("start simulated clusters: {e}")))?;
        for name in clusters.keys() {
            let ring = name.split('-').next().unwrap_or_default();
            stage.add_cluster(name, &[("ring", ring)]).await?;
            stage.start_agent(name, &server.kubeconfig(name))?;
        }
        let seen = &stage;
        stage
            .wait("12 agents to connect", ROLLOUT_DEADLINE, || async move {
                let items = seen.items("clusters").await?;
                let connected = items.iter().filter(|c| c["connected"] == true).count();
                Ok(if connected == 12 {
                    Ok(())
                } else {
                    Err(format!("{connected} of 12 connected"))
                })
            })
            .await?;
        println!("ok      12 agents have joined over mTLS, each with a token that works once");
        Ok(Demo { stage, clusters, server })
    }

    async fn first_release(&mut self) -> Result<(), Error> {
        let repository = self.stage.repository();
        repository.write("apps/web/app.yaml", manifests::APP)?;
        repository.write("apps/web/manifests/web.yaml", &manifests::web("1.0.0"))?;
        let commit = repository.commit("web: first release")?;
        let url = repository.url();
        self.stage.ok(&["source", "add", "fleet", "--url", &url, "--ref", "main"]).await?;
        println!("ok      the hub follows {url}");
        self.completes(&commit, "1.0.0").await?;
        println!("ok      commit {} reached 12 of 12 clusters, wave by wave", &commit[..7]);
        Ok(())
    }

    async fn good_commit(&mut self) -> Result<String, Error> {
        let repository = self.stage.repository();
        repository.write("apps/web/manifests/web.yaml", &manifests::web("1.1.0"))?;
        let commit = repository.commit("web: 1.1.0")?;
        let order = self.watch_order("1.1.0").await?;
        self.completes(&commit, "1.1.0").await?;
        println!(
            "ok      good commit {} reached 12 of 12 clusters in the order {order}",
            &commit[..7]
        );
        Ok(commit)
    }

    async fn bad_commit(&mut self) -> Result<(), Error> {
        let repository = self.stage.repository();
        repository.write("apps/web/manifests/web.yaml", &manifests::web("broken"))?;
        let commit = repository.commit("web: an image that does not exist")?;
        self.stage.wait_for_rollout("web", &commit, "Halted", ROLLOUT_DEADLINE).await?;
        let hit = self.running("broken");
        if hit.len() != 1 {
            return Err(Error::Unexpected(format!(
                "the bad commit reached {hit:?}, not one cluster"
            )));
        }
        println!(
            "ok      bad commit {} was stopped at the first cluster, {}; 11 never saw it",
            &commit[..7],
            hit[0]
        );
        let why = self.stage.ok(&["why", "app/web"]).await?;
        for needed in ["WAV-507", "HLT-402", "Deployment shop/web"] {
            if !why.contains(needed) {
                return Err(Error::Unexpected(format!(
                    "`tidegate why app/web` lacks {needed}:\n{why}"
                )));
            }
        }
        println!("ok      tidegate why app/web says:");
        why.lines().for_each(|line| println!("        {line}"));
        Ok(())
    }

    async fn roll_back(&mut self, good: &str) -> Result<(), Error> {
        self.stage.ok(&["rollout", "rollback", "web", "--reason", "image does not exist"]).await?;
        let stage = &self.stage;
        stage
            .wait("the rollback to end", ROLLOUT_DEADLINE, || async move {
                let rollout = stage.rollout("web").await?.unwrap_or_default();
                let done = rollout["kind"] == "rollback" && rollout["state"] == "RolledBack";
                Ok(if done { Ok(()) } else { Err(format!("{rollout:#}")) })
            })
            .await?;
        self.all_run("1.1.0").await?;
        println!("ok      rolled back: 12 of 12 clusters run {} again", &good[..7]);
        let why = self.stage.ok(&["why", "app/web"]).await?;
        if !why.contains("ROL-630") {
            return Err(Error::Unexpected(format!("HEAD is not shown as condemned:\n{why}")));
        }
        println!("ok      HEAD stays condemned until a fix comes (ROL-630)");
        Ok(())
    }

    async fn fix(&mut self) -> Result<(), Error> {
        let repository = self.stage.repository();
        repository.write("apps/web/manifests/web.yaml", &manifests::web("1.1.1"))?;
        let commit = repository.commit("web: 1.1.1 mends it")?;
        self.completes(&commit, "1.1.1").await?;
        println!("ok      fix {} reached 12 of 12 clusters", &commit[..7]);
        Ok(())
    }

    /// The rollout completes, and every cluster really runs the tag.
    async fn completes(&self, commit: &str, tag: &str) -> Result<(), Error> {
        self.stage.wait_for_rollout("web", commit, "Completed", ROLLOUT_DEADLINE).await?;
        self.all_run(tag).await
    }

    async fn all_run(&self, tag: &str) -> Result<(), Error> {
        let what = format!("12 clusters to run {tag}");
        self.stage
            .wait(&what, ROLLOUT_DEADLINE, || async move {
                let n = self.running(tag).len();
                Ok(if n == 12 { Ok(()) } else { Err(format!("{n} of 12 run {tag}")) })
            })
            .await
    }

    /// Watches the clusters while a tag arrives; fails when a later wave has it before an earlier one is
    /// complete.
    async fn watch_order(&self, tag: &str) -> Result<String, Error> {
        let what = format!("{tag} to arrive everywhere");
        self.stage
            .wait(&what, ROLLOUT_DEADLINE, || async move {
                let has = self.running(tag);
                let count = |ring: &str| has.iter().filter(|c| c.starts_with(ring)).count();
                for pair in RINGS.windows(2) {
                    let ((early, size), (late, _)) = (pair[0], pair[1]);
                    if count(late) > 0 && count(early) < size {
                        let text = format!("wave {late} was opened before {early} was complete");
                        return Err(Error::Unexpected(text));
                    }
                }
                Ok(if has.len() == 12 {
                    Ok(RINGS.map(|(ring, _)| ring).join(" → "))
                } else {
                    Err(format!("{has:?}"))
                })
            })
            .await
    }

    /// Names of the clusters whose Deployment has the tag.
    fn running(&self, tag: &str) -> Vec<&str> {
        let image = format!("registry.example/web:{tag}");
        let has = |cluster: &Cluster| {
            let deployment = cluster.get("apps", "Deployment", Some("shop"), "web");
            let path = "/spec/template/spec/containers/0/image";
            deployment.and_then(|d| d.pointer(path).and_then(Value::as_str).map(|i| i == image))
        };
        self.clusters
            .iter()
            .filter(|(_, c)| has(c) == Some(true))
            .map(|(n, _)| n.as_str())
            .collect()
    }
}

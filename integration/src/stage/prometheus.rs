//! A real Prometheus that scrapes what it is told to, every second.

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use super::Error;
use crate::kubernetes::process::{Plan, Process, on_a_free_port};

/// Until it answers, on a machine under load.
const START_DEADLINE: Duration = Duration::from_mins(1);

/// Ends with its drop.
#[derive(Debug)]
pub struct Prometheus {
    _process: Process,
    url: String,
}

impl Prometheus {
    /// Starts the program `prometheus` of the PATH on loopback, with its files in `folder`.
    pub async fn start(folder: &Path, targets: &[SocketAddr]) -> Result<Prometheus, Error> {
        let file = |cause| Error::File { path: folder.to_owned(), cause };
        fs::create_dir_all(folder).map_err(file)?;
        let targets: Vec<_> = targets.iter().map(|t| format!("\"{t}\"")).collect();
        let text = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n  - job_name: story\n    \
             static_configs: [{{targets: [{}]}}]\n",
            targets.join(", ")
        );
        let config = folder.join("prometheus.yml");
        fs::write(&config, text).map_err(file)?;
        let config = config.as_path();
        // Fails only when there is one already, which is as good.
        hub::pki::install_provider();
        let begin = |port: u16| async move {
            let url = format!("http://127.0.0.1:{port}");
            let mut process = Process::start(Plan {
                name: "prometheus".to_owned(),
                program: "prometheus".into(),
                arguments: vec![
                    format!("--config.file={}", config.display()),
                    format!("--storage.tsdb.path={}", folder.join("data").display()),
                    format!("--web.listen-address=127.0.0.1:{port}"),
                    "--log.level=warn".to_owned(),
                ],
                log: folder.join("prometheus.log"),
                remove: None,
            })?;
            let ready = format!("{url}/-/ready");
            let asked = || async {
                reqwest::get(&ready).await.is_ok_and(|answer| answer.status().is_success())
            };
            process.wait_until("be ready", START_DEADLINE, asked).await?;
            Ok((process, url))
        };
        let (_, (process, url)) = on_a_free_port("prometheus", begin).await?;
        Ok(Prometheus { _process: process, url })
    }

    /// What `--prometheus` wants.
    pub fn url(&self) -> &str {
        &self.url
    }
}

//! Waves that are measured, by a real Prometheus: good values pass, bad ones halt, and whatever is not a
//! value is neither.
//!
//! The hub asks through a front that answers some questions itself, as broken servers do; all others are
//! answered by Prometheus.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use integration::stage::Prometheus;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::{
    fleet::{Fleet, wave},
    world::{SOON, config_map},
};

/// Longer than the hub waits for an answer.
const VERY_LONG: Duration = Duration::from_mins(2);

/// What the clusters measure: errors of what stands on each.
const METRICS: &str = "\
quiet{cluster=\"c1\"} 0.001
quiet{cluster=\"p1\"} 0.001
loud{cluster=\"c1\"} 0.5
loud{cluster=\"p1\"} 0.5
new{cluster=\"c1\"} 0.5
new{cluster=\"p1\"} 0.001
";

/// App, query, whether it is compared with the clusters that are not updated yet, what becomes of it.
type Case = (&'static str, &'static str, bool, Outcome);

enum Outcome {
    /// Every cluster gets it.
    Passes,
    /// It halts at the canary; `why` says so.
    Fails(&'static str),
    /// The canary neither passes nor fails; `why` says so.
    Holds(&'static str),
}

use Outcome::{Fails, Holds, Passes};

const CASES: [Case; 14] = [
    ("good", "max(quiet{cluster=~\"${clusters}\"})", false, Passes),
    ("bad", "max(loud{cluster=~\"${clusters}\"})", false, Fails("0.5, and < 0.01 is good")),
    ("worse", "max(new{cluster=~\"${clusters}\"})", true, Fails("0.5 where it is, 0.001 where")),
    ("no-worse", "max(loud{cluster=~\"${clusters}\"})", true, Passes),
    ("nothing", "max(late)", false, Holds("the query found no data")),
    ("many", "quiet", false, Holds("the query gives 2 series")),
    ("no-number", "max(quiet) * NaN", false, Holds("the query gives NaN")),
    ("no-query", "sum(", false, Holds("Prometheus answered 400")),
    ("range", "quiet[5m]", false, Holds("the query gives a matrix")),
    ("error", "max(front_error)", false, Holds("Prometheus answered 500")),
    ("garbage", "max(front_garbage)", false, Holds("with something else than JSON")),
    ("broken", "max(front_broken)", false, Holds("the answer broke off")),
    ("gone", "max(front_gone)", false, Holds("Prometheus cannot be reached")),
    ("slow", "max(front_slow)", false, Holds("Prometheus did not answer within 10 s")),
];

fn app(name: &str, query: &str, compare: bool) -> String {
    let compare = if compare { ", compare: not-updated" } else { "" };
    format!(
        "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {{name: {name}}}\nspec:\n  source: {{path: manifests}}\n  \
         targets: {{select: \"true\"}}\n  rollout:\n    defaults: {{minHealthy: 0s}}\n    waves:\n      \
         - name: canary\n        select: \"labels.ring == 'canary'\"\n        after: {{analysis: {{prometheus: '{query}', \
         expect: \"< 0.01\", every: 10s, failures: 1{compare}}}}}\n      - {{name: prod, rest: true}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn good_values_pass_bad_ones_halt_and_what_is_no_value_holds() {
    let metrics = Arc::new(Mutex::new(METRICS.to_owned()));
    let exporter = exporter(Arc::clone(&metrics)).await;
    let folder = tempfile::tempdir().unwrap();
    let prometheus = Prometheus::start(folder.path(), &[exporter]).await.unwrap();
    let front = format!("http://{}", front(prometheus.url()).await);
    let mut fleet = Fleet::with_hub(&["c1", "p1"], &["--prometheus", &front]).await;
    fleet.join_all(&[("c1", &[("ring", "canary")]), ("p1", &[])]).await;
    until_scraped(&fleet, prometheus.url()).await;

    let repository = fleet.stage.repository();
    for (name, query, compare, _) in &CASES {
        repository.write(&format!("apps/{name}/app.yaml"), &app(name, query, *compare)).unwrap();
        let file = format!("apps/{name}/manifests/{name}.yaml");
        repository.write(&file, &config_map(name, "1")).unwrap();
    }
    repository.commit("everything that can be measured").unwrap();
    let url = repository.url();
    fleet.stage.ok(&["source", "add", "fleet", "--url", &url, "--ref", "main"]).await.unwrap();

    for (name, _, _, outcome) in &CASES {
        match outcome {
            Passes => until(&fleet, name, "Completed", "Passed").await,
            Fails(words) => {
                until(&fleet, name, "Halted", "Proving").await;
                let app = format!("app/{name}");
                fleet.until_why(&[&app], &["GAT-619", "was measured and is bad", words]).await;
            }
            Holds(words) => {
                let app = format!("app/{name}");
                fleet.until_why(&[&app], &["GAT-618", "0 of 1 bad in a row", words]).await;
                until(&fleet, name, "Progressing", "Proving").await;
            }
        }
        let both = matches!(outcome, Passes);
        let on_prod = fleet.cluster("p1").get("", "ConfigMap", Some("default"), name).is_some();
        assert_eq!(on_prod, both, "{name}: only what was measured well goes on");
    }

    // A series that comes late is asked for again, and the wave goes on by itself.
    metrics.lock().unwrap().push_str("late{cluster=\"c1\"} 0\n");
    until(&fleet, "nothing", "Completed", "Passed").await;
    fleet.end().await;
}

/// Waits until the newest rollout of an App is in a state, and its canary wave too.
async fn until(fleet: &Fleet, app: &str, state: &str, canary: &str) {
    let look = || async {
        let rollout = fleet.stage.rollout(app).await?.unwrap_or_default();
        let here = rollout["state"] == state && wave(&rollout, "canary")["state"] == canary;
        Ok(if here { Ok(()) } else { Err(format!("{rollout:#}")) })
    };
    fleet.stage.wait(&format!("{app} to be {state}"), SOON, look).await.unwrap();
}

async fn until_scraped(fleet: &Fleet, prometheus: &str) {
    let look = || async {
        let url = format!("{prometheus}/api/v1/query?query=count(quiet)");
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        let found = answer["data"]["result"][0]["value"][1] == "2";
        Ok(if found { Ok(()) } else { Err(text) })
    };
    fleet.stage.wait("Prometheus to have looked", SOON, look).await.unwrap();
}

/// Serves metrics to whoever asks.
async fn exporter(metrics: Arc<Mutex<String>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let text = metrics.lock().unwrap().clone();
            tokio::spawn(async move {
                request(&mut stream).await;
                answer(&mut stream, 200, text.as_bytes()).await;
            });
        }
    });
    address
}

/// Answers as broken servers do where the query says so, and as Prometheus otherwise.
async fn front(prometheus: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("{prometheus}/api/v1/query");
    tokio::spawn(async move {
        let client = reqwest::Client::new();
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(behave(stream, client.clone(), url.clone()));
        }
    });
    address
}

async fn behave(mut stream: TcpStream, client: reqwest::Client, url: String) {
    let body = request(&mut stream).await;
    let asks = |word: &str| body.contains(word);
    if asks("front_error") {
        answer(&mut stream, 500, b"out of memory").await;
    } else if asks("front_garbage") {
        answer(&mut stream, 200, b"<html>Please sign in</html>").await;
    } else if asks("front_broken") {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"status\":";
        drop(stream.write_all(head).await);
    } else if asks("front_slow") {
        tokio::time::sleep(VERY_LONG).await;
    } else if !asks("front_gone") {
        let form = "application/x-www-form-urlencoded";
        let asked = client.post(url).header("content-type", form).body(body).send().await.unwrap();
        let status = asked.status().as_u16();
        answer(&mut stream, status, &asked.bytes().await.unwrap()).await;
    }
}

/// The body of one request.
async fn request(stream: &mut TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut head = BTreeMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).await.unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            head.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    let length = head.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    drop(reader.read_exact(&mut body).await);
    String::from_utf8_lossy(&body).into_owned()
}

async fn answer(stream: &mut TcpStream, status: u16, body: &[u8]) {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Story\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n"
    );
    // Whoever asked may have given up.
    drop(stream.write_all(&[head.as_bytes(), body].concat()).await);
}

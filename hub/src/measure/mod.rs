//! Asks what waves are measured by, a Prometheus or an HTTP endpoint of somebody's own, and the endpoints that
//! decide about blockers.
//!
//! The brain says what to ask and when ([`rollout::question`]); what comes back becomes an event by way of
//! the engine. An answer that does not come, or makes no sense, is neither good nor bad: it holds. Bounded:
//! one question of a wave at a time, `ASKING_MAX` at once, `PATIENCE` each, `ANSWER_BYTES_MAX` read.

pub mod blockers;

use std::{
    collections::BTreeSet,
    fmt,
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
    time::Duration,
};

use hmac::{Hmac, Mac as _};
use model::{AppName, ClusterName, RolloutId};
use reqwest::{Client, Response};
use rollout::{Actor, Answer, Ask, Question, Role, Verb};
use serde::Deserialize;
use sha2::Sha256;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{clock::Clock, engine::Handle};

/// Questions under way at once.
const ASKING_MAX: usize = 16;
/// Longest wait for an answer; a measurement that takes longer is not asked every minute.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// Longest pause between two looks for questions that are due.
const LOOK: Duration = Duration::from_secs(1);
/// Characters of an answer's own words that are kept.
const WORDS_MAX: usize = 200;

/// Name of the file with the key, below the data directory.
const KEY_FILE: &str = "check.key";
/// Random bytes of a key: beyond guessing.
const KEY_BYTES: usize = 32;

/// Whom to ask, and how to sign.
#[derive(Clone, Default)]
pub struct Measures {
    /// Address of the Prometheus, such as `http://prometheus:9090`.
    pub prometheus: Option<String>,
    /// Key of the signature of questions by HTTP.
    key: Vec<u8>,
}

impl fmt::Debug for Measures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measures").field("prometheus", &self.prometheus).finish_non_exhaustive()
    }
}

/// The key cannot be read or made.
#[derive(Debug, thiserror::Error)]
#[error("read or make the key of checks `{path}`")]
pub struct KeyError {
    path: String,
    #[source]
    cause: io::Error,
}

impl Measures {
    /// Takes the address of the Prometheus, and reads the key from `file`, or from `DIR/check.key`, which is
    /// made with mode 0600 when it is not there. White space round the key does not belong to it.
    pub fn open(
        prometheus: Option<String>,
        file: Option<&Path>,
        data_dir: &Path,
    ) -> Result<Measures, KeyError> {
        let path = file.map_or_else(|| data_dir.join(KEY_FILE), Path::to_owned);
        let fault = |cause| KeyError { path: path.display().to_string(), cause };
        let key = match std::fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => text.trim().to_owned(),
            Ok(_) => return Err(fault(io::Error::new(io::ErrorKind::InvalidData, "it is empty"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound && file.is_none() => {
                let mut bytes = [0; KEY_BYTES];
                getrandom::fill(&mut bytes).map_err(|e| fault(io::Error::other(e.to_string())))?;
                let key = hex::encode(bytes);
                let mut options = OpenOptions::new();
                options.write(true).create_new(true).mode(0o600);
                let mut file = options.open(&path).map_err(fault)?;
                file.write_all(format!("{key}\n").as_bytes()).map_err(fault)?;
                file.sync_all().map_err(fault)?;
                key
            }
            Err(error) => return Err(fault(error)),
        };
        Ok(Measures { prometheus, key: key.into_bytes() })
    }
}

/// What is asked, of which wave.
type Wave = (AppName, RolloutId, usize);

/// Asks until `shutdown`.
pub fn start(
    handle: Handle,
    measures: Measures,
    clock: Clock,
    shutdown: CancellationToken,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let measures = Arc::new(measures);
        let client = Client::builder().timeout(PATIENCE).build();
        let mut asking: BTreeSet<Wave> = BTreeSet::new();
        let (done, mut finished) = mpsc::channel::<Wave>(ASKING_MAX);
        let mut changed = handle.changed();
        loop {
            for (wave, question) in due(&handle, &clock) {
                if asking.len() >= ASKING_MAX || asking.contains(&wave) {
                    continue;
                }
                asking.insert(wave.clone());
                let (client, measures) = (client.as_ref().ok().cloned(), Arc::clone(&measures));
                let (handle, done) = (handle.clone(), done.clone());
                tokio::spawn(async move {
                    let (answer, message) = ask(client, &measures, &question, &wave.0).await;
                    let verb = Verb::Measured { rollout: wave.1, wave: wave.2, answer, message };
                    // Refused when nobody waits for it any more, which is as well.
                    drop(handle.command(wave.0.clone(), verb, hub(), None).await);
                    drop(done.send(wave).await);
                });
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(wave) = finished.recv() => { asking.remove(&wave); }
                Ok(()) = changed.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    })
}

fn hub() -> Actor {
    Actor { name: "hub".to_owned(), role: Role::Operator, ..Actor::default() }
}

/// Questions whose time has come.
fn due(handle: &Handle, clock: &Clock) -> Vec<(Wave, Question)> {
    let published = handle.published();
    let questions = published.apps.values().filter_map(|app| {
        let question = rollout::question(&app.state, app.now, &app.obs)?;
        let wave = (app.name.clone(), question.rollout, question.wave);
        (question.due <= clock.now()).then_some((wave, question))
    });
    questions.collect()
}

/// Asks one question. Every failure holds, and says why.
async fn ask(
    client: Option<Client>,
    measures: &Measures,
    question: &Question,
    app: &AppName,
) -> (Answer, String) {
    let Some(client) = client else {
        return (Answer::Hold, "the hub cannot make HTTP requests".to_owned());
    };
    let answer = match &question.analysis.ask {
        Ask::Prometheus(query) => prometheus(&client, measures, question, query).await,
        Ask::Http(url) => http(&client, measures, question, url, app).await,
    };
    answer.unwrap_or_else(|why| (Answer::Hold, why))
}

async fn prometheus(
    client: &Client,
    measures: &Measures,
    question: &Question,
    query: &str,
) -> Result<(Answer, String), String> {
    let Some(expect) = &question.analysis.expect else { return Err("nothing is expected".into()) };
    let Some(base) = &measures.prometheus else {
        return Err("the hub knows no Prometheus; start it with `--prometheus URL`".into());
    };
    let value = measure(client, base, query, &question.updated).await?;
    if expect.holds(value) {
        return Ok((Answer::Pass, format!("{value}, and {expect} is good")));
    }
    if question.analysis.compare {
        let other = measure(client, base, query, &question.others).await?;
        if expect.no_worse(value, other) {
            return Ok((
                Answer::Pass,
                format!("{value}, no worse than {other} where it is not yet"),
            ));
        }
        return Ok((
            Answer::Fail,
            format!("{value} where it is, {other} where it is not; {expect} is good"),
        ));
    }
    Ok((Answer::Fail, format!("{value}, and {expect} is good")))
}

/// The one value of a query.
async fn measure(
    client: &Client,
    base: &str,
    query: &str,
    clusters: &[ClusterName],
) -> Result<f64, String> {
    let names: Vec<_> = clusters.iter().map(ClusterName::as_str).collect();
    let query = query.replace("${clusters}", &names.join("|"));
    let url = format!("{}/api/v1/query", base.trim_end_matches('/'));
    let body = format!("query={}", escape(&query));
    let request =
        client.post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
    let response = request.send().await.map_err(|e| unreachable("Prometheus", &e))?;
    let status = response.status();
    let bytes = read(response).await?;
    let said: Reply = serde_json::from_slice(&bytes)
        .map_err(|_| format!("Prometheus answered {status} with something else than JSON"))?;
    if said.status != "success" {
        let why = said.error.unwrap_or_default();
        return Err(format!("Prometheus answered {status}: {}", clip(&why)));
    }
    let data = said.data.ok_or("Prometheus answered without data")?;
    let text = match (data.kind.as_str(), &data.result) {
        ("scalar", value) => value.get(1).and_then(|v| v.as_str()),
        ("vector", list) => match list.as_array().map(Vec::as_slice) {
            Some([]) | None => return Err("the query found no data".into()),
            Some([one]) => one["value"].get(1).and_then(|v| v.as_str()),
            Some(many) => {
                let n = many.len();
                return Err(format!(
                    "the query gives {n} series; aggregate them, as with `sum(…)`"
                ));
            }
        },
        (other, _) => return Err(format!("the query gives a {other}, not one number")),
    };
    let value: f64 = text.and_then(|t| t.parse().ok()).ok_or("the query gives no number")?;
    if value.is_nan() { Err("the query gives NaN: too little data".into()) } else { Ok(value) }
}

/// What Prometheus answers.
#[derive(Debug, Deserialize)]
struct Reply {
    status: String,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Debug, Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: serde_json::Value,
}

/// A POST with the facts of the wave.
async fn http(
    client: &Client,
    measures: &Measures,
    question: &Question,
    url: &str,
    app: &AppName,
) -> Result<(Answer, String), String> {
    let body = serde_json::json!({
        "apiVersion": "check.tidegate/v1",
        "app": app.as_str(),
        "rollout": question.rollout.0,
        "wave": question.name.as_str(),
        "updated": question.updated.iter().map(ClusterName::as_str).collect::<Vec<_>>(),
        "notUpdated": question.others.iter().map(ClusterName::as_str).collect::<Vec<_>>(),
    });
    check(client, measures, url, &body).await
}

/// Shows an endpoint facts and reads its verdict. `Tidegate-Signature: sha256=HEX` is the HMAC-SHA-256 of the body.
async fn check(
    client: &Client,
    measures: &Measures,
    url: &str,
    facts: &serde_json::Value,
) -> Result<(Answer, String), String> {
    let body = facts.to_string().into_bytes();
    let signature = sign(&measures.key, &body);
    let request = client
        .post(url)
        .header("content-type", "application/json")
        .header("tidegate-signature", format!("sha256={signature}"))
        .body(body);
    let response = request.send().await.map_err(|e| unreachable("the check", &e))?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!("the check answered {status}"));
    }
    let bytes = read(response).await?;
    let said: Said = serde_json::from_slice(&bytes)
        .map_err(|_| "the check answered with something else than its JSON".to_owned())?;
    let answer = match said.answer.as_str() {
        "pass" => Answer::Pass,
        "fail" => Answer::Fail,
        "hold" => Answer::Hold,
        other => return Err(format!("the check answered `{}`", clip(other))),
    };
    let words = said.message.filter(|text| !text.is_empty()).map_or(said.answer, |m| clip(&m));
    Ok((answer, words))
}

/// What a check answers.
#[derive(Debug, Deserialize)]
struct Said {
    answer: String,
    #[serde(default)]
    message: Option<String>,
}

fn sign(key: &[u8], body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length is a key");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn unreachable(whom: &str, error: &reqwest::Error) -> String {
    if error.is_timeout() {
        format!("{whom} did not answer within {} s", PATIENCE.as_secs())
    } else {
        format!("{whom} cannot be reached")
    }
}

/// At most `ANSWER_BYTES_MAX` of an answer.
async fn read(mut response: Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(more)) if bytes.len() + more.len() <= ANSWER_BYTES_MAX => bytes.extend(more),
            Ok(Some(_)) => return Err("the answer is too long".into()),
            Ok(None) => return Ok(bytes),
            Err(_) => return Err("the answer broke off".into()),
        }
    }
}

fn clip(text: &str) -> String {
    text.chars().take(WORDS_MAX).collect()
}

fn digit(half: u8) -> char {
    char::from_digit(u32::from(half), 16).unwrap_or('0').to_ascii_uppercase()
}

/// As a form value is written.
fn escape(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
        out
    })
}

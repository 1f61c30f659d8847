//! One side of a comparison: a client, a namespace, and the record of what was answered.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::io::{AsyncBufReadExt as _, Lines};
use futures::{AsyncBufRead, StreamExt as _};
use http::{Method, Request};
use integration::kubernetes::Pool;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use simcluster::{Cluster, Server};

use super::answer::{Answer, Names};
use crate::clusters::{forgetful, whole};

/// Everything a story waits for comes within seconds; the rest is a machine under load.
const DEADLINE: Duration = Duration::from_mins(3);

const JSON: &str = "application/json";
const APPLY: &str = "application/apply-patch+yaml";

pub(crate) const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
pub(crate) const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// What runs for one story alone.
enum Owned {
    Nothing,
    Real(Pool),
    Simulated { cluster: Cluster, _server: Box<Server> },
}

pub(crate) struct Target {
    name: &'static str,
    client: Client,
    pub(crate) namespace: String,
    owned: Owned,
    record: Mutex<(Vec<(String, Value)>, Names)>,
}

impl Target {
    pub(crate) async fn real(namespace: &str) -> Self {
        Self::start("real", &whole().await.kubeconfig(), namespace).await
    }

    pub(crate) async fn real_alone(namespace: &str) -> Self {
        let pool = forgetful().await;
        let target = Self::start("real", &pool.cluster(0).kubeconfig(), namespace).await;
        Self { owned: Owned::Real(pool), ..target }
    }

    /// A cluster with the name of the story, for itself. Time passes as it does for the real one.
    pub(crate) async fn simulated(namespace: &str) -> Self {
        let options = simcluster::Options {
            name: namespace.to_owned(),
            nodes: 1,
            bookmarks: Duration::from_secs(1),
            ..simcluster::Options::default()
        };
        let cluster = Cluster::new(options);
        let server = Server::start(vec![cluster.clone()]).await.expect("a server");
        let target = Self::start("sim", &server.kubeconfig(namespace), namespace).await;
        Self { owned: Owned::Simulated { cluster, _server: Box::new(server) }, ..target }
    }

    async fn start(name: &'static str, kubeconfig: &str, namespace: &str) -> Self {
        let kubeconfig = Kubeconfig::from_yaml(kubeconfig).expect("a kubeconfig");
        let options = KubeConfigOptions::default();
        let mut config =
            kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("a config");
        // Answers are recorded as they come, also those after which a client would try again.
        config.default_retry = false;
        let client = Client::try_from(config).expect("a client");
        let target = Self {
            name,
            client,
            namespace: namespace.to_owned(),
            owned: Owned::Nothing,
            record: Mutex::default(),
        };
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        target.create("/api/v1/namespaces", &namespace).await.expect(201);
        target
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Throws away every version but the current one; only for stories of [`super::same_on_both_alone`].
    pub(crate) async fn forget_history(&self) {
        match &self.owned {
            Owned::Real(pool) => pool.cluster(0).forget_history().await.expect("it forgets"),
            Owned::Simulated { cluster, .. } => cluster.compact(),
            Owned::Nothing => panic!("other stories use this cluster"),
        }
    }

    pub(crate) fn into_record(self) -> Vec<(String, Value)> {
        self.record.into_inner().unwrap_or_else(PoisonError::into_inner).0
    }

    /// The address of something in the namespace of this story: `at("v1", "configmaps/a")`, `at("apps/v1", "deployments")`.
    pub(crate) fn at(&self, version: &str, rest: &str) -> String {
        let root = if version == "v1" { "api" } else { "apis" };
        format!("/{root}/{version}/namespaces/{}/{rest}", self.namespace)
    }

    pub(crate) fn config_map(&self, name: &str) -> String {
        self.at("v1", &format!("configmaps/{name}"))
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.as_bytes().to_vec().into()).expect("a request");
        let answer = self.client.send(request).await.expect("an answer");
        let header = |name: &str| {
            let values = answer.headers().get_all(name).iter();
            values.map(|value| value.to_str().expect("ASCII").to_owned()).collect::<Vec<_>>()
        };
        let (code, kind, warnings) =
            (answer.status().as_u16(), header("content-type").concat(), header("warning"));
        let bytes = answer.into_body().collect_bytes().await.expect("a whole body");
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Answer { code, kind, warnings, body }
    }

    async fn write(&self, method: Method, path: &str, kind: &str, body: &Value) -> Answer {
        self.send(method, path, &[("content-type", kind), ("accept", JSON)], &body.to_string())
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_as(path, JSON).await
    }

    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.send(Method::GET, path, &[("accept", accept)], "").await
    }

    /// A server-side apply that is not forced. `path` may carry more parameters.
    pub(crate) async fn apply(&self, manager: &str, path: &str, body: &Value) -> Answer {
        let mark = if path.contains('?') { '&' } else { '?' };
        self.write(Method::PATCH, &format!("{path}{mark}fieldManager={manager}"), APPLY, body).await
    }

    pub(crate) async fn patch(&self, path: &str, kind: &str, body: &Value) -> Answer {
        self.write(Method::PATCH, path, &format!("application/{kind}-patch+json"), body).await
    }

    pub(crate) async fn create(&self, path: &str, body: &Value) -> Answer {
        self.write(Method::POST, path, JSON, body).await
    }

    pub(crate) async fn replace(&self, path: &str, body: &Value) -> Answer {
        self.write(Method::PUT, path, JSON, body).await
    }

    pub(crate) async fn delete(&self, path: &str, options: &Value) -> Answer {
        self.write(Method::DELETE, path, JSON, options).await
    }

    /// Adds an answer to what is compared: all of it.
    pub(crate) fn record(&self, label: &str, answer: Answer) -> Answer {
        self.note(label, &answer.whole(&[]));
        answer
    }

    /// Adds an answer to what is compared: these parts of an object, or all of an error.
    pub(crate) fn record_parts(&self, label: &str, answer: Answer, parts: &[&str]) -> Answer {
        self.note(label, &answer.whole(parts));
        answer
    }

    /// Adds any value to what is compared.
    pub(crate) fn note(&self, label: &str, value: &Value) {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let normal = record.1.normal(value);
        record.0.push((label.to_owned(), normal));
    }

    /// Asks until the answer is some value.
    pub(crate) async fn eventually<T, F>(&self, what: &str, mut ask: impl FnMut() -> F) -> T
    where
        F: Future<Output = Option<T>>,
    {
        let started = Instant::now();
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            assert!(
                started.elapsed() < DEADLINE,
                "not in {DEADLINE:?} on the {} target: {what}",
                self.name
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Reads until `holds` of the answer.
    pub(crate) async fn until(
        &self,
        path: &str,
        what: &str,
        holds: impl Fn(&Answer) -> bool,
    ) -> Answer {
        self.eventually(what, || async { Some(self.get(path).await).filter(&holds) }).await
    }

    pub(crate) async fn until_gone(&self, path: &str) {
        self.until(path, "gone", |answer| answer.code == 404).await;
    }

    /// Opens a watch. Streams are asked for as they are: the server packs one that begins with a list, and ends the pack
    /// after that list, where a client that unpacks loses the rest.
    pub(crate) async fn watch(&self, path: &str, accept: &str) -> Watch {
        let request = Request::get(path)
            .header("accept-encoding", "identity")
            .header("accept", accept)
            .body(Vec::new())
            .expect("a request");
        let stream = self.client.request_stream(request).await.expect("a watch");
        Watch {
            lines: (Box::new(Box::pin(stream)) as Box<dyn AsyncBufRead + Send + Unpin>).lines(),
        }
    }
}

/// An open watch.
pub(crate) struct Watch {
    lines: Lines<Box<dyn AsyncBufRead + Send + Unpin>>,
}

impl Watch {
    /// The next event; none when the server ended the stream.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        let line =
            tokio::time::timeout(DEADLINE, self.lines.next()).await.expect("an event in time")?;
        Some(serde_json::from_str(&line.expect("a whole line")).expect("JSON"))
    }
}

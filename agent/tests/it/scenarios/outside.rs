//! Everybody else: what people and other tools do to a cluster, with a client of their own.

use std::time::Duration;

use http::{Method, Request};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use crate::hub::PATIENCE;

/// What was answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// The object, when it worked.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.code), "{}: {}", self.code, self.body);
        self.body
    }
}

/// A client that is not the agent's.
pub(crate) struct Outside {
    client: Client,
}

/// `/api/v1/namespaces/NS/configmaps` of an object.
fn collection(object: &Value) -> String {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or("");
    let (api, kind) = (text("/apiVersion"), text("/kind").to_lowercase());
    let plural = match kind.as_str() {
        other if other.ends_with("class") || other.ends_with("ingress") => format!("{other}es"),
        other if other.ends_with("policy") => format!("{}ies", other.trim_end_matches('y')),
        other => format!("{other}s"),
    };
    let root = if api.contains('/') { "apis" } else { "api" };
    match text("/metadata/namespace") {
        "" => format!("/{root}/{api}/{plural}"),
        namespace => format!("/{root}/{api}/namespaces/{namespace}/{plural}"),
    }
}

/// The path of an object.
fn path(object: &Value) -> String {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("");
    format!("{}/{name}", collection(object))
}

impl Outside {
    pub(crate) async fn new(kubeconfig: &str) -> Outside {
        let config = Kubeconfig::from_yaml(kubeconfig).unwrap();
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(config, &options).await.unwrap();
        Outside { client: Client::try_from(config).unwrap() }
    }

    pub(crate) async fn send(&self, method: Method, path: &str, kind: &str, body: &str) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind)
            .header("accept", "application/json")
            .body(body.as_bytes().to_vec().into())
            .unwrap();
        let answer = self.client.send(request).await.unwrap();
        let code = answer.status().as_u16();
        let bytes = answer.into_body().collect_bytes().await.unwrap();
        Answer { code, body: serde_json::from_slice(&bytes).unwrap_or_default() }
    }

    /// The live object that `object` names; none when it is not there.
    pub(crate) async fn get(&self, object: &Value) -> Option<Value> {
        let answer = self.send(Method::GET, &path(object), "application/json", "").await;
        (answer.code == 200).then_some(answer.body)
    }

    /// All objects beside `object`.
    pub(crate) async fn list(&self, object: &Value, query: &str) -> Vec<Value> {
        let at = format!("{}?{query}", collection(object));
        let mut answer = self.send(Method::GET, &at, "application/json", "").await.ok();
        answer["items"].as_array_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(crate) async fn create_as(&self, manager: &str, object: &Value) -> Answer {
        let at = format!("{}?fieldManager={manager}", collection(object));
        self.send(Method::POST, &at, "application/json", &object.to_string()).await
    }

    pub(crate) async fn edit_as(&self, manager: &str, object: &Value, patch: &Value) -> Answer {
        let at = format!("{}?fieldManager={manager}", path(object));
        self.send(Method::PATCH, &at, "application/merge-patch+json", &patch.to_string()).await
    }

    pub(crate) async fn scale_as(&self, manager: &str, object: &Value, replicas: u32) -> Answer {
        let at = format!("{}/scale?fieldManager={manager}", path(object));
        let patch = json!({"spec": {"replicas": replicas}}).to_string();
        self.send(Method::PATCH, &at, "application/merge-patch+json", &patch).await
    }

    pub(crate) async fn delete(&self, object: &Value) -> Answer {
        let body = json!({"propagationPolicy": "Background"}).to_string();
        self.send(Method::DELETE, &path(object), "application/json", &body).await
    }

    /// Waits until the live object satisfies `test`; returns how long it took.
    pub(crate) async fn until(
        &self,
        what: &str,
        object: &Value,
        test: impl Fn(Option<&Value>) -> bool,
    ) -> Duration {
        let start = tokio::time::Instant::now();
        loop {
            let live = self.get(object).await;
            if test(live.as_ref()) {
                return start.elapsed();
            }
            assert!(start.elapsed() < PATIENCE, "waited for {what}; last seen: {live:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn until_there(&self, object: &Value) -> Duration {
        self.until("it to be there", object, |live| live.is_some()).await
    }

    pub(crate) async fn until_gone(&self, object: &Value) -> Duration {
        self.until("it to be gone", object, |live| live.is_none()).await
    }
}

/// `metadata.uid`.
pub(crate) fn uid(object: &Value) -> String {
    object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// `metadata.resourceVersion`.
pub(crate) fn version(object: &Value) -> String {
    let version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    version.unwrap_or_default().to_owned()
}

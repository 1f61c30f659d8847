//! Server-side apply of one object, and the dry-run create that tells a wrong manifest from a wrong change.

use http::Method;
use model::ObjectKey;
use serde_json::Value;

use super::client::{Accept, Ask, Cluster};
use super::resource::{Resource, escape};
use super::{Error, Reply};

/// Whether fields of other managers are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// A conflict is refused by the API server.
    No,
    /// Taken; only after the conflict policy said so for this object.
    Yes,
}

/// What the API server does about unknown and duplicate fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validation {
    /// Refuse: for content that is applied for the first time.
    Strict,
    /// Accept with a warning: for content that was accepted before.
    Warn,
}

impl Validation {
    fn as_str(self) -> &'static str {
        match self {
            Validation::Strict => "Strict",
            Validation::Warn => "Warn",
        }
    }
}

impl Cluster {
    /// Applies `body` as `manager`.
    pub async fn apply(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        body: &Value,
        manager: &str,
        (force, validation): (Force, Validation),
    ) -> Result<Reply, Error> {
        let path = format!(
            "{}?fieldManager={}&force={}&fieldValidation={}",
            resource.object(key),
            escape(manager),
            force == Force::Yes,
            validation.as_str()
        );
        let body = Some(("application/apply-patch+yaml", body.to_string().into_bytes()));
        self.ask(Ask {
            verb: "apply",
            method: Method::PATCH,
            path,
            accept: Accept::Full,
            body,
            etag: None,
        })
        .await
    }

    /// What would applying make of the object? Nothing is written; conflicts are taken.
    pub async fn rehearse(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        body: &Value,
        manager: &str,
    ) -> Result<Reply, Error> {
        let path = format!(
            "{}?dryRun=All&force=true&fieldManager={}",
            resource.object(key),
            escape(manager)
        );
        let body = Some(("application/apply-patch+yaml", body.to_string().into_bytes()));
        self.ask(Ask {
            verb: "rehearse",
            method: Method::PATCH,
            path,
            accept: Accept::Full,
            body,
            etag: None,
        })
        .await
    }

    /// Changes parts of an object by a JSON patch.
    pub async fn patch(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        changes: &Value,
        manager: &str,
    ) -> Result<Reply, Error> {
        let path = format!("{}?fieldManager={}", resource.object(key), escape(manager));
        let body = Some(("application/json-patch+json", changes.to_string().into_bytes()));
        self.ask(Ask {
            verb: "patch",
            method: Method::PATCH,
            path,
            accept: Accept::Full,
            body,
            etag: None,
        })
        .await
    }

    /// Makes an object, where the API server cannot apply.
    pub async fn create(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        body: &Value,
        manager: &str,
        validation: Validation,
    ) -> Result<Reply, Error> {
        let path = resource.collection(&key.namespace);
        self.write_whole(("create", Method::POST), path, body, (manager, validation)).await
    }

    /// Writes an object whole, under the version that it carries, where the API server cannot apply.
    pub async fn replace(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        body: &Value,
        manager: &str,
        validation: Validation,
    ) -> Result<Reply, Error> {
        let path = resource.object(key);
        self.write_whole(("update", Method::PUT), path, body, (manager, validation)).await
    }

    async fn write_whole(
        &self,
        (verb, method): (&'static str, Method),
        path: String,
        body: &Value,
        (manager, validation): (&str, Validation),
    ) -> Result<Reply, Error> {
        let (manager, validation) = (escape(manager), validation.as_str());
        let path = format!("{path}?fieldManager={manager}&fieldValidation={validation}");
        let body = Some(("application/json", body.to_string().into_bytes()));
        self.ask(Ask { verb, method, path, accept: Accept::Full, body, etag: None }).await
    }

    /// Would this be created? Nothing is written.
    pub async fn probe(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        body: &Value,
        manager: &str,
    ) -> Result<Reply, Error> {
        let path = format!(
            "{}?dryRun=All&fieldManager={}",
            resource.collection(&key.namespace),
            escape(manager)
        );
        let body = Some(("application/json", body.to_string().into_bytes()));
        self.ask(Ask {
            verb: "probe",
            method: Method::POST,
            path,
            accept: Accept::Full,
            body,
            etag: None,
        })
        .await
    }
}

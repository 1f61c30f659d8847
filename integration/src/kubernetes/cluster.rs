//! One cluster: an API server and, on request, what makes objects in it progress.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Namespace, Node, ServiceAccount};
use kube::api::{ListParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::Mutex;

use super::access::{Access, client};
use super::certificates::{AccountKey, Authority, write};
use super::etcd::Etcd;
use super::process::{Plan, Process, on_a_free_port};
use super::{Binaries, Error, Options};

/// An API server is ready in 3 s on an idle machine; twelve that start together on two cores need longer.
const READY_DEADLINE: Duration = Duration::from_mins(2);

/// The first objects of a cluster (system namespaces, default account, Ready nodes) come a few seconds after its controllers.
const SETTLED_DEADLINE: Duration = Duration::from_mins(1);

/// How long a restarted API server may find its old port still taken before that is an error.
const REBIND_DEADLINE: Duration = Duration::from_secs(20);

/// Written by us: how the pretend nodes and their pods behave.
const STAGES: &str = include_str!("../../kubernetes/stages.yaml");

static NEXT: AtomicU32 = AtomicU32::new(1);

/// A running cluster of a [`super::Pool`].
#[derive(Debug)]
pub struct RealCluster {
    name: String,
    port: u16,
    access: Access,
    program: PathBuf,
    arguments: Vec<String>,
    /// Dropped, and so ended, before the API server that they talk to.
    companions: Vec<Process>,
    api: Mutex<Option<Process>>,
    etcd: Arc<Etcd>,
}

impl RealCluster {
    pub(super) async fn start(
        binaries: &Binaries,
        etcd: &Arc<Etcd>,
        options: Options,
    ) -> Result<Self, Error> {
        let name = format!("real-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = etcd.folder.join(&name);
        std::fs::create_dir(&folder)
            .map_err(|source| Error::File { path: folder.clone(), source })?;
        let access = Access::write(&folder)?;
        let key = AccountKey::write(&folder)?;
        let program = binaries.api_server()?;
        let arguments = api_arguments(&name, etcd, &access, &key, options);
        let (port, process) = on_a_free_port(&name, |port| {
            let log = folder.join("kube-apiserver.log");
            let kubeconfig = access.admin_kubeconfig(&name, port, &etcd.authority.certificate_pem);
            start_api(&name, program.clone(), &arguments, port, log, kubeconfig)
        })
        .await?;
        let mut cluster = Self {
            name,
            port,
            access,
            program,
            arguments,
            companions: Vec::new(),
            api: Mutex::new(Some(process)),
            etcd: Arc::clone(etcd),
        };
        if options.controllers {
            cluster.companions = cluster.startcompanions(binaries, &key)?;
        }
        cluster.settle(options).await?;
        Ok(cluster)
    }

    /// Unique in this process.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How an administrator enters, as YAML. Stays valid over [`Self::stop_api`] and [`Self::restart_api`].
    pub fn kubeconfig(&self) -> String {
        self.access.admin_kubeconfig(&self.name, self.port, self.authority())
    }

    /// How the user `limited` enters, who may do nothing until a test binds a role to that name.
    pub fn limited_kubeconfig(&self) -> String {
        self.access.limited_kubeconfig(&self.name, self.port, self.authority())
    }

    /// An administrator's client for the async runtime of the caller.
    pub async fn client(&self) -> Result<Client, Error> {
        client(&self.name, &self.kubeconfig()).await
    }

    /// The folder with the logs of this cluster.
    pub fn folder(&self) -> PathBuf {
        self.etcd.folder.join(&self.name)
    }

    /// Kills the API server, as a power failure would: connections break, the data stays.
    pub async fn stop_api(&self) -> Result<(), Error> {
        match self.api.lock().await.take() {
            Some(process) => process.stop().await,
            None => Ok(()),
        }
    }

    /// Starts the API server again, at the same address; a running one is stopped first.
    pub async fn restart_api(&self) -> Result<(), Error> {
        let mut api = self.api.lock().await;
        if let Some(process) = api.take() {
            process.stop().await?;
        }
        let started = Instant::now();
        loop {
            let log = self.folder().join("kube-apiserver.log");
            let start = start_api(
                &self.name,
                self.program.clone(),
                &self.arguments,
                self.port,
                log,
                self.kubeconfig(),
            );
            match start.await {
                Ok(process) => {
                    *api = Some(process);
                    return Ok(());
                }
                Err(error) if error.names_a_taken_port() && started.elapsed() < REBIND_DEADLINE => {
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Forgets all versions but the current one and restarts the API server: watches from before get 410, pages too.
    pub async fn forget_history(&self) -> Result<(), Error> {
        if self.etcd.is_shared {
            return Err(Error::SharedHistory { cluster: self.name.clone() });
        }
        self.stop_api().await?;
        self.etcd.compact().await?;
        self.restart_api().await
    }

    fn authority(&self) -> &str {
        &self.etcd.authority.certificate_pem
    }

    fn startcompanions(
        &self,
        binaries: &Binaries,
        key: &AccountKey,
    ) -> Result<Vec<Process>, Error> {
        let folder = self.folder();
        let kubeconfig = write(folder.join("kubeconfig"), &self.kubeconfig())?;
        let stages = write(folder.join("stages.yaml"), STAGES)?;
        let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
        let start = |program: PathBuf, arguments: &[String]| {
            let own = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Process::start(Plan {
                name: format!("{own} of {}", self.name),
                program,
                arguments: [std::slice::from_ref(&kubeconfig), arguments].concat(),
                log: folder.join(format!("{own}.log")),
                remove: None,
            })
        };
        Ok(vec![
            start(
                binaries.controller_manager()?,
                &controller_arguments(&self.etcd.authority, key),
            )?,
            start(
                binaries.scheduler()?,
                &["--leader-elect=false".to_owned(), "--secure-port=0".to_owned()],
            )?,
            start(
                binaries.kwok()?,
                &[format!("--config={}", stages.display()), "--manage-all-nodes=true".to_owned()],
            )?,
        ])
    }

    /// Waits for what every user of a cluster takes for granted.
    async fn settle(&mut self, options: Options) -> Result<(), Error> {
        let client = self.client().await?;
        let nodes = Api::<Node>::all(client.clone());
        for number in 1..=options.nodes {
            nodes.create(&PostParams::default(), &node(&self.name, number)).await.map_err(
                |source| Error::Request { cluster: self.name.clone(), source: Box::new(source) },
            )?;
        }
        let api = self.api.get_mut().as_mut().expect("it was started a moment ago");
        let settled = api
            .wait_until("make its first objects", SETTLED_DEADLINE, || {
                is_settled(client.clone(), options)
            })
            .await;
        // A controller that died says more than the wait that it let down.
        self.companions.iter_mut().try_for_each(Process::still_runs)?;
        settled
    }
}

async fn start_api(
    name: &str,
    program: PathBuf,
    arguments: &[String],
    port: u16,
    log: PathBuf,
    kubeconfig: String,
) -> Result<Process, Error> {
    let client = client(name, &kubeconfig).await?;
    let port = format!("--secure-port={port}");
    let mut process = Process::start(Plan {
        name: format!("kube-apiserver of {name}"),
        program,
        arguments: [arguments, &[port]].concat(),
        log,
        remove: None,
    })?;
    process
        .wait_until("become ready", READY_DEADLINE, || {
            let client = client.clone();
            async move { get(&client, "/readyz").await.is_ok() }
        })
        .await?;
    Ok(process)
}

async fn get(client: &Client, path: &str) -> Result<String, kube::Error> {
    let request = http::Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
    client.request_text(request).await
}

/// System namespaces; with controllers also the account that pods run as, and nodes that take pods.
async fn is_settled(client: Client, options: Options) -> bool {
    let namespaces = Api::<Namespace>::all(client.clone());
    if namespaces.get("default").await.is_err() || namespaces.get("kube-system").await.is_err() {
        return false;
    }
    if !options.controllers {
        return true;
    }
    let account = Api::<ServiceAccount>::namespaced(client.clone(), "default").get("default").await;
    let nodes = Api::<Node>::all(client).list(&ListParams::default()).await;
    account.is_ok() && nodes.is_ok_and(|nodes| nodes.items.iter().all(takes_pods))
}

fn takes_pods(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions
        .is_some_and(|all| all.iter().any(|each| each.type_ == "Ready" && each.status == "True"));
    let tainted = node
        .spec
        .as_ref()
        .and_then(|spec| spec.taints.as_ref())
        .is_some_and(|taints| !taints.is_empty());
    ready && !tainted
}

fn node(cluster: &str, number: u32) -> Node {
    let name = format!("{cluster}-node-{number}");
    let labels = [("kubernetes.io/hostname", name.as_str()), ("kubernetes.io/os", "linux")];
    Node {
        metadata: ObjectMeta {
            labels: Some(
                labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            ),
            name: Some(name.clone()),
            ..ObjectMeta::default()
        },
        ..Node::default()
    }
}

fn api_arguments(
    name: &str,
    etcd: &Etcd,
    access: &Access,
    key: &AccountKey,
    options: Options,
) -> Vec<String> {
    let file = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
    let mut arguments = vec![
        format!("--etcd-servers={}", etcd.url()),
        format!("--etcd-prefix=/{name}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        file("token-auth-file", &access.token_file),
        file("service-account-key-file", &key.public),
        file("service-account-signing-key-file", &key.private),
        file("tls-cert-file", &etcd.authority.serving_certificate),
        file("tls-private-key-file", &etcd.authority.serving_key),
    ];
    if !options.controllers {
        // Nobody makes the accounts that this plugin insists on.
        arguments.push("--disable-admission-plugins=ServiceAccount".to_owned());
    }
    arguments
}

fn controller_arguments(authority: &Authority, key: &AccountKey) -> Vec<String> {
    vec![
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        // The default of 20 requests a second makes tests wait for the client, not for Kubernetes.
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
        format!("--service-account-private-key-file={}", key.private.display()),
        format!("--root-ca-file={}", authority.certificate.display()),
    ]
}

//! The way in: connections made from the kubeconfig, and made anew from it when the API server shows a certificate that
//! is not trusted or refuses who we are. Whoever renews either writes the new one where the old one stood.

use std::error::Error as StdError;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::ConfigExt as _;
use tower::{BoxError, ServiceBuilder};

use super::Error;
use crate::config::Kubeconfig;

/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// A quiet connection is tried after so long, and given up after three tries: 30 s instead of a watch's
/// whole life.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Pause between those tries.
const KEEPALIVE_RETRY: Duration = Duration::from_secs(5);
/// Pause between two looks at the kubeconfig: a new one is used soon, and a wrong one is not read for every request.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Connections to one API server.
pub(super) struct Door {
    from: Kubeconfig,
    open: Mutex<Open>,
}

struct Open {
    client: kube::Client,
    looked: Instant,
}

impl Door {
    /// Reads the kubeconfig; connects with the first request.
    pub(super) async fn new(from: &Kubeconfig) -> Result<Door, Error> {
        let client = client(load(from).await?)?;
        let open = Mutex::new(Open { client, looked: Instant::now() });
        Ok(Door { from: from.clone(), open })
    }

    /// The connections of now.
    pub(super) fn client(&self) -> kube::Client {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).client.clone()
    }

    /// The server's certificate or our name was refused: both may have been renewed since we read them.
    pub(super) async fn refused(&self) {
        {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            if open.looked.elapsed() < LOOK_AGAIN {
                return;
            }
            open.looked = Instant::now();
        }
        let made = match load(&self.from).await {
            Ok(config) => client(config),
            Err(fault) => Err(fault),
        };
        match made {
            Ok(client) => {
                self.open.lock().unwrap_or_else(PoisonError::into_inner).client = client;
            }
            Err(fault) => {
                tracing::warn!(
                    fault = crate::fault::causes(&fault),
                    "the kubeconfig stays as it was"
                );
            }
        }
    }
}

async fn load(from: &Kubeconfig) -> Result<kube::Config, Error> {
    let fault =
        |what: String| move |cause: Box<dyn StdError + Send + Sync>| Error::Config { what, cause };
    let mut config = match from {
        Kubeconfig::Infer => {
            let what = fault("the inferred kubeconfig".to_owned());
            kube::Config::infer().await.map_err(|e| what(e.into()))?
        }
        Kubeconfig::File(path) => {
            let what = || fault(format!("kubeconfig `{}`", path.display()));
            let file = kube::config::Kubeconfig::read_from(path).map_err(|e| what()(e.into()))?;
            let options = kube::config::KubeConfigOptions::default();
            kube::Config::from_custom_kubeconfig(file, &options)
                .await
                .map_err(|e| what()(e.into()))?
        }
    };
    config.default_retry = false;
    Ok(config)
}

fn client(config: kube::Config) -> Result<kube::Client, Error> {
    let fault =
        |e: kube::Error| Error::Config { what: "the kubeconfig".to_owned(), cause: e.into() };
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_MAX));
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE_RETRY));
    tcp.set_keepalive_retries(Some(3));
    let tls = config.rustls_https_connector_with_connector(tcp).map_err(fault)?;
    let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(tls);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(tower_http::decompression::DecompressionLayer::new())
        .option_layer(config.auth_layer().map_err(fault)?)
        .map_err(BoxError::from)
        .service(http);
    Ok(kube::Client::new(service, config.default_namespace))
}

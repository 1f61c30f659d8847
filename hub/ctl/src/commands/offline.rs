//! What the commands that answer from a checkout share: the repository, the fleet, the rules, the tools.

use std::{fs, path::PathBuf};

use model::{AppName, SourceName, api};
use render::{App, Diagnostic, FleetCluster, Kit, Policy, Tree};
use sandbox::{Places, Renderers};

use super::archives::Archives;
use crate::{
    connect::Hub,
    error::{Error, Exit},
    fleet,
};

/// Where the clusters, the rules and the tools are.
#[derive(Debug, clap::Args)]
#[group(skip)] // it stands within the arguments of others, which are called so too
pub(crate) struct Args {
    /// Clusters to answer about: what `tidegate get clusters -o json` wrote; default: those of the hub,
    /// when a token is given
    #[arg(long, value_name = "FILE")]
    pub(crate) fleet: Option<PathBuf>,
    /// Rules that the hub is run with
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The source that the repository is to the hub; rules and tenants ask for it
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// The program `kustomize`; default: beside this one, or on the PATH
    #[arg(long, value_name = "PROGRAM", env = "TIDEGATE_KUSTOMIZE")]
    kustomize: Option<PathBuf>,
    /// The program `helm`; default: beside this one, or on the PATH
    #[arg(long, value_name = "PROGRAM", env = "TIDEGATE_HELM")]
    helm: Option<PathBuf>,
    /// Folder with archives of charts that others depend on and that are not committed, `NAME-VERSION.tgz` as
    /// `helm dependency build` and `helm pull` leave them
    #[arg(long, value_name = "FOLDER", env = "TIDEGATE_CHARTS")]
    charts: Option<PathBuf>,
}

/// All of it, ready.
#[derive(Debug)]
pub(crate) struct Bench {
    renderers: Renderers,
    charts: Archives,
    policy: Option<Policy>,
    source: Option<SourceName>,
}

impl Args {
    /// Reads the rules and looks for the tools.
    pub(crate) fn bench(&self) -> Result<Bench, Error> {
        let policy = self.policy.as_ref().map(|path| {
            let text = fs::read_to_string(path).map_err(|e| {
                Error::new(Exit::Usage, format!("read the policy `{}`: {e}", path.display()))
            })?;
            Policy::parse(&path.display().to_string(), &text).map_err(|faults| {
                let lines: Vec<_> = faults.iter().map(Diagnostic::to_string).collect();
                Error::new(Exit::Usage, format!("the policy is refused\n{}", lines.join("\n")))
            })
        });
        let source = self.source.as_deref().map(SourceName::parse);
        let source = source.transpose().map_err(|e| Error::new(Exit::Usage, e.to_string()))?;
        let (kustomize, helm) = (self.kustomize.clone(), self.helm.clone());
        let renderers = Renderers::new(Places { kustomize, helm, ..Places::default() });
        let charts = Archives::open(self.charts.as_deref())?;
        Ok(Bench { renderers, charts, policy: policy.transpose()?, source })
    }

    /// The clusters of the file, or else those of the hub; `None` when neither is given.
    pub(crate) fn clusters(&self, hub: Option<&Hub>) -> Result<Option<Vec<FleetCluster>>, Error> {
        match (&self.fleet, hub) {
            (Some(path), _) => fleet::read(path).map(Some),
            (None, Some(hub)) => asked(hub).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// As [`Args::clusters`], but they are needed.
    pub(crate) fn need_clusters(&self, hub: Option<&Hub>) -> Result<Vec<FleetCluster>, Error> {
        self.clusters(hub)?.ok_or_else(|| {
            Error::new(Exit::Usage, "there are no clusters to answer about")
                .hint("give `--fleet FILE`, which `tidegate get clusters -o json` writes, or a hub and its token")
        })
    }
}

/// The clusters that the hub knows.
fn asked(hub: &Hub) -> Result<Vec<FleetCluster>, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(Exit::Internal, format!("start: {e}")))?;
    let list: api::List<api::ClusterItem> = runtime.block_on(hub.get("clusters"))?;
    let text =
        serde_json::to_string(&list).map_err(|e| Error::new(Exit::Internal, e.to_string()))?;
    fleet::parsed(&text)
}

impl Bench {
    /// What rendering works with.
    pub(crate) fn kit(&self) -> Kit<'_> {
        let (policy, source) = (self.policy.as_ref(), self.source.as_ref());
        Kit { tools: &self.renderers, charts: &self.charts, policy, source }
    }
}

/// `web` or `app/web`.
pub(crate) fn app_name(text: &str) -> Result<AppName, Error> {
    let name = text.strip_prefix("app/").unwrap_or(text);
    AppName::parse(name).map_err(|e| {
        Error::new(Exit::Usage, e.to_string())
            .hint("name the App first, as `app/NAME`, and then the path")
    })
}

/// One App of a repository.
pub(crate) fn app(tree: &dyn Tree, name: &AppName) -> Result<App, Error> {
    let mut found = render::apps(tree);
    match found.apps.remove(name) {
        Some(Ok(app)) => Ok(app),
        Some(Err(faults)) => Err(refused(&faults)),
        None => {
            let known = found.apps.keys().map(AppName::as_str);
            let near = super::did_you_mean(name.as_str(), known).map(str::to_owned);
            let error = Error::new(Exit::NotFound, format!("there is no App `{name}` in `apps`"));
            Err(match near {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint("each App is a folder `apps/NAME` with an `app.yaml`"),
            })
        }
    }
}

/// Faults as one error: what is asked for cannot be told.
pub(crate) fn refused(faults: &[Diagnostic]) -> Error {
    let lines: Vec<_> = faults.iter().map(Diagnostic::to_string).collect();
    let mut error = Error::new(Exit::No, lines.join("\n"));
    error.reason = None;
    error
}

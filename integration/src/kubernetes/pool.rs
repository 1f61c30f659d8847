//! Several clusters that start together and end together.

use futures::future::try_join_all;

use super::etcd::Etcd;
use super::{Error, Options, RealCluster, binaries};

/// Clusters that live until the pool is dropped or the process ends.
#[derive(Debug)]
pub struct Pool {
    clusters: Vec<RealCluster>,
}

impl Pool {
    /// Starts `n` clusters and returns when all of them are ready to be used.
    pub async fn start(n: usize, options: Options) -> Result<Self, Error> {
        let binaries = binaries()?;
        let etcd = if options.own_etcd {
            Etcd::own(&binaries).await?
        } else {
            Etcd::shared(&binaries).await?
        };
        let starts = (0..n).map(|_| RealCluster::start(&binaries, &etcd, options));
        Ok(Self { clusters: try_join_all(starts).await? })
    }

    /// # Panics
    /// When the pool was started with fewer than `i + 1` clusters.
    pub fn cluster(&self, i: usize) -> &RealCluster {
        &self.clusters[i]
    }

    pub fn clusters(&self) -> &[RealCluster] {
        &self.clusters
    }
}

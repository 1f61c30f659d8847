//! Clusters that the tests of this process share. They end with the process.

use integration::kubernetes::{Options, Pool, RealCluster};
use tokio::sync::OnceCell;

static WHOLE: OnceCell<Pool> = OnceCell::const_new();

/// One cluster with controllers and a node. Use a namespace, and names of cluster-wide objects, of your own.
pub(crate) async fn whole() -> &'static RealCluster {
    let start = || Pool::start(1, Options::with_controllers());
    WHOLE.get_or_try_init(start).await.expect("a real cluster").cluster(0)
}

/// A bare cluster of one's own, whose history may be thrown away.
pub(crate) async fn forgetful() -> Pool {
    let options = Options { own_etcd: true, ..Options::default() };
    Pool::start(1, options).await.expect("a real cluster")
}

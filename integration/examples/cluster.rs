//! One real cluster to look at by hand: `cargo run -p integration --example cluster`. Ends with Ctrl-C and leaves nothing.

use std::error::Error;

use integration::kubernetes::{Options, Pool};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it tells a person where the cluster is")]
async fn main() -> Result<(), Box<dyn Error>> {
    let pool = Pool::start(1, Options::with_controllers()).await?;
    let cluster = pool.cluster(0);
    let kubeconfig = cluster.folder().join("admin.kubeconfig");
    std::fs::write(&kubeconfig, cluster.kubeconfig())?;
    println!("export KUBECONFIG={}", kubeconfig.display());
    println!("logs: {}; Ctrl-C ends the cluster", cluster.folder().display());
    tokio::signal::ctrl_c().await?;
    Ok(())
}

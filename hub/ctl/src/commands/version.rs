//! `tidegate version`: ours, and the hub's when it answers.

use serde_json::{Value, json};

use crate::{
    connect::Hub,
    error::{Error, Exit},
    output::{Format, Output},
};

/// Runs it. A hub that does not answer is no error: the question was about this program first.
pub(crate) async fn run(hub: &Hub, output: Output) -> Result<Exit, Error> {
    let ours = env!("CARGO_PKG_VERSION");
    let theirs: Option<Value> = hub.get("version").await.ok();
    let theirs = theirs.and_then(|v| v["version"].as_str().map(str::to_owned));
    if output.format == Format::Json {
        Output::json(&json!({
            "apiVersion": model::api::API_VERSION,
            "client": { "version": ours },
            "hub": theirs.map(|version| json!({ "version": version })),
        }))?;
    } else {
        let hub = theirs.unwrap_or_else(|| "not reached".to_owned());
        Output::data(&format!("tidegate {ours}\nhub      {hub}"))?;
    }
    Ok(Exit::Fine)
}

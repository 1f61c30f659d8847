//! Every metric of the hub on one page: name, help, labels. Labels are bounded: states, reasons, apps and
//! waves; never a commit, a message or an object.

use std::collections::BTreeMap;

use model::State;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{family::Family, gauge::Gauge},
    registry::Registry as Exposition,
};

/// Label sets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByApp {
    app: String,
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByWave {
    app: String,
    wave: String,
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: String,
}

/// One sample of everything, computed when somebody asks.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Clusters by state.
    pub clusters: BTreeMap<State, u64>,
    /// Clusters of each App by state.
    pub app_clusters: BTreeMap<(String, State), u64>,
    /// Members of active waves by state.
    pub wave_clusters: BTreeMap<(String, String, &'static str), u64>,
    /// Rollouts that are not over, by App and state.
    pub rollouts: BTreeMap<(String, String), u64>,
    /// Live sessions.
    pub connections: u64,
    /// Apps that were rendered since the hub started.
    pub renders: u64,
}

/// The sample as OpenMetrics text.
pub fn text(sample: &Sample) -> String {
    let mut page = Exposition::with_prefix("tidegate");
    let build = Family::<Build, Gauge>::default();
    build.get_or_create(&Build { version: env!("CARGO_PKG_VERSION").to_owned() }).set(1);
    page.register("build_info", "Version of the hub", build);
    let clusters = Family::<ByState, Gauge>::default();
    for (state, n) in &sample.clusters {
        clusters.get_or_create(&ByState { state: state.to_string() }).set(whole(*n));
    }
    page.register("clusters", "Clusters by state", clusters);
    let apps = Family::<ByApp, Gauge>::default();
    for ((app, state), n) in &sample.app_clusters {
        apps.get_or_create(&ByApp { app: app.clone(), state: state.to_string() }).set(whole(*n));
    }
    page.register("app_clusters", "Clusters of an App by state", apps);
    let waves = Family::<ByWave, Gauge>::default();
    for ((app, wave, state), n) in &sample.wave_clusters {
        let labels = ByWave { app: app.clone(), wave: wave.clone(), state: (*state).to_owned() };
        waves.get_or_create(&labels).set(whole(*n));
    }
    page.register("rollout_wave_clusters", "Members of waves of active rollouts by state", waves);
    let rollouts = Family::<ByApp, Gauge>::default();
    for ((app, state), n) in &sample.rollouts {
        rollouts.get_or_create(&ByApp { app: app.clone(), state: state.clone() }).set(whole(*n));
    }
    page.register("rollouts_active", "Rollouts that are not over", rollouts);
    let connections: Gauge = Gauge::default();
    connections.set(whole(sample.connections));
    page.register("agent_connections", "Agents with a session", connections);
    let renders: Gauge = Gauge::default();
    renders.set(whole(sample.renders));
    page.register("renders", "Apps rendered since the hub started", renders);
    let mut out = String::new();
    // Writing to a string does not fail; a half-written page would be no page.
    if encode(&mut out, &page).is_err() {
        out.clear();
    }
    out
}

fn whole(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

//! What must be so at some time: the `expect` of a scenario.

use std::time::Duration;

use model::{ClusterUid, RolloutId};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{
    Cast, Faulty,
    texts::{self, Texts},
};

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// A rollout is in that state; none was ever started.
    Rollout(RolloutId, String),
    /// A wave of the newest rollout is in that state.
    Wave(String, String),
    /// A cluster of the newest rollout is in that state.
    Cluster(ClusterUid, String),
    /// A cluster runs that content, or nothing.
    Runs(ClusterUid, String),
    /// The answer to "why" contains this text.
    Why(String),
    /// The answer to "why" is empty.
    Quiet,
    /// The answer to "why" about one cluster contains this text.
    WhyCluster(ClusterUid, String),
    /// The last verb of a person was refused with this code.
    Refused(String),
    /// So many rollouts were started.
    Rollouts(u64),
    /// So many clusters were ever granted something in the newest rollout.
    Granted(usize),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawClaim {
    at: Option<Spanned<String>>,
    that: Spanned<Texts>,
}

pub(super) fn read(
    raw: &[Spanned<RawClaim>],
    until: Duration,
    cast: &Cast,
    faults: &mut Faulty<'_>,
) -> Vec<(Duration, u64, Claim)> {
    let mut all = Vec::new();
    for entry in raw {
        let at = entry.value.at.as_ref().map_or(Some(until), |text| faults.time(text));
        for (line, text) in texts::each(&entry.value.that) {
            match (claim(text, cast), at) {
                (Ok(claim), Some(at)) => all.push((at, line, claim)),
                (Ok(_), None) => {}
                (Err(what), _) => faults.add(line, what, HINT),
            }
            if at.is_some_and(|at| at > until) {
                faults.add(line, "expected after the end", "raise `until`");
            }
        }
    }
    all
}

const HINT: &str = "write `rollout N STATE`, `wave NAME STATE`, `cluster NAME STATE`, \
     `NAME runs CONTENT|nothing`, `why TEXT`, `why nothing`, `why cluster NAME TEXT`, `refused CODE`, \
     `rollouts N` or `granted N`";

fn claim(text: &str, cast: &Cast) -> Result<Claim, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let cluster = |name: &str| cast.find(name).ok_or_else(|| format!("no cluster `{name}`"));
    let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is not a number"));
    match words.as_slice() {
        ["rollout", id, state] => Ok(Claim::Rollout(RolloutId(number(id)?), (*state).to_owned())),
        ["wave", name, state] => Ok(Claim::Wave((*name).to_owned(), (*state).to_owned())),
        ["cluster", name, state] => Ok(Claim::Cluster(cluster(name)?, (*state).to_owned())),
        [name, "runs", content] => Ok(Claim::Runs(cluster(name)?, (*content).to_owned())),
        ["why", "nothing"] => Ok(Claim::Quiet),
        ["why", "cluster", name, rest @ ..] if !rest.is_empty() => {
            Ok(Claim::WhyCluster(cluster(name)?, rest.join(" ")))
        }
        ["why", rest @ ..] if !rest.is_empty() => Ok(Claim::Why(rest.join(" "))),
        ["refused", code] => Ok(Claim::Refused((*code).to_owned())),
        ["rollouts", n] => Ok(Claim::Rollouts(number(n)?)),
        ["granted", n] => Ok(Claim::Granted(usize::try_from(number(n)?).unwrap_or(usize::MAX))),
        _ => Err(format!("`{text}` is not understood")),
    }
}

//! The clusters to answer about: from a file that `tidegate get clusters -o json` wrote, or one cluster that
//! was described on the command line.

use std::{collections::BTreeMap, fs, path::Path};

use model::{ClusterName, ClusterUid, Digest, Facts, Labels};
use render::FleetCluster;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::error::{Error, Exit};

/// Largest fleet file, in bytes: 10,000 clusters take 10 MB.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// One cluster as the file has it; what else stands there is not asked for.
#[derive(Debug, Deserialize)]
struct Item {
    name: String,
    uid: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    facts: Option<Facts>,
}

/// Reads a fleet file.
pub(crate) fn read(path: &Path) -> Result<Vec<FleetCluster>, Error> {
    let shown = path.display();
    let hint = "write it with `tidegate get clusters -o json`";
    let fault = |why: String| {
        Error::new(Exit::Usage, format!("read the fleet file `{shown}`: {why}")).hint(hint)
    };
    let about = fs::metadata(path).map_err(|e| fault(e.to_string()))?;
    if about.len() > FILE_BYTES_MAX {
        return Err(fault(format!("it has {} bytes", about.len())));
    }
    let text = fs::read_to_string(path).map_err(|e| fault(e.to_string()))?;
    parse(&text).map_err(fault)
}

/// As [`read`], from what the hub answered.
pub(crate) fn parsed(text: &str) -> Result<Vec<FleetCluster>, Error> {
    parse(text).map_err(|why| Error::new(Exit::Internal, format!("the clusters of the hub: {why}")))
}

fn parse(text: &str) -> Result<Vec<FleetCluster>, String> {
    let no_list = |why: String| format!("it is no list of clusters: {why}");
    let read: Json = serde_json::from_str(text).map_err(|e| no_list(e.to_string()))?;
    let items = match read {
        Json::Array(items) => items,
        Json::Object(mut document) => match document.remove("items") {
            Some(Json::Array(items)) => items,
            Some(_) => return Err(no_list("`items` is no list".to_owned())),
            None => return Err(no_list("it has no `items`".to_owned())),
        },
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            return Err(no_list("it is neither a list nor a map".to_owned()));
        }
    };
    let mut seen = BTreeMap::new();
    for (index, item) in items.into_iter().enumerate() {
        let item: Item =
            serde_json::from_value(item).map_err(|e| format!("cluster {}: {e}", index + 1))?;
        let name = ClusterName::parse(&item.name).map_err(|e| e.to_string())?;
        let uid = match item.uid {
            Some(uid) => ClusterUid::parse(&uid).map_err(|e| format!("cluster `{name}`: {e}"))?,
            None => uid_of(&name)?,
        };
        let facts = item.facts.unwrap_or(Facts::Null);
        let cluster = FleetCluster { uid, name: name.clone(), labels: item.labels, facts };
        if seen.insert(name.clone(), cluster).is_some() {
            return Err(format!("cluster `{name}` stands twice"));
        }
    }
    Ok(seen.into_values().collect())
}

/// A cluster that exists on the command line only.
pub(crate) fn described(name: &str, labels: &[(String, String)]) -> Result<FleetCluster, Error> {
    let name = ClusterName::parse(name).map_err(|e| Error::new(Exit::Usage, e.to_string()))?;
    let uid = uid_of(&name).map_err(|e| Error::new(Exit::Usage, e))?;
    let labels: Labels = labels.iter().cloned().collect();
    Ok(FleetCluster { uid, name, labels, facts: Facts::Null })
}

/// An identity made of the name, for a cluster of which only the name is known.
fn uid_of(name: &ClusterName) -> Result<ClusterUid, String> {
    let hex = Digest::of(name.as_str().as_bytes()).to_string();
    let hex: Vec<char> = hex.chars().filter(char::is_ascii_hexdigit).collect();
    let part = |from: usize, to: usize| hex[from..to].iter().collect::<String>();
    let text = format!(
        "{}-{}-4{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 15),
        part(15, 18),
        part(18, 30)
    );
    ClusterUid::parse(&text).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_get_clusters_writes_is_read() {
        let text = r#"{"apiVersion":"cli.tidegate/v1","items":[
            {"name":"eu-2","uid":"00000000-0000-4000-8000-000000000001","labels":{"ring":"a"},
             "state":"Ready","connected":true,"apps":[],"facts":{"nodes":3}},
            {"name":"eu-1","labels":{}}]}"#;
        let clusters = parse(text).unwrap();
        let names: Vec<_> = clusters.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["eu-1", "eu-2"]);
        assert_eq!(clusters[1].facts["nodes"], 3);
        assert_eq!(parse(r#"[{"name":"eu-1"}]"#).unwrap()[0].uid, clusters[0].uid);
    }

    #[test]
    fn what_is_no_fleet_is_told() {
        for (text, why) in [
            ("", "no list of clusters"),
            ("{}", "it has no `items`"),
            (r#"{"items": 3}"#, "`items` is no list"),
            (r#"{"items": [{"name": "a"}, {"labels": {}}]}"#, "cluster 2: missing field `name`"),
            ("7", "neither a list nor a map"),
            (r#"[{"name":"No Name"}]"#, "cluster name"),
            (r#"[{"name":"a"},{"name":"a"}]"#, "stands twice"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}

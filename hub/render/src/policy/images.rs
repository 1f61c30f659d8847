//! The images of an object, by their full names.

use serde_json::Value as Json;

/// Lists whose members run images.
const CONTAINERS: &[&str] = &["containers", "initContainers", "ephemeralContainers"];

/// Every image, wherever a pod is described; nothing hides in a custom resource that is shaped like one.
pub(super) fn of(object: &Json) -> Vec<String> {
    let mut found = Vec::new();
    look(object, &mut found);
    found.sort();
    found.dedup();
    found
}

fn look(json: &Json, found: &mut Vec<String>) {
    match json {
        Json::Object(map) => {
            for (key, value) in map {
                if CONTAINERS.contains(&key.as_str())
                    && let Json::Array(containers) = value
                {
                    let images = containers.iter().filter_map(|c| c.get("image")?.as_str());
                    found.extend(images.map(full));
                }
                // A volume may be an image too.
                if key == "image"
                    && let Some(reference) = value.get("reference").and_then(Json::as_str)
                {
                    found.push(full(reference));
                }
                look(value, found);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| look(item, found)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// As the runtime reads it: without a host it is from the hub of Docker.
fn full(image: &str) -> String {
    let host = image.split_once('/').map(|(host, _)| host);
    match host {
        Some(host) if host.contains(['.', ':']) || host == "localhost" => image.to_owned(),
        Some(_) => format!("docker.io/{image}"),
        None => format!("docker.io/library/{image}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_image_is_found_under_its_full_name() {
        let pod = json!({"spec": {
            "initContainers": [{"image": "busybox"}],
            "containers": [{"image": "acme/web:1"}, {"image": "registry.local:5000/x"}],
            "volumes": [{"image": {"reference": "ghcr.io/acme/data:1"}}],
        }});
        let names = of(&json!({"spec": {"jobTemplate": {"spec": {"template": pod}}}}));
        let want = [
            "docker.io/acme/web:1",
            "docker.io/library/busybox",
            "ghcr.io/acme/data:1",
            "registry.local:5000/x",
        ];
        assert_eq!(names, want);
    }
}

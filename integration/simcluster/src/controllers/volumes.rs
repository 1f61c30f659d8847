//! Claims get their volumes at once, unless their class waits for a first consumer.

use super::pass::{CONTROLLER, Pass, is_deleting, name};
use crate::{
    kinds::Kind,
    ops::{self, Write},
    state::place_of,
};
use serde_json::{Value, json};

pub(super) fn step(pass: &mut Pass<'_>) {
    let (Some(claims), Some(volumes)) =
        (pass.kind("", "PersistentVolumeClaim"), pass.kind("", "PersistentVolume"))
    else {
        return;
    };
    for claim in pass.state.all("", "PersistentVolumeClaim") {
        if is_deleting(&claim) {
            if !is_used(pass, &claim) {
                let place = place_of(&claims, &claim);
                ops::drop_finalizer(pass.state, &claims, &place, "kubernetes.io/pvc-protection");
            }
        } else if claim["status"]["phase"] != "Bound"
            && (!waits(pass, &claim) || is_used(pass, &claim))
        {
            bind(pass, &claims, &volumes, &claim);
        }
    }
    for volume in pass.state.all("", "PersistentVolume") {
        settle(pass, &volumes, &claims, &volume);
    }
}

fn is_used(pass: &Pass<'_>, claim: &Value) -> bool {
    pass.state.all("", "Pod").iter().any(|pod| {
        let volumes = pod["spec"]["volumes"].as_array();
        pod["metadata"]["namespace"] == claim["metadata"]["namespace"]
            && volumes
                .into_iter()
                .flatten()
                .any(|volume| volume["persistentVolumeClaim"]["claimName"] == name(claim))
    })
}

fn waits(pass: &Pass<'_>, claim: &Value) -> bool {
    let class = &claim["spec"]["storageClassName"];
    pass.state.all("storage.k8s.io", "StorageClass").iter().any(|known| {
        known["metadata"]["name"] == *class && known["volumeBindingMode"] == "WaitForFirstConsumer"
    })
}

fn bind(pass: &mut Pass<'_>, claims: &Kind, volumes: &Kind, claim: &Value) {
    let uid = claim["metadata"]["uid"].as_str().unwrap_or_default();
    let volume = match claim["spec"]["volumeName"].as_str() {
        Some(given) => given.to_owned(),
        None => format!("pvc-{uid}"),
    };
    let capacity = json!({"storage": claim["spec"]["resources"]["requests"]["storage"]});
    let object = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume},
        "spec": {
            "capacity": capacity,
            "accessModes": claim["spec"]["accessModes"],
            "storageClassName": claim["spec"]["storageClassName"],
            "persistentVolumeReclaimPolicy": "Delete",
            "hostPath": {"path": format!("/simulated/{volume}")},
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": claim["metadata"]["name"],
                "namespace": claim["metadata"]["namespace"], "uid": uid,
            },
        },
    });
    let _there_already_is_fine = pass.create(volumes, object);
    pass.edit(claims, claim, &Write::by(CONTROLLER, ""), |claim| {
        claim["spec"]["volumeName"] = json!(volume);
    });
    let status = json!({
        "phase": "Bound", "accessModes": claim["spec"]["accessModes"], "capacity": capacity,
    });
    pass.status(claims, claim, CONTROLLER, status);
}

fn settle(pass: &mut Pass<'_>, volumes: &Kind, claims: &Kind, volume: &Value) {
    let claim = &volume["spec"]["claimRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let held = pass.state.get(claims, &(text(&claim["namespace"]), text(&claim["name"])));
    let held = held.is_some_and(|held| held["metadata"]["uid"] == claim["uid"]);
    if is_deleting(volume) && !held {
        let place = place_of(volumes, volume);
        return ops::drop_finalizer(pass.state, volumes, &place, "kubernetes.io/pv-protection");
    }
    let phase = match (claim.is_object(), held) {
        (false, _) => "Available",
        (true, true) => "Bound",
        (true, false) => "Released",
    };
    if phase == "Released" && volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete" {
        return pass.delete(volumes, &place_of(volumes, volume));
    }
    if volume["status"]["phase"] != phase {
        let now = pass.state.clock.stamp();
        let status = json!({"phase": phase, "lastPhaseTransitionTime": now});
        pass.status(volumes, volume, CONTROLLER, status);
    }
}

//! Workloads with controllers behind them: what is told while they progress, and how they end.

use serde_json::{Value, json};

use super::{Answer, Target, same_on_both};

fn template(image: &str) -> Value {
    json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "main", "image": image}]}})
}

fn deployment(image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "a"}}, "template": template(image)},
    })
}

fn is_observed(answer: &Answer) -> bool {
    answer.at("/status/observedGeneration").as_i64() >= answer.at("/metadata/generation").as_i64()
}

/// Type, status and reason of every condition, and the counts.
fn told(answer: &Answer) -> Value {
    let conditions = answer.at("/status/conditions");
    let mut conditions: Vec<_> = conditions
        .as_array()
        .into_iter()
        .flatten()
        .map(|each| json!([each["type"], each["status"], each["reason"]]))
        .collect();
    conditions.sort_by_key(Value::to_string);
    let mut status = answer.at("/status");
    if let Some(status) = status.as_object_mut() {
        status.retain(|_, value| value.is_number());
    }
    json!({"conditions": conditions, "counts": status, "generation": answer.at("/metadata/generation")})
}

async fn until_rolled_out(target: &Target, path: &str) -> Answer {
    let is_done = |answer: &Answer| {
        let count = |key: &str| answer.at(&format!("/status/{key}")).as_i64().unwrap_or_default();
        is_observed(answer)
            && ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"]
                .iter()
                .all(|key| count(key) == 2)
            && count("terminatingReplicas") == 0
            && told(answer).to_string().contains("NewReplicaSetAvailable")
    };
    target.until(path, "rolled out", is_done).await
}

fn our_entry(answer: &Answer) -> Value {
    let entries = answer.at("/metadata/managedFields");
    entries
        .as_array()
        .into_iter()
        .flatten()
        .find(|each| each["manager"] == "one")
        .cloned()
        .unwrap_or_default()
}

#[tokio::test]
async fn a_deployment_rolls_out_and_the_reply_to_a_change_still_tells_the_old_truth() {
    same_on_both("rollout", async |target| {
        let path = target.at("apps/v1", "deployments/a");
        let created =
            target.apply("one", &path, &deployment("registry.test/web:1")).await.expect(201);
        target.record_parts(
            "create",
            created.clone(),
            &["/status", "/metadata/generation", "/spec"],
        );
        let done = until_rolled_out(target, &path).await;
        target.note("rolled out", &told(&done));
        assert_eq!(our_entry(&done), our_entry(&created), "controllers leave our entry alone");
        let others = done.at("/metadata/managedFields");
        let others =
            others.as_array().into_iter().flatten().filter(|each| each["manager"] != "one");
        let others: Vec<_> =
            others.map(|each| json!([each["operation"], each["subresource"]])).collect();
        target.note("others", &json!(others));
        let changed =
            target.apply("one", &path, &deployment("registry.test/web:2")).await.expect(200);
        assert!(!is_observed(&changed), "{}", changed.body);
        target.note("reply to the change", &told(&changed));
        target.note("rolled out again", &told(&until_rolled_out(target, &path).await));
        let unchanged =
            target.apply("one", &path, &deployment("registry.test/web:2")).await.expect(200);
        target.note("reply to no change", &told(&unchanged));
    })
    .await;
}

#[tokio::test]
async fn a_broken_image_is_told_by_its_pods_while_the_deployment_still_says_available() {
    same_on_both("broken", async |target| {
        let path = target.at("apps/v1", "deployments/a");
        target.apply("one", &path, &deployment("registry.test/web:1")).await.expect(201);
        until_rolled_out(target, &path).await;
        target.apply("one", &path, &deployment("registry.test/web:broken")).await.expect(200);
        let list = target.at("v1", "pods?labelSelector=app%3Da");
        let stuck = target
            .eventually("a pod that cannot pull", || async {
                let pods = target.get(&list).await.at("/items");
                let mut pods = pods.as_array().cloned().unwrap_or_default();
                let waiting = "/status/containerStatuses/0/state/waiting/reason";
                pods.retain(|pod| {
                    pod.pointer(waiting).is_some_and(|reason| reason == "ImagePullBackOff")
                });
                pods.pop()
            })
            .await;
        let status = &stuck["status"];
        target.note("phase", &status["phase"]);
        let container = &status["containerStatuses"][0];
        target.note(
            "container",
            &json!([container["ready"], container["restartCount"], container["state"]["waiting"]]),
        );
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let ready = conditions
            .filter(|each| each["type"] == "Ready")
            .map(|each| json!([each["status"], each["reason"]]));
        target.note("ready", &json!(ready.collect::<Vec<_>>()));
        let is_half = |answer: &Answer| {
            is_observed(answer)
                && answer.at("/status/updatedReplicas") == 1
                && answer.at("/status/unavailableReplicas") == 1
        };
        let half = target.until(&path, "half way", is_half).await;
        let half = told(&half);
        target.note("counts", &half["counts"]);
        // Whether `Progressing` says that a set was created or updated depends on how the controller's writes fall.
        let conditions = half["conditions"].as_array().into_iter().flatten();
        let conditions: Vec<_> = conditions.map(|each| json!([each[0], each[1]])).collect();
        target.note("conditions", &json!(conditions));
        target.apply("one", &path, &deployment("registry.test/web:1")).await.expect(200);
        target.note("rolled back", &told(&until_rolled_out(target, &path).await));
    })
    .await;
}

#[tokio::test]
async fn a_deployment_that_never_worked_says_so() {
    same_on_both("never", async |target| {
        let path = target.at("apps/v1", "deployments/a");
        let mut body = deployment("registry.test/web:broken");
        body["spec"]["progressDeadlineSeconds"] = json!(2);
        target.apply("one", &path, &body).await.expect(201);
        let has_failed =
            |answer: &Answer| told(answer).to_string().contains("ProgressDeadlineExceeded");
        target.note("failed", &told(&target.until(&path, "failed", has_failed).await));
    })
    .await;
}

#[tokio::test]
async fn pods_go_with_their_deployment() {
    same_on_both("pods-go", async |target| {
        let path = target.at("apps/v1", "deployments/a");
        target.apply("one", &path, &deployment("registry.test/web:1")).await.expect(201);
        until_rolled_out(target, &path).await;
        let pods = target.at("v1", "pods");
        let owners = target.get(&pods).await.at("/items/0/metadata/ownerReferences/0");
        target.note(
            "owner of a pod",
            &json!([owners["apiVersion"], owners["kind"], owners["controller"]]),
        );
        target.delete(&path, &json!({"propagationPolicy": "Background"})).await.expect(200);
        target.get(&path).await.expect(404);
        target.until(&pods, "no pods", |answer| answer.at("/items") == json!([])).await;
        let sets = target.at("apps/v1", "replicasets");
        target.until(&sets, "no replica sets", |answer| answer.at("/items") == json!([])).await;
    })
    .await;
}

#[tokio::test]
async fn the_other_workloads_end_well() {
    same_on_both("workloads", async |target| {
        let selector = json!({"matchLabels": {"app": "a"}});
        let set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "a"},
            "spec": {"replicas": 2, "serviceName": "a", "selector": selector, "template": template("registry.test/db:1")},
        });
        let path = target.at("apps/v1", "statefulsets/a");
        let created = target.apply("one", &path, &set).await.expect(201);
        target.note("stateful set at first", &told(&created));
        let is_done = |answer: &Answer| {
            is_observed(answer)
                && answer.at("/status/readyReplicas") == 2
                && answer.at("/status/availableReplicas") == 2
                && answer.at("/status/updatedReplicas") == 2
                && answer.at("/status/currentRevision") == answer.at("/status/updateRevision")
        };
        target.note("stateful set", &told(&target.until(&path, "ready", is_done).await));

        let mut daemons = set.clone();
        daemons["kind"] = json!("DaemonSet");
        daemons["spec"] = json!({"selector": {"matchLabels": {"app": "b"}}, "template": template("registry.test/log:1")});
        daemons["spec"]["template"]["metadata"]["labels"]["app"] = json!("b");
        let path = target.at("apps/v1", "daemonsets/a");
        target.apply("one", &path, &daemons).await.expect(201);
        let is_done = |answer: &Answer| is_observed(answer) && answer.at("/status/numberAvailable") == 1;
        target.note("daemon set", &told(&target.until(&path, "ready", is_done).await));

        let mut job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}, "spec": {"template": template("registry.test/job:1")},
        });
        job["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
        let path = target.at("batch/v1", "jobs/a");
        target.apply("one", &path, &job).await.expect(201);
        let is_done = |answer: &Answer| told(answer).to_string().contains("[\"Complete\",\"True\"");
        target.note("job", &told(&target.until(&path, "complete", is_done).await));
    })
    .await;
}

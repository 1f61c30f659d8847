//! Server-side apply by one manager: creating, changing, leaving alone, removing.

use serde_json::{Value, json};

use super::same_on_both;

pub(super) fn config_map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

#[tokio::test]
async fn apply_creates_then_changes_and_an_equal_apply_writes_nothing() {
    same_on_both("apply", async |target| {
        let path = target.config_map("a");
        let first = config_map("a", &json!({"k": "1", "gone": "x"}));
        let created = target.record("create", target.apply("one", &path, &first).await.expect(201));
        let same = target.record("again", target.apply("one", &path, &first).await.expect(200));
        assert_eq!(created.version(), same.version());
        let second = config_map("a", &json!({"k": "2"}));
        let changed =
            target.record("change", target.apply("one", &path, &second).await.expect(200));
        assert_eq!(changed.at("/data"), json!({"k": "2"}), "the key that was dropped is gone");
        assert_ne!(changed.version(), created.version());
        let empty = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        target.record("nothing left", target.apply("one", &path, &empty).await.expect(200));
        target.record("read", target.get(&path).await.expect(200));
    })
    .await;
}

#[tokio::test]
async fn labels_annotations_and_nulls_are_taken_like_any_field() {
    same_on_both("apply-metadata", async |target| {
        let path = target.config_map("a");
        let body = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": "a", "namespace": target.namespace, "creationTimestamp": null,
                "labels": {"tidegate.dev/app": "web"}, "annotations": {"tidegate.dev/id": "/ConfigMap/x/a"},
                "finalizers": [], "ownerReferences": [],
            },
            "data": {}, "binaryData": {"b": "AAEC"},
        });
        target.record("create", target.apply("one", &path, &body).await.expect(201));
        target.record("again", target.apply("one", &path, &body).await.expect(200));
        let less = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "labels": {"tidegate.dev/app": "web"}}, "binaryData": {"b": "AAEC"},
        });
        target.record("fewer", target.apply("one", &path, &less).await.expect(200));
    })
    .await;
}

#[tokio::test]
async fn a_dry_run_answers_like_the_real_thing_and_writes_nothing() {
    same_on_both("dry-run", async |target| {
        let path = target.config_map("a");
        let dry = format!("{path}?dryRun=All");
        let first = config_map("a", &json!({"k": "1"}));
        target.record("would create", target.apply("one", &dry, &first).await.expect(201));
        target.get(&path).await.expect(404);
        let created = target.apply("one", &path, &first).await.expect(201);
        let second = config_map("a", &json!({"k": "2"}));
        let would =
            target.record("would change", target.apply("one", &dry, &second).await.expect(200));
        assert_eq!(would.text("/data/k"), "2");
        target.record("would not", target.apply("one", &dry, &first).await.expect(200));
        target.record("would conflict", target.apply("two", &dry, &second).await.expect(409));
        let forced = format!("{dry}&force=true");
        target.record("would force", target.apply("two", &forced, &second).await.expect(200));
        let now = target.record("read", target.get(&path).await.expect(200));
        assert_eq!(now.version(), created.version());
        let nothing = target.send(http::Method::DELETE, &dry, &[], "").await.expect(200);
        target.record("would delete", nothing);
        let options = json!({"dryRun": ["All"]});
        target.record("would delete too", target.delete(&path, &options).await.expect(200));
        target.get(&path).await.expect(200);
        let other = target.at("v1", "configmaps?dryRun=All");
        let post = target.create(&other, &config_map("b", &json!({}))).await.expect(201);
        target.record("would post", post);
        target.get(&target.config_map("b")).await.expect(404);
        // A body, even an empty one, hides every parameter of the address: this delete is real.
        target.record("does delete", target.delete(&dry, &json!({})).await.expect(200));
        target.get(&path).await.expect(404);
    })
    .await;
}

#[tokio::test]
async fn the_uid_in_a_body_binds_an_apply_to_one_object() {
    same_on_both("uid-in-body", async |target| {
        let path = target.config_map("a");
        let with_uid = |uid: &str| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "uid": uid}, "data": {"k": "2"}})
        };
        let vanished = with_uid("11111111-2222-3333-4444-555555555555");
        target.record("vanished", target.apply("one", &path, &vanished).await.expect(409));
        let created = target.apply("one", &path, &config_map("a", &json!({"k": "1"}))).await.expect(201);
        target.record("created", created.clone());
        target.record("wrong uid", target.apply("one", &path, &vanished).await);
        target.record("right uid", target.apply("one", &path, &with_uid(&created.uid())).await.expect(200));
        target.delete(&path, &json!({})).await.expect(200);
        let late = target.apply("one", &path, &with_uid(&created.uid())).await.expect(409);
        target.record("no resurrection", late);
        target.get(&path).await.expect(404);
    })
    .await;
}

#[tokio::test]
async fn a_version_in_a_body_must_be_the_current_one() {
    same_on_both("version-in-body", async |target| {
        let path = target.config_map("a");
        let created =
            target.apply("one", &path, &config_map("a", &json!({"k": "1"}))).await.expect(201);
        let with_version = |version: &str, value: &str| {
            json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "a", "resourceVersion": version}, "data": {"k": value},
            })
        };
        target.record(
            "current",
            target.apply("one", &path, &with_version(&created.version(), "2")).await.expect(200),
        );
        target.record(
            "stale",
            target.apply("one", &path, &with_version(&created.version(), "3")).await.expect(409),
        );
        let absent = target.config_map("b");
        let mut body = with_version("1", "1");
        body["metadata"]["name"] = json!("b");
        target.record("absent", target.apply("one", &absent, &body).await);
    })
    .await;
}

#[tokio::test]
async fn an_unknown_field_fails_an_apply_in_every_mode_of_validation() {
    same_on_both("strict", async |target| {
        let path = target.at("apps/v1", "deployments/a");
        let with = |mode: &str| format!("{path}?fieldValidation={mode}");
        let mut body = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
            "spec": {
                "replicas": 0, "selector": {"matchLabels": {"app": "a"}},
                "template": {
                    "metadata": {"labels": {"app": "a"}},
                    "spec": {"containers": [{"name": "main", "image": "x", "imagePullPolice": "Always"}]},
                },
            },
        });
        for mode in ["Strict", "Warn", "Ignore", "Loud"] {
            target.record(mode, target.apply("one", &with(mode), &body).await);
        }
        target.record("default", target.apply("one", &path, &body).await);
        body["spec"]["replica"] = json!(3);
        // Which of two are named is chance.
        let two = target.apply("one", &path, &body).await.expect(500);
        let begins = "failed to create typed patch object (/a; apps/v1, Kind=Deployment): ";
        assert!(two.text("/message").starts_with(begins), "{}", two.body);
    })
    .await;
}

#[tokio::test]
async fn an_unknown_field_fails_a_plain_write_only_when_validation_is_strict() {
    same_on_both("strict-plain", async |target| {
        let config_map = |field: &str, value: Value| {
            let mut body = config_map("a", &json!({}));
            body[field] = value;
            body
        };
        let path = target.config_map("a");
        for (label, body) in [
            ("unknown", config_map("dat", json!({"k": "v"}))),
            ("unknown below", config_map("metadata", json!({"name": "a", "label": {}}))),
            ("wrong type", config_map("data", json!({"k": 1}))),
            ("wrong shape", config_map("data", json!(["k"]))),
        ] {
            target.record(label, target.apply("one", &path, &body).await);
            let post = target.at("v1", "configmaps?fieldValidation=Strict");
            target.record(&format!("{label}, post"), target.create(&post, &body).await);
        }
        let two = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "label": {}}, "dat": {"k": "v"},
        });
        for mode in ["Strict", "Warn", "Ignore"] {
            let post = target.at("v1", &format!("configmaps?dryRun=All&fieldValidation={mode}"));
            target.record(&format!("two, {mode}"), target.create(&post, &two).await);
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_of_string_data_stays_behind_when_it_is_dropped_and_a_key_of_data_does_not() {
    same_on_both("string-data", async |target| {
        let path = target.at("v1", "secrets/a");
        let secret = |key: &str, value: &Value| {
            let mut body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}});
            body[key] = value.clone();
            body
        };
        target.record(
            "create",
            target.apply("one", &path, &secret("stringData", &json!({"k": "v"}))).await.expect(201),
        );
        let dropped =
            target.apply("one", &path, &secret("stringData", &json!({}))).await.expect(200);
        assert_eq!(target.record("drop", dropped).at("/data"), json!({"k": "dg=="}));
        let path = target.at("v1", "secrets/b");
        let named = |mut body: Value| {
            body["metadata"]["name"] = json!("b");
            body
        };
        let data = named(secret("data", &json!({"k": "dg==", "l": "dg=="})));
        target.record("data", target.apply("one", &path, &data).await.expect(201));
        let dropped = target
            .apply("one", &path, &named(secret("data", &json!({"k": "dg=="}))))
            .await
            .expect(200);
        assert_eq!(target.record("drop data", dropped).at("/data"), json!({"k": "dg=="}));
        let broken = named(secret("data", &json!({"k": "not base64!"})));
        target.record("no base64", target.apply("one", &path, &broken).await);
    })
    .await;
}

#[tokio::test]
async fn plain_writes_create_replace_and_patch() {
    same_on_both("plain-writes", async |target| {
        let all = target.at("v1", "configmaps");
        let path = target.config_map("a");
        let first = config_map("a", &json!({"k": "1"}));
        let created = target.record("post", target.create(&all, &first).await.expect(201));
        target.record("post again", target.create(&all, &first).await.expect(409));
        let mut body = created.body.clone();
        body["data"]["k"] = json!("2");
        target.record("put", target.replace(&path, &body).await.expect(200));
        target.record("put stale", target.replace(&path, &body).await.expect(409));
        target.record(
            "put blind",
            target.replace(&path, &config_map("a", &json!({"k": "3"}))).await.expect(200),
        );
        let merge = json!({"data": {"l": "1", "k": null}});
        target.record("merge", target.patch(&path, "merge", &merge).await.expect(200));
        target.record("merge same", target.patch(&path, "merge", &merge).await.expect(200));
        let strategic = json!({"metadata": {"labels": {"x": "y"}}});
        target.record(
            "strategic",
            target.patch(&path, "strategic-merge", &strategic).await.expect(200),
        );
        let absent = target.config_map("b");
        target.record("put absent", target.replace(&absent, &config_map("b", &json!({}))).await);
        target.record("merge absent", target.patch(&absent, "merge", &merge).await.expect(404));
        target.record("get absent", target.get(&absent).await.expect(404));
        let generated =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "g-"}});
        let generated = target.create(&all, &generated).await.expect(201);
        assert!(generated.text("/metadata/name").starts_with("g-"));
        let named = target
            .create(&format!("{all}?fieldManager=me"), &config_map("c", &json!({"k": "1"})))
            .await;
        target.record("post as me", named.expect(201));
    })
    .await;
}

fn deployment(manager: &str, containers: &Value) -> Value {
    let mut body = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
        "spec": {"template": {"spec": {"containers": containers}}},
    });
    if manager == "one" {
        body["spec"]["replicas"] = json!(0);
        body["spec"]["selector"] = json!({"matchLabels": {"app": "a"}});
        body["spec"]["template"]["metadata"] = json!({"labels": {"app": "a"}});
    }
    body
}

#[tokio::test]
async fn lists_are_merged_by_their_keys() {
    same_on_both("list-keys", async |target| {
        let path = target.at("apps/v1", "deployments/a");
        let parts =
            ["/spec/template/spec/containers", "/spec/replicas", "/spec/strategy", "/metadata/generation"];
        let managed = async |label: &str| {
            let entries = target.get(&path).await.at("/metadata/managedFields");
            let applied = entries.as_array().into_iter().flatten().filter(|entry| entry["operation"] == "Apply");
            target.note(label, &json!({"managedFields": applied.collect::<Vec<_>>()}));
        };
        let one = deployment("one", &json!([
            {"name": "main", "image": "x:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
             "ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}]},
            {"name": "side", "image": "y:1"},
        ]));
        target.record_parts("one", target.apply("one", &path, &one).await.expect(201), &parts);
        managed("one owns").await;
        let two = deployment("two", &json!([
            {"name": "main", "env": [{"name": "C", "value": "3"}], "ports": [{"containerPort": 443, "name": "tls"}]},
        ]));
        target.record_parts("two adds", target.apply("two", &path, &two).await.expect(200), &parts);
        managed("two owns").await;
        let one = deployment("one", &json!([
            {"name": "main", "image": "x:2", "env": [{"name": "B", "value": "2"}], "ports": [{"containerPort": 80}]},
        ]));
        target.record_parts("one drops", target.apply("one", &path, &one).await.expect(200), &parts);
        let moved = deployment("one", &json!([
            {"name": "new", "image": "z:1"},
            {"name": "main", "image": "x:2", "env": [{"name": "B", "value": "2"}], "ports": [{"containerPort": 80}]},
        ]));
        target.record_parts("one puts another first", target.apply("one", &path, &moved).await.expect(200), &parts);
        let two = deployment("two", &json!([{"name": "main", "env": [{"name": "B", "value": "9"}]}]));
        target.record("two conflicts", target.apply("two", &path, &two).await.expect(409));
        managed("at the end").await;
    })
    .await;
}

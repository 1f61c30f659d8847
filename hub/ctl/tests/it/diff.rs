//! `tidegate agent diff`: what is a difference, and what is none.

#![expect(
    clippy::needless_pass_by_value,
    clippy::too_many_lines,
    reason = "a table of cases, written as they are read"
)]

use serde_json::{Value, json};

use super::desk::Desk;

/// What is said about one desired object and one live one.
fn compared(desired: &Value, live: &Value) -> (i32, Value) {
    let desk = Desk::new();
    desk.file("desired.json", &desired.to_string());
    desk.file("live.json", &live.to_string());
    let arguments =
        ["agent", "diff", "--app", "web", "--desired", "desired.json", "--live", "live.json"];
    let (code, document) = desk.json(&arguments, "");
    assert_eq!(document["apiVersion"], json!("cli.tidegate/v1"));
    assert_eq!(document["faults"], json!([]), "{document:#}");
    assert_eq!(code == 0, document["equal"] == json!(true), "{document:#}");
    (code, document["objects"][0].clone())
}

/// The paths that differ.
fn paths(desired: &Value, live: &Value) -> Vec<String> {
    let (_, one) = compared(desired, live);
    let changes =
        ["changes", "conflicts"].into_iter().flat_map(|list| one[list].as_array().unwrap());
    changes.map(|change| change["path"].as_str().unwrap().to_owned()).collect()
}

fn object(api_version: &str, kind: &str, rest: Value) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind,
        "metadata": {"name": "x", "namespace": "default"}});
    for (name, value) in rest.as_object().unwrap() {
        object[name.as_str()] = value.clone();
    }
    object
}

fn pod(spec: Value) -> Value {
    object("v1", "Pod", json!({"spec": spec}))
}

fn container(rest: Value) -> Value {
    let mut container = json!({"name": "c", "image": "i"});
    for (name, value) in rest.as_object().unwrap() {
        container[name.as_str()] = value.clone();
    }
    json!({"containers": [container]})
}

fn service(ports: Value) -> Value {
    object("v1", "Service", json!({"spec": {"ports": ports}}))
}

#[test]
fn these_are_no_difference() {
    let cases: &[(&str, Value, Value)] = &[
        (
            "amounts are compared as amounts",
            pod(container(json!({"resources": {"limits": {"cpu": "1000m", "memory": "1Gi"}}}))),
            pod(container(json!({"resources": {"limits": {"cpu": "1", "memory": 1_073_741_824}}}))),
        ),
        (
            "a null is nothing",
            pod(json!({"containers": [{"name": "c", "image": "i"}], "nodeName": null})),
            pod(container(json!({}))),
        ),
        (
            "an empty map, list, text or a plain false is dropped by the server",
            pod(json!({"containers": [{"name": "c", "image": "i", "resources": {}, "args": [],
                "env": [{"name": "E", "value": ""}], "tty": false}], "hostNetwork": false})),
            pod(json!({"containers": [{"name": "c", "image": "i", "env": [{"name": "E"}]}]})),
        ),
        (
            "what the server fills in is nobody's",
            pod(container(json!({}))),
            pod(json!({"containers": [{"name": "c", "image": "i", "imagePullPolicy": "Always",
                "terminationMessagePath": "/dev/termination-log"}], "dnsPolicy": "ClusterFirst"})),
        ),
        (
            "keyed lists have no order",
            pod(json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]})),
            pod(json!({"containers": [{"name": "b", "image": "2"}, {"name": "a", "image": "1"}]})),
        ),
        (
            "an injected container is not ours",
            pod(container(json!({}))),
            pod(
                json!({"containers": [{"name": "c", "image": "i"}, {"name": "proxy", "image": "p"}]}),
            ),
        ),
        (
            "the same port under two protocols is two ports",
            service(
                json!([{"name": "a", "port": 53, "protocol": "UDP"}, {"name": "b", "port": 53}]),
            ),
            service(json!([{"name": "b", "port": 53, "protocol": "TCP", "targetPort": 53},
                {"name": "a", "port": 53, "protocol": "UDP", "targetPort": 53}])),
        ),
        (
            "plain texts of a Secret are its data",
            object("v1", "Secret", json!({"stringData": {"k": "v"}})),
            object("v1", "Secret", json!({"data": {"k": "dg=="}, "type": "Opaque"})),
        ),
        (
            "the status is the server's",
            object("v1", "ConfigMap", json!({"data": {"a": "1"}, "status": {"x": 1}})),
            object("v1", "ConfigMap", json!({"data": {"a": "1"}})),
        ),
        (
            "an address that the server chose",
            object(
                "v1",
                "Service",
                json!({"spec": {"clusterIP": "", "ports": [{"port": 80, "nodePort": 0}]}}),
            ),
            object(
                "v1",
                "Service",
                json!({"spec": {"clusterIP": "10.0.0.1",
                "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}]}}),
            ),
        ),
        (
            "templates of claims are filled in",
            object(
                "apps/v1",
                "StatefulSet",
                json!({"spec": {"volumeClaimTemplates": [{"metadata": {"name": "d"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}}}]}}),
            ),
            object(
                "apps/v1",
                "StatefulSet",
                json!({"spec": {"volumeClaimTemplates": [{"apiVersion": "v1",
                "kind": "PersistentVolumeClaim", "metadata": {"name": "d", "creationTimestamp": null},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
                    "volumeMode": "Filesystem"}, "status": {"phase": "Pending"}}]}}),
            ),
        ),
        (
            "a reference to a field is filled in",
            pod(container(
                json!({"env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}),
            )),
            pod(container(json!({"env": [{"name": "N", "valueFrom":
                {"fieldRef": {"apiVersion": "v1", "fieldPath": "x"}}}]}))),
        ),
        (
            "labels and annotations of others",
            object("v1", "ConfigMap", json!({})),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "default",
                "labels": {"a": "b"}, "annotations": {"c": "d"}, "resourceVersion": "1", "uid": "u"}}),
        ),
        (
            "a number is a number",
            object("a.example/v1", "Thing", json!({"spec": {"n": 1}})),
            object("a.example/v1", "Thing", json!({"spec": {"n": 1.0}})),
        ),
    ];
    for (what, desired, live) in cases {
        assert_eq!(paths(desired, live), Vec::<String>::new(), "{what}");
    }
}

#[test]
fn these_are_differences() {
    let whole =
        |rules: Value| object("rbac.authorization.k8s.io/v1", "Role", json!({"rules": rules}));
    let cases: &[(&str, Value, Value, &[&str])] = &[
        (
            "an image",
            pod(container(json!({"image": "new"}))),
            pod(container(json!({}))),
            &["spec.containers[name=\"c\"].image"],
        ),
        (
            "an amount that only looks alike",
            pod(container(json!({"resources": {"limits": {"memory": "1G"}}}))),
            pod(container(json!({"resources": {"limits": {"memory": "1Gi"}}}))),
            &["spec.containers[name=\"c\"].resources.limits.memory"],
        ),
        (
            "a label is a text, not an amount",
            object("v1", "ConfigMap", json!({"data": {"cpu": "1"}})),
            object("v1", "ConfigMap", json!({"data": {"cpu": "1000m"}})),
            &["data.cpu"],
        ),
        (
            "an empty text that means something",
            object("v1", "ConfigMap", json!({"data": {"k": ""}})),
            object("v1", "ConfigMap", json!({"data": {"other": "x"}})),
            &["data.k"],
        ),
        (
            "a false that means something",
            pod(
                json!({"containers": [{"name": "c", "image": "i"}], "automountServiceAccountToken": false}),
            ),
            pod(container(json!({}))),
            &["spec.automountServiceAccountToken"],
        ),
        (
            "a port of another protocol",
            service(json!([{"port": 53, "protocol": "UDP"}])),
            service(json!([{"port": 53, "protocol": "TCP"}])),
            &["spec.ports[port=53,protocol=\"UDP\"]"],
        ),
        (
            "a list that is taken whole",
            whole(json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}])),
            whole(json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}])),
            &["rules"],
        ),
        (
            "arguments in another order",
            pod(container(json!({"args": ["a", "b"]}))),
            pod(container(json!({"args": ["b", "a"]}))),
            &["spec.containers[name=\"c\"].args"],
        ),
        (
            "a number is no text",
            service(json!([{"port": 80, "targetPort": 80}])),
            service(json!([{"port": 80, "protocol": "TCP", "targetPort": "80"}])),
            &["spec.ports[port=80,protocol=\"TCP\"].targetPort"],
        ),
        (
            "an empty map of a custom resource stays",
            object("a.example/v1", "Thing", json!({"spec": {"tls": {}}})),
            object("a.example/v1", "Thing", json!({"spec": {"other": 1}})),
            &["spec.tls"],
        ),
        (
            "a selector is taken whole",
            object("v1", "Service", json!({"spec": {"selector": {"a": "1"}}})),
            object("v1", "Service", json!({"spec": {"selector": {"a": "1", "b": "2"}}})),
            &["spec.selector"],
        ),
        (
            "a label",
            json!({"apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "x", "namespace": "default", "labels": {"tier": "a"}}}),
            object("v1", "ConfigMap", json!({})),
            &["metadata.labels.tier"],
        ),
    ];
    for (what, desired, live, expected) in cases {
        assert_eq!(paths(desired, live), *expected, "{what}");
    }
}

/// A live ConfigMap with two keys, and who owns them.
fn owned(entries: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "x", "namespace": "default", "managedFields": entries},
        "data": {"keep": "1", "drop": "2"}})
}

#[test]
fn a_field_that_was_ours_and_is_no_longer_desired_goes() {
    let desired = object("v1", "ConfigMap", json!({"data": {"keep": "1"}}));
    let entry = |manager: &str, operation: &str| {
        json!([{"manager": manager, "operation": operation, "apiVersion": "v1",
            "fieldsV1": {"f:data": {"f:keep": {}, "f:drop": {}}}}])
    };
    assert_eq!(paths(&desired, &owned(entry("tidegate-agent/web", "Apply"))), ["data.drop"]);
    assert_eq!(
        paths(&desired, &owned(entry("kubectl-client-side-apply", "Update"))),
        ["data.drop"]
    );
    assert!(paths(&desired, &owned(entry("controller", "Update"))).is_empty());
    assert!(paths(&desired, &owned(json!([]))).is_empty());
    // Shared with another: it stays.
    let shared = json!([
        {"manager": "tidegate-agent/web", "operation": "Apply", "fieldsV1": {"f:data": {"f:keep": {}, "f:drop": {}}}},
        {"manager": "controller", "operation": "Update", "fieldsV1": {"f:data": {"f:drop": {}}}}]);
    assert!(paths(&desired, &owned(shared)).is_empty());
    // What a person added to an object of ours was never ours: adoption is over.
    let labelled = json!([
        {"manager": "tidegate-agent/web", "operation": "Apply", "fieldsV1": {"f:data": {"f:keep": {}}}},
        {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:data": {"f:drop": {}}}}]);
    assert!(paths(&desired, &owned(labelled)).is_empty());
    // Only what client-side apply wrote down is known.
    let mut copied = owned(json!([]));
    copied["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration":
        json!({"data": {"keep": "1", "drop": "2"}}).to_string()});
    assert_eq!(paths(&desired, &copied), ["data.drop"]);
}

#[test]
fn an_item_of_a_keyed_list_that_was_ours_goes_and_others_stay() {
    let desired = pod(container(json!({"env": [{"name": "A", "value": "1"}]})));
    let mut live =
        pod(container(json!({"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"},
        {"name": "C", "value": "3"}]})));
    live["metadata"]["managedFields"] = json!([{"manager": "tidegate-agent/web", "operation": "Apply",
        "fieldsV1": {"f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:name": {}, "f:env": {
            "k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}},
            "k:{\"name\":\"B\"}": {".": {}, "f:name": {}, "f:value": {}}}}}}}}]);
    assert_eq!(paths(&desired, &live), ["spec.containers[name=\"c\"].env[name=\"B\"]"]);
}

#[test]
fn who_owns_a_field_decides_what_becomes_of_it() {
    let desired = object("apps/v1", "Deployment", json!({"spec": {"replicas": 3, "paused": true}}));
    let owned = |manager: &str, subresource: &str| {
        let mut live =
            object("apps/v1", "Deployment", json!({"spec": {"replicas": 5, "paused": true}}));
        live["metadata"]["managedFields"] = json!([{"manager": manager, "operation": "Update",
            "subresource": subresource, "fieldsV1": {"f:spec": {"f:replicas": {}}}}]);
        compared(&desired, &live).1
    };
    let status = |one: &Value| one["status"].as_str().unwrap().to_owned();
    let scaled = owned("kube-controller-manager", "scale");
    assert_eq!(status(&scaled), "equal");
    assert_eq!(scaled["shared"][0]["path"], json!("spec.replicas"));
    let edited = owned("kubectl-edit", "");
    assert_eq!(status(&edited), "different");
    let other = owned("tidegate-agent/db", "");
    assert_eq!(status(&other), "conflict");
    assert_eq!(other["conflicts"][0]["owners"], json!(["tidegate-agent/db"]));
    assert_eq!(status(&owned("argocd-controller", "")), "conflict");
}

#[test]
fn a_definition_tells_how_lists_merge() {
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.a.example"}, "spec": {"group": "a.example", "scope": "Namespaced",
            "names": {"kind": "Thing"}, "versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"properties": {
                "spec": {"properties": {"hosts": {"type": "array", "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"], "items": {"type": "object"}}}}}}}}]}});
    let thing = |hosts: Value| object("a.example/v1", "Thing", json!({"spec": {"hosts": hosts}}));
    let desired = thing(json!([{"name": "a"}]));
    let live = thing(json!([{"name": "b"}, {"name": "a"}]));
    assert_eq!(paths(&desired, &live), ["spec.hosts"], "without it, taken whole");
    let both = json!([live, definition]);
    assert!(paths(&desired, &both).is_empty());
}

#[test]
fn no_value_of_a_secret_is_shown_and_equal_ones_look_equal() {
    let secret =
        |k: &str, same: &str| object("v1", "Secret", json!({"stringData": {"k": k, "same": same}}));
    let environment =
        |value: &str| pod(container(json!({"env": [{"name": "DB_PASSWORD", "value": value}]})));
    let desk = Desk::new();
    let desired = json!([secret("hunter2hunter2", "stays"), environment("correct-horse")]);
    let live = json!([secret("battery-staple", "stays"), environment("wrong-horse-9")]);
    desk.file("d.json", &desired.to_string());
    desk.file("l.json", &live.to_string());
    for form in ["json", "table"] {
        let arguments = ["agent", "diff", "--desired", "d.json", "--live", "l.json", "-o", form];
        let output = desk.run(&arguments, "");
        let text = String::from_utf8(output.stdout).unwrap();
        for value in ["hunter2", "aHVudGVyM", "battery", "YmF0dGVyeS", "horse"] {
            assert!(!text.contains(value), "{value} in {text}");
        }
        assert!(text.contains("«redacted len=14 hmac="), "{text}");
        assert!(!text.contains("data.same"));
    }
}

#[test]
fn objects_come_from_folders_documents_lists_and_stdin() {
    let desk = Desk::new();
    desk.file("all/a.yaml", "# first\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: \"1\"}\n---\n---\n\
        apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n");
    desk.file(
        "all/deep/c.json",
        r#"{"apiVersion":"v1","kind":"List","items":[
        {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}]}"#,
    );
    desk.file(
        "all/kustomization.yaml",
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n",
    );
    desk.file("all/notes.txt", "not a manifest");
    let live = r#"{"kind":"ConfigMapList","apiVersion":"v1","items":[{"metadata":{"name":"a","namespace":"default"},
        "data":{"k":"1"}}]}"#;
    let (code, document) = desk.json(&["agent", "diff", "--desired", "all", "--live", "-"], live);
    assert_eq!(code, 1);
    let said: Vec<(&str, &str)> = document["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["name"].as_str().unwrap(), one["status"].as_str().unwrap()))
        .collect();
    assert_eq!(said, [("a", "equal"), ("b", "missing"), ("c", "missing")]);
}

#[test]
fn what_cannot_be_read_says_where_and_ends_with_its_own_code() {
    let desk = Desk::new();
    desk.file("bad.yaml", "apiVersion: v1\nkind: [\n");
    desk.file("twice.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  k: secret-one\n  k: secret-two\n");
    desk.file("plain.yaml", "just text\n");
    desk.file("none.json", "");
    let run = |desired: &str| {
        let output = desk.run(&["agent", "diff", "--desired", desired, "--live", "none.json"], "");
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = run("bad.yaml");
    assert!(code == 2 && said.contains("bad.yaml") && said.contains("line"), "{code} {said}");
    let (code, said) = run("twice.yaml");
    assert!(code == 2 && said.contains("line 6") && !said.contains("secret-"), "{code} {said}");
    let (code, said) = run("plain.yaml");
    assert!(code == 2 && said.contains("plain value"), "{code} {said}");
    assert_eq!(run("absent.yaml").0, 5);
    assert_eq!(run("none.json").0, 0, "nothing desired, no difference");
}

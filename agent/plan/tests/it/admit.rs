//! What comes through the door, and what is told when it does not.

use std::collections::BTreeSet;

use model::Reason;
use plan::{AdmitOptions, Content, Desired, admit};
use serde_json::{Value, json};

use super::world::{Kinds, app, content, desired, key, options};

/// All faults, as people read them.
fn faults(objects: impl IntoIterator<Item = Value>) -> Vec<String> {
    faults_with(objects, &options())
}

fn faults_with(objects: impl IntoIterator<Item = Value>, options: &AdmitOptions) -> Vec<String> {
    let contents: Vec<Content> = objects.into_iter().map(content).collect();
    match admit(&app(), contents, &Kinds, options) {
        Ok(desired) => panic!("admitted {desired:?}"),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

fn config(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}})
}

fn deployment(pod: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"template": {"spec": pod}}})
}

fn body<'a>(desired: &'a Desired, id: &str) -> &'a Value {
    &desired.get(&key(id)).unwrap().body
}

#[test]
fn what_the_server_owns_comes_off_and_our_marks_go_on() {
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "c", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 3,
            "creationTimestamp": null, "managedFields": [], "selfLink": "/x",
            "labels": {"tidegate.dev/app": "somebody"},
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"}
        },
        "data": {"k": "v", "gone": null},
        "status": {"x": 1}
    });
    let expected = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "c", "namespace": "shop",
            "labels": {"tidegate.dev/app": "web"},
            "annotations": {"a": "b", "tidegate.dev/id": "/ConfigMap/shop/c"}
        },
        "data": {"k": "v"}
    });
    assert_eq!(body(&desired([object]), "/ConfigMap/shop/c"), &expected);
}

#[test]
fn the_uid_goes_into_the_body_only_when_asked() {
    let set = desired([config("c")]);
    let object = set.get(&key("/ConfigMap/shop/c")).unwrap();
    assert_eq!(object.body_for(Some("u"))["metadata"]["uid"], json!("u"));
    assert_eq!(object.body_for(None), object.body);
}

#[test]
fn what_sops_encrypted_and_nobody_opened_is_refused_in_words_and_a_kind_for_an_operator_passes() {
    let sops = json!({"mac": "ENC[AES256_GCM,data:m,type:str]", "version": "3.9.0"});
    for field in ["data", "stringData"] {
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "shop"},
            "sops": sops});
        secret[field] = json!({"password": "ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]"});
        let told = faults([secret]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("Secret shop/s: `sops`: the object is encrypted with SOPS"),
            "{told:?}"
        );
    }
    for (kind, refused) in [("SopsSecret", 0), ("Widget", 1)] {
        let object = json!({"apiVersion": "example.com/v1", "kind": kind,
            "metadata": {"name": "s", "namespace": "shop"}, "sops": sops});
        let admitted = admit(&app(), vec![content(object)], &Kinds, &options());
        assert_eq!(admitted.err().unwrap_or_default().len(), refused, "{kind}");
    }
    let own = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"},
        "data": {"sops": "a word like any other"}});
    desired([own]);
}

#[test]
fn string_data_becomes_data_and_wins() {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
        "data": {"a": "eA==", "b": "eA=="}, "stringData": {"b": "yy"}});
    let set = desired([secret]);
    let body = body(&set, "/Secret/shop/s");
    assert_eq!(body["data"], json!({"a": "eA==", "b": "eXk="}));
    assert_eq!(body.get("stringData"), None);
}

#[test]
fn ports_get_the_protocol_that_is_part_of_their_key() {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}]}});
    let web = deployment(json!({"containers": [{"name": "a", "ports": [{"containerPort": 80}]}]}));
    let set = desired([service, web]);
    assert_eq!(body(&set, "/Service/shop/s")["spec"]["ports"][1]["protocol"], json!("TCP"));
    let port = body(&set, "apps/Deployment/shop/web")
        .pointer("/spec/template/spec/containers/0/ports/0/protocol");
    assert_eq!(port, Some(&json!("TCP")));
}

#[test]
fn a_ca_bundle_that_is_no_certificate_is_left_for_its_injector() {
    let crd = |bundle: &str| {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "things.a.example"},
            "spec": {"group": "a.example", "scope": "Namespaced", "names": {"kind": "Thing"},
                "conversion": {"webhook": {"clientConfig": {"caBundle": bundle}}}}})
    };
    let pem = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkEKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=";
    for (bundle, kept) in [("Cg==", false), ("not base64!", false), (pem, true)] {
        let set = desired([crd(bundle)]);
        let id = "apiextensions.k8s.io/CustomResourceDefinition//things.a.example";
        let client = body(&set, id).pointer("/spec/conversion/webhook/clientConfig").unwrap();
        assert_eq!(client.get("caBundle").is_some(), kept, "{bundle}");
    }
}

#[test]
fn lists_are_opened_and_their_members_named_by_path() {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [config("a"), config("b")]});
    assert_eq!(desired([list]).objects().len(), 2);
    let bad = json!({"apiVersion": "v1", "kind": "List", "items": [config("a"),
        {"apiVersion": "v1", "kind": "ConfigMapList", "items": [{"apiVersion": "v1", "kind": "ConfigMap"}]}]});
    assert_eq!(
        faults([config("x"), bad]),
        ["object 1: `items[1].items[0].metadata.name`: missing, empty, or no text"]
    );
}

#[test]
fn every_error_is_told_at_once() {
    let objects = [
        json!({"kind": "ConfigMap", "metadata": {"name": "a"}}),
        json!({"apiVersion": "v1", "metadata": {}}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "p-"}}),
        json!("text"),
        json!({"apiVersion": "a/b/c", "kind": "X", "metadata": {"name": "a/b"}}),
    ];
    assert_eq!(
        faults(objects),
        [
            "object 0: `apiVersion`: missing, empty, or no text",
            "object 1: `kind`: missing, empty, or no text",
            "object 1: `metadata.name`: missing, empty, or no text",
            "object 2: `metadata.generateName`: a generated name is another object at each apply; give `metadata.name`",
            "object 3: is not an object",
            "object 4: `apiVersion`: expected `version` or `group/version`",
            "object 4: `metadata.name`: may not contain `/` or `%`",
        ]
    );
}

#[test]
fn an_object_may_stand_once_whatever_its_version_or_old_group() {
    let ingress = |api_version: &str| json!({"apiVersion": api_version, "kind": "Ingress", "metadata": {"name": "i", "namespace": "shop"}});
    let twice = faults([
        config("a"),
        config("a"),
        ingress("networking.k8s.io/v1"),
        ingress("networking.k8s.io/v1beta1"),
        ingress("extensions/v1beta1"),
    ]);
    assert_eq!(
        twice,
        [
            "ConfigMap shop/a: `metadata.name`: stands already at object 0; keep one",
            "Ingress shop/i: `metadata.name`: stands already at object 2; keep one",
            "Ingress shop/i: `metadata.name`: stands already at object 2 under another API group; keep one",
        ]
    );
}

#[test]
fn a_namespace_is_given_taken_away_or_asked_for() {
    let bare = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}});
    assert!(desired([bare.clone()]).get(&key("/ConfigMap/shop/c")).is_some());
    let none = AdmitOptions { default_namespace: None, ..options() };
    assert_eq!(
        faults_with([bare], &none),
        ["object 0: `metadata.namespace`: missing, and the App has no default namespace; name one",]
    );
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "r", "namespace": "shop"}});
    let set = desired([role]);
    let role = set.get(&key("rbac.authorization.k8s.io/ClusterRole//r")).unwrap();
    assert_eq!(role.body.pointer("/metadata/namespace"), None);
    assert_eq!(set.notes(), ["ClusterRole r: namespace `shop` dropped, the kind has none"]);
}

#[test]
fn a_definition_in_the_set_tells_the_scope_of_its_kind() {
    let crd = |scope: &str| {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "things.a.example"},
            "spec": {"group": "a.example", "scope": scope, "names": {"kind": "Thing"}}})
    };
    let thing = json!({"apiVersion": "a.example/v1", "kind": "Thing", "metadata": {"name": "t"}});
    let set = desired([thing.clone(), crd("Namespaced")]);
    assert!(set.get(&key("a.example/Thing/shop/t")).is_some());
    let set = desired([thing.clone(), crd("Cluster")]);
    assert!(set.get(&key("a.example/Thing//t")).is_some());
    // Nobody knows the kind: it is applied as it stands, and fails alone if it must.
    assert!(desired([thing]).get(&key("a.example/Thing//t")).is_some());
}

#[test]
fn limits_are_told_with_sizes() {
    let mut long = config("a");
    long["metadata"]["labels"] = json!({"app.example/x": "y".repeat(64), "bad": "a b", "n": 5});
    let mut notes = config("b");
    notes["metadata"]["annotations"] = json!({"k": "x".repeat(262_144)});
    let mut big = config("c");
    big["data"] = json!({"k": "x".repeat(1_048_577)});
    let huge = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "shop"},
        "spec": {"x": "y".repeat(1_500_000)}});
    assert_eq!(
        faults([long, notes, big, huge]),
        [
            "ConfigMap shop/a: `metadata.labels.bad`: a label value has letters, digits, `-`, `_` and `.`, and begins and ends with a letter or digit",
            "ConfigMap shop/a: `metadata.labels.n`: is a number, not text; quote it",
            "ConfigMap shop/a: `metadata.labels[\"app.example/x\"]`: 64 bytes; a label value has at most 63",
            "ConfigMap shop/b: `metadata.annotations`: 262145 bytes in all; at most 262144",
            "ConfigMap shop/c: `data`: 1048577 bytes in all; at most 1048576",
            "Deployment shop/d: 1500103 bytes; at most 1468006",
        ]
    );
}

#[test]
fn duplicate_list_keys_are_found_with_their_path() {
    let pod = json!({
        "volumes": [{"name": "v"}, {"name": "v"}],
        "containers": [
            {"name": "a", "env": [{"name": "X", "value": "1"}, {"name": "Y"}, {"name": "X", "value": "2"}],
             "ports": [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53}, {"containerPort": 53, "protocol": "TCP"}],
             "volumeMounts": [{"mountPath": "/a", "name": "v"}, {"mountPath": "/a", "name": "w"}]},
            {"name": "a"}
        ]
    });
    let base = "spec.template.spec";
    let found = faults([deployment(pod)]);
    let expected = [
        format!(
            "`{base}.containers[0].env[2].name`: name \"X\" stands already at {base}.containers[0].env[0]; keep one"
        ),
        format!(
            "`{base}.containers[0].ports[2].containerPort`: containerPort 53, protocol \"TCP\" stands already at {base}.containers[0].ports[1]; keep one"
        ),
        format!(
            "`{base}.containers[0].volumeMounts[1].mountPath`: mountPath \"/a\" stands already at {base}.containers[0].volumeMounts[0]; keep one"
        ),
        format!(
            "`{base}.containers[1].name`: name \"a\" stands already at {base}.containers[0]; keep one"
        ),
        format!(
            "`{base}.volumes[1].name`: name \"v\" stands already at {base}.volumes[0]; keep one"
        ),
    ];
    let expected: Vec<String> =
        expected.iter().map(|e| format!("Deployment shop/web: {e}")).collect();
    assert_eq!(found, expected);
    let contents = vec![content(deployment(json!({"volumes": [{"name": "v"}, {"name": "v"}]})))];
    let fault = admit(&app(), contents, &Kinds, &options()).unwrap_err().remove(0);
    assert_eq!(fault.reason, Reason::SchemaRejected);
}

#[test]
fn the_agent_itself_is_out_of_reach() {
    let mut options = AdmitOptions { agent_namespace: Some("tidegate".to_owned()), ..options() };
    options.agent_objects.insert(key("rbac.authorization.k8s.io/ClusterRole//tidegate-agent"));
    let mut inside = config("c");
    inside["metadata"]["namespace"] = json!("tidegate");
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tidegate"}});
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "tidegate-agent"}});
    assert_eq!(
        faults_with([inside, namespace, role], &options),
        [
            "object 0: `metadata.namespace`: belongs to the agent itself; no App may touch it",
            "object 1: `metadata.name`: belongs to the agent itself; no App may touch it",
            "object 2: `metadata.name`: belongs to the agent itself; no App may touch it",
        ]
    );
}

#[test]
fn an_app_may_be_kept_to_some_kinds() {
    let kinds = Some(BTreeSet::from(["/ConfigMap".to_owned()]));
    let options = AdmitOptions { kinds, ..options() };
    let told = faults_with([config("a"), deployment(json!({}))], &options);
    assert_eq!(told, ["object 1: `kind`: `apps/Deployment` is not among the kinds of this App"]);
}

fn with_annotation(name: &str, value: &str, mut object: Value) -> Value {
    object["metadata"]["annotations"][name] = json!(value);
    object
}

#[test]
fn a_ring_of_dependencies_is_told_with_all_its_members() {
    let a = with_annotation("tidegate.dev/depends-on", "/namespaces/shop/ConfigMap/b", config("a"));
    let b = with_annotation("tidegate.dev/depends-on", "/namespaces/shop/ConfigMap/c", config("b"));
    let c = with_annotation(
        "config.kubernetes.io/depends-on",
        "/namespaces/shop/ConfigMap/a",
        config("c"),
    );
    let told = faults([a, b, c, config("d")]);
    assert_eq!(told.len(), 3);
    assert!(told[0].contains("ConfigMap shop/a → ConfigMap shop/b → ConfigMap shop/c"), "{told:?}");
}

#[test]
fn dependencies_and_waves_that_cannot_be_read_or_found_are_told() {
    let lost = with_annotation(
        "tidegate.dev/depends-on",
        "/namespaces/shop/ConfigMap/x, shop/c",
        config("a"),
    );
    let odd = with_annotation("tidegate.dev/wave", "soon", config("b"));
    assert_eq!(
        faults([lost, odd]),
        [
            "ConfigMap shop/a: `metadata.annotations[\"tidegate.dev/depends-on\"]`: ConfigMap shop/x is not in this App",
            "ConfigMap shop/a: `metadata.annotations[\"tidegate.dev/depends-on\"]`: `shop/c` is no reference: expected `group/namespaces/namespace/Kind/name` or `group/Kind/name`",
            "ConfigMap shop/b: `metadata.annotations[\"tidegate.dev/wave\"]`: is not a whole number in quotes, such as \"-1\"",
        ]
    );
}

#[test]
fn the_order_of_kinds_is_the_order_of_applying() {
    let object = |api_version: &str, kind: &str| json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": kind.to_lowercase()}});
    let rbac = "rbac.authorization.k8s.io/v1";
    let set = desired([
        object("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
        object("a.example/v1", "Thing"),
        object("serving.knative.dev/v1", "Service"),
        object("apps/v1", "Deployment"),
        object("v1", "Service"),
        object("v1", "Secret"),
        object("networking.k8s.io/v1", "NetworkPolicy"),
        object(rbac, "RoleBinding"),
        object(rbac, "Role"),
        object(rbac, "ClusterRoleBinding"),
        object(rbac, "ClusterRole"),
        object("v1", "Namespace"),
    ]);
    let mut order: Vec<_> = set.objects().values().collect();
    order.sort_by_key(|o| o.position);
    let names: Vec<String> =
        order.iter().map(|o| o.key.id().split('/').take(2).collect::<Vec<_>>().join("/")).collect();
    assert_eq!(
        names,
        [
            "/Namespace",
            "rbac.authorization.k8s.io/ClusterRole",
            "rbac.authorization.k8s.io/ClusterRoleBinding",
            "rbac.authorization.k8s.io/Role",
            "rbac.authorization.k8s.io/RoleBinding",
            "networking.k8s.io/NetworkPolicy",
            "/Secret",
            "/Service",
            "apps/Deployment",
            "a.example/Thing",
            "serving.knative.dev/Service",
            "admissionregistration.k8s.io/ValidatingWebhookConfiguration",
        ]
    );
}

#[test]
fn a_named_dependency_outranks_kind_and_wave_and_is_noted() {
    let early = with_annotation(
        "tidegate.dev/depends-on",
        "apps/namespaces/shop/Deployment/web",
        config("a"),
    );
    let late = with_annotation("tidegate.dev/wave", "2", deployment(json!({})));
    let set = desired([early, late]);
    let config = set.get(&key("/ConfigMap/shop/a")).unwrap();
    let web = set.get(&key("apps/Deployment/shop/web")).unwrap();
    assert!(config.position > web.position);
    assert_eq!(set.notes().len(), 1);
    assert!(set.notes()[0].starts_with("ConfigMap shop/a waits for Deployment shop/web"));
}

#[test]
fn the_same_content_has_the_same_fingerprint_and_another_key_another() {
    let print = |options: &AdmitOptions, object: Value| {
        let set = admit(&app(), vec![content(object)], &Kinds, options).unwrap();
        set.objects().values().next().unwrap().fingerprint
    };
    let mut changed = config("a");
    changed["data"] = json!({"k": "v"});
    let other = AdmitOptions { key: plan::Key::new([8; 32]), ..options() };
    assert_eq!(print(&options(), config("a")), print(&options(), config("a")));
    assert_ne!(print(&options(), config("a")), print(&options(), changed));
    assert_ne!(print(&options(), config("a")), print(&other, config("a")));
}

#[test]
fn nesting_has_a_bottom() {
    let mut deep = json!("x");
    for _ in 0..100 {
        deep = json!({"a": deep});
    }
    let mut object = config("a");
    object["data"] = deep;
    assert_eq!(faults([object]), ["object 0: nested deeper than 96 levels"]);
}

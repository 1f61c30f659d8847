//! `tidegate agent plan`: what is applied, deleted and kept, in which order, and why.

#![expect(clippy::items_after_statements, reason = "a type for one table")]

use serde_json::{Value, json};

use super::desk::Desk;
use super::held;

/// A live object of ours.
fn ours(api_version: &str, kind: &str, namespace: &str, name: &str) -> Value {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name,
        "uid": format!("uid-{name}"), "resourceVersion": "1", "labels": {"tidegate.dev/app": "web"},
        "annotations": {"tidegate.dev/id": format!("{group}/{kind}/{namespace}/{name}")}}});
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = json!(namespace);
    }
    object
}

fn config(name: &str) -> Value {
    ours("v1", "ConfigMap", "shop", name)
}

/// The same object as its author writes it.
fn wanted(live: &Value) -> Value {
    let meta = &live["metadata"];
    let mut object = live.clone();
    object["metadata"] = json!({"name": meta["name"]});
    if let Some(namespace) = meta.get("namespace") {
        object["metadata"]["namespace"] = namespace.clone();
    }
    object
}

/// The inventory that names these.
fn inventory(objects: &[Value]) -> Value {
    let entries: Vec<Value> = objects
        .iter()
        .map(|object| {
            let meta = &object["metadata"];
            json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "name": meta["name"],
            "namespace": meta.get("namespace").cloned().unwrap_or_default(), "uid": meta["uid"]})
        })
        .collect();
    json!({"app": "web", "entries": entries})
}

fn planned_with(
    desired: &[Value],
    live: &[Value],
    inventory: &Value,
    more: &[&str],
) -> (i32, Value) {
    let desk = Desk::new();
    desk.file(
        "desired/all.json",
        &json!({"apiVersion": "v1", "kind": "List", "items": desired}).to_string(),
    );
    desk.file("live.json", &json!({"apiVersion": "v1", "kind": "List", "items": live}).to_string());
    desk.file("inventory.json", &inventory.to_string());
    let arguments = [
        "agent",
        "plan",
        "--desired",
        "desired",
        "--live",
        "live.json",
        "--inventory",
        "inventory.json",
    ];
    let arguments: Vec<&str> = arguments.iter().chain(more).copied().collect();
    desk.json(&arguments, "")
}

fn planned(desired: &[Value], live: &[Value], inventory: &Value) -> Value {
    planned_with(desired, live, inventory, &[]).1
}

/// `(action, message)` of one object.
fn row<'a>(document: &'a Value, id: &str) -> &'a Value {
    document["objects"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["id"] == json!(id))
        .unwrap_or_else(|| panic!("{id} is not in {document:#}"))
}

fn action<'a>(document: &'a Value, id: &str) -> &'a str {
    row(document, id)["action"].as_str().unwrap()
}

const OLD: &str = "/ConfigMap/shop/old";

/// What becomes of `old`, which is no longer desired, after `change` to what is live.
fn dropped(change: impl FnOnce(&mut Value)) -> Value {
    let (mut old, stays) = (config("old"), config("stays"));
    let known = inventory(&[old.clone(), stays.clone()]);
    change(&mut old);
    planned(&[wanted(&stays)], &[old, stays], &known)
}

#[test]
fn a_first_plan_creates_in_order_and_the_next_changes_nothing() {
    let namespace = ours("v1", "Namespace", "", "shop");
    let deployment = ours("apps/v1", "Deployment", "shop", "web");
    let all = [deployment, config("c"), namespace];
    let desired: Vec<Value> = all.iter().map(wanted).collect();
    let (code, first) = planned_with(&desired, &[], &json!([]), &["--app", "web"]);
    assert_eq!((code, &first["allowed"]), (0, &json!(true)));
    assert_eq!(
        first["apply"],
        json!(["/Namespace//shop", "/ConfigMap/shop/c", "apps/Deployment/shop/web"])
    );
    assert_eq!(
        row(&first, "/ConfigMap/shop/c")["needs"][0],
        json!({"id": "/Namespace//shop", "until": "namespace active"})
    );
    let (code, next) = planned_with(&desired, &all, &inventory(&all), &[]);
    assert_eq!(
        (code, next["unchanged"].as_array().unwrap().len(), &next["apply"]),
        (0, 3, &json!([]))
    );
}

#[test]
fn an_object_with_all_three_proofs_is_deleted_and_one_without_is_not() {
    let document = dropped(|_| {});
    assert_eq!(document["delete"], json!([OLD]));
    assert_eq!(row(&document, OLD)["uid"], json!("uid-old"));
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 6] = [
        ("forget", |o| o["metadata"]["uid"] = json!("another")),
        ("forget", |o| o["metadata"]["labels"] = json!({})),
        ("forget", |o| o["metadata"]["labels"] = json!({"tidegate.dev/app": "db"})),
        ("forget", |o| {
            o["metadata"]["annotations"] = json!({"tidegate.dev/id": "/ConfigMap/shop/parent"});
        }),
        ("forget", |o| {
            o["metadata"] = json!({"name": "old", "namespace": "shop", "uid": "uid-old"});
        }),
        ("forget", |o| drop(o["metadata"].as_object_mut().unwrap().remove("uid"))),
    ];
    for (expected, change) in cases {
        let document = dropped(change);
        assert_eq!(
            (action(&document, OLD), &document["delete"]),
            (expected, &json!([])),
            "{document:#}"
        );
        assert_eq!(document["keep"], json!([OLD]));
    }
}

#[test]
fn without_an_inventory_nothing_is_ours_and_nothing_is_deleted() {
    let desk = Desk::new();
    desk.file("d.json", &wanted(&config("stays")).to_string());
    desk.file("l.json", &json!([config("old"), config("stays")]).to_string());
    let arguments = ["agent", "plan", "--app", "web", "--desired", "d.json", "--live", "l.json"];
    let (code, document) = desk.json(&arguments, "");
    assert_eq!((code, &document["delete"]), (0, &json!([])));
    assert!(document["objects"].as_array().unwrap().iter().all(|row| row["id"] != json!(OLD)));
}

#[test]
fn what_asks_to_stay_is_let_go() {
    for (name, value) in [
        ("tidegate.dev/prune", "disabled"),
        ("helm.sh/resource-policy", "keep"),
        ("client.lifecycle.config.k8s.io/deletion", "detach"),
        ("cli-utils.sigs.k8s.io/on-remove", "keep"),
        ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
        ("kustomize.toolkit.fluxcd.io/reconcile", "disabled"),
        ("argocd.argoproj.io/sync-options", "Prune=false"),
    ] {
        let document = dropped(|o| o["metadata"]["annotations"][name] = json!(value));
        assert_eq!((action(&document, OLD), &document["delete"]), ("detach", &json!([])), "{name}");
    }
    let asks = dropped(|o| o["metadata"]["annotations"]["tidegate.dev/prune"] = json!("confirm"));
    assert_eq!(action(&asks, OLD), "keep");
    let owned =
        dropped(|o| o["metadata"]["ownerReferences"] = json!([{"uid": "stranger", "name": "x"}]));
    assert_eq!(action(&owned, OLD), "detach");
    let leaving = dropped(|o| {
        o["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        o["metadata"]["finalizers"] = json!(["a.b/c"]);
    });
    assert_eq!(
        (action(&leaving, OLD), &row(&leaving, OLD)["finalizers"]),
        ("wait", &json!(["a.b/c"]))
    );
}

#[test]
fn a_namespace_goes_only_when_nothing_of_others_is_in_it() {
    let (namespace, inside) = (ours("v1", "Namespace", "", "shop"), config("c"));
    let stays = ours("v1", "ConfigMap", "other", "stays");
    let known = inventory(&[namespace.clone(), inside.clone(), stays.clone()]);
    let desired = [wanted(&stays)];
    let live =
        |more: &[Value]| [&[namespace.clone(), inside.clone(), stays.clone()], more].concat();
    let empty = planned_with(&desired, &live(&[]), &known, &["--allow", "NamespaceWipe"]).1;
    assert_eq!(empty["delete"], json!(["/ConfigMap/shop/c", "/Namespace//shop"]), "{empty:#}");
    let foreign = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "shop", "uid": "f"}});
    let held = planned_with(&desired, &live(&[foreign]), &known, &["--allow", "NamespaceWipe"]).1;
    assert_eq!(held["delete"], json!(["/ConfigMap/shop/c"]));
    let kept = row(&held, "/Namespace//shop");
    assert_eq!((&kept["action"], &kept["would"]), (&json!("keep"), &json!("delete")));
    assert!(kept["message"].as_str().unwrap().contains("PersistentVolumeClaim shop/data"));
    let gated = planned(&desired, &live(&[]), &known);
    assert_eq!((&gated["allowed"], &gated["delete"]), (&json!(false), &json!([])));
}

#[test]
fn a_definition_goes_after_its_instances_and_never_with_those_of_others() {
    let mut definition =
        ours("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "things.a.example");
    definition["spec"] =
        json!({"group": "a.example", "scope": "Namespaced", "names": {"kind": "Thing"}});
    let thing = ours("a.example/v1", "Thing", "shop", "mine");
    let stays = config("stays");
    let known = inventory(&[definition.clone(), thing.clone(), stays.clone()]);
    let live = [definition.clone(), thing.clone(), stays.clone()];
    let gone = planned(&[wanted(&stays)], &live, &known);
    let definition_id = "apiextensions.k8s.io/CustomResourceDefinition//things.a.example";
    assert_eq!(gone["delete"], json!(["a.example/Thing/shop/mine", definition_id]));
    let theirs = json!({"apiVersion": "a.example/v1", "kind": "Thing", "metadata": {"name": "t", "namespace": "x", "uid": "t"}});
    let live = [&live[..], &[theirs]].concat();
    let held = planned(&[wanted(&stays)], &live, &known);
    assert_eq!(
        (action(&held, definition_id), &held["delete"]),
        ("keep", &json!(["a.example/Thing/shop/mine"]))
    );
}

#[test]
fn what_stays_keeps_what_it_needs() {
    let (namespace, stays) =
        (ours("v1", "Namespace", "", "shop"), ours("v1", "ConfigMap", "other", "stays"));
    let known = inventory(&[namespace.clone(), stays.clone()]);
    let desired = [wanted(&stays), wanted(&config("new"))];
    let more = ["--allow", "NamespaceWipe"];
    let (_, made) = planned_with(&desired, &[namespace, stays.clone()], &known, &more);
    assert_eq!((&made["delete"], action(&made, "/Namespace//shop")), (&json!([]), "keep"));
    assert!(row(&made, "/Namespace//shop")["message"].as_str().unwrap().contains("shop/new"));
    let mut definition =
        ours("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "things.a.example");
    definition["spec"] =
        json!({"group": "a.example", "scope": "Namespaced", "names": {"kind": "Thing"}});
    let thing = ours("a.example/v1", "Thing", "shop", "new");
    let known = inventory(std::slice::from_ref(&definition));
    let made = planned(&[wanted(&thing)], &[definition], &known);
    let id = "apiextensions.k8s.io/CustomResourceDefinition//things.a.example";
    assert_eq!((&made["delete"], action(&made, id)), (&json!([]), "keep"), "{made:#}");
    let (mut a, b) = (config("a"), config("b"));
    for (name, value, expected) in [
        ("tidegate.dev/prune", "disabled", "detach"),
        ("tidegate.dev/prune", "confirm", "keep"),
        ("x", "y", "delete"),
    ] {
        a["metadata"]["annotations"][name] = json!(value);
        let live = [a.clone(), b.clone(), config("stays")];
        let mut known = inventory(&live);
        known["entries"][0]["dependsOn"] = json!(["/ConfigMap/shop/b"]);
        let made = planned(&[wanted(&live[2])], &live, &known);
        let b = action(&made, "/ConfigMap/shop/b");
        assert_eq!((action(&made, "/ConfigMap/shop/a"), b), (expected, expected), "{made:#}");
        a["metadata"]["annotations"].as_object_mut().unwrap().remove(name);
    }
}

#[test]
fn a_job_that_ran_to_its_end_and_was_cleaned_up_is_not_made_again() {
    let job = ours("batch/v1", "Job", "shop", "j");
    let mut known = inventory(std::slice::from_ref(&job));
    let again = planned(&[wanted(&job)], &[], &known);
    assert_eq!(action(&again, "batch/Job/shop/j"), "create");
    known["entries"][0]["finished"] = json!(true);
    let done = planned(&[wanted(&job)], &[], &known);
    assert_eq!(action(&done, "batch/Job/shop/j"), "unchanged", "{done:#}");
}

#[test]
fn what_only_serves_local_tools_is_no_part_of_the_set() {
    let (mut local, stays) = (wanted(&config("local")), config("stays"));
    local["metadata"]["annotations"] = json!({"config.kubernetes.io/local-config": "true"});
    let known = inventory(std::slice::from_ref(&stays));
    let live = [stays.clone()];
    let made = planned(&[local.clone(), wanted(&stays)], &live, &known);
    assert_eq!(
        (&made["apply"], &made["unchanged"]),
        (&json!([]), &json!(["/ConfigMap/shop/stays"]))
    );
    assert!(made["notes"][0].as_str().unwrap().contains("ConfigMap local"), "{made:#}");
    local["metadata"]["annotations"] = json!({"config.kubernetes.io/local-config": "false"});
    let made = planned(&[local, wanted(&stays)], &live, &known);
    assert_eq!(made["apply"], json!(["/ConfigMap/shop/local"]));
}

#[test]
fn gates_hold_everything_back_and_a_person_opens_one() {
    let all: Vec<Value> = (0..20).map(|n| config(&format!("c-{n:02}"))).collect();
    let known = inventory(&all);
    let (code, none) = planned_with(&[], &all, &known, &[]);
    assert_eq!((code, &none["allowed"], &none["delete"]), (1, &json!(false), &json!([])));
    assert_eq!(none["blocked"][0]["gate"], json!("EmptySet"));
    assert_eq!(row(&none, "/ConfigMap/shop/c-00")["would"], json!("delete"));
    let (code, opened) = planned_with(&[], &all, &known, &["--allow", "EmptySet"]);
    assert_eq!((code, opened["delete"].as_array().unwrap().len()), (0, 20));
    let (_, orphaned) = planned_with(&[], &all, &known, &["--orphan"]);
    assert_eq!(
        (&orphaned["delete"], action(&orphaned, "/ConfigMap/shop/c-00")),
        (&json!([]), "detach")
    );
    let few: Vec<Value> = all.iter().take(8).map(wanted).collect();
    let (code, mass) = planned_with(&few, &all, &known, &[]);
    assert_eq!((code, &mass["blocked"][0]["gate"]), (1, &json!("MassPrune")));
    assert_eq!(planned_with(&few, &all, &known, &["--mass-percent", "60"]).0, 0);
    assert_eq!(planned_with(&few, &all, &known, &["--allow", "EmptySet"]).0, 1, "another gate");
}

#[test]
fn everything_wrong_with_a_set_is_told_at_once_and_nothing_is_planned() {
    let desk = Desk::new();
    desk.file("d/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: a-}\n---\n\
        apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, annotations: {tidegate.dev/depends-on: /namespaces/default/ConfigMap/c}}\n---\n\
        apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, annotations: {tidegate.dev/depends-on: /namespaces/default/ConfigMap/b}}\n");
    desk.file("d/b.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80}, {port: 80}, {port: 80, protocol: UDP}]}\n---\n\
        apiVersion: v1\nkind: Service\nmetadata: {name: s}\n---\nkind: ConfigMap\nmetadata: {name: x}\n");
    desk.file("l.json", "");
    let (code, document) = desk.json(&["agent", "plan", "--desired", "d", "--live", "l.json"], "");
    assert_eq!((code, &document["allowed"], &document["objects"]), (1, &json!(false), &json!([])));
    let faults: Vec<String> = document["faults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| format!("{} {}", f["place"].as_str().unwrap(), f["path"].as_str().unwrap()))
        .collect();
    assert_eq!(
        faults,
        [
            "d/a.yaml:1 metadata.generateName",
            "d/a.yaml:5 metadata.annotations[\"tidegate.dev/depends-on\"]",
            "d/a.yaml:9 metadata.annotations[\"tidegate.dev/depends-on\"]",
            "d/b.yaml:1 spec.ports[1].port",
            "d/b.yaml:6 metadata.name",
            "d/b.yaml:10 apiVersion",
        ]
    );
}

#[test]
fn a_field_that_cannot_change_is_refused_or_replaced_on_purpose() {
    let mut live = ours("batch/v1", "Job", "shop", "j");
    live["spec"] = json!({"template": {"spec": {"containers": [{"name": "c", "image": "old"}]}}});
    let mut desired = wanted(&live);
    desired["spec"]["template"]["spec"]["containers"][0]["image"] = json!("new");
    let (id, known) = ("batch/Job/shop/j", inventory(std::slice::from_ref(&live)));
    let (code, refused) = planned_with(&[desired.clone()], &[live.clone()], &known, &[]);
    assert_eq!((code, action(&refused, id), &refused["apply"]), (1, "refused", &json!([])));
    assert_eq!(row(&refused, id)["code"], json!("APL-313"));
    let (code, replaced) =
        planned_with(&[desired.clone()], &[live.clone()], &known, &["--recreate"]);
    assert_eq!((code, action(&replaced, id)), (0, "recreate"));
    desired["metadata"]["annotations"] = json!({"tidegate.dev/recreate": "true"});
    assert_eq!(action(&planned(&[desired], &[live], &known), id), "recreate");
    let mut claim = ours("v1", "PersistentVolumeClaim", "shop", "data");
    let asks = |amount: &str| json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": amount}}});
    claim["spec"] = asks("2Gi");
    for (amount, expected) in [("1Gi", "refused"), ("2048Mi", "unchanged"), ("3Gi", "update")] {
        let mut changed = wanted(&claim);
        changed["spec"] = asks(amount);
        let known = inventory(std::slice::from_ref(&claim));
        let made = planned(&[changed], std::slice::from_ref(&claim), &known);
        assert_eq!(action(&made, "/PersistentVolumeClaim/shop/data"), expected, "{amount}");
    }
    claim["spec"] = json!({"accessModes": ["ReadWriteOnce"]});
    let mut changed = wanted(&claim);
    changed["spec"]["accessModes"] = json!(["ReadWriteMany"]);
    let known = inventory(std::slice::from_ref(&claim));
    let (_, kept) = planned_with(&[changed], &[claim], &known, &["--recreate"]);
    assert_eq!(action(&kept, "/PersistentVolumeClaim/shop/data"), "refused");
}

#[test]
fn objects_of_others_are_left_alone() {
    let mut theirs = config("c");
    theirs["metadata"]["labels"] = json!({"tidegate.dev/app": "db"});
    let (code, document) =
        planned_with(&[wanted(&theirs)], &[theirs], &json!([]), &["--app", "web"]);
    assert_eq!((code, action(&document, "/ConfigMap/shop/c")), (1, "conflict"));
    assert_eq!(row(&document, "/ConfigMap/shop/c")["reason"], json!("OwnedByAnotherApp"));
    let nobodys = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop", "uid": "n"}});
    let how = |adopt: &str| {
        let more = ["--app", "web", "--adopt", adopt];
        let (_, document) =
            planned_with(&[wanted(&nobodys)], std::slice::from_ref(&nobodys), &json!([]), &more);
        action(&document, "/ConfigMap/shop/c").to_owned()
    };
    assert_eq!(how("if-unowned"), "adopt");
    assert_eq!(how("if-identical"), "adopt");
    assert_eq!(how("never"), "conflict");
    let mut helm = nobodys.clone();
    helm["metadata"]["managedFields"] =
        json!([{"manager": "helm", "operation": "Update", "fieldsV1": {}}]);
    let (_, document) = planned_with(&[wanted(&helm)], &[helm], &json!([]), &["--app", "web"]);
    assert_eq!(action(&document, "/ConfigMap/shop/c"), "conflict");
}

#[test]
fn what_another_tool_marks_as_its_own_is_adopted_only_on_purpose() {
    for (map, name, value) in [
        ("annotations", "meta.helm.sh/release-name", "shop"),
        ("annotations", "argocd.argoproj.io/tracking-id", "shop:/ConfigMap:shop/c"),
        ("annotations", "config.k8s.io/owning-inventory", "some-id"),
        ("labels", "argocd.argoproj.io/instance", "shop"),
        ("labels", "kustomize.toolkit.fluxcd.io/name", "shop"),
        ("labels", "helm.toolkit.fluxcd.io/name", "shop"),
        ("labels", "applyset.kubernetes.io/part-of", "applyset-x-v1"),
    ] {
        let mut theirs = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "c", "namespace": "shop", "uid": "n"}});
        let desired = wanted(&theirs);
        theirs["metadata"][map] = json!({name: value});
        let how = |desired: &Value, adopt: &str| {
            let more = ["--app", "web", "--adopt", adopt];
            let live = std::slice::from_ref(&theirs);
            planned_with(std::slice::from_ref(desired), live, &json!([]), &more).1
        };
        let made = how(&desired, "if-unowned");
        let row = row(&made, "/ConfigMap/shop/c");
        assert_eq!(row["action"], json!("conflict"), "{made:#}");
        assert!(row["message"].as_str().unwrap().contains(name), "{row:#}");
        assert_eq!(action(&how(&desired, "always"), "/ConfigMap/shop/c"), "adopt");
        // A copied manifest carries it too, and is no proof of anything.
        let mut copy = desired.clone();
        copy["metadata"][map] = json!({name: value});
        assert_eq!(action(&how(&copy, "if-unowned"), "/ConfigMap/shop/c"), "adopt");
    }
}

#[test]
fn nothing_is_deleted_while_the_release_is_not_applied_in_full() {
    let (old, mut taken) = (config("old"), config("taken"));
    taken["metadata"]["labels"] = json!({"tidegate.dev/app": "db"});
    let known = inventory(std::slice::from_ref(&old));
    let document = planned(&[wanted(&taken)], &[old, taken.clone()], &known);
    assert_eq!(
        (&document["delete"], &row(&document, OLD)["would"]),
        (&json!([]), &json!("delete"))
    );
}

#[test]
fn dependencies_turn_the_order_and_deletion_turns_it_back() {
    let (mut a, b) = (wanted(&config("a")), wanted(&config("b")));
    a["metadata"]["annotations"] =
        json!({"tidegate.dev/depends-on": "/namespaces/shop/ConfigMap/b"});
    let (_, document) = planned_with(&[a, b], &[], &json!([]), &["--app", "web"]);
    assert_eq!(document["apply"], json!(["/ConfigMap/shop/b", "/ConfigMap/shop/a"]));
    let live = [config("a"), config("b"), config("stays")];
    let mut known = inventory(&live);
    known["entries"][0]["dependsOn"] = json!(["/ConfigMap/shop/b"]);
    let document = planned(&[wanted(&live[2])], &live, &known);
    assert_eq!(document["delete"], json!(["/ConfigMap/shop/a", "/ConfigMap/shop/b"]));
    // An inventory that does not tell: the live objects do.
    let mut a = config("a");
    a["metadata"]["annotations"]["config.kubernetes.io/depends-on"] =
        json!("/namespaces/shop/ConfigMap/b");
    let (c, mut d) = (config("c"), config("d"));
    d["metadata"]["annotations"]["tidegate.dev/wave"] = json!("3");
    let live = [a, config("b"), c, d, config("stays")];
    let document = planned(&[wanted(&live[4])], &live, &inventory(&live));
    let step = |name: &str| row(&document, &format!("/ConfigMap/shop/{name}"))["step"].as_u64();
    assert!(step("a") < step("b") && step("d") < step("c"), "{document:#}");
}

#[test]
fn an_object_in_something_that_goes_waits() {
    let mut namespace = ours("v1", "Namespace", "", "shop");
    namespace["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let (_, document) =
        planned_with(&[wanted(&config("c"))], &[namespace], &json!([]), &["--app", "web"]);
    assert_eq!(action(&document, "/ConfigMap/shop/c"), "wait");
    let mut going = config("c");
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let document = planned(
        &[wanted(&going)],
        std::slice::from_ref(&going),
        &inventory(std::slice::from_ref(&going)),
    );
    assert_eq!((action(&document, "/ConfigMap/shop/c"), &document["apply"]), ("wait", &json!([])));
}

#[test]
fn inventories_are_read_in_many_forms() {
    let live = [config("old"), config("stays")];
    let forms = [
        json!({"/ConfigMap/shop/old": "uid-old"}),
        json!([{"id": "shop_old__ConfigMap", "v": "v1", "uid": "uid-old"}]),
        json!([{"group": "", "kind": "ConfigMap", "namespace": "shop", "name": "old", "uid": "uid-old"}]),
        json!([live[0].clone()]),
    ];
    for form in forms {
        let known = json!({"app": "web", "entries": form});
        let document = planned(&[wanted(&live[1])], &live, &known);
        assert_eq!(document["delete"], json!([OLD]), "{known}");
    }
    // No uid, no proof; unless the managed fields are the proof.
    let bare = json!({"app": "web", "entries": ["/ConfigMap/shop/old"]});
    let document = planned(&[wanted(&live[1])], &live, &bare);
    assert_eq!((&document["delete"], &document["keep"]), (&json!([]), &json!([OLD])));
    let mut applied = live.clone();
    applied[0]["metadata"]["managedFields"] = json!([{"manager": "tidegate-agent/web", "operation": "Apply", "fieldsV1": {"f:data": {}}}]);
    assert_eq!(planned(&[wanted(&live[1])], &applied, &bare)["delete"], json!([OLD]));
    for empty in [json!([]), json!({}), json!({"app": "web"}), json!({"entries": null})] {
        let (code, document) = planned_with(&[wanted(&live[1])], &live, &empty, &["--app", "web"]);
        assert_eq!((code, &document["delete"]), (0, &json!([])), "{empty}");
    }
    let desk = Desk::new();
    desk.file("e.json", "");
    desk.file("i.json", r#"{"entries": [{"kind": "ConfigMap"}]}"#);
    let output = desk.run(
        &["agent", "plan", "--desired", "e.json", "--live", "e.json", "--inventory", "i.json"],
        "",
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_answer_for_people_names_the_same_things() {
    let desk = Desk::new();
    let (old, stays) = (config("old"), config("stays"));
    desk.file("d.json", &wanted(&stays).to_string());
    desk.file("l.json", &json!([old, stays]).to_string());
    desk.file("i.json", &inventory(&[old.clone(), stays.clone()]).to_string());
    let arguments =
        ["agent", "plan", "--desired", "d.json", "--live", "l.json", "--inventory", "i.json"];
    let output = desk.run(&arguments, "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("delete") && text.contains(OLD) && text.contains("unchanged"), "{text}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("2 objects: 1 delete, 1 unchanged"));
}

/// As the running agent does it; its own tests play the same table.
#[test]
fn what_is_held_keeps_what_it_may_need_and_the_rest_goes() {
    let live = |object: &Value| {
        let meta = &object["metadata"];
        let text = |name: &str| meta.get(name).and_then(Value::as_str).unwrap_or_default();
        let (version, kind) = (object["apiVersion"].as_str().unwrap(), &object["kind"]);
        let mut marked = ours(version, kind.as_str().unwrap(), text("namespace"), text("name"));
        for (name, value) in meta["annotations"].as_object().unwrap() {
            marked["metadata"]["annotations"][name] = value.clone();
        }
        marked["metadata"]["uid"] = json!(format!("uid-{}", held::id(object)));
        marked
    };
    for case in held::cases() {
        let all: Vec<Value> = held::namespaces().iter().chain(&case.dropped).map(live).collect();
        let document = planned(&held::namespaces(), &all, &inventory(&all));
        let gone: Vec<String> = case
            .dropped
            .iter()
            .map(held::id)
            .filter(|id| !case.stay.contains(&id.as_str()))
            .collect();
        let listed = |name: &str| {
            let list = document[name].as_array().unwrap().iter();
            list.map(|id| id.as_str().unwrap().to_owned())
                .collect::<std::collections::BTreeSet<_>>()
        };
        let stay = case.stay.iter().map(|id| (*id).to_owned());
        assert_eq!(listed("delete"), gone.into_iter().collect(), "{}: {document:#}", case.name);
        assert_eq!(listed("keep"), stay.collect(), "{}: {document:#}", case.name);
        let last = row(&document, case.stay.last().unwrap());
        assert_eq!(last["reason"], json!("PruneBlocked"), "{}", case.name);
    }
}

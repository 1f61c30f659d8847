//! What guards people's data: opened gates, objects that stay, are handed over, replaced, or found again.

use std::collections::{BTreeMap, BTreeSet};

use model::{AppName, Epoch, ObjectKey, Reason};
use plan::{
    Action, Adopt, Answer, Asked, Definition, Desired, Detach, Failure, Forget, Gate, GateInput,
    GateLimits, Guard, Hold, Inventory, InventoryError, Key, Live, LiveMeta, Migrate, Overrides,
    Ownership, Policy, Prune, PruneTask, Recreate, Sight, Spread, Verb, Why, classify, gates_with,
    guard_holds, migrate_patch, plan as make_plan, probe_verdict, prune_again, recreate_decision,
    rewrite_version_patch, transfer_patch,
};
use serde_json::{Value, json};

use super::world::{Cluster, app, desired, key, signature};

const C: &str = "/ConfigMap/shop/c";

fn config(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"},
        "data": {"k": "v"}})
}

fn other_app() -> AppName {
    AppName::parse("db").unwrap()
}

/// A cluster in which these were applied.
fn applied(objects: impl IntoIterator<Item = Value>) -> (Cluster, Desired) {
    let mut cluster = Cluster::new();
    let set = desired(objects);
    let plan = make_plan(&set, &cluster.live, &cluster.inventory, &Policy::default());
    cluster.run(&set, &plan);
    (cluster, set)
}

/// What becomes of `c` when only `stays` is desired.
fn dropped(cluster: &Cluster, policy: &Policy) -> PruneTask {
    let set = desired([config("stays")]);
    let plan = make_plan(&set, &cluster.live, &cluster.inventory, policy);
    plan.prunes().find(|task| task.key == key(C)).unwrap().clone()
}

fn two() -> Cluster {
    applied([config("c"), config("stays")]).0
}

#[test]
fn a_gate_that_was_opened_for_one_grant_is_shut_for_the_next() {
    let overrides = Overrides { epoch: Epoch(4), gates: BTreeSet::from([Gate::MassPrune]) };
    assert_eq!(overrides.at(Epoch(4)), BTreeSet::from([Gate::MassPrune]));
    assert!(overrides.at(Epoch(5)).is_empty());
    assert!(overrides.at(Epoch(3)).is_empty());
}

#[test]
fn the_share_of_a_mass_prune_is_the_owners_choice() {
    let (cluster, _) = applied((0..10).map(|n| config(&format!("c-{n}"))));
    let less = desired((0..7).map(|n| config(&format!("c-{n}"))));
    let none = BTreeSet::new();
    let blocked = |mass_objects, mass_percent| {
        let limits = GateLimits { mass_objects, mass_percent };
        let input = GateInput {
            desired: &less,
            inventory: &cluster.inventory,
            occupied: &none,
            open: &BTreeSet::new(),
            limits,
            cluster: None,
        };
        gates_with(&input).is_err()
    };
    assert!(blocked(2, 20));
    assert!(!blocked(3, 20));
    assert!(!blocked(2, 30));
}

#[test]
fn a_cluster_that_was_cloned_or_restored_is_not_written_to() {
    let (cluster, set) = applied([config("c")]);
    let none = BTreeSet::new();
    let judge = |cluster_uid: Option<(&str, &str)>, open: &BTreeSet<Gate>| {
        gates_with(&GateInput {
            desired: &set,
            inventory: &cluster.inventory,
            occupied: &none,
            open,
            limits: GateLimits::default(),
            cluster: cluster_uid,
        })
    };
    assert!(judge(Some(("a", "a")), &BTreeSet::new()).is_ok());
    assert!(judge(None, &BTreeSet::new()).is_ok());
    let blocked = judge(Some(("a", "b")), &BTreeSet::new()).unwrap_err();
    assert_eq!(
        (blocked[0].gate, blocked[0].reason),
        (Gate::ForeignCluster, Reason::ClusterReplaced)
    );
    let open = BTreeSet::from([Gate::ForeignCluster]);
    assert!(judge(Some(("a", "b")), &open).is_ok());
}

#[test]
fn an_object_that_belongs_to_another_object_too_is_let_go() {
    let mut cluster = two();
    cluster.meddle(&key(C), |meta| meta.owner_uids = vec!["operator".to_owned()]);
    let strangers = Detach::OwnedByOthers(vec!["operator".to_owned()]);
    assert_eq!(dropped(&cluster, &Policy::default()).prune, Prune::Detach(strangers));
    // An owner of our own is no stranger.
    let ours = cluster.inventory.get(&key("/ConfigMap/shop/stays")).unwrap().uid.clone().unwrap();
    cluster.meddle(&key(C), |meta| meta.owner_uids = vec![ours.clone()]);
    let task = dropped(&cluster, &Policy::default());
    assert!(matches!(task.prune, Prune::Delete { .. }));
    assert_eq!(task.owners, BTreeSet::from([ours]));
}

#[test]
fn an_object_that_asks_for_a_person_waits_for_one() {
    let mut cluster = two();
    cluster.meddle(&key(C), |meta| meta.confirm = true);
    assert_eq!(dropped(&cluster, &Policy::default()).prune, Prune::Hold(Hold::AwaitsApproval));
    let approved = Policy { approved: BTreeSet::from([key(C)]), ..Policy::default() };
    assert!(matches!(dropped(&cluster, &approved).prune, Prune::Delete { .. }));
    let object =
        json!({"metadata": {"uid": "u", "annotations": {"tidegate.dev/prune": "confirm"}}});
    let meta = LiveMeta::read(&object, &Ownership::of(&app())).unwrap();
    assert!(meta.confirm && meta.keep.is_none());
}

#[test]
fn what_was_to_stay_stays_whatever_it_looks_like_just_before() {
    let mut cluster = two();
    let planned = dropped(&cluster, &Policy::default());
    let entry = cluster.inventory.get(&key(C)).unwrap().clone();
    let again = |cluster: &Cluster, task: &PruneTask| {
        prune_again(task, &entry, cluster.live.get(&key(C)), &app())
    };
    assert!(matches!(again(&cluster, &planned), Prune::Delete { .. }));
    let released = PruneTask { prune: Prune::Detach(Detach::Released), ..planned.clone() };
    assert_eq!(again(&cluster, &released), Prune::Detach(Detach::Released));
    let held = PruneTask { prune: Prune::Hold(Hold::AfterFailure), ..planned.clone() };
    assert_eq!(again(&cluster, &held), Prune::Hold(Hold::AfterFailure));
    // What changed since is seen.
    cluster.meddle(&key(C), |meta| meta.owner_uids = vec!["new".to_owned()]);
    assert!(matches!(again(&cluster, &planned), Prune::Detach(Detach::OwnedByOthers(_))));
    cluster.meddle(&key(C), |meta| meta.owner = None);
    assert_eq!(again(&cluster, &planned), Prune::Forget(Forget::Taken(None)));
    cluster.live.remove(&key(C));
    assert_eq!(again(&cluster, &planned), Prune::Gone);
}

#[test]
fn an_app_that_is_let_go_leaves_everything_running() {
    let cluster = two();
    let policy = Policy { orphan: true, ..Policy::default() };
    let plan = make_plan(&desired([]), &cluster.live, &cluster.inventory, &policy);
    assert_eq!(plan.prunes().count(), 2);
    assert!(plan.prunes().all(|task| task.prune == Prune::Detach(Detach::Released)));
}

#[test]
fn a_transfer_deletes_and_conflicts_in_neither_order() {
    let cluster = two();
    // The old App first: it keeps its hands off while the new one has not taken it.
    let leaving = Policy { leaving: BTreeMap::from([(key(C), other_app())]), ..Policy::default() };
    assert_eq!(dropped(&cluster, &leaving).prune, Prune::Hold(Hold::Leaving(other_app())));
    // The new App: takes it from exactly that App.
    let mut mine = Cluster::new();
    let meta = LiveMeta {
        uid: "u".to_owned(),
        owner: Some("db".to_owned()),
        id: Some(C.to_owned()),
        sig: None,
        ..LiveMeta::default()
    };
    mine.live.insert(key(C), meta);
    let set = desired([config("c")]);
    let take = |from: &str| {
        let from = AppName::parse(from).unwrap();
        let policy = Policy { take_from: BTreeMap::from([(key(C), from)]), ..Policy::default() };
        let plan = make_plan(&set, &mine.live, &mine.inventory, &policy);
        plan.tasks().next().unwrap().action.clone()
    };
    let taken = Action::Apply { why: Why::Transfer(other_app()), uid: Some("u".to_owned()) };
    assert_eq!(take("db"), taken);
    assert!(matches!(take("third"), Action::Conflict { .. }));
    // Said in the content itself.
    let mut said = config("c");
    said["metadata"]["annotations"] = json!({"tidegate.dev/transfer-from": "db"});
    let plan = make_plan(&desired([said]), &mine.live, &mine.inventory, &Policy::default());
    assert_eq!(plan.tasks().next().unwrap().action, taken);
    // The old App last: the label names the other.
    let mut after = two();
    after.meddle(&key(C), |meta| meta.owner = Some("db".to_owned()));
    assert_eq!(
        dropped(&after, &leaving).prune,
        Prune::Forget(Forget::Taken(Some("db".to_owned())))
    );
}

#[test]
fn a_transfer_moves_label_and_fields_under_the_version_that_was_read() {
    let live = json!({"metadata": {"resourceVersion": "7", "uid": "u",
        "labels": {"tidegate.dev/app": "db"},
        "managedFields": [
            {"manager": "tidegate-agent/db", "operation": "Apply", "apiVersion": "v1", "time": "t",
                "fieldsV1": {"f:data": {"f:k": {}}}},
            {"manager": "other", "operation": "Update", "fieldsV1": {"f:data": {"f:x": {}}}}]}});
    let patch = transfer_patch(&live, &Ownership::of(&app()), &other_app()).unwrap();
    assert_eq!(
        patch[0],
        json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "7"})
    );
    let label =
        json!({"op": "replace", "path": "/metadata/labels/tidegate.dev~1app", "value": "web"});
    assert_eq!(patch[1], label);
    let managers: Vec<&str> = patch[2]["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["manager"].as_str().unwrap())
        .collect();
    assert_eq!(managers, ["other", "tidegate-agent/web"]);
    assert_eq!(patch[2]["value"][1]["fieldsV1"], json!({"f:data": {"f:k": {}}}));
    let third = AppName::parse("third").unwrap();
    assert_eq!(transfer_patch(&live, &Ownership::of(&app()), &third), None);
}

#[test]
fn fields_of_client_side_apply_become_ours_so_that_dropped_keys_go() {
    let live = json!({"metadata": {"resourceVersion": "7",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        "managedFields": [
            {"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "v1",
                "fieldsV1": {"f:data": {".": {}, "f:old": {}}, "f:metadata": {"f:annotations": {".": {},
                    "f:kubectl.kubernetes.io/last-applied-configuration": {}}}}},
            {"manager": "tidegate-agent/web", "operation": "Apply", "apiVersion": "v1",
                "fieldsV1": {"f:data": {"f:new": {}}}},
            {"manager": "kubectl-edit", "operation": "Update", "subresource": "status", "fieldsV1": {}},
            {"manager": "helm", "operation": "Update", "fieldsV1": {"f:data": {"f:h": {}}}}]}});
    let ownership = Ownership::of(&app());
    let patch = migrate_patch(&live, &ownership, &Migrate::default()).unwrap();
    assert_eq!(patch.len(), 3);
    assert_eq!(patch[1]["op"], json!("remove"));
    let entries = patch[2]["value"].as_array().unwrap();
    let managers: Vec<&str> = entries.iter().map(|e| e["manager"].as_str().unwrap()).collect();
    assert_eq!(managers, ["kubectl-edit", "helm", "tidegate-agent/web"]);
    assert_eq!(entries[2]["operation"], json!("Apply"));
    assert_eq!(entries[2]["fieldsV1"]["f:data"], json!({".": {}, "f:new": {}, "f:old": {}}));
    assert!(!entries[2].to_string().contains("last-applied"));
    let from_tools = Migrate { delivery_tools: true, ..Migrate::default() };
    let patch = migrate_patch(&live, &ownership, &from_tools).unwrap();
    assert!(patch[2]["value"][1]["fieldsV1"]["f:data"].get("f:h").is_some());
    let clean = json!({"metadata": {"resourceVersion": "7", "managedFields": [
        {"manager": "tidegate-agent/web", "operation": "Apply", "fieldsV1": {}}]}});
    assert_eq!(migrate_patch(&clean, &ownership, &Migrate::default()), None);
}

#[test]
fn our_fields_follow_a_definition_that_drops_their_version() {
    let live = json!({"metadata": {"resourceVersion": "7", "managedFields": [
        {"manager": "tidegate-agent/web", "operation": "Apply", "apiVersion": "a.example/v1alpha1"}]}});
    let patch = rewrite_version_patch(&live, &Ownership::of(&app()), "a.example/v1").unwrap();
    assert_eq!(patch[1]["value"][0]["apiVersion"], json!("a.example/v1"));
    assert_eq!(rewrite_version_patch(&live, &Ownership::of(&app()), "a.example/v1alpha1"), None);
}

/// The answer to an update that was refused with 422, and to the probe.
fn refused(probe: u16) -> Failure {
    let job = key("batch/Job/shop/j");
    let asked =
        Asked { verb: Verb::Apply, key: &job, namespace_planned: false, definition_planned: false };
    let status = json!({"kind": "Status", "reason": "Invalid", "message": "field is immutable"});
    let answer = Answer { code: 422, status: Some(&status), text: "", retry_after: None };
    probe_verdict(classify(&asked, &answer), probe)
}

/// The decision about one object of this kind that was applied, and changed since as `change` says.
fn recreated(
    mut object: Value,
    allowed: bool,
    probe: u16,
    change: impl Fn(&mut LiveMeta),
) -> Recreate {
    object["metadata"] = json!({"name": "x", "namespace": "shop"});
    let (mut cluster, set) = applied([object]);
    let (at, wanted) = set.objects().iter().next().unwrap();
    cluster.meddle(at, |meta| {
        "9".clone_into(&mut meta.resource_version);
        change(meta);
    });
    let Sight::Present(meta) = cluster.live.get(at) else { panic!() };
    let entry = cluster.inventory.get(at).unwrap();
    recreate_decision(wanted, entry, meta, &app(), allowed, &refused(probe))
}

fn kind(api_version: &str, kind: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind})
}

#[test]
fn an_object_is_replaced_only_when_asked_and_only_when_its_manifest_is_right() {
    let job = || kind("batch/v1", "Job");
    let Recreate::Do { uid, resource_version, spread } = recreated(job(), true, 201, |_| {}) else {
        panic!()
    };
    assert!(uid.starts_with("uid-"));
    assert_eq!((resource_version.as_str(), spread), ("9", Spread::Background));
    let refused = |it: Recreate| matches!(it, Recreate::Refuse(_));
    assert!(refused(recreated(job(), false, 201, |_| {})), "nobody allowed it");
    assert!(refused(recreated(job(), true, 422, |_| {})), "the manifest itself is wrong");
    assert!(refused(recreated(job(), true, 403, |_| {})), "a quota tells nothing");
    assert!(refused(recreated(job(), true, 500, |_| {})), "a broken server tells nothing");
    assert!(refused(recreated(job(), true, 201, |m| m.uid = "theirs".to_owned())));
    assert!(refused(recreated(job(), true, 201, |m| m.owner = Some("db".to_owned()))));
    assert!(refused(recreated(job(), true, 201, |m| m.id = None)));
    assert!(refused(recreated(job(), true, 201, |m| m.keep = Some("keep".to_owned()))));
    assert!(refused(recreated(job(), true, 201, |m| m.deleting = true)));
}

#[test]
fn what_holds_data_is_never_replaced_and_a_set_keeps_its_pods() {
    for (api_version, name) in [
        ("v1", "PersistentVolumeClaim"),
        ("v1", "Namespace"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ] {
        let answer = recreated(kind(api_version, name), true, 201, |_| {});
        let Recreate::Refuse(why) = answer else { panic!("{name}") };
        assert!(why.starts_with("what it holds would go with it"), "{name}: {why}");
    }
    let set = recreated(kind("apps/v1", "StatefulSet"), true, 201, |_| {});
    assert!(matches!(set, Recreate::Do { spread: Spread::Orphan, .. }));
}

#[test]
fn an_agent_that_dies_between_delete_and_create_finishes_the_create() {
    let (mut cluster, set) = applied([config("c")]);
    cluster.inventory.recreating(&key(C));
    cluster.live.remove(&key(C));
    // Restarted from what was stored.
    let sealed = cluster.inventory.seal(&Key::new([1; 32])).unwrap();
    let inventory = Inventory::open(&sealed, &Key::new([1; 32])).unwrap();
    let policy = Policy { on_drift: plan::OnDrift::Report, ..Policy::default() };
    let plan = make_plan(&set, &cluster.live, &inventory, &policy);
    let create = Action::Apply { why: Why::Recreate, uid: None };
    assert_eq!(plan.tasks().map(|t| &t.action).collect::<Vec<_>>(), [&create]);
    cluster.run(&set, &plan);
    assert_eq!(cluster.inventory.get(&key(C)).unwrap().recreating, None);
    assert!(make_plan(&set, &cluster.live, &cluster.inventory, &policy).is_empty());
}

#[test]
fn what_is_in_the_way_of_a_namespace_or_a_definition_is_named() {
    let mut live = Live::new();
    let plain = |uid: &str| LiveMeta { uid: uid.to_owned(), ..LiveMeta::default() };
    let (theirs, ours) = (key("/ConfigMap/shop/theirs"), key("/ConfigMap/shop/ours"));
    live.insert(theirs.clone(), plain("1"));
    live.insert(ours.clone(), plain("2"));
    live.insert(key("/ConfigMap/shop/kube-root-ca.crt"), plain("3"));
    live.insert(key("/ConfigMap/bank/other"), plain("4"));
    let going = BTreeSet::from([ours]);
    let held = guard_holds(Guard::NamespaceEmpty, &key("/Namespace//shop"), None, &live, &going);
    assert_eq!(held, [theirs]);
    let thing = key("a.example/Thing/bank/t");
    live.insert(thing.clone(), plain("5"));
    let definition = Definition { group: "a.example".to_owned(), kind: "Thing".to_owned() };
    let crd = key("apiextensions.k8s.io/CustomResourceDefinition//things.a.example");
    let held = guard_holds(Guard::NoInstances, &crd, Some(&definition), &live, &BTreeSet::new());
    assert_eq!(held, [thing]);
}

#[test]
fn an_inventory_in_pieces_reads_back_whole_or_not_at_all() {
    let (cluster, _) = applied((0..60).map(|n| config(&format!("c-{n}"))));
    let (key, other) = (Key::new([1; 32]), Key::new([2; 32]));
    let sharded = cluster.inventory.shards(&key, 2_000).unwrap();
    assert!(sharded.shards.len() > 4);
    let join = |shards: &[Vec<u8>]| Inventory::join(&sharded.head, shards, &key);
    assert_eq!(join(&sharded.shards).unwrap(), cluster.inventory);
    let mut turned = sharded.shards.clone();
    turned.reverse();
    turned.push(b"left over".to_vec());
    assert_eq!(join(&turned).unwrap(), cluster.inventory);
    assert!(matches!(join(&sharded.shards[1..]), Err(InventoryError::Torn)));
    assert!(Inventory::join(&sharded.head, &sharded.shards, &other).is_err());
    // A head of somebody who dropped a shard from the list.
    let mut head: Value = serde_json::from_slice(&sharded.head).unwrap();
    let digests: Vec<Value> = serde_json::from_str(head["body"].as_str().unwrap()).unwrap();
    head["body"] = json!(serde_json::to_string(&digests[1..]).unwrap());
    let forged = serde_json::to_vec(&head).unwrap();
    assert!(matches!(
        Inventory::join(&forged, &sharded.shards, &key),
        Err(InventoryError::Forged(_))
    ));
    let small = cluster.inventory.shards(&key, 1_000_000).unwrap();
    assert_eq!(small.shards.len(), 1);
}

#[test]
fn a_lost_inventory_is_found_again_and_copied_marks_are_not() {
    let (mut cluster, set) = applied([config("c"), config("child"), config("foreign")]);
    cluster.meddle(&key("/ConfigMap/shop/child"), |m| m.id = Some(C.to_owned()));
    cluster.meddle(&key("/ConfigMap/shop/foreign"), |m| m.sig = None);
    let version = |_: &str, _: &str| "v1".to_owned();
    cluster.inventory = Inventory::rebuild(app(), &cluster.live, &version);
    let keys: Vec<&ObjectKey> = cluster.inventory.entries().keys().collect();
    assert_eq!(keys, [&key(C)]);
    // The copied child is never pruned, the found object is.
    let less = desired([config("stays")]);
    let plan = make_plan(&less, &cluster.live, &cluster.inventory, &Policy::default());
    let pruned: Vec<&ObjectKey> = plan.prunes().map(|t| &t.key).collect();
    assert_eq!(pruned, [&key(C)]);
    // And what is desired is applied once more, to the same object.
    let plan = make_plan(&set, &cluster.live, &cluster.inventory, &Policy::default());
    let task = plan.tasks().find(|task| task.key == key(C)).unwrap();
    assert!(matches!(&task.action, Action::Apply { why: Why::Resume, uid: Some(_) }));
}

#[test]
fn adoption_may_ask_for_identity_and_an_object_for_its_own_policy() {
    let mut cluster = Cluster::new();
    cluster.live.insert(key(C), LiveMeta { uid: "u".to_owned(), ..LiveMeta::default() });
    let action = |object: Value, adopt: Adopt| {
        let policy = Policy { adopt, ..Policy::default() };
        let set = desired([object]);
        let plan = make_plan(&set, &cluster.live, &cluster.inventory, &policy);
        plan.tasks().next().unwrap().action.clone()
    };
    let compare = Action::Compare { uid: "u".to_owned() };
    assert_eq!(action(config("c"), Adopt::IfIdentical), compare);
    let mut never = config("c");
    never["metadata"]["annotations"] = json!({"tidegate.dev/adopt": "never"});
    assert!(matches!(action(never, Adopt::Always), Action::Conflict { .. }));
    let mut once = config("c");
    once["metadata"]["annotations"] = json!({"tidegate.dev/apply": "once"});
    assert_eq!(action(once, Adopt::IfUnowned), Action::NoOp);
}

#[test]
fn a_drifted_object_with_a_signature_of_its_own_time_is_seen() {
    let (mut cluster, set) = applied([config("c")]);
    cluster.meddle(&key(C), |meta| meta.sig = Some(signature(77)));
    let plan = make_plan(&set, &cluster.live, &cluster.inventory, &Policy::default());
    assert!(!plan.is_empty());
}

/// What becomes of `later` while `held` waits for a person.
fn beside(held: Value, later: Value) -> Prune {
    let id = |object: &Value| {
        let text = |at: &str| object.pointer(at).and_then(Value::as_str).unwrap_or_default();
        let group = text("/apiVersion").split_once('/').map_or("", |(group, _)| group);
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        key(&format!("{group}/{}/{namespace}/{name}", text("/kind")))
    };
    let (held_key, later_key) = (id(&held), id(&later));
    let (mut cluster, _) = applied([config("stays"), held, later]);
    cluster.meddle(&held_key, |meta| meta.confirm = true);
    let set = desired([config("stays")]);
    let plan = make_plan(&set, &cluster.live, &cluster.inventory, &Policy::default());
    plan.prunes().find(|task| task.key == later_key).unwrap().prune.clone()
}

#[test]
fn what_a_held_object_may_need_depends_on_its_kind() {
    let object = |version: &str, kind: &str, namespace: &str| {
        let mut object =
            json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, "spec": {}});
        if !namespace.is_empty() {
            object["metadata"]["namespace"] = json!(namespace);
        }
        object
    };
    let rbac = "rbac.authorization.k8s.io/v1";
    let stays = |held: Value, later: Value| {
        matches!(beside(held, later), Prune::Hold(Hold::MayBeNeededBy(_)))
    };
    let account = |namespace: &str| object("v1", "ServiceAccount", namespace);
    let workload = || object("apps/v1", "Deployment", "shop");
    // A workload: its namespace, rights, the whole cluster.
    assert!(stays(workload(), account("shop")));
    assert!(stays(workload(), object(rbac, "RoleBinding", "db")));
    assert!(stays(workload(), object("scheduling.k8s.io/v1", "PriorityClass", "")));
    assert!(!stays(workload(), account("db")));
    // A custom resource: its controller may be anywhere.
    let custom = || object("example.com/v1", "Widget", "shop");
    assert!(stays(custom(), object("apps/v1", "Deployment", "db")));
    assert!(stays(custom(), account("db")));
    // A webhook: the server behind it.
    let webhook = object("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "");
    assert!(stays(webhook, object("v1", "Service", "db")));
    // Settings and rights lean on nothing.
    assert!(!stays(object("v1", "Service", "shop"), account("shop")));
    assert!(!stays(object(rbac, "Role", "shop"), object(rbac, "ClusterRole", "")));
}

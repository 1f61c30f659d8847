//! Stories of planning: one object, one change, one answer.

use std::collections::BTreeSet;

use model::{Epoch, Reason};
use plan::{
    Action, Adopt, Desired, Detach, Drift, Forget, Gate, Guard, Hold, LiveMeta, Met, OnDrift,
    Policy, Prune, Until, Why, drift, gates, is_content, plan as make_plan,
};
use serde_json::{Value, json};

use super::world::{Cluster, desired, key, signature};

fn config(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"},
        "data": {"k": value}})
}

const C: &str = "/ConfigMap/shop/c";

/// A cluster in which `c` was applied.
fn applied() -> (Cluster, Desired) {
    let mut cluster = Cluster::new();
    let set = desired([config("c", "1"), config("other", "1")]);
    let plan = make_plan(&set, &cluster.live, &cluster.inventory, &Policy::default());
    cluster.run(&set, &plan);
    (cluster, set)
}

fn action(cluster: &Cluster, set: &Desired, policy: &Policy) -> Action {
    let plan = make_plan(set, &cluster.live, &cluster.inventory, policy);
    plan.tasks().find(|task| task.key == key(C)).unwrap().action.clone()
}

/// What a meddler does to `c`, and what is planned for it.
fn after(change: impl FnOnce(&mut LiveMeta)) -> Action {
    let (mut cluster, set) = applied();
    cluster.meddle(&key(C), change);
    action(&cluster, &set, &Policy::default())
}

#[test]
fn a_first_sync_creates_a_second_does_nothing() {
    let set = desired([config("c", "1")]);
    let empty = Cluster::new();
    let first = action(&empty, &set, &Policy::default());
    assert_eq!(first, Action::Apply { why: Why::Create, uid: None });
    let (cluster, set) = applied();
    let second = make_plan(&set, &cluster.live, &cluster.inventory, &Policy::default());
    assert!(second.is_empty());
}

#[test]
fn a_changed_body_is_applied_to_the_same_uid() {
    let (cluster, _) = applied();
    let changed = desired([config("c", "2"), config("other", "1")]);
    let Action::Apply { why, uid } = action(&cluster, &changed, &Policy::default()) else {
        panic!()
    };
    assert_eq!(why, Why::Update);
    assert!(uid.unwrap().starts_with("uid-"));
}

#[test]
fn an_edit_is_corrected_and_the_editor_named() {
    let action = after(|meta| {
        meta.sig = Some(signature(99));
        meta.managers = BTreeSet::from(["kubectl-edit".to_owned()]);
    });
    let Action::Apply { why: Why::Drift(Drift::Changed { managers }), .. } = action else {
        panic!()
    };
    assert!(managers.contains("kubectl-edit"));
}

#[test]
fn a_status_update_is_no_drift() {
    assert_eq!(after(|meta| meta.resource_version = "999".to_owned()), Action::NoOp);
}

#[test]
fn a_deleted_object_is_made_again_without_the_old_uid() {
    let (mut cluster, set) = applied();
    cluster.live.remove(&key(C));
    let action = action(&cluster, &set, &Policy::default());
    assert_eq!(action, Action::Apply { why: Why::Drift(Drift::Deleted), uid: None });
}

#[test]
fn a_finished_job_that_was_cleaned_up_stays_gone() {
    let (mut cluster, set) = applied();
    cluster.inventory.finish(&key(C));
    cluster.live.remove(&key(C));
    assert_eq!(action(&cluster, &set, &Policy::default()), Action::NoOp);
    let changed = desired([config("c", "2"), config("other", "1")]);
    let action = action(&cluster, &changed, &Policy::default());
    assert_eq!(action, Action::Apply { why: Why::Update, uid: None });
}

#[test]
fn an_object_on_its_way_out_is_waited_for() {
    let action = after(|meta| {
        meta.deleting = true;
        meta.finalizers = vec!["a.b/c".to_owned()];
    });
    assert_eq!(action, Action::WaitTerminating { finalizers: vec!["a.b/c".to_owned()] });
}

#[test]
fn another_apps_object_is_never_touched() {
    let action = after(|meta| meta.owner = Some("db".to_owned()));
    let Action::Conflict { reason, message } = action else { panic!() };
    assert_eq!(reason, Reason::OwnedByAnotherApp);
    assert_eq!(message, "ConfigMap shop/c belongs to App `db`");
}

#[test]
fn a_removed_label_is_put_back() {
    let action = after(|meta| {
        meta.owner = None;
        meta.sig = Some(signature(99));
    });
    assert!(matches!(action, Action::Apply { why: Why::Drift(_), .. }), "{action:?}");
}

#[test]
fn drift_may_be_reported_only_or_wait_for_a_fight_to_calm_down() {
    let (mut cluster, set) = applied();
    cluster.meddle(&key(C), |meta| meta.sig = Some(signature(99)));
    let report = Policy { on_drift: OnDrift::Report, ..Policy::default() };
    assert!(matches!(action(&cluster, &set, &report), Action::Drifted(_)));
    let slowed = Policy { slowed: BTreeSet::from([key(C)]), ..Policy::default() };
    assert!(matches!(action(&cluster, &set, &slowed), Action::Drifted(_)));
    // A new body is due whatever fights there are.
    let changed = desired([config("c", "2"), config("other", "1")]);
    assert!(matches!(action(&cluster, &changed, &slowed), Action::Apply { why: Why::Update, .. }));
}

/// An object that is there before we come.
fn found(managers: &[&str]) -> (Cluster, Desired) {
    let mut cluster = Cluster::new();
    let managers = managers.iter().map(|m| (*m).to_owned()).collect();
    let meta = LiveMeta { uid: "theirs".to_owned(), managers, ..LiveMeta::default() };
    cluster.live.insert(key(C), meta);
    (cluster, desired([config("c", "1")]))
}

#[test]
fn an_object_of_nobody_is_adopted() {
    let (cluster, set) = found(&["kubectl-client-side-apply"]);
    let adopted = action(&cluster, &set, &Policy::default());
    assert_eq!(adopted, Action::Apply { why: Why::Adopt, uid: Some("theirs".to_owned()) });
    let never = Policy { adopt: Adopt::Never, ..Policy::default() };
    assert!(matches!(action(&cluster, &set, &never), Action::Conflict { .. }));
}

#[test]
fn an_object_of_another_delivery_tool_is_adopted_only_on_purpose() {
    let (cluster, set) = found(&["helm"]);
    let Action::Conflict { reason, message } = action(&cluster, &set, &Policy::default()) else {
        panic!()
    };
    assert_eq!(reason, Reason::ExistsUnowned);
    assert_eq!(
        message,
        "ConfigMap shop/c was not touched: it is managed by `helm`; `tidegate.dev/adopt: always` on the object takes it over"
    );
    let always = Policy { adopt: Adopt::Always, ..Policy::default() };
    assert!(matches!(action(&cluster, &set, &always), Action::Apply { why: Why::Adopt, .. }));
}

#[test]
fn nothing_is_concluded_about_a_kind_that_was_not_seen() {
    let (mut cluster, set) = applied();
    cluster.live.blind("", "ConfigMap");
    assert_eq!(action(&cluster, &set, &Policy::default()), Action::NotSeen);
    let less = desired([config("x", "1")]);
    let plan = make_plan(&less, &cluster.live, &cluster.inventory, &Policy::default());
    assert!(plan.prunes().all(|task| task.prune == Prune::Hold(Hold::NotSeen)));
    assert_eq!(plan.prunes().count(), 2);
}

#[test]
fn a_write_whose_answer_was_lost_is_taken_up_again() {
    let mut cluster = Cluster::new();
    let set = desired([config("c", "1"), config("other", "1")]);
    cluster.inventory = cluster.inventory.claim(&set, Epoch(1));
    let meta = LiveMeta {
        uid: "ours".to_owned(),
        owner: Some("web".to_owned()),
        id: Some(C.to_owned()),
        sig: Some(signature(1)),
        ..LiveMeta::default()
    };
    cluster.live.insert(key(C), meta);
    let action = action(&cluster, &set, &Policy::default());
    assert_eq!(action, Action::Apply { why: Why::Resume, uid: Some("ours".to_owned()) });
    // Dropped by the next release: deleted only after its uid is known.
    let less = desired([config("other", "1")]);
    let prune = |cluster: &Cluster| {
        let plan = make_plan(&less, &cluster.live, &cluster.inventory, &Policy::default());
        plan.prunes().next().unwrap().prune.clone()
    };
    assert_eq!(prune(&cluster), Prune::Hold(Hold::Unconfirmed));
    assert_eq!(cluster.inventory.confirm(&cluster.live), 1);
    assert!(matches!(prune(&cluster), Prune::Delete { uid, .. } if uid == "ours"));
}

#[test]
fn a_hand_made_object_with_all_our_marks_is_not_taken_for_a_lost_answer() {
    let mut cluster = Cluster::new();
    let set = desired([config("c", "1"), config("other", "1")]);
    cluster.inventory = cluster.inventory.claim(&set, Epoch(1));
    let meta = LiveMeta {
        uid: "theirs".to_owned(),
        owner: Some("web".to_owned()),
        id: Some(C.to_owned()),
        ..LiveMeta::default()
    };
    cluster.live.insert(key(C), meta);
    assert_eq!(cluster.inventory.confirm(&cluster.live), 0);
    let less = desired([config("other", "1")]);
    let plan = make_plan(&less, &cluster.live, &cluster.inventory, &Policy::default());
    assert_eq!(plan.prunes().next().unwrap().prune, Prune::Forget(Forget::NeverWritten));
}

/// What is planned for `c` once it is no longer desired.
fn dropped(change: impl FnOnce(&mut LiveMeta)) -> Prune {
    let (mut cluster, _) = applied();
    cluster.meddle(&key(C), change);
    let less = desired([config("other", "1")]);
    let plan = make_plan(&less, &cluster.live, &cluster.inventory, &Policy::default());
    plan.prunes().next().unwrap().prune.clone()
}

#[test]
fn a_dropped_object_is_deleted_with_its_uid() {
    let Prune::Delete { uid, guard, .. } = dropped(|_| {}) else { panic!() };
    assert!(uid.starts_with("uid-"));
    assert_eq!(guard, None);
}

#[test]
fn each_missing_proof_leaves_a_dropped_object_alone() {
    assert_eq!(dropped(|m| m.uid = "x".to_owned()), Prune::Forget(Forget::Recreated));
    assert_eq!(dropped(|m| m.owner = None), Prune::Forget(Forget::Taken(None)));
    let other = Prune::Forget(Forget::Taken(Some("db".to_owned())));
    assert_eq!(dropped(|m| m.owner = Some("db".to_owned())), other);
    assert_eq!(dropped(|m| m.id = None), Prune::Forget(Forget::CopiedMarks));
    assert_eq!(dropped(|m| m.id = Some("/X//y".to_owned())), Prune::Forget(Forget::CopiedMarks));
}

#[test]
fn a_dropped_object_that_asks_to_stay_is_let_go() {
    let kept = dropped(|m| m.keep = Some("helm.sh/resource-policy: keep".to_owned()));
    let asks = Detach::AsksToStay("helm.sh/resource-policy: keep".to_owned());
    assert_eq!(kept, Prune::Detach(asks));
}

#[test]
fn the_marks_that_ask_to_stay_are_read_from_the_live_object() {
    let ownership = plan::Ownership::of(&super::world::app());
    let read = |name: &str, value: &str| {
        let object = json!({"metadata": {"uid": "u", "annotations": {name: value}}});
        LiveMeta::read(&object, &ownership).unwrap().keep.is_some()
    };
    assert!(read("tidegate.dev/prune", "disabled"));
    assert!(read("kustomize.toolkit.fluxcd.io/prune", "disabled"));
    assert!(read("argocd.argoproj.io/sync-options", "Validate=false, Prune=false"));
    assert!(read("helm.sh/resource-policy", "keep"));
    assert!(!read("argocd.argoproj.io/sync-options", "Replace=true"));
    assert!(!read("tidegate.dev/prune", "enabled"));
}

#[test]
fn definitions_and_namespaces_go_last_and_only_when_empty() {
    let mut cluster = Cluster::new();
    let all = desired([
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "things.a.example"},
            "spec": {"group": "a.example", "scope": "Namespaced", "names": {"kind": "Thing"}}}),
        json!({"apiVersion": "a.example/v1", "kind": "Thing", "metadata": {"name": "t"}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}}),
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "w"}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stays", "namespace": "x"}}),
    ]);
    let plan = make_plan(&all, &cluster.live, &cluster.inventory, &Policy::default());
    cluster.run(&all, &plan);
    let less = desired([
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stays", "namespace": "x"}}),
    ]);
    let plan = make_plan(&less, &cluster.live, &cluster.inventory, &Policy::default());
    let kinds: Vec<&str> = plan.prunes().map(|task| task.key.kind.as_str()).collect();
    let order = [
        "ValidatingWebhookConfiguration",
        "Thing",
        "Deployment",
        "CustomResourceDefinition",
        "Namespace",
    ];
    assert_eq!(kinds, order);
    let guards: Vec<Option<Guard>> = plan
        .prunes()
        .filter_map(|task| {
            let Prune::Delete { guard, .. } = &task.prune else { return None };
            Some(*guard)
        })
        .collect();
    assert_eq!(guards[3..], [Some(Guard::NoInstances), Some(Guard::NamespaceEmpty)]);
}

#[test]
fn what_kubernetes_puts_into_a_namespace_is_no_content() {
    let plain = LiveMeta { uid: "u".to_owned(), ..LiveMeta::default() };
    let owned = LiveMeta { owner_uids: vec!["d".to_owned()], ..plain.clone() };
    assert!(!is_content(&key("/ServiceAccount/shop/default"), &plain));
    assert!(!is_content(&key("/ConfigMap/shop/kube-root-ca.crt"), &plain));
    assert!(!is_content(&key("/Pod/shop/web-1"), &owned));
    assert!(is_content(&key("/ConfigMap/shop/web"), &plain));
    assert!(is_content(&key("/ServiceAccount/shop/web"), &plain));
}

#[test]
fn an_object_that_moves_to_another_group_is_not_deleted() {
    let mut cluster = Cluster::new();
    let ingress = |api_version: &str| json!({"apiVersion": api_version, "kind": "Ingress", "metadata": {"name": "i"}});
    let before = desired([ingress("extensions/v1beta1")]);
    let plan = make_plan(&before, &cluster.live, &cluster.inventory, &Policy::default());
    cluster.run(&before, &plan);
    let same = LiveMeta { uid: "uid-1".to_owned(), ..LiveMeta::default() };
    cluster.live.insert(key("networking.k8s.io/Ingress/shop/i"), same);
    let after = desired([ingress("networking.k8s.io/v1")]);
    let plan = make_plan(&after, &cluster.live, &cluster.inventory, &Policy::default());
    assert_eq!(plan.prunes().next().unwrap().prune, Prune::Gone);
}

#[test]
fn needs_name_what_must_stand_before() {
    let rbac = "rbac.authorization.k8s.io/v1";
    let set = desired([
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
        json!({"apiVersion": rbac, "kind": "Role", "metadata": {"name": "r"}}),
        json!({"apiVersion": rbac, "kind": "RoleBinding", "metadata": {"name": "b"},
            "roleRef": {"kind": "Role", "name": "r"}}),
    ]);
    let empty = Cluster::new();
    let plan = make_plan(&set, &empty.live, &empty.inventory, &Policy::default());
    let binding = plan.tasks().find(|task| task.key.kind == "RoleBinding").unwrap();
    let needs: Vec<(&str, Until)> =
        binding.needs.iter().map(|need| (need.key.kind.as_str(), need.until)).collect();
    assert_eq!(needs, [("Namespace", Until::NamespaceActive), ("Role", Until::Applied)]);
    assert_ne!(Met::Yes, Met::NotYet(String::new()));
}

#[test]
fn a_later_wave_waits_for_the_health_of_the_earlier() {
    let mut second = config("b", "1");
    second["metadata"]["annotations"] = json!({"tidegate.dev/wave": "1"});
    let set = desired([config("a", "1"), second]);
    let empty = Cluster::new();
    let plan = make_plan(&set, &empty.live, &empty.inventory, &Policy::default());
    let waits: Vec<bool> = plan.apply.iter().map(|step| step.after_healthy_waves).collect();
    assert_eq!(waits, [false, true]);
}

fn none() -> BTreeSet<String> {
    BTreeSet::new()
}

/// A cluster with `count` objects applied.
fn crowd(count: usize) -> Cluster {
    let mut cluster = Cluster::new();
    let set = desired((0..count).map(|n| config(&format!("c-{n}"), "1")));
    let plan = make_plan(&set, &cluster.live, &cluster.inventory, &Policy::default());
    cluster.run(&set, &plan);
    cluster
}

#[test]
fn an_empty_set_is_refused_and_a_person_may_allow_it_for_once() {
    let cluster = crowd(3);
    let blocked = gates(&desired([]), &cluster.inventory, &none(), &BTreeSet::new()).unwrap_err();
    assert_eq!(blocked.len(), 1);
    assert_eq!((blocked[0].gate, blocked[0].reason), (Gate::EmptySet, Reason::EmptySetBlocked));
    let allowed = BTreeSet::from([Gate::EmptySet]);
    assert!(gates(&desired([]), &cluster.inventory, &none(), &allowed).is_ok());
    let fresh = Cluster::new();
    assert!(gates(&desired([]), &fresh.inventory, &none(), &BTreeSet::new()).is_ok());
}

#[test]
fn an_empty_set_deletes_only_when_a_person_wants_it() {
    let cluster = crowd(3);
    let plan = |purge| {
        let policy = Policy { purge, ..Policy::default() };
        make_plan(&desired([]), &cluster.live, &cluster.inventory, &policy)
    };
    assert!(plan(false).is_empty());
    let deleted = |task: &plan::PruneTask| matches!(task.prune, Prune::Delete { .. });
    assert_eq!(plan(true).prunes().filter(|task| deleted(task)).count(), 3);
}

#[test]
fn a_mass_prune_is_refused_and_a_small_one_is_not() {
    let open = |total: usize, kept: usize| {
        let cluster = crowd(total);
        let set = desired((0..kept).map(|n| config(&format!("c-{n}"), "1")));
        gates(&set, &cluster.inventory, &none(), &BTreeSet::new()).is_ok()
    };
    assert!(open(12, 2), "10 of 12: not more than 10 objects");
    assert!(!open(12, 1), "11 of 12: more than 10 and more than 30 %");
    assert!(open(40, 28), "12 of 40: 30 %, not more");
    assert!(!open(40, 27), "13 of 40: more than 30 %");
}

#[test]
fn dropping_every_namespace_that_holds_something_is_refused() {
    let namespace =
        |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let mut cluster = Cluster::new();
    let all = desired([namespace("shop"), namespace("bank"), config("c", "1")]);
    let plan = make_plan(&all, &cluster.live, &cluster.inventory, &Policy::default());
    cluster.run(&all, &plan);
    let full = BTreeSet::from(["shop".to_owned()]);
    let wipe = gates(&desired([config("c", "1")]), &cluster.inventory, &full, &BTreeSet::new());
    assert_eq!(wipe.unwrap_err()[0].gate, Gate::NamespaceWipe);
    let keeps = desired([namespace("bank"), config("c", "1")]);
    assert!(gates(&keeps, &cluster.inventory, &full, &BTreeSet::new()).is_ok());
    assert!(
        gates(&desired([config("c", "1")]), &cluster.inventory, &none(), &BTreeSet::new()).is_ok()
    );
}

#[test]
fn what_a_cluster_cannot_live_without_is_protected() {
    let protected = [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}}),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}),
        json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.apps"}, "spec": {}}),
    ];
    let fresh = Cluster::new();
    for object in protected {
        let blocked = gates(&desired([object]), &fresh.inventory, &none(), &BTreeSet::new());
        assert_eq!(blocked.unwrap_err()[0].gate, Gate::Protected);
    }
    let mut inside = config("c", "1");
    inside["metadata"]["namespace"] = json!("kube-system");
    assert!(gates(&desired([inside]), &fresh.inventory, &none(), &BTreeSet::new()).is_ok());
}

#[test]
fn without_managed_fields_the_resource_version_has_to_tell_drift() {
    let (cluster, _) = applied();
    let mut entry = cluster.inventory.get(&key(C)).unwrap().clone();
    entry.sig = None;
    let mut meta = LiveMeta {
        uid: entry.uid.clone().unwrap(),
        resource_version: entry.resource_version.clone(),
        ..LiveMeta::default()
    };
    assert_eq!(drift(&entry, plan::Sight::Present(&meta)), Drift::None);
    meta.resource_version = "999".to_owned();
    assert!(drift(&entry, plan::Sight::Present(&meta)).is_drift());
}

#[test]
fn a_signature_follows_our_entry_and_no_other() {
    let fields = |time: &str, ours: Value| {
        json!({"managedFields": [
            {"manager": "kubectl", "operation": "Apply", "time": "t0", "fieldsV1": {"f:x": {}}},
            {"manager": "m", "operation": "Update", "time": "t1", "fieldsV1": {"f:y": {}}},
            {"manager": "m", "operation": "Apply", "subresource": "status", "fieldsV1": {}},
            {"manager": "m", "operation": "Apply", "apiVersion": "v1", "time": time, "fieldsV1": ours},
        ]})
    };
    let of = |meta: Value| plan::Signature::of(&meta, "m");
    let base = of(fields("t1", json!({"f:a": {}, "f:b": {}}))).unwrap();
    assert_eq!(
        of(fields("t1", json!({"f:b": {}, "f:a": {}}))),
        Some(base),
        "order does not matter"
    );
    assert_ne!(
        of(fields("t2", json!({"f:a": {}, "f:b": {}}))),
        Some(base),
        "a later write of ours"
    );
    assert_ne!(of(fields("t1", json!({"f:a": {}}))), Some(base), "a field taken by another");
    assert_eq!(of(json!({"managedFields": []})), None);
    assert_eq!(of(json!({})), None);
}

#[test]
fn detaching_takes_our_marks_and_leaves_the_data() {
    let ownership = plan::Ownership::of(&super::world::app());
    let live = json!({"metadata": {
        "resourceVersion": "12",
        "labels": {"tidegate.dev/app": "web", "x": "y"},
        "annotations": {"tidegate.dev/id": C},
        "managedFields": [{"manager": "tidegate-agent/web", "operation": "Apply"}]
    }, "data": {"k": "v"}});
    let patch = ownership.detach_patch(&live);
    assert_eq!(
        patch,
        [
            json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "12"}),
            json!({"op": "remove", "path": "/metadata/labels/tidegate.dev~1app"}),
            json!({"op": "remove", "path": "/metadata/annotations/tidegate.dev~1id"}),
            json!({"op": "replace", "path": "/metadata/managedFields", "value": [{}]}),
        ]
    );
    assert!(ownership.detach_patch(&json!({"metadata": {"resourceVersion": "1"}})).is_empty());
}

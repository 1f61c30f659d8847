//! Hooks run exactly once a release, whatever dies in between.

use model::Epoch;
use plan::{
    Desired, HookAction, HookPhase, HookResult, Inventory, Key, Live, LiveMeta, admit, hook_tasks,
    stale_runs,
};
use serde_json::{Value, json};

use super::world::{Kinds, app, content, desired, options, signature};

fn job(name: &str, annotations: Value) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": name, "namespace": "shop", "annotations": annotations}})
}

fn config(value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "shop"}, "data": {"k": value}})
}

fn migrate() -> Value {
    job("migrate", json!({"tidegate.dev/hook": "pre-apply"}))
}

fn only(set: &Desired, inventory: &Inventory, live: &Live) -> HookAction {
    let tasks = hook_tasks(set, inventory, HookPhase::PreApply, live);
    assert_eq!(tasks.len(), 1);
    tasks[0].action.clone()
}

/// The hook's object as the cluster shows it.
fn running(set: &Desired, uid: &str) -> Live {
    let key = set.hooks().next().unwrap().key.clone();
    let meta = LiveMeta {
        uid: uid.to_owned(),
        owner: Some("web".to_owned()),
        id: Some(key.id()),
        sig: Some(signature(1)),
        ..LiveMeta::default()
    };
    let mut live = Live::new();
    live.insert(key, meta);
    live
}

/// As after a restart.
fn reread(inventory: &Inventory) -> Inventory {
    let key = Key::new([9; 32]);
    Inventory::open(&inventory.seal(&key).unwrap(), &key).unwrap()
}

#[test]
fn a_hook_is_no_object_of_the_set() {
    let set = desired([migrate(), config("1")]);
    assert_eq!(set.objects().len(), 1);
    let hook = set.hooks().next().unwrap();
    assert!(hook.key.name.starts_with("migrate-") && hook.key.name.len() == "migrate-".len() + 8);
    assert_eq!(hook.body["metadata"]["name"], json!(hook.key.name));
    assert_eq!(hook.body["metadata"]["labels"]["tidegate.dev/app"], json!("web"));
}

#[test]
fn a_hook_runs_once_through_every_crash() {
    let set = desired([migrate(), config("1")]);
    let hook = set.hooks().next().unwrap();
    let (empty, live) = (Live::new(), running(&set, "u"));
    let mut inventory = Inventory::new(app());
    assert_eq!(only(&set, &inventory, &empty), HookAction::Run);
    inventory.hook_announced(&hook.run, &hook.key, "v1");
    // Died before the create, and after it without an answer.
    assert_eq!(only(&set, &reread(&inventory), &empty), HookAction::Run);
    let watch = HookAction::Watch { uid: "u".to_owned() };
    assert_eq!(only(&set, &reread(&inventory), &live), watch);
    inventory.hook_started(&hook.run, "u");
    assert_eq!(only(&set, &reread(&inventory), &live), watch);
    inventory.hook_ended(&hook.run, HookResult::Succeeded);
    inventory.hook_ended(&hook.run, HookResult::Failed);
    // Cleaned up by its own time limit, or still there: it ran, and well.
    for live in [&empty, &live] {
        let action = only(&set, &reread(&inventory), live);
        assert_eq!(action, HookAction::Ended(HookResult::Succeeded));
    }
}

#[test]
fn a_hook_that_vanished_unseen_is_not_run_twice_unless_its_author_says_so() {
    let live = Live::new();
    let lost = |annotations: Value| {
        let set = desired([job("migrate", annotations), config("1")]);
        let hook = set.hooks().next().unwrap();
        let mut inventory = Inventory::new(app());
        inventory.hook_announced(&hook.run, &hook.key, "v1");
        inventory.hook_started(&hook.run, "u");
        // Somebody made another of the same name: that is not our run either.
        let other = only(&set, &inventory, &running(&set, "other"));
        (only(&set, &inventory, &live), other)
    };
    let (gone, replaced) = lost(json!({"tidegate.dev/hook": "pre-apply"}));
    assert_eq!((gone, replaced), (HookAction::Lost, HookAction::Lost));
    let again = json!({"tidegate.dev/hook": "pre-apply", "tidegate.dev/hook-lost": "rerun"});
    assert_eq!(lost(again).0, HookAction::Run);
}

#[test]
fn the_next_release_runs_it_again_and_cleans_up_after_the_last() {
    let (first, second) = (desired([migrate(), config("1")]), desired([migrate(), config("2")]));
    let hook = first.hooks().next().unwrap();
    let mut inventory = Inventory::new(app()).claim(&first, Epoch(1));
    inventory.hook_announced(&hook.run, &hook.key, "v1");
    inventory.hook_started(&hook.run, "u");
    inventory.hook_ended(&hook.run, HookResult::Failed);
    assert_eq!(only(&first, &inventory, &Live::new()), HookAction::Ended(HookResult::Failed));
    assert_eq!(only(&second, &inventory, &Live::new()), HookAction::Run);
    assert!(stale_runs(&first, &inventory).is_empty());
    let stale = stale_runs(&second, &inventory);
    assert_eq!(stale.len(), 1);
    assert_eq!(stale[0].1.key, hook.key);
    // A sync in between does not forget it.
    assert_eq!(inventory.claim(&second, Epoch(2)).runs(), inventory.runs());
}

#[test]
fn hooks_of_other_tools_are_understood_when_asked() {
    let helm = job("h", json!({"helm.sh/hook": "pre-upgrade,pre-install"}));
    let argo = job("a", json!({"argocd.argoproj.io/hook": "SyncFail"}));
    let admitted = |foreign_hooks| {
        let options = plan::AdmitOptions { foreign_hooks, ..options() };
        let contents = [helm.clone(), argo.clone()].map(content).to_vec();
        admit(&app(), contents, &Kinds, &options).unwrap()
    };
    assert_eq!(admitted(false).hooks().count(), 0);
    let set = admitted(true);
    let phases: Vec<HookPhase> = set.hooks().map(|hook| hook.phase).collect();
    assert_eq!(phases.len(), 2);
    assert!(phases.contains(&HookPhase::PreApply) && phases.contains(&HookPhase::OnFailure));
}

#[test]
fn a_hook_that_cannot_be_read_is_refused() {
    for (name, value) in [
        ("tidegate.dev/hook", "sometimes"),
        ("tidegate.dev/hook-lost", "shrug"),
        ("tidegate.dev/hook-delete", "maybe"),
    ] {
        let mut annotations = json!({"tidegate.dev/hook": "pre-apply"});
        annotations[name] = json!(value);
        let faults =
            admit(&app(), vec![content(job("j", annotations))], &Kinds, &options()).unwrap_err();
        assert_eq!(faults.len(), 1, "{name}");
        assert_eq!(faults[0].path, format!("metadata.annotations[\"{name}\"]"));
    }
}

//! Bugs on purpose: each check that is left out turns a law red. Those of the deletion proofs, the order
//! and the epochs stand beside their properties.

use std::collections::BTreeSet;

use model::{Epoch, ObjectKey};
use plan::check::{Law, check};
use plan::mutations::{self, Bug};
use plan::{
    Answer, Asked, ConflictCause, DiffOptions, Key, LiveMeta, Migrate, Ownership, Policy, Prune,
    Recreate, Resolution, Schemas, Sight, Verb, classify, diff, plan as make_plan,
    recreate_decision, resolve,
};
use serde_json::{Value, json};

use super::world::{Cluster, app, desired, key};

fn config(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}})
}

fn applied(names: &[&str]) -> Cluster {
    let mut cluster = Cluster::new();
    let set = desired(names.iter().map(|name| config(name)));
    let plan = make_plan(&set, &cluster.live, &cluster.inventory, &Policy::default());
    cluster.run(&set, &plan);
    cluster
}

#[test]
fn taking_a_stale_group_for_gone_is_noticed() {
    let mut cluster = applied(&["c", "stays"]);
    cluster.live.blind("", "ConfigMap");
    let less = desired([config("stays")]);
    let (policy, Cluster { live, inventory, .. }) = (Policy::default(), &cluster);
    let laws = |plan: &plan::Plan| -> BTreeSet<Law> {
        check(&less, live, inventory, &policy, plan).into_iter().map(|note| note.law).collect()
    };
    assert!(laws(&make_plan(&less, live, inventory, &policy)).is_empty());
    let bad = mutations::plan(&less, live, inventory, Bug::StaleIsGone);
    assert!(laws(&bad).contains(&Law::SeenBeforeForgotten), "{bad:?}");
    // And what is desired would be written blindly.
    let unseen = desired([config("new")]);
    let bad = mutations::plan(&unseen, live, inventory, Bug::StaleIsGone);
    let notes = check(&unseen, live, inventory, &policy, &bad);
    assert!(notes.iter().any(|note| note.law == Law::HandsOff));
}

/// Objects that nobody remembers after a crash between the first write and its answer, when the next
/// release no longer wants them.
fn orphans(claim: impl Fn(&Cluster, &plan::Desired) -> plan::Inventory) -> Vec<ObjectKey> {
    let mut cluster = applied(&["stays"]);
    let set = desired([config("stays"), config("new")]);
    cluster.inventory = claim(&cluster, &set);
    // The write reached the server; the answer never came.
    let meta = LiveMeta {
        uid: "new".to_owned(),
        owner: Some(app().to_string()),
        id: Some("/ConfigMap/shop/new".to_owned()),
        sig: Some(super::world::signature(5)),
        ..LiveMeta::default()
    };
    cluster.live.insert(key("/ConfigMap/shop/new"), meta);
    let next = desired([config("stays")]);
    cluster.inventory.confirm(&cluster.live);
    let plan = make_plan(&next, &cluster.live, &cluster.inventory, &Policy::default());
    cluster.run(&next, &plan);
    cluster.live.iter().map(|(key, _)| key.clone()).filter(|key| next.get(key).is_none()).collect()
}

#[test]
fn an_inventory_that_is_written_after_the_objects_leaves_orphans_and_is_noticed() {
    let right = |cluster: &Cluster, set: &plan::Desired| cluster.inventory.claim(set, Epoch(2));
    assert!(orphans(right).is_empty());
    let late = |cluster: &Cluster, set: &plan::Desired| {
        mutations::claim(&cluster.inventory, set, Epoch(2), Bug::ClaimAfter)
    };
    assert_eq!(orphans(late), [key("/ConfigMap/shop/new")]);
}

#[test]
fn forcing_another_apps_field_is_noticed() {
    let theirs = ConflictCause {
        manager: "tidegate-agent/db".to_owned(),
        field: ".data.k".to_owned(),
        through_scale: false,
    };
    assert_eq!(resolve(std::slice::from_ref(&theirs)), Resolution::Fail);
    assert_ne!(mutations::resolve(&[theirs], Bug::AlwaysForce), Resolution::Fail);
}

#[test]
fn replacing_an_object_whose_manifest_is_wrong_is_noticed() {
    let cluster = applied(&["c"]);
    let set = desired([config("c")]);
    let at = key("/ConfigMap/shop/c");
    let Sight::Present(meta) = cluster.live.get(&at) else { panic!() };
    let (object, entry) = (set.get(&at).unwrap(), cluster.inventory.get(&at).unwrap());
    let status = json!({"kind": "Status", "reason": "Invalid", "message": "spec: Required value"});
    let asked =
        Asked { verb: Verb::Apply, key: &at, namespace_planned: false, definition_planned: false };
    let answer = Answer { code: 422, status: Some(&status), text: "", retry_after: None };
    let failure = plan::probe_verdict(classify(&asked, &answer), 422);
    let right = recreate_decision(object, entry, meta, &app(), true, &failure);
    assert!(matches!(right, Recreate::Refuse(_)));
    let whole = (object, entry, meta, &app());
    let wrong = mutations::recreate_decision(whole, true, &failure, Bug::RecreateOnInvalid);
    assert!(matches!(wrong, Recreate::Do { .. }));
}

#[test]
fn a_difference_that_shows_a_secret_is_noticed() {
    let secret = |value: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": value}});
    let (ownership, schemas, key) = (Ownership::of(&app()), Schemas::new(), Key::new([1; 32]));
    let migrate = Migrate::default();
    let options = DiffOptions::new(&ownership, &schemas, &key, &migrate);
    let (old, new) = (secret("Y29ycmVjdC1ob3JzZQ=="), secret("YmF0dGVyeS1zdGFwbGU="));
    let said = format!("{:?}", diff(&new, &old, &options));
    assert!(said.contains("data.k") && !said.contains("Y29ycmVj") && !said.contains("YmF0dGV"));
    let said = format!("{:?}", mutations::diff(&new, &old, &options, Bug::ShowSecrets));
    assert!(said.contains("Y29ycmVj"));
}

#[test]
fn a_plan_that_prunes_what_another_app_will_take_is_noticed() {
    let cluster = applied(&["c", "stays"]);
    let less = desired([config("stays")]);
    let to = model::AppName::parse("db").unwrap();
    let policy = Policy { leaving: [(key("/ConfigMap/shop/c"), to)].into(), ..Policy::default() };
    let Cluster { live, inventory, .. } = &cluster;
    assert!(
        check(&less, live, inventory, &policy, &make_plan(&less, live, inventory, &policy))
            .is_empty()
    );
    let careless = make_plan(&less, live, inventory, &Policy::default());
    assert!(matches!(careless.prunes().next().unwrap().prune, Prune::Delete { .. }));
    let notes = check(&less, live, inventory, &policy, &careless);
    assert!(notes.iter().any(|note| note.law == Law::Kept));
}

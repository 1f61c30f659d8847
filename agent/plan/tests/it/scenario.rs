//! The scenarios that a pure brain can answer, by their number.

use std::collections::BTreeSet;

use model::{Directive, Epoch, Grant, LeaseEpoch, Reason};
use plan::accept::{Decision, Stored, accept};
use plan::{Gate, Overrides, Policy, admit, gates, plan as make_plan};
use serde_json::{Value, json};

use super::world::{Cluster, Kinds, app, content, desired, options};

fn config(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}})
}

fn crowd(count: usize) -> Cluster {
    let mut cluster = Cluster::new();
    let set = desired((0..count).map(|n| config(&format!("c-{n:03}"))));
    let plan = make_plan(&set, &cluster.live, &cluster.inventory, &Policy::default());
    cluster.run(&set, &plan);
    cluster
}

#[test]
fn s08_a_cycle_and_a_duplicate_are_told_at_once_and_nothing_is_admitted() {
    let needs = |name: &str, other: &str| {
        let mut object = config(name);
        let reference = format!("/namespaces/shop/ConfigMap/{other}");
        object["metadata"]["annotations"] = json!({"tidegate.dev/depends-on": reference});
        object
    };
    let set = [needs("a", "b"), needs("b", "a"), config("c"), config("c"), needs("d", "nowhere")];
    let faults = admit(&app(), set.map(content).to_vec(), &Kinds, &options()).unwrap_err();
    let said: Vec<(usize, bool)> =
        faults.iter().map(|fault| (fault.index, fault.message.contains("ring"))).collect();
    assert_eq!(said, [(0, true), (1, true), (3, false), (4, false)], "{faults:#?}");
}

#[test]
fn s28_an_empty_set_is_blocked_and_deletes_nothing() {
    let cluster = crowd(3);
    let none = BTreeSet::new();
    let blocked = gates(&desired([]), &cluster.inventory, &none, &BTreeSet::new()).unwrap_err();
    assert_eq!(blocked[0].reason, Reason::EmptySetBlocked);
    let plan = make_plan(&desired([]), &cluster.live, &cluster.inventory, &Policy::default());
    assert!(plan.is_empty());
    // What was not verified is never accepted: another content under the epoch that is held is refused.
    let grant = |text: &str| Grant { epoch: Epoch(3), digest: model::Digest::of(text.as_bytes()) };
    let held = Stored {
        epoch: Epoch(3),
        digest: Some(grant("held").digest),
        fence: Epoch(0),
        hub_term: LeaseEpoch(1),
    };
    let answer = accept(&held, LeaseEpoch(1), &Directive::Grant(grant("other")));
    assert_eq!(answer, Decision::Refuse(Reason::EpochFork));
}

#[test]
fn s29_forty_percent_are_blocked_until_a_person_allows_it_for_that_grant() {
    let cluster = crowd(100);
    let less = desired((0..60).map(|n| config(&format!("c-{n:03}"))));
    let none = BTreeSet::new();
    let overrides = Overrides { epoch: Epoch(7), gates: BTreeSet::from([Gate::MassPrune]) };
    let judge = |epoch| gates(&less, &cluster.inventory, &none, &overrides.at(epoch));
    let blocked = judge(Epoch(6)).unwrap_err();
    assert_eq!(blocked[0].reason, Reason::MassPruneBlocked);
    assert!(blocked[0].message.contains("40 of 100"));
    assert!(judge(Epoch(7)).is_ok());
    assert!(judge(Epoch(8)).is_err(), "what was allowed for one grant says nothing about the next");
}

//! No law is broken in any world; and each check that is left out breaks one.

use std::collections::BTreeSet;

use plan::check::{Law, Note, check};
use plan::mutations::{self, Bug};
use plan::{Action, Gate, Inventory, Key, Policy, Prune, gates, plan as make_plan};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::world::{World, worlds};

/// Rounds after which a cluster that does what it is told must be at rest.
const ROUNDS: usize = 4;

fn planned(world: &World) -> plan::Plan {
    make_plan(&world.desired, &world.cluster.live, &world.cluster.inventory, &Policy::default())
}

fn noted(world: &World, plan: &plan::Plan) -> Vec<Note> {
    let World { cluster, desired } = world;
    check(desired, &cluster.live, &cluster.inventory, &Policy::default(), plan)
}

proptest! {
    #[test]
    fn no_plan_breaks_a_law(world in worlds()) {
        let notes = noted(&world, &planned(&world));
        prop_assert!(notes.is_empty(), "{notes:#?}");
    }

    #[test]
    fn a_confirmed_claim_is_deleted_with_three_proofs_too(mut world in worlds()) {
        world.cluster.inventory.confirm(&world.cluster.live);
        let notes = noted(&world, &planned(&world));
        prop_assert!(notes.is_empty(), "{notes:#?}");
    }

    #[test]
    fn after_a_plan_was_carried_out_the_next_one_is_empty(mut world in worlds()) {
        for _ in 0..ROUNDS {
            world.cluster.inventory.confirm(&world.cluster.live);
            let plan = planned(&world);
            world.cluster.run(&world.desired, &plan);
        }
        let rest = planned(&world);
        let open: Vec<_> = rest.tasks().filter(|t| t.action != Action::NoOp).collect();
        // What belongs to another App stays a conflict for ever; everything else is at rest.
        let conflicts = open.iter().all(|t| matches!(t.action, Action::Conflict { .. }));
        prop_assert!(conflicts, "{open:#?}");
        let held = rest.prunes().all(|t| matches!(t.prune, Prune::Hold(_)));
        prop_assert!(held, "{:#?}", rest.prune);
    }

    #[test]
    fn an_empty_set_is_blocked_and_deletes_nothing(world in worlds()) {
        if !world.desired.objects().is_empty() || world.cluster.inventory.entries().is_empty() {
            return Ok(());
        }
        let none = BTreeSet::new();
        let blocked = gates(&world.desired, &world.cluster.inventory, &none, &BTreeSet::new());
        prop_assert!(blocked.unwrap_err().iter().any(|b| b.gate == Gate::EmptySet));
        prop_assert!(planned(&world).is_empty());
    }

    #[test]
    fn a_claim_loses_nothing_and_names_all_that_will_be_written(world in worlds()) {
        let before = &world.cluster.inventory;
        let claimed = before.claim(&world.desired, model::Epoch(9));
        for (key, entry) in before.entries() {
            let kept = claimed.get(key).unwrap();
            prop_assert_eq!((&kept.uid, kept.sig), (&entry.uid, entry.sig));
        }
        for task in planned(&world).tasks().filter(|t| t.action.writes()) {
            prop_assert!(claimed.get(&task.key).is_some());
        }
    }

    #[test]
    fn an_inventory_reads_back_and_no_changed_byte_goes_unseen(world in worlds(), at in any::<usize>()) {
        let key = Key::new([3; 32]);
        let bytes = world.cluster.inventory.seal(&key).unwrap();
        prop_assert_eq!(&Inventory::open(&bytes, &key).unwrap(), &world.cluster.inventory);
        prop_assert!(Inventory::open(&bytes, &Key::new([4; 32])).is_err());
        let mut changed = bytes.clone();
        let at = at % changed.len();
        changed[at] ^= 1;
        if let Ok(read) = Inventory::open(&changed, &key) {
            prop_assert_eq!(&read, &world.cluster.inventory, "byte {} changed what is read", at);
        }
    }
}

/// Some worlds, always the same.
fn some_worlds(count: usize) -> impl Iterator<Item = World> {
    let mut runner = TestRunner::deterministic();
    let strategy = worlds();
    (0..count).map(move |_| strategy.new_tree(&mut runner).unwrap().current())
}

/// Whether a seeded bug breaks `law` within a thousand worlds.
fn breaks(bug: Bug, law: Law) -> bool {
    some_worlds(1000).any(|world| {
        let World { cluster, desired } = &world;
        let plan = mutations::plan(desired, &cluster.live, &cluster.inventory, bug);
        noted(&world, &plan).iter().any(|note| note.law == law)
    })
}

#[test]
fn deleting_without_the_uid_check_is_noticed() {
    assert!(breaks(Bug::NoUidCheck, Law::UidProof));
}

#[test]
fn deleting_without_the_label_check_is_noticed() {
    assert!(breaks(Bug::NoLabelCheck, Law::LabelProof));
}

#[test]
fn deleting_without_the_tracking_id_check_is_noticed() {
    assert!(breaks(Bug::NoIdCheck, Law::IdProof));
}

#[test]
fn pruning_on_an_empty_set_is_noticed() {
    assert!(breaks(Bug::PruneOnEmpty, Law::EmptyIsNoOrder));
    let passed = some_worlds(200).any(|world| {
        let full = !world.cluster.inventory.entries().is_empty();
        let empty = world.desired.objects().is_empty();
        let open = mutations::gates(&world.desired, &world.cluster.inventory, Bug::PruneOnEmpty);
        full && empty && open.is_ok()
    });
    assert!(passed, "the seeded gate must let an empty set through");
}

#[test]
fn applying_without_order_is_noticed() {
    assert!(breaks(Bug::NoOrder, Law::DependenciesFirst));
}

#[test]
fn deleting_in_the_order_of_applying_is_noticed() {
    assert!(breaks(Bug::NoReverse, Law::DependenciesLast));
    assert!(breaks(Bug::NoReverse, Law::ContainersLast));
}

#[test]
fn deleting_what_an_object_that_stays_needs_is_noticed() {
    assert!(breaks(Bug::DropNeeded, Law::NeededStays));
}

/// The worlds are worth the name: each kind of end that a prune can have, and each action, occurs.
#[test]
fn the_worlds_are_wide() {
    let mut seen = BTreeSet::new();
    for world in some_worlds(300) {
        let plan = planned(&world);
        for task in plan.tasks() {
            let text = format!("{:?}", task.action);
            seen.insert(text.split([' ', '{', '(']).next().unwrap_or_default().to_owned());
        }
        for task in plan.prunes() {
            let text = format!("{:?}", task.prune);
            seen.insert(text.split([' ', '{']).next().unwrap_or_default().to_owned());
        }
    }
    for word in [
        "NoOp",
        "Apply",
        "WaitTerminating",
        "Conflict",
        "Delete",
        "Deleting",
        "Gone",
        "Forget(Recreated)",
        "Forget(Taken(None))",
        "Forget(CopiedMarks)",
        "Hold(Unconfirmed)",
        "Hold(NeededBy(ObjectKey",
        "Detach(NeededBy(ObjectKey",
        "Detach(AsksToStay(\"keep:",
    ] {
        assert!(seen.contains(word), "{word} is not among {seen:?}");
    }
}

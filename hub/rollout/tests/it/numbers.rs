//! From shares to integers, and from clusters to an order.

use std::collections::BTreeMap;

use model::{AppName, ClusterName, ClusterUid, Digest, Selector};
use proptest::prelude::*;
use rollout::{
    Amount, App, ClusterObs, Expect, Members, OnUntarget, Plan, Strategy, Targets, Variants, plan,
};

use rollout::sim::uid;

#[test]
fn shares_round_down_once_and_clamp_to_the_size() {
    let limit = |amount: Amount, size| (amount.at_least_one(size), amount.tolerance(size));
    assert_eq!(limit(Amount::Percent(25), 7), (1, 1));
    assert_eq!(limit(Amount::Percent(1), 5), (1, 0));
    assert_eq!(limit(Amount::Count(10), 5), (5, 5));
    assert_eq!(limit(Amount::Count(0), 5), (1, 0));
    assert_eq!(limit(Amount::Percent(100), 3), (3, 3));
    assert_eq!(limit(Amount::Percent(33), 10), (3, 3));
    assert_eq!(limit(Amount::Percent(50), 0), (1, 0));
}

fn fleet(numbers: impl IntoIterator<Item = u64>) -> BTreeMap<ClusterUid, ClusterObs> {
    let cluster = |n: u64| ClusterObs {
        name: ClusterName::parse(&format!("k{n}")).unwrap(),
        labels: [("zone".to_owned(), format!("z{}", n % 3))].into(),
        facts: serde_json::Value::Null,
        connected: true,
        last_heard: None,
        report: None,
        deleted: false,
        cordon: None,
        pin: None,
        busy: 0,
    };
    numbers.into_iter().map(|n| (uid(n), cluster(n))).collect()
}

fn planned(strategy: &Strategy, clusters: &BTreeMap<ClusterUid, ClusterObs>) -> Plan {
    let targets = Targets {
        select: Selector::parse("true").unwrap(),
        exclude: None,
        expect: Expect::default(),
        on_untarget: OnUntarget::Retain,
    };
    let variants: Variants = clusters.keys().map(|u| (u.clone(), Digest::of(b"x"))).collect();
    let app = App::new(AppName::parse("web").unwrap());
    plan(&app, &targets, strategy, &variants, clusters).unwrap()
}

fn order(plan: &Plan) -> Vec<ClusterUid> {
    plan.waves.iter().flat_map(|w| w.members.clone()).collect()
}

#[test]
fn the_first_key_of_the_order_may_be_a_label() {
    let mut strategy = Strategy::default();
    strategy.assign.order = rollout::Order::Label("zone".to_owned());
    let clusters = fleet(0..9);
    let zones: Vec<_> = order(&planned(&strategy, &clusters))
        .iter()
        .map(|u| clusters[u].labels["zone"].clone())
        .collect();
    let mut sorted = zones.clone();
    sorted.sort();
    assert_eq!(zones, sorted);
}

proptest! {
    #[test]
    fn a_cluster_that_joins_or_leaves_moves_nobody_else(
        numbers in proptest::collection::btree_set(0u64..500, 2..40),
        seed in "[a-z]{0,8}",
    ) {
        let mut strategy = Strategy::default();
        strategy.assign.seed = seed;
        let gone = *numbers.iter().next().unwrap();
        let all = order(&planned(&strategy, &fleet(numbers.iter().copied())));
        let rest = order(&planned(&strategy, &fleet(numbers.iter().copied().filter(|n| *n != gone))));
        let without: Vec<_> = all.into_iter().filter(|u| *u != uid(gone)).collect();
        prop_assert_eq!(without, rest);
    }

    #[test]
    fn every_target_is_in_exactly_one_wave(
        numbers in proptest::collection::btree_set(0u64..500, 1..60),
        first in 1u8..=100,
        second in 1u32..20,
    ) {
        let mut strategy = Strategy::default();
        let take = |count| Members::Take { select: None, count, min: 0, largest: 0 };
        strategy.waves[0].members = take(Amount::Percent(first));
        let mut between = strategy.waves[0].clone();
        between.name = model::WaveName::parse("between").unwrap();
        between.members = take(Amount::Count(second));
        between.allow_empty = true;
        strategy.waves.insert(1, between);
        let clusters = fleet(numbers.iter().copied());
        let plan = planned(&strategy, &clusters);
        let mut members = order(&plan);
        members.sort();
        prop_assert_eq!(members, clusters.keys().cloned().collect::<Vec<_>>());
        let share = Amount::Percent(first).at_least_one(u32::try_from(numbers.len()).unwrap());
        prop_assert_eq!(plan.waves[0].members.len(), share as usize);
    }

    #[test]
    fn a_limit_is_within_one_and_the_size(count in 0u32..1000, percent in 0u8..=100, size in 0u32..1000) {
        for amount in [Amount::Count(count), Amount::Percent(percent)] {
            prop_assert!((1..=size.max(1)).contains(&amount.at_least_one(size)));
            prop_assert!(amount.tolerance(size) <= size);
        }
    }
}

//! Which directive may change what a cluster runs.

use model::{Digest, Directive, Epoch, Grant, LeaseEpoch, Reason};
use plan::accept::{Decision, Stored, accept};
use plan::mutations::{self, Bug};
use proptest::prelude::*;

fn digest(n: u8) -> Digest {
    Digest::of(&[n])
}

fn grant(epoch: u64, n: u8) -> Directive {
    Directive::Grant(Grant { epoch: Epoch(epoch), digest: digest(n) })
}

/// Epoch 5, fence 0, term 3.
fn stored() -> Stored {
    Stored { epoch: Epoch(5), digest: Some(digest(5)), fence: Epoch(0), hub_term: LeaseEpoch(3) }
}

const TERM: LeaseEpoch = LeaseEpoch(3);

#[test]
fn a_newer_grant_is_accepted() {
    let Decision::Accept(next) = accept(&stored(), TERM, &grant(6, 6)) else { panic!() };
    assert_eq!(next, Stored { epoch: Epoch(6), digest: Some(digest(6)), ..stored() });
}

#[test]
fn the_same_grant_again_changes_nothing() {
    assert_eq!(accept(&stored(), TERM, &grant(5, 5)), Decision::NoOp(stored()));
}

#[test]
fn an_older_grant_is_stale() {
    assert_eq!(accept(&stored(), TERM, &grant(4, 4)), Decision::Stale);
    assert_eq!(accept(&Stored::default(), TERM, &grant(0, 4)), Decision::Stale);
}

#[test]
fn two_digests_for_one_epoch_are_a_fork() {
    assert_eq!(accept(&stored(), TERM, &grant(5, 9)), Decision::Refuse(Reason::EpochFork));
}

#[test]
fn a_fence_shuts_out_what_was_not_accepted_before() {
    let Decision::Fenced(fenced) = accept(&stored(), TERM, &Directive::Fence(Epoch(7))) else {
        panic!()
    };
    assert_eq!((fenced.epoch, fenced.fence), (Epoch(5), Epoch(7)));
    assert_eq!(accept(&fenced, TERM, &grant(7, 7)), Decision::Stale);
    assert!(matches!(accept(&fenced, TERM, &grant(8, 8)), Decision::Accept(_)));
}

#[test]
fn a_fence_comes_too_late_for_what_was_accepted() {
    assert_eq!(accept(&stored(), TERM, &Directive::Fence(Epoch(5))), Decision::NoOp(stored()));
}

#[test]
fn a_fence_never_sinks() {
    let high = Stored { fence: Epoch(9), ..stored() };
    let Decision::Fenced(next) = accept(&high, TERM, &Directive::Fence(Epoch(7))) else { panic!() };
    assert_eq!(next.fence, Epoch(9));
}

#[test]
fn an_older_hub_is_refused_whatever_it_says() {
    for directive in [grant(9, 9), Directive::Hold, Directive::Fence(Epoch(9))] {
        let decision = accept(&stored(), LeaseEpoch(2), &directive);
        assert_eq!(decision, Decision::Refuse(Reason::StaleHub));
    }
}

#[test]
fn a_newer_hub_is_remembered() {
    let Decision::NoOp(heard) = accept(&stored(), LeaseEpoch(4), &Directive::Hold) else {
        panic!()
    };
    assert_eq!(heard, Stored { hub_term: LeaseEpoch(4), ..stored() });
}

type Message = (u64, Directive);

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let directive = prop_oneof![
        3 => (0..8u64, 0..3u8).prop_map(|(epoch, n)| grant(epoch, n)),
        1 => (0..8u64).prop_map(|epoch| Directive::Fence(Epoch(epoch))),
        1 => Just(Directive::Hold),
    ];
    proptest::collection::vec((0..4u64, directive), 1..40)
}

/// What a run of messages does; the first rule it breaks.
fn broken(
    messages: &[Message],
    judge: impl Fn(&Stored, LeaseEpoch, &Directive) -> Decision,
) -> Option<String> {
    let mut state = Stored::default();
    let mut promised = Vec::new();
    for (term, directive) in messages {
        let next = match judge(&state, LeaseEpoch(*term), directive) {
            Decision::Accept(next) => {
                if next.epoch <= state.epoch {
                    return Some(format!("accepted {} after {}", next.epoch, state.epoch));
                }
                if promised.iter().any(|fence| next.epoch <= *fence) {
                    return Some(format!("accepted {} behind a fence", next.epoch));
                }
                next
            }
            Decision::Fenced(next) => {
                promised.push(next.fence);
                next
            }
            Decision::NoOp(next) => next,
            Decision::Refuse(_) | Decision::Stale => state,
        };
        let sinks =
            next.epoch < state.epoch || next.fence < state.fence || next.hub_term < state.hub_term;
        if sinks {
            return Some(format!("{state:?} became {next:?}"));
        }
        state = next;
    }
    None
}

proptest! {
    #[test]
    fn epochs_fences_and_terms_only_rise(messages in messages()) {
        prop_assert_eq!(broken(&messages, accept), None);
    }
}

#[test]
fn a_step_down_is_noticed() {
    let messages = [(3, grant(5, 5)), (3, grant(4, 4))];
    let judge = |stored: &Stored, term, directive: &Directive| {
        mutations::accept(stored, term, directive, Bug::StepDown)
    };
    assert!(broken(&messages, judge).is_some());
    assert!(broken(&messages, accept).is_none());
}

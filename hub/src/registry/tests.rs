use std::{thread, time::Duration};

use jiff::Timestamp;
use model::{Digest, Labels};

use super::*;
use crate::{clock::Clock, store::Memory};

struct Fleet {
    registry: Registry,
    store: Arc<Memory>,
    clock: Clock,
}

const SECRET: &[u8] = b"secret";

fn token(id: u8, clock: &Clock) -> NewToken {
    let expires_at = clock.now() + Duration::from_hours(1);
    NewToken { id: [id; 16], secret_hash: Digest::of(SECRET), expires_at }
}

fn name(text: &str) -> ClusterName {
    ClusterName::parse(text).unwrap()
}

impl Fleet {
    fn new() -> Fleet {
        let store = Arc::new(Memory::new());
        let lease = store.take_lease().unwrap();
        let registry = Registry::open(store.clone(), lease).unwrap();
        Fleet { registry, store, clock: Clock::manual(Timestamp::UNIX_EPOCH) }
    }

    fn add(&self, text: &str, id: u8) -> ClusterRecord {
        let labels = Labels::from([("ring".to_owned(), "canary".to_owned())]);
        let now = self.clock.now();
        self.registry.add_cluster(name(text), labels, token(id, &self.clock), now).unwrap()
    }

    fn bind(&self, id: u8, key: &str) -> Result<Bound, TokenFault> {
        let (spki, recovery) = (Digest::of(key.as_bytes()), Digest::of(b"recovery"));
        self.registry.bind_token(&[id; 16], Digest::of(SECRET), spki, recovery, self.clock.now())
    }

    fn sign(&self, cluster: &ClusterRecord, serial: u8) {
        let pend = |c: &mut ClusterRecord| c.pending_serial = Some(vec![serial]);
        self.registry.update_cluster(&cluster.uid, pend).unwrap();
    }

    fn reopen(&mut self) {
        let lease = self.store.take_lease().unwrap();
        self.registry = Registry::open(self.store.clone(), lease).unwrap();
    }
}

#[test]
fn a_cluster_joins_renews_and_is_still_known_after_a_restart() {
    let mut fleet = Fleet::new();
    let cluster = fleet.add("eu-1", 1);
    assert!(!fleet.bind(1, "k").unwrap().again);
    fleet.sign(&cluster, 10);
    let active = fleet.registry.activate(&cluster.uid, &[10]).unwrap();
    assert_eq!((active.state, active.active_serial), (ClusterState::Active, Some(vec![10])));
    assert!(matches!(fleet.registry.token(&[1; 16]).unwrap().state, TokenState::Used { .. }));

    fleet.sign(&cluster, 11);
    fleet.registry.activate(&cluster.uid, &[10]).unwrap();
    fleet.registry.activate(&cluster.uid, &[11]).unwrap();
    let error = fleet.registry.activate(&cluster.uid, &[10]).unwrap_err();
    assert_eq!(error.to_string(), "certificate serial 0a of cluster `eu-1` is not the current one");

    assert_eq!(fleet.registry.next_session(&cluster.uid).unwrap(), 1);
    let before = fleet.registry.clusters();
    fleet.reopen();
    assert_eq!(fleet.registry.clusters(), before);
    assert_eq!(fleet.registry.cluster_named(&name("eu-1")).unwrap().sessions, 1);
    assert_eq!(fleet.registry.next_session(&cluster.uid).unwrap(), 2);
}

#[test]
fn a_lost_reply_does_not_burn_the_token_but_time_does() {
    let fleet = Fleet::new();
    fleet.add("eu-1", 1);
    fleet.clock.advance(Duration::from_mins(59));
    assert!(!fleet.bind(1, "k").unwrap().again);
    fleet.clock.advance(Duration::from_mins(14));
    assert!(fleet.bind(1, "k").unwrap().again, "also past the token's own end");
    fleet.clock.advance(Duration::from_mins(1));
    assert!(matches!(fleet.bind(1, "k"), Err(TokenFault::Expired(_))));
}

#[test]
fn a_token_is_refused_for_the_right_reason() {
    let fleet = Fleet::new();
    let cluster = fleet.add("eu-1", 1);
    let now = fleet.clock.now();
    let key = Digest::of(b"k");
    assert!(matches!(fleet.bind(9, "k"), Err(TokenFault::Unknown)));
    let wrong = fleet.registry.bind_token(&[1; 16], Digest::of(b"guess"), key, key, now);
    assert!(matches!(wrong, Err(TokenFault::WrongSecret)));
    fleet.clock.advance(Duration::from_hours(1));
    assert!(matches!(fleet.bind(1, "k"), Err(TokenFault::Expired(_))));
    let now = fleet.clock.now();
    fleet.registry.add_token(&cluster.uid, token(2, &fleet.clock), now).unwrap();
    assert!(matches!(fleet.bind(1, "k"), Err(TokenFault::Revoked)), "a new token ends the old one");
    assert!(!fleet.bind(2, "k").unwrap().again);
    fleet.registry.update_cluster(&cluster.uid, |c| c.state = ClusterState::Revoked).unwrap();
    assert!(matches!(fleet.bind(2, "k"), Err(TokenFault::Revoked)));
    assert!(matches!(fleet.registry.activate(&cluster.uid, &[1]), Err(Error::Revoked(_))));
}

#[test]
fn a_used_token_in_other_hands_suspends_the_cluster() {
    let fleet = Fleet::new();
    let cluster = fleet.add("eu-1", 1);
    fleet.bind(1, "k").unwrap();
    fleet.sign(&cluster, 10);
    fleet.registry.activate(&cluster.uid, &[10]).unwrap();
    assert!(matches!(fleet.bind(1, "k"), Err(TokenFault::Used { other_key: false })));
    let state = || fleet.registry.cluster(&cluster.uid).unwrap().state;
    assert_eq!(state(), ClusterState::Active);
    assert!(matches!(fleet.bind(1, "thief"), Err(TokenFault::Used { other_key: true })));
    assert!(matches!(state(), ClusterState::Suspended { .. }));
    fleet.registry.activate(&cluster.uid, &[10]).unwrap();
    assert!(matches!(state(), ClusterState::Suspended { .. }), "a connection does not lift it");
}

#[test]
fn of_64_racing_bearers_exactly_one_gets_the_token() {
    let fleet = Fleet::new();
    fleet.add("eu-1", 1);
    let fleet = &fleet;
    let wins = thread::scope(|scope| {
        let bind = |i| scope.spawn(move || fleet.bind(1, &format!("key {i}")).is_ok());
        let racers: Vec<_> = (0..64).map(bind).collect();
        racers.into_iter().map(|r| r.join().unwrap()).filter(|won| *won).count()
    });
    assert_eq!(wins, 1);
}

#[test]
fn a_name_is_taken_until_its_cluster_is_deleted_and_then_means_another_one() {
    let mut fleet = Fleet::new();
    let first = fleet.add("eu-1", 1);
    let now = fleet.clock.now();
    let again =
        |id| fleet.registry.add_cluster(name("eu-1"), Labels::new(), token(id, &fleet.clock), now);
    assert!(matches!(again(2), Err(Error::AlreadyExists { .. })));
    assert!(fleet.registry.token(&[2; 16]).is_none(), "neither cluster nor token");
    fleet.registry.delete_cluster(&first.uid).unwrap();
    assert!(fleet.registry.token(&[1; 16]).is_none(), "its token went with it");
    let second = again(3).unwrap();
    assert_ne!(first.uid, second.uid);
    let gone = fleet.registry.update_cluster(&first.uid, |_| ());
    assert!(matches!(gone, Err(Error::NotFound { .. })));
    fleet.reopen();
    assert_eq!(fleet.registry.cluster_named(&name("eu-1")), Some(second));
}

#[test]
fn a_hub_that_lost_its_lease_changes_nothing() {
    let fleet = Fleet::new();
    let cluster = fleet.add("eu-1", 1);
    let version = *fleet.registry.changed().borrow();
    fleet.store.take_lease().unwrap();
    let error = fleet.registry.set_labels(&cluster.uid, &Labels::new()).unwrap_err();
    assert!(error.to_string().contains("another hub took over"), "{error}");
    assert!(matches!(fleet.bind(1, "k"), Err(TokenFault::Store(_))));
    assert_eq!(fleet.registry.cluster(&cluster.uid), Some(cluster));
    assert_eq!(*fleet.registry.changed().borrow(), version);
}

#[test]
fn only_so_many_tokens_are_open_at_once() {
    let fleet = Fleet::new();
    let cluster = fleet.add("eu-0", 0);
    let add = |n: usize| {
        let mut token = token(1, &fleet.clock);
        token.id[..8].copy_from_slice(&n.to_be_bytes());
        let name = name(&format!("eu-{n}"));
        fleet.registry.add_cluster(name, Labels::new(), token, fleet.clock.now())
    };
    for n in 1..OPEN_TOKENS_MAX {
        add(n).unwrap();
    }
    assert!(matches!(add(OPEN_TOKENS_MAX), Err(Error::TooManyTokens)));
    fleet.registry.delete_cluster(&cluster.uid).unwrap();
    add(OPEN_TOKENS_MAX).unwrap();
    fleet.clock.advance(Duration::from_hours(1));
    add(OPEN_TOKENS_MAX + 1).unwrap();
}

#[test]
fn sources_come_and_go_by_name() {
    let mut fleet = Fleet::new();
    let source = SourceRecord {
        name: SourceName::parse("fleet").unwrap(),
        url: "file:///srv/fleet".to_owned(),
        reference: "main".to_owned(),
        credentials_file: None,
        ca_file: None,
        chart: None,
        paths: Vec::new(),
        auth: model::source::SourceAuth::default(),
        verify: None,
        webhook: None,
        commit_status: None,
        charts: Vec::new(),
        created_at: fleet.clock.now(),
    };
    fleet.registry.add_source(source.clone()).unwrap();
    let twice = fleet.registry.add_source(source.clone());
    assert!(matches!(twice, Err(Error::AlreadyExists { .. })));
    fleet.reopen();
    assert_eq!(fleet.registry.delete_source(&source.name).unwrap(), source);
    assert!(fleet.registry.sources().is_empty());
    assert!(matches!(fleet.registry.delete_source(&source.name), Err(Error::NotFound { .. })));
}

#[test]
fn an_audit_row_that_was_changed_or_taken_out_shows() {
    let mut fleet = Fleet::new();
    for object in ["app/a", "app/b", "app/c"] {
        fleet.registry.audit("ann", "rollout.pause", object, "lunch", fleet.clock.now()).unwrap();
    }
    fleet.reopen();
    fleet.registry.audit("ann", "rollout.resume", "app/a", "", fleet.clock.now()).unwrap();
    assert_eq!(fleet.registry.audit_check().unwrap(), 4);
    let last = fleet.registry.audit_list(2).unwrap();
    assert_eq!(last.iter().map(|row| row.n).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(fleet.registry.audit_list(100).unwrap().len(), 4);

    let key = 2_u64.to_be_bytes();
    let bytes = fleet.store.get(Table::Audit, &key).unwrap().unwrap();
    let forged = String::from_utf8(bytes.clone()).unwrap().replace("app/b", "app/x");
    fleet.store.commit(Batch::default().put(Table::Audit, key, forged)).unwrap();
    let error = fleet.registry.audit_check().unwrap_err();
    assert!(error.to_string().contains("audit row 3: does not follow"), "{error}");
    fleet.store.commit(Batch::default().delete(Table::Audit, key)).unwrap();
    let error = fleet.registry.audit_check().unwrap_err();
    assert!(error.to_string().contains("audit row 2: is missing"), "{error}");
}

#[test]
fn a_record_of_a_newer_version_is_refused_by_name() {
    let store = Arc::new(Memory::new());
    store.commit(Batch::default().put(Table::Source, "fleet", r#"{"v":2,"what":"else"}"#)).unwrap();
    let error = Registry::open(store, LeaseEpoch(1)).unwrap_err();
    assert!(error.to_string().contains("source `fleet`: written by a newer version"), "{error}");
}

#[test]
fn whoever_waits_for_changes_is_woken_by_each() {
    let fleet = Fleet::new();
    let mut changed = fleet.registry.changed();
    let cluster = fleet.add("eu-1", 1);
    assert!(changed.has_changed().unwrap());
    changed.mark_unchanged();
    fleet.registry.update_cluster(&cluster.uid, |_| ()).unwrap();
    assert!(!changed.has_changed().unwrap(), "nothing changed, nothing is told");
    fleet.registry.delete_cluster(&cluster.uid).unwrap();
    assert!(changed.has_changed().unwrap());
}

fn mark(fleet: &Fleet, until: Option<Duration>) -> MarkRecord {
    let at = fleet.clock.now();
    MarkRecord { by: "ann".into(), reason: "disk".into(), at, until: until.map(|d| at + d) }
}

#[test]
fn a_freeze_outlives_the_hub_and_ends_by_itself() {
    let mut fleet = Fleet::new();
    let freeze = |fleet: &Fleet, scope: &str, until: Option<Duration>| {
        let MarkRecord { by, reason, at, until } = mark(fleet, until);
        let scope = FreezeScope::try_from(scope.to_owned()).unwrap();
        fleet.registry.set_freeze(FreezeRecord { scope, by, reason, at, until }).unwrap();
    };
    freeze(&fleet, "fleet", Some(Duration::from_hours(1)));
    freeze(&fleet, "app/web", None);
    fleet.reopen();
    let about = |fleet: &Fleet, app: &str| {
        let (app, now) = (model::AppName::parse(app).unwrap(), fleet.clock.now());
        let freezes = fleet.registry.freezes();
        freezes.iter().filter(|f| f.holds(now) && f.scope.is_about(&app)).count()
    };
    assert_eq!((about(&fleet, "web"), about(&fleet, "shop")), (2, 1));
    fleet.clock.advance(Duration::from_hours(1));
    assert_eq!((about(&fleet, "web"), about(&fleet, "shop")), (1, 0), "the hour is over");
    let lift =
        |fleet: &Fleet, scope| fleet.registry.lift_freeze(&scope, "bob", "done", fleet.clock.now());
    let over = lift(&fleet, FreezeScope::Fleet).unwrap_err();
    assert_eq!(over.to_string(), "there is no freeze `fleet`");
    freeze(&fleet, "app/shop", None);
    assert_eq!(fleet.registry.freezes().len(), 2, "the one that ended was swept");
    let web = FreezeScope::App(model::AppName::parse("web").unwrap());
    assert_eq!(lift(&fleet, web).unwrap().by, "ann");
    fleet.reopen();
    let standing: Vec<_> = fleet.registry.freezes().iter().map(|f| f.scope.to_string()).collect();
    assert_eq!(standing, ["app/shop"]);
    let rows = fleet.registry.audit_list(9).unwrap();
    let rows: Vec<_> =
        rows.iter().map(|r| format!("{} {} {}", r.actor, r.verb, r.object)).collect();
    let all =
        ["ann freeze fleet", "ann freeze app/web", "ann freeze app/shop", "bob unfreeze app/web"];
    assert_eq!(rows, all);
    assert!(FreezeScope::try_from("cluster/a".to_owned()).is_err());
}

#[test]
fn a_blocker_that_was_cleared_is_still_known_and_a_forgotten_one_is_not() {
    let mut fleet = Fleet::new();
    let now = fleet.clock.now();
    fleet.registry.set_blocker("incident", true, "P1 is open", "ann", now).unwrap();
    fleet.registry.watch_blocker("errors", "http://127.0.0.1/ok", "ann", now).unwrap();
    fleet.registry.set_blocker("incident", false, "", "bob", now).unwrap();
    fleet.reopen();
    let blockers = fleet.registry.blockers();
    assert_eq!((blockers["incident"].set, blockers["incident"].by.as_str()), (false, "bob"));
    assert!(blockers["errors"].set, "until the endpoint answers");
    assert_eq!(blockers["errors"].watch.as_deref(), Some("http://127.0.0.1/ok"));
    let version = *fleet.registry.changed().borrow();
    fleet.registry.forget_blocker("incident", "bob", now).unwrap();
    assert!(*fleet.registry.changed().borrow() > version);
    assert!(fleet.registry.forget_blocker("incident", "bob", now).is_err());
    fleet.reopen();
    assert_eq!(fleet.registry.blockers().keys().collect::<Vec<_>>(), ["errors"]);
    assert_eq!(fleet.registry.audit_check().unwrap(), 4);
}

#[test]
fn cordons_and_pins_hold_until_their_end() {
    let mut fleet = Fleet::new();
    let cluster = fleet.add("eu-1", 1);
    let (cordon, pin) = (mark(&fleet, Some(Duration::from_hours(1))), mark(&fleet, None));
    let change = |c: &mut ClusterRecord| {
        c.cordon = Some(cordon.clone());
        c.pins.insert("web".to_owned(), pin.clone());
        c.pins.insert(ALL_APPS.to_owned(), cordon.clone());
    };
    fleet.registry.update_cluster(&cluster.uid, change).unwrap();
    fleet.reopen();
    let held = |fleet: &Fleet| {
        let (cluster, now) = (fleet.registry.cluster(&cluster.uid).unwrap(), fleet.clock.now());
        let pin = |app| cluster.pin_at(&model::AppName::parse(app).unwrap(), now).is_some();
        (cluster.cordon_at(now).is_some(), pin("web"), pin("shop"))
    };
    assert_eq!(held(&fleet), (true, true, true));
    fleet.clock.advance(Duration::from_hours(1));
    assert_eq!(held(&fleet), (false, true, false), "only what has no end still holds");
}

#[test]
fn a_named_token_says_who_bears_it_until_it_is_over_or_taken_back() {
    let mut fleet = Fleet::new();
    let now = fleet.clock.now();
    let person = |name: &str, expires_at| AccessRecord {
        name: name.to_owned(),
        role: rollout::Role::Operator,
        groups: ["sre".to_owned()].into(),
        hash: Digest::of(format!("token of {name}").as_bytes()),
        created_at: now,
        expires_at,
    };
    fleet.registry.add_person(person("ann", None), "admin").unwrap();
    fleet.registry.add_person(person("ci", Some(now + Duration::from_hours(1))), "admin").unwrap();
    let twice = fleet.registry.add_person(person("ann", None), "admin").unwrap_err();
    assert!(matches!(twice, Error::AlreadyExists { kind: "token", .. }));
    fleet.reopen();
    let who = |fleet: &Fleet, token: &str| {
        fleet.registry.bearer(token, fleet.clock.now()).map(|actor| (actor.name, actor.role))
    };
    assert_eq!(who(&fleet, "token of ann"), Some(("ann".into(), rollout::Role::Operator)));
    assert!(who(&fleet, "token of bob").is_none() && who(&fleet, "token of ci").is_some());
    fleet.clock.advance(Duration::from_hours(1));
    assert!(who(&fleet, "token of ci").is_none(), "its hour is over");
    fleet.registry.delete_person("ann", "admin", now).unwrap();
    assert!(who(&fleet, "token of ann").is_none());
    fleet.reopen();
    assert!(who(&fleet, "token of ann").is_none());
    assert_eq!(fleet.registry.people().len(), 1);
}

#[test]
fn what_an_endpoint_said_of_a_blocker_is_not_believed_after_a_restart() {
    let mut fleet = Fleet::new();
    let (url, now) = ("https://ops.example/p1", fleet.clock.now());
    fleet.registry.watch_blocker("incident", url, "ann", now).unwrap();
    fleet.registry.set_blocker("by-hand", false, "", "ann", now).unwrap();
    fleet.registry.answer_blocker("incident", url, false, "calm", now).unwrap();
    assert!(!fleet.registry.blockers()["incident"].set);
    fleet.reopen();
    let blockers = fleet.registry.blockers();
    assert!(blockers["incident"].set && !blockers["by-hand"].set, "{blockers:?}");
    // An answer that was on its way when a person took the blocker over says nothing.
    fleet.registry.set_blocker("incident", true, "by hand now", "ann", now).unwrap();
    fleet.registry.answer_blocker("incident", url, false, "calm", now).unwrap();
    assert_eq!(fleet.registry.blockers()["incident"].message, "by hand now");
}

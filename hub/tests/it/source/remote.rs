//! What the remote does: commits, moves, force-pushes, deletes.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_arrives_with_author_subject_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    repository.write("a.txt", "one");
    let commit = repository.commit_all("Say one\n\nand why");
    let sources = start(dir.path(), limits());
    sources.add(config(&repository.url(), "main")).unwrap();
    let status = until_at(&sources, &commit).await;
    assert_eq!(status.commit_author.as_deref(), Some("Ada <ada@example.org>"));
    assert_eq!(status.commit_subject.as_deref(), Some("Say one"));
    assert!(status.fetched_at.is_some());
    let snapshot = sources.snapshot(&name()).unwrap();
    assert_eq!(snapshot.revision.to_string(), format!("main@sha1:{commit}"));
    assert_eq!(snapshot.committed_at.unwrap().to_string(), "2026-01-02T03:04:05Z");
    assert_eq!(read(&sources, "a.txt"), "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_ref_is_followed_and_the_old_commit_stays_readable() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let sources = start(dir.path(), limits());
    sources.add(config(&repository.url(), "main")).unwrap();
    until_at(&sources, &repository.head()).await;
    let old = sources.snapshot(&name()).unwrap();
    for round in 0..5 {
        let commit = repository.commit("a.txt", format!("{round}"));
        until_at(&sources, &commit).await;
        assert_eq!(read(&sources, "a.txt"), format!("{round}"));
    }
    assert_eq!(old.tree.read("apps/web/app.yaml").unwrap(), b"name: web\n");
    assert!(old.tree.read("a.txt").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_push_to_an_older_or_unrelated_commit_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let first = repository.head();
    let second = repository.commit("a.txt", "2");
    let sources = start(dir.path(), limits());
    sources.add(config(&repository.url(), "main")).unwrap();
    until_at(&sources, &second).await;
    repository.git(&["reset", "-q", "--hard", first.as_str()]);
    until_at(&sources, &first).await;
    repository.git(&["checkout", "-q", "--orphan", "other"]);
    let unrelated = repository.commit("b.txt", "3");
    repository.git(&["branch", "-q", "-M", "other", "main"]);
    until_at(&sources, &unrelated).await;
    assert_eq!(read(&sources, "b.txt"), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_branch_keeps_what_was_fetched_until_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let commit = repository.head();
    let sources = start(dir.path(), limits());
    sources.add(config(&repository.url(), "main")).unwrap();
    until_at(&sources, &commit).await;
    repository.git(&["branch", "-q", "-m", "main", "elsewhere"]);
    let status = until_reason(&sources, Reason::GitRefNotFound).await;
    assert_eq!(status.revision.unwrap().commit, commit);
    assert!(status.state.message().contains("no branch or tag `main`"), "{:?}", status.state);
    assert_eq!(read(&sources, "apps/web/app.yaml"), "name: web\n");
    repository.git(&["branch", "-q", "-m", "elsewhere", "main"]);
    until_at(&sources, &commit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_followed_light_or_annotated_and_when_it_moves() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let first = repository.head();
    repository.git(&["tag", "v1"]);
    let second = repository.commit("a.txt", "2");
    let sources = start(dir.path(), limits());
    sources.add(config(&repository.url(), "v1")).unwrap();
    until_at(&sources, &first).await;
    repository.git(&["tag", "-f", "-a", "-m", "moved", "v1"]);
    until_at(&sources, &second).await;
    assert_eq!(read(&sources, "a.txt"), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ref_that_does_not_move_costs_no_fetch() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let server = server::Server::start(dir.path(), None).await;
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, &server.root).unwrap();
    let sources = start(dir.path(), limits());
    let changed = sources.changed();
    let mut config = config(&server.url("repo"), "main");
    config.auth.ca = file(&ca);
    sources.add(config).unwrap();
    until_at(&sources, &repository.head()).await;
    let version = *changed.borrow();
    let status = until(&sources, "20 looks", |status| status.looks >= 20).await;
    assert_eq!(status.fetches, 1);
    assert_eq!(server.count("fetch"), 1);
    assert!(server.count("ls-refs") >= 20);
    assert_eq!(*changed.borrow(), version, "a look without news wakes nobody");
    let commit = repository.commit("a.txt", "2");
    until_at(&sources, &commit).await;
    assert_eq!(sources.status(&name()).unwrap().fetches, 2);
    assert!(*changed.borrow() > version);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poke_looks_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let slow = SourceLimits { interval: Duration::from_hours(1), ..limits() };
    let sources = start(dir.path(), slow);
    sources.add(config(&repository.url(), "main")).unwrap();
    until_at(&sources, &repository.head()).await;
    let commit = repository.commit("a.txt", "2");
    sources.poke(&name());
    until_at(&sources, &commit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_not_fetched_yet_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let sources = start(dir.path(), limits());
    sources.add(config("file:///nowhere", "main")).unwrap();
    let status = sources.status(&name()).unwrap();
    assert!(status.revision.is_none());
    assert!(status.state.reason().is_some());
    assert!(sources.snapshot(&name()).is_none());
    assert!(sources.status(&SourceName::parse("other").unwrap()).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_source_leaves_nothing_and_comes_back_afresh() {
    let dir = tempfile::tempdir().unwrap();
    let one = Repository::new(&dir.path().join("one"));
    let two = Repository::new(&dir.path().join("two"));
    two.commit("a.txt", "two");
    let sources = start(dir.path(), limits());
    sources.add(config(&one.url(), "main")).unwrap();
    until_at(&sources, &one.head()).await;
    sources.remove(&name());
    assert!(sources.status(&name()).is_none());
    assert!(sources.snapshot(&name()).is_none());
    sources.add(config(&two.url(), "main")).unwrap();
    until_at(&sources, &two.head()).await;
    assert_eq!(read(&sources, "a.txt"), "two");
}

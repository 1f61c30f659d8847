//! What is followed: versions, commits, folders; what sources of one repository share; histories that change.

use std::fs;

use super::{trouble::https, *};

fn named(text: &str, url: &str, reference: &str) -> SourceConfig {
    SourceConfig::new(SourceName::parse(text).unwrap(), url, reference)
}

async fn until_of(sources: &Sources, name: &str, commit: &Commit) -> SourceStatus {
    let name = SourceName::parse(name).unwrap();
    let begin = std::time::Instant::now();
    loop {
        let status = sources.status(&name).unwrap();
        if status.revision.as_ref().is_some_and(|r| r.commit == *commit) {
            return status;
        }
        assert!(begin.elapsed() < PATIENCE, "{name} never at {commit}: {status:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_follows_the_highest_version_and_says_which() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let sources = start(dir.path(), limits());
    sources.add(config(&repository.url(), "semver:^1")).unwrap();
    let status = until_reason(&sources, Reason::GitRefNotFound).await;
    assert!(status.state.message().contains("no version of `^1`"), "{:?}", status.state);
    let first = repository.head();
    repository.git(&["tag", "v1.2.0"]);
    let status = until_at(&sources, &first).await;
    assert_eq!(status.revision.unwrap().reference, "v1.2.0");
    let second = repository.commit("a.txt", "2");
    repository.git(&["tag", "-a", "-m", "ten", "v1.10.0"]);
    let status = until_at(&sources, &second).await;
    assert_eq!(status.revision.unwrap().reference, "v1.10.0");
    repository.commit("a.txt", "3");
    repository.git(&["tag", "v2.0.0"]);
    repository.git(&["tag", "v1.11.0-rc.1"]);
    repository.git(&["tag", "nightly"]);
    let looks = sources.status(&name()).unwrap().looks;
    let status = until(&sources, "more looks", |status| status.looks > looks + 3).await;
    assert_eq!(status.revision.unwrap().commit, second);
    // A restart knows the version that it stood at, before the remote answers.
    sources.stop().await;
    fs::rename(&repository.dir, dir.path().join("away")).unwrap();
    let sources = start(dir.path(), limits());
    sources.add(config(&repository.url(), "semver:^1")).unwrap();
    let status = until_reason(&sources, Reason::GitNotARepository).await;
    assert_eq!(status.revision.unwrap().to_string(), format!("v1.10.0@sha1:{second}"));
    assert_eq!(read(&sources, "a.txt"), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_commit_is_fetched_once_and_the_server_is_left_alone() {
    let here = https(None).await;
    let first = here.repository.head();
    here.repository.commit("a.txt", "2");
    let sources = start(here.dir.path(), limits());
    sources.add(SourceConfig { reference: first.to_string(), ..here.config() }).unwrap();
    let status = until_at(&sources, &first).await;
    assert_eq!(status.revision.unwrap().reference, first.short());
    assert_eq!(read(&sources, "apps/web/app.yaml"), "name: web\n");
    let requests = here.server.requests();
    let looks = sources.status(&name()).unwrap().looks;
    until(&sources, "20 more looks", |status| status.looks >= looks + 20).await;
    assert_eq!(here.server.requests(), requests);
    let nowhere = "1f3c9a21f3c9a21f3c9a21f3c9a21f3c9a21f3c9".to_owned();
    sources.add(SourceConfig { reference: nowhere.clone(), ..here.config() }).unwrap();
    let status = until_reason(&sources, Reason::GitRefNotFound).await;
    assert!(status.state.message().contains(&nowhere), "{:?}", status.state);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_changes_nothing_that_counts_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let sources = start(dir.path(), limits());
    let paths = vec!["apps/".to_owned(), "base/one.yaml".to_owned()];
    sources.add(SourceConfig { paths, ..config(&repository.url(), "main") }).unwrap();
    let first = repository.head();
    until_at(&sources, &first).await;
    let mut version = *sources.changed().borrow();
    for (path, counts) in [
        ("README.md", false),
        ("base/two.yaml", false),
        ("base/one.yaml", true),
        ("apps/web/other.yaml", true),
        ("applications/x.yaml", false),
    ] {
        let before = sources.status(&name()).unwrap();
        let commit = repository.commit(path, format!("{version}"));
        if counts {
            until_at(&sources, &commit).await;
            version = *sources.changed().borrow();
        } else {
            until(&sources, "more looks", |status| status.looks > before.looks + 3).await;
            let after = sources.status(&name()).unwrap();
            assert_eq!(after.revision, before.revision, "{path}");
            assert_eq!(*sources.changed().borrow(), version, "{path} woke somebody");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rewritten_history_is_followed_and_named_and_mere_progress_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let first = repository.head();
    let sources = start(dir.path(), limits());
    sources.add(config(&repository.url(), "main")).unwrap();
    until_at(&sources, &first).await;
    // Three commits in one push, so that the old one is no parent of the new one.
    repository.write("a.txt", "1");
    repository.git(&["add", "-A"]);
    let tree = repository.git(&["write-tree"]);
    let mut tip = first.to_string();
    for message in ["one", "two", "three"] {
        tip = repository.git(&["commit-tree", &tree, "-p", &tip, "-m", message]);
    }
    repository.git(&["reset", "-q", "--hard", &tip]);
    let status = until_at(&sources, &repository.head()).await;
    assert_eq!(status.rewritten, None);
    let second = repository.head();
    // In one push too: nobody sees the branch on its way.
    let other = repository.git(&["commit-tree", &tree, "-p", first.as_str(), "-m", "other"]);
    repository.git(&["reset", "-q", "--hard", &other]);
    let other = repository.head();
    let status = until_at(&sources, &other).await;
    let (_, rewritten) = status.rewritten.expect("noticed");
    for says in ["`main` was rewritten", second.short(), other.short()] {
        assert!(rewritten.contains(says), "{rewritten}");
    }
    // Back to where it came from, within the same second.
    repository.git(&["reset", "-q", "--hard", first.as_str()]);
    let status = until_at(&sources, &first).await;
    let (_, rewritten) = status.rewritten.expect("noticed");
    assert!(rewritten.contains(other.short()) && rewritten.contains(first.short()), "{rewritten}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_deleted_and_made_anew_is_followed_and_the_break_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    repository.commit("a.txt", "old");
    let old = repository.head();
    let sources = start(dir.path(), limits());
    sources.add(config(&repository.url(), "main")).unwrap();
    until_at(&sources, &old).await;
    fs::remove_dir_all(&repository.dir).unwrap();
    let status = until_reason(&sources, Reason::GitNotARepository).await;
    assert_eq!(status.revision.unwrap().commit, old);
    fs::create_dir_all(&repository.dir).unwrap();
    repository.git(&["init", "-q", "-b", "main"]);
    let status = until_reason(&sources, Reason::GitRefNotFound).await;
    assert_eq!(status.revision.unwrap().commit, old, "an empty repository is no deletion");
    assert_eq!(read(&sources, "a.txt"), "old");
    let repository = Repository::new(&repository.dir);
    let status = until_at(&sources, &repository.head()).await;
    assert!(status.rewritten.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_of_one_repository_ask_once_in_an_interval_and_fetch_once() {
    let here = https(None).await;
    here.repository.git(&["branch", "-q", "stable"]);
    here.repository.git(&["tag", "v1.0.0"]);
    let slow = SourceLimits { interval: Duration::from_millis(300), ..limits() };
    let sources = start(here.dir.path(), slow);
    let commit = here.repository.head();
    let url = here.server.url("repo");
    for n in 0..40 {
        let reference = ["main", "stable", "semver:^1"][n % 3];
        let mut config = named(&format!("s{n}"), &url, reference);
        config.auth = here.config().auth;
        sources.add(config).unwrap();
    }
    for n in 0..40 {
        until_of(&sources, &format!("s{n}"), &commit).await;
    }
    let begin = std::time::Instant::now();
    let (before, fetches) = (here.server.count("ls-refs"), here.server.count("fetch"));
    assert!(fetches <= 2, "{fetches} fetches");
    let first = SourceName::parse("s0").unwrap();
    let looks = sources.status(&first).unwrap().looks;
    while sources.status(&first).unwrap().looks < looks + 5 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let intervals = begin.elapsed().as_millis() / 270 + 2;
    let asked = (here.server.count("ls-refs") - before) as u128;
    assert!(asked <= intervals, "{asked} questions in {intervals} intervals");
    let commit = here.repository.commit("a.txt", "2");
    for n in (0..40).filter(|n| n % 3 == 0) {
        until_of(&sources, &format!("s{n}"), &commit).await;
    }
    // A moved ref is listed again by the fetch itself.
    assert!(here.server.count("fetch") <= fetches + 1);
    let mirrors = fs::read_dir(here.dir.path().join("sources")).unwrap().count();
    assert_eq!(mirrors, 1, "one mirror for all");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_removed_leaves_the_mirror_to_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let sources = start(dir.path(), limits());
    for name in ["one", "two"] {
        sources.add(named(name, &repository.url(), "main")).unwrap();
        until_of(&sources, name, &repository.head()).await;
    }
    sources.remove(&SourceName::parse("one").unwrap());
    let commit = repository.commit("a.txt", "2");
    until_of(&sources, "two", &commit).await;
    sources.remove(&SourceName::parse("two").unwrap());
    assert_eq!(fs::read_dir(dir.path().join("sources")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_credentials_see_nothing_of_what_was_fetched_with_better_ones() {
    let here = https(Some("YWRhOnNlY3JldA==")).await;
    let credentials = here.dir.path().join("credentials");
    fs::write(&credentials, "ada:secret").unwrap();
    let sources = start(here.dir.path(), limits());
    let mut config = here.config();
    config.auth.credentials = file(&credentials);
    sources.add(config).unwrap();
    until_at(&sources, &here.repository.head()).await;
    let mut bare = here.config();
    bare.name = SourceName::parse("bare").unwrap();
    sources.add(bare).unwrap();
    let bare = SourceName::parse("bare").unwrap();
    let begin = std::time::Instant::now();
    while sources.status(&bare).unwrap().state.reason() != Some(Reason::GitAuthFailed) {
        assert!(begin.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(sources.snapshot(&bare).is_none());
}

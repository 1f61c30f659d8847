//! What a commit costs: only the Apps that it reaches are rendered, and a remote is asked once, whoever waits for it.

use std::time::{Duration, Instant};

use hub::source::{SourceConfig, SourceLimits, Sources};
use model::SourceName;

use crate::{
    flow::{Flow, app_yaml, config_map, source},
    source::{repository::Repository, server::Server},
};

/// Apps of one repository, and repositories.
const APPS: usize = 200;
const REPOSITORIES: usize = 50;

/// An App whose manifests stand in `shared`, or beside it.
fn put(repository: &Repository, app: usize) {
    let shared = if app.is_multiple_of(50) { "  source: {path: ../../shared}\n" } else { "" };
    repository.write(&format!("apps/app-{app}/app.yaml"), app_yaml(&format!("app-{app}"), shared));
    repository.write(&format!("apps/app-{app}/a.yaml"), config_map(&format!("map-{app}"), "1"));
}

fn commit_of(flow: &Flow, app: usize) -> Option<String> {
    let app = flow.app(&format!("app-{app}"))?;
    app.offer.candidate.as_ref().map(|candidate| candidate.commit.to_string())
}

/// Waits until every App stands at this commit; how many were rendered until then.
async fn all_at(flow: &Flow, commit: &str) -> u64 {
    let there = |flow: &Flow| {
        (0..APPS)
            .filter(|app| app % 50 != 0)
            .all(|app| commit_of(flow, app).as_deref() == Some(commit))
    };
    flow.until("every App at the commit", there).await;
    flow.handle.published().renders
}

#[tokio::test(flavor = "multi_thread")]
async fn one_changed_file_of_200_apps_renders_the_app_that_it_reaches() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    (0..APPS).for_each(|app| put(&repository, app));
    let first = repository.commit("shared/b.yaml", config_map("shared", "1"));
    let flow = Flow::start(vec![source("fleet", &repository.url())], 1).await;
    let before = all_at(&flow, first.as_str()).await;
    assert_eq!(before, APPS as u64);
    // One App.
    let second = repository.commit("apps/app-7/a.yaml", config_map("map-7", "2"));
    let after = all_at(&flow, second.as_str()).await;
    assert_eq!(after, before + 1);
    // None.
    let third = repository.commit("README.md", "hello");
    assert_eq!(all_at(&flow, third.as_str()).await, after);
    // A new file in the folder of an App, and one that four Apps share.
    repository.write("apps/app-8/b.yaml", config_map("more-8", "1"));
    let fourth = repository.commit("shared/c.yaml", config_map("more", "1"));
    let shared = all_at(&flow, fourth.as_str()).await;
    flow.until("five more", |flow| flow.handle.published().renders >= after + 5).await;
    assert!(shared <= after + 5);
    // An App's own file.
    repository.write("apps/app-9/app.yaml", app_yaml("app-9", "  drift: {mode: report}\n"));
    let fifth = repository.commit_all("Report");
    assert_eq!(all_at(&flow, fifth.as_str()).await, after + 6);
    // What is served did change where it should.
    let app = flow.app("app-7").unwrap();
    assert_ne!(
        app.offer.candidate.as_ref().unwrap().variants,
        flow.app("app-6").unwrap().offer.candidate.as_ref().unwrap().variants
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_repositories_are_asked_once_in_an_interval_each() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..REPOSITORIES).map(|number| format!("repo-{number}")).collect();
    for name in &names {
        Repository::new(&dir.path().join(name)).commit("a.txt", name);
    }
    let server = Server::start(dir.path(), None).await;
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, &server.root).unwrap();
    let interval = Duration::from_secs(2);
    let limits = SourceLimits { interval, ..SourceLimits::default() };
    let data = tempfile::tempdir().unwrap();
    let sources = Sources::start(data.path(), hub::clock::Clock::system(), limits).unwrap();
    // Four Apps of each would be four sources at most: all of them share one look.
    for (number, name) in names.iter().flat_map(|name| [name; 4]).enumerate() {
        let of = SourceName::parse(&format!("{name}-{number}")).unwrap();
        let mut config = SourceConfig::new(of, &server.url(name), "main");
        config.auth.ca = Some(format!("file:{}", ca.display()));
        sources.add(config).unwrap();
    }
    let fetched = |sources: &Sources| {
        let all = sources.list();
        all.len() == 4 * REPOSITORIES
            && all.iter().all(|config| sources.snapshot(&config.name).is_some())
    };
    let begun = Instant::now();
    while !fetched(&sources) {
        assert!(begun.elapsed() < Duration::from_mins(2), "not all are fetched");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (before, from) = (server.count("ls-refs"), Instant::now());
    let looks = || server.count("ls-refs") - before;
    while looks() < 3 * REPOSITORIES {
        assert!(
            begun.elapsed() < Duration::from_mins(4),
            "{} looks: they are followed at all",
            looks()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // A look that begins as the time begins and one that ends with it count too.
    let rounds = usize::try_from(from.elapsed().as_millis() / interval.as_millis()).unwrap() + 2;
    assert!(looks() <= REPOSITORIES * rounds, "{} looks in {rounds} intervals", looks());
    assert_eq!(server.count("fetch"), REPOSITORIES, "one fetch each");
}

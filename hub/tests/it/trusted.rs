//! Signatures that an App asks for, on top of those that its source asks for: what lacks them never becomes a release.

use std::path::{Path, PathBuf};

use model::{
    Reason,
    source::{Signer, SourceVerify, VerifyMode},
};

use crate::{
    flow::{Flow, app_yaml, config_map, source},
    source::{repository::Repository, sshd::keygen},
};

const WANTS_ADA: &str = "  source: {verify: {signedBy: [ada]}}\n";

fn repository(dir: &Path) -> Repository {
    let repository = Repository::new(&dir.join("repo"));
    repository.git(&["config", "gpg.format", "ssh"]);
    repository.write("apps/web/app.yaml", app_yaml("web", WANTS_ADA));
    repository.write("apps/free/app.yaml", app_yaml("free", ""));
    repository
}

/// A commit of both Apps, signed by this key if any.
fn commit(repository: &Repository, value: &str, key: Option<&PathBuf>) -> String {
    repository.write("apps/web/a.yaml", config_map("web", value));
    repository.write("apps/free/a.yaml", config_map("free", value));
    repository.git(&["add", "-A"]);
    match key {
        None => repository.git(&["commit", "-q", "-m", value]),
        Some(key) => {
            repository.git(&["config", "user.signingkey", key.to_str().unwrap()]);
            repository.git(&["commit", "-q", "-S", "-m", value])
        }
    };
    repository.head().to_string()
}

fn offered(flow: &Flow, app: &str) -> Option<String> {
    let app = flow.app(app)?;
    app.offer.candidate.as_ref().map(|candidate| candidate.commit.to_string())
}

fn refusal(flow: &Flow, app: &str) -> Option<(Reason, String)> {
    let status = flow.app(app)?.offer.fault.clone()?;
    Some((status.reason()?, status.message().to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_takes_only_commits_of_the_signers_that_it_names() {
    let dir = tempfile::tempdir().unwrap();
    let repository = repository(dir.path());
    let key = |name: &str| {
        let file = dir.path().join(name);
        keygen(&file, "ed25519", "");
        let key = std::fs::read_to_string(file.with_extension("pub")).unwrap();
        (file, Signer { name: name.to_owned(), key, valid_from: None, valid_until: None })
    };
    let ((ada, of_ada), (bob, of_bob)) = (key("ada"), key("bob"));
    let mut record = source("fleet", &repository.url());
    record.verify =
        Some(SourceVerify { mode: VerifyMode::Head, signers: vec![of_ada, of_bob], keyless: None });
    let first = commit(&repository, "1", Some(&ada));
    let flow = Flow::start(vec![record], 1).await;
    let both = |flow: &Flow| {
        ["web", "free"].map(|app| offered(flow, app)) == [Some(first.clone()), Some(first.clone())]
    };
    flow.until("the commit of ada", both).await;
    let second = commit(&repository, "2", Some(&bob));
    flow.until("the other App at the commit of bob", |flow| {
        offered(flow, "free").as_ref() == Some(&second)
    })
    .await;
    flow.until("a refusal", |flow| refusal(flow, "web").is_some()).await;
    let (reason, message) = refusal(&flow, "web").unwrap();
    assert_eq!(reason, Reason::SignatureRefused);
    assert!(
        message.contains("apps/web/app.yaml") && message.contains("signed by `bob`"),
        "{message}"
    );
    assert_eq!(offered(&flow, "web"), Some(first));
    let third = commit(&repository, "3", Some(&ada));
    flow.until("the second commit of ada", |flow| offered(flow, "web").as_ref() == Some(&third))
        .await;
    assert_eq!(refusal(&flow, "web"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_wants_signatures_of_a_source_that_checks_none_gets_no_release() {
    let dir = tempfile::tempdir().unwrap();
    let repository = repository(dir.path());
    let only = commit(&repository, "1", None);
    let flow = Flow::start(vec![source("fleet", &repository.url())], 1).await;
    flow.until("the other App", |flow| offered(flow, "free").as_ref() == Some(&only)).await;
    flow.until("a refusal", |flow| refusal(flow, "web").is_some()).await;
    let (reason, message) = refusal(&flow, "web").unwrap();
    assert_eq!(reason, Reason::CommitUnsigned);
    assert!(message.contains("--signed-by"), "{message}");
    assert_eq!((offered(&flow, "web"), flow.grant("web", 0)), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_simply_be_undone_stands_in_the_release() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let claim = |size: &str| {
        format!(
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: data, namespace: shop}}\n\
             spec: {{resources: {{requests: {{storage: {size}}}}}}}\n"
        )
    };
    repository.write("apps/web/app.yaml", app_yaml("web", ""));
    repository.commit("apps/web/a.yaml", claim("1Gi"));
    let flow = Flow::start(vec![source("fleet", &repository.url())], 1).await;
    flow.healthy("web", 0).await;
    let arrived = |flow: &Flow| {
        flow.app("web").is_some_and(|app| app.state.active.is_none() && app.state.stable.is_some())
    };
    flow.until("the first commit to arrive", arrived).await;
    let grown = repository.commit("apps/web/a.yaml", claim("2Gi"));
    let told = |flow: &Flow| {
        let app = flow.app("web")?;
        let active = app.state.active.as_ref()?;
        (active.release.commit() == &grown).then(|| active.release.hard_to_undo.clone())
    };
    flow.until("the second rollout", |flow| told(flow).is_some()).await;
    let size =
        "PersistentVolumeClaim shop/data changes its size from 1Gi to 2Gi; a volume never shrinks";
    assert_eq!(told(&flow).unwrap(), [size]);
}

//! Signatures of commits and tags: who may, who may not, and when.

use std::{fs, path::PathBuf, process::Command};

use model::source::{Signer, SourceVerify, VerifyMode};

use super::{sshd::keygen, *};

struct Here {
    dir: tempfile::TempDir,
    repository: Repository,
}

fn here() -> Here {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    repository.git(&["config", "gpg.format", "ssh"]);
    Here { dir, repository }
}

impl Here {
    /// A key pair of ssh-keygen: the private file and the public line.
    fn key(&self, name: &str, kind: &str) -> (PathBuf, String) {
        let file = self.dir.path().join(name);
        keygen(&file, kind, "");
        let public = fs::read_to_string(file.with_extension("pub")).unwrap();
        (file, public)
    }

    fn sign_with(&self, key: &Path) {
        self.repository.git(&["config", "user.signingkey", key.to_str().unwrap()]);
    }

    fn signed(&self, path: &str) -> Commit {
        self.repository.write(path, path);
        self.repository.git(&["add", "-A"]);
        self.repository.git(&["commit", "-q", "-S", "-m", path]);
        self.repository.head()
    }

    fn config(&self, reference: &str, mode: VerifyMode, signers: &[Signer]) -> SourceConfig {
        let verify = Some(SourceVerify { mode, signers: signers.to_vec(), keyless: None });
        SourceConfig { verify, ..config(&self.repository.url(), reference) }
    }
}

fn signer(name: &str, key: &str) -> Signer {
    let (name, key) = (name.to_owned(), key.to_owned());
    Signer { name, key, valid_from: None, valid_until: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_commits_of_trusted_ssh_keys_are_taken_and_the_signer_is_named() {
    let here = here();
    let (ada, ada_public) = here.key("ada", "ed25519");
    let (eve, _) = here.key("eve", "ed25519");
    let signers = [signer("ada", &ada_public)];
    let sources = start(here.dir.path(), limits());
    sources.add(here.config("main", VerifyMode::Head, &signers)).unwrap();
    let status = until_reason(&sources, Reason::CommitUnsigned).await;
    assert!(status.revision.is_none() && sources.snapshot(&name()).is_none());
    assert!(status.state.message().contains("`ada` (SHA256:"), "{:?}", status.state);
    here.sign_with(&ada);
    let good = here.signed("a.txt");
    let status = until_at(&sources, &good).await;
    assert!(status.signed_by.unwrap().starts_with("ada (SHA256:"));
    here.sign_with(&eve);
    here.signed("b.txt");
    let status = until_reason(&sources, Reason::SignatureRefused).await;
    assert!(status.state.message().contains("is signed by SHA256:"), "{:?}", status.state);
    assert_eq!(status.revision.unwrap().commit, good, "the last trusted commit stays");
    here.repository.commit("c.txt", "unsigned");
    until_reason(&sources, Reason::CommitUnsigned).await;
    assert_eq!(sources.snapshot(&name()).unwrap().revision.commit, good);
    // Also over a restart, and what was taken under other rules is not served.
    sources.stop().await;
    let sources = start(here.dir.path(), limits());
    sources.add(here.config("main", VerifyMode::Head, &signers)).unwrap();
    let status = until_reason(&sources, Reason::CommitUnsigned).await;
    assert_eq!(status.revision.unwrap().commit, good);
    let (_, other) = here.key("other", "ed25519");
    sources.add(here.config("main", VerifyMode::Head, &[signer("other", &other)])).unwrap();
    let status = until_reason(&sources, Reason::CommitUnsigned).await;
    assert!(status.revision.is_none(), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_keys_of_all_kinds_count() {
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let here = here();
        let (file, public) = here.key("ada", kind);
        here.sign_with(&file);
        let commit = here.signed("a.txt");
        let sources = start(here.dir.path(), limits());
        sources.add(here.config("main", VerifyMode::Head, &[signer("ada", &public)])).unwrap();
        until_at(&sources, &commit).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_moved_to_another_commit_or_made_for_something_else_does_not_count() {
    let here = here();
    let (ada, public) = here.key("ada", "ed25519");
    here.sign_with(&ada);
    here.signed("a.txt");
    let raw = here.repository.git(&["cat-file", "commit", "HEAD"]);
    let forged = here.dir.path().join("forged");
    fs::write(&forged, format!("{}\n", raw.replace("a.txt", "evil!"))).unwrap();
    let id = here.repository.git(&["hash-object", "-t", "commit", "-w", forged.to_str().unwrap()]);
    here.repository.git(&["update-ref", "refs/heads/main", &id]);
    let sources = start(here.dir.path(), limits());
    let config = here.config("main", VerifyMode::Head, &[signer("ada", &public)]);
    sources.add(config).unwrap();
    let status = until_reason(&sources, Reason::SignatureRefused).await;
    assert!(status.state.message().contains("does not fit"), "{:?}", status.state);
    // Signed by ada, but as a file and not as a commit.
    let unsigned = here.repository.commit("b.txt", "b");
    let raw = here.repository.git(&["cat-file", "commit", unsigned.as_str()]) + "\n";
    let file = here.dir.path().join("payload");
    fs::write(&file, &raw).unwrap();
    let made = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-n", "file", "-f"])
        .arg(&ada)
        .arg(&file)
        .output()
        .unwrap();
    assert!(made.status.success());
    let armour = fs::read_to_string(file.with_extension("sig")).unwrap();
    let header = format!("gpgsig {}", armour.trim_end().replace('\n', "\n "));
    let (head, body) = raw.split_once("\n\n").unwrap();
    fs::write(&forged, format!("{head}\n{header}\n\n{body}")).unwrap();
    let id = here.repository.git(&["hash-object", "-t", "commit", "-w", forged.to_str().unwrap()]);
    here.repository.git(&["update-ref", "refs/heads/main", &id]);
    let short = id[..7].to_owned();
    let refused = |status: &SourceStatus| status.state.message().contains(&short);
    let status = until(&sources, "refused", refused).await;
    assert_eq!(status.state.reason(), Some(Reason::SignatureRefused), "{:?}", status.state);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_outside_the_time_in_which_a_key_counts_is_refused() {
    let here = here();
    let (ada, public) = here.key("ada", "ed25519");
    here.sign_with(&ada);
    // The commits of these tests are of 2026-01-02.
    let commit = here.signed("a.txt");
    let window = |from: Option<&str>, until: Option<&str>| Signer {
        valid_from: from.map(|at| at.parse().unwrap()),
        valid_until: until.map(|at| at.parse().unwrap()),
        ..signer("ada", &public)
    };
    let sources = start(here.dir.path(), limits());
    for (from, to, says) in [
        (Some("2026-02-01T00:00:00Z"), None, "before that key counts"),
        (None, Some("2026-01-01T00:00:00Z"), "after that key counts"),
    ] {
        sources.add(here.config("main", VerifyMode::Head, &[window(from, to)])).unwrap();
        let status = until_reason(&sources, Reason::SignatureRefused).await;
        assert!(status.state.message().contains(says), "{:?}", status.state);
    }
    let both = window(Some("2026-01-01T00:00:00Z"), Some("2026-02-01T00:00:00Z"));
    sources.add(here.config("main", VerifyMode::Head, &[both])).unwrap();
    until_at(&sources, &commit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tag_and_head_wants_both_signatures() {
    let here = here();
    let (ada, public) = here.key("ada", "ed25519");
    here.sign_with(&ada);
    let signers = [signer("ada", &public)];
    let sources = start(here.dir.path(), limits());
    let follow = |mode| here.config("v1", mode, &signers);
    // A light tag on a signed commit.
    let first = here.signed("a.txt");
    here.repository.git(&["tag", "v1"]);
    sources.add(follow(VerifyMode::TagAndHead)).unwrap();
    let status = until_reason(&sources, Reason::CommitUnsigned).await;
    assert!(status.state.message().contains("no annotated tag"), "{:?}", status.state);
    // A signed tag on it.
    here.repository.git(&["tag", "-f", "-s", "-m", "signed", "v1"]);
    let status = until_at(&sources, &first).await;
    assert!(status.signed_by.unwrap().starts_with("ada ("));
    // A signed tag on a commit that is not signed.
    let second = here.repository.commit("b.txt", "b");
    here.repository.git(&["tag", "-f", "-s", "-m", "signed", "v1"]);
    let status = until_reason(&sources, Reason::CommitUnsigned).await;
    assert!(status.state.message().contains("commit"), "{:?}", status.state);
    assert_eq!(status.revision.unwrap().commit, first);
    sources.add(follow(VerifyMode::Tag)).unwrap();
    until_at(&sources, &second).await;
}

#[expect(clippy::print_stderr, reason = "who runs the tests must see what was passed over")]
/// A home of `GnuPG` with a key that signs by a subkey; gives its public block.
fn gnupg(home: &Path, expire: &str) -> Option<String> {
    fs::create_dir_all(home).unwrap();
    std::os::unix::fs::PermissionsExt::set_mode(
        &mut fs::metadata(home).unwrap().permissions(),
        0o700,
    );
    let run = |arguments: &[&str]| {
        Command::new("gpg")
            .arg("--homedir")
            .arg(home)
            .args(["--batch", "--quiet"])
            .args(arguments)
            .output()
    };
    let Ok(made) = run(&[
        "--passphrase",
        "",
        "--quick-generate-key",
        "Ada <ada@example.org>",
        "ed25519",
        "cert",
        "never",
    ]) else {
        eprintln!("SKIPPED: there is no gpg; install Debian's gnupg");
        return None;
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let listed = run(&["--list-keys", "--with-colons"]).unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let print = listed.lines().find(|l| l.starts_with("fpr:")).unwrap().split(':').nth(9).unwrap();
    let added =
        run(&["--passphrase", "", "--quick-add-key", print, "ed25519", "sign", expire]).unwrap();
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let public = run(&["--armor", "--export"]).unwrap();
    Some(String::from_utf8(public.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn openpgp_signatures_by_a_subkey_count_until_it_is_revoked() {
    let here = here();
    let home = here.dir.path().join("gnupg");
    let Some(public) = gnupg(&home, "never") else { return };
    let program = here.dir.path().join("gpg");
    fs::write(&program, format!("#!/bin/sh\nexec gpg --homedir {} \"$@\"\n", home.display()))
        .unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    here.repository.git(&["config", "gpg.format", "openpgp"]);
    here.repository.git(&["config", "gpg.program", program.to_str().unwrap()]);
    here.repository.git(&["config", "user.signingkey", "ada@example.org"]);
    let commit = here.signed("a.txt");
    let sources = start(here.dir.path(), limits());
    sources.add(here.config("main", VerifyMode::Head, &[signer("ada", &public)])).unwrap();
    let status = until_at(&sources, &commit).await;
    assert!(status.signed_by.unwrap().starts_with("ada ("));
    let other = here.dir.path().join("other");
    let stranger = gnupg(&other, "never").unwrap();
    sources.add(here.config("main", VerifyMode::Head, &[signer("eve", &stranger)])).unwrap();
    until_reason(&sources, Reason::SignatureRefused).await;
    // The same key with the subkey taken back.
    let run = Command::new("gpg")
        .arg("--homedir")
        .arg(&home)
        .args(["--batch", "--yes", "--command-fd", "0", "--edit-key", "ada@example.org"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    let mut run = run.unwrap();
    let script = b"key 1\nrevkey\ny\n1\ncompromised\n\ny\nsave\n";
    std::io::Write::write_all(&mut run.stdin.take().unwrap(), script).unwrap();
    assert!(run.wait().unwrap().success());
    let revoked =
        Command::new("gpg").arg("--homedir").arg(&home).args(["--armor", "--export"]).output();
    let revoked = String::from_utf8(revoked.unwrap().stdout).unwrap();
    sources.add(here.config("main", VerifyMode::Head, &[signer("ada", &revoked)])).unwrap();
    let says = |status: &SourceStatus| status.state.message().contains("revoked");
    until(&sources, "revoked", says).await;
    for home in [home, other] {
        Command::new("gpgconf").arg("--homedir").arg(home).args(["--kill", "all"]).output().ok();
    }
}

#[test]
fn a_key_that_cannot_be_read_is_refused_when_the_source_is_added() {
    let here = here();
    for key in ["nonsense", "ssh-ed25519 AAAA", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n"] {
        let config = here.config("main", VerifyMode::Head, &[signer("ada", key)]);
        let refused = Sources::check(&config).unwrap_err().to_string();
        assert!(refused.contains("`ada`"), "{refused}");
    }
    let secret = "-----BEGIN OPENSSH PRIVATE KEY-----";
    let config = here.config("main", VerifyMode::Head, &[signer("ada", secret)]);
    assert!(Sources::check(&config).unwrap_err().to_string().contains("private"));
}

//! OpenSSH's own server, one process for each connection, with keys and configuration of its own.

use std::{
    fs,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{net::TcpListener, task::JoinHandle};

/// Where Debian puts it.
const SSHD: &str = "/usr/sbin/sshd";

/// What the server does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Serves it.
    Good,
    /// Takes it and says nothing.
    Silent,
    /// Says something that is not SSH.
    Garbage,
    /// Hangs up.
    Closed,
}

/// A server that runs until it is dropped.
pub(crate) struct Sshd {
    pub(crate) port: u16,
    dir: PathBuf,
    mood: Arc<Mutex<Mood>>,
    children: Arc<Mutex<Vec<std::process::Child>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Sshd {
    #[expect(clippy::print_stderr, reason = "who runs the tests must see what was passed over")]
    /// A server in `dir` with a host key of the kind; `None`, loudly, where OpenSSH's server is not installed.
    pub(crate) async fn start(dir: &Path, kind: &str) -> Option<Sshd> {
        if !Path::new(SSHD).exists() {
            eprintln!("SKIPPED: there is no {SSHD}; install Debian's openssh-server");
            return None;
        }
        fs::create_dir_all(dir).unwrap();
        // Wanted when the tests run as root, and made at boot otherwise.
        fs::create_dir_all("/run/sshd").ok();
        keygen(&dir.join("host"), kind, "");
        fs::write(dir.join("authorized"), "").unwrap();
        let sshd = dir.display();
        let text = format!(
            "HostKey {sshd}/host\nAuthorizedKeysFile {sshd}/authorized\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
             AcceptEnv GIT_PROTOCOL\nLogLevel ERROR\n"
        );
        fs::write(dir.join("config"), text).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mood, children) = (Arc::new(Mutex::new(Mood::Good)), Arc::new(Mutex::new(Vec::new())));
        let connections = Arc::new(AtomicUsize::new(0));
        let (told, born, count) = (mood.clone(), children.clone(), connections.clone());
        let config = dir.join("config");
        let task = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let mood = *told.lock().unwrap();
                match mood {
                    Mood::Closed => continue,
                    Mood::Silent => {
                        held.push(stream);
                        continue;
                    }
                    Mood::Garbage => {
                        let page = b"HTTP/1.1 400 Bad Request\r\n\r\nthis is no ssh\r\n";
                        stream.try_write(page).unwrap();
                        continue;
                    }
                    Mood::Good => {}
                }
                let stream = stream.into_std().unwrap();
                stream.set_nonblocking(false).unwrap();
                let other = stream.try_clone().unwrap();
                let child = Command::new(SSHD)
                    .args(["-i", "-e", "-f"])
                    .arg(&config)
                    .stdin(Stdio::from(OwnedFd::from(stream)))
                    .stdout(Stdio::from(OwnedFd::from(other)))
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
                born.lock().unwrap().push(child);
            }
        });
        Some(Sshd { port, dir: dir.to_owned(), mood, children, connections, task })
    }

    pub(crate) fn url(&self, repository: &Path) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", whoami(), self.port, repository.display())
    }

    /// The line of `known_hosts`.
    pub(crate) fn known_hosts(&self) -> String {
        let key = fs::read_to_string(self.dir.join("host.pub")).unwrap();
        format!("[127.0.0.1]:{} {key}", self.port)
    }

    /// How people compare the host key: `SHA256:…`.
    pub(crate) fn fingerprint(&self) -> String {
        let output = Command::new("ssh-keygen").arg("-lf").arg(self.dir.join("host")).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        text.split(' ').nth(1).unwrap().to_owned()
    }

    /// Makes a key that may sign in, and gives its file.
    pub(crate) fn user_key(&self, kind: &str, passphrase: &str) -> PathBuf {
        let file = self.dir.join(format!("user-{kind}{}", passphrase.len()));
        keygen(&file, kind, passphrase);
        let line = fs::read_to_string(file.with_extension("pub")).unwrap();
        let list = self.dir.join("authorized");
        fs::write(&list, fs::read_to_string(&list).unwrap() + &line).unwrap();
        file
    }

    /// Writes another host key.
    pub(crate) fn renew(&self, kind: &str) {
        for file in ["host", "host.pub"] {
            fs::remove_file(self.dir.join(file)).unwrap();
        }
        keygen(&self.dir.join("host"), kind, "");
    }

    /// Adds a line to the configuration.
    pub(crate) fn configure(&self, from: &str, to: &str) {
        let file = self.dir.join("config");
        let text = fs::read_to_string(&file).unwrap().replace(from, to);
        fs::write(file, text).unwrap();
    }

    pub(crate) fn mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Kills the processes that serve connections.
    pub(crate) fn kill(&self) {
        for mut child in self.children.lock().unwrap().drain(..) {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.task.abort();
        self.kill();
    }
}

/// Makes a key pair without asking.
pub(crate) fn keygen(file: &Path, kind: &str, passphrase: &str) {
    let output = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", passphrase, "-f"])
        .arg(file)
        .output()
        .expect("the ssh-keygen program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn whoami() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

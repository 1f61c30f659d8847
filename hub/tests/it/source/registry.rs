//! Debian's `docker-registry`, a process on a free port with TLS, and a pen to write into it.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// `ada:secret`, as htpasswd writes it.
const ACCOUNT: &str = "ada:$2b$12$UgROLAyXNIgX0Fm.eUsXpuZkUyg51wdzGPmHa7sAV/x/aXhtKL4KG\n";

/// A registry that runs until it is dropped.
pub(crate) struct Registry {
    pub(crate) port: u16,
    pub(crate) ca: PathBuf,
    data: PathBuf,
    client: reqwest::Client,
    child: Child,
}

impl Registry {
    /// A registry with its data in `dir`; with `account`, for `ada:secret` only. `None`, loudly, where it is not
    /// installed.
    #[expect(clippy::print_stderr, reason = "who runs the tests must see what was passed over")]
    pub(crate) fn start(dir: &Path, account: bool) -> Option<Registry> {
        fs::create_dir_all(dir.join("data")).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let ca = dir.join("ca.pem");
        fs::write(&ca, certificate.pem()).unwrap();
        fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
        fs::write(dir.join("accounts"), ACCOUNT).unwrap();
        let at = dir.display();
        let auth = if account {
            format!("auth: {{htpasswd: {{realm: tests, path: {at}/accounts}}}}\n")
        } else {
            String::new()
        };
        let text = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {at}/data}}}}\n\
             http:\n  addr: \"127.0.0.1:0\"\n  tls: {{certificate: {at}/ca.pem, key: {at}/key.pem}}\n{auth}"
        );
        fs::write(dir.join("config.yml"), text).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(dir.join("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            eprintln!(
                "SKIPPED: there is no docker-registry; install Debian's package of that name"
            );
            return None;
        };
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("listening on 127.0.0.1:")?;
            rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
        });
        // Whoever stops reading makes it wait.
        std::thread::spawn(move || lines.for_each(drop));
        let root = reqwest::Certificate::from_pem(certificate.pem().as_bytes()).unwrap();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([root]).build().unwrap();
        let data = dir.join("data");
        Some(Registry { port: port.expect("it listens"), ca, data, client, child })
    }

    pub(crate) fn url(&self, repository: &str) -> String {
        format!("oci://127.0.0.1:{}/{repository}", self.port)
    }

    fn at(&self, rest: &str) -> String {
        format!("https://127.0.0.1:{}/v2/{rest}", self.port)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> reqwest::Response {
        let answer = request.basic_auth("ada", Some("secret")).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        answer
    }

    /// Puts a part there, and gives its descriptor.
    pub(crate) async fn blob(
        &self,
        repository: &str,
        kind: &str,
        bytes: &[u8],
    ) -> serde_json::Value {
        let start = self.client.post(self.at(&format!("{repository}/blobs/uploads/")));
        let place = self.send(start).await.headers()["location"].to_str().unwrap().to_owned();
        let digest = digest(bytes);
        let join = if place.contains('?') { '&' } else { '?' };
        let upload = self.client.put(format!("{place}{join}digest={digest}")).body(bytes.to_vec());
        self.send(upload).await;
        serde_json::json!({"mediaType": kind, "digest": digest, "size": bytes.len()})
    }

    /// Puts an artifact of these parts under a tag, and gives its digest.
    pub(crate) async fn push(
        &self,
        repository: &str,
        tag: &str,
        layers: Vec<serde_json::Value>,
    ) -> String {
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let config = self.blob(repository, "application/vnd.oci.empty.v1+json", b"{}").await;
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers,
        });
        let bytes = serde_json::to_vec(&manifest).unwrap();
        self.put(repository, tag, kind, &bytes).await;
        digest(&bytes)
    }

    /// Puts a manifest there.
    pub(crate) async fn put(&self, repository: &str, reference: &str, kind: &str, bytes: &[u8]) {
        let put = self.client.put(self.at(&format!("{repository}/manifests/{reference}")));
        self.send(put.header("content-type", kind).body(bytes.to_vec())).await;
    }

    /// Takes a tag away.
    pub(crate) fn forget(&self, repository: &str, tag: &str) {
        let tags = format!("docker/registry/v2/repositories/{repository}/_manifests/tags/{tag}");
        fs::remove_dir_all(self.data.join(tags)).unwrap();
    }

    /// Puts a tar archive of files there as an artifact.
    pub(crate) async fn push_files(
        &self,
        repository: &str,
        tag: &str,
        files: &[(&str, &str)],
    ) -> String {
        let kind = "application/vnd.oci.image.layer.v1.tar+gzip";
        let layer = self.blob(repository, kind, &archive(files)).await;
        self.push(repository, tag, vec![layer]).await
    }

    /// Where what was pushed stands on the disk.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(ring::digest::digest(&ring::digest::SHA256, bytes)))
}

/// A packed tar archive.
pub(crate) fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(packer);
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

//! An artifact in an OCI registry, by tag, by version, or by digest.

use model::Reason;
use reqwest::{Method, header::ACCEPT};
use serde::Deserialize;

use super::{
    Artifact, Asker, Fault, Form, Found, Held, PACKED_BYTES_MAX, Part, sha256, web::Answer,
};
use crate::source::follow::{self, Follow};

/// Longest manifest, in bytes; what registries take at most.
const MANIFEST_BYTES_MAX: usize = 4 << 20;

/// Tags of one repository.
const TAGS_MAX: usize = 10_000;

/// Parts of one artifact.
const PARTS_MAX: usize = 100;

/// What we can read. An index of several artifacts is accepted too, to refuse it in words.
const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json";

/// Where the name of a file stands that is a part of its own.
const TITLE: &str = "org.opencontainers.image.title";

#[derive(Deserialize)]
pub(super) struct Manifest {
    #[serde(default)]
    pub(super) layers: Vec<Layer>,
    #[serde(default)]
    manifests: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Layer {
    pub(super) media_type: String,
    pub(super) digest: String,
    size: u64,
    #[serde(default)]
    pub(super) annotations: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

pub(super) async fn find(
    all: &Artifact,
    asker: &Asker<'_>,
    held: Option<&Held>,
) -> Result<Found, Fault> {
    let (label, wanted) = match &all.follow {
        Follow::Name(tag) => (tag.clone(), tag.clone()),
        Follow::Digest(digest) => {
            if held.is_some_and(|held| held.digest == *digest) {
                return Ok(Found::Same);
            }
            (digest.get(..7).unwrap_or(digest).to_owned(), format!("sha256:{digest}"))
        }
        Follow::Versions(range) => {
            let tags = tags(all, asker).await?;
            let found = follow::highest(range, tags.iter().map(String::as_str));
            let found = found.ok_or_else(|| {
                all.not_found(format!("{} tags, and no version of `{range}`", tags.len()))
            })?;
            (found.to_owned(), found.to_owned())
        }
        Follow::Commit(_) => return Err(all.not_found("artifacts, and no commit to follow")),
    };
    let digest = match &all.follow {
        Follow::Digest(digest) => digest.clone(),
        Follow::Name(_) | Follow::Versions(_) | Follow::Commit(_) => {
            digest_of(all, asker, &wanted).await?
        }
    };
    if held.is_some_and(|held| held.digest == digest && held.label == label) {
        return Ok(Found::Same);
    }
    let manifest = manifest(all, asker, &format!("sha256:{digest}")).await?;
    if sha256(&manifest) != digest {
        return Err(all.invalid(format!("the manifest of {label} does not fit its digest")));
    }
    let vouchers = match &all.keys {
        Some(keys) => vec![keys.judge(all, asker, &label, &digest).await?],
        None => Vec::new(),
    };
    let manifest = read(all, &manifest)?;
    let (mut parts, mut bytes) = (Vec::new(), Vec::new());
    for layer in &manifest.layers {
        let title = layer.annotations.as_ref().and_then(|all| all.get(TITLE));
        let form = match (layer.media_type.as_str(), title) {
            (kind, _) if kind.starts_with("application/vnd.cncf.helm.chart.content") => Form::Chart,
            // What vouches for a chart is checked by its own signature.
            (kind, _) if kind.starts_with("application/vnd.cncf.helm.chart.provenance") => continue,
            (kind, None) if kind.contains("tar") => Form::Archive,
            (kind, Some(_)) if kind.contains("tar+gzip") => Form::Archive,
            (_, Some(title)) => Form::File(title.clone()),
            (kind, None) => {
                let kind = crate::source::fault::quote(kind);
                return Err(
                    all.invalid(format!("{label} has a part of kind `{kind}` without a name"))
                );
            }
        };
        bytes.push(blob(all, asker, layer).await?);
        let digest = layer.digest.trim_start_matches("sha256:").to_owned();
        parts.push(Part { digest, form });
    }
    let rules = all.rules.clone();
    Ok(Found::New(Held { rules, label, digest, parts, vouchers }, bytes))
}

/// `https://host/v2/repository/REST`.
fn url(all: &Artifact, rest: &str) -> String {
    let (host, path) = (&all.place.host, &all.place.path);
    format!("https://{host}/v2/{path}/{rest}")
}

async fn tags(all: &Artifact, asker: &Asker<'_>) -> Result<Vec<String>, Fault> {
    let mut found: Vec<String> = Vec::new();
    let mut last = String::new();
    loop {
        let place = url(all, &format!("tags/list?n=1000{last}"));
        let answer = asker.ask(Method::GET, &place, &[], MANIFEST_BYTES_MAX).await?;
        if answer.code == 404 {
            return Err(all.not_found("no repository of that name"));
        }
        let page: Tags = serde_json::from_slice(&answer.body)
            .map_err(|_| all.invalid("this is not how a registry answers"))?;
        let page = page.tags.unwrap_or_default();
        let more = answer.header("link").is_some_and(|link| link.contains("rel=\"next\""));
        match page.last() {
            Some(tag) if more && found.last() != Some(tag) => last = format!("&last={tag}"),
            Some(_) | None => {
                found.extend(page);
                return Ok(found);
            }
        }
        found.extend(page);
        if found.len() > TAGS_MAX {
            let message = format!("`{}` has more than {TAGS_MAX} tags", all.config.url);
            return Err(Fault::new(Reason::OciTooLarge, message));
        }
    }
}

/// The digest behind a tag, 64 digits.
async fn digest_of(all: &Artifact, asker: &Asker<'_>, tag: &str) -> Result<String, Fault> {
    let place = url(all, &format!("manifests/{tag}"));
    let accept = [(ACCEPT, ACCEPTED.to_owned())];
    let answer = asker.ask(Method::HEAD, &place, &accept, MANIFEST_BYTES_MAX).await?;
    if answer.code == 404 {
        return Err(all.not_found(format!("no tag `{tag}`")));
    }
    let digest = answer.header("docker-content-digest").unwrap_or_default();
    match digest.strip_prefix("sha256:") {
        Some(digest) if is_digest(digest) => Ok(digest.to_owned()),
        // Not every server says it: then the bytes do.
        Some(_) | None => Ok(sha256(&manifest(all, asker, tag).await?)),
    }
}

pub(super) async fn manifest(
    all: &Artifact,
    asker: &Asker<'_>,
    reference: &str,
) -> Result<Vec<u8>, Fault> {
    let place = url(all, &format!("manifests/{reference}"));
    let accept = [(ACCEPT, ACCEPTED.to_owned())];
    let Answer { code, body, .. } =
        asker.ask(Method::GET, &place, &accept, MANIFEST_BYTES_MAX).await?;
    if code == 404 { Err(all.not_found(format!("no artifact `{reference}`"))) } else { Ok(body) }
}

/// What refers to the artifact of a digest, as the registry lists it; `None` when it keeps no such list.
pub(super) async fn referrers(
    all: &Artifact,
    asker: &Asker<'_>,
    digest: &str,
) -> Result<Option<Vec<u8>>, Fault> {
    let place = url(all, &format!("referrers/sha256:{digest}"));
    let accept = [(ACCEPT, "application/vnd.oci.image.index.v1+json".to_owned())];
    let answer = asker.ask(Method::GET, &place, &accept, MANIFEST_BYTES_MAX).await?;
    Ok((answer.code == 200).then_some(answer.body))
}

pub(super) fn read(all: &Artifact, bytes: &[u8]) -> Result<Manifest, Fault> {
    let manifest: Manifest = serde_json::from_slice(bytes)
        .map_err(|_| all.invalid("there is no manifest of an artifact"))?;
    if !manifest.manifests.is_empty() {
        return Err(all.invalid("it is an index of several artifacts; name one of them"));
    }
    if manifest.layers.is_empty() || manifest.layers.len() > PARTS_MAX {
        let count = manifest.layers.len();
        return Err(all.invalid(format!("it has {count} parts; 1 to {PARTS_MAX} can be read")));
    }
    Ok(manifest)
}

pub(super) async fn blob(
    all: &Artifact,
    asker: &Asker<'_>,
    layer: &Layer,
) -> Result<Vec<u8>, Fault> {
    let digest = layer.digest.strip_prefix("sha256:").filter(|digest| is_digest(digest));
    let digest = digest.ok_or_else(|| all.invalid("a part is not named by a SHA-256"))?;
    if layer.size > PACKED_BYTES_MAX as u64 {
        let message = format!("`{}`: a part has {} bytes", all.config.url, layer.size);
        return Err(Fault::new(Reason::OciTooLarge, message));
    }
    let place = url(all, &format!("blobs/sha256:{digest}"));
    let answer = asker.ask(Method::GET, &place, &[], PACKED_BYTES_MAX).await?;
    if answer.code == 404 {
        return Err(all.not_found(format!("no part `{digest}`")));
    }
    if sha256(&answer.body) != digest {
        return Err(all.invalid("a part does not fit its digest"));
    }
    Ok(answer.body)
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

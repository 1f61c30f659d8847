//! A chart in a Helm repository: `index.yaml` says which versions there are and where.

use std::collections::BTreeMap;

use model::Reason;
use reqwest::Method;
use serde::Deserialize;

use super::{Artifact, Asker, Fault, Form, Found, Held, PACKED_BYTES_MAX, Part, sha256};
use crate::source::follow::{self, Follow};

/// Longest index, in bytes; the largest public ones have about twenty million.
const INDEX_BYTES_MAX: usize = 32 << 20;

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    entries: BTreeMap<String, Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    version: String,
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    urls: Vec<String>,
}

pub(super) async fn find(
    all: &Artifact,
    asker: &Asker<'_>,
    held: Option<&Held>,
) -> Result<Found, Fault> {
    let chart = all.config.chart.as_deref().unwrap_or_default();
    let base = all.config.url.trim_end_matches('/');
    let answer =
        asker.ask(Method::GET, &format!("{base}/index.yaml"), &[], INDEX_BYTES_MAX).await?;
    if answer.code == 404 {
        return Err(all.not_found("no `index.yaml`; is it a Helm repository?"));
    }
    let index = read(&answer.body).map_err(|why| {
        all.invalid(format!("`index.yaml` cannot be read: {}", crate::source::fault::quote(&why)))
    })?;
    let versions =
        index.entries.get(chart).ok_or_else(|| all.not_found(format!("no chart `{chart}`")))?;
    let names = versions.iter().map(|entry| entry.version.as_str());
    let wanted = match &all.follow {
        Follow::Name(version) => versions.iter().find(|entry| entry.version == *version),
        Follow::Versions(range) => {
            let best = follow::highest(range, names);
            versions.iter().find(|entry| Some(entry.version.as_str()) == best)
        }
        Follow::Digest(digest) => versions.iter().find(|entry| plain(entry) == Some(digest)),
        Follow::Commit(_) => None,
    };
    let wanted = wanted.ok_or_else(|| {
        let (count, reference) = (versions.len(), &all.config.reference);
        all.not_found(format!("{count} versions of chart `{chart}`, and none is `{reference}`"))
    })?;
    let label = wanted.version.clone();
    if let (Some(held), Some(digest)) = (held, plain(wanted))
        && held.digest == digest
        && held.label == label
    {
        return Ok(Found::Same);
    }
    let url = wanted.urls.first().ok_or_else(|| all.invalid(format!("{label} names no url")))?;
    let place = reqwest::Url::parse(&format!("{base}/")).and_then(|base| base.join(url));
    let place = place.map_err(|_| all.invalid(format!("the url of {label} is none")))?;
    if place.scheme() != "https" {
        return Err(all.invalid(format!("the url of {label} does not begin with `https://`")));
    }
    let own = reqwest::Url::parse(base).is_ok_and(|base| base.origin() == place.origin());
    let (client, trusted_root) = (asker.client.clone(), asker.trusted_root.clone());
    let stranger = Asker { basic: None, client, trusted_root, ..*asker };
    let asker = if own { asker } else { &stranger };
    let answer = asker.ask(Method::GET, place.as_str(), &[], PACKED_BYTES_MAX).await?;
    if answer.code == 404 {
        return Err(all.not_found(format!("{label} in its index, and not the file")));
    }
    let digest = sha256(&answer.body);
    if plain(wanted).is_some_and(|wanted| wanted != digest) {
        return Err(all.invalid(format!("{label} does not fit the digest in the index")));
    }
    if held.is_some_and(|held| held.digest == digest && held.label == label) {
        return Ok(Found::Same);
    }
    let parts = vec![Part { digest: digest.clone(), form: Form::Chart }];
    let rules = all.rules.clone();
    let held = Held { rules, label, digest, parts, vouchers: Vec::new() };
    if all.keys.is_some() {
        let message =
            format!("`{}`: charts of a Helm repository carry no cosign signature", all.config.url);
        return Err(Fault::new(Reason::CommitUnsigned, message));
    }
    Ok(Found::New(held, vec![answer.body]))
}

fn plain(entry: &Entry) -> Option<&str> {
    let digest = entry.digest.as_deref()?;
    Some(digest.strip_prefix("sha256:").unwrap_or(digest))
}

/// The name that a `Chart.yaml` gives its chart.
pub(super) fn name_of(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct About {
        name: String,
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let options = serde_saphyr::options! { with_snippet: false };
    let about: About = serde_saphyr::from_str_with_options(text, options).ok()?;
    Some(about.name)
}

fn read(bytes: &[u8]) -> Result<Index, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 1,
            max_nodes: 4_000_000,
            max_events: 8_000_000,
            max_total_scalar_bytes: INDEX_BYTES_MAX,
        },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

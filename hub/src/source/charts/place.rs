//! Which repositories of charts a source may fetch from, and how the hub proves itself there.

use model::{
    Digest, SourceName,
    source::{ChartRepository, SourceAuth},
};
use render::Wanted;
use reqwest::Url;

use crate::source::config::SourceConfig;

/// A chart at a place that is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Allowed {
    /// `https://host/path` of a Helm repository, or `oci://host/path` of the chart itself; as it is dialled.
    url: String,
    auth: SourceAuth,
}

impl Allowed {
    /// The rule that fits best, if there is one.
    pub(super) fn find(rules: &[ChartRepository], wanted: &Wanted) -> Option<Allowed> {
        let repository = plain(&wanted.repository)?;
        let fits = rules.iter().filter_map(|rule| {
            let url = plain(&rule.url)?;
            let below = repository.strip_prefix(url.as_str())?;
            (below.is_empty() || below.starts_with('/')).then_some((url.len(), rule))
        });
        let (_, rule) = fits.max_by_key(|(length, _)| *length)?;
        let url = if repository.starts_with("oci://") {
            format!("{repository}/{}", wanted.name)
        } else {
            repository
        };
        Some(Allowed { url, auth: rule.auth.clone() })
    }

    /// The chart as a source would follow it.
    pub(super) fn source(&self, name: &SourceName, wanted: &Wanted) -> SourceConfig {
        let oci = self.url.starts_with("oci://");
        // A tag of a registry cannot hold a `+`; Helm writes `_` for it.
        let version = if oci { wanted.version.replace('+', "_") } else { wanted.version.clone() };
        let mut config = SourceConfig::new(name.clone(), &self.url, &version);
        config.chart = (!oci).then(|| wanted.name.clone());
        config.auth = self.auth.clone();
        config
    }

    /// What stands for how the hub proves itself: what one account may read is not for another. Holds places of
    /// secrets, never secrets.
    pub(super) fn proof(&self) -> String {
        Digest::of(format!("{:?}", self.auth).as_bytes()).to_string()
    }
}

/// A URL in the one form in which it is compared and dialled; `None` when it has what none of ours has.
fn plain(text: &str) -> Option<String> {
    let scheme = ["https", "oci"].into_iter().find(|s| text.starts_with(&format!("{s}://")))?;
    // Read as a web address, so that `..` and its like are gone before anything is compared.
    let url = Url::parse(&text.replacen("oci://", "https://", 1)).ok()?;
    let bare = url.username().is_empty() && url.password().is_none();
    if !bare || url.query().is_some() || url.fragment().is_some() || url.path().contains('%') {
        return None;
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{scheme}://{}{port}{}", url.host_str()?, url.path().trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(url: &str, credentials: Option<&str>) -> ChartRepository {
        let credentials = credentials.map(str::to_owned);
        ChartRepository {
            url: url.to_owned(),
            auth: SourceAuth { credentials, ..SourceAuth::default() },
        }
    }

    fn find(repository: &str) -> Option<Allowed> {
        let rules = [
            rule("https://charts.example/stable/", Some("env:STABLE")),
            rule("https://charts.example/stable/inner", Some("env:INNER")),
            rule("oci://registry.example:5000/charts", None),
        ];
        let (name, version) = ("redis".to_owned(), "1.0.0+b".to_owned());
        Allowed::find(&rules, &Wanted { repository: repository.to_owned(), name, version })
    }

    #[test]
    fn the_closest_rule_gives_the_account_and_nothing_beside_it_is_asked() {
        let url = |repository: &str| find(repository).map(|allowed| allowed.url);
        let account = |repository: &str| find(repository)?.auth.credentials;
        for (repository, dialled, credentials) in [
            ("https://charts.example/stable", "https://charts.example/stable", "env:STABLE"),
            ("https://charts.example:443/stable/", "https://charts.example/stable", "env:STABLE"),
            ("https://CHARTS.example/stable/a", "https://charts.example/stable/a", "env:STABLE"),
            (
                "https://charts.example/stable/inner/b",
                "https://charts.example/stable/inner/b",
                "env:INNER",
            ),
        ] {
            assert_eq!(url(repository).as_deref(), Some(dialled), "{repository}");
            assert_eq!(account(repository).as_deref(), Some(credentials), "{repository}");
        }
        let oci = find("oci://registry.example:5000/charts").unwrap();
        assert_eq!(oci.url, "oci://registry.example:5000/charts/redis");
        for refused in [
            "https://charts.example",
            "https://charts.example/stabler",
            "https://charts.example/stable/../private",
            "https://charts.example/stable/%2e%2e/private",
            "https://charts.example/stable/..%2fprivate",
            "https://charts.example.evil.example/stable",
            "https://charts.example@evil.example/stable",
            "https://me:secret@charts.example/stable",
            "https://charts.example:8443/stable",
            "https://charts.example/stable?x",
            "http://charts.example/stable",
            "oci://charts.example/stable",
            "oci://registry.example:5000/other",
            "oci://registry.example/charts",
            "file:///etc",
        ] {
            assert_eq!(find(refused), None, "{refused}");
        }
    }

    #[test]
    fn a_chart_is_asked_for_as_a_source_is() {
        let name = SourceName::parse("fleet").unwrap();
        let wanted = |repository: &str| Wanted {
            repository: repository.to_owned(),
            name: "redis".to_owned(),
            version: "1.0.0+b".to_owned(),
        };
        let helm = wanted("https://charts.example/stable");
        let config = find(&helm.repository).unwrap().source(&name, &helm);
        assert_eq!(
            (config.chart.as_deref(), config.reference.as_str()),
            (Some("redis"), "1.0.0+b")
        );
        let oci = wanted("oci://registry.example:5000/charts");
        let config = find(&oci.repository).unwrap().source(&name, &oci);
        assert_eq!((config.chart, config.reference.as_str()), (None, "1.0.0_b"));
    }
}

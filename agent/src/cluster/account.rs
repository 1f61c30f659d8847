//! In whose name a request is made.

use http::HeaderValue;

/// A service account that the agent speaks for. The API server applies the rights of that account, also where it
/// judges whether rights may be passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    namespace: String,
    name: String,
    user: HeaderValue,
    groups: [HeaderValue; 3],
}

impl Account {
    /// Reads `NAMESPACE/NAME`.
    pub fn parse(text: &str) -> Option<Account> {
        let (namespace, name) = text.split_once('/')?;
        if namespace.is_empty() || name.is_empty() || name.contains('/') {
            return None;
        }
        let value = |text: String| HeaderValue::try_from(text).ok();
        // All that the API server gives to a token of the account: kube's own impersonation knows the user only.
        let groups = [
            value("system:serviceaccounts".to_owned())?,
            value(format!("system:serviceaccounts:{namespace}"))?,
            value("system:authenticated".to_owned())?,
        ];
        let user = value(format!("system:serviceaccount:{namespace}:{name}"))?;
        Some(Account { namespace: namespace.to_owned(), name: name.to_owned(), user, groups })
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn headers(&self) -> impl Iterator<Item = (&'static str, &HeaderValue)> {
        let groups = self.groups.iter().map(|group| ("Impersonate-Group", group));
        std::iter::once(("Impersonate-User", &self.user)).chain(groups)
    }
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_speaks_with_all_groups_of_its_token() {
        let account = Account::parse("shop/tenant").unwrap();
        let headers: Vec<String> =
            account.headers().map(|(name, v)| format!("{name}: {}", v.to_str().unwrap())).collect();
        assert_eq!(
            headers,
            [
                "Impersonate-User: system:serviceaccount:shop:tenant",
                "Impersonate-Group: system:serviceaccounts",
                "Impersonate-Group: system:serviceaccounts:shop",
                "Impersonate-Group: system:authenticated",
            ]
        );
        for wrong in ["", "tenant", "/tenant", "shop/", "a/b/c", "a/b\n"] {
            assert_eq!(Account::parse(wrong), None, "{wrong:?}");
        }
    }
}

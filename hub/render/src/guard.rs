//! The guards against hostile and broken repositories. A test switches them off one by one, to prove that the cases
//! which they answer would notice.
//!
//! Without the feature `mutations` (every build that ships) all of them stand and the branches vanish.

/// A guard that can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "mutations"),
    expect(unreachable_pub, reason = "public to the test of hostile repositories only")
)]
pub enum Guard {
    /// Bases on servers are refused.
    Remote,
    /// Paths that leave the repository are refused.
    Outside,
    /// Kustomize fetches and runs no chart.
    Charts,
    /// Programs and containers are no generators.
    Functions,
    /// Kustomize loads no plugin.
    Plugins,
    /// Kustomize reads nothing above its folder.
    Root,
    /// What a kustomization names is there.
    Present,
    /// Links lead nowhere but into the repository.
    Links,
    /// Aliases are counted as what they expand to.
    Bombs,
    /// Secrets do not stand in plain text.
    Secrets,
    /// Templates do not ask the cluster.
    Lookup,
    /// Two renders must agree.
    Random,
    /// What people write is never taken for an option.
    Options,
    /// Files with values are there, in the repository.
    Values,
    /// Charts that a chart needs are there.
    Dependencies,
    /// A render that gives nothing is a fault.
    Empty,
    /// An object stands once.
    Twice,
    /// What comes out are objects.
    Shape,
    /// Labels and facts that are asked for are there.
    Places,
    /// A folder is for one tool, and for the one that was named.
    Form,
    /// Files with patches are there, in the repository.
    Patches,
}

#[cfg(feature = "mutations")]
std::thread_local! {
    static OFF: std::cell::Cell<Option<Guard>> = const { std::cell::Cell::new(None) };
}

/// Whether a guard stands.
#[cfg(feature = "mutations")]
pub(crate) fn stands(guard: Guard) -> bool {
    OFF.get() != Some(guard)
}

/// Whether a guard stands: always.
#[cfg(not(feature = "mutations"))]
pub(crate) const fn stands(_: Guard) -> bool {
    true
}

/// Does something on this thread while a guard is switched off.
#[cfg(feature = "mutations")]
pub fn without<T>(guard: Guard, act: impl FnOnce() -> T) -> T {
    OFF.set(Some(guard));
    let done = act();
    OFF.set(None);
    done
}

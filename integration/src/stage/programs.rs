//! Where the programs of this build are: beside the one that runs now.

use std::path::PathBuf;

use super::Error;

/// The three programs.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `tidegate-hub`
    pub hub: PathBuf,
    /// `tidegate-agent`
    pub agent: PathBuf,
    /// `tidegate`
    pub tidegate: PathBuf,
}

/// Finds the programs that cargo built beside the current one.
pub fn programs() -> Result<Programs, Error> {
    let here = std::env::current_exe()
        .map_err(|cause| Error::File { path: PathBuf::from("the running program"), cause })?;
    // A test runs in `target/PROFILE/deps`, a program in `target/PROFILE`.
    let mut folder = here.parent().map(PathBuf::from).unwrap_or_default();
    if folder.ends_with("deps") || folder.ends_with("examples") {
        folder.pop();
    }
    let find = |program: &'static str| {
        let path = folder.join(program);
        let missing = || Error::NotBuilt { program, folder: folder.clone() };
        path.is_file().then_some(path).ok_or_else(missing)
    };
    Ok(Programs {
        hub: find("tidegate-hub")?,
        agent: find("tidegate-agent")?,
        tidegate: find("tidegate")?,
    })
}

//! Where the programs are: `./bin` of the workspace, or the folder that `KUBEBUILDER_ASSETS` names.

use std::path::{Path, PathBuf};

use super::Error;

/// The folder of programs, checked to hold what every cluster needs.
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
    next: &'static str,
}

/// Finds the programs. The error says what to do when they are not there.
pub fn binaries() -> Result<Binaries, Error> {
    let found = match std::env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty()) {
        Some(folder) => Binaries {
            folder: folder.into(),
            next: "KUBEBUILDER_ASSETS names that folder; put the program there, or unset the variable and run `make kube`",
        },
        None => Binaries {
            folder: Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("bin"),
            next: "run `make kube` (about 8 minutes, once), or set KUBEBUILDER_ASSETS to a folder that has it",
        },
    };
    found.etcd()?;
    found.api_server()?;
    Ok(found)
}

impl Binaries {
    pub fn etcd(&self) -> Result<PathBuf, Error> {
        self.program("etcd")
    }

    pub fn api_server(&self) -> Result<PathBuf, Error> {
        self.program("kube-apiserver")
    }

    pub fn controller_manager(&self) -> Result<PathBuf, Error> {
        self.program("kube-controller-manager")
    }

    pub fn scheduler(&self) -> Result<PathBuf, Error> {
        self.program("kube-scheduler")
    }

    pub fn kwok(&self) -> Result<PathBuf, Error> {
        self.program("kwok")
    }

    pub fn kubectl(&self) -> Result<PathBuf, Error> {
        self.program("kubectl")
    }

    fn program(&self, program: &'static str) -> Result<PathBuf, Error> {
        let path = self.folder.join(program);
        if path.is_file() {
            return Ok(path);
        }
        Err(Error::Missing { program, folder: self.folder.clone(), next: self.next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_names_the_command_that_builds_it() {
        let empty = tempfile::tempdir().expect("a folder");
        let nothing = Binaries { folder: empty.path().to_owned(), next: "run `make kube`" };
        let said = nothing.etcd().expect_err("the folder is empty").to_string();
        assert!(said.contains("`etcd`") && said.contains("run `make kube`"), "{said}");
    }
}

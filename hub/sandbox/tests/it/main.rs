//! The sandbox, from outside: real programs, real tools, hostile input.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

mod walls;
mod tools;
mod hostile;
mod guards;
mod variants;
mod equal;

use std::path::{Path, PathBuf};

use sandbox::{Places, Renderers, Sandbox};

/// The launcher that was built with these tests.
fn launcher() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_tidegate-sandbox"))
}

/// A sandbox in which a shell and its libraries can run.
fn shell_box() -> Sandbox {
    Sandbox::new(launcher()).sharing(&["/bin", "/usr", "/lib", "/lib64"])
}

/// The tools as `make kube` builds them; without them these tests fail and say so.
fn renderers() -> Renderers {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let program = |name: &str| {
        let path = root.join("bin").join(name);
        assert!(path.exists(), "`{}` is missing: run `make kube`", path.display());
        Some(path)
    };
    Renderers::new(Places {
        kustomize: program("kustomize"),
        helm: program("helm"),
        launcher: Some(launcher()),
        rooms: None,
    })
}

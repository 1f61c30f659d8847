//! Where the programs are: named, beside us, in the `bin` of the workspace we were built in, or on the PATH.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use render::Tool;

/// Where to look, and what was said about it.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// `--kustomize`.
    pub kustomize: Option<PathBuf>,
    /// `--helm`.
    pub helm: Option<PathBuf>,
    /// A program of ours that understands `sandbox-exec`; default: the one that runs, or one beside it.
    pub launcher: Option<PathBuf>,
    /// Where rooms are made; default: the system's folder for such.
    pub rooms: Option<PathBuf>,
}

/// A program, or where it was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It is here.
    At(PathBuf),
    /// It is not in any of these places.
    Nowhere(String),
}

impl Places {
    /// Finds a tool.
    pub(crate) fn tool(&self, tool: Tool) -> Found {
        let named = match tool {
            Tool::Kustomize => &self.kustomize,
            Tool::Helm => &self.helm,
        };
        if let Some(path) = named {
            return if executable(path) {
                Found::At(path.clone())
            } else {
                Found::Nowhere(format!("`{}`, which was named", path.display()))
            };
        }
        let name = tool.as_str();
        let near = near();
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = near.iter().cloned().chain(env::split_paths(&path));
        match folders.map(|folder| folder.join(name)).find(|path| executable(path)) {
            Some(path) => Found::At(path),
            None => Found::Nowhere("beside this program and on the PATH".to_owned()),
        }
    }

    /// Finds the launcher: ourselves when we are one of our programs, else one beside us.
    pub(crate) fn launcher(&self) -> Option<PathBuf> {
        const OURS: &[&str] = &["tidegate-sandbox", "tidegate-hub", "tidegate"];
        if let Some(path) = &self.launcher {
            return Some(path.clone());
        }
        let own = env::current_exe().ok()?;
        let name = own.file_name()?.to_string_lossy().into_owned();
        if OURS.contains(&name.as_str()) {
            return Some(own);
        }
        // A test or an example: our programs are in its folder or the one above.
        let folders: Vec<PathBuf> = own.ancestors().skip(1).take(2).map(Path::to_owned).collect();
        let places = folders.iter().flat_map(|folder| OURS.iter().map(|name| folder.join(name)));
        places.into_iter().find(|path| executable(path))
    }
}

/// The folder of this program, and the `bin` of the workspace whose `target` it lies in.
fn near() -> Vec<PathBuf> {
    let Ok(own) = env::current_exe() else { return Vec::new() };
    let mut near: Vec<PathBuf> = own.parent().map(Path::to_owned).into_iter().collect();
    let target = own.ancestors().find(|path| path.ends_with("target"));
    near.extend(target.and_then(Path::parent).map(|root| root.join("bin")));
    near
}

fn executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

//! Kustomize and Helm as `render` asks for them: found, locked in, remembered.

use std::{
    ffi::OsString,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use model::{Digest, Reason, Status};
use render::{Job, Output, Tool, ToolError, Tools};

use crate::{
    cache::Cache,
    find::{Found, Places},
    launch::Layers,
    room::Room,
    run::{Ended, Error, Order, Sandbox},
};

/// The tools of this machine; cheap to clone.
#[derive(Debug, Clone)]
pub struct Renderers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    places: Places,
    sandbox: Option<Sandbox>,
    cache: Mutex<Cache>,
    kustomize: OnceLock<Ready>,
    helm: OnceLock<Ready>,
    runs: Mutex<usize>,
}

/// A tool that answered.
#[derive(Debug, Clone)]
struct Ready {
    program: PathBuf,
    version: String,
}

impl Renderers {
    /// Looks for the launcher; the tools are looked for when they are needed.
    pub fn new(places: Places) -> Renderers {
        let sandbox = places.launcher().map(Sandbox::new);
        Renderers::with(places, sandbox)
    }

    /// With a sandbox of one's own.
    pub fn with(places: Places, sandbox: Option<Sandbox>) -> Renderers {
        Renderers(Arc::new(Shared {
            places,
            sandbox,
            cache: Mutex::default(),
            kustomize: OnceLock::new(),
            helm: OnceLock::new(),
            runs: Mutex::new(0),
        }))
    }

    /// Which layers of the sandbox this kernel gives, or why there is no sandbox.
    pub fn layers(&self) -> Result<Layers, ToolError> {
        self.sandbox()?.layers().map_err(|error| broken(&error))
    }

    /// What is to be said about the sandbox when it is not whole.
    pub fn weakness(&self) -> Option<Status> {
        let lacks = match self.layers() {
            Err(error) => {
                let message = format!("Kustomize and Helm are not run: {error}");
                return Some(Status::because(Reason::SandboxFailed, message));
            }
            Ok(Layers { files: true, namespaces: true }) => return None,
            Ok(Layers { files: false, namespaces: true }) => "Landlock",
            Ok(Layers { files: true, namespaces: false }) => "user namespaces",
            Ok(Layers { files: false, namespaces: false }) => "Landlock and user namespaces",
        };
        let message = format!("Kustomize and Helm run without {lacks}: this kernel has none");
        Some(Status::because(Reason::SandboxWeak, message))
    }

    /// How often a tool was started to render; the cache answers the rest.
    pub fn runs(&self) -> usize {
        *lock(&self.0.runs)
    }

    fn sandbox(&self) -> Result<&Sandbox, ToolError> {
        let why = "neither this program nor one beside it is `tidegate-hub` or `tidegate`";
        self.0.sandbox.as_ref().ok_or_else(|| ToolError::Sandbox { why: why.to_owned() })
    }

    fn ready(&self, tool: Tool) -> Result<Ready, ToolError> {
        let known = match tool {
            Tool::Kustomize => &self.0.kustomize,
            Tool::Helm => &self.0.helm,
        };
        if let Some(ready) = known.get() {
            return Ok(ready.clone());
        }
        // A tool that is missing may be installed later: only what is there is remembered.
        let ready = self.look(tool)?;
        Ok(known.get_or_init(|| ready).clone())
    }

    fn look(&self, tool: Tool) -> Result<Ready, ToolError> {
        let program = match self.0.places.tool(tool) {
            Found::At(program) => program,
            Found::Nowhere(looked) => return Err(ToolError::Missing { tool, looked }),
        };
        let arguments = match tool {
            Tool::Kustomize => &["version"][..],
            Tool::Helm => &["version", "--template", "{{.Version}}"],
        };
        let job = Job::new(tool, arguments.iter().map(|a| (*a).to_owned()).collect());
        let version = self.start(&program, &job)?;
        let version = String::from_utf8_lossy(&version).trim().to_owned();
        tracing::info!(tool = tool.as_str(), version, program = %program.display(), "renderer found");
        Ok(Ready { program, version })
    }

    fn start(&self, program: &std::path::Path, job: &Job) -> Result<Vec<u8>, ToolError> {
        let rooms = self.0.places.rooms.clone().unwrap_or_else(std::env::temp_dir);
        let room = Room::fill(&rooms, job).map_err(|error| no_room(&error))?;
        let order = Order {
            program: program.to_owned(),
            arguments: job.arguments.iter().map(OsString::from).collect(),
            folder: room.files(),
            home: room.home(),
        };
        match self.sandbox()?.run(&order).map_err(|error| broken(&error))? {
            Ended::Well(output) => Ok(output),
            Ended::TooMuch(what) => Err(ToolError::TooMuch { what }),
            Ended::Badly(words) => {
                let folder = format!("{}/", order.folder.display());
                Err(ToolError::Failed { words: words.replace(&folder, "") })
            }
        }
    }

    fn render(&self, ready: &Ready, job: &Job) -> Result<Output, ToolError> {
        *lock(&self.0.runs) += 1;
        let first = self.start(&ready.program, job)?;
        if job.twice {
            let second = self.start(&ready.program, job)?;
            let lines = |bytes: &[u8]| -> Vec<String> {
                String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
            };
            let (one, other) = (lines(&first), lines(&second));
            if let Some((line, _)) = one.iter().zip(&other).find(|(a, b)| a != b) {
                return Err(ToolError::Differs { line: line.trim().to_owned() });
            }
            if one.len() != other.len() {
                return Err(ToolError::Differs { line: "the number of lines".to_owned() });
            }
        }
        Ok(first.into())
    }
}

impl Tools for Renderers {
    fn run(&self, job: &Job) -> Result<Output, ToolError> {
        let ready = self.ready(job.tool)?;
        let key = Digest::of(format!("{} {}", job.digest(), ready.version).as_bytes());
        if let Some(answer) = lock(&self.0.cache).get(&key) {
            return answer;
        }
        let answer = self.render(&ready, job);
        // What depends on the machine and not on the input may be otherwise the next time.
        let lasting = !matches!(
            answer,
            Err(ToolError::Sandbox { .. }
                | ToolError::Missing { .. }
                | ToolError::TooMuch { what: "time" })
        );
        if lasting {
            lock(&self.0.cache).keep(key, &answer);
        }
        answer
    }

    fn version(&self, tool: Tool) -> Result<String, ToolError> {
        self.ready(tool).map(|ready| ready.version)
    }
}

fn broken(error: &Error) -> ToolError {
    ToolError::Sandbox { why: error.to_string() }
}

fn no_room(error: &io::Error) -> ToolError {
    ToolError::Sandbox { why: format!("make a folder for the files: {error}") }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

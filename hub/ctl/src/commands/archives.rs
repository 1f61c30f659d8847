//! Charts that charts of a checkout depend on, from a folder on this machine. Nothing is fetched here: the hub does that, with
//! accounts that only it has.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use model::Reason;
use render::{ChartError, Charts, Wanted};

use crate::error::{Error, Exit};

/// Bytes of one archive; the hub takes no larger ones.
const ARCHIVE_BYTES_MAX: u64 = 32 << 20;

/// A folder with `NAME-VERSION.tgz`, or none.
#[derive(Debug)]
pub(crate) struct Archives(Option<PathBuf>);

impl Archives {
    /// Takes the folder that was named.
    pub(crate) fn open(folder: Option<&Path>) -> Result<Archives, Error> {
        match folder {
            Some(folder) if !folder.is_dir() => {
                let message = format!("`--charts {}` is not a folder", folder.display());
                Err(Error::new(Exit::Usage, message)
                    .hint("name the folder that holds archives of charts, `NAME-VERSION.tgz`"))
            }
            other => Ok(Archives(other.map(Path::to_owned))),
        }
    }
}

impl Charts for Archives {
    fn archive(&self, wanted: &Wanted) -> Result<Arc<[u8]>, ChartError> {
        let missing = |message: String, hint: String| ChartError {
            reason: Reason::DependencyMissing,
            message,
            hint: Some(hint),
        };
        let (name, archive) = (&wanted.name, wanted.archive());
        let pull = if wanted.repository.starts_with("oci://") {
            format!("helm pull {}/{name} --version {}", wanted.repository, wanted.version)
        } else {
            format!("helm pull {name} --repo {} --version {}", wanted.repository, wanted.version)
        };
        let Some(folder) = &self.0 else {
            let message = format!(
                "dependency `{name}` {} is not in `charts`, and nothing is fetched here",
                wanted.version
            );
            let hint = format!("run `helm dependency build`, or `{pull}` and give `--charts .`");
            return Err(missing(message, hint));
        };
        let file = folder.join(&archive);
        let read = || {
            let bytes = fs::metadata(&file)?.len();
            if bytes > ARCHIVE_BYTES_MAX {
                let why = format!("it has {bytes} bytes, at most {ARCHIVE_BYTES_MAX} are taken");
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
            }
            fs::read(&file)
        };
        read().map(Into::into).map_err(|error| {
            let message = if error.kind() == io::ErrorKind::NotFound {
                format!("dependency `{name}`: there is no `{archive}` in `{}`", folder.display())
            } else {
                format!("dependency `{name}`: `{}` cannot be read: {error}", file.display())
            };
            missing(message, format!("run `{pull}` there"))
        })
    }
}

//! What gix says, as one of the reasons that people know.

use std::{io, path::Path};

use crate::source::fault::{Cause, Class, Fault, is_full};

/// What gix said about the mirror in `dir`.
pub(super) fn of_mirror(dir: &Path, error: &gix::Error) -> Fault {
    let disk = error.iter_errors().find_map(|cause| cause.downcast_ref::<io::Error>());
    match disk {
        Some(disk) if is_full(disk.kind()) => Fault::disk(dir, disk),
        Some(_) | None => Fault::damaged(dir, error),
    }
}

/// What gix said about the remote at `url`.
pub(super) fn of(url: &str, error: &gix::Error) -> Fault {
    use gix::error::Class as Gix;
    let causes: Vec<Cause> = error.iter_errors().map(Cause::read).collect();
    let says = |test: fn(&Gix) -> bool| error.classify().any(|found| test(&found.class()));
    let class = Class {
        exhausted: says(|class| matches!(class, Gix::ResourceExhaustion(_))),
        missing: says(|class| matches!(class, Gix::NotFound)),
        foreign: says(|class| matches!(class, Gix::Unsupported | Gix::Validation)),
    };
    Fault::judged(url, &causes, class)
}

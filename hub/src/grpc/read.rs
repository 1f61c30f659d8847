//! Content for agents: what cannot be read is refused with a reason, and what leaves the hub is what was
//! rendered, because every read checks the digest.

use bytes::Bytes;
use model::{Digest, Manifest, Reason};
use tonic::{Code, Status};

use super::refuse::{internal, refuse};
use crate::content::{Content, Error};

/// One item. Blocks.
pub(super) fn read(content: &Content, digest: &Digest) -> Result<Bytes, Status> {
    match content.get(digest) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => {
            let what = format!("content {} is not on the hub now", digest.short());
            Err(refuse(Code::Unavailable, Reason::Unavailable, what))
        }
        Err(error @ Error::Damaged { .. }) => Err(corrupt(digest, &error.to_string())),
        Err(error) => Err(internal(error)),
    }
}

/// One manifest. Blocks.
pub(super) fn manifest(content: &Content, digest: &Digest) -> Result<Manifest, Status> {
    Manifest::parse(&read(content, digest)?).map_err(|what| corrupt(digest, &what))
}

fn corrupt(digest: &Digest, what: &str) -> Status {
    tracing::error!(%digest, what, "content is damaged");
    let what = format!("content {} is damaged on the hub", digest.short());
    refuse(Code::DataLoss, Reason::ContentCorrupt, what)
}

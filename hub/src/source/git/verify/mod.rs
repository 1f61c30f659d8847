//! Who signed a commit or a tag, checked inside this process: no program is started, and no configuration says
//! which keys count but that of the source.

mod openpgp;
mod sshsig;

use jiff::Timestamp;
use model::{
    Reason,
    source::{Signer, SourceVerify, VerifyMode},
};

use crate::source::{Voucher, fault::Fault};

/// Longest signature, in bytes.
const SIGNATURE_BYTES_MAX: usize = 64 << 10;

/// The signers of a source.
#[derive(Debug, Clone)]
pub(in crate::source) struct Signers {
    pub(super) mode: VerifyMode,
    all: Vec<(Signer, Key)>,
}

#[derive(Debug, Clone)]
enum Key {
    Ssh(sshsig::Key),
    OpenPgp(openpgp::Key),
}

/// Something signed.
#[derive(Debug)]
pub(super) struct Signed {
    /// The signature as it stands there.
    pub(super) armour: Vec<u8>,
    /// What it is over.
    pub(super) data: Vec<u8>,
    /// When whoever made it says it was made; SSH signatures carry no time of their own.
    pub(super) at: Option<Timestamp>,
}

enum Signature {
    Ssh(sshsig::Signature),
    OpenPgp(openpgp::Signature),
}

impl Signers {
    /// Reads the keys of a source; the name of the signer whose key cannot be read otherwise.
    pub(in crate::source) fn parse(verify: &SourceVerify) -> Result<Signers, String> {
        let mut all = Vec::new();
        for signer in &verify.signers {
            let pgp = signer.key.contains("-----BEGIN PGP");
            let key = if pgp {
                openpgp::Key::parse(&signer.key).map(Key::OpenPgp)
            } else {
                sshsig::Key::parse(&signer.key).map(Key::Ssh)
            };
            let unreadable = || {
                format!("of `{}` is neither a line of OpenSSH nor an OpenPGP block", signer.name)
            };
            all.push((signer.clone(), key.ok_or_else(unreadable)?));
        }
        Ok(Signers { mode: verify.mode, all })
    }

    /// Who signed `what`.
    pub(super) fn judge(&self, what: &str, signed: Option<&Signed>) -> Result<Voucher, Fault> {
        let refused = |why: String| Fault::new(Reason::SignatureRefused, format!("{what} {why}"));
        let Some(signed) = signed else {
            let message = format!("{what} is not signed; the source trusts {}", self.names());
            return Err(Fault::new(Reason::CommitUnsigned, message));
        };
        let signature = Signature::parse(&signed.armour)
            .ok_or_else(|| refused("carries a signature that cannot be read".to_owned()))?;
        let by = signature.print();
        let Some((trusted, key)) = self.all.iter().find(|(_, key)| signature.is_of(key)) else {
            let names = self.names();
            return Err(refused(format!("is signed by {by}; the source trusts only {names}")));
        };
        let name = &trusted.name;
        if let Err(flaw) = signature.check(key, &signed.data) {
            return Err(refused(format!("names {by} of `{name}` as its signer: {flaw}")));
        }
        let at = signature.at().or(signed.at);
        let early = trusted.valid_from.is_some_and(|from| at.is_none_or(|at| at < from));
        let late = trusted.valid_until.is_some_and(|until| at.is_none_or(|at| at > until));
        if early || late {
            let at = at.map_or_else(|| "an unknown time".to_owned(), |at| at.to_string());
            let when = if early { "before" } else { "after" };
            let why = format!("is signed by {by} of `{name}` at {at}, {when} that key counts");
            return Err(refused(why));
        }
        Ok(Voucher { signer: name.clone(), key: by })
    }

    fn names(&self) -> String {
        let name = |(signer, key): &(Signer, Key)| format!("`{}` ({})", signer.name, key.print());
        self.all.iter().map(name).collect::<Vec<_>>().join(", ")
    }
}

impl Key {
    fn print(&self) -> String {
        match self {
            Key::Ssh(key) => key.print(),
            Key::OpenPgp(key) => key.print(),
        }
    }
}

impl Signature {
    fn parse(armour: &[u8]) -> Option<Signature> {
        if armour.len() > SIGNATURE_BYTES_MAX {
            return None;
        }
        if armour.starts_with(b"-----BEGIN SSH SIGNATURE-----") {
            return sshsig::Signature::parse(armour).map(Signature::Ssh);
        }
        openpgp::Signature::parse(armour).map(Signature::OpenPgp)
    }

    fn print(&self) -> String {
        match self {
            Signature::Ssh(signature) => signature.print(),
            Signature::OpenPgp(signature) => signature.print(),
        }
    }

    fn at(&self) -> Option<Timestamp> {
        match self {
            Signature::Ssh(_) => None,
            Signature::OpenPgp(signature) => signature.at(),
        }
    }

    fn is_of(&self, key: &Key) -> bool {
        match (self, key) {
            (Signature::Ssh(signature), Key::Ssh(key)) => signature.is_of(key),
            (Signature::OpenPgp(signature), Key::OpenPgp(key)) => signature.is_of(key),
            (Signature::Ssh(_) | Signature::OpenPgp(_), Key::Ssh(_) | Key::OpenPgp(_)) => false,
        }
    }

    fn check(&self, key: &Key, data: &[u8]) -> Result<(), openpgp::Flaw> {
        match (self, key) {
            (Signature::Ssh(signature), Key::Ssh(key)) if signature.fits(key, data) => Ok(()),
            (Signature::OpenPgp(signature), Key::OpenPgp(key)) => signature.check(key, data),
            (Signature::Ssh(_) | Signature::OpenPgp(_), Key::Ssh(_) | Key::OpenPgp(_)) => {
                Err(openpgp::Flaw::Forged)
            }
        }
    }
}

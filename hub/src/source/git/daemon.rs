//! `git://`, the plain protocol of Git's own daemon. Nothing on the way is secret or proven, so that only sources that say
//! whose signatures they take may use it.

use std::{
    io::{self, Read},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use model::Reason;

use super::call::Call;
use crate::source::fault::{Cause, Class, Fault};

/// What the server sends.
pub(super) struct Reader {
    stream: TcpStream,
    call: Call,
    url: String,
    silence: Duration,
    /// Bytes that may still be received.
    left: u64,
}

/// Connects; neither connecting nor any single read takes longer than `silence`.
pub(super) fn open(
    url: &str,
    (host, port): (&str, u16),
    (silence, bytes_max): (Duration, u64),
    call: &Call,
) -> Result<(Reader, TcpStream), Fault> {
    let fault = |error: &io::Error| Fault::judged(url, &[Cause::read(error)], Class::default());
    let addresses = (host, port).to_socket_addrs().map_err(|error| fault(&error))?;
    let mut failed =
        Fault::new(Reason::GitUnreachable, format!("`{url}`: the host has no address"));
    for address in addresses {
        match TcpStream::connect_timeout(&address, silence) {
            Ok(stream) => {
                let ready = stream
                    .set_read_timeout(Some(silence))
                    .and_then(|()| stream.set_write_timeout(Some(silence)))
                    .and_then(|()| stream.try_clone());
                let write = ready.map_err(|error| fault(&error))?;
                let (call, url, left) = (call.clone(), url.to_owned(), bytes_max);
                return Ok((Reader { stream, call, url, silence, left }, write));
            }
            Err(error) => failed = fault(&error),
        }
    }
    Err(failed)
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let url = &self.url;
        let late =
            |why: String| self.call.say(Fault::new(Reason::GitTimeout, format!("`{url}`: {why}")));
        if self.call.is_given_up() {
            return Err(late("given up".to_owned()));
        }
        let got = match self.stream.read(buffer) {
            Ok(got) => got,
            // What the system says when nothing came in time.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let seconds = self.silence.as_secs();
                return Err(late(format!("the server is silent for {seconds} s")));
            }
            Err(error) => return Err(error),
        };
        self.left = self.left.saturating_sub(got as u64);
        if self.left == 0 {
            let message = format!("`{url}`: the server sends more than the limit");
            return Err(self.call.say(Fault::new(Reason::GitTooLarge, message)));
        }
        Ok(got)
    }
}

//! A channel of an SSH connection, as a blocking reader and writer for gix.

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use bytes::{Buf, Bytes};
use model::Reason;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, client::Msg};
use tokio::runtime::Handle;

use crate::source::{
    fault::{Fault, quote},
    git::call::Call,
};

/// Bytes of what the server says to people; more is passed over.
const STDERR_BYTES_MAX: usize = 4096;

/// How to wait.
#[derive(Clone)]
pub(super) struct Patience {
    pub(super) handle: Handle,
    pub(super) call: Call,
    pub(super) silence: Duration,
    pub(super) url: String,
}

impl Patience {
    /// Waits for the server, no longer than it may be silent, and not when the look is given up.
    pub(super) fn wait<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        self.handle.block_on(async {
            tokio::select! {
                () = self.call.given_up() => Err(Fault::new(Reason::GitTimeout, "given up")),
                done = tokio::time::timeout(self.silence, work) => done.unwrap_or_else(|_| {
                    let seconds = self.silence.as_secs();
                    let message = format!("`{}`: the server is silent for {seconds} s", self.url);
                    Err(Fault::new(Reason::GitTimeout, message))
                }),
            }
        })
    }
}

/// What the server sends.
pub(super) struct Reader {
    pub(super) half: ChannelReadHalf,
    pub(super) patience: Patience,
    pub(super) ready: Bytes,
    pub(super) stderr: Vec<u8>,
    pub(super) failed: bool,
    /// Bytes that may still be received.
    pub(super) left: u64,
}

impl Reader {
    /// Waits for bytes; none when the server's program has ended.
    fn more(&mut self) -> Result<Bytes, Fault> {
        loop {
            let half = &mut self.half;
            match self.patience.wait(async { Ok(half.wait().await) })? {
                Some(ChannelMsg::Data { data }) if !data.is_empty() => return Ok(data),
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    let room = STDERR_BYTES_MAX.saturating_sub(self.stderr.len());
                    self.stderr.extend_from_slice(&data[..data.len().min(room)]);
                }
                Some(ChannelMsg::ExitStatus { exit_status }) => self.failed |= exit_status != 0,
                Some(ChannelMsg::ExitSignal { .. } | ChannelMsg::Failure) => self.failed = true,
                Some(ChannelMsg::Close) | None => return self.end(),
                Some(_) => {}
            }
        }
    }

    fn end(&self) -> Result<Bytes, Fault> {
        if !self.failed {
            return Ok(Bytes::new());
        }
        let said = quote(String::from_utf8_lossy(&self.stderr).trim());
        let said = if said.is_empty() { "nothing more".to_owned() } else { format!("`{said}`") };
        let url = &self.patience.url;
        let message =
            format!("`{url}`: there is no repository for this key; the server says {said}");
        Err(Fault::new(Reason::GitNotARepository, message))
    }
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.ready.is_empty() {
            let more = self.more().map_err(|fault| self.patience.call.say(fault))?;
            self.left = self.left.checked_sub(more.len() as u64).ok_or_else(|| {
                let message = format!("`{}`: the answer is too long", self.patience.url);
                self.patience.call.say(Fault::new(Reason::GitTooLarge, message))
            })?;
            self.ready = more;
        }
        let amount = self.ready.len().min(buf.len());
        buf[..amount].copy_from_slice(&self.ready[..amount]);
        self.ready.advance(amount);
        Ok(amount)
    }
}

/// What is sent to it.
pub(super) struct Writer {
    pub(super) half: ChannelWriteHalf<Msg>,
    pub(super) patience: Patience,
}

impl Write for Writer {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let broke_off = |error: russh::Error| {
            let message = format!("`{}`: the transfer broke off: {error}", self.patience.url);
            Fault::new(Reason::GitUnreachable, message)
        };
        let data = Bytes::copy_from_slice(buf);
        let sent = async { self.half.data_bytes(data).await.map_err(broke_off) };
        self.patience.wait(sent).map_err(|fault| self.patience.call.say(fault))?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! One HTTPS client under gix: credentials are sent at once and to this server only, every wait has a bound
//! and can be ended, connections are kept between looks, and what the server says about pauses is heard.

use std::{
    io::{self, BufRead, Cursor, Read, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::{Buf, Bytes};
use gix::protocol::transport::client::blocking_io::http::{
    GetResponse, Http, PostBodyDataKind, PostResponse,
};
use model::Reason;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use tokio::runtime::Handle;

use super::call::Call;
use crate::source::{
    fault::{Fault, quote},
    lock, throttle,
};

/// Bytes of an answer that lists refs: ten thousand of them with the longest usual names.
const LIST_BYTES_MAX: u64 = 8 << 20;

/// Bytes of a request: what we have, as commit ids.
const REQUEST_BYTES_MAX: usize = 8 << 20;

/// A server and how to speak to it.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) handle: Handle,
    pub(super) client: reqwest::Client,
    pub(super) authorization: Option<HeaderValue>,
    pub(super) url: String,
    /// Silence after which it is given up.
    pub(super) silence: Duration,
    pub(super) fetch_bytes_max: u64,
    pub(super) call: Call,
}

/// What gix talks through.
pub(super) struct Wire {
    server: Server,
    moved: Option<String>,
}

impl Wire {
    pub(super) fn new(server: Server) -> Wire {
        Wire { server, moved: None }
    }

    fn request(
        &self,
        method: reqwest::Method,
        url: &str,
        base: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> io::Result<reqwest::Request> {
        let tail = url.strip_prefix(base).unwrap_or_default();
        let url = self.moved.as_ref().map_or_else(|| url.to_owned(), |new| format!("{new}{tail}"));
        let mut request = self.server.client.request(method, url);
        for line in headers {
            let Some((name, value)) = line.as_ref().split_once(':') else { continue };
            let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(io::Error::other)?;
            request = request.header(name, value.trim());
        }
        if let Some(value) = &self.server.authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        request.build().map_err(io::Error::other)
    }
}

impl Http for Wire {
    type Headers = Lines;
    type ResponseBody = Body;
    type PostBody = Post;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<GetResponse<Lines, Body>, gix::Error> {
        let get = || {
            let request = self.request(reqwest::Method::GET, url, base_url, headers)?;
            self.server.send(request)
        };
        let answer = get().map_err(gix::Error::from_error)?;
        // Followed within this server only; the requests after it go to the new place at once.
        let tail = url.strip_prefix(base_url).unwrap_or_default();
        let at = answer.url().as_str();
        if at != url {
            self.moved = at.strip_suffix(tail).map(str::to_owned);
        }
        let exchange = Exchange::answered(self.server.clone(), answer);
        Ok(GetResponse { headers: Lines::new(&exchange), body: Body::new(&exchange) })
    }

    fn post(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _: PostBodyDataKind,
    ) -> Result<PostResponse<Lines, Body, Post>, gix::Error> {
        let request = self.request(reqwest::Method::POST, url, base_url, headers);
        let request = request.map_err(gix::Error::from_error)?;
        let exchange = Exchange::asked(self.server.clone(), request);
        Ok(PostResponse {
            post_body: Post(exchange.clone()),
            headers: Lines::new(&exchange),
            body: Body::new(&exchange),
        })
    }

    fn configure(&mut self, _: &dyn std::any::Any) -> Result<(), gix::Error> {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.moved.clone()
    }
}

impl Server {
    /// Waits for the server, no longer than it may be silent, and not when the look is given up.
    fn wait<T>(&self, work: impl Future<Output = reqwest::Result<T>>) -> io::Result<T> {
        let done = self.handle.block_on(async {
            tokio::select! {
                () = self.call.given_up() => Err(Fault::new(Reason::GitTimeout, "given up")),
                done = tokio::time::timeout(self.silence, work) => match done {
                    Ok(Ok(done)) => Ok(done),
                    Ok(Err(error)) => Err(Fault::of_http(&self.url, &error)),
                    Err(_) => {
                        let seconds = self.silence.as_secs();
                        let message = format!("`{}`: the server is silent for {seconds} s", self.url);
                        Err(Fault::new(Reason::GitTimeout, message))
                    }
                },
            }
        });
        done.map_err(|fault| self.call.say(fault))
    }

    fn send(&self, request: reqwest::Request) -> io::Result<reqwest::Response> {
        let answer = self.wait(self.client.execute(request))?;
        let code = answer.status().as_u16();
        let pause = throttle::pause(code, answer.headers(), self.call.now());
        if code == 200 {
            if let Some(pause) = pause {
                self.call.ask_for_pause(pause);
            }
            return Ok(answer);
        }
        let with = self.authorization.is_some();
        let url = &self.url;
        let fault = |reason, words: &str| Fault::new(reason, format!("`{url}`: {words} ({code})"));
        Err(self.call.say(match code {
            _ if pause.is_some() => {
                let words = "the server limits how often it may be asked";
                fault(Reason::SourceRateLimited, words).after(pause)
            }
            300..=399 => {
                let to = answer.headers().get("location").and_then(|to| to.to_str().ok());
                let to = quote(without_query(to.unwrap_or("an unnamed place")));
                fault(Reason::SourceMoved, &format!("the server sends to `{to}`"))
            }
            401 if !with => {
                let words = "the server asks for credentials and the source has none";
                fault(Reason::GitAuthFailed, words)
            }
            401 | 403 | 407 => fault(Reason::GitAuthFailed, "the server refuses access"),
            404 | 410 if with => {
                let words = "there is no repository that these credentials may see";
                fault(Reason::GitNotARepository, words)
            }
            404 | 410 => fault(Reason::GitNotARepository, "there is no repository"),
            _ => fault(Reason::GitUnreachable, "the server answers with an error"),
        }))
    }
}

/// A place without what may be a token.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// One request and its answer; sent when the answer is first read.
struct Exchange {
    server: Server,
    request: Option<reqwest::Request>,
    sent: Vec<u8>,
    answer: Option<reqwest::Response>,
    /// Bytes that may still be received.
    left: u64,
}

type Shared = Arc<Mutex<Exchange>>;

impl Exchange {
    fn asked(server: Server, request: reqwest::Request) -> Shared {
        let exchange =
            Exchange { server, request: Some(request), sent: Vec::new(), answer: None, left: 0 };
        Arc::new(Mutex::new(exchange))
    }

    fn answered(server: Server, answer: reqwest::Response) -> Shared {
        let (request, answer) = (None, Some(answer));
        let exchange = Exchange { server, request, sent: Vec::new(), answer, left: LIST_BYTES_MAX };
        Arc::new(Mutex::new(exchange))
    }

    fn answer(&mut self) -> io::Result<&mut reqwest::Response> {
        if let Some(mut request) = self.request.take() {
            let body = std::mem::take(&mut self.sent);
            let list = body.windows(15).take(64).any(|part| part == b"command=ls-refs");
            self.left = if list { LIST_BYTES_MAX } else { self.server.fetch_bytes_max };
            *request.body_mut() = Some(body.into());
            self.answer = Some(self.server.send(request)?);
        }
        self.answer.as_mut().ok_or_else(|| io::Error::other("the request failed"))
    }

    fn chunk(&mut self) -> io::Result<Bytes> {
        self.answer()?;
        let Some(answer) = self.answer.as_mut() else { return Ok(Bytes::new()) };
        let chunk = self.server.wait(answer.chunk())?.unwrap_or_default();
        self.left = self.left.checked_sub(chunk.len() as u64).ok_or_else(|| {
            let message = format!("`{}`: the answer is too long", self.server.url);
            self.server.call.say(Fault::new(Reason::GitTooLarge, message))
        })?;
        Ok(chunk)
    }
}

/// Headers of an answer, a line each.
pub(super) struct Lines {
    exchange: Shared,
    text: Option<Cursor<Vec<u8>>>,
}

impl Lines {
    fn new(exchange: &Shared) -> Lines {
        Lines { exchange: exchange.clone(), text: None }
    }

    fn text(&mut self) -> io::Result<&mut Cursor<Vec<u8>>> {
        if self.text.is_none() {
            let mut exchange = lock(&self.exchange);
            let mut text = Vec::new();
            for (name, value) in exchange.answer()?.headers() {
                text.extend_from_slice(name.as_str().as_bytes());
                text.push(b':');
                text.extend_from_slice(value.as_bytes());
                text.push(b'\n');
            }
            self.text = Some(Cursor::new(text));
        }
        Ok(self.text.get_or_insert_default())
    }
}

impl Read for Lines {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.text()?.read(buf)
    }
}

impl BufRead for Lines {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.text()?.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        if let Some(text) = &mut self.text {
            text.consume(amount);
        }
    }
}

/// What is received.
pub(super) struct Body {
    exchange: Shared,
    chunk: Bytes,
}

impl Body {
    fn new(exchange: &Shared) -> Body {
        Body { exchange: exchange.clone(), chunk: Bytes::new() }
    }
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let amount = ready.len().min(buf.len());
        buf[..amount].copy_from_slice(&ready[..amount]);
        self.consume(amount);
        Ok(amount)
    }
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.chunk.is_empty() {
            self.chunk = lock(&self.exchange).chunk()?;
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, amount: usize) {
        self.chunk.advance(amount.min(self.chunk.len()));
    }
}

/// What is sent.
pub(super) struct Post(Shared);

impl Write for Post {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut exchange = lock(&self.0);
        if exchange.sent.len() + buf.len() > REQUEST_BYTES_MAX {
            return Err(io::Error::other("the request is too long"));
        }
        exchange.sent.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! What `rollout watch` prints and when it ends, against a hub that answers what a test says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempPath;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers each request with the next document, and then with the last one for ever.
fn hub(answers: Vec<Value>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut answers = answers.into_iter().peekable();
        while let Ok((mut stream, _)) = listener.accept() {
            let mut request = BufReader::new(stream.try_clone().unwrap()).lines();
            while request.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let answer = answers.next().unwrap();
            if answers.peek().is_none() {
                answers = vec![answer.clone()].into_iter().peekable();
            }
            let body = json!({"apiVersion": "cli.tidegate/v1", "items": [answer]}).to_string();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
            let length = body.len();
            drop(write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{body}"));
        }
    });
    address
}

fn rollout(state: &str, ready: usize, message: &str) -> Value {
    json!({
        "app": "web", "id": 3, "revision": "main@sha1:1f3c9a2b00", "kind": "forward",
        "state": state, "reason": null, "message": message, "subject": "", "startedAt": null,
        "endedAt": null, "traceId": null,
        "waves": [{
            "app": null, "rollout": null, "name": "canary", "state": "Open", "reason": null,
            "message": message,
            "clusters": {
                "total": 2, "ready": ready, "failed": 0, "queued": 0, "updating": 0,
                "verifying": 2 - ready, "recalling": 0, "updated": 0, "deferred": 0,
                "unchanged": 0, "skipped": 0, "departed": 0,
            },
        }],
    })
}

fn watch(hub: SocketAddr) -> (Child, TempPath) {
    let token = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    std::fs::write(&token, "a-token").unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["--hub", &format!("http://{hub}"), "rollout", "watch", "web"])
        .arg("--token-file")
        .arg(&token)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    (child.unwrap(), token)
}

fn ended(mut child: Child) -> Option<i32> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    panic!("it did not end");
}

#[test]
fn watching_prints_a_line_for_a_step_and_none_for_seconds_that_pass() {
    let hub = hub(vec![
        rollout("Progressing", 0, "verifying for 1s of 10s"),
        rollout("Progressing", 0, "verifying for 2s of 10s"),
        rollout("Progressing", 1, "verifying for 3s of 10s"),
        rollout("Progressing", 1, "verifying for 4s of 10s"),
        rollout("Completed", 2, "2 of 2 clusters run it"),
    ]);
    let (mut child, _token) = watch(hub);
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(ended(child), Some(0));
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert_eq!(
        lines[0],
        "web#3 main@1f3c9a2 Progressing  canary Open 0/2  verifying for 1s of 10s"
    );
    assert!(lines[1].contains("1/2") && lines[2].contains("Completed"), "{text}");
}

#[test]
fn watching_ends_when_nobody_reads_any_more_though_nothing_changes() {
    let hub = hub(vec![rollout("Paused", 0, "paused by a person")]);
    let (mut child, _token) = watch(hub);
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("Paused"), "{first}");
    // The reader is gone here, as with `| head -1`.
    assert_eq!(ended(child), Some(0));
}

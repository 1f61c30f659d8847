//! One status as each forge takes it.

use jiff::Timestamp;
use model::source::Forge;
use serde_json::{Value as Json, json};

use super::{
    outbox::{Row, Verdict},
    words::Fate,
};
use crate::source::{Answer, Caller};

/// Longest key of a status at Bitbucket, in characters.
const KEY_CHARS_MAX: usize = 40;

/// Tells one status.
pub(super) async fn send(caller: &Caller, row: &Row, now: Timestamp) -> Answer {
    let (path, body) = request(caller.forge(), caller.repository(), row);
    caller.post(&path, &body, now).await
}

/// Path below the API, and document.
fn request(forge: Forge, repository: &str, row: &Row) -> (String, Json) {
    let (context, text) = (format!("tidegate/{}", row.app), row.want.text.as_str());
    let (commit, fate) = (row.commit.as_str(), row.want.fate);
    let state = state(forge, fate);
    match forge {
        Forge::Github | Forge::Gitea => {
            let body = json!({ "state": state, "context": context, "description": text });
            (format!("/repos/{repository}/statuses/{commit}"), body)
        }
        Forge::Gitlab => {
            let project = repository.replace('/', "%2F");
            let body = json!({ "state": state, "name": context, "description": text });
            (format!("/projects/{project}/statuses/{commit}"), body)
        }
        Forge::Bitbucket => {
            let key = if context.len() > KEY_CHARS_MAX {
                let digest = model::Digest::of(context.as_bytes()).to_string();
                format!(
                    "tidegate-{}",
                    digest.rsplit(':').next().unwrap_or_default().get(..24).unwrap_or_default()
                )
            } else {
                context.clone()
            };
            let url = format!("https://bitbucket.org/{repository}/commits/{commit}");
            let body = json!({ "key": key, "state": state, "name": context, "description": text, "url": url });
            (format!("/repositories/{repository}/commit/{commit}/statuses/build"), body)
        }
    }
}

fn state(forge: Forge, fate: Fate) -> &'static str {
    match (forge, fate) {
        (Forge::Github | Forge::Gitea | Forge::Gitlab, Fate::Pending) => "pending",
        (Forge::Github | Forge::Gitea | Forge::Gitlab, Fate::Success) => "success",
        (Forge::Github | Forge::Gitea, Fate::Failure) => "failure",
        (Forge::Github | Forge::Gitea, Fate::Ended) => "error",
        (Forge::Gitlab, Fate::Failure) => "failed",
        (Forge::Gitlab, Fate::Ended) => "canceled",
        (Forge::Bitbucket, Fate::Pending) => "INPROGRESS",
        (Forge::Bitbucket, Fate::Success) => "SUCCESSFUL",
        (Forge::Bitbucket, Fate::Failure) => "FAILED",
        (Forge::Bitbucket, Fate::Ended) => "STOPPED",
    }
}

/// What an answer means.
pub(super) fn judge(answer: &Answer) -> Verdict {
    match answer.code {
        Some(200..=299) => Verdict::Taken,
        // GitLab refuses to go from a state to the same one; the state is as it should be.
        Some(400) if answer.words.contains("Cannot transition status") => Verdict::Taken,
        Some(408 | 409 | 425 | 429 | 500..) | None => Verdict::Later,
        // A limit that was met is no refusal.
        Some(_) if answer.pause.is_some() => Verdict::Later,
        Some(_) => Verdict::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_work_later_is_told_from_what_is_refused() {
        let answer = |code, words: &str, pause: Option<u64>| Answer {
            code,
            words: words.to_owned(),
            pause: pause.map(std::time::Duration::from_secs),
        };
        for (code, pause, verdict) in [
            (Some(201), None, Verdict::Taken),
            (Some(200), None, Verdict::Taken),
            (Some(401), None, Verdict::Refused),
            (Some(404), None, Verdict::Refused),
            (Some(422), None, Verdict::Refused),
            (Some(301), None, Verdict::Refused),
            (Some(403), Some(60), Verdict::Later),
            (Some(429), Some(60), Verdict::Later),
            (Some(502), None, Verdict::Later),
            (None, None, Verdict::Later),
        ] {
            assert_eq!(judge(&answer(code, "", pause)), verdict, "{code:?} {pause:?}");
        }
        let same = "Cannot transition status via :enqueue from :pending";
        assert_eq!(judge(&answer(Some(400), same, None)), Verdict::Taken);
    }
}

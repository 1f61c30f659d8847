//! What was rendered before: equal input and an equal tool give the equal answer.
//!
//! Bounded; the oldest goes first. Faults are kept too, so that a broken chart is not run again and again.

use std::collections::{BTreeMap, VecDeque};

use model::Digest;
use render::{Output, ToolError};

use crate::limits;

/// Answers by what they were made of.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    answers: BTreeMap<Digest, Result<Output, ToolError>>,
    order: VecDeque<Digest>,
    bytes: usize,
}

impl Cache {
    pub(crate) fn get(&self, key: &Digest) -> Option<Result<Output, ToolError>> {
        self.answers.get(key).cloned()
    }

    pub(crate) fn keep(&mut self, key: Digest, answer: &Result<Output, ToolError>) {
        let bytes = size(answer);
        if bytes > limits::CACHE_BYTES || self.answers.contains_key(&key) {
            return;
        }
        self.answers.insert(key, answer.clone());
        self.order.push_back(key);
        self.bytes += bytes;
        while self.bytes > limits::CACHE_BYTES || self.order.len() > limits::CACHE_ENTRIES {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some(gone) = self.answers.remove(&oldest) {
                self.bytes -= size(&gone);
            }
        }
    }
}

fn size(answer: &Result<Output, ToolError>) -> usize {
    answer.as_ref().map_or(limits::WORDS_BYTES, |output| output.len())
}

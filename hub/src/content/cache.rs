//! What was read last, up to a number of bytes; the oldest goes first.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use model::Digest;

/// A first-in, first-out cache: agents pull the same release within a short time, so that age is as good
/// a guess as use, and a read needs no bookkeeping.
#[derive(Debug)]
pub(crate) struct Cache {
    items: BTreeMap<Digest, Bytes>,
    order: VecDeque<Digest>,
    bytes: usize,
    bytes_max: usize,
}

impl Cache {
    pub(crate) fn new(bytes_max: usize) -> Cache {
        Cache { items: BTreeMap::new(), order: VecDeque::new(), bytes: 0, bytes_max }
    }

    pub(crate) fn get(&self, digest: &Digest) -> Option<Bytes> {
        self.items.get(digest).cloned()
    }

    /// Takes an item that is not larger than a quarter of the cache.
    pub(crate) fn put(&mut self, digest: Digest, bytes: Bytes) {
        if bytes.len() > self.bytes_max / 4 || self.items.contains_key(&digest) {
            return;
        }
        self.bytes += bytes.len();
        self.items.insert(digest, bytes);
        self.order.push_back(digest);
        while self.bytes > self.bytes_max
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.items.remove(&oldest).map_or(0, |bytes| bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_holds_more_than_it_may() {
        let mut cache = Cache::new(1_000);
        let digest = |i: u8| Digest::of(&[i]);
        for i in 0..200 {
            cache.put(digest(i), Bytes::from(vec![i; 100]));
            assert!(cache.bytes <= 1_000);
            assert_eq!(cache.items.len(), cache.order.len());
        }
        assert_eq!(cache.get(&digest(199)), Some(Bytes::from(vec![199; 100])));
        assert_eq!(cache.get(&digest(189)), None);
        assert_eq!(cache.items.len(), 10);
        cache.put(digest(200), Bytes::from(vec![0; 251]));
        assert_eq!(cache.get(&digest(200)), None, "one large item must not empty it");
    }
}

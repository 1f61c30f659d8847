//! The head of the store: number of the newest group, the lease, and for each table a count and a sum.
//!
//! The sum adds the tags of all rows modulo 2^256: order does not matter, a row is replaced by one
//! subtraction and one addition, and a row that is missing, old or too many changes it, with a chance of
//! 2^-256 that it does not. (A person who may choose rows could find two sets with one sum; see the parent
//! module for why that is not a threat here.)

use super::{
    seal::{Kind, Sealed, Tag, open, seal},
    value::{HEAD_KEY, SUMS},
};

/// How many rows, and the sum of their tags, lowest limb first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) rows: u64,
    limbs: [u64; 4],
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// Rises by one with each group.
    pub(super) n: u64,
    /// The newest lease.
    pub(super) lease: u64,
    pub(super) sums: [Sum; SUMS],
}

impl Sum {
    pub(super) fn add(&mut self, tag: &Tag) {
        self.rows = self.rows.wrapping_add(1);
        let mut carry = false;
        for (limb, other) in self.limbs.iter_mut().zip(limbs(tag)) {
            let (sum, over) = limb.overflowing_add(other);
            let (sum, over_too) = sum.overflowing_add(u64::from(carry));
            (*limb, carry) = (sum, over | over_too);
        }
    }

    pub(super) fn remove(&mut self, tag: &Tag) {
        self.rows = self.rows.wrapping_sub(1);
        let mut borrow = false;
        for (limb, other) in self.limbs.iter_mut().zip(limbs(tag)) {
            let (rest, under) = limb.overflowing_sub(other);
            let (rest, under_too) = rest.overflowing_sub(u64::from(borrow));
            (*limb, borrow) = (rest, under | under_too);
        }
    }
}

fn limbs(tag: &Tag) -> impl Iterator<Item = u64> {
    tag.as_chunks().0.iter().map(|limb| u64::from_le_bytes(*limb))
}

impl Head {
    pub(super) fn seal(&self) -> Sealed {
        let mut payload = Vec::with_capacity(16 + SUMS * 40);
        payload.extend(self.n.to_be_bytes());
        payload.extend(self.lease.to_be_bytes());
        for sum in &self.sums {
            payload.extend(sum.rows.to_be_bytes());
            payload.extend(sum.limbs.iter().flat_map(|limb| limb.to_be_bytes()));
        }
        seal(HEAD_KEY, Kind::Head, &payload)
    }

    pub(super) fn open(raw: &[u8]) -> Result<Head, String> {
        let opened = open(HEAD_KEY, raw)?;
        let words = opened.payload.as_chunks().0.iter().map(|word| u64::from_be_bytes(*word));
        let words: Vec<u64> = words.collect();
        if opened.kind != Kind::Head || opened.payload.len() != 16 + SUMS * 40 {
            return Err("is not of the form that this program writes".to_owned());
        }
        let mut head = Head { n: words[0], lease: words[1], ..Head::default() };
        for (sum, words) in head.sums.iter_mut().zip(words[2..].as_chunks::<5>().0) {
            let [rows, limbs @ ..] = *words;
            *sum = Sum { rows, limbs };
        }
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_sum_forgets_the_order_and_nothing_else(mut tags: Vec<[u8; 32]>, out: prop::sample::Index) {
            let sum_of = |tags: &[[u8; 32]]| {
                let mut sum = Sum::default();
                for tag in tags {
                    sum.add(tag);
                }
                sum
            };
            let mut sum = sum_of(&tags);
            tags.reverse();
            prop_assert_eq!(sum, sum_of(&tags));
            if !tags.is_empty() {
                let gone = tags.remove(out.index(tags.len()));
                sum.remove(&gone);
                prop_assert_eq!(sum, sum_of(&tags));
            }
        }
    }

    #[test]
    fn limbs_carry_and_borrow() {
        let mut sum = Sum::default();
        sum.add(&[0xff; 32]);
        let mut one = [0; 32];
        one[0] = 1;
        sum.add(&one);
        assert_eq!(sum, Sum { rows: 2, limbs: [0; 4] });
        sum.remove(&one);
        assert_eq!(sum, Sum { rows: 1, limbs: [u64::MAX; 4] });
    }

    #[test]
    fn a_head_comes_back_as_it_was_written() {
        let mut head = Head { n: 7, lease: 3, ..Head::default() };
        head.sums[4].add(&[9; 32]);
        let mut raw = head.seal().raw;
        assert_eq!(Head::open(&raw).unwrap(), head);
        *raw.last_mut().unwrap() ^= 1;
        assert!(Head::open(&raw).unwrap_err().contains("changed"));
    }
}

//! What kills, damage and a full disk do to the store: nothing that is not told.

mod damage;
mod full;
mod kill;

use hub::store::{Store, Table};

/// A row with its table.
type Rows = Vec<(Table, Vec<u8>, Vec<u8>)>;

/// Everything in a store.
fn rows(store: &dyn Store) -> Rows {
    let rows = |table| {
        let rows = store.scan(table, b"").unwrap().into_iter();
        rows.map(move |(key, value)| (table, key, value))
    };
    Table::ALL.into_iter().flat_map(rows).collect()
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    /// A number below `end` (xorshift64*).
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let [a, b, c, d, ..] = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes();
        u32::from_be_bytes([a, b, c, d]) as usize % end
    }
}

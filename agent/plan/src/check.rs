//! The laws as data: what must hold for every plan, as notes about what does not.

//! The words of Tidegate and their laws: no async, no wire.

//! The agent: applies, prunes, repairs drift, judges health, inside one cluster.

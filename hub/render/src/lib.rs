//! From files of a commit to releases: parse the fleet repository, lint it, render it per cluster.

//! A pretend Kubernetes API server that an agent cannot tell from the real one in what it uses.

//! Stories on the whole product with pretended clusters: what does a person see when things go wrong?

mod git;
mod agents;
mod trace;
mod world;

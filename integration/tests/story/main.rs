//! Stories on the whole product with pretended clusters: what does a person see when things go wrong?
#![expect(clippy::unwrap_used, reason = "a story that cannot go on fails")]

mod cases;
mod refusals;
mod neighbours;
mod measure;
mod git;
mod agents;
mod choices;
mod newcomer;
mod removal;
mod trace;
mod fleet;
mod wire;
mod world;

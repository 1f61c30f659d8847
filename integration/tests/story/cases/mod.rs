//! Ten cases of a rollout, each on the whole product: what people see when a step of a release is not as it
//! should be, and what their clusters run meanwhile. Numbers are those of the cases of the brain, which plays
//! each of them alone in `hub/rollout/scenarios/cNN-*`.
//!
//! | case | story |
//! |---|---|
//! | 1 | a cluster that is healthy on the old release proves nothing (`proof`) |
//! | 6 | a cluster that joins while the canary soaks gets the proven release (`proof`) |
//! | 7 | a cluster that is dark before its turn is left out, and catches up (`dark`) |
//! | 9 | a cluster that goes dark with the release counts as failed (`dark`) |
//! | 15 | a pause calls back what has not begun (`brakes`) |
//! | 40 | a selector that drops most of the fleet sends nothing (`brakes`) |
//! | 25 | a revert while halted touches only what differs (`back`) |
//! | 28 | a way back that fails waits for a person (`back`) |
//! | 37 | a hub that was replaced is obeyed by nobody (`doubt`) |
//! | 44 | a measurement that nobody answers is neither good nor bad (`doubt`) |

mod proof;
mod dark;
mod brakes;
mod back;
mod doubt;

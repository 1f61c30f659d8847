//! The wire between hub and agent: generated messages, converters to the words of `model`, the join
//! token and the proof that goes with it, bundles of content, named limits, a codec with small buffers.
//!
//! Deliberately absent: any decision, and anything for people (they use HTTPS and JSON).

pub mod bundle;
pub mod convert;
pub mod token;
pub mod proof;
pub mod codec;
pub mod limits;

/// Version 1 of the agent protocol, generated from `tidegate/agent/v1/*.proto`.
pub mod v1 {
    #![expect(
        clippy::pedantic,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]
    tonic::include_proto!("tidegate.agent.v1");
}

//! The wire between hub and agent, and the converters to and from the words of model.

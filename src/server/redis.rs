//! Redis as a backplane.

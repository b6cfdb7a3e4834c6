//! Rules of freeing, each switched off: then something is lost, and otherwise not.

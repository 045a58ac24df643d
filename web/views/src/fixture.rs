//! Sample data for the tests of the pages.

//! `millwright demo`: the whole product on a world in this process.

pub mod show;
pub mod timeline;
mod view;

//! Pages as HTML, from plain data: the same templates natively and in wasm.

pub mod data;

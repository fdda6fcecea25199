//! Strategies that give requests with the same key to the same member.
//!
//! Each has a *table*, built when the set changes, that says for a key in which order members are asked
//! ([`picker::Table`]). The rest is common to all: who may be asked ([`picker`]), how much each may be given
//! ([`bound`]), and who is asked if the table found nobody ([`nodes`]).

mod bound;
mod jump;
mod ketama;
mod maglev;
mod mix;
mod natural;
mod nodes;
mod picker;
mod prime;
mod rendezvous;
mod ring;
mod ring_hash;

pub use jump::Jump;
pub use ketama::{Ketama, ketama_hash};
pub use maglev::Maglev;
pub use rendezvous::Rendezvous;
pub use ring_hash::RingHash;

pub(crate) use mix::mix;
pub(crate) use nodes::id_hash;

#[cfg(test)]
mod testing;

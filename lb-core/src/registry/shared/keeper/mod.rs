//! How announcements are kept: the decisions ([`Keeper`]) and the task that carries them out ([`Announcer`]).

mod action;
mod announcer;
mod kept;
mod lease;
mod machine;
mod options;
mod task;

pub use action::{Action, Announced, Answer, Hint, HintKind, Notice, Step, Ticket};
pub use announcer::{AnnouncementStore, Announcer};
pub use machine::{Keeper, KeptId};
pub use options::{KeeperOptions, Leases};

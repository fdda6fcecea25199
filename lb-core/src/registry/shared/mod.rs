//! For authors of registries that a fleet shares: what they all need, whatever the store.
//!
//! A registry in etcd and one in Redis differ in how they talk to their store. What they must decide is the same: who
//! is gone and who only seems to be, what to do while the store cannot be reached, how an announcement is kept for
//! ever. It is decided here, once, in code that has no clock and no I/O; a registry adds the talking.
//!
//! | Question | Answered by |
//! |---|---|
//! | what is known of all services, and who may be gone | [`Catalog`], with its [`RemovalPolicy`] |
//! | what is known while the store is away at the start | [`DiskCache`], which stores an [`Image`] |
//! | how announcements are kept for ever | [`Keeper`], driven by an [`Announcer`] |
//! | what is written for an instance, a configuration, an override | [`Codec`], [`JsonCodec`], [`encode_config`], [`encode_override`] |
//! | when the store is tried again, and when it is dead | [`Backoff`], [`Liveness`] |
//! | what operators see | [`RegistryStatus`] |
//! | what time it is | [`RuntimeClock`] |

mod backoff;
mod cache;
mod catalog;
mod clock;
mod codec;
mod json_codec;
mod keeper;
mod liveness;
mod record;

pub use backoff::Backoff;
pub use cache::{Cached, DiskCache, DiskCacheError};
pub use catalog::{
    Catalog, CatalogOptions, Change, ChangeKind, Counters, EmptyPolicy, Export, Image, Key, Listing,
    Numbering, RegistryStatus, RemovalPolicy, Reset, ServiceImage, WeakCatalog,
};
pub use clock::RuntimeClock;
pub use codec::{Codec, CodecError};
pub use json_codec::{JsonCodec, RecordJson, decode_config, decode_override, encode_config, encode_override};
pub use keeper::{
    Action, Announced, AnnouncementStore, Announcer, Answer, Hint, HintKind, Keeper, KeeperOptions, KeptId,
    Leases, Notice, Step, Ticket,
};
pub use liveness::Liveness;
pub use record::{Generation, NotAGeneration, Record};

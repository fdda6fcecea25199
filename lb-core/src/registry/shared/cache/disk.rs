//! The cache as a registry uses it: [`DiskCache`].

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use xxhash_rust::xxh64::xxh64;

use super::error::DiskCacheError;
use super::file::{self, Unread};
use super::format::{self, Bad, Content, Item};
use crate::instance::ServiceInstance;
use crate::registry::Freshness;
use crate::registry::shared::catalog::{
    Catalog, Change, ChangeKind, Export, Image, Key, ServiceImage, WeakCatalog,
};
use crate::registry::shared::codec::{Codec, CodecError};
use crate::registry::shared::json_codec::{decode_config, decode_override, encode_config, encode_override};

/// Keeps on disk what a registry knows, for a process that starts while the store is away.
///
/// The file is replaced as a whole, and is readable by its owner only (mode 0600). It has a version and a checksum, and
/// the name of the registry that it belongs to; a torn file, or one that is something else, is refused with an error
/// that says so, and one that belongs to somebody else is not written over. Instances are in it as the registry's
/// codec writes them: a [`Secret`](crate::Secret) stays a reference.
///
/// [`keep`](Self::keep) writes it in the background while the registry is live, at most once per
/// [`debounce`](Self::with_debounce), on a thread that may block. What the last moments brought may be missing in it.
///
/// ```
/// use std::time::SystemTime;
/// use lb_core::registry::Freshness;
/// use lb_core::registry::shared::{
///     Catalog, CatalogOptions, Change, DiskCache, Generation, JsonCodec, Listing, Record,
/// };
/// use lb_core::{Instance, ThreadRandom, Time};
///
/// let path = std::env::temp_dir().join(format!("lb-doc-{}/registry.cache", std::process::id()));
/// let cache = DiskCache::<Instance>::new(&path, "shop", JsonCodec);
/// assert!(cache.load()?.is_none());
///
/// let now = Time::ORIGIN;
/// let catalog = Catalog::new(CatalogOptions::default(), SystemTime::now());
/// let record = Record::new(Instance::new("cart-1"), Generation::new(&ThreadRandom));
/// let _ = catalog.reset(Listing::new(41, [Change::instance("cart", 40, record)]), now);
/// cache.save(&catalog.export())?;
///
/// // The next start finds the store away.
/// let catalog = Catalog::new(CatalogOptions::default(), SystemTime::now());
/// let cached = cache.load()?.expect("it was written");
/// assert!(catalog.restore(cached.image, now));
/// let snapshot = catalog.latest("cart");
/// assert_eq!((snapshot.entries.len(), snapshot.freshness), (1, Freshness::ColdCache));
/// # std::fs::remove_dir_all(path.parent().expect("it has one"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DiskCache<I> {
    path: PathBuf,
    owner: String,
    codec: Arc<dyn Codec<I>>,
    debounce: Duration,
    /// What was written last, so that it is not written again.
    last: Mutex<Option<u64>>,
}

/// What a cache held.
#[derive(Debug)]
#[non_exhaustive]
pub struct Cached<I> {
    /// What was known; for [`Catalog::restore`].
    pub image: Image<Change<I>>,
    /// When it was written, by the clock of the machine.
    pub written: SystemTime,
    /// Values in it that cannot be read and are left out.
    pub skipped: usize,
}

impl<I: ServiceInstance> DiskCache<I> {
    /// A cache in the file `path`, whose directory is made if need be. `owner` names the registry: the store, and the
    /// namespace in it.
    pub fn new(path: impl Into<PathBuf>, owner: impl Into<String>, codec: impl Codec<I>) -> Self {
        Self::with_codec(path, owner, Arc::new(codec))
    }

    /// The same with a codec that is shared.
    pub fn with_codec(path: impl Into<PathBuf>, owner: impl Into<String>, codec: Arc<dyn Codec<I>>) -> Self {
        let owner = format!("{} ({})", owner.into(), codec.name());
        let debounce = Duration::from_secs(5);
        Self { path: path.into(), owner, codec, debounce, last: Mutex::new(None) }
    }

    /// How long changes are collected before they are written together. Default 5 s.
    #[must_use]
    pub const fn with_debounce(mut self, debounce: Duration) -> Self {
        self.debounce = debounce;
        self
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the cache; `None`: there is none. Values that cannot be read are left out. Blocks.
    pub fn load(&self) -> Result<Option<Cached<I>>, DiskCacheError> {
        file::sweep(&self.path);
        let Some(Content { written, image, .. }) = self.read()? else { return Ok(None) };
        let mut skipped = 0;
        let mut decoded = Image::new(image.offset, image.revision, image.epoch);
        for ServiceImage { name, offset, revision, epoch, items } in image.services {
            let mut changes = Vec::with_capacity(items.len());
            for item in items {
                match self.decode(&name, item) {
                    Ok(change) => changes.push(change),
                    Err((key, error)) => {
                        skipped += 1;
                        tracing::warn!(service = %name, ?key, %error, "a value in the registry's cache is left out");
                    }
                }
            }
            decoded.services.push(ServiceImage::new(name, offset, revision, epoch, changes));
        }
        Ok(Some(Cached { image: decoded, written, skipped }))
    }

    fn decode(&self, service: &Arc<str>, item: Item) -> Result<Change<I>, (Key, CodecError)> {
        let Item { key, revision, bytes } = item;
        let kind = match &key {
            Key::Instance(id) => self.codec.decode(service, id, &bytes).map(ChangeKind::Instance),
            Key::Config => decode_config(&bytes).map(|config| ChangeKind::Config(Box::new(config))),
            Key::Override(id) => {
                decode_override(&bytes).map(|over| ChangeKind::Override { id: Arc::clone(id), over })
            }
        };
        kind.map(|kind| Change::new(Arc::clone(service), revision, kind)).map_err(|error| (key, error))
    }

    /// Writes what is known. `false`: that is what was written last. A file that is something else, or another
    /// registry's, is an error and stays. Blocks.
    pub fn save(&self, export: &Export<I>) -> Result<bool, DiskCacheError> {
        self.save_at(export, SystemTime::now())
    }

    fn save_at(&self, export: &Export<I>, now: SystemTime) -> Result<bool, DiskCacheError> {
        // One writer at a time, in this process; others replace the file as a whole, too.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let image = self.encode(export);
        let unchanged = Content { owner: self.owner.clone(), written: SystemTime::UNIX_EPOCH, image };
        let hash = xxh64(&format::encode(&unchanged), 0);
        if *last == Some(hash) {
            return Ok(false);
        }
        if last.is_none() {
            match self.read() {
                Ok(_) | Err(DiskCacheError::Damaged { .. } | DiskCacheError::Version { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let bytes = format::encode(&Content { written: now, ..unchanged });
        file::replace(&self.path, &bytes).map_err(|error| DiskCacheError::io(&self.path, "write", error))?;
        *last = Some(hash);
        Ok(true)
    }

    fn encode(&self, export: &Export<I>) -> Image<Item> {
        let image = export.image();
        let mut encoded = Image::new(image.offset, image.revision, image.epoch);
        for ServiceImage { name, offset, revision, epoch, items } in image.services {
            let items = items.iter().filter_map(|change| self.item(&name, change)).collect();
            encoded.services.push(ServiceImage::new(name, offset, revision, epoch, items));
        }
        encoded
    }

    fn item(&self, service: &str, change: &Change<I>) -> Option<Item> {
        let (key, bytes) = match &change.kind {
            ChangeKind::Instance(record) => {
                (Key::Instance(Arc::from(record.instance.id())), self.codec.encode(service, record))
            }
            ChangeKind::Config(config) => (Key::Config, encode_config(config)),
            ChangeKind::Override { id, over } => (Key::Override(Arc::clone(id)), encode_override(over)),
            _ => return None,
        };
        match bytes {
            Ok(bytes) => Some(Item { key, revision: change.revision, bytes }),
            Err(error) => {
                tracing::warn!(service, ?key, %error, "a value is left out of the registry's cache");
                None
            }
        }
    }

    fn read(&self) -> Result<Option<Content>, DiskCacheError> {
        let path = &self.path;
        let bad = |bad| match bad {
            Bad::Foreign => DiskCacheError::Foreign { path: path.clone() },
            Bad::Version(found) => {
                DiskCacheError::Version { path: path.clone(), found, known: format::VERSION }
            }
            Bad::Damaged(problem) => DiskCacheError::Damaged { path: path.clone(), problem },
        };
        let bytes = match file::read(path) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(None),
            Err(Unread::Io(error)) => return Err(DiskCacheError::io(path, "read", error)),
            Err(Unread::Bad(problem)) => return Err(bad(problem)),
        };
        let content = format::decode(&bytes).map_err(bad)?;
        if content.owner != self.owner {
            let (found, expected) = (content.owner, self.owner.clone());
            return Err(DiskCacheError::OtherRegistry { path: path.clone(), found, expected });
        }
        Ok(Some(content))
    }

    /// Writes what the catalog knows whenever that has changed, while it is live: what it knows in an outage is not
    /// better than what is on disk. Ends when the catalog is dropped; what it holds on to does not keep it alive. An
    /// error is logged once, and writing goes on being tried.
    pub fn keep(self: Arc<Self>, catalog: &Catalog<I>) -> impl Future<Output = ()> + Send + use<I> {
        let mut moved = catalog.subscribe();
        moved.mark_changed();
        self.follow(catalog.downgrade(), moved)
    }

    async fn follow(self: Arc<Self>, catalog: WeakCatalog<I>, mut moved: watch::Receiver<()>) {
        let mut failing = false;
        while moved.changed().await.is_ok() {
            tokio::time::sleep(self.debounce).await;
            moved.mark_unchanged();
            let Some(catalog) = catalog.upgrade() else { return };
            if catalog.freshness() != Freshness::Live {
                continue;
            }
            let export = catalog.export();
            drop(catalog);
            let cache = Arc::clone(&self);
            let Ok(saved) = tokio::task::spawn_blocking(move || cache.save(&export)).await else { return };
            match saved {
                Ok(_) => failing = false,
                Err(error) if failing => tracing::debug!(%error, "the registry's cache is not written"),
                Err(error) => {
                    failing = true;
                    tracing::warn!(%error, "the registry's cache is not written");
                }
            }
        }
    }
}

impl<I> fmt::Debug for DiskCache<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskCache")
            .field("path", &self.path)
            .field("owner", &self.owner)
            .field("debounce", &self.debounce)
            .finish_non_exhaustive()
    }
}

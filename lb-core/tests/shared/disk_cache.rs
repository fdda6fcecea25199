//! The disk cache, on a real disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use lb_core::registry::shared::{
    Catalog, CatalogOptions, Change, DiskCache, DiskCacheError, Generation, JsonCodec, Listing, Record,
};
use lb_core::registry::{Freshness, Override};
use lb_core::{Instance, SeededRandom, ServiceConfig, Time};

/// A directory that is removed in the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("lb-cache-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    /// A cache in a directory below, which is not there yet.
    fn file(&self) -> PathBuf {
        self.0.join("state/registry.cache")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn cache(path: &Path) -> DiskCache<Instance> {
    DiskCache::new(path, "shop", JsonCodec)
}

/// A live catalog with `n` instances of `s`, an override, and a configuration.
fn catalog(n: u64) -> Catalog<Instance> {
    let catalog = Catalog::new(CatalogOptions::default(), SystemTime::UNIX_EPOCH);
    let instance = |i: u64| {
        let generation = Generation::new(&SeededRandom::new(i));
        Change::instance("s", i + 1, Record::new(Instance::new(format!("{i:05}")), generation))
    };
    let config = ServiceConfig::builder().max_retries(7).build().unwrap();
    let items = (0..n).map(instance).chain([
        Change::over("s", n + 1, "00000", Override::weight(9)),
        Change::config("s", n + 2, Some(config)),
    ]);
    let _ = catalog.reset(Listing::new(n + 2, items), Time::ORIGIN);
    catalog.set_freshness(Freshness::Live, Time::ORIGIN);
    catalog
}

fn restored(cache: &DiskCache<Instance>) -> Catalog<Instance> {
    let catalog = Catalog::new(CatalogOptions::default(), SystemTime::UNIX_EPOCH);
    assert!(catalog.restore(cache.load().unwrap().unwrap().image, Time::ORIGIN));
    catalog
}

#[test]
fn what_is_saved_is_loaded() {
    let directory = Directory::new();
    let cache = cache(&directory.file());
    assert!(cache.load().unwrap().is_none());
    let catalog = catalog(3);
    assert!(cache.save(&catalog.export()).unwrap());
    assert!(!cache.save(&catalog.export()).unwrap(), "nothing has changed");

    let (old, new) = (catalog.latest("s"), restored(&cache).latest("s"));
    assert_eq!((new.freshness, new.revision), (Freshness::ColdCache, old.revision));
    assert_eq!(new.config, old.config);
    for (old, new) in old.entries.iter().zip(new.entries.iter()) {
        assert_eq!(
            (&old.instance, old.revision, old.state, old.over),
            (&new.instance, new.revision, new.state, new.over)
        );
    }
    // A live listing of the same writes changes nothing but the freshness.
    let cold = restored(&cache);
    let before = cold.latest("s");
    let generation = Generation::new(&SeededRandom::new(0));
    let _ = cold.reset(
        Listing::new(6, [Change::instance("s", 1, Record::new(Instance::new("00000"), generation))]),
        Time::ORIGIN,
    );
    assert!(Arc::ptr_eq(
        &before.entries.get("00000").unwrap().instance,
        &cold.latest("s").entries.get("00000").unwrap().instance
    ));
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = Directory::new();
    cache(&directory.file()).save(&catalog(1).export()).unwrap();
    assert_eq!(fs::metadata(directory.file()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_torn_file_is_refused_at_every_byte_and_then_replaced() {
    let directory = Directory::new();
    let path = directory.file();
    cache(&path).save(&catalog(1).export()).unwrap();
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let error = cache(&path).load().unwrap_err();
        assert!(matches!(error, DiskCacheError::Damaged { .. }), "{length} bytes: {error}");
    }
    for at in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        fs::write(&path, &bytes).unwrap();
        assert!(cache(&path).load().is_err(), "byte {at}");
    }
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(cache(&path).save(&catalog(2).export()).unwrap());
    assert_eq!(restored(&cache(&path)).latest("s").entries.len(), 2);
}

#[test]
fn what_is_something_else_is_refused_and_stays() {
    let directory = Directory::new();
    let path = directory.file();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "dear diary").unwrap();
    let cache = cache(&path);
    assert!(matches!(cache.load(), Err(DiskCacheError::Foreign { .. })));
    assert!(matches!(cache.save(&catalog(1).export()), Err(DiskCacheError::Foreign { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"dear diary");
}

#[test]
fn another_registrys_cache_is_refused_and_stays() {
    let directory = Directory::new();
    let path = directory.file();
    cache(&path).save(&catalog(1).export()).unwrap();
    let other = DiskCache::<Instance>::new(&path, "billing", JsonCodec);
    let error = other.save(&catalog(2).export()).unwrap_err();
    assert!(error.to_string().contains("shop") && error.to_string().contains("billing"), "{error}");
    assert!(matches!(other.load(), Err(DiskCacheError::OtherRegistry { .. })));
    assert_eq!(restored(&cache(&path)).latest("s").entries.len(), 1);
}

#[test]
fn a_directory_in_its_place_is_an_error() {
    let directory = Directory::new();
    fs::create_dir_all(directory.file()).unwrap();
    assert!(matches!(cache(&directory.file()).load(), Err(DiskCacheError::Io { .. })));
    assert!(matches!(cache(&directory.file()).save(&catalog(1).export()), Err(DiskCacheError::Io { .. })));
}

#[test]
fn many_writers_leave_one_whole_file() {
    let directory = Directory::new();
    let path = directory.file();
    let exports: Vec<_> = (1..=8).map(|n| catalog(n * 50).export()).collect();
    cache(&path).save(&exports[0]).unwrap();
    std::thread::scope(|scope| {
        for export in &exports {
            let path = &path;
            // Each has a cache of its own, as processes would.
            scope.spawn(move || {
                for _ in 0..10 {
                    cache(path).save(export).unwrap();
                    assert!(cache(path).load().unwrap().is_some());
                }
            });
        }
    });
    let n = restored(&cache(&path)).latest("s").entries.len();
    assert!(n % 50 == 0 && (50..=400).contains(&n), "{n}");
    let left: Vec<_> =
        fs::read_dir(path.parent().unwrap()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["registry.cache"]);
}

#[tokio::test(start_paused = true)]
async fn it_is_kept_while_live_and_ends_with_the_catalog() {
    let directory = Directory::new();
    let shared = Arc::new(cache(&directory.file()).with_debounce(Duration::from_secs(5)));
    let catalog = catalog(1);
    let keeping = tokio::spawn(Arc::clone(&shared).keep(&catalog));
    let until = async |n: usize| {
        while !directory.file().exists() || restored(&shared).latest("s").entries.len() != n {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    until(1).await;
    let put = |revision: u64, id: &str| {
        let generation = Generation::new(&SeededRandom::new(revision));
        Change::instance("s", revision, Record::new(Instance::new(id), generation))
    };
    catalog.apply([put(10, "x")], Time::ORIGIN);
    until(2).await;
    // In an outage nothing is written.
    catalog.set_freshness(Freshness::Stale { since: SystemTime::UNIX_EPOCH }, Time::ORIGIN);
    catalog.apply([put(11, "y")], Time::ORIGIN);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(restored(&shared).latest("s").entries.len(), 2);
    catalog.set_freshness(Freshness::Live, Time::ORIGIN);
    until(3).await;
    drop(catalog);
    keeping.await.unwrap();
}

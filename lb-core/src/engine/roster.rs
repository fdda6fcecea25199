//! The services in service, by name: [`Roster`].

use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};

use super::served::Served;
use crate::pool::{Home, Published};

/// How many pages there are, as a power of two.
const PAGES: u32 = 6;

/// The services in service by name, and what each has published.
///
/// Calls read it without a lock. What a guard costs is most of what finding a service costs, so that one guard serves for
/// both: the service, and what is picked from. A change of what a service has published replaces its page. There are as
/// many pages that most have one service or none: then that is as cheap as if the service had the place for itself.
pub(crate) struct Roster<I> {
    pages: [ArcSwap<Page<I>>; 1 << PAGES],
    hasher: foldhash::fast::RandomState,
    /// Held by whoever replaces a page.
    writer: Mutex<()>,
}

/// The services whose names' hashes begin alike, in the order of the hashes.
struct Page<I>(Vec<Line<I>>);

/// A service, and what it has published.
struct Line<I> {
    hash: u64,
    name: Arc<str>,
    served: Arc<Served<I>>,
    published: Arc<Published<I>>,
}

impl<I> Clone for Line<I> {
    fn clone(&self) -> Self {
        let (name, served) = (Arc::clone(&self.name), Arc::clone(&self.served));
        Self { hash: self.hash, name, served, published: Arc::clone(&self.published) }
    }
}

impl<I> Page<I> {
    /// Where the service is.
    #[inline]
    fn find(&self, hash: u64, name: &str) -> Option<usize> {
        let mut at = self.0.partition_point(|line| line.hash < hash);
        loop {
            let line = self.0.get(at).filter(|line| line.hash == hash)?;
            if *line.name == *name {
                return Some(at);
            }
            at += 1;
        }
    }
}

/// A service that is in service, as one call sees it.
pub(crate) struct Found<I> {
    page: Guard<Arc<Page<I>>>,
    at: usize,
}

impl<I> Found<I> {
    #[inline]
    fn line(&self) -> &Line<I> {
        &self.page.0[self.at]
    }

    /// The service.
    #[inline]
    pub(crate) fn served(&self) -> &Arc<Served<I>> {
        &self.line().served
    }

    /// What it has published.
    #[inline]
    pub(crate) fn published(&self) -> &Published<I> {
        &self.line().published
    }
}

impl<I> Default for Roster<I> {
    fn default() -> Self {
        let nobody = Arc::new(Page(Vec::new()));
        Self {
            pages: std::array::from_fn(|_| ArcSwap::new(Arc::clone(&nobody))),
            hasher: foldhash::fast::RandomState::default(),
            writer: Mutex::default(),
        }
    }
}

impl<I> Roster<I> {
    #[inline]
    fn page(&self, hash: u64) -> &ArcSwap<Page<I>> {
        &self.pages[(hash >> (u64::BITS - PAGES)) as usize]
    }

    /// The service of that name. No lock, no reference count; O(log n) for the n services of its page.
    // Always inlined, and whoever hands it on: else it comes back through memory, written in small pieces and read in large
    // ones, which takes 12 ns.
    #[inline(always)]
    pub(crate) fn find(&self, name: &str) -> Option<Found<I>> {
        let hash = self.hasher.hash_one(name);
        let page = self.page(hash).load();
        let at = page.find(hash, name)?;
        Some(Found { page, at })
    }

    /// All services.
    pub(crate) fn all(&self) -> Vec<Arc<Served<I>>> {
        let served = |page: &ArcSwap<Page<I>>| {
            page.load().0.iter().map(|line| Arc::clone(&line.served)).collect::<Vec<_>>()
        };
        self.pages.iter().flat_map(served).collect()
    }

    /// Puts a service in, unless there is one of that name. Returns the one that is there now.
    pub(crate) fn insert(&self, name: &Arc<str>, served: &Arc<Served<I>>) -> Arc<Served<I>> {
        let hash = self.hasher.hash_one(&**name);
        let (name, served) = (Arc::clone(name), Arc::clone(served));
        let mut there = Arc::clone(&served);
        let (old, _writer) = self.rewrite(hash, |lines| {
            let at = lines.partition_point(|line| line.hash < hash);
            match lines[at..].iter().find(|line| line.hash == hash && line.name == name) {
                Some(line) => there = Arc::clone(&line.served),
                None => {
                    let published = served.home().published.load_full();
                    lines.insert(at, Line { hash, name, served, published });
                }
            }
        });
        drop(old);
        there
    }

    /// Takes that very service out.
    pub(crate) fn remove(&self, name: &str, served: &Arc<Served<I>>) {
        let hash = self.hasher.hash_one(name);
        let (old, writer) =
            self.rewrite(hash, |lines| lines.retain(|line| !Arc::ptr_eq(&line.served, served)));
        // With the last of a service goes the registry's guard, which runs the registry's code.
        drop(writer);
        drop(old);
    }

    /// Takes all services out.
    pub(crate) fn clear(&self) {
        for page in 0..self.pages.len() as u64 {
            let (old, writer) = self.rewrite(page << (u64::BITS - PAGES), Vec::clear);
            drop(writer);
            drop(old);
        }
    }

    /// Takes over what a service has published, if it is here. Whoever calls it may hold locks of the registry: no service
    /// ends here.
    pub(crate) fn refresh(&self, home: &Home<I>) {
        let hash = self.hasher.hash_one(&*home.service);
        let mut before = None;
        let (old, writer) = self.rewrite(hash, |lines| {
            if let Some(line) = lines.iter_mut().find(|line| std::ptr::eq(&**line.served.home(), home)) {
                // The latest, whoever comes first.
                before = Some(std::mem::replace(&mut line.published, home.published.load_full()));
            }
        });
        // All services of this page are on the new one, too, for as long as nobody else writes.
        drop(old);
        drop(writer);
        // Instances, which run their own code when they go.
        drop(before);
    }

    /// Replaces a page. Returns what was there, and the right to write.
    fn rewrite(
        &self,
        hash: u64,
        change: impl FnOnce(&mut Vec<Line<I>>),
    ) -> (Arc<Page<I>>, MutexGuard<'_, ()>) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let page = self.page(hash);
        let mut lines = page.load().0.clone();
        change(&mut lines);
        (page.swap(Arc::new(Page(lines))), writer)
    }
}

impl<I> fmt::Debug for Roster<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roster").field("services", &self.all().len()).finish_non_exhaustive()
    }
}

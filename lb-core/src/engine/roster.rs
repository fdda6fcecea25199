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
    pages: [ArcSwap<Page<Listed<I>>>; 1 << PAGES],
    hasher: foldhash::fast::RandomState,
    /// Held by whoever replaces a page.
    writer: Mutex<()>,
}

/// A service, and what it has published.
struct Listed<I> {
    served: Arc<Served<I>>,
    published: Arc<Published<I>>,
}

impl<I> Clone for Listed<I> {
    fn clone(&self) -> Self {
        Self { served: Arc::clone(&self.served), published: Arc::clone(&self.published) }
    }
}

/// What has names whose hashes begin alike, in the order of the hashes.
///
/// It has its cache lines for itself, and so have its lines of text: what all threads read must not lie beside what they
/// write, such as a reference count in the allocation before.
#[derive(Clone)]
#[repr(align(64))]
struct Page<T>(Vec<Line<T>>);

#[derive(Clone)]
#[repr(align(64))]
struct Line<T> {
    hash: u64,
    name: Arc<str>,
    what: T,
}

impl<T> Page<T> {
    /// Where that name is.
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

    /// Puts something in under a name that is not there.
    fn insert(&mut self, hash: u64, name: Arc<str>, what: T) {
        let at = self.0.partition_point(|line| line.hash < hash);
        self.0.insert(at, Line { hash, name, what });
    }
}

/// A service that is in service, as one call sees it.
pub(crate) struct Found<I> {
    page: Guard<Arc<Page<Listed<I>>>>,
    at: usize,
}

impl<I> Found<I> {
    #[inline]
    fn listed(&self) -> &Listed<I> {
        &self.page.0[self.at].what
    }

    /// The service.
    #[inline]
    pub(crate) fn served(&self) -> &Arc<Served<I>> {
        &self.listed().served
    }

    /// What it has published.
    #[inline]
    pub(crate) fn published(&self) -> &Published<I> {
        &self.listed().published
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
    fn page(&self, hash: u64) -> &ArcSwap<Page<Listed<I>>> {
        &self.pages[(hash >> (u64::BITS - PAGES)) as usize]
    }

    /// The service of that name. No lock, no reference count; O(log n) for the n services of its page.
    #[expect(
        clippy::inline_always,
        reason = "comes back through memory otherwise, which takes 12 ns: see `Call::run`"
    )]
    #[inline(always)]
    pub(crate) fn find(&self, name: &str) -> Option<Found<I>> {
        let hash = self.hasher.hash_one(name);
        let page = self.page(hash).load();
        let at = page.find(hash, name)?;
        Some(Found { page, at })
    }

    /// All services.
    pub(crate) fn all(&self) -> Vec<Arc<Served<I>>> {
        let mut all = Vec::new();
        for page in &self.pages {
            all.extend(page.load().0.iter().map(|line| Arc::clone(&line.what.served)));
        }
        all
    }

    /// Puts a service in, unless there is one of that name. Returns the one that is there now.
    pub(crate) fn insert(&self, name: &Arc<str>, served: &Arc<Served<I>>) -> Arc<Served<I>> {
        let hash = self.hasher.hash_one(&**name);
        let mut there = Arc::clone(served);
        let (old, _writer) = self.rewrite(hash, |page| {
            if let Some(at) = page.find(hash, name) {
                there = Arc::clone(&page.0[at].what.served);
            } else {
                let (served, published) = (Arc::clone(served), served.home().published.load_full());
                page.insert(hash, Arc::clone(name), Listed { served, published });
            }
        });
        drop(old);
        there
    }

    /// Takes that very service out.
    pub(crate) fn remove(&self, name: &str, served: &Arc<Served<I>>) {
        let hash = self.hasher.hash_one(name);
        let (old, writer) =
            self.rewrite(hash, |page| page.0.retain(|line| !Arc::ptr_eq(&line.what.served, served)));
        // With the last of a service goes the registry's guard, which runs the registry's code.
        drop(writer);
        drop(old);
    }

    /// Takes all services out.
    pub(crate) fn clear(&self) {
        for page in 0..self.pages.len() as u64 {
            let (old, writer) = self.rewrite(page << (u64::BITS - PAGES), |page| page.0.clear());
            drop(writer);
            drop(old);
        }
    }

    /// Takes over what a service has published, if it is here. Whoever calls it may hold locks of the registry: no service
    /// ends here.
    pub(crate) fn refresh(&self, home: &Home<I>) {
        let hash = self.hasher.hash_one(&*home.service);
        let mut before = None;
        let (old, writer) = self.rewrite(hash, |page| {
            let mut listed = page.0.iter_mut().map(|line| &mut line.what);
            if let Some(there) = listed.find(|listed| listed.served.is_at(home)) {
                // The latest, whoever comes first.
                before = Some(std::mem::replace(&mut there.published, home.published.load_full()));
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
        change: impl FnOnce(&mut Page<Listed<I>>),
    ) -> (Arc<Page<Listed<I>>>, MutexGuard<'_, ()>) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let page = self.page(hash);
        let mut new = Page::clone(&page.load());
        change(&mut new);
        (page.swap(Arc::new(new)), writer)
    }
}

impl<I> fmt::Debug for Roster<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roster").field("services", &self.all().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_whatever_their_hashes() {
        let mut page = Page(Vec::new());
        // Two thirds of the names share their hash with others.
        let hash = |n: u64| if n.is_multiple_of(3) { n } else { 7 };
        for n in [5, 3, 8, 0, 1, 9, 2, 7, 4, 6] {
            page.insert(hash(n), n.to_string().into(), n);
        }
        for n in 0..10 {
            let at = page.find(hash(n), &n.to_string()).unwrap();
            assert_eq!(page.0[at].what, n);
            assert_eq!(page.find(hash(n) + 100, &n.to_string()), None, "another hash");
            assert_eq!(page.find(hash(n), "another name"), None);
        }
    }
}

//! A strategy's own notes on a member, by type.

use std::any::Any;
use std::fmt;
use std::sync::OnceLock;

/// A list of values of distinct types that only grows. Reading takes no lock: it walks a chain that is as long as the
/// number of strategies that ever kept notes here (one, as a rule). The first link is part of the list, so that the way to
/// the first value is one step: each step is a cache miss where members are many.
#[derive(Default)]
pub(crate) struct Extensions {
    head: OnceLock<Link>,
}

struct Link {
    value: Box<dyn Any + Send + Sync>,
    next: OnceLock<Box<Link>>,
}

impl Link {
    fn new<T: Default + Send + Sync + 'static>() -> Self {
        Self { value: Box::<T>::default(), next: OnceLock::new() }
    }
}

impl Extensions {
    /// The value of type `T`, made by `T::default()` the first time.
    #[inline]
    pub(crate) fn get<T: Default + Send + Sync + 'static>(&self) -> &T {
        let head = self.head.get_or_init(Link::new::<T>);
        head.value.downcast_ref().unwrap_or_else(|| Self::get_after(head))
    }

    #[cold]
    fn get_after<T: Default + Send + Sync + 'static>(mut link: &Link) -> &T {
        loop {
            link = link.next.get_or_init(|| Box::new(Link::new::<T>()));
            if let Some(value) = link.value.downcast_ref() {
                return value;
            }
        }
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn one_value_per_type() {
        let ext = Extensions::default();
        ext.get::<AtomicU32>().store(7, Ordering::Relaxed);
        assert_eq!(ext.get::<String>(), "");
        assert_eq!(ext.get::<AtomicU32>().load(Ordering::Relaxed), 7);
    }

    #[test]
    fn threads_agree_on_the_value() {
        let ext = Extensions::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        ext.get::<AtomicU32>().fetch_add(1, Ordering::Relaxed);
                        ext.get::<std::sync::atomic::AtomicU64>();
                    }
                });
            }
        });
        assert_eq!(ext.get::<AtomicU32>().load(Ordering::Relaxed), 4000);
    }
}

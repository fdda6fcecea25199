//! A strategy's own notes on a member, by type.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::OnceLock;

/// A list of values of distinct types that only grows. Reading takes no lock: it walks a chain that is as long as the
/// number of strategies that ever kept notes here (one, as a rule).
#[derive(Default)]
pub(crate) struct Extensions {
    head: OnceLock<Box<Node>>,
}

struct Node {
    type_id: TypeId,
    value: Box<dyn Any + Send + Sync>,
    next: OnceLock<Box<Node>>,
}

impl Extensions {
    /// The value of type `T`, made by `T::default()` the first time.
    pub(crate) fn get<T: Default + Send + Sync + 'static>(&self) -> &T {
        let mut link = &self.head;
        loop {
            let node = link.get_or_init(|| {
                Box::new(Node {
                    type_id: TypeId::of::<T>(),
                    value: Box::<T>::default(),
                    next: OnceLock::new(),
                })
            });
            if node.type_id == TypeId::of::<T>()
                && let Some(value) = node.value.downcast_ref()
            {
                return value;
            }
            link = &node.next;
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

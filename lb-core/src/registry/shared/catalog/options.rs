//! How a catalog is set up: [`CatalogOptions`].

use std::fmt;
use std::sync::Arc;

use super::removal::RemovalPolicy;

/// What a store's revisions number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Numbering {
    /// All writes to the store, in one sequence (etcd): what is older than the last change is known already, of
    /// whatever service it is.
    #[default]
    Store,
    /// The writes to each service on its own (Redis, a version per service).
    Service,
}

/// How a catalog is set up.
///
/// ```
/// use std::time::Duration;
/// use lb_core::registry::shared::{CatalogOptions, Numbering, RemovalPolicy};
///
/// let options = CatalogOptions::default()
///     .with_numbering(Numbering::Service)
///     .with_removal(RemovalPolicy::for_ttl(Duration::from_secs(10)))
///     .keeping(|service| service.starts_with("shop-"));
/// assert!(options.keeps("shop-cart") && !options.keeps("billing"));
/// ```
#[derive(Clone, Default)]
pub struct CatalogOptions {
    pub(super) numbering: Numbering,
    pub(super) removal: RemovalPolicy,
    filter: Option<Arc<Filter>>,
}

type Filter = dyn Fn(&str) -> bool + Send + Sync;

impl CatalogOptions {
    /// What the store's revisions number. Default [`Numbering::Store`].
    #[must_use]
    pub fn with_numbering(mut self, numbering: Numbering) -> Self {
        self.numbering = numbering;
        self
    }

    /// What becomes of instances that vanish. Default [`RemovalPolicy::default`].
    #[must_use]
    pub fn with_removal(mut self, removal: RemovalPolicy) -> Self {
        self.removal = removal;
        self
    }

    /// Keeps only services whose name `filter` says yes to; the others are as if they did not exist. Must always give
    /// the same answer. Default: all are kept.
    #[must_use]
    pub fn keeping(mut self, filter: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.filter = Some(Arc::new(filter));
        self
    }

    /// Whether a service is kept.
    pub fn keeps(&self, service: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter(service))
    }
}

impl fmt::Debug for CatalogOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatalogOptions")
            .field("numbering", &self.numbering)
            .field("removal", &self.removal)
            .field("filtered", &self.filter.is_some())
            .finish_non_exhaustive()
    }
}

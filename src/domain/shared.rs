//! Values that many others refer to.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};

/// A value that many others refer to, and that knows whether there is a newer one: then whatever refers
/// to it is outdated, too, without being looked for.
#[derive(Debug)]
pub struct Shared<T> {
    value: T,
    is_outdated: AtomicBool,
}

impl<T> Shared<T> {
    /// The newest value, as far as is known.
    pub fn new(value: T) -> Self {
        Self { value, is_outdated: AtomicBool::new(false) }
    }

    /// Whether there is a newer one.
    pub fn is_outdated(&self) -> bool {
        self.is_outdated.load(Ordering::Acquire)
    }

    /// Notes that there is a newer one.
    pub fn outdate(&self) {
        self.is_outdated.store(true, Ordering::Release);
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

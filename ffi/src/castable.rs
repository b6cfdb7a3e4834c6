//! From opaque handles to Rust values and back.
//!
//! C sees `struct rclonepool_x`, an empty facade; behind the pointer lies another Rust type. The
//! pairing is fixed per handle type, so a pointer cannot be freed as the wrong kind, and a change
//! of the Rust type is no change of the ABI.

/// A handle type and what lies behind its pointers.
pub(crate) trait Castable: Sized {
    /// The Rust value a `Box` of which the handle points to.
    type Inner;

    /// Moves `inner` to the heap; the caller owns the handle.
    fn into_handle(inner: Self::Inner) -> *mut Self {
        Box::into_raw(Box::new(inner)).cast()
    }

    /// The value behind `handle`; `None` for NULL.
    ///
    /// # Safety
    /// `handle` is NULL or comes from [`Castable::into_handle`], is not freed while the reference
    /// lives, and nobody changes the value meanwhile.
    unsafe fn inner<'a>(handle: *const Self) -> Option<&'a Self::Inner> {
        // SAFETY: promised by the caller.
        unsafe { handle.cast::<Self::Inner>().as_ref() }
    }

    /// Frees the value behind `handle`; NULL is nothing to free.
    ///
    /// # Safety
    /// `handle` is NULL or comes from [`Castable::into_handle`] and is never used again.
    unsafe fn free(handle: *mut Self) {
        if !handle.is_null() {
            // SAFETY: the pointer came out of Box::into_raw, promised by the caller.
            drop(unsafe { Box::from_raw(handle.cast::<Self::Inner>()) });
        }
    }
}

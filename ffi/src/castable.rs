//! From opaque handles to Rust values and back.
//!
//! C sees `struct rclonepool_x`, an empty facade; behind the pointer lies another Rust type. The
//! pairing is fixed per handle type, so a pointer cannot be freed as the wrong kind, and a change
//! of the Rust type is no change of the ABI. Before the value stands a tag of its kind, so that a
//! handle of another kind is refused where C has cast it.

use rclonepool_core::{Error, ErrorKind, Result};

/// What a handle points to.
#[repr(C)]
struct Tagged<T> {
    tag: u64,
    value: T,
}

/// What stands in the place of the tag when the value is gone.
const GONE: u64 = 0;

/// A handle type and what lies behind its pointers.
pub(crate) trait Castable: Sized {
    /// The Rust value a `Box` of which the handle points to.
    type Inner;

    /// What it is called in errors; no two are the same.
    const KIND: &'static str;

    /// Moves `inner` to the heap; the caller owns the handle.
    fn into_handle(inner: Self::Inner) -> *mut Self {
        Box::into_raw(Box::new(Tagged { tag: tag_of(Self::KIND), value: inner })).cast()
    }

    /// The value behind `handle`; `None` for NULL and for a handle of another kind.
    ///
    /// # Safety
    /// `handle` is NULL or comes from [`Castable::into_handle`] of any kind, is not freed while the reference
    /// lives, and nobody changes the value meanwhile.
    unsafe fn inner<'a>(handle: *const Self) -> Option<&'a Self::Inner> {
        // SAFETY: promised by the caller.
        unsafe {
            tagged::<Self::Inner>(handle.cast(), Self::KIND).then(|| &(*handle.cast::<Tagged<Self::Inner>>()).value)
        }
    }

    /// As [`Castable::inner`], with an error that says what is wrong.
    ///
    /// # Safety
    /// As for [`Castable::inner`].
    unsafe fn get<'a>(handle: *const Self) -> Result<&'a Self::Inner> {
        // SAFETY: promised by the caller.
        unsafe { Self::inner(handle) }.ok_or_else(|| wrong(handle.is_null(), Self::KIND))
    }

    /// As [`Castable::get`], to change it.
    ///
    /// # Safety
    /// As for [`Castable::inner`], and nobody else uses the value meanwhile.
    unsafe fn get_mut<'a>(handle: *mut Self) -> Result<&'a mut Self::Inner> {
        // SAFETY: promised by the caller.
        if !unsafe { tagged::<Self::Inner>(handle.cast(), Self::KIND) } {
            return Err(wrong(handle.is_null(), Self::KIND));
        }
        // SAFETY: of this kind, and used by nobody else, as promised by the caller.
        Ok(unsafe { &mut (*handle.cast::<Tagged<Self::Inner>>()).value })
    }

    /// Takes the value back from `handle`; `None` for NULL and for a handle of another kind, which stays as it is.
    ///
    /// # Safety
    /// `handle` is NULL or comes from [`Castable::into_handle`] of any kind, and is never used again.
    unsafe fn take(handle: *mut Self) -> Option<Self::Inner> {
        let whole = handle.cast::<Tagged<Self::Inner>>();
        // SAFETY: promised by the caller.
        if !unsafe { tagged::<Self::Inner>(handle.cast(), Self::KIND) } {
            return None;
        }
        // SAFETY: the pointer came out of Box::into_raw with this type, as the tag says.
        let mut whole = unsafe { Box::from_raw(whole) };
        whole.tag = GONE;
        Some(whole.value)
    }

    /// Frees the value behind `handle`; there is nothing to free behind NULL.
    ///
    /// # Safety
    /// As for [`Castable::take`].
    unsafe fn free(handle: *mut Self) {
        // SAFETY: promised by the caller.
        drop(unsafe { Self::take(handle) });
    }
}

/// Whether a value of this kind lies behind the pointer.
///
/// # Safety
/// `handle` is NULL or comes from [`Castable::into_handle`] of any kind.
unsafe fn tagged<T>(handle: *const Tagged<T>, kind: &str) -> bool {
    // SAFETY: whatever the kind, a tag comes first; alignment is that of a u64 at least.
    !handle.is_null() && handle.cast::<u64>().is_aligned() && unsafe { handle.cast::<u64>().read() } == tag_of(kind)
}

fn wrong(is_null: bool, kind: &str) -> Error {
    let what = if is_null { "is NULL" } else { "is of another kind, or was freed" };
    Error::new(ErrorKind::InvalidArgument, format!("the {kind} {what}"))
}

/// FNV-1a.
const fn tag_of(kind: &str) -> u64 {
    let (bytes, mut hash, mut at) = (kind.as_bytes(), 0xcbf2_9ce4_8422_2325_u64, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x100_0000_01b3);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    struct A([u8; 0]);
    struct B([u8; 0]);

    impl Castable for A {
        type Inner = String;
        const KIND: &'static str = "a";
    }

    impl Castable for B {
        type Inner = u8;
        const KIND: &'static str = "b";
    }

    #[test]
    fn a_handle_of_another_kind_is_refused_and_stays() {
        let handle = A::into_handle("x".to_owned());
        unsafe {
            assert_eq!(A::get(handle).unwrap(), "x");
            let error = B::get(handle.cast::<B>()).unwrap_err();
            assert_eq!(error.to_string(), "the b is of another kind, or was freed");
            assert!(B::get(std::ptr::null()).unwrap_err().to_string().contains("NULL"));
            assert!(B::get_mut(handle.cast::<B>()).is_err());
            B::free(handle.cast::<B>());
            A::get_mut(handle).unwrap().push('y');
            assert_eq!(A::take(handle).as_deref(), Some("xy"));
        }
        let _ = (A([]).0, B([]).0);
    }
}

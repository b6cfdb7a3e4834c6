//! What plugins do to a chunk's bytes between compression and coding: piece by piece, so that a range read undoes
//! only the pieces it touches, and always undone before anybody relies on them.

use std::fmt::Debug;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// The most bytes a piece may have between two transforms: 8 MiB.
pub const PIECE_BYTES_MAX: usize = 8 << 20;

/// A transform that was applied to stored bytes, as their chunk's record names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The plugin's id, such as `encryption:vault`.
    pub plugin: String,
    /// Its version.
    pub version: String,
}

/// Changes bytes on their way to the remotes, and back.
pub trait Transform: Send + Sync + Debug {
    /// What a record names it.
    fn applied(&self) -> Applied;

    /// Whether it is left out of chunks that it does not make smaller.
    fn is_optional(&self) -> bool {
        false
    }

    /// Changes a piece of at most [`PIECE_BYTES_MAX`] bytes; pieces come in any order.
    ///
    /// # Errors
    /// Its own, naming it.
    fn apply(&self, piece: &[u8]) -> Result<Vec<u8>>;

    /// Brings back what was given to [`Transform::apply`].
    ///
    /// # Errors
    /// Its own, naming it.
    fn undo(&self, piece: &[u8]) -> Result<Vec<u8>>;
}

/// Transforms in the order they are applied; none by default.
#[derive(Debug, Clone, Default)]
pub struct Transforms(pub Vec<Arc<dyn Transform>>);

impl Transforms {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a record says of them.
    pub fn applied(&self) -> Vec<Applied> {
        self.0.iter().map(|one| one.applied()).collect()
    }

    /// Those that a chunk which begins with `sample` is worth.
    ///
    /// # Errors
    /// Those of the transforms.
    pub fn worth(&self, sample: &[u8]) -> Result<Self> {
        if !self.0.iter().any(|one| one.is_optional()) {
            return Ok(self.clone());
        }
        let (mut kept, mut piece) = (Vec::new(), sample.to_vec());
        for one in &self.0 {
            let changed = step(one.as_ref(), &piece, Direction::Apply)?;
            // As of our own compression: a 32nd at least.
            if !one.is_optional() || changed.len() < piece.len() - piece.len() / 32 {
                kept.push(one.clone());
                piece = changed;
            }
        }
        Ok(Self(kept))
    }

    /// Applies all of them, and makes sure that the piece comes back: what cannot be undone is not stored.
    ///
    /// # Errors
    /// Those of the transforms; `Corrupt`, naming the one that does not bring its bytes back.
    pub fn apply(&self, piece: &[u8]) -> Result<Vec<u8>> {
        let mut now = std::borrow::Cow::Borrowed(piece);
        for one in &self.0 {
            let changed = step(one.as_ref(), &now, Direction::Apply)?;
            if *step(one.as_ref(), &changed, Direction::Undo)? != *now {
                let id = one.applied().plugin;
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    format!("the plugin {id} does not bring back what it changed"),
                )
                .hint(format!("nothing was stored; disable it: rclonepool plugins disable {id}")));
            }
            now = changed.into();
        }
        Ok(now.into_owned())
    }

    /// Undoes all of them, the last one first.
    ///
    /// # Errors
    /// Those of the transforms.
    pub fn undo(&self, piece: &[u8]) -> Result<Vec<u8>> {
        let mut now = std::borrow::Cow::Borrowed(piece);
        for one in self.0.iter().rev() {
            now = step(one.as_ref(), &now, Direction::Undo)?.into();
        }
        Ok(now.into_owned())
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Apply,
    Undo,
}

fn step(one: &dyn Transform, piece: &[u8], direction: Direction) -> Result<Vec<u8>> {
    let changed = match direction {
        Direction::Apply => one.apply(piece)?,
        Direction::Undo => one.undo(piece)?,
    };
    if changed.len() <= PIECE_BYTES_MAX && (!changed.is_empty() || piece.is_empty()) {
        return Ok(changed);
    }
    let (id, bytes) = (one.applied().plugin, changed.len());
    let why =
        format!("the plugin {id} made {bytes} bytes of {}; from 1 to {PIECE_BYTES_MAX} are possible", piece.len());
    Err(Error::new(ErrorKind::Corrupt, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Xor(u8, bool);

    impl Transform for Xor {
        fn applied(&self) -> Applied {
            Applied { plugin: format!("encryption:xor{}", self.0), version: "1".into() }
        }

        fn apply(&self, piece: &[u8]) -> Result<Vec<u8>> {
            Ok(piece.iter().map(|byte| byte.wrapping_add(self.0)).collect())
        }

        fn undo(&self, piece: &[u8]) -> Result<Vec<u8>> {
            let lost = u8::from(self.1);
            Ok(piece.iter().map(|byte| byte.wrapping_sub(self.0).wrapping_add(lost)).collect())
        }
    }

    /// Takes off zeros at the end.
    #[derive(Debug)]
    struct Trim;

    impl Transform for Trim {
        fn applied(&self) -> Applied {
            Applied { plugin: "compression:trim".into(), version: "1".into() }
        }

        fn is_optional(&self) -> bool {
            true
        }

        fn apply(&self, piece: &[u8]) -> Result<Vec<u8>> {
            let kept = piece.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
            let mut changed = (piece.len() as u32).to_le_bytes().to_vec();
            changed.extend_from_slice(&piece[..kept]);
            Ok(changed)
        }

        fn undo(&self, piece: &[u8]) -> Result<Vec<u8>> {
            let mut plain = piece[4..].to_vec();
            plain.resize(u32::from_le_bytes([piece[0], piece[1], piece[2], piece[3]]) as usize, 0);
            Ok(plain)
        }
    }

    #[test]
    fn what_is_applied_is_undone_in_reverse() {
        let both = Transforms(vec![Arc::new(Trim), Arc::new(Xor(7, false))]);
        let piece = [[1u8; 50], [0; 50]].concat();
        let changed = both.apply(&piece).unwrap();
        assert_eq!(changed.len(), 54);
        assert_eq!(both.undo(&changed).unwrap(), piece);
        assert_eq!(
            both.applied().iter().map(|one| one.plugin.as_str()).collect::<Vec<_>>(),
            ["compression:trim", "encryption:xor7"]
        );
    }

    #[test]
    fn what_does_not_come_back_is_refused_by_name() {
        let error = Transforms(vec![Arc::new(Xor(7, true))]).apply(&[1, 2, 3]).unwrap_err();
        assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains("encryption:xor7"), "{error}");
    }

    #[test]
    fn only_what_gets_smaller_is_compressed() {
        let both = Transforms(vec![Arc::new(Trim), Arc::new(Xor(7, false))]);
        assert_eq!(both.worth(&[1; 100]).unwrap().applied(), Transforms(vec![Arc::new(Xor(7, false))]).applied());
        assert_eq!(both.worth(&[[1; 50], [0; 50]].concat()).unwrap().applied(), both.applied());
    }
}

//! The frames that a program and a plugin's host exchange: `RPP1`, the lengths of a JSON text and of bytes (32 bits
//! each, little-endian), the text, the bytes. Lengths beyond the limits are refused before anything is allocated.

use std::io::{self, Read, Write};

use serde_json::Value;

/// The most bytes of a frame's JSON text: 16 MiB, a listing of about 100,000 objects.
pub const HEADER_BYTES_MAX: usize = 16 << 20;
/// The most bytes of a frame's data: 16 MiB.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;

const MAGIC: [u8; 4] = *b"RPP1";
/// Allocated at once; what claims to be longer must come first.
const STEP_BYTES: usize = 2 << 20;

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// A JSON object.
    pub head: Value,
    /// Bytes that belong to it.
    pub data: Vec<u8>,
}

impl Frame {
    /// Writes a frame.
    ///
    /// # Errors
    /// `InvalidInput` for one that is too long; those of the writer.
    pub fn write(to: &mut impl Write, head: &Value, data: &[u8]) -> io::Result<()> {
        let text = serde_json::to_vec(head)?;
        let long = || io::Error::new(io::ErrorKind::InvalidInput, "a frame is too long");
        if text.len() > HEADER_BYTES_MAX || data.len() > PAYLOAD_BYTES_MAX {
            return Err(long());
        }
        let mut begin = Vec::with_capacity(12 + text.len());
        begin.extend_from_slice(&MAGIC);
        begin.extend_from_slice(&u32::try_from(text.len()).map_err(|_| long())?.to_le_bytes());
        begin.extend_from_slice(&u32::try_from(data.len()).map_err(|_| long())?.to_le_bytes());
        begin.extend_from_slice(&text);
        to.write_all(&begin)?;
        to.write_all(data)
    }

    /// Reads the next frame; `None` where there is none: the other side ended.
    ///
    /// # Errors
    /// `InvalidData` for what is no frame, `UnexpectedEof` for a part of one; those of the reader.
    pub fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let bad = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidData, why));
        let mut begin = [0; 12];
        let mut filled = 0;
        while filled < begin.len() {
            match from.read(&mut begin[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let [a, b, c, d, e, f, g, h, i, j, k, l] = begin;
        if [a, b, c, d] != MAGIC {
            return bad("what came is no frame");
        }
        let lengths = [[e, f, g, h], [i, j, k, l]].map(|four| u32::from_le_bytes(four) as usize);
        if lengths[0] > HEADER_BYTES_MAX || lengths[1] > PAYLOAD_BYTES_MAX {
            return bad("a frame is too long");
        }
        let text = exactly(from, lengths[0])?;
        let data = exactly(from, lengths[1])?;
        match serde_json::from_slice::<Value>(&text) {
            Ok(head) if head.is_object() => Ok(Some(Self { head, data })),
            Ok(_) => bad("a frame's text is no JSON object"),
            Err(_) => bad("a frame's text is no JSON"),
        }
    }
}

fn exactly(from: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let at = bytes.len();
        bytes.resize(length.min(at + STEP_BYTES), 0);
        from.read_exact(&mut bytes[at..])?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Gives bytes in pieces of any length.
    struct Dripping<'a>(&'a [u8], usize);

    impl Read for Dripping<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let n = into.len().min(self.1).min(self.0.len());
            into[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn written(head: &Value, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        Frame::write(&mut bytes, head, data).unwrap();
        bytes
    }

    #[test]
    fn limits_hold_before_anything_is_allocated() {
        for lengths in [[u32::MAX, 0], [2, u32::MAX], [HEADER_BYTES_MAX as u32 + 1, 0]] {
            let mut bytes = MAGIC.to_vec();
            lengths.iter().for_each(|n| bytes.extend_from_slice(&n.to_le_bytes()));
            bytes.extend_from_slice(b"{}");
            assert_eq!(Frame::read(&mut &bytes[..]).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
        assert!(Frame::write(&mut io::sink(), &json!({}), &vec![0; PAYLOAD_BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn what_is_cut_or_no_object_is_refused() {
        let whole = written(&json!({"call": 1}), b"data");
        assert!(Frame::read(&mut &whole[..0]).unwrap().is_none());
        for end in 1..whole.len() {
            assert_eq!(Frame::read(&mut &whole[..end]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{end}");
        }
        let list = written(&json!([1]), b"");
        assert_eq!(Frame::read(&mut &list[..]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    proptest! {
        #[test]
        fn frames_come_back_in_any_pieces(text in ".{0,40}", data in proptest::collection::vec(any::<u8>(), 0..300), pieces in 1usize..50) {
            let head = json!({"text": text});
            let bytes = [written(&head, &data), written(&head, b"")].concat();
            let mut from = Dripping(&bytes, pieces);
            prop_assert_eq!(Frame::read(&mut from).unwrap(), Some(Frame { head: head.clone(), data }));
            prop_assert_eq!(Frame::read(&mut from).unwrap(), Some(Frame { head, data: Vec::new() }));
            prop_assert_eq!(Frame::read(&mut from).unwrap(), None);
        }

        #[test]
        fn nothing_harms_the_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..400), magic in any::<bool>(), head in 0u32..40, data in 0u32..40) {
            let mut input = Vec::new();
            if magic {
                input.extend_from_slice(&MAGIC);
                input.extend_from_slice(&head.to_le_bytes());
                input.extend_from_slice(&data.to_le_bytes());
            }
            input.extend_from_slice(&bytes);
            let mut from = &input[..];
            while let Ok(Some(frame)) = Frame::read(&mut from) {
                prop_assert!(frame.head.is_object());
            }
        }

        #[test]
        fn a_flipped_bit_is_another_frame_or_none(at in 0usize..30, bit in 0u8..8) {
            let mut bytes = written(&json!({"call": 1, "x": "y"}), b"data");
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            if let Ok(Some(frame)) = Frame::read(&mut &bytes[..]) {
                prop_assert!(frame.data.len() <= PAYLOAD_BYTES_MAX && frame.head.is_object());
            }
        }
    }
}

use proptest::prelude::*;

use super::*;

fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..size).map(|_| next()).collect()
}

fn text(size: usize) -> Vec<u8> {
    (0u32..)
        .flat_map(|n| format!("line {n} of {}\n", n.wrapping_mul(2_654_435_761) % 1000).into_bytes())
        .take(size)
        .collect()
}

fn packed(plain: &[u8], level: u8, frame: usize) -> (Compression, Vec<u8>) {
    let (mut packer, mut stored) = (Packer::new(level).unwrap(), Vec::new());
    for frame in plain.chunks(frame) {
        packer.pack(frame, &mut stored).unwrap();
    }
    (packer.finish(), stored)
}

fn unpacked(frames: Vec<Frame>, stored: &[u8], piece: usize) -> Result<Vec<u8>> {
    let (mut unpacker, mut plain) = (Unpacker::new(frames)?, Vec::new());
    for piece in stored.chunks(piece) {
        unpacker.push(piece);
        let mut frame = Vec::new();
        while unpacker.next_frame(&mut frame)? {
            plain.extend_from_slice(&frame);
        }
    }
    Ok(plain)
}

#[test]
fn every_level_gives_back_what_it_got_within_its_memory() {
    let plain = [text(FRAME_BYTES + 4321), noise(7, 300_000)].concat();
    for level in LEVELS {
        let (mut packer, mut stored) = (Packer::new(level).unwrap(), Vec::new());
        for frame in plain.chunks(FRAME_BYTES) {
            packer.pack(frame, &mut stored).unwrap();
        }
        let Contexts { chosen, fast, buffer } = packer.zstd.as_mut().unwrap();
        let used = chosen.context_mut().sizeof() + fast.context_mut().sizeof() + buffer.capacity();
        assert!(used as u64 <= Packer::memory(level), "level {level} takes {used}");
        let compression = packer.finish();
        compression.validate(plain.len() as u64, stored.len() as u64).unwrap();
        assert!(gains(plain.len() as u64, stored.len() as u64), "level {level}: {}", stored.len());
        assert!(unpacked(compression.frames().to_vec(), &stored, 100_003).unwrap() == plain, "level {level}");
    }
}

#[test]
fn what_does_not_get_smaller_is_known_from_a_sample() {
    assert!(!pays(&noise(1, 32 << 10)).unwrap());
    assert!(!pays(&[]).unwrap());
    assert!(pays(&text(4096)).unwrap());
    // One place of eight is enough to try.
    let mixed: Vec<u8> = (0..8).flat_map(|n| if n == 3 { text(4096) } else { noise(n, 4096) }).collect();
    assert!(pays(&mixed).unwrap());
    let spans = sample_spans(100 << 20);
    assert_eq!((spans.len(), spans[0].offset), (8, 0));
    let last = spans.last().unwrap();
    assert!(last.offset + last.length <= 100 << 20 && last.offset + last.length > (100 << 20) - 8);
    assert_eq!(sample_spans(5), [Span { offset: 0, length: 5 }]);
    assert_eq!(sample_spans(0), []);
}

#[test]
fn a_hostile_frame_is_refused_and_takes_no_more_than_it_may() {
    let plain = text(1000);
    let frame = zstd::bulk::compress(&plain, 3).unwrap();
    let read =
        |stored: &[u8], plain: u32| unpacked(vec![Frame { plain, stored: stored.len() as u32 }], stored, usize::MAX);
    assert_eq!(read(&frame, 1000).unwrap(), plain);
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 3).unwrap();
    let twice = [frame.clone(), frame.clone()].concat();
    let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0][..], &frame].concat();
    let dictionary = {
        let mut with = Compressor::with_dictionary(3, &text(500)).unwrap();
        with.compress(&plain).unwrap()
    };
    for (what, stored, size) in [
        ("too long", &frame[..], 999),
        ("too short", &frame, 1001),
        ("a bomb", &bomb, 1000),
        ("two frames", &twice, 2000),
        ("a skippable frame", &skipped, 1000),
        ("cut", &frame[..frame.len() - 1], 1000),
        ("no frame", b"not a zstd frame", 1000),
        ("a dictionary's", &dictionary, 1000),
        ("a frame that promises too much", &[0x28, 0xb5, 0x2f, 0xfd, 0xe0, 255, 255, 255, 255, 255, 255, 255, 0], 1000),
    ] {
        let error = read(stored, size).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
    }
}

#[test]
fn impossible_sizes_are_refused() {
    let of = |frames: &[(u32, u32)]| Compression::Zstd {
        frames: frames.iter().map(|(plain, stored)| Frame { plain: *plain, stored: *stored }).collect(),
    };
    of(&[(10, 5), (10, 7)]).validate(20, 12).unwrap();
    for (frames, size, stored) in [
        (of(&[(10, 5)]), 11, 5),
        (of(&[(10, 5)]), 10, 6),
        (of(&[(10, 5), (0, 5)]), 10, 10),
        (of(&[(10, 0)]), 10, 0),
        (of(&[(FRAME_BYTES_MAX + 1, 5)]), u64::from(FRAME_BYTES_MAX) + 1, 5),
        (of(&[(5, u32::MAX)]), 5, u64::from(u32::MAX)),
    ] {
        assert_eq!(frames.validate(size, stored).unwrap_err().kind(), ErrorKind::Corrupt, "{frames:?}");
    }
}

#[test]
fn the_json_is_fixed() {
    let json = r#"{"zstd":{"frames":[{"plain":1048576,"stored":5},{"plain":3,"stored":12}]}}"#;
    let (a, b) = (Frame { plain: 1_048_576, stored: 5 }, Frame { plain: 3, stored: 12 });
    assert_eq!(serde_json::to_string(&Compression::Zstd { frames: vec![a, b] }).unwrap(), json);
    assert_eq!(serde_json::from_str::<Compression>(json).unwrap().frames(), [a, b]);
}

#[test]
fn frames_that_hold_a_range() {
    let frames: Vec<Frame> = [(10, 5), (10, 7), (10, 1)].map(|(plain, stored)| Frame { plain, stored }).into();
    let all = Compression::Zstd { frames: frames.clone() };
    let is = |range: Range<u64>, which: Range<usize>, stored: Range<u64>, plain_start| {
        let found = all.touching(&range);
        assert_eq!(found, Touched { frames: frames[which].to_vec(), stored, plain_start }, "{range:?}");
    };
    is(0..30, 0..3, 0..13, 0);
    is(0..1, 0..1, 0..5, 0);
    is(9..10, 0..1, 0..5, 0);
    is(10..11, 1..2, 5..12, 10);
    is(15..21, 1..3, 5..13, 10);
    is(29..30, 2..3, 12..13, 20);
    is(5..5, 0..0, 0..0, 0);
}

proptest! {
    #[test]
    fn what_is_packed_is_unpacked(
        parts in prop::collection::vec((any::<bool>(), any::<u64>(), 1usize..9_000), 1..6),
        level in 1u8..=6, frame in 1usize..8_000, piece in 1usize..5_000, from in 0u64..40_000, length in 1u64..20_000,
    ) {
        let plain: Vec<u8> =
            parts.into_iter().flat_map(|(random, seed, size)| if random { noise(seed, size) } else { text(size) }).collect();
        let (compression, stored) = packed(&plain, level, frame);
        compression.validate(plain.len() as u64, stored.len() as u64).unwrap();
        prop_assert_eq!(&unpacked(compression.frames().to_vec(), &stored, piece).unwrap(), &plain);

        let from = from % plain.len() as u64;
        let range = from..(from + length).min(plain.len() as u64);
        let touched = compression.touching(&range);
        let part = &stored[touched.stored.start as usize..touched.stored.end as usize];
        let found = unpacked(touched.frames, part, piece).unwrap();
        let within = (range.start - touched.plain_start) as usize..(range.end - touched.plain_start) as usize;
        prop_assert_eq!(&found[within], &plain[range.start as usize..range.end as usize]);
    }

    #[test]
    fn damage_gives_an_error_or_bytes_of_the_right_number(at in any::<prop::sample::Index>(), bit in 0u8..8, cut in 0usize..40) {
        let plain = text(3_000);
        let mut stored = zstd::bulk::compress(&plain, 3).unwrap();
        let at = at.index(stored.len());
        stored[at] ^= 1 << bit;
        stored.truncate(stored.len() - cut);
        let frames = vec![Frame { plain: 3_000, stored: stored.len() as u32 }];
        match unpacked(frames, &stored, 700) {
            Ok(found) => prop_assert_eq!(found.len(), plain.len()),
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Corrupt),
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 1..300), magic in any::<bool>(), plain in 1u32..5_000) {
        let stored = if magic { [&MAGIC[..], &bytes].concat() } else { bytes };
        let frames = vec![Frame { plain, stored: stored.len() as u32 }];
        if let Ok(found) = unpacked(frames, &stored, usize::MAX) {
            prop_assert_eq!(found.len(), plain as usize);
        }
    }
}

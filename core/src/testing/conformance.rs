//! The contract of [`Remote`] as test cases: each implementation and each wrapper runs all of them.
//!
//! A case panics with what is wrong. Cases use names of their own below `conformance/`, so that they
//! may run at the same time on one remote, and leave nothing they did not put there.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test case says what is wrong by panicking")]

use std::ops::Range;

use bytes::Bytes;
use futures_util::{TryStreamExt, future::join_all};

use crate::error::{ErrorKind, Result};
use crate::remote::{Body, ObjectMeta, Remote};
use crate::scratch::Scratch;

/// Runs every case, one after another.
pub async fn run_all(remote: &dyn Remote) {
    label_is_told(remote).await;
    put_then_get(remote).await;
    empty_object(remote).await;
    large_object(remote).await;
    file_bodies(remote).await;
    shared_body(remote).await;
    ranges(remote).await;
    ranges_outside(remote).await;
    absent_is_absent(remote).await;
    delete_is_idempotent(remote).await;
    put_again(remote).await;
    listing(remote).await;
    listing_of_nothing(remote).await;
    a_directory_is_no_object(remote).await;
    every_allowed_character(remote).await;
    names_differing_in_case(remote).await;
    bad_names(remote).await;
    concurrent_puts_and_gets(remote).await;
    dropped_stream(remote).await;
    usage_is_sane(remote).await;
}

/// Bytes that differ from place to place and from `seed` to `seed`.
pub fn content(seed: u64, size: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bytes.extend_from_slice(&(mixed ^ (mixed >> 27)).to_le_bytes());
    }
    bytes.truncate(size);
    bytes.into()
}

/// Reads an object, or a range of it, into memory.
pub async fn read(remote: &dyn Remote, name: &str, range: Option<Range<u64>>) -> Result<Bytes> {
    let pieces: Vec<Bytes> = remote.get(name, range).await?.try_collect().await?;
    Ok(pieces.concat().into())
}

/// The whole listing of a directory, sorted by name.
pub async fn listed(remote: &dyn Remote, dir: &str) -> Result<Vec<ObjectMeta>> {
    let mut found: Vec<ObjectMeta> = remote.list(dir).await?.try_collect().await?;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

async fn put(remote: &dyn Remote, name: &str, bytes: &Bytes) {
    remote.put(name, &Body::from(bytes.clone())).await.unwrap_or_else(|e| panic!("put {name}: {e:?}"));
}

async fn get(remote: &dyn Remote, name: &str, range: Option<Range<u64>>) -> Bytes {
    read(remote, name, range.clone()).await.unwrap_or_else(|e| panic!("get {name} {range:?}: {e:?}"))
}

async fn stat(remote: &dyn Remote, name: &str) -> Option<u64> {
    remote.stat(name).await.unwrap_or_else(|e| panic!("stat {name}: {e:?}"))
}

async fn delete(remote: &dyn Remote, name: &str) {
    remote.delete(name).await.unwrap_or_else(|e| panic!("delete {name}: {e:?}"));
}

async fn list(remote: &dyn Remote, dir: &str) -> Vec<ObjectMeta> {
    listed(remote, dir).await.unwrap_or_else(|e| panic!("list {dir}: {e:?}"))
}

/// Compares without printing megabytes.
#[track_caller]
fn assert_same(got: &[u8], want: &[u8], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}: the length is wrong");
    if let Some(at) = got.iter().zip(want).position(|(g, w)| g != w) {
        panic!("{what}: byte {at} of {} differs", want.len());
    }
}

async fn assert_kind<T>(call: impl Future<Output = Result<T>>, kind: ErrorKind, remote: &dyn Remote, what: &str) {
    match call.await {
        Ok(_) => panic!("{what}: succeeded, wanted {kind:?}"),
        Err(e) => {
            assert_eq!(e.kind(), kind, "{what}: {e:?}");
            assert_eq!(e.remote(), Some(remote.label()), "{what}: the error must name the remote: {e:?}");
        }
    }
}

/// The label is not empty.
pub async fn label_is_told(remote: &dyn Remote) {
    assert!(!remote.label().is_empty());
}

/// What was put is got, whole, and stat tells its size.
pub async fn put_then_get(remote: &dyn Remote) {
    let (name, bytes) = ("conformance/whole/deep/er/object", content(1, 10_007));
    put(remote, name, &bytes).await;
    assert_same(&get(remote, name, None).await, &bytes, name);
    assert_eq!(stat(remote, name).await, Some(10_007));
    delete(remote, name).await;
}

/// An object of no bytes is an object.
pub async fn empty_object(remote: &dyn Remote) {
    let name = "conformance/empty/object";
    put(remote, name, &Bytes::new()).await;
    assert_eq!(stat(remote, name).await, Some(0));
    assert_same(&get(remote, name, None).await, b"", name);
    assert_same(&get(remote, name, Some(0..0)).await, b"", name);
    assert_eq!(list(remote, "conformance/empty").await, [ObjectMeta { name: name.into(), size: 0 }]);
    delete(remote, name).await;
    assert_eq!(stat(remote, name).await, None);
}

/// Five MiB and a bit: more than one piece, block or part.
pub async fn large_object(remote: &dyn Remote) {
    let (name, bytes) = ("conformance/large/object", content(2, (5 << 20) + 3));
    put(remote, name, &bytes).await;
    assert_same(&get(remote, name, None).await, &bytes, name);
    let middle = (1 << 20) + 1..(4 << 20) + 2;
    assert_same(
        &get(remote, name, Some(middle.clone())).await,
        &bytes[middle.start as usize..middle.end as usize],
        name,
    );
    delete(remote, name).await;
}

/// Bodies that are files.
pub async fn file_bodies(remote: &dyn Remote) {
    for (i, size) in [0, 1, 4096, (2 << 20) + 5].into_iter().enumerate() {
        let (name, bytes) = (format!("conformance/files/{i}"), content(3, size));
        let mut file = Scratch::new(Some(std::env::temp_dir())).create().unwrap();
        file.write(&bytes).unwrap();
        let body = file.seal().unwrap();
        remote.put(&name, &body).await.unwrap_or_else(|e| panic!("put {name}: {e:?}"));
        assert_eq!(stat(remote, &name).await, Some(size as u64));
        assert_same(&get(remote, &name, None).await, &bytes, &name);
        delete(remote, &name).await;
    }
}

/// One file body put under several names at the same time: nobody may move a shared cursor.
pub async fn shared_body(remote: &dyn Remote) {
    let bytes = content(4, 3_000_001);
    let mut file = Scratch::new(Some(std::env::temp_dir())).create().unwrap();
    file.write(&bytes).unwrap();
    let body = file.seal().unwrap();
    let names: Vec<String> = (0..4).map(|i| format!("conformance/shared/{i}")).collect();
    for put in join_all(names.iter().map(|name| remote.put(name, &body))).await {
        put.unwrap();
    }
    for name in &names {
        assert_same(&get(remote, name, None).await, &bytes, name);
        delete(remote, name).await;
    }
}

/// Ranges at the beginning, in the middle, at the end, and of no bytes.
pub async fn ranges(remote: &dyn Remote) {
    let (name, bytes) = ("conformance/ranges/object", content(5, 200_000));
    put(remote, name, &bytes).await;
    let all = 200_000;
    let edges = [0..1, 0..0, 0..all, 1..all, all - 1..all, all..all, 7..7, 65_535..65_537, 131_072..196_608];
    for range in edges {
        let want = &bytes[range.start as usize..range.end as usize];
        assert_same(&get(remote, name, Some(range.clone())).await, want, &format!("{name} {range:?}"));
    }
    delete(remote, name).await;
}

/// A range that is not inside the object is an error, and the object is not called absent.
pub async fn ranges_outside(remote: &dyn Remote) {
    let (name, bytes) = ("conformance/outside/object", content(6, 1000));
    put(remote, name, &bytes).await;
    for range in [0..1001, 999..1001, 1000..1001, 1001..1002, 5000..6000, 1001..1001] {
        let what = format!("{name} {range:?}");
        assert_kind(read(remote, name, Some(range)), ErrorKind::Corrupt, remote, &what).await;
    }
    delete(remote, name).await;
}

/// What is not there is absent, in a directory that is there and in one that is not.
pub async fn absent_is_absent(remote: &dyn Remote) {
    put(remote, "conformance/absent/neighbour", &content(7, 10)).await;
    for name in ["conformance/absent/object", "conformance/absent-dir/object", "conformance/absent/neighbour/below"] {
        assert_eq!(stat(remote, name).await, None, "{name}");
        for range in [None, Some(0..0), Some(0..1), Some(5..10)] {
            assert_kind(read(remote, name, range), ErrorKind::NotFound, remote, name).await;
        }
    }
    delete(remote, "conformance/absent/neighbour").await;
}

/// Deleting twice, and what never was, succeeds.
pub async fn delete_is_idempotent(remote: &dyn Remote) {
    let name = "conformance/delete/object";
    put(remote, name, &content(8, 10)).await;
    put(remote, "conformance/delete/object2", &content(8, 10)).await;
    for _ in 0..2 {
        delete(remote, name).await;
        assert_eq!(stat(remote, name).await, None);
        assert_kind(read(remote, name, None), ErrorKind::NotFound, remote, name).await;
    }
    assert_eq!(list(remote, "conformance/delete").await.len(), 1);
    delete(remote, "conformance/delete/object2").await;
    delete(remote, "conformance/never/was").await;
}

/// The same put twice (a retry after a lost answer) succeeds.
pub async fn put_again(remote: &dyn Remote) {
    let (name, bytes) = ("conformance/again/object", content(9, 50_000));
    put(remote, name, &bytes).await;
    put(remote, name, &bytes).await;
    assert_same(&get(remote, name, None).await, &bytes, name);
    assert_eq!(list(remote, "conformance/again").await.len(), 1);
    delete(remote, name).await;
}

/// A listing has everything below the directory, with full names and sizes, and nothing beside it.
pub async fn listing(remote: &dyn Remote) {
    let mut want = vec![];
    for (i, below) in ["a", "b/c", "b/d/e/f", "b.x", "z-0_.json"].into_iter().enumerate() {
        let name = format!("conformance/list/{below}");
        put(remote, &name, &content(10, i * 1000)).await;
        want.push(ObjectMeta { name, size: i as u64 * 1000 });
    }
    let beside = ["conformance/list2/a", "conformance/list.b"];
    for name in beside {
        put(remote, name, &content(11, 5)).await;
    }
    want.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(list(remote, "conformance/list").await, want);
    let deeper: Vec<_> = want.iter().filter(|m| m.name.contains("/b/")).cloned().collect();
    assert_eq!(list(remote, "conformance/list/b").await, deeper);
    // The whole remote may hold more than this case put there.
    let all = list(remote, "").await;
    assert!(want.iter().all(|m| all.contains(m)), "the root's listing lacks something: {all:?}");
    for name in want.iter().map(|m| m.name.as_str()).chain(beside) {
        delete(remote, name).await;
    }
    assert_eq!(list(remote, "conformance/list").await, []);
}

/// An absent directory is empty.
pub async fn listing_of_nothing(remote: &dyn Remote) {
    assert_eq!(list(remote, "conformance/no/such/dir").await, []);
}

/// The name of a directory is not the name of an object.
pub async fn a_directory_is_no_object(remote: &dyn Remote) {
    let name = "conformance/dir/sub/object";
    put(remote, name, &content(12, 10)).await;
    assert_eq!(stat(remote, "conformance/dir/sub").await, None);
    assert_kind(read(remote, "conformance/dir/sub", None), ErrorKind::NotFound, remote, "get of a directory").await;
    delete(remote, "conformance/dir/sub").await;
    assert_eq!(stat(remote, name).await, Some(10));
    delete(remote, name).await;
}

/// Names of all characters that are allowed come back unchanged.
pub async fn every_allowed_character(remote: &dyn Remote) {
    let letters: String = ('a'..='z').chain('A'..='Z').chain('0'..='9').collect();
    let names = [
        format!("conformance/names/{letters}"),
        "conformance/names/._-".into(),
        "conformance/names/-flag".into(),
        "conformance/names/.hidden".into(),
        "conformance/names/-.-/__/..a..".into(),
        "conformance/names/dir.partial/x".into(),
        "conformance/names/1753005600123-0003-9f8e7d6c5b4a3210-4096-0123456789abcdef.json.zst".into(),
    ];
    for (i, name) in names.iter().enumerate() {
        put(remote, name, &content(13, i + 1)).await;
    }
    for (i, name) in names.iter().enumerate() {
        assert_eq!(stat(remote, name).await, Some(i as u64 + 1), "{name}");
        assert_same(&get(remote, name, None).await, &content(13, i + 1), name);
    }
    let found: Vec<String> = list(remote, "conformance/names").await.into_iter().map(|m| m.name).collect();
    let mut want = names.to_vec();
    want.sort();
    assert_eq!(found, want);
    for name in &names {
        delete(remote, name).await;
    }
}

/// Case tells names apart.
pub async fn names_differing_in_case(remote: &dyn Remote) {
    let (lower, upper) = ("conformance/case/name", "conformance/case/Name");
    put(remote, lower, &content(14, 10)).await;
    assert_eq!(stat(remote, upper).await, None);
    put(remote, upper, &content(14, 20)).await;
    assert_eq!((stat(remote, lower).await, stat(remote, upper).await), (Some(10), Some(20)));
    delete(remote, upper).await;
    assert_eq!(stat(remote, lower).await, Some(10));
    delete(remote, lower).await;
}

/// Names that could escape the root or be changed by a backend are refused before anything is asked.
pub async fn bad_names(remote: &dyn Remote) {
    let body = Body::from(content(15, 10));
    for name in ["", "/", "/abs", "../up", "a/../b", ".", "a//b", "a/", "a b", "ä", "a\0b", "a:b", "a\\b", "x.partial"]
    {
        let bad = ErrorKind::InvalidArgument;
        assert_kind(remote.put(name, &body), bad, remote, "put").await;
        assert_kind(remote.get(name, None), bad, remote, "get").await;
        assert_kind(remote.stat(name), bad, remote, "stat").await;
        if name.ends_with(".partial") {
            // What a put that broke off left may be deleted.
            remote.delete(name).await.unwrap_or_else(|e| panic!("delete {name}: {e:?}"));
            continue;
        }
        assert_kind(remote.delete(name), bad, remote, "delete").await;
        if !name.is_empty() {
            assert_kind(remote.list(name), bad, remote, "list").await;
        }
    }
}

/// Many puts, then many gets, stats and deletes at the same time.
pub async fn concurrent_puts_and_gets(remote: &dyn Remote) {
    let objects: Vec<(String, Bytes)> =
        (0..8).map(|i| (format!("conformance/many/{}/{i}", i % 3), content(100 + i, 1 + 7919 * i as usize))).collect();
    join_all(objects.iter().map(|(name, bytes)| put(remote, name, bytes))).await;
    let gets = objects.iter().map(|(name, bytes)| async move {
        assert_eq!(stat(remote, name).await, Some(bytes.len() as u64));
        assert_same(&get(remote, name, None).await, bytes, name);
        let half = bytes.len() as u64 / 2;
        assert_same(&get(remote, name, Some(half..bytes.len() as u64)).await, &bytes[half as usize..], name);
    });
    join_all(gets).await;
    assert_eq!(list(remote, "conformance/many").await.len(), objects.len());
    join_all(objects.iter().map(|(name, _)| delete(remote, name))).await;
    assert_eq!(list(remote, "conformance/many").await, []);
}

/// A stream nobody reads to its end costs nothing afterwards.
pub async fn dropped_stream(remote: &dyn Remote) {
    let (name, bytes) = ("conformance/dropped/object", content(16, 3 << 20));
    put(remote, name, &bytes).await;
    for _ in 0..6 {
        let mut stream = remote.get(name, None).await.unwrap();
        let first = stream.try_next().await.unwrap().unwrap_or_default();
        assert_same(&first, &bytes[..first.len()], name);
    }
    assert_same(&get(remote, name, Some(1..2)).await, &bytes[1..2], name);
    delete(remote, name).await;
}

/// Where space is told, the numbers fit together.
pub async fn usage_is_sane(remote: &dyn Remote) {
    let usage = remote.usage().await.unwrap_or_else(|e| panic!("usage: {e:?}"));
    if let (Some(total), Some(free)) = (usage.total, usage.free) {
        assert!(free <= total, "{usage:?}");
    }
}

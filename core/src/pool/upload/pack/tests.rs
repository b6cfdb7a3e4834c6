use super::*;
use crate::pool::{Filter, LinkPolicy, UploadOptions};
use crate::testing::world::World;

fn small(path: &str, held: Held) -> Small {
    let size = match &held {
        Held::File(_, identity) => identity.size,
        Held::Bytes(bytes) => bytes.len() as u64,
    };
    let options = UploadOptions { filter: Filter::default(), links: LinkPolicy::Skip, ..UploadOptions::default() };
    let order = Order {
        data: crate::pool::upload::Data::Bytes(Bytes::new()),
        path: PoolPath::new(path).unwrap(),
        options: Arc::new(options),
        monitor: Monitor::default(),
        again: false,
    };
    Small { order, size, mtime_ns: 1, executable: false, held }
}

/// Files that grew, shrank, were replaced or went since they were looked at, among others.
#[tokio::test]
async fn what_changed_drops_out_and_the_others_stay() {
    let world = World::new(3, "parity:2+1".parse().unwrap(), 800_000, 1);
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, name.repeat(5000)).unwrap();
        let identity = Identity::of(&path.metadata().unwrap());
        small(&format!("/{name}"), Held::File(path, identity))
    };
    let files = ["d", "grew", "shrank", "replaced", "went", "a"].map(file).into_iter();
    let files: Vec<Small> = files.chain([small("/c", Held::Bytes(vec![7; 9000].into()))]).collect();
    std::fs::write(dir.path().join("grew"), vec![1; 30_000]).unwrap();
    std::fs::write(dir.path().join("shrank"), vec![1; 10]).unwrap();
    let new = dir.path().join("new");
    std::fs::write(&new, "replaced".repeat(5000)).unwrap();
    std::fs::rename(&new, dir.path().join("replaced")).unwrap();
    std::fs::remove_file(dir.path().join("went")).unwrap();

    let mut extents = Vec::new();
    let mut failed = Vec::new();
    for (path, done) in pool.store_pack(files, None).await {
        match done {
            Ok(prepared) => {
                let Some(Record::Entry(entry)) = prepared.records.last() else { panic!("no entry") };
                extents.push((path.to_string(), entry.content.extents()[0].clone()));
            }
            Err(error) => failed.push((path.to_string(), error.kind())),
        }
    }
    failed.sort_by(|a, b| a.0.cmp(&b.0));
    let changed = ErrorKind::SourceChanged;
    let expected = [("/grew", changed), ("/replaced", changed), ("/shrank", changed), ("/went", ErrorKind::NotFound)];
    assert_eq!(failed, expected.map(|(path, kind)| (path.to_owned(), kind)));
    let lie: Vec<_> = extents.iter().map(|(path, e)| (path.as_str(), e.chunk_offset, e.length)).collect();
    assert_eq!(lie, [("/a", 0, 5000), ("/c", 5000, 9000), ("/d", 14_000, 5000)], "in the order of their paths");
    assert!(extents.iter().all(|(_, extent)| extent.chunk == extents[0].1.chunk));
    assert_eq!(extents[1].1.sha256, sha256(&[7; 9000]));
}

/// A file that comes late is not waited for.
#[tokio::test(start_paused = true)]
async fn a_pack_is_closed_when_nothing_more_comes() {
    let examined = |n: u64| {
        let bytes = Held::Bytes(vec![0; 10].into());
        (PoolPath::root(), Ok(Examined::Small(small(&format!("/{n}"), bytes))))
    };
    let late = stream::once(async move {
        tokio::time::sleep(PATIENCE * 3).await;
        examined(9)
    });
    let mut found = std::pin::pin!(loads(stream::iter((0..7).map(examined)).chain(late).boxed(), 40));
    let mut sizes = Vec::new();
    let begin = tokio::time::Instant::now();
    while let Some(load) = found.next().await {
        let Load::Pack(files) = load else { panic!("not a pack") };
        sizes.push((files.len(), begin.elapsed() / PATIENCE.as_secs() as u32));
    }
    let second = Duration::from_secs(1);
    assert_eq!(sizes, [(4, Duration::ZERO), (3, second), (1, second * 3)]);
}

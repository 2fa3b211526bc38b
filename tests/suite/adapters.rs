//! Cards, listings and digests of adapters.

use nfold::adapter::{self, Card};
use nfold::digest::{Digest, Digests};

use crate::support::{World, tiny};

#[test]
fn the_card_travels_with_the_file() {
    let world = World::new();
    let mut adapter = tiny::adapter(1, 4, 8.0);
    adapter.card = Card {
        task: Some("translate:es".to_owned()),
        base_name: Some("tiny".to_owned()),
        base_sha256: Some(Digest::of(b"x")),
        data: Some("house (CC0)".to_owned()),
        license: Some("CC0-1.0".to_owned()),
        provenance: Some("a test".to_owned()),
        figures: Some("dev loss 2.0".to_owned()),
    };
    let path = world.write_adapter("a.gguf", &adapter);
    let (card, ranks) = adapter::read_card(&path).unwrap();
    assert_eq!((card, ranks), (adapter.card, (4, 4)));
}

#[test]
fn digests_are_remembered_until_the_file_changes() {
    let world = World::new();
    let digests = Digests::in_folder(world.path("digests"));
    let file = world.write("file", b"one");
    assert_eq!(digests.of_file(&file).unwrap(), Digest::of(b"one"));
    let note = std::fs::read_dir(world.path("digests")).unwrap().next().unwrap().unwrap().path();
    // What is remembered is used as long as size and time are the same …
    let lie = std::fs::read_to_string(&note)
        .unwrap()
        .replace(&Digest::of(b"one").to_string(), &Digest::of(b"lie").to_string());
    std::fs::write(&note, lie).unwrap();
    assert_eq!(digests.of_file(&file).unwrap(), Digest::of(b"lie"));
    // … and no longer; a damaged note is no obstacle either.
    std::fs::write(&file, b"three").unwrap();
    assert_eq!(digests.of_file(&file).unwrap(), Digest::of(b"three"));
    std::fs::write(&note, b"{").unwrap();
    assert_eq!(digests.of_file(&file).unwrap(), Digest::of(b"three"));
}

//! Where models are found.

use std::collections::BTreeMap;
use std::fs;

use nfold::config::{Config, ModelEntry};
use nfold::digest::Digest;
use nfold::model::{FindError, Origin, Store};

use crate::support::World;

fn known(world: &World) -> BTreeMap<String, ModelEntry> {
    let sha256 = Some(world.base().1);
    let entry = |file: &str| ModelEntry {
        file: file.into(),
        repo: Some("owner/name".to_owned()),
        sha256,
        size: Some(1_000_000),
        license: None,
    };
    BTreeMap::from([("small".to_owned(), entry("small.gguf"))])
}

#[test]
fn a_known_model_is_found_in_the_folder_and_in_hugging_faces_cache() {
    let world = World::new();
    let (known, folder, hub) = (known(&world), world.path("models"), [world.path("hub")]);
    let store = Store { known: &known, folder: &folder, hub: &hub };
    let error = store.find("small").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the model `small` is not on this machine; `nfold models pull small` downloads it (1 MB)"
    );
    let bytes = fs::read(world.model()).unwrap();
    let in_hub = world.write("hub/models--owner--name/snapshots/0123abcd/small.gguf", &bytes);
    let found = store.find("small").unwrap();
    assert_eq!((found.path, found.origin), (in_hub, Origin::Hub));
    let own = world.write("models/small.gguf", &bytes);
    let found = store.find("small").unwrap();
    assert_eq!((found.path, found.origin), (own, Origin::Folder));
    assert!(store.others().is_empty());
}

#[test]
fn other_models_are_found_by_file_name_and_by_path() {
    let world = World::new();
    let (known, folder, hub) = (known(&world), world.path("models"), []);
    let store = Store { known: &known, folder: &folder, hub: &hub };
    let added = world.write("models/other.gguf", b"GGUF");
    for asked in ["other", "other.gguf"] {
        assert_eq!(store.find(asked).unwrap().path, added);
    }
    assert_eq!(store.others().len(), 1);
    let path = world.model();
    assert_eq!(store.find(&path.to_string_lossy()).unwrap().name, "tiny");
    assert_eq!(store.name_of(world.base().1), Some("small"));
    assert!(matches!(store.find("../models/none.gguf"), Err(FindError::NoFile { .. })));
    assert!(store.find("smal").unwrap_err().to_string().contains("did you mean `small`?"));
}

#[test]
fn a_known_model_must_have_its_hash() {
    let world = World::new();
    let mut config = Config::example().unwrap();
    config.models = known(&world);
    config.models.get_mut("small").unwrap().sha256 = Some(Digest::of(b"another"));
    world.write("data/models/small.gguf", fs::read(world.model()).unwrap());
    let paths = nfold::paths::Paths {
        config_file: world.path("config.toml"),
        data: world.path("data"),
        cache: world.path("cache"),
        adapters: Vec::new(),
        hub: Vec::new(),
    };
    let error = nfold::plan::resolve_base("small", &config, &paths).unwrap_err().to_string();
    assert!(error.contains("should have") && error.contains("small.gguf"), "{error}");
}

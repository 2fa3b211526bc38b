//! Where models are found.

use std::collections::BTreeMap;
use std::fs;

use nfold::config::{Config, ModelEntry};
use nfold::digest::Digest;
use nfold::gguf;
use nfold::model::{FindError, Origin, Store, weights};

use crate::support::{World, smollm2};

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

#[test]
fn a_small_model_in_q4_1_is_loaded_from_a_copy_in_q8_0() {
    let world = World::new();
    let (model, folder) = (smollm2(), world.path("weights"));
    let sha256 = Digest::of(b"any name for the copy");
    let load = || weights::to_load(&model, sha256, &folder);
    let copy = load();
    assert!(copy.starts_with(&folder), "{}", copy.display());
    let (mut before, mut after) = (gguf::File::open(&model).unwrap(), gguf::File::open(&copy).unwrap());
    assert_eq!(before.metadata(), after.metadata());
    for (old, new) in before.tensors().to_vec().iter().zip(after.tensors().to_vec()) {
        assert_eq!((&old.name, &old.shape), (&new.name, &new.shape));
        let (old, new) = (before.read_tensor(old).unwrap(), after.read_tensor(&new).unwrap());
        let largest = |numbers: &[f32]| numbers.iter().fold(0f32, |largest, number| largest.max(number.abs()));
        for (old, new) in old.chunks(32).zip(new.chunks(32)) {
            let apart: Vec<f32> = old.iter().zip(new).map(|(old, new)| old - new).collect();
            assert!(largest(&apart) <= largest(old) / 127.0 * 0.6);
        }
    }

    // It is made once, and again where it is cut off.
    let made = fs::metadata(&copy).unwrap().modified().unwrap();
    assert_eq!((load(), fs::metadata(&copy).unwrap().modified().unwrap()), (copy.clone(), made));
    fs::OpenOptions::new().write(true).open(&copy).unwrap().set_len(1_000_000).unwrap();
    assert_eq!(load(), copy);
    assert!(fs::metadata(&copy).unwrap().len() > 100_000_000);
}

#[test]
fn other_models_and_full_folders_are_no_reason_not_to_run() {
    let world = World::new();
    let sha256 = world.base().1;
    assert_eq!(weights::to_load(&world.model(), sha256, &world.path("weights")), world.model());
    assert!(!world.path("weights").exists());
    let no_folder = world.write("file", b"in the way");
    assert_eq!(weights::to_load(&smollm2(), sha256, &no_folder), smollm2());
}

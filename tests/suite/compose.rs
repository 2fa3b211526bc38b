//! Composed adapters and their cache.

use std::fs;

use nfold::adapter;
use nfold::compose::{Cache, CalibrationFile, ComposeError, Ingredient, Recipe, ingredient};
use nfold::digest::{Digest, Digests};
use nfold::merge::Method;

use crate::support::{World, tiny};

fn recipe(world: &World) -> Recipe {
    let digests = Digests::in_folder(world.path("digests"));
    let part = |name: &str, seed, weight| {
        let path = world.write_adapter(&format!("{name}.gguf"), &tiny::adapter(seed, 4, 8.0));
        ingredient(&digests, name, &path, weight).unwrap()
    };
    Recipe { ingredients: vec![part("one", 1, 0.5), part("two", 2, 0.5)], method: Method::Concat, calibration: None }
}

#[test]
fn a_composed_adapter_is_made_once_and_again_when_damaged() {
    let world = World::new();
    let (model, base) = world.base();
    let (recipe, cache) = (recipe(&world), Cache::in_folder(world.path("cache")));
    let made = recipe.materialize(&model, base, &cache).unwrap();
    assert!(!made.cached);
    let good = fs::read(&made.path).unwrap();
    assert!(recipe.materialize(&model, base, &cache).unwrap().cached);
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for damaged in [&good[..good.len() - 1], &good[..3], b"", &flipped] {
        fs::write(&made.path, damaged).unwrap();
        assert!(!recipe.materialize(&model, base, &cache).unwrap().cached, "{} bytes", damaged.len());
        assert_eq!(fs::read(&made.path).unwrap(), good);
    }
}

#[test]
fn ranks_are_filled_up_and_delta_weights_rounded_at_most() {
    let world = World::new();
    let (model, base) = world.base();
    for method in [Method::Concat, Method::Linear] {
        let recipe = Recipe { method, ..recipe(&world) };
        let exact = recipe.compose(&model, base).unwrap();
        let made = recipe.materialize(&model, base, &Cache::in_folder(world.path("cache"))).unwrap();
        let filled = adapter::read(&made.path).unwrap();
        assert_eq!(filled.ranks(), (32, 32));
        for target in exact.pairs.keys() {
            let (before, after) = (exact.delta_weight(target).unwrap(), filled.delta_weight(target).unwrap());
            let norm =
                |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|number| number * number).sum::<f32>().sqrt();
            let whole = norm(&mut before.data().iter().copied());
            let apart = norm(&mut before.data().iter().zip(after.data()).map(|(before, after)| before - after));
            assert!(apart < 0.01 * whole, "{target}: {apart} of {whole}");
        }
    }
}

#[test]
fn what_was_used_least_lately_goes_where_there_is_too_much() {
    let world = World::new();
    let (model, base) = world.base();
    let folder = world.path("cache");
    let weighted = |weight: f32| {
        let mut recipe = recipe(&world);
        recipe.ingredients[0].weight = weight;
        recipe
    };
    let first = weighted(0.1).materialize(&model, base, &Cache::in_folder(folder.clone())).unwrap().path;
    // Room for two and a half.
    let cache = Cache::in_folder(folder).keeping(fs::metadata(&first).unwrap().len() * 5 / 2);
    let second = weighted(0.2).materialize(&model, base, &cache).unwrap().path;
    let old = std::time::SystemTime::now() - std::time::Duration::from_mins(1);
    for path in [&first, &second] {
        fs::File::options().append(true).open(path).unwrap().set_modified(old).unwrap();
    }
    assert!(weighted(0.1).materialize(&model, base, &cache).unwrap().cached);
    let third = weighted(0.3).materialize(&model, base, &cache).unwrap().path;
    assert!(first.exists() && third.exists() && !second.exists());
    // The one that was made last stays, whatever the limit.
    let fourth = weighted(0.4).materialize(&model, base, &cache.keeping(1)).unwrap().path;
    assert!(fourth.exists() && !first.exists() && !third.exists());
}

#[test]
fn the_key_is_of_everything_that_decides_the_result() {
    let world = World::new();
    let base = world.base().1;
    let recipe = recipe(&world);
    let change = |change: &dyn Fn(&mut Recipe)| {
        let mut changed = recipe.clone();
        change(&mut changed);
        changed.key(base)
    };
    let key = recipe.key(base);
    let calibration = Some(CalibrationFile { path: world.path("c"), sha256: Digest::of(b"c") });
    assert_ne!(key, recipe.key(Digest::of(b"another base")));
    assert_ne!(key, change(&|recipe| recipe.method = Method::Linear));
    assert_ne!(key, change(&|recipe| recipe.ingredients[0].weight = 0.4));
    assert_ne!(key, change(&|recipe| recipe.ingredients[1].sha256 = Digest::of(b"retrained")));
    assert_ne!(key, change(&|recipe| recipe.ingredients.reverse()));
    assert_ne!(key, change(&|recipe| recipe.calibration.clone_from(&calibration)));
    assert_eq!(key, change(&|recipe| recipe.ingredients[0].name = "another name".to_owned()));
}

#[test]
fn an_unwritable_cache_and_an_unfit_adapter_are_errors() {
    let world = World::new();
    let (model, base) = world.base();
    let in_the_way = Cache::in_folder(world.write("file", b"").join("cache"));
    assert!(matches!(recipe(&world).materialize(&model, base, &in_the_way), Err(ComposeError::Cache(_))));
    let mut wrong = tiny::adapter(1, 4, 8.0);
    wrong.architecture = "qwen2".to_owned();
    let path = world.write_adapter("wrong.gguf", &wrong);
    let part = Ingredient { name: "wrong".to_owned(), path, sha256: Digest::of(b""), weight: 1.0 };
    let recipe = Recipe { ingredients: vec![part], method: Method::Concat, calibration: None };
    assert!(matches!(recipe.compose(&model, base), Err(ComposeError::Check { .. })));
}

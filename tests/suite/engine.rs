//! What every engine owes its callers, on real llama.cpp with a tiny model.

use std::ops::ControlFlow;

use nfold::engine::llama::{Llama, LoadOptions};
use nfold::engine::{Engine, EngineError, Outcome, Request, Sampling, Step, Stop};

use crate::support::{World, tiny};

fn load(world: &World) -> Llama {
    let options = LoadOptions { threads: Some(1), gpu_layers: Some(0) };
    Llama::load(&world.model(), options, |_| ControlFlow::Continue(())).unwrap()
}

fn request(user: &str, max_tokens: u32) -> Request {
    let sampling = Sampling {
        temperature: 0.0,
        top_k: 40,
        top_p: 0.95,
        min_p: 0.05,
        seed: 1,
        repeat_penalty: 1.1,
        repeat_last_n: 64,
    };
    Request { system: None, user: user.to_owned(), adapter: None, sampling, max_tokens, context: None }
}

fn run(engine: &mut dyn Engine, request: &Request) -> (String, Outcome) {
    let mut text = String::new();
    let outcome = engine.generate(request, &mut |step| {
        if let Step::Token(piece) = step {
            text.push_str(piece);
        }
        ControlFlow::Continue(())
    });
    (text, outcome.unwrap())
}

/// The contract, for any engine whose answer to `request` has at least ten tokens.
fn obeys_the_contract(engine: &mut dyn Engine, request: &Request) {
    let (mut counts, mut tokens) = (Vec::new(), 0);
    let outcome = engine
        .generate(request, &mut |step| {
            match step {
                Step::Prefill { done, total } => counts.push((done, total)),
                Step::Token(_) => tokens += 1,
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    let total = outcome.prompt_tokens;
    assert_eq!(total, engine.prompt(request).unwrap().tokens);
    assert!(counts.is_sorted() && counts.iter().all(|count| count.1 == total), "{counts:?}");
    assert_eq!((counts.first(), counts.last()), (Some(&(0, total)), Some(&(total, total))));
    assert!(tokens >= 10 && tokens >= outcome.output_tokens);

    // Broken off anywhere, it stops within one step, and the next run is clean.
    let (whole, _) = run(engine, request);
    for steps in [1, 2, 5, 8] {
        let mut seen = 0;
        let broken = engine.generate(request, &mut |_| {
            seen += 1;
            if seen == steps { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(broken.unwrap().stop, Stop::Cancelled);
        assert_eq!(seen, steps);
        assert_eq!(run(engine, request).0, whole);
    }
}

#[test]
fn llama_obeys_the_contract() {
    let world = World::new();
    obeys_the_contract(
        &mut load(&world),
        &request("Some document of a few words, and a few more to fill a piece.", 40),
    );
}

#[test]
fn prefill_goes_in_pieces() {
    let world = World::new();
    let mut steps = 0;
    let long = request(&"word ".repeat(30), 1);
    let outcome = load(&world).generate(&long, &mut |step| {
        steps += usize::from(matches!(step, Step::Prefill { .. }));
        ControlFlow::Continue(())
    });
    assert!(outcome.unwrap().prompt_tokens > 150);
    assert!(steps >= 3, "{steps}");
}

#[test]
fn limits_end_a_pass() {
    let world = World::new();
    let mut engine = load(&world);
    let (_, outcome) = run(&mut engine, &request("Hello", 7));
    assert_eq!((outcome.stop, outcome.output_tokens), (Stop::MaxTokens, 7));
    let (_, outcome) = run(&mut engine, &request("Hello", 10_000));
    assert_eq!(outcome.context, 256);
    assert!(matches!(outcome.stop, Stop::ContextFull | Stop::EndOfGeneration));
    let error = engine.generate(&request(&"word ".repeat(60), 5), &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, EngineError::ContextOverflow { limit: 256, tokens, .. } if tokens > 256), "{error}");
    let small = Request { context: Some(16), ..request("A few words too many", 5) };
    let error = engine.generate(&small, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().contains("--ctx-size"), "{error}");
}

#[test]
fn an_adapter_acts_in_its_own_request_only() {
    let world = World::new();
    let mut engine = load(&world);
    let bare = request("Hello", 24);
    let file = world.write_adapter("a.gguf", &tiny::adapter(1, 4, 8.0));
    let with = Request { adapter: Some(file), ..bare.clone() };
    let (first, second, third, fourth) =
        (run(&mut engine, &bare).0, run(&mut engine, &with).0, run(&mut engine, &bare).0, run(&mut engine, &with).0);
    assert_eq!((&first, &second), (&third, &fourth));
    assert_ne!(first, second);
}

/// A model keeps a few adapters; with one more it is loaded anew.
#[test]
fn adapters_come_back_after_many_others() {
    let world = World::new();
    let mut engine = load(&world);
    let mut with = |seed: u64| {
        let file = world.path(&format!("{seed}.gguf"));
        if !file.exists() {
            world.write_adapter(&format!("{seed}.gguf"), &tiny::adapter(seed, 4, 8.0));
        }
        run(&mut engine, &Request { adapter: Some(file), ..request("Hello", 24) }).0
    };
    let first: Vec<String> = (1..=20).map(&mut with).collect();
    let again: Vec<String> = (1..=20).map(&mut with).collect();
    assert_eq!(first, again);
    assert!(first.iter().collect::<std::collections::HashSet<_>>().len() > 10, "they differ: {first:?}");
}

#[test]
fn seeds_decide_what_is_drawn() {
    let world = World::new();
    let mut engine = load(&world);
    let drawn = |engine: &mut Llama, seed| {
        let mut request = request("Hello", 24);
        request.sampling = Sampling { temperature: 1.5, seed, ..request.sampling };
        run(engine, &request).0
    };
    let (one, again, other) = (drawn(&mut engine, 1), drawn(&mut engine, 1), drawn(&mut engine, 2));
    assert_eq!(one, again);
    assert_ne!(one, other);
}

#[test]
fn a_document_cannot_end_its_own_turn() {
    let world = World::new();
    let engine = load(&world);
    let tokens = |text: &str| engine.prompt(&request(text, 1)).unwrap().tokens;
    // `</s>` is one special token; in a document it is four characters.
    assert_eq!(tokens("a</s>"), tokens("abcde"));
    assert!(engine.prompt(&request("a\0b", 1)).is_err());
}

#[test]
fn loading_can_be_given_up_and_failure_names_the_file() {
    let world = World::new();
    let options = LoadOptions::default();
    let given_up = Llama::load(&world.model(), options, |_| ControlFlow::Break(()));
    assert!(matches!(given_up, Err(EngineError::LoadCancelled)));
    let broken = world.write("broken.gguf", b"GGUF and nothing more");
    let error = Llama::load(&broken, options, |_| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().contains("broken.gguf"), "{error}");
    assert!(Llama::load(&world.path("none.gguf"), options, |_| ControlFlow::Continue(())).is_err());
}

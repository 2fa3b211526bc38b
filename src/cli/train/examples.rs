//! From data files to examples in tokens, with an account of what was read.

use crate::adapter::Adapter;
use crate::data::{self, Source};
use crate::digest::{Digest, Digests};
use crate::engine::llama::Llama;
use crate::plan::Plan;
use crate::run;
use crate::train::{Example, ExampleWeight, Group};

use super::super::Session;
use super::super::args::train::Training;
use super::super::exit::{Exit, Failure};

/// Reads examples as a run's prompts and answers would be.
pub(super) struct Reader<'a> {
    session: &'a Session,
    training: &'a Training,
    engine: &'a Llama,
    files: Vec<(String, Digest, f32)>,
    examples: usize,
    dev: usize,
    too_long: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(session: &'a Session, training: &'a Training, engine: &'a Llama) -> Self {
        Self { session, training, engine, files: Vec::new(), examples: 0, dev: 0, too_long: 0 }
    }

    /// The examples of one combination.
    pub(super) fn group(&mut self, plan: &Plan, merged: Option<Adapter>, data: &[Source]) -> Result<Group, Failure> {
        let mut examples = Vec::new();
        for source in data {
            examples.extend(self.read(plan, source)?);
            self.note(source)?;
        }
        let mut dev = Vec::new();
        for source in &self.training.dev {
            dev.extend(self.read(plan, source)?);
        }
        if dev.is_empty() {
            // Every tenth, so that each file has its share; of a few the last.
            let every = examples.len().clamp(1, 10);
            let (kept, taken): (Vec<_>, Vec<_>) =
                examples.into_iter().enumerate().partition(|(index, _)| index % every != every - 1);
            examples = kept.into_iter().map(|(_, example)| example).collect();
            dev = taken.into_iter().map(|(_, example)| example).collect();
        }
        self.examples += examples.len();
        self.dev += dev.len();
        Ok(Group { merged, examples, dev })
    }

    fn read(&mut self, plan: &Plan, source: &Source) -> Result<Vec<Example>, Failure> {
        let pass = &plan.passes[0];
        let Some(combination) = &pass.combination else { return Ok(Vec::new()) };
        let pairs = data::read(source, self.training.field.as_deref(), combination)
            .map_err(|error| Failure::new(Exit::Input, error))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "weights lie between 0 and 1000")]
        let weight = ExampleWeight((source.weight * 1000.0).round() as u32);
        let mut examples = Vec::new();
        for pair in pairs {
            let prompt = self.engine.prompt_tokens(&run::request(plan, pass, None, &pair.input))?;
            let output = self.engine.answer_tokens(&pair.output);
            let example = Example { prompt, output, weight };
            match example.len() <= self.limit() {
                true => examples.push(example),
                false => self.too_long += 1,
            }
        }
        Ok(examples)
    }

    fn limit(&self) -> usize {
        self.training.max_length.min(self.engine.trained_context() as usize)
    }

    fn note(&mut self, source: &Source) -> Result<(), Failure> {
        let digests = Digests::in_folder(self.session.paths.digests());
        let digest = digests.of_file(&source.path).map_err(|error| Failure::new(Exit::Input, error))?;
        let entry = (data::file_name(&source.path), digest, source.weight);
        if !self.files.contains(&entry) {
            self.files.push(entry);
        }
        Ok(())
    }

    /// Says what was read; gives the files with their digests and weights, for the card.
    pub(super) fn finish(self) -> String {
        let long = match self.too_long {
            0 => String::new(),
            count => format!(", {count} longer than {} tokens left out", self.limit()),
        };
        self.session.console.note(&format!("{} examples, {} to judge by{long}", self.examples, self.dev));
        let file = |(name, digest, weight): &(String, Digest, f32)| {
            let weight = if (weight - 1.0).abs() < f32::EPSILON { String::new() } else { format!(", weight {weight}") };
            format!("{name} (sha256 {}{weight})", digest.short())
        };
        let files: Vec<String> = self.files.iter().map(file).collect();
        format!("{}; {} examples", files.join(", "), self.examples)
    }
}

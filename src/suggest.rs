//! "Did you mean": the nearest of the words that would have been right.

/// The word nearest to `asked`, where one is near enough to have been meant.
pub(crate) fn nearest<'a>(asked: &str, words: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let asked = asked.to_lowercase();
    let near = |word: &'a str| {
        let distance = strsim::damerau_levenshtein(&asked, &word.to_lowercase());
        let allowed = (word.chars().count().max(asked.chars().count()) / 3).max(1);
        (distance <= allowed && word.chars().count() > 2).then_some((distance, word))
    };
    words.into_iter().filter_map(near).min_by_key(|found| found.0).map(|found| found.1.to_owned())
}

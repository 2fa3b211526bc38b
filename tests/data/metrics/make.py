"""Makes the metric fixtures in this folder: pip install rouge-score==0.1.2 sacrebleu==2.6.0; python make.py

Fifty pairs of output and reference with accents, other scripts, empty texts, punctuation, numbers and entities, and what
Google's rouge-score and sacrebleu say of them (`scores.json`).
"""

import json
import random
from pathlib import Path

from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

HERE = Path(__file__).parent
REFERENCES = [
    "The release moves to the 12th because the store rejected version 6.1 twice.",
    "Noor schreibt die Meldung, Celia überträgt den Fehler auf 3.4; veröffentlicht wird am Dienstag.",
    "La publicación se prevé para el día 12 y Noor redacta el aviso; ¿quién lo revisa?",
    "L'équipe espère publier le 12 : c'est un mardi, à 9 h 30, « si tout va bien ».",
    "Prices rose by 3.5% to $1,299.00 (from $1,255.07), said A. B. Smith-Jones.",
    "Don't forget: e-mail the \"final\" list & copy O'Neil!",
    "会议改到星期二下午三点。", "Встреча перенесена на вторник.", "x", "One two three four five six seven eight.",
]
WORDS = "the a of to Noor Tuesday release día niño über straße l'été 12 3.4 1,000 — ... ! ? and not".split()


def changed(text, random):
    words = text.split(" ")
    for _ in range(random.randrange(4)):
        at = random.randrange(len(words) + 1)
        kind = random.randrange(4)
        if kind == 0:
            words.insert(at, random.choice(WORDS))
        elif kind == 1 and len(words) > 1:
            words.pop(at % len(words))
        elif kind == 2:
            random.shuffle(words)
        else:
            words = words[:at] or words
    return " ".join(words)


def main():
    rng = random.Random(4)
    pairs = [(changed(reference, rng), reference) for reference in REFERENCES for _ in range(4)]
    pairs += [("", REFERENCES[0]), ("   ", REFERENCES[1]), ("!!! ...", REFERENCES[2]), ("Hello\nworld -\nagain", "Hello world again")]
    pairs += [("&quot;Tom &amp; Ann&quot; &lt;3", "\"Tom & Ann\" <3"), ("ok", "Ok."), ("12-14 and 3-4", "12 - 14, and 3 - 4")]
    pairs += [("a a a a a a", "a b a b a"), ("ÉTÉ été Été", "été"), ("no match here", "völlig anders gesagt")]
    scorer = RougeScorer(["rouge1", "rouge2", "rouge3", "rougeL"], use_stemmer=False)
    bleu, chrf = BLEU(), CHRF(word_order=2)
    rows = []
    for output, reference in pairs:
        rouge = scorer.score(reference, output)
        rows.append({
            "output": output, "reference": reference,
            "rouge": [rouge[name].fmeasure for name in ("rouge1", "rouge2", "rouge3", "rougeL")],
            "chrf": chrf.corpus_score([output], [[reference]]).score,
            "bleu": bleu.corpus_score([output], [[reference]]).score,
        })
    outputs, references = [row["output"] for row in rows], [[row["reference"] for row in rows]]
    whole = {"chrf": chrf.corpus_score(outputs, references).score, "bleu": bleu.corpus_score(outputs, references).score}
    text = json.dumps({"rows": rows, "corpus": whole}, indent=0, ensure_ascii=False)
    (HERE / "scores.json").write_text(text + "\n")
    print(len(rows), whole)


main()

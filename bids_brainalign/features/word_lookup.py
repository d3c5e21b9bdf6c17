"""Vectors of spoken words from a table that holds one per word (FastText, GloVe, a user's own)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bids_brainalign.features.static_vectors import StaticVectors, found_as
from bids_brainalign.features.transcript import named
from bids_brainalign.features.word_embeddings import WordEmbeddings, spoken_labels


def embed_static(vectors: StaticVectors, words: Sequence[object]) -> WordEmbeddings:
    """Look words up.

    A word is looked for as written, without punctuation, and in lower case; then FastText makes a
    vector of its character n-grams where the file has some (Bojanowski et al. 2017, TACL 5:135).

    Parameters
    ----------
    vectors : StaticVectors
        From ``static_vectors.open_vectors`` or ``word_table.open_word_table``.
    words : sequence of str
        As spoken, repetitions included.

    Returns
    -------
    WordEmbeddings
        One layer, (n_words, n_dims).
    """
    labels, lowered = spoken_labels(words)
    layer = np.zeros((len(labels), vectors.n_dims), dtype=np.float32)
    known = np.zeros(len(labels), dtype=np.bool_)
    found = {label: found_as(vectors, label) for label in dict.fromkeys(labels)}
    for row, label in enumerate(labels):
        vector, _ = found[label]
        if vector is not None:
            layer[row], known[row] = vector, True
    missing = [label or "(empty)" for label in labels if found[label][0] is None]
    composed = [label for label in labels if found[label][0] is not None and not found[label][1]]
    other = [
        f"{label} as {form}"
        for label in labels
        if found[label][0] is not None and (form := found[label][1]) not in {label, ""}
    ]
    notes = ["The words are written in capitals only and were looked up in lower case."]
    notes = notes if lowered else []
    notes += [
        f"{len(which)} of {len(labels)} words {what}: {named(which)}."
        for which, what in (
            (missing, "have no vector"),
            (composed, "are not in the table, and their vectors are made of their parts"),
            (other, "were found in another form"),
        )
        if which
    ]
    description = f"One vector of {vectors.n_dims} numbers per word, whatever its context"
    return WordEmbeddings(("0",), (layer,), known, tuple(notes), f"{description}.")

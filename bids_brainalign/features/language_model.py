"""Layers of a causal language model per word, from a local Hugging Face folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from bids_brainalign.features.dense import EncoderLayers
from bids_brainalign.features.layer_rows import LayerRows
from bids_brainalign.features.loading import placed, quiet_transformers, trained_or_random
from bids_brainalign.features.passages import Words
from bids_brainalign.features.progress import Progress
from bids_brainalign.features.text_folder import cannot_read
from bids_brainalign.features.transcript import (
    SPACELESS,
    Reading,
    held_layers,
    plain_labels,
    primary,
    times_of,
)

_TOKENS_PER_CALL = 512
"""Passes are put together up to about so many tokens, times the batch size."""
_NO_LIMIT = 1 << 20
_PROBE = (3, 1, 4, 1, 5, 2)


@dataclass(frozen=True)
class _Pass:
    """Some words with the words before them."""

    first_word: int
    tokens: tuple[int, ...]
    spans: tuple[tuple[int, int, int], ...]
    """Word, its first position in `tokens`, and the position after its last; only the words whose
    states are taken from this pass."""


class LanguageModel:
    """A causal language model (GPT-2, OPT, Llama, …) that reads the words of a stimulus.

    Parameters
    ----------
    folder : Path
        With ``config.json``, ``tokenizer.json`` and ``model.safetensors``.
    untrained_seed : int, optional
        Build the same architecture with random weights from this seed instead of the trained ones.
    device : str
        A torch device.
    precision : str
        ``fp32``, ``bf16`` or ``fp16``; features are float32 in any case.

    Raises
    ------
    BrainAlignError
        No language model, or one whose states know later words (66).

    Notes
    -----
    Layer numbers are those of ``hidden_states`` in transformers: 0 is the input of the first
    block (embeddings), the last one includes the final norm where the model has one. A pass is a
    token that begins texts (``bos_token``, where the tokenizer has one), some words, and the word:
    nothing of the stimulus after the word is in its state.
    """

    def __init__(
        self,
        folder: Path,
        *,
        untrained_seed: int | None = None,
        device: str = "cpu",
        precision: str = "fp32",
    ) -> None:
        from transformers import AutoConfig, AutoModel, AutoTokenizer

        quiet_transformers()
        self.folder = folder
        try:
            config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
            tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self.tokenizer: Any = tokenizer.backend_tokenizer
        except Exception as error:  # tokenizers raises Exception itself
            raise cannot_read(folder, error) from error
        if getattr(config, "is_encoder_decoder", False):
            raise cannot_read(folder, ValueError("it is an encoder with a decoder"))
        # A transcript that happens to hold "<|endoftext|>" is text.
        self.tokenizer.encode_special_tokens = True
        text = config.get_text_config()
        begin, size = tokenizer.bos_token_id, int(text.vocab_size)
        self.begin: tuple[int, ...] = (begin,) if begin is not None and begin < size else ()
        self.max_tokens = int(getattr(text, "max_position_embeddings", 0) or 0)
        model = trained_or_random(AutoModel, folder, config, untrained_seed=untrained_seed)
        self.model, self.device, self.dtype = placed(model, device=device, precision=precision)
        self.widths = self._probe()
        self.n_layers = len(self.widths)

    def extract(
        self,
        table: pd.DataFrame,
        *,
        duration_s: float,
        language: str,
        reading: Reading,
        batch_size: int = 1,
        scratch: IO[bytes] | None = None,
    ) -> EncoderLayers:
        """Read the words of a stimulus.

        Parameters
        ----------
        table : DataFrame
            ``onset`` (s), ``duration`` (s), ``label``, in the order of the onsets.
        duration_s : float
            Of the stimulus.
        language : str
            BCP-47; says whether there are blanks between words.
        reading : Reading
        batch_size : int
            How much is read at once, in units of some 512 tokens.
        scratch : binary file, optional
            For layers too large for memory, see ``layer_rows.LayerRows``.

        Returns
        -------
        EncoderLayers
            A frame per change of word, to be held until the next one; zero between words.
        """
        words, lowered = self.words(table, language=language)
        layers, past_s = self.read(words, reading=reading, batch_size=batch_size, scratch=scratch)
        notes = (
            ("Its transcript is written in capitals only and was read in lower case.",)
            if lowered
            else ()
        )
        return held_layers(layers, words, duration_s=duration_s, past_s=past_s, notes=notes)

    def read(
        self,
        words: Words,
        *,
        reading: Reading,
        batch_size: int = 1,
        scratch: IO[bytes] | None = None,
    ) -> tuple[Sequence[NDArray[np.float32]], float]:
        """Give the states of words that follow each other.

        Parameters
        ----------
        words : Words
        reading : Reading
        batch_size, scratch
            As for :meth:`extract`.

        Returns
        -------
        layers : sequence of ndarray of shape (n_words, n_dims)
            Zero for words without tokens.
        past_s : float
            From the onset of the earliest word that some state knows to that state's end.
        """
        rows = LayerRows(len(words.tokens), scratch, widths=self.widths)
        passes = self._passes(words, reading)
        progress, past_s = Progress("passes", len(passes)), 0.0
        for batch in _batches(passes, _TOKENS_PER_CALL * batch_size):
            for word, first, state in self._states(batch, reading):
                rows.write(word, state)
                past_s = max(past_s, float(words.offset_s[word] - words.onset_s[first]))
            progress.advance(len(batch))
        return rows.layers(), past_s

    def words(self, table: pd.DataFrame, *, language: str) -> tuple[Words, bool]:
        """Turn the labels into tokens, as they stand in the running text.

        Returns
        -------
        words : Words
            A token belongs to the word of its last character.
        lowered : bool
            Whether capitals were made lower case.
        """
        labels, lowered = plain_labels(list(table["label"]))
        onset, offset = times_of(table)
        return Words(onset, offset, tuple(self.tokens(labels, language=language))), lowered

    def tokens(self, labels: Sequence[str], *, language: str) -> list[tuple[int, ...]]:
        """Tokens of each word of a text, with the blank before it; none of an empty word."""
        if primary(language) in SPACELESS:
            # One by one: no token may hold characters of two words.
            return [tuple(self._encode(label).ids) if label else () for label in labels]
        return self._running(labels)

    def _encode(self, text: str) -> Any:
        return self.tokenizer.encode(text, add_special_tokens=False)

    def _running(self, labels: Sequence[str]) -> list[tuple[int, ...]]:
        ends = np.cumsum([len(label) + 1 for label in labels]) - 1  # of each, before its blank
        encoded = self._encode(" ".join(labels))
        found: list[list[int]] = [[] for _ in labels]
        for token, (start, stop) in zip(encoded.ids, encoded.offsets, strict=True):
            # A token of nothing but a blank belongs to the word after it.
            word = int(np.searchsorted(ends, max(start, stop - 1), side="right"))
            found[min(word, len(labels) - 1)].append(token)
        return [tuple(tokens) for tokens in found]

    def _passes(self, words: Words, reading: Reading) -> list[_Pass]:
        """Divide the words among passes; before each pass, as many words as fit."""
        room = (self.max_tokens or _NO_LIMIT) - len(self.begin)
        tokens = [own[-room:] for own in words.tokens]
        passes, word = [], 0
        while word < len(tokens):
            stop, length = word + 1, len(tokens[word])
            # Half of the positions are left for the words before.
            while (
                stop < min(word + reading.words_per_pass, len(tokens))
                and length + len(tokens[stop]) <= room // 2
            ):
                length += len(tokens[stop])
                stop += 1
            first = word
            while (
                first > max(0, word - reading.context_words)
                and length + len(tokens[first - 1]) <= room
            ):
                first -= 1
                length += len(tokens[first])
            read, spans = list(self.begin), []
            for each in range(first, stop):
                if each >= word and tokens[each]:
                    spans.append((each, len(read), len(read) + len(tokens[each])))
                read += tokens[each]
            if spans:
                passes.append(_Pass(first, tuple(read), tuple(spans)))
            word = stop
        return passes

    def _states(
        self, batch: Sequence[_Pass], reading: Reading
    ) -> Iterator[tuple[int, int, list[NDArray[Any]]]]:
        """Each word, the first word it was read with, and its states: arrays of (1, n_dims)."""
        # Padding comes after the words: a causal model doesn't see it.
        longest = max(len(one.tokens) for one in batch)
        ids = [[*one.tokens, *([0] * (longest - len(one.tokens)))] for one in batch]
        layers = self._forward(ids)
        for row, one in enumerate(batch):
            for word, start, stop in one.spans:
                used = slice(start if reading.pooling == "mean" else stop - 1, stop)
                states = [
                    layer[row, used].float().mean(dim=0, keepdim=True).cpu().numpy()
                    for layer in layers
                ]
                yield word, one.first_word, states

    def _forward(self, ids: list[list[int]]) -> tuple[torch.Tensor, ...]:
        with torch.inference_mode():
            output = self.model(
                input_ids=torch.tensor(ids, device=self.device),
                output_hidden_states=True,
                use_cache=False,
            )
        states: tuple[torch.Tensor, ...] = output.hidden_states
        return states

    def _probe(self) -> list[int]:
        """Widths of the layers; refuses a model whose states change with what comes later.

        Raises
        ------
        BrainAlignError
            It looks ahead, as BERT does (66).
        """
        one, other = (self._forward([[*_PROBE, last]]) for last in (0, 6))
        for a, b in zip(one, other, strict=True):
            early, late = a[0, : len(_PROBE)].float(), b[0, : len(_PROBE)].float()
            if not torch.allclose(early, late, rtol=1e-3, atol=1e-3 * float(early.abs().max())):
                raise cannot_read(
                    self.folder, ValueError("its states know later words: it is not causal")
                )
        return [int(layer.shape[-1]) for layer in one]


def _batches(passes: Sequence[_Pass], n_tokens: int) -> Iterator[list[_Pass]]:
    """Neighbouring passes that come to at most so many tokens, padding counted."""
    batch: list[_Pass] = []
    longest = 0
    for one in passes:
        longest = max(longest, len(one.tokens))
        if batch and longest * (len(batch) + 1) > n_tokens:
            yield batch
            batch, longest = [], len(one.tokens)
        batch.append(one)
    if batch:
        yield batch

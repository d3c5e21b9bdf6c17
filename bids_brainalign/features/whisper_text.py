"""Whisper's decoder: from states of the encoder to text."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.audio import SAMPLE_RATE_HZ
from bids_brainalign.features.folders import cannot_load, model_facts
from bids_brainalign.features.loading import load_pretrained, quiet_transformers
from bids_brainalign.features.transcript import SPACELESS

Array32 = NDArray[np.float32]

MAX_TOKENS = 224
"""Of one window: half of the decoder's context, as in the reference implementation of Whisper
(github.com/openai/whisper, decoding.py, ``sample_len``)."""
_PROMPT_TOKENS = 8
"""Room for start, language, task and timestamp tokens."""


def can_write(folder: Path) -> bool:
    """Whether a folder is a Whisper with a tokenizer."""
    has_tokenizer = (folder / "tokenizer.json").is_file() or all(
        (folder / name).is_file() for name in ("vocab.json", "merges.txt")
    )
    return has_tokenizer and model_facts(folder).is_whisper


class WhisperText:
    """The decoder of a Whisper from a local Hugging Face folder.

    Parameters
    ----------
    folder : Path
        With a tokenizer besides configuration and weights.
    device : str
        A torch device. Weights are float32, whatever the file holds.
    """

    def __init__(self, folder: Path, *, device: str = "cpu") -> None:
        from transformers import AutoTokenizer, WhisperFeatureExtractor
        from transformers import WhisperForConditionalGeneration as Whisper

        quiet_transformers()
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self.extractor: Any = WhisperFeatureExtractor.from_pretrained(
                folder, local_files_only=True
            )
        except (OSError, ValueError, KeyError) as error:
            raise cannot_load(folder, error) from error
        self.folder = folder
        self.device = torch.device(device)
        self.model: Any = load_pretrained(Whisper, folder).eval().to(self.device)
        self.window_frames = int(self.model.config.max_source_positions)
        # The prompt counts here; a limit on new tokens beside it would only cause a warning.
        self.model.generation_config.max_length = min(
            MAX_TOKENS + _PROMPT_TOKENS, int(self.model.config.max_target_positions)
        )

    def silence(self) -> Array32:
        """States of the last layer for a window of silence: (window_frames, n_dims)."""
        silent: Array32 = self.states([np.zeros(1, dtype=np.float32)])[0]
        return silent

    def states(self, waves: Sequence[Array32]) -> Array32:
        """States of the last layer for windows of audio.

        Parameters
        ----------
        waves : sequence of ndarray
            At 16 kHz, each at most a window long; silence follows a shorter one.

        Returns
        -------
        ndarray of shape (n_windows, window_frames, n_dims), float32
            After the encoder's final LayerNorm.
        """
        found = []
        for wave in waves:
            inputs = self.extractor(
                wave,
                sampling_rate=SAMPLE_RATE_HZ,
                return_tensors="pt",
                padding="max_length",
                max_length=self.window_samples,
            ).input_features
            with torch.inference_mode():
                found.append(self.model.model.encoder(inputs.to(self.device)).last_hidden_state)
        return np.asarray(torch.cat(found).cpu().numpy(), dtype=np.float32)

    @property
    def window_samples(self) -> int:
        """Samples of audio in a window."""
        return 2 * self.window_frames * int(self.extractor.hop_length)

    def write(self, states: Array32, *, language: str, batch_size: int = 1) -> list[str]:
        """Write down what windows of encoder states say.

        Parameters
        ----------
        states : ndarray of shape (n_windows, window_frames, n_dims), float32
            Of the last layer as ``hidden_states`` gives it: after the encoder's final LayerNorm.
        language : str
            BCP-47 tag.
        batch_size : int
            Windows at once.

        Returns
        -------
        list of str
            One text per window, greedily decoded; white space is single blanks.
        """
        from transformers.modeling_outputs import BaseModelOutput

        options = self._language(language)
        texts: list[str] = []
        for part in np.array_split(states, max(1, math.ceil(len(states) / batch_size))):
            given = BaseModelOutput(
                last_hidden_state=torch.from_numpy(part.astype(np.float32)).to(self.device)
            )
            with torch.inference_mode(), _without_advice():
                tokens = self.model.generate(encoder_outputs=given, **options)
            texts += self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return [" ".join(text.split()) for text in texts]

    def words(self, text: str, *, language: str) -> list[str]:
        """Words as they are compared: without case and punctuation, English contractions open.

        Characters, where a language is written without spaces.
        """
        from transformers.models.whisper.english_normalizer import (
            BasicTextNormalizer,
            EnglishTextNormalizer,
        )

        english: Any = EnglishTextNormalizer
        basic: Any = BasicTextNormalizer
        if _primary(language) == "en":
            # Some folders lack the table of British and American spellings.
            spellings = getattr(self.tokenizer, "english_spelling_normalizer", None) or {}
            return str(english(spellings)(text)).split()
        split = _primary(language) in SPACELESS
        return str(basic(split_letters=split)(text)).split()

    def can_write_in(self, language: str) -> bool:
        """Whether the decoder knows a language (BCP-47 tag)."""
        known = getattr(self.model.generation_config, "lang_to_id", None) or {}
        if known:
            return f"<|{_primary(language)}|>" in known
        several = getattr(self.model.generation_config, "is_multilingual", True)
        return _primary(language) == "en" or bool(several)

    def _language(self, language: str) -> dict[str, str]:
        """Options that fix the language; a Whisper of one language takes none."""
        settings, primary = self.model.generation_config, _primary(language)
        known = getattr(settings, "lang_to_id", None) or {}
        if not known and (primary == "en" or getattr(settings, "is_multilingual", True)):
            return {}
        if f"<|{primary}|>" not in known:
            raise BrainAlignError(
                f"{self.folder.name} can't write {language!r}.",
                where=f"it knows {', '.join(sorted(key.strip('<|>') for key in known)) or 'en'}",
                fix="correct the language of the stimuli (--language, stimuli.tsv), or leave "
                "--transcribe out",
                exit_code=ExitCode.USAGE,
            )
        return {"language": primary, "task": "transcribe"}


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep from the terminal what Whisper's own ``generate`` is advised to do otherwise."""
    from transformers.utils import logging as advice

    before = advice.get_verbosity()
    advice.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        advice.set_verbosity(before)


def _primary(language: str) -> str:
    return language.partition("-")[0].lower()
